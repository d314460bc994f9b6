//! `demo`: a simulated cluster that changes, and a fleet of replicas that serves it, in one process on loopback. The fleet grows
//! and shrinks on keys only, so that the addresses that the reader sees are all addresses.
//!
//! The replicas are those of `run`, each with a client and ports of its own. Only the API server and the kubelet
//! are simulated.

mod error;
mod fleet;
mod keys;
mod life;
mod model;
mod objects;
mod replicas;
mod screen;

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::cli::Demo;
use super::progress::Progress;
use super::run::runtime;
use crate::settings::{Flags, resources};
use crate::simulator::{ApiError, Options, ResourceType, Simulator};
use crate::telemetry::warnings_to_stderr;
use error::LOAD_TIMEOUT;
use fleet::Fleet;
use keys::{Key, Keys};
use life::{Change, Life};
use replicas::FleetView;
use screen::Screen;

pub(super) use error::DemoError;

/// Maximum number of replicas.
const MOST_SHARDS: u32 = 64;

/// Real duration of one second of the cluster.
const SECOND: Duration = Duration::from_secs(1);

/// Interval, in seconds, of counting the pods of all shards, unless a handover is in progress.
const TALLY_SECONDS: u64 = 10;

/// Timeout for the shutdown.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs the demo until SIGINT or SIGTERM. It ignores the `flags` for addresses and shards.
pub(super) fn run(demo: Demo, flags: &Flags, out: &mut dyn Write) -> Result<(), DemoError> {
    warnings_to_stderr();
    let runtime = runtime().map_err(DemoError::Start)?;
    let played = runtime.block_on(async {
        let mut ends = Ends::new().map_err(DemoError::Start)?;
        let mut screen = Screen::new(out);
        let mut stage = Stage::start(demo, flags, &mut screen).await?;
        let mut keys = Keys::listen();
        let played = tokio::select! {
            played = stage.play(&mut screen, &mut keys) => played,
            () = ends.next() => Ok(()),
        };
        stage.stop().await;
        played
    });
    runtime.shutdown_timeout(FAREWELL);
    played
}

/// The signals that end the demo.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The running cluster and fleet.
struct Stage {
    began: Instant,
    simulator: Simulator,
    life: Life,
    fleet: Fleet,
    /// Initial number of replicas.
    replicas: u32,
    /// Desired number of replicas.
    wanted: u32,
}

impl Stage {
    async fn start(demo: Demo, flags: &Flags, screen: &mut Screen<'_>) -> Result<Self, DemoError> {
        let began = Instant::now();
        let all = resources::all().iter();
        let served =
            all.map(|kind| ResourceType::new(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced));
        // The replicas post some about their fleet.
        let served = served.chain([ResourceType::of::<Event>()]);
        let options = Options { statefulsets: true, ..Options::default() };
        let simulator = Simulator::start_with((Ipv4Addr::LOCALHOST, 0).into(), served.collect(), options)
            .await
            .map_err(DemoError::Start)?;
        let mut life = Life::new(demo.seed, demo.pods as usize, Timestamp::now());
        let objects = life.objects();
        let (all, mut progress) = (objects.len(), Progress::new());
        for (made, object) in objects.into_iter().enumerate() {
            apply(&simulator, Change::Apply(object))?;
            if progress.is_due() {
                screen.progress(&format!("making the cluster: {made} of {all} objects"))?;
            }
        }
        let fleet = Fleet::create(&simulator, flags, demo.shards)?;
        let replicas = demo.shards;
        Ok(Self { began, simulator, life, fleet, replicas, wanted: replicas })
    }

    /// Waits until all replicas are ready, prints addresses, and starts the changes of the cluster.
    async fn play(&mut self, screen: &mut Screen<'_>, keys: &mut Keys) -> Result<(), DemoError> {
        let ready = self.ready(screen).await?;
        let asked = self.fleet.ask().await?;
        screen.introduce(&screen::Introduction {
            server: self.simulator.url(),
            kinds: self.kinds(),
            ready,
            addresses: &self.fleet.addresses(),
            asked: &asked,
        })?;
        let began = Instant::now();
        let mut seconds = seconds_from(began);
        let (mut known, mut owed) = (None, false);
        let mut listed = self.fleet.addresses().len();
        let mut second = 0;
        loop {
            tokio::select! {
                _ = seconds.tick() => {}
                key = keys.next() => {
                    let wanted = match key {
                        Key::Grow => self.wanted + 1,
                        Key::Shrink => self.wanted - 1,
                        Key::Quit => return Ok(()),
                    };
                    self.scale(wanted.clamp(1, MOST_SHARDS), began, screen)?;
                    continue;
                }
                (shard, ended) = self.fleet.ended() => return Err(DemoError::Stopped(shard, ended)),
            }
            second += 1;
            self.fleet.step(&self.simulator).await?;
            let addresses = self.fleet.addresses();
            for (ordinal, at) in addresses.iter().enumerate().skip(listed) {
                screen.news(
                    began.elapsed(),
                    "address",
                    &format!("replica {ordinal}: http://{}/metrics", at.metrics),
                )?;
            }
            listed = addresses.len();
            if let Some(now) = self.fleet.fleet_view().await? {
                if let Some(news) = handover_news(known.as_ref(), &now) {
                    screen.news(began.elapsed(), "handover", &news)?;
                }
                known = Some(now);
            }
            // Before the next changes, so that the replicas have had a second to see the last ones.
            owed |= second % TALLY_SECONDS == 0;
            if owed && known.as_ref().is_none_or(FleetView::is_settled) {
                owed = false;
                let asked = self.fleet.ask().await?;
                screen.tally(began.elapsed(), &asked, &self.simulator.uids("pods"))?;
            }
            let step = self.life.step(Timestamp::now());
            for change in step.changes {
                apply(&self.simulator, change)?;
            }
            for news in step.news {
                screen.news(began.elapsed(), news.what, &news.text)?;
            }
        }
    }

    fn scale(&mut self, replicas: u32, began: Instant, screen: &mut Screen<'_>) -> Result<(), DemoError> {
        if replicas == self.wanted {
            return Ok(());
        }
        self.wanted = replicas;
        Fleet::scale(&self.simulator, replicas)?;
        let s = if replicas == 1 { "" } else { "s" };
        Ok(screen.news(began.elapsed(), "fleet", &format!("scaled to {replicas} replica{s}"))?)
    }

    /// Waits until every replica is ready; returns the time since the start.
    async fn ready(&mut self, screen: &mut Screen<'_>) -> Result<Duration, DemoError> {
        let mut progress = Progress::new();
        loop {
            self.fleet.step(&self.simulator).await?;
            match self.fleet.missing(self.replicas).await? {
                None => break,
                Some((shard, missing)) if self.began.elapsed() > LOAD_TIMEOUT => {
                    return Err(DemoError::NotReady(shard, missing));
                }
                Some((shard, missing)) => {
                    if progress.is_due() {
                        screen.progress(&format!("waiting for replica {shard}: {missing}"))?;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        // Once more, to write readiness.
        self.fleet.step(&self.simulator).await?;
        Ok(self.began.elapsed())
    }

    /// Counts of the main kinds of the cluster.
    fn kinds(&self) -> Vec<(usize, &'static str)> {
        ["nodes", "namespaces", "deployments", "pods"].map(|kind| (self.simulator.count(kind), kind)).to_vec()
    }

    /// Stops everything, and cuts off answers in progress, because their reader sits at the
    /// same screen.
    async fn stop(self) {
        // Dropping ends any work that is not done in time.
        let _ = tokio::time::timeout(FAREWELL, self.fleet.stop()).await;
        self.simulator.stop().await;
    }
}

fn seconds_from(began: Instant) -> Interval {
    let mut seconds = interval_at(began + SECOND, SECOND);
    // A suspended machine does not catch up on missed seconds.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds
}

/// The message on a change of the handover state, if it changed.
fn handover_news(before: Option<&FleetView>, now: &FleetView) -> Option<String> {
    if before? == now {
        return None;
    }
    match &*now.handover {
        "preparing" => Some("preparing: replicas load their new objects, hidden".to_owned()),
        "switching" => Some("prepared: all replicas switch at one agreed moment".to_owned()),
        _ if before?.generation != now.generation => {
            Some(format!("generation {} is current: {} shards", now.generation, now.shards))
        }
        _ => None,
    }
}

fn apply(simulator: &Simulator, change: Change) -> Result<(), ApiError> {
    match change {
        Change::Apply(object) => simulator.apply(&object)?,
        Change::Delete(resource, namespace, name) => simulator.delete(resource, &namespace, &name)?,
    };
    Ok(())
}
