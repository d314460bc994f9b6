//! The newest changes of a set of objects, to compute its digest as of an earlier resourceVersion.

use std::collections::VecDeque;

use super::{Digest, Hashes};

/// A bounded number of insertions and removals with their resourceVersions.
#[derive(Clone, Debug)]
pub struct Changes {
    log: VecDeque<Change>,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    version: u64,
    hashes: Hashes,
    inserted: bool,
}

impl Changes {
    /// Creates an empty list that keeps `most` changes.
    pub const fn new(most: usize) -> Self {
        Self { log: VecDeque::new(), most }
    }

    /// Adds the insertion or the removal of an object. Returns the version of the oldest change if it is dropped: the digest is
    /// unknown before that version.
    pub fn push(&mut self, version: u64, hashes: Hashes, inserted: bool) -> Option<u64> {
        if self.most == 0 {
            return Some(version);
        }
        let forgotten = if self.log.len() >= self.most { self.log.pop_front() } else { None };
        self.log.push_back(Change { version, hashes, inserted });
        forgotten.map(|change| change.version)
    }

    /// Returns the number of changes.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Returns whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Removes all changes.
    pub fn clear(&mut self) {
        self.log.clear();
    }

    /// Returns the digest as of `version`, given the current digest `now`. Both cover only the hashes in `within`. Changes may be in
    /// another order than their versions.
    pub fn undo(&self, now: Digest, version: u64, within: impl Fn(Hashes) -> bool) -> Digest {
        let mut then = now;
        for change in self.log.iter().filter(|change| change.version > version && within(change.hashes)) {
            if change.inserted {
                then.remove(change.hashes);
            } else {
                then.add(change.hashes);
            }
        }
        then
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_changes_are_undone_and_excess_changes_dropped() {
        let hashes = ["a", "b", "c"].map(Hashes::of);
        let mut changes = Changes::new(2);
        let mut now = Digest::default();
        now.add(hashes[0]);
        assert_eq!(changes.push(5, hashes[0], true), None);
        now.add(hashes[1]);
        assert_eq!(changes.push(7, hashes[1], true), None);
        now.remove(hashes[0]);
        assert_eq!(changes.push(6, hashes[0], false), Some(5));
        let mut before = Digest::default();
        before.add(hashes[0]);
        assert_eq!(changes.undo(now, 5, |_| true), before);
        assert_eq!(changes.undo(now, 7, |_| true), now);
        assert_eq!((Changes::new(0).push(9, hashes[0], true), changes.len()), (Some(9), 2));
        assert_eq!(changes.undo(Digest::default(), 5, |of| of == hashes[2]), Digest::default());
    }
}
