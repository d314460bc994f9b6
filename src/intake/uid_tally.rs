//! How many objects there are, own and foreign, and the sum of their hashes: what coverage is proven against.
//!
//! A whole list sets it, watch events change it. The newest changes are remembered with their resourceVersions, so that it
//! can be told as of a moment of the last minutes. Knows no bytes and no requests.

use crate::sharding::{Changes, Digest, Hashes};

/// How many changes are remembered: minutes of a busy cluster's pods, in 256 KB; quiet resources never need the space.
const REMEMBERED: usize = 8192;

/// Why it is not known what was there as of a resourceVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// Changes are not remembered for so long.
    #[error("what was there is known from resourceVersion {floor} on")]
    TooOld {
        /// The oldest resourceVersion that can be asked for.
        floor: u64,
    },
    /// It has not been reached.
    #[error("resourceVersion {position} was reached so far")]
    NotReached {
        /// The newest resourceVersion that can be asked for.
        position: u64,
    },
    /// There is no list yet, the server filters, or an event could not be read.
    #[error("not everything was seen")]
    Incomplete,
}

/// All objects of a source, of whichever shard.
#[derive(Debug)]
pub(super) struct UidTally {
    now: Digest,
    changes: Changes,
    /// From which resourceVersion on it can be told.
    floor: u64,
    /// A list was whole, and nothing was missed since.
    complete: bool,
    /// The running answer may be filtered by the server.
    maybe_filtered: bool,
}

impl Default for UidTally {
    fn default() -> Self {
        let changes = Changes::new(REMEMBERED);
        Self { now: Digest::default(), changes, floor: 0, complete: false, maybe_filtered: false }
    }
}

impl UidTally {
    /// A list was whole as of `version`.
    pub fn listed(&mut self, digest: Digest, version: u64) {
        self.now = digest;
        self.changes.clear();
        self.floor = version;
        self.complete = version != 0;
    }

    /// An event came: an object is new, or gone.
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

    /// Something was missed: nothing is complete before the next list.
    pub const fn missed(&mut self) {
        self.complete = false;
    }

    /// An answer begins; `filtered` if the server was asked to leave out foreign objects.
    pub const fn begin(&mut self, filtered: bool) {
        // Whether the last answer was whole never showed.
        self.complete &= !self.maybe_filtered;
        self.maybe_filtered = filtered;
    }

    /// The running answer leaves nothing out: a foreign object came with it.
    pub const fn trust(&mut self) {
        self.maybe_filtered = false;
    }

    /// What was there as of `version`, having got to `position`.
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
