//! `demo`: a simulated cluster that lives, and a fleet of replicas that serves it, in one process on loopback.
//!
//! The replicas are those of `run`, each with a client and ports of its own; only the API server is not real.

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
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::cli::Demo;
use super::run::runtime;
use crate::replica::{Replica, StartError, StopReason};
use crate::settings::{Environment, Flags, Settings, SettingsError, resources};
use crate::simulator::{ApiError, ResourceType, Simulator};
use crate::telemetry::warnings_to_stderr;
use life::{Change, Life};
use replicas::{Addresses, Asked};
use screen::Screen;

/// How long a second of the cluster takes.
const SECOND: Duration = Duration::from_secs(1);

/// After so many seconds the pods of all shards are added up.
const TALLY_SECONDS: u64 = 10;

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
    Stopped(usize, StopReason),
    #[error("shard {0}: {1}")]
    Asked(usize, replicas::AskError),
    #[error("shard {0} was not ready within {time} s: {1}", time = PATIENCE.as_secs())]
    NotReady(usize, String),
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs the demo until SIGINT or SIGTERM. Of `flags`, those that say where to listen and which shard this is do not count.
pub(super) fn run(demo: Demo, flags: &Flags, out: &mut dyn Write) -> Result<(), DemoError> {
    warnings_to_stderr();
    let runtime = runtime().map_err(DemoError::Start)?;
    let played = runtime.block_on(async {
        let mut ends = Ends::new().map_err(DemoError::Start)?;
        let mut stage = Stage::start(demo, flags).await?;
        let mut screen = Screen::new(out);
        let played = tokio::select! {
            played = stage.play(&mut screen) => played,
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
    replicas: Vec<Replica>,
    addresses: Vec<Addresses>,
}

impl Stage {
    async fn start(demo: Demo, flags: &Flags) -> Result<Self, DemoError> {
        let began = Instant::now();
        let all = resources::all().iter();
        let served =
            all.map(|kind| ResourceType::new(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced));
        let simulator =
            Simulator::start((Ipv4Addr::LOCALHOST, 0).into(), served.collect()).await.map_err(DemoError::Start)?;
        let mut life = Life::new(demo.seed, demo.pods as usize, Timestamp::now());
        for object in life.objects() {
            apply(&simulator, Change::Apply(object))?;
        }
        let mut replicas = Vec::new();
        for shard in 0..demo.shards {
            let url = simulator.url().parse().map_err(|error| std::io::Error::other(format!("{error}")));
            let config = kube::Config::new(url.map_err(DemoError::Start)?);
            let client = kube::Client::try_from(config).map_err(Box::new)?;
            replicas.push(Replica::start(settings(demo, flags, shard)?, client).await?);
        }
        let addresses = replicas
            .iter()
            .map(|replica| Addresses { metrics: replica.metrics_address(), telemetry: replica.telemetry_address() })
            .collect();
        Ok(Self { began, simulator, life, replicas, addresses })
    }

    /// Waits until all are ready, says where to look, and lets the cluster live.
    async fn play(&mut self, screen: &mut Screen<'_>) -> Result<(), DemoError> {
        let ready = self.ready().await?;
        let asked = self.ask().await?;
        screen.introduce(&screen::Introduction {
            server: self.simulator.url(),
            kinds: self.kinds(),
            ready,
            addresses: &self.addresses,
            asked: &asked,
        })?;
        let began = Instant::now();
        let mut seconds = interval_at(began + SECOND, SECOND);
        // A machine that was asleep does not make up for what it missed.
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for second in 1.. {
            tokio::select! {
                _ = seconds.tick() => {}
                (shard, ended) = ended(&mut self.replicas) => return Err(DemoError::Stopped(shard, ended)),
            }
            // Before the next changes, so that the replicas had a second to see the last ones.
            if second % TALLY_SECONDS == 0 {
                let asked = self.ask().await?;
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
        Ok(())
    }

    /// Waits until every replica is ready; says how long that took since the start.
    async fn ready(&self) -> Result<Duration, DemoError> {
        for (shard, addresses) in self.addresses.iter().enumerate() {
            loop {
                match addresses.ready().await {
                    Ok(None) => break,
                    Ok(Some(missing)) if self.began.elapsed() > PATIENCE => {
                        return Err(DemoError::NotReady(shard, missing));
                    }
                    Ok(Some(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(error) => return Err(DemoError::Asked(shard, error)),
                }
            }
        }
        Ok(self.began.elapsed())
    }

    async fn ask(&self) -> Result<Vec<Asked>, DemoError> {
        let mut all = Vec::new();
        for (shard, addresses) in self.addresses.iter().enumerate() {
            all.push(addresses.ask().await.map_err(|error| DemoError::Asked(shard, error))?);
        }
        Ok(all)
    }

    /// How many there are of what the cluster is known by.
    fn kinds(&self) -> Vec<(usize, &'static str)> {
        ["nodes", "namespaces", "deployments", "pods"].map(|kind| (self.simulator.count(kind), kind)).to_vec()
    }

    /// Stops everything; an answer that is still being written is cut off then, since whoever waits for it sits at the
    /// same screen.
    async fn stop(self) {
        let stopped = futures::future::join_all(self.replicas.into_iter().map(Replica::stop));
        // What is not done in time ends when it is dropped.
        let _ = tokio::time::timeout(FAREWELL, stopped).await;
        self.simulator.stop().await;
    }
}

/// Resolves when a replica ends by itself.
async fn ended(replicas: &mut [Replica]) -> (usize, StopReason) {
    let each = replicas.iter_mut().enumerate().map(|(shard, replica)| {
        Box::pin(async move {
            match replica.stopped().await {
                Err(reason) => (shard, reason),
                // It was told to stop: whoever did that says why.
                Ok(()) => std::future::pending().await,
            }
        })
    });
    futures::future::select_all(each).await.0
}

fn settings(demo: Demo, flags: &Flags, shard: u32) -> Result<Settings, SettingsError> {
    let host = Some(Ipv4Addr::LOCALHOST.to_string());
    let flags = Flags {
        host: host.clone(),
        port: Some(0),
        telemetry_host: host,
        telemetry_port: Some(0),
        shard: Some(shard),
        total_shards: Some(demo.shards),
        ..flags.clone().unsharded()
    };
    Settings::resolve(&flags, &Environment::default(), || None).map(|(settings, _)| settings)
}

fn apply(simulator: &Simulator, change: Change) -> Result<(), ApiError> {
    match change {
        Change::Apply(object) => simulator.apply(&object)?,
        Change::Delete(resource, namespace, name) => simulator.delete(resource, &namespace, &name)?,
    };
    Ok(())
}
