//! A page: neighbours by hash, their labels once each, and their series column by column.
//!
//! Holds the objects and their order; what a column is, [`super::column`] knows.

use std::sync::Arc;

use super::block::Sections;
use super::column::{Column, ColumnBuilder};
use super::records::{Adopted, Texts};
use super::{Block, Uid};
use crate::sharding::Hashes;

/// How many objects a page holds at most. Fewer make more of the deflated text (3 % at 64), more make an update dearer.
pub const PAGE: usize = 128;

/// So many objects may wait to be put into columns, which is done for all at once.
const WAITING: usize = 64;

/// The place of an object in the order of pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its UID by [`crate::sharding::Hasher::XxHash64`].
    pub point: u64,
    /// Its UID.
    pub uid: Uid,
}

/// An object of a page, without its series.
#[derive(Debug)]
pub struct Slot {
    /// Its place.
    pub key: Key,
    /// Its points.
    pub hashes: Hashes,
    /// Its resourceVersion.
    pub version: u64,
    /// The source that it came from.
    pub partition: u32,
    /// When it was last applied.
    pub epoch: u64,
    place: Place,
}

/// Where the series of an object are.
#[derive(Debug)]
enum Place {
    /// Not yet in the columns.
    Waiting(Block),
    /// In the columns, at this index.
    Column(u8),
}

impl Slot {
    /// An object that is new.
    pub fn new(key: Key, hashes: Hashes, version: u64, partition: u32, epoch: u64, mut block: Block) -> Self {
        block.shrink();
        Self { key, hashes, version, partition, epoch, place: Place::Waiting(block) }
    }
}

/// Up to [`PAGE`] objects, in the order of their keys.
#[derive(Debug)]
pub struct Page {
    slots: Vec<Slot>,
    /// Of the objects that are in the columns, by their index there.
    labels: Arc<Labels>,
    /// One a family; `None` where no object has series of it.
    columns: Box<[Option<Arc<Column>>]>,
    /// How many objects came or went since the columns were made.
    waiting: usize,
}

/// The shared labels of the objects of a page.
#[derive(Debug, Default)]
pub struct Labels(Texts);

impl Labels {
    /// Those of the object with this index.
    pub fn get(&self, index: usize) -> &[u8] {
        self.0.get(index)
    }
}

/// The series of an object, to be asked for in the order of families.
enum Series<'a> {
    Waiting(&'a [u8], Sections<'a>),
    /// Those of the first or the second of two pages, at this index.
    Column(usize, u8),
}

impl<'a> Series<'a> {
    fn of(page: usize, slot: &'a Slot) -> Self {
        match &slot.place {
            Place::Waiting(block) => Self::Waiting(block.labels(), block.sections()),
            Place::Column(index) => Self::Column(page, *index),
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
    /// One without objects, for so many families.
    pub fn new(families: usize) -> Self {
        Self { slots: Vec::new(), labels: Arc::default(), columns: vec![None; families].into_boxed_slice(), waiting: 0 }
    }

    /// Its objects, in the order of their keys.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The objects, for what is no matter of series. Keys stay.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Where `key` is, or would be.
    pub fn find(&self, key: &Key) -> Result<usize, usize> {
        self.slots.binary_search_by(|slot| slot.key.cmp(key))
    }

    /// One object, for what is no matter of series.
    pub fn slot_mut(&mut self, at: usize) -> &mut Slot {
        &mut self.slots[at]
    }

    /// Adds an object at the place where [`Page::find`] misses it.
    pub fn insert(&mut self, at: usize, slot: Slot) {
        self.slots.insert(at, slot);
        self.waited();
    }

    /// Removes an object.
    pub fn remove(&mut self, at: usize) {
        self.slots.remove(at);
        self.waited();
    }

    /// Keeps the objects that `keep` wants.
    pub fn retain(&mut self, keep: impl FnMut(&Slot) -> bool) {
        let before = self.slots.len();
        self.slots.retain(keep);
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

    /// Replaces the series of an object. Columns that look the same stay as they are.
    pub fn update(&mut self, at: usize, mut block: Block) {
        let index = match &mut self.slots[at].place {
            Place::Waiting(waiting) => {
                block.shrink();
                *waiting = block;
                return;
            }
            Place::Column(index) => usize::from(*index),
        };
        if self.labels.get(index) != block.labels() {
            let mut labels: Vec<_> = (0..self.labels.0.len()).map(|other| self.labels.get(other)).collect();
            labels[index] = block.labels();
            self.labels = Arc::new(Labels(Texts::of(&labels)));
            for column in self.columns.iter_mut().flatten() {
                *column = column.renewed();
            }
        }
        let objects = self.labels.0.len();
        // Nearly always nothing or little looks different.
        let mut changed = None;
        let builder = || ColumnBuilder::new(objects);
        let mut sections = block.sections();
        for (family, place) in self.columns.iter_mut().enumerate() {
            let new = sections.take(family as u16);
            match place {
                None if new.is_empty() => {}
                None => *place = changed.get_or_insert_with(builder).one(index, new),
                Some(column) if column.shows(index, new) => {}
                Some(column) => *place = changed.get_or_insert_with(builder).changed(column, index, new),
            }
        }
    }

    /// Puts into columns what waits for it, so that a slot's index there is its place in the page.
    pub fn settle(&mut self) {
        if self.waiting > 0 {
            let slots = std::mem::take(&mut self.slots);
            *self = Self::of(self.columns.len(), &[self], slots, |_| 0);
        }
    }

    /// Moves the upper half to a page of its own.
    pub fn split(&mut self) -> Self {
        let upper = self.slots.split_off(self.slots.len() / 2);
        let upper = Self::of(self.columns.len(), &[self], upper, |_| 0);
        self.waiting += upper.slots.len();
        self.settle();
        upper
    }

    /// Takes in all of `next`, whose keys are higher.
    pub fn append(&mut self, mut next: Self) {
        let mut slots = std::mem::take(&mut self.slots);
        let own = slots.len();
        slots.append(&mut next.slots);
        *self = Self::of(self.columns.len(), &[self, &next], slots, |at| usize::from(at >= own));
    }

    /// A settled page of `slots`, whose columns are those of the page that `from` tells by the place of the slot.
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
            slot.place = Place::Column(index);
        }
        Self { slots, labels, columns, waiting: 0 }
    }

    /// The columns there are, with the number of their family.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter_map(|(family, column)| Some((family, &**column.as_ref()?)))
    }

    /// How many bytes the objects take besides their columns.
    pub fn shared_size(&self) -> usize {
        let waiting = self.slots.iter().map(|slot| match &slot.place {
            Place::Waiting(block) => block.size(),
            Place::Column(_) => 0,
        });
        self.slots.capacity() * size_of::<Slot>()
            + size_of_val(&*self.columns)
            + self.labels.0.size()
            + waiting.sum::<usize>()
    }

    /// The series of a family and the labels they share, of a page that is settled.
    pub fn column(&self, family: u16) -> Option<(&Arc<Column>, &Arc<Labels>)> {
        Some((self.columns[usize::from(family)].as_ref()?, &self.labels))
    }
}
