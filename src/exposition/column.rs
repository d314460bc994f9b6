//! A column: the series of one family for all objects of a page.
//!
//! Columns are immutable: an update replaces the columns that it changes, and the others keep their compressed text. Scrapes
//! hold columns, not pages. [`super::records`] stores the sections.

use std::sync::{Arc, Mutex, OnceLock};

use super::gzip::Deflated;
use super::records::{Adopted, NONE, Records, RecordsBuilder};
use crate::sync::lock;

/// The sections of one family of a page.
#[derive(Debug)]
pub struct Column {
    /// Behind the record number of each object, or [`NONE`].
    records: Records,
    /// The text of the whole column, compressed by the first gzipped scrape.
    pub deflated: OnceLock<Deflated>,
    /// The last compressed text in which series have timestamps, until [`Self::free_timed`].
    pub timed: Mutex<Option<Box<Timed>>>,
}

/// Compressed text of a column in which series have timestamps.
#[derive(Debug)]
pub struct Timed {
    /// The end of each line with a timestamp.
    pub timestamp: Box<[u8]>,
    /// One bit per object that is exposed, and per object with a timestamp.
    pub masks: (Option<u128>, u128),
    /// The text.
    pub deflated: Deflated,
}

impl Column {
    const fn new(records: Records) -> Self {
        Self { records, deflated: OnceLock::new(), timed: Mutex::new(None) }
    }

    /// Returns the section of the object with this index. Uses `room` to assemble a section that is stored as edits.
    pub fn section<'a>(&'a self, index: usize, room: &'a mut Vec<u8>) -> &'a [u8] {
        match self.number(index) {
            NONE => &[],
            own => self.records.get(own, room),
        }
    }

    /// Returns the record number of the object with this index, or [`NONE`].
    fn number(&self, index: usize) -> u8 {
        self.records.head()[index]
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.records.head().len()
    }

    /// Returns whether the object with this index has this section.
    pub fn shows(&self, index: usize, section: &[u8]) -> bool {
        match self.number(index) {
            NONE => section.is_empty(),
            own => self.records.is(own, section),
        }
    }

    /// Loads the section of the object with this index into the cache of the processor.
    pub fn touch(&self, index: usize) {
        match self.number(index) {
            NONE => {}
            own => self.records.touch(own),
        }
    }

    /// Returns the memory of the column without its compressed text, in bytes.
    pub const fn size(&self) -> usize {
        size_of::<Self>() + self.records.size()
    }

    /// Returns the memory of its compressed texts, in bytes.
    pub fn deflated_size(&self) -> usize {
        let timed = lock(&self.timed).as_ref().map_or(0, |timed| timed.deflated.bytes.len());
        self.deflated.get().map_or(0, |deflated| deflated.bytes.len()) + timed
    }

    /// Frees the compressed text in which series have timestamps.
    pub fn free_timed(&self) {
        *lock(&self.timed) = None;
    }

    /// Returns a copy without compressed text.
    pub fn renewed(&self) -> Arc<Self> {
        Arc::new(Self::new(self.records.clone()))
    }
}

/// Builds the columns of a page, one after the other. Adopt before you add: added sections are then encoded as edits of
/// adopted ones.
pub struct ColumnBuilder {
    index: Vec<u8>,
    records: RecordsBuilder,
}

impl ColumnBuilder {
    /// Creates a builder for this number of objects, without sections.
    pub fn new(objects: usize) -> Self {
        Self { index: vec![NONE; objects], records: RecordsBuilder::default() }
    }

    /// Sets the section of the object with this index, unless it is empty.
    pub fn add(&mut self, index: usize, section: &[u8]) {
        if !section.is_empty() {
            self.index[index] = self.records.add(section);
        }
    }

    /// Copies the section of the object `other` in `old` to the object with this index. `adopted` belongs to `old`.
    pub fn adopt(&mut self, index: usize, old: &Column, other: usize, adopted: &mut Adopted) {
        let number = old.number(other);
        if number != NONE {
            self.index[index] = self.records.adopt(&old.records, number, adopted);
        }
    }

    /// Returns a column in which only the object with this index has a section.
    pub fn one(&mut self, index: usize, section: &[u8]) -> Option<Arc<Column>> {
        self.add(index, section);
        self.finish()
    }

    /// Returns a copy of `old` in which the object with this index has the section `own`.
    pub fn changed(&mut self, old: &Column, index: usize, own: &[u8]) -> Option<Arc<Column>> {
        let mut adopted = Adopted::default();
        self.records.reserve(old.records.size() + own.len() + 1);
        for other in (0..old.len()).filter(|other| *other != index) {
            self.adopt(other, old, other, &mut adopted);
        }
        self.add(index, own);
        self.finish()
    }

    /// Returns the column if it has any section, and starts over.
    pub fn finish(&mut self) -> Option<Arc<Column>> {
        let records = self.records.finish(&self.index)?;
        self.index.fill(NONE);
        Some(Arc::new(Column::new(records)))
    }
}
