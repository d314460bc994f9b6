//! How much of the hash space fits into the memory of this process.
//!
//! May not know how memory is measured, nor the assignments.

use super::interface::Memory;
use crate::sharding::Slice;

/// The usable part of the memory limit, in percent. The rest is for scrapes, lists and memory that the allocator retains.
const USABLE: u64 = 80;
/// What is free is rounded down to a multiple of the loaded slice divided by this number, so that small changes of memory cause no
/// heartbeat. A fraction of the whole hash space would be too coarse: in a large fleet a member owns less than that.
const STEPS: u128 = 16;
/// Number of points of the hash space in one unit.
const UNIT: u128 = 1 << 32;

/// How much this process can hold, in units of 2^32 points.
#[derive(Clone, Debug, Default)]
pub(super) struct Capacity {
    is_limited: bool,
    measured: Option<u32>,
}

impl Capacity {
    /// Notes how much memory `loaded` takes. While the process loads or drops objects, its memory says nothing about either
    /// slice, so the value of before remains.
    pub fn note(&mut self, memory: Option<Memory>, loaded: &Slice, desired: &Slice) {
        self.is_limited = memory.is_some();
        if let Some(memory) = memory.filter(|_| loaded.covers(desired)) {
            self.measured = estimate(memory, loaded.size()).or(self.measured);
        }
    }

    /// Returns the capacity; `None` without a limit. What the process was asked to load counts as fitting, because the coordinator
    /// has seen to that, or every member starts with it.
    pub fn units(&self, desired: &Slice) -> Option<u32> {
        self.is_limited.then(|| self.measured.unwrap_or(0).max(units(desired.size())))
    }
}

/// Returns a number of points in units, rounded down.
pub(super) fn units(points: u128) -> u32 {
    u32::try_from(points / UNIT).unwrap_or(u32::MAX)
}

/// Returns the units that fit into the memory, if `loaded` points take what is used.
fn estimate(Memory { limit, used }: Memory, loaded: u128) -> Option<u32> {
    let loaded = loaded / UNIT;
    if loaded == 0 || used == 0 {
        return None;
    }
    let free = (limit / 100 * USABLE).saturating_sub(used);
    let more = u128::from(free) * loaded / u128::from(used);
    let step = (loaded / STEPS).max(1);
    Some(u32::try_from(loaded + more / step * step).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::{Hasher, Ranges};

    const MIB: u64 = 1 << 20;

    fn slice(points: u128) -> Slice {
        Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, points)]))
    }

    #[test]
    fn the_capacity_follows_from_free_memory_in_steps() {
        let quarter = 1_u128 << 62;
        let memory = |limit, used| Memory { limit, used };
        // 20 of 80 usable MiB hold a quarter, so 80 MiB fit all of it.
        assert_eq!(estimate(memory(100 * MIB, 20 * MIB), quarter), Some(u32::MAX));
        assert_eq!(estimate(memory(50 * MIB, 20 * MIB), quarter), Some(1 << 31));
        assert_eq!(estimate(memory(100 * MIB, 81 * MIB), quarter), Some(1 << 30));
        assert_eq!(estimate(memory(1 << 50, 20 * MIB), quarter), Some(u32::MAX));
        assert_eq!(estimate(memory(100 * MIB, 20 * MIB), 0), None);
        // A small change of memory does not change the result.
        let used = |extra| estimate(memory(100 * MIB, 30 * MIB + extra), quarter);
        assert_eq!(used(64), used(128));
        // The usable part of the limit is 1.6 times the used memory. The steps are fine enough to report at least 1.5.
        for shards in [2, 3, 10, 64, 200, 1000] {
            let share = (1_u128 << 64) / shards;
            let units = estimate(memory(200 * MIB, 100 * MIB), share).map(u128::from);
            assert!(units.is_some_and(|n| n >= share / UNIT * 3 / 2 && n <= share / UNIT * 2), "{shards}: {units:?}");
        }
    }

    #[test]
    fn what_is_loading_counts_with_its_expected_size() {
        let (share, two) = (slice(1 << 62), slice(1 << 63));
        let mut capacity = Capacity::default();
        assert_eq!(capacity.units(&share), None, "without a limit");
        let memory = |used| Some(Memory { limit: 100 * MIB, used });
        capacity.note(memory(MIB), &Slice::none(), &share);
        assert_eq!(capacity.units(&share), Some(1 << 30), "nothing is measured yet: its own share fits, and no more");
        capacity.note(memory(20 * MIB), &share, &share);
        assert_eq!(capacity.units(&share), Some(u32::MAX));
        capacity.note(memory(40 * MIB), &share, &share);
        assert_eq!(capacity.units(&share), Some(1 << 31));
        // Half of the second share is in memory, and not loaded yet.
        capacity.note(memory(60 * MIB), &share, &two);
        assert_eq!(capacity.units(&two), Some(1 << 31));
    }
}
