//! What a replica tells of itself: self-metrics (the only user of prometheus-client) and the set-up of logs.
//!
//! Other rooms count through plain handles ([`Status`]); they are read when somebody scrapes. Nothing here is global but
//! what [`log_to_stderr`] sets up, so that several replicas fit in one process.

mod fleet;
mod logs;
mod metrics;
mod process;
mod reloads;
mod text;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::exposition::{Format, ResourceStore};
use crate::fleet::FleetHandle;
use crate::fleet::audit::Coverage;
use crate::intake::Status;
use crate::settings::Shard;

pub use logs::{log_to_stderr, warnings_to_stderr};
pub use reloads::{ConfigKind, Reloads};

/// A resource that is watched, and by which sources.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its plural.
    pub resource: String,
    /// Its type as upstream's self-metrics name it, for example `*v1.Pod`.
    pub kind: String,
    /// How many objects are read at most (`--object-limit`), 0 for all.
    pub object_limit: u64,
    /// What is kept of it.
    pub objects: Arc<ResourceStore>,
    /// One for each source.
    pub sources: Vec<Arc<Status>>,
}

/// What is watched and served.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// The resources, in the order in which they are served.
    pub resources: Vec<Watched>,
    /// Of which others it is not known yet which they are, in words.
    pub unknown: Vec<&'static str>,
}

/// The same at this moment: swapped as one when resources come or go.
pub type WatchingNow = Arc<ArcSwap<Watching>>;

impl Watched {
    /// Whether every source has listed once, or was refused.
    pub fn is_settled(&self) -> bool {
        self.sources.iter().all(|s| s.settled.load(Relaxed))
    }

    /// The HTTP status by which the API server refuses it, if it does.
    pub fn refusal(&self) -> Option<u16> {
        let statuses = self.sources.iter().map(|source| source.refused.load(Relaxed));
        statuses.filter_map(|status| u16::try_from(status).ok()).find(|status| *status != 0)
    }

    /// How long ago the API server last said anything about it; of several sources the one that has been silent for longest.
    pub fn silence(&self) -> Option<Duration> {
        let last = self.sources.iter().map(|source| source.last_event.load(Relaxed)).filter(|last| *last > 0).min()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Duration::from_secs(now.as_secs().saturating_sub(last)))
    }

    fn sum(&self, count: fn(&Status) -> u64) -> u64 {
        self.sources.iter().map(|s| count(s)).sum()
    }
}

/// What came of CustomResourceDefinitions, as plain numbers.
#[derive(Debug, Default)]
pub struct DefinitionEvents {
    /// Definitions that were new.
    pub added: AtomicU64,
    /// Definitions that changed.
    pub updated: AtomicU64,
    /// Definitions that went.
    pub deleted: AtomicU64,
    /// How many there are.
    pub cached: AtomicU64,
}

/// What the self-metrics of a replica are read from.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its shard.
    pub shard: Shard,
    /// What it watches.
    pub watching: WatchingNow,
    /// What came of CustomResourceDefinitions, if custom resources are asked for.
    pub definition_events: Arc<DefinitionEvents>,
    /// Whether the API server is asked to leave out what is not ours.
    pub server_side: bool,
    /// The configuration files that were read.
    pub reloads: Arc<Reloads>,
    /// Its fleet, if it is in one.
    pub fleet: Option<Arc<FleetHandle>>,
    /// What it has shown of the fleet's coverage, while it is the coordinator.
    pub coverage: Arc<Coverage>,
}

impl Replica {
    /// In a fleet it is what the current generation says; 0 of 0 until there is one.
    fn shard(&self) -> Shard {
        let Some(fleet) = &self.fleet else { return self.shard };
        let snapshot = fleet.snapshot();
        Shard { ordinal: snapshot.ordinal.unwrap_or_default(), total: snapshot.status.total }
    }
}

/// Labels of a request's duration.
type RequestLabels = [(&'static str, &'static str); 2];

/// The upper bounds of the buckets of request durations in seconds: those that upstream's Go client has by default, so
/// that quantiles of both can be compared.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug)]
struct NewHistogram;

impl MetricConstructor<Histogram> for NewHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The self-metrics of one replica.
#[derive(Debug)]
pub struct Telemetry {
    replica: Arc<Replica>,
    registry: Registry,
    requests: Family<RequestLabels, Histogram, NewHistogram>,
}

impl Telemetry {
    /// The self-metrics of `replica` and of this process.
    pub fn new(replica: Replica) -> Self {
        let mut registry = Registry::default();
        let requests = Family::new_with_constructor(NewHistogram);
        registry.register(
            "http_request_duration_seconds",
            "How long it took to answer requests, until the last byte was handed to the connection",
            requests.clone(),
        );
        let replica = Arc::new(replica);
        registry.register_collector(Box::new(metrics::Metrics(Arc::clone(&replica))));
        registry.register_collector(Box::new(process::Process::new()));
        Self { replica, registry, requests }
    }

    /// Counts a request that was answered.
    pub fn observe_request(&self, handler: &'static str, method: &'static str, took: Duration) {
        self.requests.get_or_create(&[("handler", handler), ("method", method)]).observe(took.as_secs_f64());
    }

    /// The resources that a replica must have loaded before it is ready, and has not.
    pub fn missing(&self) -> Vec<String> {
        let watching = self.replica.watching.load();
        let unsettled = watching.resources.iter().filter(|w| !w.is_settled()).map(|w| w.resource.clone());
        unsettled.chain(watching.unknown.iter().map(|&name| name.to_owned())).collect()
    }

    /// Which shard the replica is of how many, as far as it is known.
    pub fn shard(&self) -> Shard {
        self.replica.shard()
    }

    /// What the replica waits for before it is ready, in a line each: resources that are not loaded, and its part in its fleet.
    pub fn waits_for(&self) -> Vec<String> {
        let missing = self.missing().into_iter().map(|resource| format!("{resource}: not loaded yet"));
        missing.chain(self.replica.fleet.as_ref().and_then(|fleet| fleet.waits_for())).collect()
    }

    /// All self-metrics, as they are now.
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, and the collectors only pass on errors of the writer.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Text => text::from_open_metrics(&text),
        }
    }
}
