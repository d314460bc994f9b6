//! Changes that a store holds back, because they would end series at a moment at which Prometheus cannot see it.
//!
//! Prometheus ends a series when a scrape of the replica that last exposed it lacks it. It does not notice that for a series with
//! timestamps ([`super::Departing`]), nor for one that has just moved here from another replica. Meanwhile the series stays as
//! it was, and ends later. Changes of values, and new series, are not held back.
//!
//! Holds the changes; [`super::resource`] decides which ones, and applies them.

use std::collections::HashMap;

use super::Uid;
use super::block::Block;
use crate::sharding::{Hashes, Slice};

/// The newest state of an object, if it is held back.
#[derive(Debug)]
pub(super) enum Change {
    /// It has these series.
    Update(Block),
    /// It was deleted. Its shared labels identify it.
    Delete(Box<[u8]>),
}

/// The changes that are held back. At most one per object.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// The objects whose changes are held back.
    slice: Slice,
    changes: HashMap<Uid, Change>,
    /// The deleted objects by their shared labels.
    deleted: HashMap<Box<[u8]>, Uid>,
}

impl HeldBack {
    /// Sets whose changes to hold back. Returns the changes that no longer are: the caller applies them.
    pub fn set(&mut self, slice: Slice, hashes: impl Fn(&Uid) -> Hashes) -> Vec<(Uid, Change)> {
        self.slice = slice;
        let ended: Vec<_> = self.changes.keys().filter(|uid| !self.slice.contains(hashes(uid))).cloned().collect();
        ended.into_iter().filter_map(|uid| Some((uid.clone(), self.take(&uid)?))).collect()
    }

    /// Returns whether changes of an object may be held back.
    pub fn holds(&self, hashes: Hashes) -> bool {
        !self.slice.is_empty() && self.slice.contains(hashes)
    }

    /// Returns whether a change of the object is held back.
    pub fn has(&self, uid: &Uid) -> bool {
        !self.changes.is_empty() && self.changes.contains_key(uid)
    }

    /// Returns whether the object was deleted, and is still served.
    pub fn is_deleted(&self, uid: &Uid) -> bool {
        !self.deleted.is_empty() && matches!(self.changes.get(uid), Some(Change::Delete(_)))
    }

    /// Returns the number of deleted objects.
    pub fn deleted(&self) -> usize {
        self.deleted.len()
    }

    /// Holds an update back, in place of an earlier one.
    pub fn update(&mut self, uid: &Uid, block: Block) {
        self.take(uid);
        self.changes.insert(uid.clone(), Change::Update(block));
    }

    /// Holds a deletion back. Returns false if the object must end now, because nothing would identify another object with the
    /// same series.
    pub fn delete(&mut self, uid: &Uid, labels: &[u8]) -> bool {
        self.take(uid);
        // Those of a Namespace alone begin with a comma.
        if !labels.starts_with(b"{") || self.deleted.contains_key(labels) {
            return false;
        }
        self.changes.insert(uid.clone(), Change::Delete(labels.into()));
        self.deleted.insert(labels.into(), uid.clone());
        true
    }

    /// Removes and returns the deleted object that has the series of a new one with these shared labels. It must end now.
    pub fn yields(&mut self, labels: &[u8]) -> Option<Uid> {
        let uid = self.deleted.get(labels)?.clone();
        self.take(&uid);
        Some(uid)
    }

    /// Records that an object exists again. Returns whether its deletion was held back.
    pub fn comes_back(&mut self, uid: &Uid) -> bool {
        self.is_deleted(uid) && self.take(uid).is_some()
    }

    /// Removes and returns the change of an object.
    pub fn take(&mut self, uid: &Uid) -> Option<Change> {
        if self.changes.is_empty() {
            return None;
        }
        let change = self.changes.remove(uid)?;
        if let Change::Delete(labels) = &change {
            self.deleted.remove(labels);
        }
        Some(change)
    }
}
