//! A page: neighbours by hash, their labels once each, and their series column by column.
//!
//! A column is what the objects of a page have of one family. It never changes: an update makes a new one of what it changes,
//! and leaves the others alone with what was deflated of them. Scrapes hold columns, not pages.

use std::sync::{Arc, OnceLock};

use super::block::Sections;
use super::gzip::Deflated;
use super::{Block, Uid};
use crate::sharding::Hashes;

/// How many objects a page holds at most. Fewer make more of the deflated text (3 % at 64), more make an update dearer.
pub const PAGE: usize = 128;

/// So many objects may wait to be put into columns, which is done for all at once.
const WAITING: usize = 64;

/// In [`Column::index`]: the object has no series of the family.
const NONE: u8 = u8::MAX;

const _: () = assert!(PAGE < NONE as usize, "a page's sections are counted by a byte");

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

/// Texts, one behind the other.
#[derive(Debug, Default)]
struct Texts {
    ends: Box<[u32]>,
    bytes: Box<[u8]>,
}

impl Texts {
    fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[index] as usize]
    }

    fn of(texts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len()).sum());
        let ends = texts.iter().map(|text| {
            bytes.extend_from_slice(text);
            // NB: a page holds objects of 1.5 MiB at most each, as etcd has it.
            bytes.len() as u32
        });
        Self { ends: ends.collect(), bytes: bytes.into_boxed_slice() }
    }
}

/// The sections of one family of a page. Objects of a kind have much in common: each section is there once.
#[derive(Debug)]
pub struct Column {
    /// Of each object, which of the sections is its own, or [`NONE`].
    index: Box<[u8]>,
    sections: Texts,
    /// The whole column as text, deflated, if somebody has asked for it.
    pub deflated: OnceLock<Deflated>,
}

impl Column {
    /// The section of the object with this index.
    pub fn section(&self, index: usize) -> &[u8] {
        match self.index[index] {
            NONE => &[],
            own => self.sections.get(own.into()),
        }
    }

    /// How many objects it is of.
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Objects with these sections; `None` if there is no section at all.
    fn of(index: Box<[u8]>, sections: &[&[u8]]) -> Option<Arc<Self>> {
        let column = || Self { index, sections: Texts::of(sections), deflated: OnceLock::new() };
        (!sections.is_empty()).then(|| Arc::new(column()))
    }

    /// The same but for the object with this index, which has `own`.
    fn with(&self, index: usize, own: &[u8]) -> Option<Arc<Self>> {
        let (mut sections, mut numbers) = (Vec::with_capacity(PAGE), [NONE; PAGE + 1]);
        let mut all = self.index.clone();
        all[index] = NONE;
        for number in all.iter_mut().filter(|number| **number != NONE) {
            let known = &mut numbers[usize::from(*number)];
            if *known == NONE {
                *known = sections.len() as u8;
                sections.push(self.sections.get(usize::from(*number)));
            }
            *number = *known;
        }
        if !own.is_empty() {
            let same = sections.iter().position(|section| *section == own);
            all[index] = same.unwrap_or(sections.len()) as u8;
            if same.is_none() {
                sections.push(own);
            }
        }
        Self::of(all, &sections)
    }

    /// The same, to be deflated anew.
    fn renewed(&self) -> Arc<Self> {
        let sections = Texts { ends: self.sections.ends.clone(), bytes: self.sections.bytes.clone() };
        Arc::new(Self { index: self.index.clone(), sections, deflated: OnceLock::new() })
    }
}

/// Slots of the table of [`Distinct`]: a power of two, and twice as many as there may be texts.
const TABLE: usize = (2 * PAGE).next_power_of_two();

/// Numbers texts in the order in which they come, equal ones alike: an open-addressing table.
struct Distinct<'a> {
    texts: Vec<&'a [u8]>,
    table: [u8; TABLE],
}

impl Default for Distinct<'_> {
    fn default() -> Self {
        Self { texts: Vec::with_capacity(PAGE), table: [NONE; TABLE] }
    }
}

impl<'a> Distinct<'a> {
    fn number(&mut self, text: &'a [u8]) -> u8 {
        if text.is_empty() {
            return NONE;
        }
        let mut at = fingerprint(text) as usize % TABLE;
        loop {
            match self.table[at] {
                NONE => {
                    let number = self.texts.len() as u8;
                    self.table[at] = number;
                    self.texts.push(text);
                    return number;
                }
                number if self.texts[usize::from(number)] == text => return number,
                _ => at = (at + 1) % TABLE,
            }
        }
    }
}

/// A cheap hash: what tells sections of a family apart stands at their ends (values) or within (addresses, names).
fn fingerprint(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let word = |at: usize| text.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
    let last = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mixed = (word(text.len() / 2) ^ text.len() as u64).wrapping_mul(ODD) ^ last;
    mixed.wrapping_mul(ODD) >> 32
}

/// The series of an object, to be asked for in the order of families.
enum Series<'a> {
    Waiting(&'a [u8], Sections<'a>),
    /// Those of the first or the second of two pages, at this index.
    Column(usize, u8),
}

/// New numbers of the sections of an old column, of each of two pages.
type Memo = [[u8; PAGE + 1]; 2];

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

    /// The number of its section of `family`.
    fn number(&mut self, pages: &[&'a Page], family: usize, distinct: &mut Distinct<'a>, memo: &mut Memo) -> u8 {
        match self {
            Self::Waiting(_, sections) => distinct.number(sections.take(family as u16)),
            Self::Column(page, index) => {
                let Some(column) = &pages[*page].columns[family] else { return NONE };
                let old = column.index[usize::from(*index)];
                let known = if old == NONE { return NONE } else { &mut memo[*page][usize::from(old)] };
                if *known == NONE {
                    *known = distinct.number(column.sections.get(usize::from(old)));
                }
                *known
            }
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
            let mut labels: Vec<_> = (0..self.labels.0.ends.len()).map(|other| self.labels.get(other)).collect();
            labels[index] = block.labels();
            self.labels = Arc::new(Labels(Texts::of(&labels)));
            for column in self.columns.iter_mut().flatten() {
                *column = column.renewed();
            }
        }
        let objects = self.labels.0.ends.len();
        let mut sections = block.sections();
        for (family, place) in self.columns.iter_mut().enumerate() {
            let new = sections.take(family as u16);
            match place {
                None if new.is_empty() => {}
                None => {
                    let index = (0..objects).map(|object| if object == index { 0 } else { NONE }).collect();
                    *place = Column::of(index, &[new]);
                }
                Some(column) if column.section(index) == new => {}
                Some(column) => *place = column.with(index, new),
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
        let columns = (0..families).map(|family| {
            let (mut distinct, mut memo) = (Distinct::default(), [[NONE; PAGE + 1]; 2]);
            let numbers = series.iter_mut().map(|s| s.number(pages, family, &mut distinct, &mut memo)).collect();
            Column::of(numbers, &distinct.texts)
        });
        let columns = columns.collect();
        drop(series);
        for (index, slot) in (0..).zip(&mut slots) {
            slot.place = Place::Column(index);
        }
        Self { slots, labels, columns, waiting: 0 }
    }

    /// The series of a family and the labels they share, of a page that is settled.
    pub fn column(&self, family: u16) -> Option<(&Arc<Column>, &Arc<Labels>)> {
        Some((self.columns[usize::from(family)].as_ref()?, &self.labels))
    }
}
