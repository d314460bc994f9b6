//! The hash ranges that follow from an assignment, computed once.
//!
//! May not know the members, nor which assignment is in force.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fleet::record::{Assignment, ColdStart, LAYOUT};
use crate::sharding::{self, Hasher, Slice};

/// How many assignments are kept: the current and the next one, their alternatives, and those with all members present.
const CAPACITY: usize = 8;

/// The ranges of recent assignments. The same few assignments are evaluated many times per decision.
#[derive(Clone, Debug, Default)]
pub(super) struct RangeCache(RefCell<Vec<(Assignment, Arc<sharding::Assignment>)>>);

impl RangeCache {
    /// Returns the slice that `ordinal` owns in `assignment`; empty for an unknown layout or an invalid assignment.
    pub fn slice(&self, assignment: &Assignment, ordinal: u32) -> Slice {
        self.of(assignment).map_or_else(Slice::none, |ranges| Slice::of(assignment.hash, ranges.ranges(ordinal)))
    }

    /// Returns the slice that `ordinal` owns if all of `total` members are present.
    pub fn slice_if_all_present(&self, total: u32, hash: Hasher, ordinal: u32) -> Slice {
        self.slice(&all_present(total, hash), ordinal)
    }

    fn of(&self, assignment: &Assignment) -> Option<Arc<sharding::Assignment>> {
        if assignment.layout != LAYOUT {
            return None;
        }
        let mut known = self.0.borrow_mut();
        if let Some((_, ranges)) = known.iter().find(|(other, _)| other.is_like(assignment)) {
            return Some(Arc::clone(ranges));
        }
        let ranges = Arc::new(
            sharding::Assignment::with_absent(assignment.total, &assignment.absent, &assignment.untaken).ok()?,
        );
        if known.len() >= CAPACITY {
            known.remove(0);
        }
        known.push((assignment.clone(), Arc::clone(&ranges)));
        Some(ranges)
    }
}

/// Returns the assignment in which each of `total` members serves its own share.
pub(super) fn all_present(total: u32, hash: Hasher) -> Assignment {
    let fresh = ColdStart { generation: 0, below: 0 };
    let (absent, untaken, lives) = (Vec::new(), BTreeSet::new(), Vec::new());
    Assignment { generation: 0, total, absent, untaken, hash, layout: LAYOUT, fresh, lives }
}
