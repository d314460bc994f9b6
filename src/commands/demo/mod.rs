//! `demo`: a simulated cluster that lives, and a fleet of replicas that serves it, grows and shrinks, in one process on
//! loopback.
//!
//! The replicas are those of `run`, each with a client and ports of its own; only the API server is not real, and
//! whoever runs their pods.

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
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::cli::Demo;
use super::progress::Progress;
use super::run::runtime;
use crate::replica::{StartError, StopReason};
use crate::settings::{Flags, SettingsError, resources};
use crate::simulator::{ApiError, Options, ResourceType, Simulator};
use crate::telemetry::warnings_to_stderr;
use fleet::Fleet;
use keys::{Key, Keys};
use life::{Change, Life};
use replicas::Told;
use screen::Screen;

/// How many replicas there can be.
const MOST_SHARDS: u32 = 64;

/// How long a second of the cluster takes.
const SECOND: Duration = Duration::from_secs(1);

/// After so many seconds the pods of all shards are added up, unless objects are changing hands just then.
const TALLY_SECONDS: u64 = 10;

/// How often the fleet grows by one and shrinks again, and when in that time, in seconds.
const SCALE_SECONDS: u64 = 60;
const GROW_AT: u64 = 5;
const SHRINK_AT: u64 = 35;

/// How long the replicas may take to load.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the demo ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot set up a client: {0}")]
    Client(#[from] Box<kube::Error>),
    #[error(transparent)]
    Replica(#[from] StartError),
    #[error("the simulated cluster: {0}")]
    Cluster(#[from] ApiError),
    #[error("shard {0}: {1}")]
    Stopped(u32, StopReason),
    #[error("shard {0}: {1}")]
    Asked(u32, replicas::AskError),
    #[error("shard {0} was not ready within {time} s: {1}", time = PATIENCE.as_secs())]
    NotReady(u32, String),
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs the demo until SIGINT or SIGTERM. Of `flags`, those that say where to listen and which shard this is do not count.
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

/// Everything that runs.
struct Stage {
    began: Instant,
    simulator: Simulator,
    life: Life,
    fleet: Fleet,
    /// How many replicas there are at first.
    replicas: u32,
    /// How many there are to be.
    wanted: u32,
    /// Whether that was said by a key: then it is left alone.
    by_hand: bool,
}

impl Stage {
    async fn start(demo: Demo, flags: &Flags, screen: &mut Screen<'_>) -> Result<Self, DemoError> {
        let began = Instant::now();
        let all = resources::all().iter();
        let served =
            all.map(|kind| ResourceType::new(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced));
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
        Ok(Self { began, simulator, life, fleet, replicas, wanted: replicas, by_hand: false })
    }

    /// Waits until all are ready, says where to look, and lets the cluster live.
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
        let (mut told, mut owed) = (None, false);
        let mut second = 0;
        loop {
            tokio::select! {
                _ = seconds.tick() => {}
                key = keys.next() => {
                    self.by_hand = true;
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
            if let Some(now) = self.fleet.told().await? {
                if let Some(news) = handover_news(told.as_ref(), &now) {
                    screen.news(began.elapsed(), "handover", &news)?;
                }
                told = Some(now);
            }
            // Before the next changes, so that the replicas had a second to see the last ones.
            owed |= second % TALLY_SECONDS == 0;
            if owed && told.as_ref().is_none_or(Told::is_settled) {
                owed = false;
                let asked = self.fleet.ask().await?;
                screen.tally(began.elapsed(), &asked, &self.simulator.uids("pods"))?;
            }
            if let Some(replicas) = self.replicas_at(second).filter(|_| !self.by_hand) {
                self.scale(replicas, began, screen)?;
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

    /// How many replicas there are to be from this second on, where that changes.
    const fn replicas_at(&self, second: u64) -> Option<u32> {
        match second % SCALE_SECONDS {
            GROW_AT => Some(self.replicas + 1),
            SHRINK_AT => Some(self.replicas),
            _ => None,
        }
    }

    /// Waits until every replica is ready; says how long that took since the start.
    async fn ready(&mut self, screen: &mut Screen<'_>) -> Result<Duration, DemoError> {
        let mut progress = Progress::new();
        loop {
            self.fleet.step(&self.simulator).await?;
            match self.fleet.missing(self.replicas).await? {
                None => break,
                Some((shard, missing)) if self.began.elapsed() > PATIENCE => {
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
        // Once more, so that it is written down.
        self.fleet.step(&self.simulator).await?;
        Ok(self.began.elapsed())
    }

    /// How many there are of what the cluster is known by.
    fn kinds(&self) -> Vec<(usize, &'static str)> {
        ["nodes", "namespaces", "deployments", "pods"].map(|kind| (self.simulator.count(kind), kind)).to_vec()
    }

    /// Stops everything; an answer that is still being written is cut off then, since whoever waits for it sits at the
    /// same screen.
    async fn stop(self) {
        // What is not done in time ends when it is dropped.
        let _ = tokio::time::timeout(FAREWELL, self.fleet.stop()).await;
        self.simulator.stop().await;
    }
}

fn seconds_from(began: Instant) -> Interval {
    let mut seconds = interval_at(began + SECOND, SECOND);
    // A machine that was asleep does not make up for what it missed.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds
}

/// What is to be said of a handover, if something has changed.
fn handover_news(before: Option<&Told>, now: &Told) -> Option<String> {
    if before? == now {
        return None;
    }
    match &*now.handover {
        "preparing" => Some("preparing: what will be gained is loaded, and not served yet".to_owned()),
        "switching" => Some("prepared: all switch in a moment".to_owned()),
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
