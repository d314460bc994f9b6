//! The description of a source, and its status for other modules.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::form::Form;
use super::shard_state::ShardState;
use super::uid_tally::{TallyError, UidTally};
use crate::sharding::Digest;
use crate::sync::lock;

/// A resource of the API server, and the form in which it is requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, for example `v1`.
    pub version: String,
    /// Kind, for example `Pod`.
    pub kind: String,
    /// Plural, for example `pods`.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// The requested form.
    pub form: Form,
    /// Whether to request protobuf, which custom resources do not have.
    pub protobuf: bool,
    /// Whether it is a known type of the API server: its lists have the kind of the objects and `List`, and the objects in them have none.
    pub typed: bool,
}

impl Endpoint {
    /// Returns the plural with the API group, as kubectl takes it: `deployments.apps`.
    pub fn plural_and_group(&self) -> String {
        let Self { group, plural, .. } = self;
        if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
    }

    /// Returns the name of its Go type, for example `*v1.Pod`.
    pub fn go_type(&self) -> String {
        format!("*{}.{}", self.version, self.kind)
    }
}

/// One list and watch.
#[derive(Clone, Debug)]
pub struct Source {
    /// The resource.
    pub endpoint: Endpoint,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// The `fieldSelector` of lists and watches; empty for none.
    pub field_selector: String,
    /// The `labelSelector` of lists and watches; empty for none.
    pub label_selector: String,
    /// The slice of objects to hold. The desired slice may change while the source runs.
    pub shard: Arc<ShardState>,
    /// Whether to ask the API server to leave out other shards (KEP-5866).
    pub server_side: bool,
    /// Whether to count the UIDs of all shards ([`Status::uids_at`]).
    pub audited: bool,
    /// Whether lists may come from the API server's cache (`resourceVersion=0`).
    pub use_cache: bool,
    /// The maximum number of objects, counted before sharding; 0 is no limit.
    pub object_limit: u64,
    /// How long watch events may accumulate before they are read. Lists are read as they arrive.
    pub batch_delay: Duration,
    /// Whether the owner sums up failures of its sources in the log. The lines of this one are for debugging then.
    pub summed_up: bool,
}

/// The counters and state of a source, which telemetry and health read.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether a list completed once, or the server responded 403, 404 or 405 once. Readiness waits for this.
    pub settled: AtomicBool,
    /// Whether the owner has declared the source degraded, so that readiness waits for it no longer.
    pub degraded: AtomicBool,
    /// HTTP status while the server refuses the resource (403, 404, 405), otherwise 0.
    pub refused: AtomicU64,
    /// Number of completed lists.
    pub lists: AtomicU64,
    /// Number of failed lists, without those that [`Status::not_served`] counts.
    pub list_errors: AtomicU64,
    /// Number of opened watches.
    pub watches: AtomicU64,
    /// Number of watches that could not be opened or ended with an error, without those that [`Status::not_served`] counts.
    pub watch_errors: AtomicU64,
    /// Number of lists and watches that the server answered with 404 or 405, because it does not serve the resource. They are no
    /// errors: the cluster has no such objects, and each retry would count for ever.
    pub not_served: AtomicU64,
    /// Number of objects in the last list, before sharding (for `--object-limit`).
    pub listed_objects: AtomicU64,
    /// Number of applied objects of the shard.
    pub applied: AtomicU64,
    /// Number of objects of the shard deleted by an event.
    pub deleted: AtomicU64,
    /// Number of events and list items of other shards.
    pub foreign: AtomicU64,
    /// Number of objects of the shard that did not decode.
    pub undecodable: AtomicU64,
    /// Number of fields that could not be read, in objects that were applied without them.
    pub unreadable_fields: AtomicU64,
    /// Number of lists and objects without the requested form, which were dropped undecoded.
    pub wrong_form: AtomicU64,
    /// Unix timestamp of the last event or bookmark; 0 before the first.
    pub last_event: AtomicU64,
    /// The resourceVersion up to which the source applied all events; 0 if there is none or it is not a number.
    pub position: AtomicU64,
    /// The highest resourceVersion of an own object or a backfill, since the source last listed from scratch.
    pub newest_seen: AtomicU64,
    /// Whether the API server leaves out other shards, judging by the objects received.
    pub filtered: AtomicBool,
    /// The UIDs of all shards, if the source is audited.
    tally: Mutex<UidTally>,
}

impl Status {
    /// Returns the objects of all shards as of a resourceVersion.
    ///
    /// # Errors
    /// The resourceVersion is too old or not reached yet, or the tally is incomplete.
    pub fn uids_at(&self, version: u64) -> Result<Digest, TallyError> {
        self.tally().at(version, self.position.load(Ordering::Acquire))
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, UidTally> {
        // A panic during a change can leave a wrong tally. The next audit detects it.
        lock(&self.tally)
    }
}
