//! The part of a page that a scrape exposes: which objects, and their series of one family.

use std::sync::Arc;

use super::column::Column;
use super::page::{Labels, Slot};
use crate::sharding::{Hasher, Hashes, Slice};

/// Objects that are about to move to another replica. Their series have an explicit timestamp, so that Prometheus does not mark
/// them stale when this replica no longer exposes them: it tracks the staleness of series without timestamps only, unless
/// `track_timestamps_staleness` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departing {
    /// The objects.
    pub slice: Slice,
    /// The timestamp, in Unix milliseconds. Scrapes with the same timestamp share their compressed text.
    pub at: u64,
}

/// The objects of a resource that a scrape exposes: those in both slices.
#[derive(Clone, Debug)]
pub(super) struct Exposure {
    pub exposed: Arc<Slice>,
    pub loaded: Arc<Slice>,
    pub departing: Option<Arc<DepartingSlices>>,
    /// The namespaces whose objects it exposes; `None` for all objects.
    pub namespaces: Option<Arc<[Box<str>]>>,
}

/// The slice of [`Departing`], and its complement.
#[derive(Debug)]
pub(super) struct DepartingSlices {
    departing: Slice,
    staying: Slice,
}

impl DepartingSlices {
    pub fn new(departing: Slice) -> Self {
        let staying = Slice::all().minus(&departing);
        Self { departing, staying }
    }

    /// Returns one bit for each departing object of a page.
    fn of_page(&self, slots: &[Slot], first: u64, last: u64) -> u128 {
        // The complement is known for one hash space only. That suffices to skip most pages.
        if self.staying.contains_span(first, last) && self.departing.ranges(Hasher::Fnv1a64).is_empty() {
            return 0;
        }
        let departs = |slot: &Slot| self.departing.contains(slot.hashes());
        slots.iter().enumerate().filter(|(_, slot)| departs(slot)).fold(0, |mask, (at, _)| mask | 1 << at)
    }
}

/// The series of one family of one page, and the objects that the scrape exposes.
#[derive(Debug)]
pub(super) struct Piece {
    pub column: Arc<Column>,
    /// The labels that the series of each object share. The last ones are those of its Namespace.
    pub labels: Arc<Labels>,
    /// The lengths of the labels of Namespaces, if the series carry all other labels themselves. Empty if there are none.
    pub own: Option<Box<[u16]>>,
    /// One bit per object; `None` for all objects.
    pub visible: Option<u128>,
    /// One bit per object whose series have a timestamp.
    pub departing: u128,
}

impl Piece {
    pub fn shows(&self, object: usize) -> bool {
        self.visible.is_none_or(|visible| visible >> object & 1 == 1)
    }

    /// Returns the labels in front of the series of an object: `{` and those that its series share, or a comma and those of its Namespace.
    pub fn labels(&self, object: usize) -> &[u8] {
        let labels = self.labels.get(object);
        match &self.own {
            None => labels,
            Some(lengths) => {
                let length = lengths.get(object).copied().unwrap_or_default();
                labels.len().checked_sub(length.into()).map_or(&[], |start| &labels[start..])
            }
        }
    }

    pub const fn departs(&self, object: usize) -> bool {
        self.departing >> object & 1 == 1
    }
}

/// The objects of a page that a scrape exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    All,
    Some(u128),
}

impl Visible {
    /// Leaves only the objects of `own` visible, of `count` objects. `None` if there are none.
    pub fn within(self, own: u128, count: usize) -> Option<Self> {
        let mask = self.mask().map_or(own, |mask| mask & own);
        match mask.count_ones() as usize {
            0 => None,
            ones if ones == count => Some(Self::All),
            _ => Some(Self::Some(mask)),
        }
    }

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

    /// Returns one bit for each departing object of a page whose points lie from `first` to `last`.
    pub fn departing_of_page(&self, slots: &[Slot], first: u64, last: u64) -> u128 {
        self.departing.as_ref().map_or(0, |departing| departing.of_page(slots, first, last))
    }

    /// Returns the exposed objects among `slots`, whose points lie from `first` to `last`. Skips the first `past` of them.
    /// `None` if there are none.
    pub fn of_page(&self, slots: &[Slot], past: usize, first: u64, last: u64) -> Option<Visible> {
        if past == 0 && [&self.exposed, &self.loaded].iter().all(|slice| slice.contains_span(first, last)) {
            return Some(Visible::All);
        }
        let shown = |slot: &Slot| self.contains(slot.hashes());
        let bits = slots.iter().enumerate().skip(past).filter(|(_, slot)| shown(slot));
        let (mask, count) = bits.fold((0_u128, 0), |(mask, count), (at, _)| (mask | 1 << at, count + 1));
        match count {
            0 => None,
            count if count == slots.len() => Some(Visible::All),
            _ => Some(Visible::Some(mask)),
        }
    }
}
