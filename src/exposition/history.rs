//! Recent changes of a resource, to compute its digest as of an earlier resourceVersion.
//!
//! Replicas learn of a change at different times. Their digests are comparable only for the same state of the cluster, which
//! a resourceVersion identifies (versions of one resource are ordered integers).

use std::collections::BTreeSet;

use crate::sharding::{Changes, Digest, Hashes};

/// Number of insertions and removals to keep: 2 MB for a resource with as many changes.
const CHANGES: usize = 64 << 10;

/// The reason why the digest as of a resourceVersion is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only known as of resourceVersion {floor:?} and later")]
pub struct Unknown {
    /// The earliest resourceVersion for which the digest is known. `None` during a list that has changed something, because
    /// its version is not known yet.
    pub floor: Option<u64>,
}

/// Insertions and removals by watch events, in order of arrival. Changes by a list have no resourceVersion of their own, but
/// happened before that of the list. That version is then the floor.
#[derive(Debug)]
pub(super) struct History {
    changes: Changes,
    floor: u64,
    /// The newest known resourceVersion.
    newest: u64,
    /// Partitions that an unfinished list has changed.
    unsettled: BTreeSet<u32>,
}

impl Default for History {
    fn default() -> Self {
        Self::of(CHANGES)
    }
}

impl History {
    /// Creates a history of the newest `changes`.
    pub(super) const fn of(changes: usize) -> Self {
        Self { changes: Changes::new(changes), floor: 0, newest: 0, unsettled: BTreeSet::new() }
    }

    /// Records that this resourceVersion exists.
    pub(super) fn heard(&mut self, version: u64) {
        self.newest = self.newest.max(version);
    }

    /// Records the insertion or the removal of an object by an event of this version.
    pub(super) fn changed(&mut self, version: u64, hashes: Hashes, inserted: bool) {
        self.heard(version);
        if let Some(forgotten) = self.changes.push(version, hashes, inserted) {
            self.raise(forgotten);
        }
    }

    /// Raises the floor to this version, or to the newest known version if it is unknown (0).
    pub(super) fn raise(&mut self, version: u64) {
        let version = if version == 0 { self.newest } else { version };
        self.floor = self.floor.max(version);
    }

    /// Records that an unfinished list has changed this partition.
    pub(super) fn unsettle(&mut self, partition: u32) {
        self.unsettled.insert(partition);
    }

    /// Records that the list of this partition is complete as of `version`.
    pub(super) fn settle(&mut self, partition: u32, version: u64) {
        self.heard(version);
        self.raise(version);
        self.unsettled.remove(&partition);
    }

    /// Discards all versions; the partition is unknown until the next list.
    pub(super) fn forget(&mut self, partition: u32) {
        self.changes.clear();
        (self.floor, self.newest) = (0, 0);
        self.unsettle(partition);
    }

    /// Returns the earliest version for which the digest is known.
    pub(super) fn floor(&self) -> Option<u64> {
        self.unsettled.is_empty().then_some(self.floor)
    }

    /// Returns the digest as of `version`, given the current digest. Both cover only the hashes in `within`.
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
    fn a_dropped_change_raises_the_floor() {
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
