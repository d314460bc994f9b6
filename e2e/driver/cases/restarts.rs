//! What a Prometheus sees of replicas that end, with `--seamless-handover`: a crash leaves a gap, and the restart of a replica that nobody
//! takes over from leaves none. docs/fleet.md has the figures.
//!
//! At the same time, a replica of a plain and one of a seamless fleet crash, the replica of a fleet of one is rolled, and a single
//! process is terminated and started again. An object is deleted while that process does not run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::seamless::{self, FLAGS, INTERVAL, LIMIT, OBJECTS, RANGE, Troupe};
use crate::cluster::{self, Cluster};
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
/// The longest absence after a crash: until the others have taken over, and until the next scrape.
const CRASH_GAP: f64 = 2.0 * INTERVAL.as_secs() as f64;
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
    let (rolled, (deleted_at, restarted)) = futures::try_join!(rolled, restarted)?;
    let rest = from + RANGE + 1.0 - seamless::now()?;
    tokio::time::sleep(Duration::from_secs_f64(rest.max(0.0)) + INTERVAL).await;

    let mut table = format!("{rolled}; single process: {restarted}");
    // Before the crashed replicas serve again.
    let crash = (from, from + RANGE + 1.0);
    for (troupe, (from, to), is_seamless) in
        [(plain, crash, false), (crashing, crash, false), (alone, (from, seamless::now()?), true)]
    {
        let found = seamless::evaluate(&prometheus, troupe.name, from, to).await?;
        table += &format!("\n    {:<12}: {found}", troupe.name);
        if is_seamless {
            ensure!(found.is_seamless(), "{table}\n  the restart is visible");
        } else {
            ensure!(found.absent > 0.0 && found.longest <= CRASH_GAP, "{table}\n  no gap as documented after a crash");
        }
    }
    let found = seamless::evaluate(&prometheus, SINGLE, from, seamless::now()?).await?;
    table += &format!("\n    {SINGLE:<12}: {found}");
    ensure!(found.is_seamless(), "{table}\n  the restart is visible");
    let late = end_of(&prometheus, deleted_at).await? - deleted_at;
    table += &format!("\n    an object that was deleted meanwhile ends {late:.0} s later");
    ensure!(late <= LOOKBACK + 2.0 * INTERVAL.as_secs_f64(), "{table}");
    Ok(table)
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
