//! The objects of one resource.
//!
//! Several sources may feed a resource at the same time (one per namespace, or per range during a backfill), in any order: the newer
//! resourceVersion wins, deletions are recorded while any source is listing, and a finished list removes the objects that
//! its scope no longer contains. A resource may hold more objects than it exposes: a scrape names the slice to expose.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::block::Block;
use super::header::Header;
use super::held_back::{self, Change, HeldBack, Identities};
use super::history::{History, Unknown};
use super::linger::Linger;
use super::memo::{Exposes, Memo, Past, Remembered};
use super::namespaces::{NamespaceLabels, NamespacedBy, Namespaces};
use super::page::{Key, Page, Slot};
use super::pages::{At, Pages};
use super::parts::{Fingerprints, Parts};
use super::uid::Uid;
use super::view::{Exposure, Piece};
use crate::sharding::{Digest, Hasher, Hashes, Slice};
use crate::sync::lock;

/// The start of a list, as a point in the life of a [`ResourceStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

/// The objects that a finished list covers.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The partition of the source, as in [`ResourceStore::apply`]: one per namespace, or 0 for all namespaces.
    pub partition: u32,
    /// The slice that was listed.
    pub slice: &'a Slice,
}

/// The age and the origin of an object's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The resourceVersion; 0 if it is not a number.
    pub version: u64,
    /// Whether the object came with a list or initial events. Its creation time is then unknown, unlike with a watch event.
    pub listed: bool,
}

/// A new state of an object.
#[derive(Debug)]
pub struct Update {
    /// The series; only those of families that read `parts`.
    pub block: Block,
    /// The parts that may have changed.
    pub parts: Parts,
    /// The fingerprints of all parts.
    pub fingerprints: Fingerprints,
    /// The namespace, if the store asks for it ([`ResourceStore::namespaced_by`]); empty for none.
    pub namespace: String,
    /// What to remember of the object; `None` leaves it as it is.
    pub remembered: Option<Remembered>,
}

impl From<Block> for Update {
    /// A whole object without fingerprints.
    fn from(block: Block) -> Self {
        let fingerprints = Fingerprints::default();
        Self { block, parts: Parts::ALL, fingerprints, namespace: String::new(), remembered: None }
    }
}

#[derive(Debug)]
struct ResourceState {
    pages: Pages,
    /// The slice of which all objects are present. Objects outside it may be present in part.
    loaded: Arc<Slice>,
    history: History,
    /// The newest epoch.
    clock: u32,
    /// Lists in progress.
    open: HashSet<Epoch>,
    /// Deletions during a list in progress, with their partitions and versions: an older list item must not restore the object.
    tombstones: HashMap<Uid, (u32, u64)>,
    /// Deleted objects that are still in the pages.
    linger: Linger,
    /// Changes that the pages do not show yet.
    held_back: HeldBack,
    /// The labels of Namespaces on the series of their objects.
    labels: Arc<NamespaceLabels>,
    /// Whether objects do not have these labels yet because their changes are held back.
    is_behind: bool,
}

/// The memory of the objects of a resource, in bytes.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// Number of objects.
    pub objects: usize,
    /// Memory per object: its key, and the labels that its series share.
    pub shared: usize,
    /// Memory per family, in the order of the resource's headers.
    pub families: Vec<FamilyFootprint>,
}

/// The memory of the series of a family, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FamilyFootprint {
    /// The series, without the labels that all series of an object share.
    pub series: usize,
    /// The compressed series; 0 before the first gzipped scrape.
    pub deflated: usize,
}

/// The objects of one resource. Holds its lock while an object or a page changes, never while it formats text.
#[derive(Debug)]
pub struct ResourceStore {
    name: String,
    headers: Vec<Header>,
    state: Mutex<ResourceState>,
    /// Whether columns may keep compressed text with timestamps.
    has_timed: AtomicBool,
    namespaced_by: OnceLock<NamespacedBy>,
    /// Whether scrapes have read it, or could.
    is_served: AtomicBool,
    /// What the replica exposes, if that is not everything.
    exposes: OnceLock<Arc<dyn Exposes>>,
}

impl ResourceStore {
    /// Creates an empty store. Blocks number their families as `headers` does.
    pub fn new(name: &str, headers: Vec<Header>) -> Arc<Self> {
        Self::with(name, headers, History::default())
    }

    /// Creates an empty store without a history, for uses that need no digest as of an earlier resourceVersion.
    pub fn without_history(name: &str, headers: Vec<Header>) -> Arc<Self> {
        Self::with(name, headers, History::of(0))
    }

    fn with(name: &str, headers: Vec<Header>, history: History) -> Arc<Self> {
        let state = Mutex::new(ResourceState::new(&headers, history));
        Arc::new(Self {
            name: name.to_owned(),
            headers,
            state,
            has_timed: AtomicBool::new(false),
            namespaced_by: OnceLock::new(),
            is_served: AtomicBool::new(false),
            exposes: OnceLock::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, ResourceState> {
        // After a panic under the lock, at worst objects of one page are missing.
        lock(&self.state)
    }

    /// Returns the name of the resource.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the headers of its families, as blocks number them.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Indexes its objects by namespace, so that a scrape can name some ([`super::Scrape::of_namespaces`]). Call it before the first
    /// object is applied. Without an index, such a scrape shows no object.
    pub fn index_namespaces(&self, by: NamespacedBy) {
        self.namespaced_by.get_or_init(|| by);
        self.state().pages.index_namespaces();
    }

    /// Returns what tells the namespace of an object; `None` if the store does not ask.
    pub fn namespaced_by(&self) -> Option<NamespacedBy> {
        self.namespaced_by.get().copied()
    }

    /// Returns the memory that its objects use.
    pub fn footprint(&self) -> Footprint {
        let state = self.state();
        let families = vec![FamilyFootprint::default(); self.headers.len()];
        let shared = state.pages.namespaces().map_or(0, Namespaces::size) + state.pages.memos_size();
        let mut footprint = Footprint { objects: state.pages.len(), shared, families };
        for page in state.pages.iter() {
            footprint.shared += page.shared_size();
            for (family, column) in page.columns() {
                let of_family = &mut footprint.families[family];
                of_family.series += column.size();
                of_family.deflated += column.deflated_size();
            }
        }
        footprint
    }

    /// Returns the number of objects, exposed or not.
    pub fn len(&self) -> usize {
        let state = self.state();
        state.pages.len() - state.linger.len() - state.held_back.deleted()
    }

    /// Returns whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets what the replica exposes, once. A store without it counts as exposed from the moment at which it is served.
    pub fn exposed_by(&self, exposes: Arc<dyn Exposes>) {
        // A store belongs to one replica.
        let _ = self.exposes.set(exposes);
    }

    /// Records that scrapes read it from now on.
    pub(super) fn set_served(&self) {
        self.is_served.store(true, Relaxed);
    }

    /// Returns what is known of an object before its next state is stored. `hashes` are the hashes of `uid`.
    pub fn past(&self, uid: &Uid, hashes: Hashes) -> Past {
        let is_exposed =
            self.is_served.load(Relaxed) && self.exposes.get().is_none_or(|exposes| exposes.exposes(hashes));
        let state = self.state();
        let is_known = state.knows(&Key { point: hashes.xxhash64, uid: uid.clone() });
        let memo = if is_known { state.pages.memo(uid) } else { Memo::default() };
        Past { memo, is_known, is_exposed }
    }

    /// Starts a list. `previous` is the unfinished list of the same source that it replaces, if any.
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

    /// Returns the parts of an object that differ from its stored state: all of an unknown one. If no part differs, the state is
    /// stored with this call. Otherwise [`ResourceStore::apply`] has to follow. `hashes` are the hashes of `uid`.
    pub fn compare(&self, partition: u32, uid: &Uid, hashes: Hashes, stamp: Stamp, new: &Fingerprints) -> Parts {
        let mut state = self.state();
        let ResourceState { pages, history, tombstones, clock, linger, held_back, .. } = &mut *state;
        if tombstones.contains_key(uid) || linger.is_gone(uid) || held_back.has(uid) {
            return Parts::ALL;
        }
        let Some(at) = pages.find(&Key { point: hashes.xxhash64, uid: uid.clone() }) else { return Parts::ALL };
        let known = pages.slot_mut(at);
        let changed = known.fingerprints.changed(new);
        if changed == Parts::NONE {
            history.heard(stamp.version);
            known.renew(partition, *clock, stamp, history);
        }
        changed
    }

    /// Stores an object, new or changed, unless a newer state is known. `hashes` are the hashes of `uid`.
    ///
    /// Returns false, and stores nothing, if an update of some parts does not suffice: because the stored state differs in others
    /// as well, or because of series that are held back. Also if what is to be remembered was made from a past that is over.
    pub fn apply(&self, partition: u32, uid: Uid, hashes: Hashes, stamp: Stamp, update: impl Into<Update>) -> bool {
        let Update { block, parts, fingerprints, namespace, remembered } = update.into();
        let mut state = self.state();
        let ResourceState { pages, history, tombstones, loaded, clock, linger, held_back, labels, .. } = &mut *state;
        let Stamp { version, listed } = stamp;
        let key = Key { point: hashes.xxhash64, uid };
        let mut known = pages.find(&key);
        if let Some(Remembered { of_known, .. }) = remembered {
            let is_gone = linger.is_gone(&key.uid) || held_back.is_deleted(&key.uid);
            if (known.is_some() && !is_gone) != of_known {
                return false;
            }
        }
        let (labels, mut block) = (&**labels, block);
        if parts != Parts::ALL {
            let suffices = |known: &Slot| known.is_settled() && parts.covers(known.fingerprints.changed(&fingerprints));
            if !known.is_some_and(|at| suffices(pages.slot(at))) || linger.is_gone(&key.uid) || held_back.holds(hashes)
            {
                return false;
            }
        }
        history.heard(version);
        if let Some((_, deleted)) = tombstones.get(&key.uid).copied().filter(|(_, deleted)| version <= *deleted) {
            // The list contains the object, but the history lacks its removal because the object was unknown.
            history.raise(if deleted == u64::MAX { 0 } else { deleted });
            return true;
        }
        if (linger.comes_back(&key.uid) || held_back.comes_back(&key.uid))
            && let Some(at) = known.take()
        {
            // Treat it like an object that was never present.
            pages.remove(at);
        }
        let Some(at) = known else {
            // A change of an earlier object with this UID that lingered.
            held_back.take(&key.uid);
            let suffix = labels.of(&namespace);
            block.relabel(0, suffix);
            give_way(pages, held_back, Some(block.labels()), suffix, &block);
            if !listed {
                history.changed(version, hashes, true);
            } else if loaded.contains(hashes) {
                history.unsettle(partition);
            }
            if let Some(Remembered { memo, .. }) = remembered {
                pages.remember(&key.uid, memo);
            }
            let mut slot = Slot::new(key, hashes, version, partition, *clock, block);
            (slot.fingerprints, slot.suffix) = (fingerprints, suffix.len() as u16);
            pages.insert(slot, &namespace);
            return true;
        };
        if !pages.slot_mut(at).renew(partition, *clock, stamp, history) {
            return true;
        }
        if let Some(Remembered { memo, .. }) = remembered {
            pages.remember(&key.uid, memo);
        }
        let suffix = if parts == Parts::ALL { ResourceState::suffix(pages, labels, pages.slot(at)) } else { &[] };
        block.relabel(0, suffix);
        if held_back.holds(hashes) {
            let uid = pages.slot(at).key.uid.clone();
            if held_back.has(&uid) || pages.has_series_beside(at, &block) {
                // It gets its labels when the change ends.
                block.relabel(suffix.len(), &[]);
                held_back.update(&uid, block);
                // The series show neither the known state nor, once the change ends, one with known fingerprints.
                pages.slot_mut(at).fingerprints = Fingerprints::default();
                return true;
            }
        }
        let has_moved = give_way(pages, held_back, None, suffix, &block);
        let Some(at) = (if has_moved { pages.find(&key) } else { Some(at) }) else { return true };
        let slot = pages.slot_mut(at);
        slot.fingerprints = fingerprints;
        if parts == Parts::ALL {
            slot.suffix = suffix.len() as u16;
        }
        let shown = |family: usize| self.headers.get(family).is_none_or(|header| header.reads.meets(parts));
        pages.update(at, block, (parts != Parts::ALL).then_some(&shown));
        true
    }

    /// Keeps an object in its known state, because its new state does not decode.
    pub fn touch(&self, uid: &str) {
        let mut state = self.state();
        let epoch = state.clock;
        if let Some(at) = state.pages.find(&key(uid)) {
            state.pages.slot_mut(at).epoch = epoch;
        }
    }

    /// Deletes an object of a partition as of `version`; 0 means unknown and counts as now.
    pub fn delete(&self, partition: u32, uid: &str, version: u64) {
        let mut state = self.state();
        let key = key(uid);
        let at = if version == 0 { u64::MAX } else { version };
        let is_gone = state.linger.is_gone(&key.uid) || state.held_back.is_deleted(&key.uid);
        let known = state.pages.find(&key).filter(|_| !is_gone);
        if let Some(known) = known.filter(|known| state.pages.slot(*known).version <= at) {
            let hashes = state.pages.slot(known).hashes();
            if !state.linger.stays(&key.uid) {
                state.remove(known);
            }
            state.end_overdue();
            match version {
                0 => state.history.raise(0),
                version => state.history.changed(version, hashes, false),
            }
        }
        state.history.heard(version);
        if !state.open.is_empty() {
            let deleted = state.tombstones.entry(key.uid).or_default();
            *deleted = (partition, at.max(deleted.1));
        }
    }

    /// Gives up the list that began at `epoch`. It removes nothing, and deletions are no longer recorded for it.
    pub fn abandon(&self, epoch: Epoch) {
        self.state().close(epoch);
    }

    /// Resets the versions of a partition: every state that follows counts as newer.
    pub fn rewind(&self, partition: u32) {
        let mut state = self.state();
        state.tombstones.retain(|_, (of, _)| *of != partition);
        state.history.forget(partition);
        state.pages.slots_mut().filter(|known| known.partition == partition).for_each(|known| known.version = 0);
    }

    /// Finishes the list that began at `epoch`, as of `version` (0: unknown). Removes the objects in its scope that no source
    /// has applied since then.
    pub fn finish(&self, epoch: Epoch, scope: Scope<'_>, version: u64) {
        let mut state = self.state();
        let ResourceState { pages, linger, held_back, .. } = &mut *state;
        let mut held = Vec::new();
        pages.retain(|known| {
            let listed = known.partition == scope.partition && scope.slice.contains(known.hashes());
            let stays = !listed || known.epoch >= epoch.0 || (version != 0 && known.version > version);
            if stays || linger.is_gone(&known.key.uid) || linger.stays(&known.key.uid) {
                return true;
            }
            if held_back.holds(known.hashes()) && !held_back.is_deleted(&known.key.uid) {
                held.push(known.key.clone());
            }
            held_back.holds(known.hashes())
        });
        for key in held {
            if let Some(at) = state.pages.find(&key) {
                state.remove(at);
            }
        }
        state.end_overdue();
        state.history.settle(scope.partition, version);
        state.close(epoch);
    }

    /// Removes all objects of a partition. Its source must have stopped to change it.
    pub fn remove_partition(&self, partition: u32) {
        let epoch = self.begin(None);
        self.finish(epoch, Scope { partition, slice: &Slice::all() }, 0);
    }

    /// Declares that all objects of `loaded` are present. Objects outside it are not exposed.
    pub fn set_loaded(&self, loaded: Slice) {
        self.state().loaded = Arc::new(loaded);
    }

    /// Returns the digest of the exposed objects as of `version`, which all sources must have reached. An object whose new
    /// state does not decode counts in its old state.
    ///
    /// # Errors
    /// The history does not reach back to that version: there were too many changes or a list since then.
    pub fn digest(&self, exposed: &Slice, version: u64) -> Result<Digest, Unknown> {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        let mut now = Digest::default();
        state.present().filter(|known| within(known.hashes())).for_each(|known| now.add(known.hashes()));
        state.history.undo(now, version, within)
    }

    /// Returns the earliest version for [`ResourceStore::digest`]; `None` during a list.
    pub fn floor(&self) -> Option<u64> {
        self.state().history.floor()
    }

    /// Returns the number of objects that are exposed for the slice `exposed`.
    pub fn count(&self, exposed: &Slice) -> usize {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        state.present().filter(|known| within(known.hashes())).count()
    }

    /// Frees the objects outside `slice`.
    pub fn retain(&self, slice: &Slice) {
        let mut state = self.state();
        let ResourceState { pages, linger, held_back, .. } = &mut *state;
        pages.retain(|known| {
            let stays = slice.contains(known.hashes());
            if !stays {
                linger.forget(&known.key.uid);
                held_back.take(&known.key.uid);
            }
            stays
        });
    }

    /// Holds back changes of the objects in `slice` that would end series: deletions, and updates that lack a series. Applies
    /// the changes of other objects that were held back.
    pub fn hold_back(&self, slice: Slice) {
        let mut state = self.state();
        for (uid, change) in state.held_back.set(slice, |uid| Hashes::of(&uid.to_string())) {
            let Some(at) = state.pages.find(&key_of(&uid)) else { continue };
            match change {
                Change::Update(mut block) => {
                    let ResourceState { pages, labels, held_back, .. } = &mut *state;
                    let suffix = ResourceState::suffix(pages, labels, pages.slot(at));
                    block.relabel(0, suffix);
                    let has_moved = give_way(pages, held_back, None, suffix, &block);
                    let Some(at) = (if has_moved { pages.find(&key_of(&uid)) } else { Some(at) }) else { continue };
                    pages.slot_mut(at).suffix = suffix.len() as u16;
                    pages.update(at, block, None);
                }
                Change::Delete(_) => state.pages.remove(at),
            }
        }
        if std::mem::take(&mut state.is_behind) {
            let names = state.pages.namespaces().into_iter().flat_map(|index| index.all().map(|(name, _)| name.into()));
            let (names, mut after) = (names.collect::<Vec<_>>(), None);
            while state.relabel_next(&names, &mut after) {}
        }
    }

    /// Puts labels of Namespaces on every series of their objects. New states of objects get them from now on, and each step of the
    /// iterator gives them to the known objects of one page. Changes that are held back follow when that ends. The store needs an index
    /// ([`ResourceStore::index_namespaces`]).
    pub fn label_namespaces(&self, labels: &Arc<NamespaceLabels>) -> impl Iterator<Item = ()> {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.labels, Arc::clone(labels));
        let names = state.pages.namespaces().into_iter().flat_map(|index| index.all().map(|(name, _)| name));
        let changed: Vec<Box<str>> = names.filter(|name| before.of(name) != labels.of(name)).map(Into::into).collect();
        drop(state);
        let mut after = None;
        std::iter::from_fn(move || self.state().relabel_next(&changed, &mut after).then_some(()))
    }

    /// Records that a scrape keeps compressed text with timestamps in a column.
    pub(super) fn keeps_timed(&self) {
        self.has_timed.store(true, Relaxed);
    }

    /// Frees the compressed text with timestamps. A scrape that still prints them compresses its text again.
    pub fn free_timed(&self) {
        // Cheap if there is none, because it is called often.
        if self.has_timed.swap(false, Relaxed) {
            let state = self.state();
            state.pages.iter().flat_map(Page::columns).for_each(|(_, column)| column.free_timed());
        }
    }

    /// Keeps the series of deleted objects for at least `ticks` whole ticks, if their names are known.
    pub fn linger(&self, ticks: u64) {
        self.state().linger.set(ticks);
    }

    /// Records the name of an applied object, as a hash.
    pub fn named(&self, uid: &str, name: u64) {
        let (mut state, key) = (self.state(), key(uid));
        if state.pages.find(&key).is_some() && !state.linger.is_gone(&key.uid) {
            state.linger.name(&key.uid, name);
        }
    }

    /// Ends the lingering of a deleted object because an object of the same name exists: here with this UID, or on another
    /// replica if `uid` is `None`.
    pub fn end_lingering(&self, name: u64, uid: Option<&str>) {
        let mut state = self.state();
        if state.linger.len() > 0
            && let Some(ended) = state.linger.yields(name, uid.map(Uid::from).as_ref())
        {
            state.pages.end(&key_of(&ended));
        }
    }

    /// Returns the number of deleted objects that linger.
    pub fn lingering(&self) -> usize {
        self.state().linger.len()
    }

    /// Counts a tick, and removes the objects that have lingered long enough.
    pub fn tick(&self) {
        let mut state = self.state();
        state.linger.tick();
        state.end_overdue();
    }

    /// Returns the exposed objects of the first page behind `after`, possibly none; moves `after` to the end of it.
    pub(super) fn uids_after(&self, exposure: &Exposure, after: &mut Option<Key>) -> Option<Vec<Uid>> {
        let state = self.state();
        let slots = state.pages.slots_after(after.as_ref())?;
        *after = Some(slots.last()?.key.clone());
        let shown = |slot: &&Slot| exposure.contains(slot.hashes()) && !state.is_gone(&slot.key.uid);
        Some(slots.iter().filter(shown).map(|slot| slot.key.uid.clone()).collect())
    }

    pub(super) fn exposure(&self, exposed: &Arc<Slice>) -> Exposure {
        Exposure {
            exposed: Arc::clone(exposed),
            loaded: Arc::clone(&self.state().loaded),
            departing: None,
            namespaces: None,
        }
    }

    /// Returns the exposed series of `family` from the first page behind `after` that has any; moves `after` to the end of it.
    pub(super) fn piece(&self, family: u16, exposure: &Exposure, after: &mut Option<Key>) -> Option<Piece> {
        loop {
            // Lock for each page, because `page_after` may have to settle the page.
            let mut state = self.state();
            let (page, past, own) = match &exposure.namespaces {
                None => {
                    let (page, past) = state.pages.page_after(after.as_ref())?;
                    (page, past, None)
                }
                Some(namespaces) => {
                    let index = state.pages.namespaces()?;
                    let numbers: Vec<_> = namespaces.iter().filter_map(|name| index.number(name)).collect();
                    let (page, past, own) = state.pages.page_of(&numbers, after.as_ref())?;
                    (page, past, Some(own))
                }
            };
            let slots = page.slots();
            let (first, last) = (slots.first()?, slots.last()?);
            let column = page.column(family);
            let visible = column.and_then(|_| exposure.of_page(slots, past, first.key.point, last.key.point));
            let visible = visible.and_then(|visible| own.map_or(Some(visible), |own| visible.within(own, slots.len())));
            *after = Some(last.key.clone());
            if let Some(((column, labels), visible)) = column.zip(visible) {
                let departing = exposure.departing_of_page(slots, first.key.point, last.key.point);
                let shares = self.headers.get(usize::from(family)).is_none_or(|header| header.shares);
                // The index in a settled page is that in its columns.
                let lengths = || match slots.iter().any(|slot| slot.suffix > 0) {
                    true => slots.iter().map(|slot| slot.suffix).collect(),
                    false => Box::default(),
                };
                let own = (!shares).then(lengths);
                let (column, labels) = (Arc::clone(column), Arc::clone(labels));
                return Some(Piece { column, labels, own, visible: visible.mask(), departing });
            }
        }
    }
}

fn key(uid: &str) -> Key {
    Key { point: Hasher::XxHash64.hash(uid), uid: uid.into() }
}

fn key_of(uid: &Uid) -> Key {
    key(&uid.to_string())
}

impl Slot {
    /// Records that an object has arrived. Returns false if its state is older than the known one.
    fn renew(&mut self, partition: u32, epoch: u32, stamp: Stamp, history: &mut History) -> bool {
        let Stamp { version, listed } = stamp;
        self.epoch = epoch;
        if self.version > version {
            if listed {
                // The object existed before the event that the history takes for its creation.
                history.raise(self.version);
            }
            return false;
        }
        (self.version, self.partition) = (version, partition);
        true
    }
}

/// Ends the deleted objects that are held back and have series of a new state of another object, which [`HeldBack::replaced`] finds.
/// Returns whether there were any: then other objects may have moved.
fn give_way(
    pages: &mut Pages,
    held_back: &mut HeldBack,
    labels: Option<&[u8]>,
    of_namespace: &[u8],
    block: &Block,
) -> bool {
    let replaced = held_back.replaced(labels, of_namespace, block);
    replaced.iter().for_each(|uid| pages.end(&key_of(uid)));
    !replaced.is_empty()
}

impl ResourceState {
    fn new(headers: &[Header], history: History) -> Self {
        Self {
            pages: Pages::new(headers.len()),
            loaded: Arc::new(Slice::all()),
            history,
            clock: 0,
            open: HashSet::new(),
            tombstones: HashMap::new(),
            linger: Linger::default(),
            held_back: HeldBack::new(headers),
            labels: Arc::default(),
            is_behind: false,
        }
    }

    /// Returns the labels of the Namespace that an object belongs to, as text. `labels` are those of the state.
    fn suffix<'a>(pages: &Pages, labels: &'a NamespaceLabels, slot: &Slot) -> &'a [u8] {
        labels.of(pages.namespaces().map_or("", |index| index.name(slot.namespace)))
    }

    /// Gives the objects of `namespaces` behind `after` in one page the labels of their Namespaces. Returns false after the last one.
    fn relabel_next(&mut self, namespaces: &[Box<str>], after: &mut Option<Key>) -> bool {
        let Self { pages, linger, held_back, labels, is_behind, .. } = self;
        let Some(index) = pages.namespaces() else { return false };
        let by_number: HashMap<_, _> =
            namespaces.iter().filter_map(|name| Some((index.number(name)?, labels.of(name)))).collect();
        let numbers: Vec<_> = by_number.keys().copied().collect();
        let behind = Cell::new(false);
        let has_more = pages.relabel_next(&numbers, after, |slot| {
            // The last state of a deleted object stays.
            if linger.is_gone(&slot.key.uid) || held_back.is_deleted(&slot.key.uid) {
                return None;
            }
            if held_back.holds(slot.hashes()) {
                behind.set(true);
                return None;
            }
            by_number.get(&slot.namespace).copied()
        });
        *is_behind |= behind.get();
        has_more
    }

    /// Returns the objects that are not deleted.
    fn present(&self) -> impl Iterator<Item = &Slot> {
        self.pages.slots().filter(|known| !self.is_gone(&known.key.uid))
    }

    /// Returns whether there is such an object, and it is not deleted.
    fn knows(&self, key: &Key) -> bool {
        self.pages.find(key).is_some() && !self.is_gone(&key.uid)
    }

    /// Returns whether an object was deleted, and is still in the pages.
    fn is_gone(&self, uid: &Uid) -> bool {
        self.linger.is_gone(uid) || self.held_back.is_deleted(uid)
    }

    /// Removes an object, or holds that back.
    fn remove(&mut self, at: At) {
        let known = self.pages.slot(at);
        if !self.held_back.holds(known.hashes()) || !self.held_back.delete(&known.key.uid, self.identities(at)) {
            self.pages.remove(at);
        }
    }

    /// Returns the identities of the series of a stored object.
    fn identities(&self, at: At) -> Identities {
        let labels = self.pages.labels(at);
        let of_namespace = &labels[labels.len() - usize::from(self.pages.slot(at).suffix)..];
        let (mut all, mut room) = (Vec::from_iter(held_back::of_shared(labels)), Vec::new());
        for family in self.held_back.own_families() {
            all.extend(held_back::of_own(*family, of_namespace, self.pages.section(at, *family, &mut room)));
        }
        all.into()
    }

    /// Frees the objects that have lingered long enough or exceed the limit.
    fn end_overdue(&mut self) {
        while let Some(uid) = self.linger.next_over(self.pages.len() - self.linger.len()) {
            if let Some(at) = self.pages.find(&key_of(&uid)) {
                self.remove(at);
            }
        }
    }

    fn close(&mut self, epoch: Epoch) {
        self.open.remove(&epoch);
        if self.open.is_empty() {
            self.tombstones = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests;
