//! The part of a page that a scrape exposes: which objects, and their series of one family.

use std::sync::Arc;

use super::column::Column;
use super::page::{Labels, Slot};
use crate::sharding::{Hashes, Slice};

/// The objects of a resource that a scrape exposes: those in both slices.
#[derive(Clone, Debug)]
pub(super) struct Exposure {
    pub exposed: Arc<Slice>,
    pub loaded: Arc<Slice>,
}

/// The series of one family of one page, and the objects that the scrape exposes.
#[derive(Debug)]
pub(super) struct Piece {
    pub column: Arc<Column>,
    pub labels: Arc<Labels>,
    /// One bit per object; `None` for all objects.
    pub visible: Option<u128>,
}

impl Piece {
    pub fn shows(&self, object: usize) -> bool {
        self.visible.is_none_or(|visible| visible >> object & 1 == 1)
    }
}

/// The objects of a page that a scrape exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    All,
    Some(u128),
}

impl Visible {
    pub const fn mask(self) -> Option<u128> {
        match self {
            Self::All => None,
            Self::Some(mask) => Some(mask),
        }
    }
}

impl Exposure {
    /// Returns whether it shows an object with these hashes.
    pub fn contains(&self, hashes: Hashes) -> bool {
        self.exposed.contains(hashes) && self.loaded.contains(hashes)
    }

    /// Returns the exposed objects among `slots`, whose points lie from `first` to `last`. Skips the first `past` of them.
    /// `None` if there are none.
    pub fn of_page(&self, slots: &[Slot], past: usize, first: u64, last: u64) -> Option<Visible> {
        if past == 0 && [&self.exposed, &self.loaded].iter().all(|slice| slice.contains_span(first, last)) {
            return Some(Visible::All);
        }
        let shown = |slot: &Slot| self.contains(slot.hashes);
        let bits = slots.iter().enumerate().skip(past).filter(|(_, slot)| shown(slot));
        let (mask, count) = bits.fold((0_u128, 0), |(mask, count), (at, _)| (mask | 1 << at, count + 1));
        match count {
            0 => None,
            count if count == slots.len() => Some(Visible::All),
            _ => Some(Visible::Some(mask)),
        }
    }
}
