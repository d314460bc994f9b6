//! The receiver of a source's objects.

use super::decode::{DecodeError, Item};
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
