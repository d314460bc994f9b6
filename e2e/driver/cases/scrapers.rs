//! Other scrapers than a plain Prometheus see the handovers of a seamless fleet: an agent with remote write, federation, settings of
//! Prometheus that contradict it, VictoriaMetrics and its agent. The table "Other scrapers" of docs/scaling.md says what each of them
//! sees; this case fails if that is not true.
//!
//! All scrape the same fleet, each with credentials of its own, while it scales and rolls. The result of a Prometheus is evaluated as
//! in the case `seamless`. In VictoriaMetrics, rules and graphs differ: vmalert asks for values up to 5 minutes old, and a
//! graph shows a series for about twice its interval after each sample.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::seamless::{self, INTERVAL, LIMIT, OBJECTS, STEADY, Troupe};
use crate::cluster::{self, Cluster};
use crate::fleet::Fleet;
use crate::prometheus::{Prometheus, Role, Setup};
use crate::stage::Stage;
use crate::wait::until;

/// How often a rule of vmalert is evaluated, and how far apart the points of a graph are, in seconds.
const RULES: f64 = 1.0;
const GRAPH: f64 = 0.5;

/// A scrape job.
struct Job {
    name: &'static str,
    /// Its settings, beside those that drop the labels of the replica.
    settings: Value,
    /// Whether it sees no gap, no duplicate and no alert that starts again; `None` if that is chance.
    is_seamless: Option<bool>,
}

impl Job {
    fn new(name: &'static str, is_seamless: bool, settings: Value) -> Self {
        Self { name, settings, is_seamless: Some(is_seamless) }
    }

    /// Its configuration.
    fn config(&self, stage: &Stage, cluster: &Cluster, fleet: &Fleet) -> Value {
        let mut job = seamless::dropping_job(stage, cluster, self.name, fleet, self.name);
        for (key, value) in self.settings.as_object().into_iter().flatten() {
            job[key] = value.clone();
        }
        job
    }

    /// The same for VictoriaMetrics, which rejects settings that it does not know.
    fn victoria_config(&self, stage: &Stage, cluster: &Cluster, fleet: &Fleet) -> Value {
        let mut job = self.config(stage, cluster, fleet);
        if let Some(job) = job.as_object_mut() {
            job.remove("enable_compression");
        }
        job
    }
}

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, cluster::Options::FLEET).await?;
    cluster.fill(stage, OBJECTS).await?;
    let cluster = cluster;
    let troupe = Troupe { name: "seamless", seamless: true, ..Troupe::PLAIN };
    let fleet = seamless::start(stage, &cluster, &troupe).await?;
    let direct = [
        Job::new("default", true, json!({})),
        Job::new("track", false, json!({ "track_timestamps_staleness": true })),
        Job::new("ignore", false, json!({ "honor_timestamps": false })),
    ];
    let agent = Job::new("agent", true, json!({}));
    let victoria = [
        Job::new("vm", false, json!({})),
        Job::new("vm-honor", false, json!({ "honor_timestamps": true })),
        Job::new("vm-unmarked", true, json!({ "no_stale_markers": true })),
    ];
    let vmagent = Job::new("vmagent", true, json!({ "no_stale_markers": true }));

    let rules = [seamless::rule_file(stage, "rules.yml", "")?];
    let set_up = |name, scrape_configs, role: Role<'static>| Setup {
        name,
        interval: INTERVAL,
        scrape_configs,
        rules: &rules,
        role,
    };
    let configs = |jobs: &[Job]| jobs.iter().map(|job| job.config(stage, &cluster, &fleet)).collect();
    let prometheus = Prometheus::set_up(stage, set_up("prometheus", configs(&direct), Role::Server)).await?;
    let federation = json!([{
        "job_name": "federation",
        "metrics_path": "/federate",
        "params": { "match[]": [r#"{job="default"}"#] },
        "honor_labels": true,
        "static_configs": [{ "targets": [prometheus.address()] }],
    }]);
    let federation = Prometheus::set_up(stage, set_up("federation", federation, Role::Server)).await?;
    let [receiver, receiver_2] = ["receiver", "receiver-2"].map(|name| set_up(name, json!([]), Role::Receiver));
    let (receiver, receiver_2) =
        (Prometheus::set_up(stage, receiver).await?, Prometheus::set_up(stage, receiver_2).await?);
    let path = "/api/v1/write";
    let remote_write = json!([
        { "name": "1", "url": receiver.url(path) },
        { "name": "2", "url": receiver_2.url(path), "protobuf_message": "io.prometheus.write.v2.Request" },
    ]);
    let setup = Setup {
        name: "agent",
        interval: INTERVAL,
        scrape_configs: configs(&[agent]),
        rules: &[],
        role: Role::Agent(&remote_write),
    };
    let _agent = Prometheus::set_up(stage, setup).await?;
    let configs = |jobs: &[Job]| jobs.iter().map(|job| job.victoria_config(stage, &cluster, &fleet)).collect();
    let vm = Prometheus::victoria(stage, "vm", INTERVAL, configs(&victoria), None).await?;
    let url = vm.url(path);
    let _vmagent = Prometheus::victoria(stage, "vmagent", INTERVAL, configs(&[vmagent]), Some(&url)).await?;

    let jobs = direct.iter().map(|job| (job.name, &prometheus, job.name, job.is_seamless));
    let others = [
        ("federation", &federation, "default", Some(true)),
        ("agent", &receiver, "agent", None),
        ("agent, 2.0", &receiver_2, "agent", Some(true)),
    ];
    let evaluated: Vec<_> = jobs.chain(others).collect();
    let asked: Vec<_> =
        victoria.iter().map(|job| (job.name, job.is_seamless)).chain([("vmagent", Some(true))]).collect();
    for (_, prometheus, name, _) in &evaluated {
        let complete = async || seamless::complete(prometheus, name).await;
        until("all objects and alerts in Prometheus", LIMIT, complete).await.with_context(|| format!("job {name}"))?;
    }
    for (name, _) in &asked {
        let complete = async || {
            let found = vm.query(&format!(r#"count(kube_pod_info{{job="{name}",{STEADY}}})"#)).await?;
            let found = found.first().map_or(0.0, |sample| sample.value);
            ensure!(found >= OBJECTS as f64, "{found} objects");
            Ok(())
        };
        until("all objects in VictoriaMetrics", LIMIT, complete).await.with_context(|| format!("job {name}"))?;
    }

    let from = seamless::now()?;
    let times = seamless::play(stage, &fleet).await?;
    // Two intervals for the last effects, and the time that remote write may take.
    tokio::time::sleep(2 * INTERVAL + Duration::from_secs(5)).await;
    let to = seamless::now()? - 5.0;
    // VictoriaMetrics shows a sample to queries after this time (`-search.latencyOffset`).
    tokio::time::sleep(Duration::from_secs(30)).await;

    let mut table = format!("over {:.0} s ({times}):", to - from);
    let mut wrong = Vec::new();
    let mut note = |is_right: bool, row: String| {
        table += &format!("\n    {row}");
        if !is_right {
            wrong.push(row);
        }
    };
    for (label, prometheus, name, is_seamless) in evaluated {
        let found = seamless::evaluate(prometheus, name, from, to).await?;
        note(is_seamless.is_none_or(|is| is == found.is_seamless()), format!("{label:<12}: {found}"));
    }
    for (name, is_seamless) in asked {
        let (rules, graph) = (in_rules(&vm, name, from, to).await?, in_graphs(&vm, name, from, to).await?);
        let row = format!("{name:<12}: {rules:.1} object-seconds absent in rules, {graph:.1} in graphs");
        note(is_seamless.is_none_or(|is| is == (rules == 0.0)), row);
    }
    ensure!(wrong.is_empty(), "{table}\n  not as documented: {}", wrong.join("; "));
    Ok(table)
}

/// The objects of a job.
fn objects(job: &str) -> String {
    format!(r#"count(count by (uid) (kube_pod_info{{job="{job}",{STEADY}}}))"#)
}

/// For how many object-seconds an object was absent when vmalert would have asked: instant queries with a step of 5 minutes.
async fn in_rules(vm: &Prometheus, job: &str, from: f64, to: f64) -> Result<f64> {
    let (mut absent, mut time) = (0.0, from);
    while time < to {
        let parameters = [("query", objects(job)), ("time", time.to_string()), ("step", "5m".to_owned())];
        let found = vm.instant(&parameters).await?.first().map_or(0.0, |sample| sample.value);
        absent += (OBJECTS as f64 - found) * RULES;
        time += RULES;
    }
    Ok(absent)
}

/// For how many object-seconds an object was absent in a graph.
async fn in_graphs(vm: &Prometheus, job: &str, from: f64, to: f64) -> Result<f64> {
    let found = vm.query_range(&objects(job), (from, to), GRAPH).await?;
    let points = ((to - from) / GRAPH).floor() + 1.0;
    let values = found.iter().flat_map(|series| &series.values).map(|(_, value)| value.parse::<f64>());
    let seen = values.sum::<Result<f64, _>>().context("a count that is no number")?;
    Ok((points * OBJECTS as f64 - seen) * GRAPH)
}
