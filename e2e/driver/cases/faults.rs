//! Failures of replicas in a changing fleet. None leaves an object missing or doubled for longer than its detection takes. In the
//! end all replicas follow the same generation again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;

use super::handover::{KILL_SLACK, start_delay, start_shared};
use crate::fleet::Fleet;
use crate::http::get;
use crate::observer::{Bounds, Observer};
use crate::process::Signal;
use crate::stage::{Size, Stage};
use crate::wait::until;

/// How long the objects of a silent replica may be missing, in seconds: the duration of its Lease, the time until another replica
/// renews its own and notices the expiry, and the time to load.
const SILENCE: f64 = 15.0 + 5.0 + KILL_SLACK;
/// How long a fleet that lost all replicas may take to serve again after the start of its processes, in seconds.
pub const COLD_START: f64 = 10.0;
/// How long objects may be missing after a crash while a switch time is set, in seconds. The time cannot be withdrawn, and is at
/// most 3 s ahead.
const KILL_IN_SWITCH: f64 = KILL_SLACK + 3.0;

pub async fn run(stage: &Stage) -> Result<String> {
    let (_cluster, fleet, mut observer) = start_shared(stage).await?;
    pending(stage, &fleet, &mut observer).await?;
    two_at_once(&fleet, &mut observer).await?;
    coordinator(&fleet, &mut observer).await?;
    paused(&fleet, &mut observer).await?;
    observer.summary()
}

/// Crashes of whole processes. A separate case, because each crash delays the return of the replica for an hour.
pub async fn run_crashes(stage: &Stage) -> Result<String> {
    let (_cluster, fleet, mut observer) = start_shared(stage).await?;
    remade(&fleet, &mut observer).await?;
    none(stage, &fleet, &mut observer).await?;
    early(&fleet, &mut observer).await?;
    cold_start(stage, &fleet, &mut observer).await?;
    crash_loop(&fleet, &mut observer).await?;
    observer.summary()
}

/// A new replica is not scheduled for a while: the others serve everything.
async fn pending(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let seconds = if stage.size == Size::Long { 60 } else { 20 };
    observer
        .phase(fleet, "Pending while scaling up", Bounds::SEAMLESS, async || {
            fleet.board.lock().pending.insert(2);
            fleet.scale(3).await?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            fleet.board.lock().pending.clear();
            Ok(())
        })
        .await
}

/// A scale-down while pods are being replaced.
async fn two_at_once(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "scale while rolling", Bounds::SEAMLESS, async || {
            fleet.roll(&[]).await?;
            fleet.changing(false).await?;
            fleet.scale(2).await
        })
        .await
}

/// The coordinator is killed right after it has set a switch time.
async fn coordinator(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "coordinator killed in a switch", Bounds::missing(KILL_IN_SWITCH), async || {
            fleet.scale(3).await?;
            let coordinator = fleet.changing(true).await?;
            fleet.signal(coordinator, Signal::KILL)
        })
        .await
}

/// A replica is paused until others serve its ranges, then continues: it must not serve them again.
async fn paused(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let (coordinator, _) = fleet.record().await?;
    // Not the coordinator, which would add an election.
    let ordinal = fleet
        .live()
        .iter()
        .map(|(ordinal, _)| *ordinal)
        .find(|o| *o != coordinator)
        .context("only the coordinator runs")?;
    observer
        .phase(fleet, "paused past a switch", Bounds::missing(SILENCE), async || {
            let at = fleet.at(ordinal)?;
            fleet.signal(ordinal, Signal::STOP)?;
            fleet.until_taken_over(ordinal, Duration::from_secs(60)).await?;
            // It receives the request while paused, and answers before it can have read any event.
            let url = format!("{}?resources=pods", at.metrics_url());
            let early = tokio::spawn(async move { get(&url, &[]).await });
            tokio::time::sleep(Duration::from_secs(1)).await;
            fleet.signal(ordinal, Signal::CONT)?;
            let answer = early.await??;
            ensure!(
                answer.status == StatusCode::SERVICE_UNAVAILABLE || !answer.text()?.contains("kube_pod_info{"),
                "after the pause it answered {} with {} bytes",
                answer.status,
                answer.body.len()
            );
            Ok(())
        })
        .await
}

/// The StatefulSet gets other labels, is deleted without its pods, and returns with another UID. The pods remain one fleet, which
/// still scales.
async fn remade(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "StatefulSet relabelled and recreated", Bounds::SEAMLESS, async || {
            fleet.relabel("team", "elsewhere").await?;
            fleet.remake(Duration::from_secs(5)).await
        })
        .await
}

/// All replicas end, so that none can take over, and return as new pods.
async fn none(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let bounds = Bounds::missing(start_delay(stage).as_secs_f64() + COLD_START);
    observer
        .phase(fleet, "to 0 and back", bounds, async || {
            fleet.scale(0).await?;
            until("the end of all replicas", Duration::from_secs(30), async || {
                let live = fleet.live().len();
                ensure!(live == 0, "{live} replicas run");
                Ok(())
            })
            .await?;
            fleet.scale(2).await
        })
        .await
}

/// The coordinator is killed as soon as it has written a next generation, which all members must prepare.
async fn early(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer.phase(fleet, "scale up", Bounds::SEAMLESS, async || fleet.scale(3).await).await?;
    observer
        .phase(fleet, "coordinator killed while others prepare", Bounds::missing(KILL_IN_SWITCH), async || {
            fleet.scale(2).await?;
            let coordinator = fleet.changing(false).await?;
            fleet.signal(coordinator, Signal::KILL)
        })
        .await
}

/// All replicas are killed together and start again.
async fn cold_start(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let bounds = Bounds::missing(start_delay(stage).as_secs_f64() + COLD_START);
    observer
        .phase(fleet, "cold start", bounds, async || {
            fleet.live().iter().try_for_each(|(ordinal, _)| fleet.signal(*ordinal, Signal::KILL))
        })
        .await
}

/// A replica is in a crash loop: the other one takes over once and keeps the ranges.
async fn crash_loop(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let settled = async || {
        let (_, running) = *fleet.live().iter().find(|(ordinal, _)| *ordinal == 0).context("replica 0 does not run")?;
        let text = running.at.self_metrics().await?;
        let absent = crate::fleet::metric(&text, "kube_state_fleet_members", &[("state", "absent")])?;
        ensure!(absent == 1.0, "{absent} members are absent");
        Ok(())
    };
    let bounds = Bounds::missing(KILL_SLACK);
    let change = async || {
        fleet.board.lock().start_delay = Duration::from_secs(1);
        fleet.board.lock().crashing.insert(1, Duration::from_secs(4));
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(())
    };
    observer.phase_until("crash loop", bounds, change, None, settled).await
}
