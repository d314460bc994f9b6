//! Two Prometheis scrape a fleet that scales and rolls, and evaluate an alert for a part of its objects. With a seamless handover
//! no object is ever absent or doubled in either of them, and no alert starts again. A plain fleet changes at the same time, in
//! the same Prometheis: it shows that the case sees gaps, doubles and restarts.
//!
//! Prometheus ends a series at the first scrape without it. An object that moves is therefore absent between the scrapes of its
//! old and its new owner, or doubled between those of the new and the old one. An alert that is evaluated while its object is
//! absent starts again; so does one whose labels contain the target. One of the Prometheis drops the target from the series of the
//! plain fleet too, the other keeps it: neither helps.
//!
//! With `--long`, a third fleet has `--handover-overlap` of one interval, and its alert is rewritten by `kube-state-fleet rules`: its
//! objects are doubled, and no alert starts again.
//!
//! The Prometheis have scrapes of their own moments, and credentials of their own: the fleet distinguishes scrapers by address and
//! credentials. The clocks of the replicas with a seamless handover are up to 400 ms apart.
//!
//! What Prometheus evaluates is counted at steps of [`STEP`], by Prometheus itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::cluster::{self, Cluster};
use crate::fleet::{self, Fleet};
use crate::kubelet::Board;
use crate::prometheus::{Prometheus, Role, Setup};
use crate::stage::{Size, Stage};
use crate::wait::until;

/// The flags of all replicas: few series, so that many queries are cheap.
pub(super) const FLAGS: [&str; 2] = ["--resources=pods", "--metric-allowlist=kube_pod_info,kube_pod_status_phase"];
/// The flag of the seamless handover.
const FLAG: Option<&str> = Some("--seamless-handover");
/// The fleet with an overlap of handovers, and with rewritten rules.
const OVERLAP: &str = "overlap";
/// The number of objects.
pub(super) const OBJECTS: usize = 1000;
/// Selects the objects that exist all the time, and not the pods of the fleets.
pub(super) const STEADY: &str = r#"namespace=~"team-.*""#;
/// The scrape interval.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// The resolution of the evaluation, in seconds.
const STEP: f64 = 0.1;
/// The range of one query, in seconds. Prometheus holds all steps of it in memory.
pub(super) const RANGE: f64 = 30.0;
/// How long a fleet must be settled before the next change.
const CALM: Duration = Duration::from_secs(2);
/// How long a change may take.
pub(super) const LIMIT: Duration = Duration::from_secs(150);
/// The wall clocks of the replicas, by ordinal, in milliseconds.
const CLOCKS: [i32; 3] = [0, 200, -200];

/// A fleet of the case.
pub(super) struct Troupe {
    /// Its StatefulSet, and its job in the Prometheis.
    pub name: &'static str,
    pub seamless: bool,
    pub clocks_apart: bool,
    /// Its `--handover-overlap`; then its alerts are rewritten ones.
    pub overlap: Option<Duration>,
    pub replicas: u8,
}

impl Troupe {
    pub const PLAIN: Self = Self { name: "plain", seamless: false, clocks_apart: false, overlap: None, replicas: 2 };

    /// Whether the result of a Prometheus is as promised.
    fn is_right(&self, seen: &Seen) -> bool {
        match (self.seamless, self.overlap) {
            (true, _) => seen.is_seamless(),
            // Each object is doubled instead.
            (_, Some(_)) => seen.absent_objects == 0 && seen.restarted == 0 && seen.alerts > 0 && seen.doubled > 0.0,
            _ => seen.restarted > 0 && seen.absent > 0.0,
        }
    }
}

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, cluster::Options::FLEET).await?;
    cluster.fill(stage, OBJECTS).await?;
    let cluster = cluster;
    let long = stage.size == Size::Long;
    let mut troupes = vec![Troupe { clocks_apart: FLAG.is_none(), ..Troupe::PLAIN }];
    if FLAG.is_some() {
        troupes.push(Troupe { name: "seamless", seamless: true, clocks_apart: !long, ..Troupe::PLAIN });
    }
    if long {
        // An interval, and the time that a scrape may take.
        let overlap = INTERVAL + Duration::from_secs(1);
        troupes.push(Troupe { name: OVERLAP, overlap: Some(overlap), ..Troupe::PLAIN });
        if FLAG.is_some() {
            troupes.push(Troupe { name: "clocks-apart", seamless: true, clocks_apart: true, ..Troupe::PLAIN });
        }
    }
    let fleets = try_join_all(troupes.iter().map(|troupe| start(stage, &cluster, troupe))).await?;
    let scraped: Vec<(&Troupe, &Fleet)> = troupes.iter().zip(&fleets).collect();
    let rules = rules(stage)?;
    let prometheis = try_join_all(["a", "b"].map(async |name| {
        let jobs = scraped.iter().map(|(troupe, fleet)| job(stage, &cluster, troupe, fleet, name)).collect();
        let setup =
            Setup { name, interval: INTERVAL, scrape_configs: Value::Array(jobs), rules: &rules, role: Role::Server };
        anyhow::Ok((name, Prometheus::set_up(stage, setup).await?))
    }))
    .await?;
    for (name, prometheus) in &prometheis {
        for troupe in &troupes {
            until("all objects and alerts in Prometheus", LIMIT, async || complete(prometheus, troupe.name).await)
                .await
                .with_context(|| format!("{}, Prometheus {name}", troupe.name))?;
        }
    }

    let from = now()?;
    let times = try_join_all(fleets.iter().map(|fleet| play(stage, fleet))).await?;
    // Two intervals, for the last effects.
    tokio::time::sleep(2 * INTERVAL).await;
    let to = now()?;
    // A sample may be ahead of the clock.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut table = format!("over {:.0} s ({}):", to - from, times.join("; "));
    let mut wrong = Vec::new();
    for (name, prometheus) in &prometheis {
        for troupe in &troupes {
            let found = evaluate(prometheus, troupe.name, from, to).await?;
            let row = format!("{:<12} in Prometheus {name}: {found}", troupe.name);
            table += &format!("\n    {row}");
            if !troupe.is_right(&found) {
                wrong.push(row);
            }
        }
    }
    ensure!(wrong.is_empty(), "{table}\n  not as promised: {}", wrong.join("; "));
    Ok(table)
}

/// Starts a fleet.
pub(super) async fn start(stage: &Stage, cluster: &Cluster, troupe: &Troupe) -> Result<Fleet> {
    let board = Board::default();
    if troupe.clocks_apart {
        let library = clock_library(stage, troupe)?;
        board.lock().environment =
            (0..).zip(CLOCKS).map(|(ordinal, clock)| (ordinal, moved(&library, clock))).collect();
    }
    let flags = FLAGS;
    let overlap = troupe.overlap.map(|overlap| format!("--handover-overlap={}s", overlap.as_secs()));
    let flags = flags.into_iter().chain(FLAG.filter(|_| troupe.seamless)).map(str::to_owned).chain(overlap).collect();
    let (replicas, name) = (troupe.replicas, Some(troupe.name));
    let options = fleet::Options { replicas, flags, board: board.clone(), name, ..fleet::Options::default() };
    let fleet = Fleet::start_with(stage, cluster, options).await?;
    // As for an image that the node has, or has to pull.
    board.lock().start_delay = Duration::from_secs(if stage.size == Size::Long { 10 } else { 2 });
    Ok(fleet)
}

/// Compiles the library that moves the clock of a process.
fn clock_library(stage: &Stage, troupe: &Troupe) -> Result<PathBuf> {
    let library = stage.directory.join(format!("{}-clock.so", troupe.name));
    let source = stage.repository("e2e/driver/clock.c");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
    ensure!(status.context("cannot run cc")?.success(), "cc cannot compile {}", source.display());
    Ok(library)
}

/// The environment of a process whose clock is moved.
fn moved(library: &Path, milliseconds: i32) -> Vec<(String, String)> {
    let variables = [("LD_PRELOAD", library.display().to_string()), ("CLOCK_OFFSET_MS", milliseconds.to_string())];
    variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// The scrape job of a fleet in one of the Prometheis. Where the series of objects keep the labels of the target, these are those
/// of a PodMonitor; otherwise the job is that of `manifests/components/seamless-handover`.
fn job(stage: &Stage, cluster: &Cluster, troupe: &Troupe, fleet: &Fleet, prometheus: &str) -> Value {
    let is_dropped = troupe.seamless || (prometheus == "b" && troupe.overlap.is_none());
    if is_dropped {
        return dropping_job(stage, cluster, troupe.name, fleet, prometheus);
    }
    let mut job = fleet.scrape_job(stage, cluster, troupe.name, true);
    job["authorization"] = json!({ "credentials": prometheus });
    name_replica(&mut job, "pod");
    job
}

/// The scrape job of `manifests/components/seamless-handover`, with these credentials.
pub(super) fn dropping_job(stage: &Stage, cluster: &Cluster, name: &str, fleet: &Fleet, credentials: &str) -> Value {
    let mut job = fleet.scrape_job(stage, cluster, name, true);
    job["authorization"] = json!({ "credentials": credentials });
    name_replica(&mut job, "pod");
    drop_target(&mut job);
    job
}

/// Drops the labels of the target from the series of objects, which keep their own `pod`.
pub(super) fn drop_target(job: &mut Value) {
    job["honor_labels"] = json!(false);
    job["metric_relabel_configs"] = json!([
        { "action": "labeldrop", "regex": "instance|pod" },
        { "action": "labelmap", "regex": "exported_(.+)" },
        { "action": "labeldrop", "regex": "exported_.+" },
    ]);
}

/// Sets the label of the target that names the replica.
pub(super) fn name_replica(job: &mut Value, label: &str) {
    for rule in job["relabel_configs"].as_array_mut().into_iter().flatten() {
        if rule["target_label"] == "replica" {
            rule["target_label"] = json!(label);
        }
    }
}

/// The rules of [`rule_file`] for all fleets but one, and for that one as `rules` rewrites them.
fn rules(stage: &Stage) -> Result<Vec<PathBuf>> {
    let plain = rule_file(stage, "rules.yml", &format!(", job!=\"{OVERLAP}\""))?;
    let rewritten = rule_file(stage, "rewritten-rules.yml", &format!(", job=\"{OVERLAP}\""))?;
    let output = Command::new(stage.exporter()?).args(["rules", "--write"]).arg(&rewritten).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(vec![plain, rewritten])
}

/// Writes an alert like KubePodNotReady of kubernetes-mixin, which fires for the pods of two namespaces, with these matchers besides.
pub(super) fn rule_file(stage: &Stage, name: &str, matchers: &str) -> Result<PathBuf> {
    let rule = json!({ "groups": [{
        "name": name,
        // Often, so that no absence passes unseen.
        "interval": "1s",
        "rules": [{
            "alert": "PodRunning",
            "expr": format!(r#"kube_pod_status_phase{{phase="Running", namespace=~"team-000[13]"{matchers}}} == 1"#),
            "for": "30s",
        }],
    }]});
    let file = stage.directory.join(name);
    fs::write(&file, serde_json::to_vec_pretty(&rule)?)?;
    Ok(file)
}

/// Returns an error unless all objects of a fleet are in Prometheus, and its alerts pending or firing.
pub(super) async fn complete(prometheus: &Prometheus, name: &str) -> Result<()> {
    for (query, least) in [
        (format!(r#"count(kube_pod_info{{job="{name}",pod!="",exported_pod="",{STEADY}}})"#), OBJECTS),
        (format!(r#"count(up{{job="{name}",pod!=""}})"#), 1),
        (format!(r#"count(ALERTS_FOR_STATE{{job="{name}"}})"#), 1),
    ] {
        let found = prometheus.query(&query).await?.first().map_or(0.0, |sample| sample.value);
        ensure!(found >= least as f64, "{query} is {found}");
    }
    Ok(())
}

/// Makes the changes. Returns how long each took to settle.
pub(super) async fn play(stage: &Stage, fleet: &Fleet) -> Result<String> {
    let mut times = Vec::new();
    let both = async |replicas| {
        fleet.scale(replicas).await?;
        fleet.roll(&[]).await
    };
    if stage.size == Size::Ci {
        times.push(phase(fleet, "2 to 3", async || fleet.scale(3).await).await?);
        times.push(phase(fleet, "3 to 2 and roll", async || both(2).await).await?);
        return Ok(times.join(", "));
    }
    for _ in 0..3 {
        times.push(phase(fleet, "2 to 3", async || fleet.scale(3).await).await?);
        times.push(phase(fleet, "3 to 2", async || fleet.scale(2).await).await?);
        times.push(phase(fleet, "roll", async || fleet.roll(&[]).await).await?);
        times.push(phase(fleet, "2 to 3 and roll", async || both(3).await).await?);
        times.push(phase(fleet, "3 to 2 and roll", async || both(2).await).await?);
    }
    Ok(times.join(", "))
}

/// Makes a change and waits until the fleet has settled.
pub(super) async fn phase(fleet: &Fleet, name: &str, change: impl AsyncFnOnce() -> Result<()>) -> Result<String> {
    let start = std::time::Instant::now();
    change().await?;
    let mut since = None;
    until(name, LIMIT, async || {
        if let Err(error) = fleet.ensure_settled().await {
            since = None;
            return Err(error);
        }
        let since = *since.get_or_insert_with(std::time::Instant::now);
        ensure!(since.elapsed() >= CALM, "it has just settled");
        Ok(())
    })
    .await?;
    let overdue = std::mem::take(&mut fleet.board.lock().overdue);
    ensure!(overdue.is_empty(), "{name}: killed after their grace: {}", overdue.join(", "));
    Ok(format!("{name} {:.0} s", start.elapsed().as_secs_f64()))
}

/// What a Prometheus saw of a fleet.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// In object-seconds.
    absent: f64,
    doubled: f64,
    /// The numbers of objects that were absent or doubled at some step.
    absent_objects: usize,
    doubled_objects: usize,
    /// The longest time for which one object was absent, in seconds, all its absences together.
    pub longest: f64,
    /// The number of alerts, and how often one of them started again.
    pub alerts: usize,
    restarted: usize,
}

impl Seen {
    pub const fn is_seamless(&self) -> bool {
        self.absent_objects == 0 && self.doubled_objects == 0 && self.restarted == 0 && self.alerts > 0
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { absent, doubled, absent_objects, doubled_objects, longest, alerts, restarted } = self;
        write!(f, "{absent:.1} object-seconds absent ({absent_objects} objects, one for {longest:.1} s), ")?;
        write!(f, "{doubled:.1} doubled ({doubled_objects} objects), {restarted} restarts of {alerts} alerts")
    }
}

/// Evaluates each object at each step, and the states of each alert.
pub(super) async fn evaluate(prometheus: &Prometheus, name: &str, from: f64, to: f64) -> Result<Seen> {
    let series = format!(r#"count by (uid) (kube_pod_info{{job="{name}",{STEADY}}})"#);
    let steps = (RANGE / STEP).round();
    let mut seen = Seen::default();
    let mut absent: BTreeMap<String, f64> = BTreeMap::new();
    let mut doubled: BTreeSet<String> = BTreeSet::new();
    let ranges = ((to - from) / RANGE).floor() as usize;
    ensure!(ranges > 0, "too short");
    for range in 1..=ranges {
        // On a step: a range contains its end and not its beginning.
        let time = (from / STEP).ceil().mul_add(STEP, RANGE * range as f64);
        let window = format!("[{RANGE}s:{}ms]", STEP * 1000.0);
        // The number of steps at which the object exists, and the number of its series at all of them.
        let existing = prometheus.query_at(&format!("count_over_time({series}{window})"), time).await?;
        let counted = prometheus.query_at(&format!("sum_over_time({series}{window})"), time).await?;
        ensure!(existing.len() == OBJECTS, "{} of {OBJECTS} objects in {RANGE} s", existing.len());
        for sample in existing {
            *absent.entry(sample.label("uid").to_owned()).or_default() += steps - sample.value;
            seen.doubled -= sample.value * STEP;
        }
        let twice = format!("max_over_time({series}{window}) > 1");
        doubled.extend(prometheus.query_at(&twice, time).await?.iter().map(|sample| sample.label("uid").to_owned()));
        seen.doubled += counted.iter().map(|sample| sample.value * STEP).sum::<f64>();
    }
    let absences = || absent.values().map(|steps| steps * STEP).filter(|&seconds| seconds > 0.0);
    // NB: the sum of nothing would be -0.0.
    seen.absent = absences().fold(0.0, |all, each| all + each);
    seen.absent_objects = absences().count();
    seen.longest = absences().fold(0.0, f64::max);
    seen.doubled_objects = doubled.len();

    // The value is the time at which the alert started. An object has one alert, whatever labels of targets that has.
    let selector = format!(r#"ALERTS_FOR_STATE{{job="{name}"}}[{}ms]"#, ((to - from) * 1000.0).ceil());
    let mut states: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for series in prometheus.samples_at(&selector, to).await? {
        let uid = series.labels.get("uid").context("an alert without uid")?.clone();
        states.entry(uid).or_default().extend(series.values.into_iter().map(|(_, value)| value));
    }
    seen.alerts = states.len();
    seen.restarted = states.values().map(|starts| starts.len() - 1).sum();
    Ok(seen)
}

/// Unix seconds.
pub(super) fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}
