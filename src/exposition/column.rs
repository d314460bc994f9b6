//! A column: what the objects of a page have of one family.
//!
//! It never changes: an update makes a new one of what it changes, and leaves the others alone with what was deflated of them.
//! Scrapes hold columns, not pages. How its sections are kept is known to [`super::records`].

use std::sync::{Arc, OnceLock};

use super::gzip::Deflated;
use super::records::{Adopted, NONE, Records, RecordsBuilder};

/// The sections of one family of a page.
#[derive(Debug)]
pub struct Column {
    /// Of each object, which of the records is its own, or [`NONE`].
    index: Box<[u8]>,
    records: Records,
    /// The whole column as text, deflated, if somebody has asked for it.
    pub deflated: OnceLock<Deflated>,
}

impl Column {
    /// The section of the object with this index, put together in `room` if it is not kept as it is.
    pub fn section<'a>(&'a self, index: usize, room: &'a mut Vec<u8>) -> &'a [u8] {
        match self.index[index] {
            NONE => &[],
            own => self.records.get(own, room),
        }
    }

    /// How many objects it is of.
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether the object with this index has this section.
    pub fn shows(&self, index: usize, section: &[u8]) -> bool {
        match self.index[index] {
            NONE => section.is_empty(),
            own => self.records.is(own, section),
        }
    }

    /// How many bytes it takes, without what is deflated of it.
    pub const fn size(&self) -> usize {
        size_of::<Self>() + self.index.len() + self.records.size()
    }

    /// The same, to be deflated anew.
    pub fn renewed(&self) -> Arc<Self> {
        Arc::new(Self { index: self.index.clone(), records: self.records.clone(), deflated: OnceLock::new() })
    }
}

/// Makes columns of a page, one after the other. What is adopted is best adopted first: what is added is then told by what
/// differs from it.
pub struct ColumnBuilder {
    index: Vec<u8>,
    records: RecordsBuilder,
}

impl ColumnBuilder {
    /// Of so many objects, which have no sections yet.
    pub fn new(objects: usize) -> Self {
        Self { index: vec![NONE; objects], records: RecordsBuilder::default() }
    }

    /// The object with this index has `section`, or nothing if that is empty.
    pub fn add(&mut self, index: usize, section: &[u8]) {
        if !section.is_empty() {
            self.index[index] = self.records.add(section);
        }
    }

    /// The object with this index has what `old` has at another; `adopted` is of `old`.
    pub fn adopt(&mut self, index: usize, old: &Column, other: usize, adopted: &mut Adopted) {
        let number = old.index[other];
        if number != NONE {
            self.index[index] = self.records.adopt(&old.records, number, adopted);
        }
    }

    /// A column of one object that has this section.
    pub fn one(&mut self, index: usize, section: &[u8]) -> Option<Arc<Column>> {
        self.add(index, section);
        self.finish()
    }

    /// The same column but for the object with this index, which has `own`.
    pub fn changed(&mut self, old: &Column, index: usize, own: &[u8]) -> Option<Arc<Column>> {
        let mut adopted = Adopted::default();
        self.records.reserve(old.records.size() + own.len() + 1);
        for other in (0..old.len()).filter(|other| *other != index) {
            self.adopt(other, old, other, &mut adopted);
        }
        self.add(index, own);
        self.finish()
    }

    /// The column, if it has any section; the next one has none yet.
    pub fn finish(&mut self) -> Option<Arc<Column>> {
        let records = self.records.finish()?;
        let index = self.index.as_slice().into();
        self.index.fill(NONE);
        Some(Arc::new(Column { index, records, deflated: OnceLock::new() }))
    }
}
