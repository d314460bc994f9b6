//! Changes that a store holds back, because they would end series at a moment at which Prometheus cannot see it.
//!
//! Prometheus ends a series when a scrape of the replica that last exposed it lacks it. It does not notice that for a series with
//! timestamps ([`super::Departing`]), nor for one that has just moved here from another replica. Meanwhile the series stays as
//! it was, and ends later. Changes of values, and new series, are not held back.
//!
//! Holds the changes; [`super::resource`] decides which ones, and applies them.

use std::collections::{HashMap, HashSet};

use twox_hash::XxHash64;

use super::Uid;
use super::block::{Block, lines};
use super::header::Header;
use crate::sharding::{Hashes, Slice};

/// The newest state of an object, if it is held back.
#[derive(Debug)]
pub(super) enum Change {
    /// It has these series.
    Update(Block),
    /// It was deleted. These hashes identify its series.
    Delete(Identities),
}

/// Hashes of things that only one object at a time may have: the shared labels of its series, and each series that carries all its labels
/// itself.
pub(super) type Identities = Box<[u64]>;

/// Returns the identity of the series that begin with these shared labels. Labels of a Namespace alone, from a comma on, identify none.
pub(super) fn of_shared(labels: &[u8]) -> Option<u64> {
    labels.starts_with(b"{").then(|| XxHash64::oneshot(0, labels))
}

/// Returns the identity of each series of a family whose series carry all their labels themselves, except for those of the Namespace.
pub(super) fn of_own(family: u16, of_namespace: &[u8], section: &[u8]) -> impl Iterator<Item = u64> {
    let seed = XxHash64::oneshot(u64::from(family) + 1, of_namespace);
    // Values have no blanks.
    let labels = |line| memchr::memrchr(b' ', line).map_or(line, |at| &line[..at]);
    lines(section).map(move |line| XxHash64::oneshot(seed, labels(line)))
}

/// The changes that are held back. At most one per object.
#[derive(Debug)]
pub(super) struct HeldBack {
    /// The objects whose changes are held back.
    slice: Slice,
    changes: HashMap<Uid, Change>,
    /// The deleted objects.
    deleted: HashSet<Uid>,
    /// The same by their identities.
    by_identity: HashMap<u64, Uid>,
    own_families: Box<[u16]>,
}

impl HeldBack {
    /// Holds nothing back of a resource with these families.
    pub fn new(headers: &[Header]) -> Self {
        let own_families = (0..).zip(headers).filter(|(_, header)| !header.shares).map(|(family, _)| family).collect();
        Self {
            slice: Slice::none(),
            changes: HashMap::new(),
            deleted: HashSet::new(),
            by_identity: HashMap::new(),
            own_families,
        }
    }

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
        self.deleted.contains(uid)
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
    pub fn delete(&mut self, uid: &Uid, identities: Identities) -> bool {
        self.take(uid);
        if identities.is_empty() || identities.iter().any(|identity| self.by_identity.contains_key(identity)) {
            return false;
        }
        self.by_identity.extend(identities.iter().map(|identity| (*identity, uid.clone())));
        self.changes.insert(uid.clone(), Change::Delete(identities));
        self.deleted.insert(uid.clone());
        true
    }

    /// Removes and returns the deleted objects that have series of a new state of another one. They must end now. `labels` are the shared
    /// labels if the object is new, `of_namespace` those of its Namespace.
    pub fn replaced(&mut self, labels: Option<&[u8]>, of_namespace: &[u8], block: &Block) -> Vec<Uid> {
        if self.deleted.is_empty() {
            return Vec::new();
        }
        let (mut identities, mut sections) = (Vec::from_iter(labels.and_then(of_shared)), block.sections());
        for family in &self.own_families {
            identities.extend(of_own(*family, of_namespace, sections.take(*family)));
        }
        let uids: HashSet<_> =
            identities.iter().filter_map(|identity| self.by_identity.get(identity)).cloned().collect();
        uids.into_iter().inspect(|uid| drop(self.take(uid))).collect()
    }

    /// Returns the families whose series carry all their labels themselves. The shared labels of an object identify its other series.
    pub fn own_families(&self) -> &[u16] {
        &self.own_families
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
        if let Change::Delete(identities) = &change {
            self.deleted.remove(uid);
            identities.iter().for_each(|identity| drop(self.by_identity.remove(identity)));
        }
        Some(change)
    }
}
