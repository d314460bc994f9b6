//! What changed lately, so that a resource can be summed up as of an earlier resourceVersion.
//!
//! Replicas hear of a change at different moments. Their sums can be compared only if all are of one state of the
//! cluster, and a resourceVersion names one (versions of one resource are integers that compare).

use std::collections::BTreeSet;

use crate::sharding::{Changes, Digest, Hashes};

/// How many insertions and removals are remembered; 2 MB for a resource that changes as much.
const CHANGES: usize = 64 << 10;

/// Why a set is not known as of a resourceVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only known as of resourceVersion {floor:?} and later")]
pub struct Unknown {
    /// The earliest resourceVersion as of which it is known; `None` while a list is under way that has changed something
    /// already, and of which the version is not known yet.
    pub floor: Option<u64>,
}

/// Insertions and removals by watch events, in the order in which they came. What a list inserts or removes has no
/// resourceVersion of its own, but had happened by that of the list, which therefore is the floor from then on.
#[derive(Debug)]
pub(super) struct History {
    changes: Changes,
    floor: u64,
    /// The newest resourceVersion that was heard of.
    newest: u64,
    /// Partitions that a list has changed which is not whole.
    unsettled: BTreeSet<u32>,
}

impl Default for History {
    fn default() -> Self {
        Self::of(CHANGES)
    }
}

impl History {
    /// Of the newest `changes`.
    pub(super) const fn of(changes: usize) -> Self {
        Self { changes: Changes::new(changes), floor: 0, newest: 0, unsettled: BTreeSet::new() }
    }

    /// This resourceVersion was heard of.
    pub(super) fn heard(&mut self, version: u64) {
        self.newest = self.newest.max(version);
    }

    /// An event of this version inserted an object, or removed it.
    pub(super) fn changed(&mut self, version: u64, hashes: Hashes, inserted: bool) {
        self.heard(version);
        if let Some(forgotten) = self.changes.push(version, hashes, inserted) {
            self.raise(forgotten);
        }
    }

    /// Nothing is known before this version, or before what was heard so far if the version is unknown (0).
    pub(super) fn raise(&mut self, version: u64) {
        let version = if version == 0 { self.newest } else { version };
        self.floor = self.floor.max(version);
    }

    /// A list has changed this partition, and is not whole.
    pub(super) fn unsettle(&mut self, partition: u32) {
        self.unsettled.insert(partition);
    }

    /// A list of this partition is whole, as of `version`.
    pub(super) fn settle(&mut self, partition: u32, version: u64) {
        self.heard(version);
        self.raise(version);
        self.unsettled.remove(&partition);
    }

    /// The versions of the past mean nothing any more, and the partition is nothing to go by until it is listed.
    pub(super) fn forget(&mut self, partition: u32) {
        self.changes.clear();
        (self.floor, self.newest) = (0, 0);
        self.unsettle(partition);
    }

    /// The earliest version as of which the resource is known.
    pub(super) fn floor(&self) -> Option<u64> {
        self.unsettled.is_empty().then_some(self.floor)
    }

    /// The digest as of `version` of what has the digest `now`; both count what lies `within` alone.
    pub(super) fn undo(&self, now: Digest, version: u64, within: impl Fn(Hashes) -> bool) -> Result<Digest, Unknown> {
        let floor = self.floor();
        if floor.is_none_or(|floor| version < floor) {
            return Err(Unknown { floor });
        }
        Ok(self.changes.undo(now, version, within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_out_of_the_memory_raises_the_floor() {
        let mut history = History::default();
        let hashes = Hashes::of("a");
        for version in 1..=CHANGES as u64 {
            history.changed(version, hashes, true);
        }
        assert_eq!(history.floor(), Some(0));
        history.changed(CHANGES as u64 + 1, hashes, true);
        assert_eq!((history.floor(), history.changes.len()), (Some(1), CHANGES));
    }
}
