//! The only caller of list and watch: bytes of the API server in, changes of our own objects out.
//!
//! A [`Source`] is (endpoint, namespace, slice); several of one resource may run at once. Each tells its [`Sink`]
//! `init, apply*, init_done, (apply | delete)*`, and starts over at `init` whenever it has to list again. What it gains while it
//! runs is listed aside, through a second sink that is told `init, (apply | keep)*, init_done`; its events come through the first.
//! Objects of other shards are discarded after a peek at their UID on the raw bytes.
//! May not know Prometheus, families or series.

mod api;
mod backfill;
mod client;
mod decode;
mod discard;
mod event;
mod failure;
mod form;
mod frames;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod json;
mod objects;
pub mod protobuf;
mod redact;
mod request;
mod response;
mod retry;
mod selector;
mod shard_state;
mod socket;
mod source;
mod uid_observer;
mod uid_tally;
mod unpooled;
mod watch;
pub mod wipe;

pub use client::{SwappableClient, private_client, shared_client};
pub use decode::{DecodeError, Encoding, Item, decode_object};
pub use form::Form;
pub use shard_state::ShardState;
pub use source::{Endpoint, Source, Status};
pub use uid_tally::TallyError;
pub use watch::run;

use crate::sharding::Slice;

/// What a source hands over, in order. The calls are synchronous: a sink must not block.
pub trait Sink: Send {
    /// A whole list of `slice` follows; what is known stays served until [`Sink::init_done`].
    fn init(&mut self, slice: &Slice);
    /// An own object exists, new or changed. An error is counted and logged by the source; the object is skipped, and
    /// what was known of it before stays.
    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError>;
    /// An own object exists, but could not be read: what was known of it stays, also when a list ends.
    fn keep(&mut self, uid: &str) {
        let _ = uid;
    }
    /// A list that was begun is not continued for now; another `init` will follow.
    fn give_up(&mut self) {}
    /// The server counts its resourceVersions from an earlier one again: those of what is known mean nothing any more, and
    /// the list that follows replaces it all.
    fn rewind(&mut self);
    /// An own object is gone. `version` is the resourceVersion of its deletion, 0 if that is not a number.
    fn delete(&mut self, uid: &str, version: u64);
    /// Whether it wants to hear of [`Sink::foreign`] at the moment.
    fn wants_foreign(&self) -> bool {
        false
    }
    /// An object of another shard, which is called so, exists.
    fn foreign(&mut self, namespace: &str, name: &str) {
        let _ = (namespace, name);
    }
    /// The list is whole: of its slice, what was not applied since `init` and is not newer than `version` is gone.
    fn init_done(&mut self, version: u64);
}
