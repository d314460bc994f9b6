//! The receiver of a source's objects.

use super::decode::{DecodeError, Item};
use crate::sharding::Slice;

/// Receives a source's objects in order. The calls are synchronous, so a sink must not block.
pub trait Sink: Send {
    /// A full list of `slice` begins. The objects of the last list stay exposed until [`Sink::init_done`].
    fn init(&mut self, slice: &Slice);
    /// An object of the shard is new or changed.
    ///
    /// # Errors
    /// The object does not decode. The source counts and logs the error, and the last known state of the object stays.
    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError>;
    /// An object of the shard exists but could not be read. Its last known state stays, also when a list ends.
    fn keep(&mut self, uid: &str) {
        let _ = uid;
    }
    /// The source abandons the running list; another `init` will follow.
    fn give_up(&mut self) {}
    /// The server may have been restored from a backup: it went back to earlier resourceVersions, or the last one expired. The known
    /// versions are void, and the list that follows replaces all objects.
    fn rewind(&mut self);
    /// An object of the shard was deleted. `version` is the resourceVersion of the deletion, 0 if it is not a number.
    fn delete(&mut self, uid: &str, version: u64);
    /// Whether the source should call [`Sink::foreign`] now.
    fn wants_foreign(&self) -> bool {
        false
    }
    /// An object of another shard with this name exists.
    fn foreign(&mut self, namespace: &str, name: &str) {
        let _ = (namespace, name);
    }
    /// The list is complete. Objects of its slice that were not applied since `init` and are not newer than `version` are
    /// gone.
    fn init_done(&mut self, version: u64);
}
