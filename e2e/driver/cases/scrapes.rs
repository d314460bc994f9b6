//! A real Prometheus scrapes a fleet that scales and rolls: no object is absent or doubled for longer than one scrape interval.
//!
//! Prometheus scrapes each replica at its own moment within the interval. A query returns the newest sample of the last five
//! minutes, unless a staleness marker ended the series. Prometheus writes the marker at the first scrape without the series. An
//! object that moves is therefore absent between the scrapes of its old and its new owner, or doubled between those of the new and
//! the old one: for less than an interval. It would be doubled for five minutes if a leaving replica ended before its last scrape,
//! and absent for longer if the new owner were not a target yet. A pod is a target once it has an address. Prometheus applies new
//! targets every 5 s, and scrapes them within an interval. The processes of this case start 10 s after their pods have addresses,
//! as after an image pull.
//!
//! The case counts the series at steps of [`STEP`]. A bad spell lasts at least from its first to its last step; that time must not
//! exceed the interval.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::handover;
use crate::observer::Bounds;
use crate::prometheus::Prometheus;
use crate::stage::Stage;
use crate::wait::until;

/// The scrape interval, in seconds.
const INTERVAL: f64 = 5.0;
/// The resolution of the evaluation, in seconds.
const STEP: f64 = 0.5;
/// Tolerance of the interval, in seconds: Prometheus moves timestamps by a few milliseconds to store them in fewer bytes.
const JITTER: f64 = 0.1;

pub async fn run(stage: &Stage) -> Result<String> {
    let (cluster, fleet, mut observer) = handover::start_shared(stage).await?;
    fleet.board.lock().start_delay = Duration::from_secs(10);
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", crate::api::uid).await?;
    let jobs = json!([fleet.scrape_job(stage, &cluster, "fleet", true)]);
    let prometheus = Prometheus::start(stage, Duration::from_secs_f64(INTERVAL), jobs).await?;
    until("all objects in Prometheus", Duration::from_secs(60), async || {
        let found = prometheus.query("count(kube_pod_info)").await?;
        let count = found.first().map_or(0.0, |sample| sample.value);
        ensure!(count >= expected.len() as f64, "{count} series");
        Ok(())
    })
    .await?;
    // Two intervals, so that earlier changes have no effect.
    tokio::time::sleep(Duration::from_secs_f64(2.0 * INTERVAL)).await;
    let from = now()?;
    observer.phase(&fleet, "scale up", Bounds::SEAMLESS, async || fleet.scale(3).await).await?;
    observer.phase(&fleet, "rolling update", Bounds::SEAMLESS, async || fleet.roll(&[]).await).await?;
    tokio::time::sleep(Duration::from_secs_f64(2.0 * INTERVAL)).await;
    let spells = spells(&prometheus, &expected, from, now()?).await?;
    let seen = format!(
        "Prometheus at {INTERVAL} s: {} of {} objects absent once, {:.1} s at most; {} doubled, {:.1} s at most",
        spells.absent,
        expected.len(),
        spells.longest_absent,
        spells.doubled,
        spells.longest_doubled
    );
    let told = observer.summary().with_context(|| seen.clone())?;
    let said = format!("{told}; {seen}");
    ensure!(spells.longest_absent <= INTERVAL + JITTER && spells.longest_doubled <= INTERVAL + JITTER, "{said}");
    // The fleet moved objects: an evaluation without any effect is broken.
    ensure!(spells.absent + spells.doubled > 0, "no object moved: {said}");
    Ok(said)
}

/// The numbers of objects that were absent or doubled at some step, and the longest spells, in seconds.
#[derive(Default)]
struct Spells {
    absent: usize,
    doubled: usize,
    longest_absent: f64,
    longest_doubled: f64,
}

/// Evaluates each object at each step.
async fn spells(prometheus: &Prometheus, expected: &BTreeSet<String>, from: f64, to: f64) -> Result<Spells> {
    let steps = ((to - from) / STEP) as usize + 1;
    let mut counts: BTreeMap<&str, Vec<u8>> = expected.iter().map(|uid| (uid.as_str(), vec![0; steps])).collect();
    let found = prometheus.query_range("count by (uid) (kube_pod_info)", (from, to), STEP).await?;
    for series in &found {
        let uid = series.labels.get("uid").context("a series without uid")?;
        // The fleet's own pods are created and deleted.
        let Some(counts) = counts.get_mut(uid.as_str()) else { continue };
        for (at, value) in &series.values {
            let step = ((at - from) / STEP).round() as usize;
            *counts.get_mut(step).context("a step out of range")? = value.parse()?;
        }
    }
    let mut spells = Spells::default();
    for counts in counts.values() {
        let (absent, doubled) = (longest(counts, |count| count == 0), longest(counts, |count| count > 1));
        spells.absent += usize::from(absent.is_some());
        spells.doubled += usize::from(doubled.is_some());
        spells.longest_absent = spells.longest_absent.max(absent.unwrap_or(0.0));
        spells.longest_doubled = spells.longest_doubled.max(doubled.unwrap_or(0.0));
    }
    Ok(spells)
}

/// The minimum duration of the longest stretch of bad steps, in seconds; None without one.
fn longest(counts: &[u8], bad: impl Fn(u8) -> bool) -> Option<f64> {
    let stretches = counts.chunk_by(|a, b| bad(*a) == bad(*b)).filter(|chunk| bad(chunk[0]));
    stretches.map(|chunk| (chunk.len() - 1) as f64 * STEP).reduce(f64::max)
}

/// Unix seconds.
fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}
