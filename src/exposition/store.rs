//! What is exposed: the blocks of every resource, keyed by UID.
//!
//! Several sources may feed one resource at once (namespaces, later the ranges that a replica gains), in any order:
//! the newer resourceVersion wins, deletions are remembered while any source is still listing, and a finished list
//! removes what its scope no longer holds. An object is served while its hash lies in the exposed ranges, so a set of
//! ranges can be loaded hidden and shown in one step, for all resources at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::text::{Format, Scrape, Selection};
use super::{Block, Header};
use crate::sharding::Ranges;

/// The key of an object. UUIDs, which nearly all UIDs are, take no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uid {
    /// A UUID in its usual text form: lower-case hexadecimal digits in groups of 8, 4, 4, 4, 12.
    Uuid(u128),
    /// Anything else.
    Text(Box<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        parse_uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

fn parse_uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value = 0_u128;
    for (i, &byte) in bytes.iter().enumerate() {
        let digit = match (i, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

/// A point in the life of a [`ResourceStore`] at which a list began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// What a finished list speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The source's partition: objects were applied under the same number. One a namespace, or 0 for all of them.
    pub partition: u32,
    /// The ranges that were listed.
    pub ranges: &'a Ranges,
}

/// The place of a resource in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceId(usize);

#[derive(Debug)]
struct Entry {
    hash: u64,
    version: u64,
    partition: u32,
    /// When it was last applied.
    epoch: Epoch,
    block: Arc<Block>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Uid, Entry>,
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
    pub fn apply(&self, partition: u32, uid: Uid, hash: u64, version: u64, block: Block) {
        let mut state = self.state();
        if state.tombstones.get(&uid).is_some_and(|deleted| version <= *deleted) {
            return;
        }
        let epoch = Epoch(state.clock);
        match state.entries.get_mut(&uid) {
            Some(known) if known.version > version => known.epoch = epoch,
            Some(known) => {
                // An update that changes nothing visible keeps the block that scrapes may be reading.
                let block = if *known.block == block { Arc::clone(&known.block) } else { Arc::new(block) };
                *known = Entry { hash, version, partition, epoch, block };
            }
            None => {
                state.entries.insert(uid, Entry { hash, version, partition, epoch, block: Arc::new(block) });
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
        let version = if version == 0 { u64::MAX } else { version };
        if state.entries.get(&uid).is_some_and(|known| known.version <= version) {
            state.entries.remove(&uid);
        }
        if !state.open.is_empty() {
            let deleted = state.tombstones.entry(uid).or_default();
            *deleted = version.max(*deleted);
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
        state.entries.values_mut().filter(|entry| entry.partition == partition).for_each(|entry| entry.version = 0);
    }

    /// The list that began at `epoch` is whole, as of `version` (0: unknown): what its scope kept from before, and nobody
    /// applied since, is gone.
    pub fn finish(&self, epoch: Epoch, scope: Scope<'_>, version: u64) {
        let mut state = self.state();
        state.entries.retain(|_, entry| {
            let listed = entry.partition == scope.partition && scope.ranges.contains(entry.hash);
            !listed || entry.epoch >= epoch || (version != 0 && entry.version > version)
        });
        state.close(epoch);
    }

    /// Frees the objects outside `ranges`.
    fn retain(&self, ranges: &Ranges) {
        self.state().entries.retain(|_, entry| ranges.contains(entry.hash));
    }

    /// The blocks of the exposed objects.
    fn snapshot(&self, exposed: &Ranges) -> Vec<Arc<Block>> {
        let everything = exposed.is_all();
        let state = self.state();
        state
            .entries
            .values()
            .filter(|e| everything || exposed.contains(e.hash))
            .map(|e| Arc::clone(&e.block))
            .collect()
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

    /// The store, with everything exposed that it will hold.
    pub fn build(self) -> Store {
        Store {
            resources: self.resources,
            families: Arc::new(self.families),
            exposed: ArcSwap::from_pointee(Ranges::all()),
        }
    }
}

/// All resources.
#[derive(Debug)]
pub struct Store {
    resources: Vec<ResourceStore>,
    families: Arc<Vec<Joined>>,
    exposed: ArcSwap<Ranges>,
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

    /// From now on, serves the objects in `ranges` and no others. A scrape that has begun goes on as it began.
    pub fn expose(&self, ranges: Ranges) {
        self.exposed.store(Arc::new(ranges));
    }

    /// Frees the objects outside `ranges`.
    pub fn retain(&self, ranges: &Ranges) {
        for resource in &self.resources {
            resource.retain(ranges);
        }
    }

    /// The exposition of what is there now, made chunk by chunk as it is read.
    pub fn scrape(&self, selection: &Selection, format: Format) -> Scrape {
        let exposed = self.exposed.load();
        let snapshots =
            self.resources.iter().map(|r| selection.selects(&r.name).then(|| r.snapshot(&exposed))).collect();
        Scrape::new(Arc::clone(&self.families), snapshots, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::BlockBuilder;

    const ALL: u32 = 0;

    fn block(text: &str) -> Block {
        let mut block = BlockBuilder::new(&[("object", text)]);
        block.family(0, |samples| samples.sample(&[], 1.0));
        block.finish()
    }

    fn store() -> (Store, ResourceId) {
        let mut builder = Store::builder();
        let header = Header {
            name: "kube_thing_info".into(),
            help: "A thing.".into(),
            kind: crate::exposition::MetricType::Gauge,
        };
        let id = builder.resource("things", &[header]);
        (builder.build(), id)
    }

    fn served(store: &Store) -> Vec<String> {
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text).flat_map(|chunk| chunk.to_vec()).collect();
        let text = String::from_utf8(text).expect("UTF-8");
        let mut names: Vec<_> = text
            .lines()
            .filter_map(|l| l.strip_prefix("kube_thing_info{object=\"")?.strip_suffix("\"} 1").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    fn put(store: &ResourceStore, uid: &str, version: u64, text: &str) {
        store.apply(ALL, uid.into(), version << 60, version, block(text));
    }

    fn everything() -> Scope<'static> {
        static RANGES: std::sync::LazyLock<Ranges> = std::sync::LazyLock::new(Ranges::all);
        Scope { partition: ALL, ranges: &RANGES }
    }

    #[test]
    fn a_list_replaces_what_was_there_and_serves_the_old_until_it_is_whole() {
        let (store, id) = store();
        let things = store.resource(id);
        let first = things.begin(None);
        put(things, "a", 1, "a");
        put(things, "b", 2, "b");
        things.finish(first, everything(), 2);
        let second = things.begin(None);
        put(things, "b", 3, "b'");
        assert_eq!(served(&store), ["a", "b'"]);
        things.finish(second, everything(), 4);
        assert_eq!(served(&store), ["b'"]);
    }

    #[test]
    fn an_older_item_changes_nothing_and_brings_nothing_back() {
        let (store, id) = store();
        let things = store.resource(id);
        let list = things.begin(None);
        put(things, "a", 5, "new");
        put(things, "a", 4, "old");
        put(things, "b", 5, "b");
        things.delete("b".into(), 6);
        put(things, "b", 5, "b again");
        assert_eq!(served(&store), ["new"]);
        things.finish(list, everything(), 5);
        put(things, "b", 7, "reborn");
        assert_eq!(served(&store), ["new", "reborn"]);
    }

    #[test]
    fn a_list_removes_nothing_that_is_newer_or_out_of_its_scope() {
        let (store, id) = store();
        let things = store.resource(id);
        things.apply(1, "other namespace".into(), 0, 1, block("other namespace"));
        things.apply(ALL, "other range".into(), u64::MAX, 1, block("other range"));
        things.apply(ALL, "newer".into(), 0, 9, block("newer"));
        things.apply(ALL, "stale".into(), 0, 1, block("stale"));
        let lower = Ranges::from_parts([(0, 1 << 63)]);
        let list = things.begin(None);
        things.finish(list, Scope { partition: ALL, ranges: &lower }, 5);
        assert_eq!(served(&store), ["newer", "other namespace", "other range"]);
    }

    #[test]
    fn ranges_are_loaded_hidden_and_shown_in_one_step() {
        let (store, id) = store();
        let lower = Ranges::from_parts([(0, 1 << 63)]);
        store.expose(lower.clone());
        let things = store.resource(id);
        things.apply(ALL, "low".into(), 0, 1, block("low"));
        things.apply(ALL, "high".into(), u64::MAX, 1, block("high"));
        assert_eq!(served(&store), ["low"]);
        store.expose(Ranges::all());
        assert_eq!(served(&store), ["high", "low"]);
        store.expose(lower.clone());
        store.retain(&lower);
        assert_eq!((served(&store), things.len()), (vec!["low".to_owned()], 1));
    }

    #[test]
    fn tombstones_end_with_the_last_list() {
        let (store, id) = store();
        let things = store.resource(id);
        let list = things.begin(None);
        let retried = things.begin(Some(list));
        things.delete("a".into(), 3);
        things.finish(retried, everything(), 2);
        assert!(things.state().tombstones.is_empty());
    }

    #[test]
    fn after_a_rewind_older_versions_replace_newer_ones() {
        let (store, id) = store();
        let things = store.resource(id);
        put(things, "a", 9, "a");
        put(things, "gone", 9, "gone");
        things.rewind(ALL);
        let list = things.begin(None);
        put(things, "a", 2, "restored");
        things.finish(list, everything(), 3);
        assert_eq!(served(&store), ["restored"]);
    }

    #[test]
    fn only_canonical_uuids_are_packed() {
        assert_eq!(Uid::from("00000000-0000-0000-0000-00000000001f"), Uid::Uuid(31));
        for text in ["", "00000000-0000-0000-0000-00000000001F", "00000000000000000000000000000000001f", "node-1"] {
            assert_eq!(Uid::from(text), Uid::Text(text.into()));
        }
    }
}
