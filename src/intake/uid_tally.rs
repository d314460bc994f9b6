//! The number of objects of all shards and the sum of their hashes. Coverage is checked against it.
//!
//! A complete list sets the tally, watch events change it. It keeps the latest changes with their resourceVersions, so that it
//! can be computed for any resourceVersion of the last minutes.

use crate::sharding::{Changes, Digest, Hashes};

/// Number of changes kept: minutes of a busy cluster's pods, in 256 KB. Quiet resources do not use the space.
const REMEMBERED: usize = 8192;

/// Why the tally of a resourceVersion is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// The changes since then are no longer kept.
    #[error("resourceVersion is too old: the oldest known one is {floor}")]
    TooOld {
        /// The oldest known resourceVersion.
        floor: u64,
    },
    /// The source has not reached it.
    #[error("resourceVersion is too new: the latest known one is {position}")]
    NotReached {
        /// The newest known resourceVersion.
        position: u64,
    },
    /// There is no list yet, the server filters, or an event could not be read.
    #[error("the tally is incomplete: not all objects were received")]
    Incomplete,
}

/// The objects of a source, of all shards.
#[derive(Debug)]
pub(super) struct UidTally {
    now: Digest,
    changes: Changes,
    /// The oldest known resourceVersion.
    floor: u64,
    /// A list was complete, and nothing was missed since.
    complete: bool,
    /// The server may filter the running response.
    maybe_filtered: bool,
}

impl Default for UidTally {
    fn default() -> Self {
        let changes = Changes::new(REMEMBERED);
        Self { now: Digest::default(), changes, floor: 0, complete: false, maybe_filtered: false }
    }
}

impl UidTally {
    /// A list was complete as of `version`.
    pub fn listed(&mut self, digest: Digest, version: u64) {
        self.now = digest;
        self.changes.clear();
        self.floor = version;
        self.complete = version != 0;
    }

    /// An object was added or deleted.
    pub fn changed(&mut self, version: u64, uid: Hashes, added: bool) {
        if version == 0 {
            self.complete = false;
            return;
        }
        if added {
            self.now.add(uid);
        } else {
            self.now.remove(uid);
        }
        if let Some(forgotten) = self.changes.push(version, uid, added) {
            self.floor = forgotten;
        }
    }

    /// An object or event was missed, so the tally is incomplete until the next list.
    pub const fn missed(&mut self) {
        self.complete = false;
    }

    /// A response begins; `filtered` if the server was asked to leave out other shards.
    pub const fn begin(&mut self, filtered: bool) {
        // The last response may have been filtered: no object of another shard arrived with it.
        self.complete &= !self.maybe_filtered;
        self.maybe_filtered = filtered;
    }

    /// The server does not filter the running response: an object of another shard arrived with it.
    pub const fn unfiltered(&mut self) {
        self.maybe_filtered = false;
    }

    /// The objects as of `version`; the source has reached `position`.
    pub fn at(&self, version: u64, position: u64) -> Result<Digest, TallyError> {
        if !self.complete || self.maybe_filtered {
            return Err(TallyError::Incomplete);
        }
        if version < self.floor {
            return Err(TallyError::TooOld { floor: self.floor });
        }
        if version > position {
            return Err(TallyError::NotReached { position });
        }
        Ok(self.changes.undo(self.now, version, |_| true))
    }
}
