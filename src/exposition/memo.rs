//! What collectors remember of earlier states of objects, for series that the newest state alone does not determine: counters
//! of events. The store keeps it beside an object, and drops it with the object.
//!
//! Holds no counts of its own: collectors choose what the bytes mean.

use std::collections::HashMap;

use super::uid::Uid;
use crate::sharding::Hashes;

/// What is remembered of the earlier states of an object. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memo(Box<[u8]>);

impl Memo {
    /// Returns what the collector has written.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Memo {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// What is known of an object before its next state is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What is remembered of it.
    pub memo: Memo,
    /// Whether a state of it is stored. Otherwise its history is unknown.
    pub is_known: bool,
    /// Whether a scrape exposes it now. What happens to other objects is counted elsewhere.
    pub is_exposed: bool,
}

/// What to remember of an object, from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The new memo.
    pub memo: Memo,
    /// [`Past::is_known`] of the past from which it was made. If that has changed since, the store rejects the update.
    pub of_known: bool,
}

/// A replica that exposes objects.
pub trait Exposes: Send + Sync {
    /// Returns whether it exposes an object with these hashes now.
    fn exposes(&self, hashes: Hashes) -> bool;
}

impl std::fmt::Debug for dyn Exposes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exposes")
    }
}

/// The memos of the objects of a resource.
#[derive(Debug, Default)]
pub(super) struct Memos(HashMap<Uid, Memo>);

impl Memos {
    pub fn get(&self, uid: &Uid) -> Memo {
        // Most resources have none.
        if self.0.is_empty() { Memo::default() } else { self.0.get(uid).cloned().unwrap_or_default() }
    }

    pub fn set(&mut self, uid: &Uid, memo: Memo) {
        match self.0.get_mut(uid) {
            Some(known) => *known = memo,
            None if memo.0.is_empty() => {}
            None => _ = self.0.insert(uid.clone(), memo),
        }
    }

    pub fn remove(&mut self, uid: &Uid) {
        if !self.0.is_empty() {
            self.0.remove(uid);
        }
    }

    /// Returns the memory in bytes, without that of texts as UIDs.
    pub fn size(&self) -> usize {
        // The table has one byte of its own per place.
        let places = self.0.capacity() * (size_of::<(Uid, Memo)>() + 1);
        places + self.0.values().map(|memo| memo.0.len()).sum::<usize>()
    }
}
