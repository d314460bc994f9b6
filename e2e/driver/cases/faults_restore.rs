//! Backups that are restored under a running fleet: of etcd, in both ways that `etcdutl snapshot restore` offers, and of the Leases of
//! the fleet alone. Everything goes back in time: the objects, the StatefulSet and its Pods, the Leases, the record. The replicas end
//! with the objects that exist afterwards, each exactly once and in its restored state.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};

use super::faults::COLD_START;
use crate::api;
use crate::cluster::{Cluster, Options, Revision};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

const REPLICAS: u8 = 3;
/// The start delay of new processes.
const START_DELAY: Duration = Duration::from_secs(1);
/// Number of Pods of each [`Fate`].
const EACH: usize = 10;
/// How long after the start of the restored API server the replicas may serve an earlier state. They notice its start when it accepts a
/// connection, read the newest resourceVersion, and list.
const RELISTED: Duration = Duration::from_secs(20);

/// What happens to a Pod after its creation, for example between snapshot and restore.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Created,
    Changed,
    Deleted,
}

pub async fn run(stage: &Stage) -> Result<String> {
    let (mut cluster, fleet, mut observer) = start(stage).await?;
    fleet.board.lock().graceful_vanishing = true;
    let leases = fleet.all_leases().await?;
    let snapshot = cluster.save(stage, "small.db").await?;
    observer.phase(&fleet, "scale up", Bounds::SEAMLESS, async || fleet.scale(REPLICAS + 1).await).await?;
    observer.phase(&fleet, "Leases restored", Bounds::SEAMLESS, async || fleet.replace_leases(&leases).await).await?;
    let bounds = Bounds::SEAMLESS;
    restore(stage, &mut cluster, &fleet, &mut observer, &snapshot, Revision::Repeated, bounds).await?;

    let snapshot = cluster.save(stage, "small.db").await?;
    restore(stage, &mut cluster, &fleet, &mut observer, &snapshot, Revision::Raised, bounds).await?;
    observer.summary()
}

/// The backups are older than all running processes.
pub async fn run_rolled(stage: &Stage) -> Result<String> {
    let (mut cluster, fleet, mut observer) = start(stage).await?;
    let leases = fleet.all_leases().await?;
    let snapshot = cluster.save(stage, "rolled.db").await?;
    observer.phase(&fleet, "rolling update", Bounds::SEAMLESS, async || fleet.roll(&[]).await).await?;
    let restored = async || fleet.replace_leases(&leases).await;
    observer.phase(&fleet, "Leases of earlier processes restored", Bounds::SEAMLESS, restored).await?;
    // The earlier Pods come back, and the running ones vanish with their processes.
    let bounds = Bounds::missing(START_DELAY.as_secs_f64() + COLD_START);
    restore(stage, &mut cluster, &fleet, &mut observer, &snapshot, Revision::Repeated, bounds).await?;
    observer.summary()
}

async fn start(stage: &Stage) -> Result<(Cluster, Fleet, Observer)> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    cluster.fill(stage, stage.pods()).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    for fate in [Fate::Changed, Fate::Deleted] {
        create(&cluster, fate).await?;
    }
    let fleet = Fleet::start_with(stage, &cluster, fleet::Options::lean(REPLICAS, &[])).await?;
    let observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = START_DELAY;
    Ok((cluster, fleet, observer))
}

/// Changes Pods, and restores etcd. Objects that exist all the time are served all the time.
async fn restore(
    stage: &Stage,
    cluster: &mut Cluster,
    fleet: &Fleet,
    observer: &mut Observer,
    snapshot: &Path,
    revision: Revision,
    bounds: Bounds,
) -> Result<()> {
    change(cluster).await?;
    let mut outdated = 0.0;
    observer
        .phase(fleet, &format!("etcd restored, revision {revision:?}"), bounds, async || {
            cluster.restore(stage, snapshot, revision).await?;
            let start = Instant::now();
            until("the restored objects", RELISTED, async || ensure_exact(fleet, cluster).await).await?;
            outdated = start.elapsed().as_secs_f64();
            Ok(())
        })
        .await?;
    observer.note(format!("exact {outdated:.1} s after the start of the API server"));
    ensure_exact(fleet, cluster).await?;
    for (ordinal, running) in fleet.live() {
        let ready = running.at.readyz().await?;
        ensure!(ready.status == StatusCode::OK, "replica {ordinal}: {}", ready.text()?);
        let superseded = fleet.metric(ordinal, "kube_state_fleet_superseded", &[]).await?;
        ensure!(superseded == 0.0, "replica {ordinal} is superseded");
    }
    Ok(())
}

/// The name of a Pod.
pub fn pod(fate: Fate, number: usize) -> String {
    format!("{fate:?}-{number}").to_lowercase()
}

/// Creates the Pods with this fate.
pub async fn create(cluster: &Cluster, fate: Fate) -> Result<()> {
    for number in 0..EACH {
        let pod = json!({
            "metadata": { "name": pod(fate, number) },
            "spec": { "nodeName": "e2e-node", "containers": [{ "name": "main", "image": "registry.example/main" }] },
        });
        cluster.api.create(&cluster.api.core("pods"), &pod).await?;
    }
    Ok(())
}

/// Makes the changes that the restore undoes, and waits until they are served.
async fn change(cluster: &Cluster) -> Result<()> {
    let pods = cluster.api.core("pods");
    for number in 0..EACH {
        let status = json!({ "status": { "phase": "Running", "podIP": "10.9.9.9", "podIPs": [{ "ip": "10.9.9.9" }] } });
        cluster.api.patch(&format!("{pods}/{}/status", pod(Fate::Changed, number)), &status).await?;
        cluster.api.delete(&format!("{pods}/{}", pod(Fate::Deleted, number))).await?;
    }
    create(cluster, Fate::Created).await
}

/// Returns an error unless the replicas serve exactly the Pods of the API server, each once and in its current state.
pub async fn ensure_exact(fleet: &Fleet, cluster: &Cluster) -> Result<()> {
    let pods = cluster.api.list("/api/v1/pods").await?;
    let existing: BTreeMap<_, _> = pods.iter().filter_map(|pod| Some((api::uid(pod)?, address(pod)))).collect();
    let mut served = BTreeMap::new();
    for (ordinal, running) in fleet.live() {
        let text = running.at.scrape_resources("pods").await?;
        for line in series::of(&text, "kube_pod_info") {
            let uid = series::label(line, "uid").context("a Pod without a UID")?.to_owned();
            let address = series::label(line, "pod_ip").unwrap_or_default().to_owned();
            ensure!(served.insert(uid.clone(), address).is_none(), "{uid} is doubled, by replica {ordinal}");
        }
    }
    let lost: Vec<_> = existing.keys().filter(|uid| !served.contains_key(*uid)).collect();
    let extra: Vec<_> = served.keys().filter(|uid| !existing.contains_key(*uid)).collect();
    let differs = |uid: &String, now: &str| served.get(uid).is_some_and(|before| before != now);
    let old: Vec<_> = existing.iter().filter(|(uid, now)| differs(uid, now)).map(|(uid, _)| uid).collect();
    ensure!(
        lost.is_empty() && extra.is_empty() && old.is_empty(),
        "missing: {lost:?}, served although they do not exist: {extra:?}, served in another state: {old:?}"
    );
    Ok(())
}

fn address(pod: &Value) -> &str {
    pod["status"]["podIP"].as_str().unwrap_or_default()
}
