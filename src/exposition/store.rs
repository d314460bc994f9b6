//! What is exposed: the blocks of every resource, keyed by UID.
//!
//! Several sources may feed one resource at once (namespaces, later the ranges that a replica gains), in any order:
//! the newer resourceVersion wins, deletions are remembered while any source is still listing, and a finished list
//! removes what its scope no longer holds. A scrape names the slice that it exposes: what is loaded can stay hidden, and be
//! shown in one step, for all resources at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::history::{History, Unknown};
use super::text::{Format, Scrape, Selection};
use super::{Block, Header, Uid};
use crate::sharding::{Digest, Hashes, Slice};

/// A point in the life of a [`ResourceStore`] at which a list began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// What a finished list speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The source's partition: objects were applied under the same number. One a namespace, or 0 for all of them.
    pub partition: u32,
    /// What was listed.
    pub slice: &'a Slice,
}

/// How new an object's state is, and whence it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The resourceVersion, 0 if it is no number.
    pub version: u64,
    /// Whether it came with a list (or initial events), and not with an event of a watch: when it was created is not known.
    pub listed: bool,
}

/// The place of a resource in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceId(usize);

#[derive(Debug)]
struct Entry {
    hashes: Hashes,
    version: u64,
    partition: u32,
    /// When it was last applied.
    epoch: Epoch,
    block: Arc<Block>,
}

#[derive(Debug)]
struct State {
    entries: HashMap<Uid, Entry>,
    /// Of what all objects are here; others may be, but only in part.
    loaded: Slice,
    history: History,
    /// The newest epoch.
    clock: u64,
    /// Lists that are under way.
    open: HashSet<Epoch>,
    /// Deletions seen while a list is under way, with their versions: an older item must not bring the object back.
    tombstones: HashMap<Uid, u64>,
}

/// The objects of one resource. Its lock is held for map operations only, never while text is made.
#[derive(Debug)]
pub struct ResourceStore {
    name: String,
    state: Mutex<State>,
}

impl ResourceStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave the map half changed: every change is one map operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The resource's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many objects are kept, exposed or not.
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether no object is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A source starts to list; `previous` is its list that it gave up, if any.
    pub fn begin(&self, previous: Option<Epoch>) -> Epoch {
        let mut state = self.state();
        if let Some(previous) = previous {
            state.close(previous);
        }
        state.clock += 1;
        let epoch = Epoch(state.clock);
        state.open.insert(epoch);
        epoch
    }

    /// An object is there, new or changed. What is known already and newer stays.
    pub fn apply(&self, partition: u32, uid: Uid, hashes: Hashes, stamp: Stamp, block: Block) {
        let mut state = self.state();
        let State { entries, history, tombstones, loaded, clock, .. } = &mut *state;
        let Stamp { version, listed } = stamp;
        history.heard(version);
        if let Some(deleted) = tombstones.get(&uid).filter(|deleted| version <= **deleted) {
            // It was there when the list was made, and its removal is not in the history: the object was not known.
            history.raise(if *deleted == u64::MAX { 0 } else { *deleted });
            return;
        }
        let epoch = Epoch(*clock);
        match entries.get_mut(&uid) {
            Some(known) if known.version > version => {
                known.epoch = epoch;
                if listed {
                    // It was there before the event that the history takes for its creation.
                    history.raise(known.version);
                }
            }
            Some(known) => {
                // An update that changes nothing visible keeps the block that scrapes may be reading.
                let block = if *known.block == block { Arc::clone(&known.block) } else { Arc::new(block) };
                *known = Entry { hashes, version, partition, epoch, block };
            }
            None => {
                if !listed {
                    history.changed(version, hashes, true);
                } else if loaded.contains(hashes) {
                    history.unsettle(partition);
                }
                entries.insert(uid, Entry { hashes, version, partition, epoch, block: Arc::new(block) });
            }
        }
    }

    /// An object is still there, in the state that is known: its new one could not be read.
    pub fn touch(&self, uid: &Uid) {
        let mut state = self.state();
        let epoch = Epoch(state.clock);
        if let Some(known) = state.entries.get_mut(uid) {
            known.epoch = epoch;
        }
    }

    /// An object is gone as of `version` (0: unknown, taken as now).
    pub fn delete(&self, uid: Uid, version: u64) {
        let mut state = self.state();
        let at = if version == 0 { u64::MAX } else { version };
        if let Some(known) = state.entries.get(&uid).filter(|known| known.version <= at) {
            let hashes = known.hashes;
            state.entries.remove(&uid);
            match version {
                0 => state.history.raise(0),
                version => state.history.changed(version, hashes, false),
            }
        }
        state.history.heard(version);
        if !state.open.is_empty() {
            let deleted = state.tombstones.entry(uid).or_default();
            *deleted = at.max(*deleted);
        }
    }

    /// The list that began at `epoch` will not go on: nothing is removed for it, and no deletion remembered.
    pub fn abandon(&self, epoch: Epoch) {
        self.state().close(epoch);
    }

    /// The versions of what was applied under this partition mean nothing any more: whatever comes is newer.
    pub fn rewind(&self, partition: u32) {
        let mut state = self.state();
        state.tombstones.clear();
        state.history.forget(partition);
        state.entries.values_mut().filter(|entry| entry.partition == partition).for_each(|entry| entry.version = 0);
    }

    /// The list that began at `epoch` is whole, as of `version` (0: unknown): what its scope kept from before, and nobody
    /// applied since, is gone.
    pub fn finish(&self, epoch: Epoch, scope: Scope<'_>, version: u64) {
        let mut state = self.state();
        state.entries.retain(|_, entry| {
            let listed = entry.partition == scope.partition && scope.slice.contains(entry.hashes);
            !listed || entry.epoch >= epoch || (version != 0 && entry.version > version)
        });
        state.history.settle(scope.partition, version);
        state.close(epoch);
    }

    /// From now on all objects of `loaded` are here, and of others perhaps some: none of those is exposed.
    pub fn set_loaded(&self, loaded: Slice) {
        self.state().loaded = loaded;
    }

    /// The digest of the objects that are exposed while `exposed` is, as of `version`; it must have been reached by all
    /// sources. An object that is left as it was since its new state does not decode changes nothing here.
    ///
    /// # Errors
    /// It is not known as of that version: so much has happened since, or a list was needed since.
    pub fn digest(&self, exposed: &Slice, version: u64) -> Result<Digest, Unknown> {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        let mut now = Digest::default();
        state.entries.values().filter(|e| within(e.hashes)).for_each(|e| now.add(e.hashes));
        state.history.undo(now, version, within)
    }

    /// The earliest version as of which [`ResourceStore::digest`] is known; `None` while a list is under way.
    pub fn floor(&self) -> Option<u64> {
        self.state().history.floor()
    }

    /// The objects that are exposed while `exposed` is, in no order.
    pub fn uids(&self, exposed: &Slice) -> Vec<Uid> {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        state.entries.iter().filter(|(_, e)| within(e.hashes)).map(|(uid, _)| uid.clone()).collect()
    }

    /// Frees the objects outside `slice`.
    fn retain(&self, slice: &Slice) {
        self.state().entries.retain(|_, entry| slice.contains(entry.hashes));
    }

    /// The blocks of the exposed objects.
    fn snapshot(&self, exposed: &Slice) -> Vec<Arc<Block>> {
        let state = self.state();
        let everything = exposed.is_all() && state.loaded.is_all();
        let within = |e: &&Entry| everything || (exposed.contains(e.hashes) && state.loaded.contains(e.hashes));
        state.entries.values().filter(within).map(|e| Arc::clone(&e.block)).collect()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            loaded: Slice::all(),
            history: History::default(),
            clock: 0,
            open: HashSet::new(),
            tombstones: HashMap::new(),
        }
    }
}

impl State {
    fn close(&mut self, epoch: Epoch) {
        self.open.remove(&epoch);
        if self.open.is_empty() {
            self.tombstones = HashMap::new();
        }
    }
}

/// A family of the exposition, with every resource that has series of it: families of one name are one.
#[derive(Debug)]
pub(super) struct Joined {
    pub header: Header,
    /// Resource and index of the family in that resource's table.
    pub members: Vec<(usize, u16)>,
}

/// Collects the resources of a [`Store`].
#[derive(Debug, Default)]
pub struct StoreBuilder {
    resources: Vec<ResourceStore>,
    families: Vec<Joined>,
    by_name: HashMap<String, usize>,
}

impl StoreBuilder {
    /// Adds a resource whose blocks number their families as `headers` does.
    pub fn resource(&mut self, name: &str, headers: &[Header]) -> ResourceId {
        let resource = self.resources.len();
        self.resources.push(ResourceStore { name: name.to_owned(), state: Mutex::default() });
        for (index, header) in headers.iter().enumerate() {
            let place = *self.by_name.entry(header.name.clone()).or_insert_with(|| {
                self.families.push(Joined { header: header.clone(), members: Vec::new() });
                self.families.len() - 1
            });
            self.families[place].members.push((resource, index as u16));
        }
        ResourceId(resource)
    }

    /// Of what was added so far, no changes are remembered: nobody asks for sums as of an earlier resourceVersion.
    pub fn without_history(mut self) -> Self {
        for resource in &mut self.resources {
            resource.state = Mutex::new(State { history: History::of(0), ..State::default() });
        }
        self
    }

    /// The store, still empty.
    pub fn build(self) -> Store {
        Store { resources: self.resources, families: Arc::new(self.families) }
    }
}

/// All resources.
#[derive(Debug)]
pub struct Store {
    resources: Vec<ResourceStore>,
    families: Arc<Vec<Joined>>,
}

impl Store {
    /// An empty one to add resources to.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::default()
    }

    /// One resource.
    pub fn resource(&self, id: ResourceId) -> &ResourceStore {
        &self.resources[id.0]
    }

    /// All resources, in the order in which they are served.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceStore> {
        self.resources.iter()
    }

    /// Frees the objects outside `slice`.
    pub fn retain(&self, slice: &Slice) {
        for resource in &self.resources {
            resource.retain(slice);
        }
    }

    /// The exposition of the objects in `exposed` that are there now, made chunk by chunk as it is read.
    pub fn scrape(&self, selection: &Selection, format: Format, exposed: &Slice) -> Scrape {
        let snapshots =
            self.resources.iter().map(|r| selection.selects(&r.name).then(|| r.snapshot(exposed))).collect();
        Scrape::new(Arc::clone(&self.families), snapshots, format)
    }
}

#[cfg(test)]
mod tests;
