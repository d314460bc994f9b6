//! Deleted objects whose series stay for a while.
//!
//! Time passes in ticks, which the caller counts. An object that lingers is only served: counts, lists and digests ignore it. It
//! goes as soon as an object of the same name exists, on this or another replica, because both would have the same series.

use std::collections::{HashMap, VecDeque};

use super::Uid;

/// Number of objects that may linger in a small store. A larger store allows as many as it has objects.
const LEAST: usize = 1024;

/// The names of objects, and the objects that linger.
#[derive(Debug, Default)]
pub(super) struct Linger {
    /// Duration in ticks; 0 turns lingering off.
    ticks: u64,
    now: u64,
    /// The names of stored objects, as hashes.
    names: HashMap<Uid, u64>,
    /// The last object of each name.
    holders: HashMap<u64, Uid>,
    /// The tick at which each object ends.
    gone: HashMap<Uid, u64>,
    /// The same in order of time. Objects that returned or ended early are still in it.
    order: VecDeque<(u64, Uid)>,
}

impl Linger {
    /// Keeps objects for at least `ticks` whole ticks after their deletion.
    pub fn set(&mut self, ticks: u64) {
        self.ticks = ticks;
    }

    /// Returns the number of objects that linger.
    pub fn len(&self) -> usize {
        self.gone.len()
    }

    /// Returns whether an object lingers.
    pub fn is_gone(&self, uid: &Uid) -> bool {
        !self.gone.is_empty() && self.gone.contains_key(uid)
    }

    /// Records the name of a stored object.
    pub fn name(&mut self, uid: &Uid, name: u64) {
        self.names.insert(uid.clone(), name);
        self.holders.insert(name, uid.clone());
    }

    /// Removes and returns the object that lingers under a name, unless it is this one.
    pub fn yields(&mut self, name: u64, to: Option<&Uid>) -> Option<Uid> {
        let holder = self.holders.get(&name).filter(|holder| Some(*holder) != to && self.is_gone(holder))?.clone();
        self.forget(&holder);
        Some(holder)
    }

    /// Records the deletion of an object. Returns whether it lingers.
    pub fn stays(&mut self, uid: &Uid) -> bool {
        let name = self.names.get(uid).filter(|_| self.ticks > 0);
        if name.and_then(|name| self.holders.get(name)) != Some(uid) {
            self.forget(uid);
            return false;
        }
        // The current tick does not count.
        let until = self.now + self.ticks + 1;
        self.gone.insert(uid.clone(), until);
        self.order.push_back((until, uid.clone()));
        true
    }

    /// Removes an object.
    pub fn forget(&mut self, uid: &Uid) {
        self.gone.remove(uid);
        if let Some(name) = self.names.remove(uid)
            && self.holders.get(&name) == Some(uid)
        {
            self.holders.remove(&name);
        }
    }

    /// Records that an object exists again. Returns whether it lingered.
    pub fn comes_back(&mut self, uid: &Uid) -> bool {
        !self.gone.is_empty() && self.gone.remove(uid).is_some()
    }

    /// Counts a tick.
    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// Removes and returns the next object that is overdue or exceeds the limit for a store of `kept` objects.
    pub fn next_over(&mut self, kept: usize) -> Option<Uid> {
        let most = kept.max(LEAST);
        while let Some((until, uid)) = self.order.front() {
            if self.gone.get(uid) != Some(until) {
                self.order.pop_front();
            } else if *until <= self.now || self.gone.len() > most {
                let (_, uid) = self.order.pop_front()?;
                self.forget(&uid);
                return Some(uid);
            } else {
                break;
            }
        }
        None
    }
}
