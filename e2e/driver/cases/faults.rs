//! What goes wrong with replicas, in a fleet that is changing: none of it leaves an object unserved or doubled for longer than
//! it takes to notice, and in the end all replicas follow the same generation again.

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

/// For how long a silent replica's objects may be missing, in seconds: its Lease's duration, the time to the next renewal of the own
/// Lease, which shows that it has run out, and what it then takes to load.
const SILENCE: f64 = 15.0 + 5.0 + KILL_SLACK;
/// How long a fleet that lost all its replicas may take to serve again, besides the start of its processes, in seconds.
const COLD_START: f64 = 10.0;
/// What a peer's death may cost while a switch time stands: it cannot be taken back, and is 3 s ahead at most.
const KILL_IN_SWITCH: f64 = KILL_SLACK + 3.0;

pub async fn run(stage: &Stage) -> Result<String> {
    let (_cluster, fleet, mut observer) = start_shared(stage).await?;
    pending(stage, &fleet, &mut observer).await?;
    two_at_once(&fleet, &mut observer).await?;
    coordinator(&fleet, &mut observer).await?;
    paused(&fleet, &mut observer).await?;
    observer.told()
}

/// The same for whole processes that end: a case of its own, as each crash makes the fleet more careful for an hour.
pub async fn run_crashes(stage: &Stage) -> Result<String> {
    let (_cluster, fleet, mut observer) = start_shared(stage).await?;
    remade(&fleet, &mut observer).await?;
    none(stage, &fleet, &mut observer).await?;
    early(&fleet, &mut observer).await?;
    cold_start(stage, &fleet, &mut observer).await?;
    crash_loop(&fleet, &mut observer).await?;
    observer.told()
}

/// A new replica finds no node for a while: those that there are serve everything.
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

/// The coordinator is killed when a switch time has just been set.
async fn coordinator(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "coordinator killed in a switch", Bounds::missing(KILL_IN_SWITCH), async || {
            fleet.scale(3).await?;
            let coordinator = fleet.changing(true).await?;
            fleet.signal(coordinator, Signal::KILL)
        })
        .await
}

/// A replica stands still until others serve its ranges, and goes on: whatever it answers then, nothing is doubled.
async fn paused(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let (coordinator, _) = fleet.record().await?;
    // The coordinator would be a takeover besides; who was killed before is watched longer.
    let ordinal =
        fleet.live().iter().map(|(ordinal, _)| *ordinal).find(|o| *o != coordinator).context("nobody else")?;
    observer
        .phase(fleet, "paused past a switch", Bounds::missing(SILENCE), async || {
            let at = fleet.at(ordinal)?;
            fleet.signal(ordinal, Signal::STOP)?;
            until("the others to serve for it", Duration::from_secs(60), async || {
                for (other, _) in fleet.live() {
                    let absent = fleet.metric(other, "kube_state_fleet_members", &[("state", "absent")]).await?;
                    ensure!(absent == 1.0, "replica {other} counts {absent} absent members");
                }
                Ok(())
            })
            .await?;
            // Asked while it stands still, answered when it goes on, before it can have heard of anything.
            let url = format!("{}?resources=pods", at.metrics_url());
            let early = tokio::spawn(async move { get(&url, &[]).await });
            tokio::time::sleep(Duration::from_secs(1)).await;
            fleet.signal(ordinal, Signal::CONT)?;
            let answer = early.await??;
            ensure!(
                answer.status == StatusCode::SERVICE_UNAVAILABLE || !answer.text()?.contains("kube_pod_info{"),
                "after its sleep it answered {} with {} bytes",
                answer.status,
                answer.body.len()
            );
            Ok(())
        })
        .await
}

/// The StatefulSet gets other labels, goes from under its pods and comes back under another UID: they are the same fleet all
/// the time, also for those who scale it afterwards.
async fn remade(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "StatefulSet relabelled and made anew", Bounds::SEAMLESS, async || {
            fleet.relabel("team", "elsewhere").await?;
            fleet.remake(Duration::from_secs(5)).await
        })
        .await
}

/// All replicas are sent away, which nobody can stand in for, and come back as new pods.
async fn none(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let bounds = Bounds::missing(start_delay(stage).as_secs_f64() + COLD_START);
    observer
        .phase(fleet, "to 0 and back", bounds, async || {
            fleet.scale(0).await?;
            until("all replicas to end", Duration::from_secs(30), async || {
                let live = fleet.live().len();
                ensure!(live == 0, "{live} replicas run");
                Ok(())
            })
            .await?;
            fleet.scale(2).await
        })
        .await
}

/// The coordinator is killed as soon as a next generation is written, which all have to prepare.
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

/// All replicas are killed at once and start again.
async fn cold_start(stage: &Stage, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let bounds = Bounds::missing(start_delay(stage).as_secs_f64() + COLD_START);
    observer
        .phase(fleet, "cold start", bounds, async || {
            fleet.live().iter().try_for_each(|(ordinal, _)| fleet.signal(*ordinal, Signal::KILL))
        })
        .await
}

/// A replica crashes again and again: the other one takes over once, and keeps what it took.
async fn crash_loop(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let settled = async || {
        let (_, running) = *fleet.live().iter().find(|(ordinal, _)| *ordinal == 0).context("replica 0 is gone")?;
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
