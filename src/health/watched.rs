//! The resources that a replica watches, with their stores and the counts of their sources.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::exposition::ResourceStore;
use crate::intake::{Status, Trouble};

/// A resource, its store and its sources.
#[derive(Clone, Debug)]
pub struct WatchedResource {
    /// Plural, for example `pods`.
    pub name: String,
    /// Go type as in upstream's self-metrics, for example `*v1.Pod`.
    pub kind: String,
    /// Maximum number of objects that are read (`--object-limit`), 0 for all.
    pub object_limit: u64,
    /// The objects that are kept.
    pub objects: Arc<ResourceStore>,
    /// The status of each source.
    pub sources: Vec<Arc<Status>>,
    /// Why the resource is degraded, if it is.
    pub degraded: SharedDegraded,
    /// A hash of what the selectors of the settings select; `None` without selectors.
    pub selection: Option<u64>,
}

/// A resource for which nothing waits: a source of it has failed for long, while others succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// The last failure of the first such source.
    pub trouble: Arc<Trouble>,
    /// Number of such sources: one, or one per namespace.
    pub sources: usize,
}

/// Why a resource is degraded, if it is; shared with the task that decides it.
pub type SharedDegraded = Arc<ArcSwapOption<Degraded>>;

/// A resource that a replica watches for its settings, if it does. It serves nothing of it.
pub type SharedFollowed = Arc<ArcSwapOption<WatchedResource>>;

/// The resources that a replica watches and serves.
#[derive(Clone, Debug, Default)]
pub struct WatchSet {
    /// In the order in which they are served.
    pub resources: Vec<WatchedResource>,
    /// Groups of resources whose members are not known yet, for example `custom resources`.
    pub undecided: Vec<&'static str>,
}

/// The current set, which is replaced as a whole when resources come or go.
pub type SharedWatchSet = Arc<ArcSwap<WatchSet>>;

impl WatchSet {
    /// Returns the resource of this name.
    pub fn find(&self, name: &str) -> Option<&WatchedResource> {
        self.resources.iter().find(|resource| resource.name == name)
    }
}

impl WatchedResource {
    /// Whether every source has completed a list, or is refused by the API server.
    pub fn is_loaded(&self) -> bool {
        self.sources.iter().all(|source| source.settled.load(Relaxed))
    }

    /// Whether readiness waits for it: a source has not settled, and is not degraded.
    pub fn is_awaited(&self) -> bool {
        self.sources.iter().any(|source| !source.settled.load(Relaxed) && !source.degraded.load(Relaxed))
    }

    /// Returns why the resource is degraded, if it is.
    pub fn degraded(&self) -> Option<Arc<Degraded>> {
        self.degraded.load_full()
    }

    /// Returns the HTTP status with which the API server refuses a source of the resource.
    pub fn refused_status(&self) -> Option<u16> {
        let statuses = self.sources.iter().map(|source| source.refused.load(Relaxed));
        statuses.filter_map(|status| u16::try_from(status).ok()).find(|status| *status != 0)
    }

    /// Returns the time since the last event or bookmark, of the source for which it is longest. A source that the server does not
    /// serve (404, 405) has nothing that could grow old.
    pub fn last_event_age(&self) -> Option<Duration> {
        let served = self.sources.iter().filter(|source| !matches!(source.refused.load(Relaxed), 404 | 405));
        let last = served.map(|source| source.last_event.load(Relaxed)).filter(|last| *last > 0).min()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Duration::from_secs(now.as_secs().saturating_sub(last)))
    }

    /// Adds up a number of all sources.
    pub fn sum(&self, count: fn(&Status) -> u64) -> u64 {
        self.sources.iter().map(|source| count(source)).sum()
    }
}
