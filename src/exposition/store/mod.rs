//! What is exposed: the objects of every resource, in pages, in the order of their hashes.
//!
//! Several sources may feed one resource at once (namespaces, later the ranges that a replica gains), in any order:
//! the newer resourceVersion wins, deletions are remembered while any source is still listing, and a finished list
//! removes what its scope no longer holds. A scrape names the slice that it exposes: what is loaded can stay hidden, and be
//! shown in one step, for all resources at once.
//!
//! Resources come and go while others are served ([`Store::serve`]): the list of them is swapped as one. A scrape goes on with
//! the list that it began with, so that its families and their series fit; what is no longer in the list is freed with the last
//! scrape that reads it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arc_swap::ArcSwap;

use super::gzip::Deflated;
use super::history::{History, Unknown};
use super::linger::Linger;
use super::page::{Key, Slot};
use super::pages::Pages;
use super::scrape::{Piece, Scrape, View};
use super::text::{Format, Selection};
use super::{Block, Header, Uid};
use crate::sharding::{Digest, Hasher, Hashes, Slice};
use crate::sync::lock;

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

#[derive(Debug)]
struct State {
    pages: Pages,
    /// Of what all objects are here; others may be, but only in part.
    loaded: Arc<Slice>,
    history: History,
    /// The newest epoch.
    clock: u64,
    /// Lists that are under way.
    open: HashSet<Epoch>,
    /// Deletions seen while a list is under way, with their versions: an older item must not bring the object back.
    tombstones: HashMap<Uid, u64>,
    /// Who is gone and still in the pages.
    linger: Linger,
}

/// What the objects of a resource take, in bytes.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// How many objects there are.
    pub objects: usize,
    /// What is kept once an object: its key, and the labels that its series share.
    pub shared: usize,
    /// The rest, by family, as the resource's headers number them.
    pub families: Vec<FamilyFootprint>,
}

/// What the series of a family take, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FamilyFootprint {
    /// The series, without the labels that all series of their object share.
    pub series: usize,
    /// What is deflated of them; nothing before the first gzipped scrape.
    pub deflated: usize,
}

/// The objects of one resource. Its lock is held while an object or a page changes, never while text is made.
#[derive(Debug)]
pub struct ResourceStore {
    name: String,
    headers: Vec<Header>,
    state: Mutex<State>,
}

impl ResourceStore {
    /// An empty one, whose blocks number their families as `headers` does.
    pub fn new(name: &str, headers: Vec<Header>) -> Arc<Self> {
        Self::with(name, headers, History::default())
    }

    /// The same where no changes are remembered: nobody asks for sums as of an earlier resourceVersion.
    pub fn without_history(name: &str, headers: Vec<Header>) -> Arc<Self> {
        Self::with(name, headers, History::of(0))
    }

    fn with(name: &str, headers: Vec<Header>, history: History) -> Arc<Self> {
        let state = Mutex::new(State::new(headers.len(), history));
        Arc::new(Self { name: name.to_owned(), headers, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held, of which we know none, could at worst leave out objects of one page.
        lock(&self.state)
    }

    /// The resource's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its families, as blocks number them.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// What its objects take.
    pub fn footprint(&self) -> Footprint {
        let state = self.state();
        let families = vec![FamilyFootprint::default(); self.headers.len()];
        let mut footprint = Footprint { objects: state.pages.len(), shared: 0, families };
        for page in state.pages.iter() {
            footprint.shared += page.shared_size();
            for (family, column) in page.columns() {
                let of_family = &mut footprint.families[family];
                of_family.series += column.size();
                of_family.deflated += column.deflated.get().map_or(0, |deflated| deflated.bytes.len());
            }
        }
        footprint
    }

    /// How many objects are kept, exposed or not.
    pub fn len(&self) -> usize {
        let state = self.state();
        state.pages.len() - state.linger.len()
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

    /// An object is there, new or changed; `hashes` are those of `uid`. What is known already and newer stays.
    pub fn apply(&self, partition: u32, uid: Uid, hashes: Hashes, stamp: Stamp, block: Block) {
        let mut state = self.state();
        let State { pages, history, tombstones, loaded, clock, linger, .. } = &mut *state;
        let Stamp { version, listed } = stamp;
        history.heard(version);
        if let Some(deleted) = tombstones.get(&uid).filter(|deleted| version <= **deleted) {
            // It was there when the list was made, and its removal is not in the history: the object was not known.
            history.raise(if *deleted == u64::MAX { 0 } else { *deleted });
            return;
        }
        let key = Key { point: hashes.xxhash64, uid };
        if linger.comes_back(&key.uid)
            && let Some(at) = pages.find(&key)
        {
            // It is as new as one that was never here.
            pages.remove(at);
        }
        let Some(at) = pages.find(&key) else {
            if !listed {
                history.changed(version, hashes, true);
            } else if loaded.contains(hashes) {
                history.unsettle(partition);
            }
            pages.insert(Slot::new(key, hashes, version, partition, *clock, block));
            return;
        };
        let known = pages.slot_mut(at);
        known.epoch = *clock;
        if known.version > version {
            if listed {
                // It was there before the event that the history takes for its creation.
                history.raise(known.version);
            }
            return;
        }
        (known.version, known.partition) = (version, partition);
        pages.update(at, block);
    }

    /// An object is still there, in the state that is known: its new one could not be read.
    pub fn touch(&self, uid: &str) {
        let mut state = self.state();
        let epoch = state.clock;
        if let Some(at) = state.pages.find(&key(uid)) {
            state.pages.slot_mut(at).epoch = epoch;
        }
    }

    /// An object is gone as of `version` (0: unknown, taken as now).
    pub fn delete(&self, uid: &str, version: u64) {
        let mut state = self.state();
        let key = key(uid);
        let at = if version == 0 { u64::MAX } else { version };
        let known = state.pages.find(&key).filter(|_| !state.linger.is_gone(&key.uid));
        if let Some(known) = known.filter(|known| state.pages.slot(*known).version <= at) {
            let hashes = state.pages.slot(known).hashes;
            if !state.linger.stays(&key.uid) {
                state.pages.remove(known);
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
        state.pages.slots_mut().filter(|known| known.partition == partition).for_each(|known| known.version = 0);
    }

    /// The list that began at `epoch` is whole, as of `version` (0: unknown): what its scope kept from before, and nobody
    /// applied since, is gone.
    pub fn finish(&self, epoch: Epoch, scope: Scope<'_>, version: u64) {
        let mut state = self.state();
        let State { pages, linger, .. } = &mut *state;
        pages.retain(|known| {
            let listed = known.partition == scope.partition && scope.slice.contains(known.hashes);
            let stays = !listed || known.epoch >= epoch.0 || (version != 0 && known.version > version);
            stays || linger.is_gone(&known.key.uid) || linger.stays(&known.key.uid)
        });
        state.end_overdue();
        state.history.settle(scope.partition, version);
        state.close(epoch);
    }

    /// From now on all objects of `loaded` are here, and of others perhaps some: none of those is exposed.
    pub fn set_loaded(&self, loaded: Slice) {
        self.state().loaded = Arc::new(loaded);
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
        state.present().filter(|known| within(known.hashes)).for_each(|known| now.add(known.hashes));
        state.history.undo(now, version, within)
    }

    /// The earliest version as of which [`ResourceStore::digest`] is known; `None` while a list is under way.
    pub fn floor(&self) -> Option<u64> {
        self.state().history.floor()
    }

    /// How many objects are exposed while `exposed` is.
    pub fn count(&self, exposed: &Slice) -> usize {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        state.present().filter(|known| within(known.hashes)).count()
    }

    /// The objects that are exposed while `exposed` is, in no order.
    pub fn uids(&self, exposed: &Slice) -> Vec<Uid> {
        let state = self.state();
        let within = |hashes| state.loaded.contains(hashes) && exposed.contains(hashes);
        state.present().filter(|known| within(known.hashes)).map(|known| known.key.uid.clone()).collect()
    }

    /// Frees the objects outside `slice`.
    pub fn retain(&self, slice: &Slice) {
        let mut state = self.state();
        let State { pages, linger, .. } = &mut *state;
        pages.retain(|known| {
            let stays = slice.contains(known.hashes);
            if !stays {
                linger.forget(&known.key.uid);
            }
            stays
        });
    }

    /// From now on the series of who is deleted stay for at least so many whole ticks, as far as their names are known.
    pub fn linger(&self, ticks: u64) {
        self.state().linger.set(ticks);
    }

    /// An object that was applied is called so; names are told as hashes.
    pub fn named(&self, uid: &str, name: u64) {
        let (mut state, key) = (self.state(), key(uid));
        if state.pages.find(&key).is_some() && !state.linger.is_gone(&key.uid) {
            state.linger.name(&key.uid, name);
        }
    }

    /// An object of this name is there, with this UID or, if that is `None`, elsewhere: who lingers under the name ends.
    pub fn end_lingering(&self, name: u64, uid: Option<&str>) {
        let mut state = self.state();
        if state.linger.len() > 0
            && let Some(ended) = state.linger.yields(name, uid.map(Uid::from).as_ref())
        {
            state.end(&ended);
        }
    }

    /// How many objects that are gone linger.
    pub fn lingering(&self) -> usize {
        self.state().linger.len()
    }

    /// A tick has passed: whose time is over ends.
    pub fn tick(&self) {
        let mut state = self.state();
        state.linger.tick();
        state.end_overdue();
    }

    fn view(&self, exposed: &Arc<Slice>) -> View {
        View { exposed: Arc::clone(exposed), loaded: Arc::clone(&self.state().loaded) }
    }

    /// The series of `family` of the first page behind `after` that has any to be seen; `after` then moves to its end.
    pub(super) fn piece(&self, family: u16, view: &View, after: &mut Option<Key>) -> Option<Piece> {
        loop {
            // Taken anew for each page, since a page may have to be put in order.
            let mut state = self.state();
            let (page, past) = state.pages.page_after(after.as_ref())?;
            let slots = page.slots();
            let (first, last) = (slots.first()?, slots.last()?);
            let column = page.column(family);
            let visible = column.and_then(|_| view.of_page(slots, past, first.key.point, last.key.point));
            *after = Some(last.key.clone());
            if let Some(((column, labels), visible)) = column.zip(visible) {
                return Some(Piece { column: Arc::clone(column), labels: Arc::clone(labels), visible: visible.mask() });
            }
        }
    }
}

/// Which objects of a page are to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visible {
    All,
    Some(u128),
}

impl Visible {
    const fn mask(self) -> Option<u128> {
        match self {
            Self::All => None,
            Self::Some(mask) => Some(mask),
        }
    }
}

impl View {
    /// Of a page with these slots, whose points lie from `first` to `last`, without the first `past`; `None` for no object.
    fn of_page(&self, slots: &[Slot], past: usize, first: u64, last: u64) -> Option<Visible> {
        if past == 0 && [&self.exposed, &self.loaded].iter().all(|slice| slice.contains_span(first, last)) {
            return Some(Visible::All);
        }
        let shown = |slot: &Slot| self.exposed.contains(slot.hashes) && self.loaded.contains(slot.hashes);
        let bits = slots.iter().enumerate().skip(past).filter(|(_, slot)| shown(slot));
        let (mask, count) = bits.fold((0_u128, 0), |(mask, count), (at, _)| (mask | 1 << at, count + 1));
        match count {
            0 => None,
            count if count == slots.len() => Some(Visible::All),
            _ => Some(Visible::Some(mask)),
        }
    }
}

fn key(uid: &str) -> Key {
    Key { point: Hasher::XxHash64.hash(uid), uid: uid.into() }
}

impl State {
    fn new(families: usize, history: History) -> Self {
        Self {
            pages: Pages::new(families),
            loaded: Arc::new(Slice::all()),
            history,
            clock: 0,
            open: HashSet::new(),
            tombstones: HashMap::new(),
            linger: Linger::default(),
        }
    }

    /// The objects that are there.
    fn present(&self) -> impl Iterator<Item = &Slot> {
        self.pages.slots().filter(|known| !self.linger.is_gone(&known.key.uid))
    }

    /// Frees what lingered for long enough, or is too much.
    fn end_overdue(&mut self) {
        while let Some(uid) = self.linger.next_over(self.pages.len() - self.linger.len()) {
            self.end(&uid);
        }
    }

    /// Frees an object that lingered.
    fn end(&mut self, uid: &Uid) {
        let point = Hasher::XxHash64.hash(&uid.to_string());
        if let Some(at) = self.pages.find(&Key { point, uid: uid.clone() }) {
            self.pages.remove(at);
        }
    }

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
    /// HELP and TYPE, deflated; of text and of OpenMetrics.
    pub deflated: [OnceLock<Deflated>; 2],
    /// Resource and index of the family in that resource's table.
    pub members: Vec<(usize, u16)>,
}

/// The resources that are served together, and their families.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub resources: Vec<Arc<ResourceStore>>,
    pub families: Vec<Joined>,
}

impl Served {
    fn new(resources: Vec<Arc<ResourceStore>>) -> Self {
        let mut families: Vec<Joined> = Vec::new();
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        for (resource, store) in resources.iter().enumerate() {
            for (index, header) in (0_u16..).zip(&store.headers) {
                let place = *by_name.entry(&header.name).or_insert_with(|| {
                    families.push(Joined { header: header.clone(), deflated: Default::default(), members: Vec::new() });
                    families.len() - 1
                });
                families[place].members.push((resource, index));
            }
        }
        Self { resources, families }
    }
}

/// The resources that are served.
#[derive(Debug, Default)]
pub struct Store(ArcSwap<Served>);

impl Store {
    /// Serves `resources`, in this order.
    pub fn new(resources: Vec<Arc<ResourceStore>>) -> Self {
        Self(ArcSwap::from_pointee(Served::new(resources)))
    }

    /// From now on serves `resources` and no others, in this order. Scrapes that have begun go on with those of their beginning.
    pub fn serve(&self, resources: Vec<Arc<ResourceStore>>) {
        self.0.store(Arc::new(Served::new(resources)));
    }

    /// All resources, in the order in which they are served.
    pub fn resources(&self) -> Vec<Arc<ResourceStore>> {
        self.0.load().resources.clone()
    }

    /// The exposition of the objects in `exposed`, made chunk by chunk as it is read.
    pub fn scrape(&self, selection: &Selection, format: Format, exposed: &Slice) -> Scrape {
        let served = self.0.load_full();
        let exposed = Arc::new(exposed.clone());
        let views = served.resources.iter().map(|r| selection.selects(&r.name).then(|| r.view(&exposed))).collect();
        Scrape::new(served, views, format)
    }
}

#[cfg(test)]
mod tests;
