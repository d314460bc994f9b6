//! A page: objects that are neighbors by hash, the labels of each, and their series column by column.
//!
//! Holds the objects and their order; [`super::column`] holds the series.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::block::{Block, Sections, lines};
use super::column::{Column, ColumnBuilder};
use super::namespaces::Number;
use super::parts::Fingerprints;
use super::records::{Adopted, Texts};
use super::uid::Uid;
use crate::sharding::Hashes;

/// Number of objects that may wait to be put into columns; a page settles them together.
const WAITING: usize = 64;

/// The position of an object in the order of pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The hash of the UID by [`crate::sharding::Hasher::XxHash64`].
    pub point: u64,
    /// The UID.
    pub uid: Uid,
}

/// An object of a page, without its series.
#[derive(Debug)]
pub struct Slot {
    /// The position.
    pub key: Key,
    /// The other hash of the UID.
    fnv1a64: u64,
    /// The resourceVersion.
    pub version: u64,
    /// The source of the object.
    pub partition: u32,
    /// The epoch in which the object was last applied.
    pub epoch: u32,
    /// The fingerprints of the state that its series show.
    pub fingerprints: Fingerprints,
    /// The block that waits to be put into the columns, if it does.
    waiting: Option<Box<Block>>,
    /// The number of its namespace in the index of the resource; 0 without one.
    pub namespace: Number,
    /// How many of the last bytes of its labels are those of its Namespace.
    pub suffix: u16,
    /// The index in the columns, unless a block waits.
    column: u8,
}

// Each object has one.
const _: () = assert!(size_of::<Slot>() <= 88, "a larger slot costs memory per object");

impl Slot {
    /// Creates a slot for a new object without fingerprints.
    pub fn new(key: Key, hashes: Hashes, version: u64, partition: u32, epoch: u32, mut block: Block) -> Self {
        block.shrink();
        Self {
            key,
            fnv1a64: hashes.fnv1a64,
            version,
            partition,
            epoch,
            fingerprints: Fingerprints::default(),
            waiting: Some(Box::new(block)),
            namespace: 0,
            suffix: 0,
            column: 0,
        }
    }

    /// Returns the hashes of the UID.
    pub const fn hashes(&self) -> Hashes {
        Hashes { xxhash64: self.key.point, fnv1a64: self.fnv1a64 }
    }

    /// Returns whether the series are in the columns.
    pub const fn is_settled(&self) -> bool {
        self.waiting.is_none()
    }
}

fn point_of_first(slots: &[Slot]) -> u64 {
    slots.first().map_or(0, |first| first.key.point)
}

/// Returns whether the section `old` has a series that `new` lacks.
fn has_series_beside(old: &[u8], new: &[u8]) -> bool {
    if old.is_empty() || old == new {
        return false;
    }
    // Values have no blanks.
    let labels = |line| memchr::memrchr(b' ', line).map_or(line, |at| &line[..at]);
    let new: HashSet<_> = lines(new).map(labels).collect();
    lines(old).any(|line| !new.contains(labels(line)))
}

/// Up to [`super::records::PAGE`] objects, in the order of their keys.
#[derive(Debug)]
pub struct Page {
    slots: Vec<Slot>,
    /// The labels of the objects in the columns, by their index there.
    labels: Arc<Labels>,
    /// One column per family; `None` if no object has series of it.
    columns: Box<[Option<Arc<Column>>]>,
    /// Number of insertions and removals since the columns were built.
    waiting: usize,
    /// The hash of the first object, beside those of other pages, so that a search reads little memory.
    first: u64,
}

/// The shared labels of the objects of a page.
#[derive(Debug, Default)]
pub struct Labels(Texts);

impl Labels {
    /// Returns the labels of the object with this index.
    pub fn get(&self, index: usize) -> &[u8] {
        self.0.get(index)
    }
}

/// The series of an object. Take them in the order of families.
enum Series<'a> {
    Waiting(&'a [u8], Sections<'a>),
    /// In the columns of the first or the second of two pages, at this index.
    Column(usize, u8),
}

impl<'a> Series<'a> {
    fn of(page: usize, slot: &'a Slot) -> Self {
        match &slot.waiting {
            Some(block) => Self::Waiting(block.labels(), block.sections()),
            None => Self::Column(page, slot.column),
        }
    }

    fn labels(&self, pages: &[&'a Page]) -> &'a [u8] {
        match self {
            Self::Waiting(labels, _) => labels,
            Self::Column(page, index) => pages[*page].labels.get(usize::from(*index)),
        }
    }
}

impl Page {
    /// Creates an empty page for this number of families.
    pub fn new(families: usize) -> Self {
        Self {
            slots: Vec::new(),
            labels: Arc::default(),
            columns: vec![None; families].into_boxed_slice(),
            waiting: 0,
            first: 0,
        }
    }

    /// Returns the objects, in the order of their keys.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the objects, to change fields other than keys and series.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    fn note_first(&mut self) {
        self.first = point_of_first(&self.slots);
    }

    /// Returns whether the key of the first object is `key` or a lower one.
    pub fn starts_by(&self, key: &Key) -> bool {
        match self.first.cmp(&key.point) {
            Ordering::Equal => self.slots.first().is_none_or(|first| first.key <= *key),
            order => order.is_lt(),
        }
    }

    /// Returns the position of `key`, or the position at which to insert it.
    pub fn find(&self, key: &Key) -> Result<usize, usize> {
        self.slots.binary_search_by(|slot| slot.key.cmp(key))
    }

    /// Returns an object, to change fields other than its key and series.
    pub fn slot_mut(&mut self, at: usize) -> &mut Slot {
        &mut self.slots[at]
    }

    /// Inserts an object at the position that [`Page::find`] returns.
    pub fn insert(&mut self, at: usize, slot: Slot) {
        self.slots.insert(at, slot);
        self.note_first();
        self.waited();
    }

    /// Removes an object.
    pub fn remove(&mut self, at: usize) {
        self.slots.remove(at);
        self.note_first();
        self.waited();
    }

    /// Keeps the objects for which `keep` returns true.
    pub fn retain(&mut self, keep: impl FnMut(&Slot) -> bool) {
        let before = self.slots.len();
        self.slots.retain(keep);
        self.note_first();
        if self.slots.len() < before {
            self.waiting += before - self.slots.len();
            self.settle();
        }
    }

    fn waited(&mut self) {
        self.waiting += 1;
        if self.waiting >= WAITING {
            self.settle();
        }
    }

    /// Replaces the series of an object. Keeps columns that do not change. If `block` does not show the whole object, `shown`
    /// returns the families that it shows; the series of others and the shared labels stay.
    pub fn update(&mut self, at: usize, mut block: Block, shown: Option<&dyn Fn(usize) -> bool>) {
        let slot = &mut self.slots[at];
        if let Some(waiting) = &mut slot.waiting {
            block.shrink();
            **waiting = block;
            return;
        }
        let index = usize::from(slot.column);
        if shown.is_none() && self.labels.get(index) != block.labels() {
            let mut labels: Vec<_> = (0..self.labels.0.len()).map(|other| self.labels.get(other)).collect();
            labels[index] = block.labels();
            self.labels = Arc::new(Labels(Texts::of(&labels)));
            for column in self.columns.iter_mut().flatten() {
                *column = column.renewed();
            }
        }
        let objects = self.labels.0.len();
        let is_shown = |family: usize| shown.is_none_or(|shown| shown(family));
        // Each column lies elsewhere in memory. The processor loads several at once if nothing waits for them in between.
        for (_, column) in self.columns().filter(|(family, _)| is_shown(*family)) {
            column.touch(index);
        }
        // Usually few columns change, or none.
        let mut changed = None;
        let builder = || ColumnBuilder::new(objects);
        let mut sections = block.sections();
        for (family, own) in self.columns.iter_mut().enumerate() {
            if !is_shown(family) {
                continue;
            }
            let new = sections.take(family as u16);
            match own {
                None if new.is_empty() => {}
                None => *own = changed.get_or_insert_with(builder).one(index, new),
                Some(column) if column.shows(index, new) => {}
                Some(column) => *own = changed.get_or_insert_with(builder).changed(column, index, new),
            }
        }
    }

    /// Returns the labels that the series of an object share.
    pub fn labels(&self, at: usize) -> &[u8] {
        let slot = &self.slots[at];
        slot.waiting.as_ref().map_or_else(|| self.labels.get(usize::from(slot.column)), |block| block.labels())
    }

    /// Gives new labels of their Namespace to the objects of `mask` for which `suffix` returns some. The page must be settled.
    pub fn relabel<'a>(&mut self, mask: u128, suffix: impl Fn(&Slot) -> Option<&'a [u8]>) {
        let mut labels: Vec<Cow<'_, [u8]>> =
            (0..self.slots.len()).map(|at| Cow::Borrowed(self.labels.get(at))).collect();
        let mut changed = false;
        for (at, slot) in self.slots.iter_mut().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
            let Some(new) = suffix(slot) else { continue };
            let (base, old) = labels[at].split_at(labels[at].len() - usize::from(slot.suffix));
            if old != new {
                labels[at] = Cow::Owned([base, new].concat());
                // NB: namespaces limit the length.
                slot.suffix = new.len() as u16;
                changed = true;
            }
        }
        if changed {
            let texts: Vec<_> = labels.iter().map(|label| &**label).collect();
            self.labels = Arc::new(Labels(Texts::of(&texts)));
            for column in self.columns.iter_mut().flatten() {
                *column = column.renewed();
            }
        }
    }

    /// Returns the series of an object in a family. Uses `room` to assemble those that are stored as edits.
    pub fn section<'a>(&'a self, at: usize, family: u16, room: &'a mut Vec<u8>) -> &'a [u8] {
        let slot = &self.slots[at];
        match &slot.waiting {
            Some(block) => block.sections().take(family),
            None => {
                let column = self.columns[usize::from(family)].as_ref();
                column.map_or(&[], |column| column.section(usize::from(slot.column), room))
            }
        }
    }

    /// Returns whether an object has a series that `block` lacks.
    pub fn has_series_beside(&self, at: usize, block: &Block) -> bool {
        if self.labels(at) != block.labels() {
            return true;
        }
        let (mut new, mut room) = (block.sections(), Vec::new());
        let slot = &self.slots[at];
        match &slot.waiting {
            Some(old) => {
                let mut old = old.sections();
                (0..self.columns.len() as u16).any(|family| has_series_beside(old.take(family), new.take(family)))
            }
            None => (0_u16..).zip(&self.columns).any(|(family, column)| {
                let old = column.as_ref().map(|column| column.section(usize::from(slot.column), &mut room));
                has_series_beside(old.unwrap_or_default(), new.take(family))
            }),
        }
    }

    /// Puts the waiting objects into columns. The index of a slot there then equals its position in the page.
    pub fn settle(&mut self) {
        if self.waiting > 0 {
            let slots = std::mem::take(&mut self.slots);
            *self = Self::of(self.columns.len(), &[self], slots, |_| 0);
        }
    }

    /// Moves the upper half to a new page.
    pub fn split(&mut self) -> Self {
        let upper = self.slots.split_off(self.slots.len() / 2);
        let upper = Self::of(self.columns.len(), &[self], upper, |_| 0);
        self.waiting += upper.slots.len();
        self.settle();
        upper
    }

    /// Appends all objects of `next`, whose keys are higher.
    pub fn append(&mut self, mut next: Self) {
        let mut slots = std::mem::take(&mut self.slots);
        let own = slots.len();
        slots.append(&mut next.slots);
        *self = Self::of(self.columns.len(), &[self, &next], slots, |at| usize::from(at >= own));
    }

    /// Returns a settled page of `slots`. `from` maps the position of a slot to the index of its old page in `pages`.
    fn of(families: usize, pages: &[&Self], mut slots: Vec<Slot>, from: impl Fn(usize) -> usize) -> Self {
        let mut series: Vec<_> = slots.iter().enumerate().map(|(at, slot)| Series::of(from(at), slot)).collect();
        let labels: Vec<_> = series.iter().map(|series| series.labels(pages)).collect();
        let labels = Arc::new(Labels(Texts::of(&labels)));
        let mut new = ColumnBuilder::new(series.len());
        let columns = (0..families).map(|family| {
            let mut old = [0, 1].map(|page| Some((pages.get(page)?.columns[family].as_ref()?, Adopted::default())));
            for (at, series) in series.iter().enumerate() {
                if let Series::Column(page, index) = series
                    && let Some((column, adopted)) = &mut old[*page]
                {
                    new.adopt(at, column, usize::from(*index), adopted);
                }
            }
            for (at, series) in series.iter_mut().enumerate() {
                if let Series::Waiting(_, sections) = series {
                    new.add(at, sections.take(family as u16));
                }
            }
            new.finish()
        });
        let columns = columns.collect();
        drop(series);
        for (index, slot) in (0..).zip(&mut slots) {
            (slot.waiting, slot.column) = (None, index);
        }
        let first = point_of_first(&slots);
        Self { slots, labels, columns, waiting: 0, first }
    }

    /// Returns the columns with the indices of their families.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter_map(|(family, column)| Some((family, &**column.as_ref()?)))
    }

    /// Returns the memory of the objects without their columns, in bytes.
    pub fn shared_size(&self) -> usize {
        let blocks = self.slots.iter().filter_map(|slot| slot.waiting.as_ref());
        let waiting = blocks.map(|block| size_of::<Block>() + block.size());
        let fingerprints = self.slots.iter().map(|slot| slot.fingerprints.size());
        self.slots.capacity() * size_of::<Slot>()
            + size_of_val(&*self.columns)
            + self.labels.0.size()
            + waiting.sum::<usize>()
            + fingerprints.sum::<usize>()
    }

    /// Returns the series of a family and the labels of the objects. The page must be settled.
    pub fn column(&self, family: u16) -> Option<(&Arc<Column>, &Arc<Labels>)> {
        Some((self.columns[usize::from(family)].as_ref()?, &self.labels))
    }
}
