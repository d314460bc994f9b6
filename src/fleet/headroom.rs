//! Headroom: how much more of the hash space fits into the memory of this replica.

use std::path::Path;

use crate::sharding::Slice;

/// The usable part of the memory limit, in percent. The rest is for scrapes, lists and memory that the allocator retains.
const USABLE: u64 = 80;
/// Headroom is rounded down to a multiple of the loaded slice divided by this number, so that small changes of memory cause no
/// heartbeat. A fraction of the whole hash space would be too coarse: in a large fleet a member owns less than that.
const STEPS: u128 = 16;
/// Number of points of the hash space in one unit of headroom.
const UNIT: u128 = 1 << 32;

/// Returns how much this process can load in addition to the slice that it owns, in units of 2^32 points. `None` if there is no
/// memory limit, or nothing is loaded yet.
///
/// Objects that are loaded and not owned, because of a handover, are already in memory and count as headroom.
pub(super) fn headroom(loaded: &Slice, owned: &Slice) -> Option<u32> {
    let (limit, used) = (limit()?, resident()?);
    let not_owned = loaded.size().saturating_sub(owned.size()) / UNIT;
    Some(estimate(limit, used, loaded.size())?.saturating_add(u32::try_from(not_owned).unwrap_or(u32::MAX)))
}

/// Returns the units that fit into the free memory, if `used` bytes hold `loaded` points.
fn estimate(limit: u64, used: u64, loaded: u128) -> Option<u32> {
    let units = loaded / UNIT;
    if units == 0 || used == 0 {
        return None;
    }
    let free = (limit / 100 * USABLE).saturating_sub(used);
    let more = u128::from(free) * units / u128::from(used);
    let step = (units / STEPS).max(1);
    Some(u32::try_from(more / step * step).unwrap_or(u32::MAX))
}

/// Returns the memory limit of the process's control group, in bytes.
fn limit() -> Option<u64> {
    let number = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let root = Path::new("/sys/fs/cgroup");
    let own = control_group().unwrap_or_default();
    // In a container the mount point is often the process's own group. The value "max" means no limit, and does not parse.
    let version2 = number(&root.join(own).join("memory.max")).or_else(|| number(&root.join("memory.max")));
    let version1 = || number(&root.join("memory/memory.limit_in_bytes"));
    // Without a limit, version 1 reports the largest number of pages.
    version2.or_else(version1).filter(|limit| *limit < 1 << 60)
}

/// Returns the path of the process's version 2 control group, relative to the mount point.
#[cfg(target_os = "linux")]
fn control_group() -> Option<String> {
    let groups = procfs::process::Process::myself().ok()?.cgroups().ok()?;
    let own = groups.into_iter().find(|group| group.hierarchy == 0)?;
    Some(own.pathname.trim_start_matches('/').to_owned())
}

/// Returns the resident memory of this process in bytes.
#[cfg(target_os = "linux")]
pub fn resident() -> Option<u64> {
    // The field is in kB.
    procfs::process::Process::myself().ok()?.status().ok()?.vmrss?.checked_mul(1024)
}

#[cfg(not(target_os = "linux"))]
fn control_group() -> Option<String> {
    None
}

/// Returns `None`: only Linux has `/proc`.
#[cfg(not(target_os = "linux"))]
pub fn resident() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_follows_from_free_memory_in_steps() {
        const MIB: u64 = 1 << 20;
        let quarter = 1_u128 << 62;
        // 20 of 80 usable MiB hold a quarter, so the free 60 MiB fit three quarters.
        assert_eq!(estimate(100 * MIB, 20 * MIB, quarter), Some(3 << 30));
        assert_eq!(estimate(100 * MIB, 81 * MIB, quarter), Some(0));
        assert_eq!(estimate(1 << 50, 20 * MIB, quarter), Some(u32::MAX));
        assert_eq!(estimate(100 * MIB, 20 * MIB, 0), None);
        // A small change of memory does not change the result.
        assert_eq!(estimate(100 * MIB, 20 * MIB + 64, quarter), estimate(100 * MIB, 20 * MIB + 128, quarter));
        // The usable part of the limit is 1.6 times the used memory. The steps are fine enough to report at least 0.5.
        for shards in [2, 3, 10, 64, 200, 1000] {
            let share = (1_u128 << 64) / shards;
            let units = estimate(200 * MIB, 100 * MIB, share).map(u128::from);
            assert!(units.is_some_and(|n| n >= share / UNIT / 2 && n <= share / UNIT), "{shards}: {units:?}");
        }
        assert_eq!(Slice::all().size(), 1 << 64);
    }
}
