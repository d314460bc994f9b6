//! The coverage proof, by the coordinator's audits and by `kube-state-fleet verify`. Both find a healthy fleet exact while the cluster
//! changes, and both find gaps and doubles that the case creates.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::handover;
use crate::cluster::Cluster;
use crate::fleet::{Fleet, LEAN, metric};
use crate::observer::Bounds;
use crate::process::{self, Outcome, Signal};
use crate::replica::{Endpoints, Replica};
use crate::stage::{Size, Stage};
use crate::wait::until;

const REPLICAS: u8 = 3;
/// How long an audit may take to find a change. Audits fail while the fleet changes.
const AUDIT_LIMIT: Duration = Duration::from_secs(150);
/// Pod changes per second.
const CHURN: u32 = 50;

pub async fn run(stage: &Stage) -> Result<String> {
    let (cluster, fleet, mut observer) = handover::start(stage, &[]).await?;
    observer.phase(&fleet, "scale up", Bounds::SEAMLESS, async || fleet.scale(REPLICAS).await).await?;
    drop(observer);
    let healthy = healthy(stage, &cluster, &fleet).await.context("a healthy fleet")?;
    doubled(stage, &cluster, &fleet).await.context("a stray replica")?;
    gap(stage, &cluster).await.context("static shards, one left out")?;
    let twice = claimed(stage, &fleet).await.context("a member whose ranges another one exposes too")?;
    let found = lost(&fleet).await.context("two of three lost")?;
    Ok(format!(
        "{healthy}; a stray replica and a left-out shard found by verify; a member that is there twice by an audit after \
         {twice:.0} s, and lost ranges after {found:.0} s"
    ))
}

/// While pods change, appear and disappear, audits and `verify` find no error.
async fn healthy(stage: &Stage, cluster: &Cluster, fleet: &Fleet) -> Result<String> {
    let mut churn = cluster.churn(stage, stage.pods(), CHURN)?;
    let least = Duration::from_secs(if stage.size == Size::Long { 600 } else { 30 });
    let start = Instant::now();
    let (mut verified, mut made, mut exact) = (0, 0, None);
    while exact.is_none() || start.elapsed() < least {
        churn.ensure_running().context("the churn")?;
        for _ in 0..10 {
            come_and_go(cluster, made).await?;
            made += 1;
        }
        let outcome = verify(stage, cluster, &fleet_arguments(cluster)).await?;
        ensure!(outcome.code == 0, "verify: {outcome:?}");
        verified += 1;
        for state in ["missing", "doubled"] {
            ensure!(cover(fleet, state).await? == 0.0, "the audits report {state}");
        }
        if exact.is_none() && cover(fleet, "exact").await? == 1.0 {
            exact = Some(start.elapsed());
        }
        ensure!(exact.is_some() || start.elapsed() < AUDIT_LIMIT, "the coverage was never proven");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let after = exact.map_or(0.0, |exact| exact.as_secs_f64());
    Ok(format!(
        "exact after {after:.0} s and for {:.0} s of churn, {verified} times verify",
        start.elapsed().as_secs_f64()
    ))
}

/// Creates a pod and deletes the previous one.
async fn come_and_go(cluster: &Cluster, number: u32) -> Result<()> {
    let collection = cluster.api.core("pods");
    let pod = json!({
        "metadata": { "name": format!("passing-{number}") },
        "spec": { "nodeName": "e2e-node", "containers": [{ "name": "main", "image": "main" }] },
    });
    cluster.api.create(&collection, &pod).await?;
    if let Some(before) = number.checked_sub(1) {
        cluster.api.delete(&format!("{collection}/passing-{before}")).await?;
    }
    Ok(())
}

/// A replica outside of the fleet serves objects of another one.
async fn doubled(stage: &Stage, cluster: &Cluster, fleet: &Fleet) -> Result<()> {
    let mut stray = shard(stage, cluster, 100, 1)?;
    stray.ready().await?;
    let mut arguments: Vec<String> = fleet.live().iter().map(|(_, running)| replica_argument(running.at)).collect();
    arguments.push(replica_argument(stray.at));
    let outcome = verify(stage, cluster, &arguments).await?;
    ensure!(outcome.code == 1, "verify: {outcome:?}");
    let said =
        outcome.text.contains("pods served more than once:") && outcome.text.contains(", 0 served by no replica");
    ensure!(said, "verify reports no double, or a gap: {outcome:?}");
    Ok(())
}

/// Two of three static shards leave a third of the objects missing.
async fn gap(stage: &Stage, cluster: &Cluster) -> Result<()> {
    let mut shards = Vec::new();
    for number in 0..2 {
        let mut shard = shard(stage, cluster, 101 + number, number)?;
        shard.ready().await?;
        shards.push(shard);
    }
    let arguments: Vec<String> = shards.iter().map(|shard| replica_argument(shard.at)).collect();
    let outcome = verify(stage, cluster, &arguments).await?;
    ensure!(outcome.code == 1, "verify: {outcome:?}");
    let said = outcome.text.contains("pods served by no replica:") && outcome.text.contains(" and 0 by several");
    ensure!(said, "verify reports no gap, or a double: {outcome:?}");
    Ok(())
}

/// A member without ranges exposes the objects of another one, and an audit finds it. No replica does so, so the case announces one
/// member twice. When it ends that, the coverage is exact again.
async fn claimed(stage: &Stage, fleet: &Fleet) -> Result<f64> {
    const CLAIM: u8 = 9;
    let (coordinator, _) = fleet.record().await?;
    let twice = fleet.live().iter().map(|(ordinal, _)| *ordinal).find(|ordinal| *ordinal != coordinator);
    let start = Instant::now();
    fleet.claim(CLAIM, twice.context("only the coordinator runs")?).await?;
    let mut renewed = Instant::now();
    until("an audit", AUDIT_LIMIT, async || {
        if renewed.elapsed() >= Duration::from_secs(3) {
            fleet.renew(CLAIM).await?;
            renewed = Instant::now();
        }
        ensure!(cover(fleet, "doubled").await? == 1.0, "the audit reports no double");
        Ok(())
    })
    .await?;
    ensure!(cover(fleet, "missing").await? == 0.0, "the audit reports a gap too");
    let found = start.elapsed().as_secs_f64();
    fleet.disclaim(CLAIM).await?;
    if stage.size == Size::Ci {
        return Ok(found);
    }
    until("an audit without it", AUDIT_LIMIT, async || {
        ensure!(cover(fleet, "exact").await? == 1.0, "the audit still reports a double");
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Two of three replicas do not return: the last one takes over as much as its own share, and the rest is missing.
async fn lost(fleet: &Fleet) -> Result<f64> {
    let start = Instant::now();
    fleet.board.lock().start_delay = Duration::from_secs(3600);
    for ordinal in [1, 2] {
        fleet.signal(ordinal, Signal::KILL)?;
    }
    until("an audit", AUDIT_LIMIT, async || {
        ensure!(cover(fleet, "missing").await? == 1.0, "the audit reports no gap");
        Ok(())
    })
    .await?;
    Ok(start.elapsed().as_secs_f64())
}

/// The coordinator's result for pods: 1 if the coverage is in this state, 0 if not or before the first audit.
async fn cover(fleet: &Fleet, state: &str) -> Result<f64> {
    for (_, running) in fleet.live() {
        let text = running.at.self_metrics().await?;
        if metric(&text, "kube_state_fleet_coordinator", &[])? == 1.0 {
            let labels = [("resource", "pods"), ("state", state)];
            return Ok(metric(&text, "kube_state_fleet_cover", &labels).unwrap_or(0.0));
        }
    }
    bail!("no replica coordinates")
}

/// A static shard of three.
fn shard(stage: &Stage, cluster: &Cluster, host: u8, number: u8) -> Result<Replica> {
    let (shard, total) = (format!("--shard={number}"), format!("--total-shards={REPLICAS}"));
    Replica::start(stage, host, &cluster.kubeconfig, &[LEAN[0], LEAN[1], &shard, &total])
}

fn replica_argument(at: Endpoints) -> String {
    format!("--replica={}", at.telemetry_url(""))
}

/// The arguments with which `verify` finds the fleet.
fn fleet_arguments(cluster: &Cluster) -> Vec<String> {
    // The API server's proxy refuses loopback addresses.
    vec![format!("--fleet-namespace={}", cluster.api.namespace), "--via=direct".to_owned()]
}

/// Runs `kube-state-fleet verify`.
async fn verify(stage: &Stage, cluster: &Cluster, arguments: &[String]) -> Result<Outcome> {
    let mut all =
        vec!["verify".to_owned(), format!("--kubeconfig={}", cluster.kubeconfig.display()), LEAN[0].to_owned()];
    all.extend_from_slice(arguments);
    process::run(&stage.exporter()?, &all, &stage.directory, "verify", Duration::from_secs(60)).await
}
