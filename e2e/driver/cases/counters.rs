//! Containers are killed for want of memory and pods are evicted while a fleet scales and loses a replica. Prometheus counts each kill once,
//! with and without the labels of the replica, and an eviction that it saw stays counted after the pod is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::seamless::{drop_target, name_replica};
use crate::api::Api;
use crate::cluster::{Cluster, Options};
use crate::fleet::{self, Fleet};
use crate::process::Signal;
use crate::prometheus::{Prometheus, Role, Setup};
use crate::series;
use crate::stage::Stage;
use crate::wait::until;

const TERMINATIONS: &str = "kube_state_fleet_pod_container_terminations_total";
const EVICTIONS: &str = "kube_state_fleet_pod_evictions_total";
const PODS: usize = 12;
/// Pods that are evicted at the end.
const EVICTED: usize = 3;
/// The reasons that each container has a series for.
const REASONS: usize = 6;
const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(90);
/// The job that keeps the labels of the replica, and the one that drops them.
const JOBS: [&str; 2] = ["kept", "dropped"];
const COLLECTION: &str = "/api/v1/namespaces/default/pods";

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::start(stage, Options::FLEET).await?;
    let flags = [
        "--resources=pods".to_owned(),
        "--metric-allowlist=kube_state_fleet_pod_.*_total".to_owned(),
        "--metric-opt-in-list=kube_state_fleet_pod_.*_total".to_owned(),
        "--deleted-linger=5s".to_owned(),
    ];
    let fleet =
        Fleet::start_with(stage, &cluster, fleet::Options { flags: flags.into(), ..Default::default() }).await?;
    let api = &cluster.api;
    for number in 0..PODS {
        let containers = json!([{ "name": "main", "image": "main" }]);
        let spec = json!({ "nodeName": "e2e-node", "containers": containers });
        api.create(COLLECTION, &json!({ "metadata": { "name": name(number) }, "spec": spec })).await?;
        report(api, number, json!({ "containerStatuses": [running(0)] })).await?;
    }
    let mut dropped = fleet.scrape_job(stage, &cluster, JOBS[1], true);
    name_replica(&mut dropped, "pod");
    drop_target(&mut dropped);
    let jobs = json!([fleet.scrape_job(stage, &cluster, JOBS[0], true), dropped]);
    let setup = Setup { name: "prometheus", interval: INTERVAL, scrape_configs: jobs, rules: &[], role: Role::Server };
    let prometheus = Prometheus::set_up(stage, setup).await?;

    let kills = [
        ("at first", 1),
        // Some pods move to the new replica.
        ("after a handover", 2),
        ("after a SIGKILL", 3),
    ];
    for (when, kill) in kills {
        match kill {
            2 => {
                fleet.scale(3).await?;
                until("three replicas with pods", LIMIT, async || {
                    let shares = shares(&fleet).await?;
                    ensure!(shares.len() == 3 && shares.values().all(|share| *share > 0), "{shares:?}");
                    Ok(())
                })
                .await?;
            }
            3 => fleet.signal(0, Signal::KILL)?,
            _ => {}
        }
        until("all pods once", LIMIT, async || {
            let shares = shares(&fleet).await?;
            ensure!(shares.values().sum::<usize>() == PODS * REASONS, "{when}: {shares:?}");
            Ok(())
        })
        .await?;
        scraped(&prometheus).await?;
        for number in 0..PODS {
            let now = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "finishedAt": time(kill) } });
            let ended = json!({ "name": "main", "image": "main", "imageID": "", "ready": false,
                "restartCount": kill - 1, "state": now });
            report(api, number, json!({ "containerStatuses": [ended] })).await?;
            report(api, number, json!({ "containerStatuses": [running(kill)] })).await?;
        }
        tokio::time::sleep(3 * INTERVAL).await;
        for job in JOBS {
            until("the kills in Prometheus", LIMIT, async || kills_are(&prometheus, job, kill, when).await).await?;
        }
    }

    for number in 0..EVICTED {
        let condition = json!({ "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI" });
        report(api, number, json!({ "conditions": [condition] })).await?;
        api.delete_with(&format!("{COLLECTION}/{}", name(number)), &json!({ "gracePeriodSeconds": 0 })).await?;
    }
    for job in JOBS {
        let evicted = format!("sum by (reason) (increase({EVICTIONS}{{job=\"{job}\"}}[10m])) > 0.5");
        until("the evictions in Prometheus", LIMIT, async || {
            let found = prometheus.query(&evicted).await?;
            let is_right = |value: f64| (value - EVICTED as f64).abs() < 1.0;
            ensure!(found.len() == 1 && is_right(found[0].value), "{job}: {found:?}");
            ensure!(found[0].label("reason") == "EvictionByEvictionAPI", "{job}: {found:?}");
            Ok(())
        })
        .await?;
    }
    Ok(format!("{} kills and {EVICTED} evictions, each counted once by two jobs", PODS * kills.len()))
}

fn name(number: usize) -> String {
    format!("counted-{number}")
}

/// A moment for each kill.
fn time(kill: u32) -> String {
    format!("2026-01-01T00:{kill:02}:00Z")
}

/// The status of the container after so many kills.
fn running(restarts: u32) -> Value {
    let last = match restarts {
        0 => json!({}),
        _ => json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled", "finishedAt": time(restarts) } }),
    };
    json!({ "name": "main", "image": "main", "imageID": "", "ready": true, "restartCount": restarts,
        "state": { "running": {} }, "lastState": last })
}

async fn report(api: &Api, number: usize, status: Value) -> Result<()> {
    api.patch(&format!("{COLLECTION}/{}/status", name(number)), &json!({ "status": status })).await.map(drop)
}

/// Returns the number of series of containers that each replica exposes.
async fn shares(fleet: &Fleet) -> Result<BTreeMap<u8, usize>> {
    let mut shares = BTreeMap::new();
    for (ordinal, running) in fleet.live() {
        let text = running.at.scrape().await?;
        let own = |line: &&str| series::label(line, "pod").is_some_and(|pod| pod.starts_with("counted-"));
        shares.insert(ordinal, series::of(&text, TERMINATIONS).filter(own).count());
    }
    Ok(shares)
}

/// Waits until Prometheus has several samples of each series from where it is now.
async fn scraped(prometheus: &Prometheus) -> Result<()> {
    tokio::time::sleep(4 * INTERVAL).await;
    for job in JOBS {
        let count = format!("count({TERMINATIONS}{{job=\"{job}\",pod=~\"counted-.*\"}})");
        until("all series in Prometheus", LIMIT, async || {
            let found = prometheus.query(&count).await?;
            ensure!(found.first().is_some_and(|count| count.value == (PODS * REASONS) as f64), "{job}: {found:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Checks that Prometheus counts so many kills of each container, and no other termination.
async fn kills_are(prometheus: &Prometheus, job: &str, kills: u32, when: &str) -> Result<()> {
    let query =
        format!("sum by (pod, reason) (increase({TERMINATIONS}{{job=\"{job}\",pod=~\"counted-.*\"}}[10m])) > 0");
    let found = prometheus.query(&query).await?;
    // Prometheus extrapolates to what it did not scrape.
    let is_right = |value: f64| (value - f64::from(kills)).abs() < 0.5;
    let wrong: Vec<_> =
        found.iter().filter(|kill| kill.label("reason") != "OOMKilled" || !is_right(kill.value)).collect();
    ensure!(wrong.is_empty() && found.len() == PODS, "{job}, {when}: {} pods, wrong: {wrong:?}", found.len());
    Ok(())
}
