//! Objects that are gone, and whose series stay for a while.
//!
//! Time passes in ticks, of which somebody else keeps count. Who lingers is served and nothing else: it is not counted, not listed
//! and not proven. It goes at once when an object of its name is there again, be it another replica's: two of a name would be
//! the same series twice.

use std::collections::{HashMap, VecDeque};

use super::Uid;

/// So many may linger where fewer objects are there; else as many as there are objects.
const LEAST: usize = 1024;

/// What is known of names, and who lingers.
#[derive(Debug, Default)]
pub(super) struct Linger {
    /// How long; 0 for not at all.
    ticks: u64,
    now: u64,
    /// The names of objects that are kept, as hashes.
    names: HashMap<Uid, u64>,
    /// By name: who had it last.
    holders: HashMap<u64, Uid>,
    /// Until when each lingers.
    gone: HashMap<Uid, u64>,
    /// The same in the order in which they go. Who came back or went early is still in it.
    order: VecDeque<(u64, Uid)>,
}

impl Linger {
    /// From now on who goes lingers for at least so many whole ticks.
    pub fn set(&mut self, ticks: u64) {
        self.ticks = ticks;
    }

    /// How many linger.
    pub fn len(&self) -> usize {
        self.gone.len()
    }

    /// Whether an object lingers.
    pub fn is_gone(&self, uid: &Uid) -> bool {
        !self.gone.is_empty() && self.gone.contains_key(uid)
    }

    /// An object that is kept is called so.
    pub fn name(&mut self, uid: &Uid, name: u64) {
        self.names.insert(uid.clone(), name);
        self.holders.insert(name, uid.clone());
    }

    /// Who lingers under a name, unless it is this one. It is forgotten.
    pub fn yields(&mut self, name: u64, to: Option<&Uid>) -> Option<Uid> {
        let holder = self.holders.get(&name).filter(|holder| Some(*holder) != to && self.is_gone(holder))?.clone();
        self.forget(&holder);
        Some(holder)
    }

    /// An object is gone: whether it lingers.
    pub fn stays(&mut self, uid: &Uid) -> bool {
        let name = self.names.get(uid).filter(|_| self.ticks > 0);
        if name.and_then(|name| self.holders.get(name)) != Some(uid) {
            self.forget(uid);
            return false;
        }
        // The tick that is under way counts for nothing.
        let until = self.now + self.ticks + 1;
        self.gone.insert(uid.clone(), until);
        self.order.push_back((until, uid.clone()));
        true
    }

    /// Nothing is kept of an object any more.
    pub fn forget(&mut self, uid: &Uid) {
        self.gone.remove(uid);
        if let Some(name) = self.names.remove(uid)
            && self.holders.get(&name) == Some(uid)
        {
            self.holders.remove(&name);
        }
    }

    /// An object is there again, if it lingered.
    pub fn comes_back(&mut self, uid: &Uid) -> bool {
        !self.gone.is_empty() && self.gone.remove(uid).is_some()
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// The next one whose time is over, or for whom there is no room beside `kept` objects. It is forgotten.
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
