//! When the slice that a member loads grows and shrinks.
//!
//! May not know why a slice is wanted.

use std::time::Duration;

use crate::sharding::Slice;

/// How long a slice stays loaded after it is no longer wanted. Plans may change back, and loading is expensive.
const RELEASE_DELAY: Duration = Duration::from_secs(10);

/// The slice to load. It grows immediately and shrinks after a delay.
#[derive(Clone, Debug)]
pub(super) struct DesiredSlice {
    slice: Slice,
    /// Since when less is wanted than is loaded.
    surplus_since: Option<Duration>,
}

impl DesiredSlice {
    pub const fn new(slice: Slice) -> Self {
        Self { slice, surplus_since: None }
    }

    pub const fn slice(&self) -> &Slice {
        &self.slice
    }

    /// Updates the slice to load, given the slice that is wanted at `boot`.
    pub fn update(&mut self, wanted: Slice, boot: Duration) {
        if wanted.covers(&self.slice) {
            self.surplus_since = None;
        } else if boot.saturating_sub(*self.surplus_since.get_or_insert(boot)) >= RELEASE_DELAY {
            *self = Self::new(wanted);
            return;
        }
        self.slice = self.slice.union(&wanted);
    }
}

/// A slice that the member lost in a switch and still exposes for a while (`--handover-overlap`).
#[derive(Clone, Debug)]
pub(super) struct Overlap {
    pub slice: Slice,
    /// The end of the overlap (boot time).
    pub until: Duration,
}

impl Overlap {
    pub fn is_over(&self, boot: Duration) -> bool {
        boot >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::{Hasher, Ranges};

    #[test]
    fn the_slice_grows_at_once_and_shrinks_after_the_delay() {
        let half = Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 1 << 63)]));
        let mut desired = DesiredSlice::new(half.clone());
        let mut after = |wanted: &Slice, seconds| {
            desired.update(wanted.clone(), Duration::from_secs(seconds));
            desired.slice().clone()
        };
        assert_eq!(after(&Slice::all(), 1), Slice::all());
        assert_eq!(after(&half, 2), Slice::all());
        assert_eq!(after(&half, 11), Slice::all());
        assert_eq!(after(&Slice::all(), 11), Slice::all(), "wanted again: the delay starts from the next surplus");
        assert_eq!(after(&half, 12), Slice::all());
        assert_eq!(after(&half, 22), half);
    }
}
