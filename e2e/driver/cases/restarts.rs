//! What a Prometheus sees of replicas that end, with `--seamless-handover`: a crash can leave a gap, and the restart of a replica that nobody
//! takes over from leaves none. docs/fleet.md has the figures.
//!
//! At the same time, a replica of a plain and one of a seamless fleet crash, the replica of a fleet of one is rolled, and a single
//! process is terminated and started again. An object is deleted while that process does not run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::seamless::{self, FLAGS, INTERVAL, LIMIT, OBJECTS, RANGE, Troupe};
use crate::cluster::{self, Cluster};
use crate::fleet::Fleet;
use crate::process::Signal;
use crate::prometheus::{Prometheus, Role, Setup};
use crate::replica::Replica;
use crate::stage::Stage;
use crate::wait::until;

/// The address of the single process.
const HOST: u8 = 50;
/// Its job.
const SINGLE: &str = "single";
/// The object that is deleted.
const VICTIM: &str = "victim";
/// The longest absence after the other replica has taken over: until the next scrape, which a busy machine may delay by one more interval.
const UNSEEN: f64 = 2.0 * INTERVAL.as_secs() as f64;
/// The pods that a replica keeps.
const KEPT: &str = "kube_state_fleet_objects";
/// How long Prometheus shows the last sample of a series (`--query.lookback-delta`), in seconds.
const LOOKBACK: f64 = 300.0;

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, cluster::Options::FLEET).await?;
    cluster.fill(stage, OBJECTS).await?;
    let cluster = cluster;
    let troupes = [
        Troupe::PLAIN,
        Troupe { name: "seamless", seamless: true, ..Troupe::PLAIN },
        Troupe { name: "alone", seamless: true, replicas: 1, ..Troupe::PLAIN },
    ];
    let [plain, crashing, alone] = &troupes;
    // Outside of the objects that exist all the time.
    let pods = cluster.api.core("pods");
    let spec = json!({ "containers": [{ "name": "victim", "image": "none" }] });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": VICTIM }, "spec": spec });
    cluster.api.create(&pods, &pod).await?;
    let starts = troupes.iter().map(|troupe| seamless::start(stage, &cluster, troupe));
    let fleets = futures::future::try_join_all(starts).await?;
    let flags = [&FLAGS[..], &["--seamless-handover", "--shard=0", "--total-shards=1"]].concat();
    let mut single = Replica::start(stage, HOST, &cluster.kubeconfig, &flags)?;
    single.ready().await?;

    let scraped = troupes.iter().zip(&fleets);
    let jobs = scraped.map(|(troupe, fleet)| seamless::dropping_job(stage, &cluster, troupe.name, fleet, "a"));
    let target = json!({
        "targets": [format!("{}:{}", single.at.address, single.at.port)],
        "labels": { "pod": SINGLE },
    });
    let mut job = json!({ "job_name": SINGLE, "static_configs": [target] });
    seamless::drop_target(&mut job);
    let rules = [seamless::rule_file(stage, "rules.yml", "")?];
    let scrape_configs: Value = jobs.chain([job]).collect();
    let setup = Setup { name: "prometheus", interval: INTERVAL, scrape_configs, rules: &rules, role: Role::Server };
    let prometheus = Prometheus::set_up(stage, setup).await?;
    for name in troupes.iter().map(|troupe| troupe.name).chain([SINGLE]) {
        let complete = async || seamless::complete(&prometheus, name).await;
        until("all objects and alerts in Prometheus", LIMIT, complete).await.with_context(|| format!("job {name}"))?;
    }

    // A scraper is known after its second scrape.
    tokio::time::sleep(2 * INTERVAL).await;

    let from = seamless::now()?;
    for fleet in &fleets[..2] {
        fleet.signal(1, Signal::KILL)?;
    }
    let taken_over = futures::future::try_join_all(fleets[..2].iter().map(|fleet| taken_over(fleet, from)));
    let rolled = async { seamless::phase(&fleets[2], "roll", async || fleets[2].roll(&[]).await).await };
    let restarted = async {
        let began = std::time::Instant::now();
        single.process.signal(Signal::TERM)?;
        until("the end of the single process", LIMIT, async || single.process.ended()?.context("it runs")).await?;
        let ended = began.elapsed();
        cluster.api.delete(&format!("{pods}/{VICTIM}")).await?;
        let deleted_at = seamless::now()?;
        single = Replica::start_at(stage, single.at, &cluster.kubeconfig, &flags)?;
        single.ready().await?;
        let down = began.elapsed() - ended;
        anyhow::Ok((deleted_at, format!("{:.0} s to end, {:.0} s down", ended.as_secs_f64(), down.as_secs_f64())))
    };
    let (taken_over, rolled, (deleted_at, restarted)) = futures::try_join!(taken_over, rolled, restarted)?;
    let rest = from + RANGE + 1.0 - seamless::now()?;
    tokio::time::sleep(Duration::from_secs_f64(rest.max(0.0)) + INTERVAL).await;

    let mut table = format!("{rolled}; single process: {restarted}");
    // Before the crashed replicas serve again.
    let crash = (from, from + RANGE + 1.0);
    for (troupe, takeover) in [plain, crashing].into_iter().zip(taken_over) {
        let found = seamless::evaluate(&prometheus, troupe.name, crash.0, crash.1).await?;
        table += &format!("\n    {:<12}: {found}; taken over after {takeover:.1} s", troupe.name);
        // NB: there is none if the other one has been scraped before the crashed one fails its next scrape.
        ensure!(found.longest <= takeover + UNSEEN, "{table}\n  the gap after a crash is longer than documented");
    }
    let found = seamless::evaluate(&prometheus, alone.name, from, seamless::now()?).await?;
    table += &format!("\n    {:<12}: {found}", alone.name);
    ensure!(found.is_seamless(), "{table}\n  the restart is visible");
    let found = seamless::evaluate(&prometheus, SINGLE, from, seamless::now()?).await?;
    table += &format!("\n    {SINGLE:<12}: {found}");
    ensure!(found.is_seamless(), "{table}\n  the restart is visible");
    let late = end_of(&prometheus, deleted_at).await? - deleted_at;
    table += &format!("\n    an object that was deleted meanwhile ends {late:.0} s later");
    ensure!(late <= LOOKBACK + 2.0 * INTERVAL.as_secs_f64(), "{table}");
    Ok(table)
}

/// Waits until the first replica keeps the objects of the second one too. Returns how long after `crash`, in seconds.
async fn taken_over(fleet: &Fleet, crash: f64) -> Result<f64> {
    until("a takeover", LIMIT, async || {
        let kept = fleet.metric(0, KEPT, &[("resource", "pods")]).await?;
        ensure!(kept >= OBJECTS as f64, "it keeps {kept} pods");
        Ok(())
    })
    .await?;
    Ok(seamless::now()? - crash)
}

/// The Unix time until which queries show the deleted object of the single process, to the second.
async fn end_of(prometheus: &Prometheus, deleted_at: f64) -> Result<f64> {
    let query = format!(r#"kube_pod_info{{job="{SINGLE}",pod="{VICTIM}"}}"#);
    let (mut shown, mut gone) = (deleted_at, deleted_at + 2.0 * LOOKBACK);
    while gone - shown > 1.0 {
        let middle = f64::midpoint(shown, gone);
        let is_shown = !prometheus.query_at(&query, middle).await?.is_empty();
        (shown, gone) = if is_shown { (middle, gone) } else { (shown, middle) };
    }
    Ok(gone)
}
