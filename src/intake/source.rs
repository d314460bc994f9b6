//! What a source watches, and what can be seen of it from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::form::Form;
use super::shard_state::ShardState;
use super::uid_tally::{TallyError, UidTally};
use crate::sharding::Digest;
use crate::sync::lock;

/// Where a resource is found on the API server, and in which form it is asked for.
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
    /// The form.
    pub form: Form,
    /// Whether the server is asked for protobuf (custom resources have none).
    pub protobuf: bool,
}

/// One list and watch.
#[derive(Clone, Debug)]
pub struct Source {
    /// What is watched.
    pub endpoint: Endpoint,
    /// The namespace, or all of them.
    pub namespace: Option<String>,
    /// `fieldSelector` of both requests, empty for none.
    pub field_selector: String,
    /// Which objects are kept; what is wanted may change while it runs.
    pub shard: Arc<ShardState>,
    /// Whether the API server is asked to leave out what is not kept, where it can (KEP-5866).
    pub server_side: bool,
    /// Whether all UIDs are counted, those of other shards too ([`Status::uids_at`]).
    pub audited: bool,
    /// Whether lists may come from the API server's cache (`resourceVersion=0`).
    pub use_cache: bool,
    /// How many objects are kept at most, counted before sharding; 0 is no limit.
    pub object_limit: u64,
    /// How long the events of a watch may gather before they are read; a list is read as it arrives.
    pub batch_delay: Duration,
}

/// What happens in a source, as plain numbers: telemetry and health read them.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether a list was whole once, or the server answered 403, 404 or 405 once: readiness waits for this.
    pub settled: AtomicBool,
    /// HTTP status of the refusal while the server refuses the resource (403, 404, 405), else 0.
    pub refused: AtomicU64,
    /// Lists that came back whole.
    pub lists: AtomicU64,
    /// Lists that failed.
    pub list_errors: AtomicU64,
    /// Watches that were opened.
    pub watches: AtomicU64,
    /// Watches that could not be opened, or ended in an error.
    pub watch_errors: AtomicU64,
    /// Objects in the last list, before sharding (for `--object-limit`).
    pub listed_objects: AtomicU64,
    /// Own objects applied.
    pub applied: AtomicU64,
    /// Own objects deleted by an event.
    pub deleted: AtomicU64,
    /// Events and list items of other shards.
    pub foreign: AtomicU64,
    /// Own objects that did not decode.
    pub undecodable: AtomicU64,
    /// Answers that were not in the form asked for, dropped undecoded.
    pub wrong_form: AtomicU64,
    /// Unix seconds of the newest event or bookmark; 0 before the first.
    pub last_event: AtomicU64,
    /// The resourceVersion up to which the source has seen everything; 0 when there is none, or it is no number.
    pub position: AtomicU64,
    /// Whether the API server leaves out what was not asked for, as far as what came shows.
    pub filtered: AtomicBool,
    /// All objects, if the source is audited.
    tally: Mutex<UidTally>,
}

impl Status {
    /// The objects that there were as of a resourceVersion, of all shards.
    ///
    /// # Errors
    /// It is too long ago, or was not reached yet; or not all objects were seen.
    pub fn uids_at(&self, version: u64) -> Result<Digest, TallyError> {
        self.tally().at(version, self.position.load(Ordering::Acquire))
    }

    /// For the source itself.
    pub(super) fn tally(&self) -> MutexGuard<'_, UidTally> {
        // A panic while the lock was held leaves a tally that no longer fits, which an audit finds.
        lock(&self.tally)
    }
}
