//! A fleet that scales, rolls and loses a replica, on a real control plane. The observer counts missing and doubled objects five
//! times a second.
//!
//! New processes start after a delay, as for an image pull. The objects of the replaced replica must be served meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::process::{Signal, peak_memory};
use crate::stage::{Size, Stage};
use crate::wait::until;

/// How long an object may be missing after a SIGKILL of its replica, in seconds.
pub const KILL_SLACK: f64 = 3.0;
/// The longest gap that members may measure in a planned handover, in seconds.
const MAX_GAP: f64 = 0.5;
/// Makes the API server filter by shard.
const SERVER_SIDE: &str = "--server-side-sharding";

/// The phases without server-side sharding.
pub async fn run(stage: &Stage) -> Result<String> {
    let (_cluster, fleet, mut observer) = start_shared(stage).await?;
    phases(stage, &fleet, &mut observer).await?;
    kill(&fleet, &mut observer).await?;
    ensure_events(&fleet).await?;
    observer.summary()
}

/// Waits until the API server has an Event of each kind of change, as `kubectl describe statefulset` shows them.
async fn ensure_events(fleet: &Fleet) -> Result<()> {
    let expected = [
        ("HandoverCompleted", "Normal", "cause: scale"),
        ("HandoverCompleted", "Normal", "cause: leave"),
        ("HandoverCompleted", "Normal", "cause: dismissal"),
        ("HandoverCompleted", "Normal", "cause: rejoin"),
        ("MemberDismissed", "Warning", "others take their objects; 0: "),
    ];
    until("the Events of the fleet", Duration::from_secs(60), async || {
        let events = fleet.events().await?;
        for (reason, of_type, text) in expected {
            let is = |event: &Value| {
                event["reason"] == reason
                    && event["type"] == of_type
                    && event["note"].as_str().is_some_and(|note| note.contains(text))
            };
            ensure!(events.iter().any(is), "no Event {reason} with {text:?} among {}", events.len());
        }
        Ok(())
    })
    .await
}

/// The phases with server-side sharding. Then the running fleet disables and enables it, and the API server loses and regains the
/// feature.
pub async fn run_server_side(stage: &Stage) -> Result<String> {
    let (mut cluster, fleet, mut observer) = start(stage, &[SERVER_SIDE]).await?;
    ensure_filtered(&fleet, true).await.context("at the start")?;
    phases(stage, &fleet, &mut observer).await?;
    ensure_filtered(&fleet, true).await.context("after the phases")?;
    let off = format!("{SERVER_SIDE}=false");
    observer.phase(&fleet, "off by a roll", Bounds::SEAMLESS, async || fleet.roll(&[&off]).await).await?;
    ensure_filtered(&fleet, false).await.context("turned off")?;
    observer.phase(&fleet, "on by a roll", Bounds::SEAMLESS, async || fleet.roll(&[SERVER_SIDE]).await).await?;
    ensure_filtered(&fleet, true).await.context("turned on")?;
    for (name, unfiltered) in [("a server without it", true), ("a server with it", false)] {
        let began = Instant::now();
        observer
            .phase(&fleet, name, Bounds::SEAMLESS, async || {
                cluster.restart(stage, Options { unfiltered, ..Options::FLEET }).await
            })
            .await?;
        ensure_filtered(&fleet, !unfiltered).await.context(name)?;
        ensure_heard(&fleet, began).await.context(name)?;
    }
    // Last: each crash delays the return of the replica for an hour.
    kill(&fleet, &mut observer).await?;
    observer.summary()
}

/// A fleet of two in the shared control plane, and its observer.
pub async fn start_shared(stage: &Stage) -> Result<(Cluster, Fleet, Observer)> {
    start_fleet(stage, Cluster::shared(stage).await?, &[]).await
}

/// The same in a control plane of its own.
pub async fn start(stage: &Stage, flags: &[&str]) -> Result<(Cluster, Fleet, Observer)> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    cluster.fill(stage, stage.pods()).await?;
    start_fleet(stage, cluster, flags).await
}

async fn start_fleet(stage: &Stage, cluster: Cluster, flags: &[&str]) -> Result<(Cluster, Fleet, Observer)> {
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    ensure!(expected.len() == stage.pods(), "{} loaded pods", expected.len());
    let fleet = Fleet::start_with(stage, &cluster, fleet::Options::lean(2, flags)).await?;
    let observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);
    Ok((cluster, fleet, observer))
}

/// The start delay of a new process.
pub fn start_delay(stage: &Stage) -> Duration {
    Duration::from_secs(if stage.size == Size::Long { 10 } else { 5 })
}

async fn phases(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let start = measured(fleet, "scale").await.unwrap_or_default();
    observer.phase(fleet, "scale up", Bounds::SEAMLESS, async || fleet.scale(3).await).await?;
    let grown = ensure_measured(fleet, "scale", start).await?;
    observer.phase(fleet, "scale down", Bounds::SEAMLESS, async || fleet.scale(2).await).await?;
    ensure_measured(fleet, "scale", grown).await?;
    observer.phase(fleet, "rolling update", Bounds::SEAMLESS, async || fleet.roll(&[]).await).await?;
    // The first member that left was the last one to come back, so the member that measured it may be another one.
    ensure_measured(fleet, "leave", grown).await?;
    ensure_measured(fleet, "rejoin", grown).await?;
    if stage.size == Size::Long {
        for (name, count) in [("2 to 1", 1), ("1 to 4", 4), ("4 to 2", 2)] {
            observer.phase(fleet, name, Bounds::SEAMLESS, async || fleet.scale(count).await).await?;
        }
    }
    Ok(())
}

/// Kills one of two replicas. The other one takes over all objects, within twice its memory.
pub async fn kill(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let (_, taker) = *fleet.live().iter().find(|(ordinal, _)| *ordinal == 1).context("no replica 1")?;
    let before = peak_memory(taker.process)?;
    observer.phase(fleet, "SIGKILL", Bounds::missing(KILL_SLACK), async || fleet.signal(0, Signal::KILL)).await?;
    let after = peak_memory(taker.process)?;
    ensure_dismissal_measured(fleet).await?;
    observer.note(format!("the replica that took over had {:.0} MB, then {:.0} MB at most", mega(before), mega(after)));
    ensure!(after <= 2 * before, "its memory grew from {before} to {after} bytes");
    Ok(())
}

/// Waits until the dismissal of a killed replica is measured. The measurement counts from its last sign of life, up to a second
/// before its end.
async fn ensure_dismissal_measured(fleet: &Fleet) -> Result<()> {
    until("the measurement of the dismissal", Duration::from_secs(40), async || {
        measured(fleet, "dismissal").await.map(drop)
    })
    .await?;
    for (ordinal, _) in fleet.live() {
        if let Ok(gap) = fleet.metric(ordinal, "kube_state_fleet_handover_gap_seconds", &[("cause", "dismissal")]).await
        {
            ensure!(gap < KILL_SLACK + 2.0, "a gap of {gap} s");
        }
    }
    Ok(())
}

/// Returns the generation of the last measured change with a cause, as the coordinator reports it.
async fn measured(fleet: &Fleet, cause: &str) -> Result<f64> {
    for (ordinal, _) in fleet.live() {
        if fleet.metric(ordinal, "kube_state_fleet_coordinator", &[]).await? == 1.0 {
            return fleet.metric(ordinal, "kube_state_fleet_handover_measured_generation", &[("cause", cause)]).await;
        }
    }
    bail!("no coordinator")
}

/// Waits until a change after `generation` with this cause is measured, without a gap. Returns its generation.
async fn ensure_measured(fleet: &Fleet, cause: &str, generation: f64) -> Result<f64> {
    let mut last = generation;
    until(&format!("the measurement of {cause}"), Duration::from_secs(40), async || {
        last = measured(fleet, cause).await?;
        ensure!(last > generation, "generation {last}, not after {generation}");
        Ok(())
    })
    .await?;
    let cause = [("cause", cause)];
    for (ordinal, _) in fleet.live() {
        let gap = fleet.metric(ordinal, "kube_state_fleet_handover_gap_seconds", &cause).await;
        // Only the coordinator has it.
        if let Ok(gap) = gap {
            ensure!(gap < MAX_GAP, "{cause:?}: a gap of {gap} s");
        }
    }
    Ok(last)
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Waits until every replica has received an event since then. A new API server delays events, and a replica that relists takes
/// over from no other.
async fn ensure_heard(fleet: &Fleet, since: Instant) -> Result<()> {
    until("an event of pods", Duration::from_secs(90), async || {
        for (ordinal, _) in fleet.live() {
            let age = fleet.metric(ordinal, "kube_state_fleet_last_event_age_seconds", &[("resource", "pods")]).await?;
            ensure!(age < since.elapsed().as_secs_f64(), "replica {ordinal}: {age:.1} s old");
        }
        Ok(())
    })
    .await
}

/// Waits until every replica reports that the API server filters for it, or that it does not. A replica keeps lost ranges for a
/// while, and one that holds all ranges requests no filter.
async fn ensure_filtered(fleet: &Fleet, filtered: bool) -> Result<()> {
    until("the filter of the API server", Duration::from_secs(30), async || {
        for (ordinal, _) in fleet.live() {
            // The series does not exist without the flag.
            let value = fleet.metric(ordinal, "kube_state_fleet_server_side", &[("resource", "pods")]).await;
            let value = value.unwrap_or(0.0);
            ensure!(value == f64::from(filtered), "replica {ordinal}: the server filters: {value}");
        }
        Ok(())
    })
    .await
}
