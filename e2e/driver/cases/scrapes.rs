//! What a real Prometheus has of a fleet that is scaled and rolled: no object is absent or doubled for longer than one scrape
//! interval.
//!
//! Prometheus scrapes each replica at a moment of its own within the interval. What it has of a series at any time is the
//! newest sample of the last five minutes, unless a staleness marker ended it, which it writes at the time of the first
//! scrape in which the series is no more. An object that moves at one moment is therefore absent from the scrape of its old
//! owner to that of its new one, or doubled from the latter to the former: less than an interval. It would be five minutes
//! doubled if a leaver went before it was scraped once more, and absent for longer if the new owner were not scraped yet. A
//! new pod is a target as soon as it has an address; Prometheus takes over new targets every 5 s, and scrapes one within an
//! interval from then on: the processes of this case start 10 s after their pods have addresses, as an image pull takes.
//!
//! The series are counted at steps of [`STEP`]. Between the first and the last step of a bad spell it lasted for certain;
//! that must not be more than the interval.

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
/// How finely it is looked afterwards, in seconds.
const STEP: f64 = 0.5;
/// How exactly Prometheus keeps its interval: it moves a timestamp by a few milliseconds to store it in fewer bytes.
const JITTER: f64 = 0.1;

pub async fn run(stage: &Stage) -> Result<String> {
    let (cluster, fleet, mut observer) = handover::start_shared(stage).await?;
    fleet.board.lock().start_delay = Duration::from_secs(10);
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", crate::api::uid).await?;
    let jobs = json!([fleet.scrape_job(stage, &cluster, "fleet", true)]);
    let prometheus = Prometheus::start(stage, Duration::from_secs_f64(INTERVAL), jobs).await?;
    until("Prometheus to have everything", Duration::from_secs(60), async || {
        let found = prometheus.query("count(kube_pod_info)").await?;
        let count = found.first().map_or(0.0, |sample| sample.value);
        ensure!(count >= expected.len() as f64, "{count} series");
        Ok(())
    })
    .await?;
    // Two intervals: what was before is out of the way.
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
    let told = observer.told().with_context(|| seen.clone())?;
    let said = format!("{told}; {seen}");
    ensure!(spells.longest_absent <= INTERVAL + JITTER && spells.longest_doubled <= INTERVAL + JITTER, "{said}");
    // The fleet moved: who saw nothing of that did not look.
    ensure!(spells.absent + spells.doubled > 0, "nothing moved: {said}");
    Ok(said)
}

/// Objects that were absent or doubled at some step, and for how long at a stretch, in seconds.
#[derive(Default)]
struct Spells {
    absent: usize,
    doubled: usize,
    longest_absent: f64,
    longest_doubled: f64,
}

/// Looks at each object at each step.
async fn spells(prometheus: &Prometheus, expected: &BTreeSet<String>, from: f64, to: f64) -> Result<Spells> {
    let steps = ((to - from) / STEP) as usize + 1;
    let mut counts: BTreeMap<&str, Vec<u8>> = expected.iter().map(|uid| (uid.as_str(), vec![0; steps])).collect();
    let found = prometheus.query_range("count by (uid) (kube_pod_info)", (from, to), STEP).await?;
    for series in &found {
        let uid = series.labels.get("uid").context("a series without uid")?;
        // The fleet's own pods come and go.
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

/// How long the longest stretch of bad steps lasted at least, in seconds; none without one.
fn longest(counts: &[u8], bad: impl Fn(u8) -> bool) -> Option<f64> {
    let stretches = counts.chunk_by(|a, b| bad(*a) == bad(*b)).filter(|chunk| bad(chunk[0]));
    stretches.map(|chunk| (chunk.len() - 1) as f64 * STEP).reduce(f64::max)
}

/// Unix seconds.
fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}
