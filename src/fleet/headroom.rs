//! How much more of the hash space fits into this replica's memory.

use std::path::Path;

use crate::sharding::Slice;

/// Of the limit, in percent: the rest is for scrapes, lists and what an allocator keeps.
const USABLE: u64 = 80;
/// Headroom is told in steps, of which what is held has this many, so that small changes of memory are not news to the fleet. Of
/// the whole space they would be too large in a large fleet: what is gained there is less than one.
const STEPS: u128 = 16;
/// Points of the hash space that make one unit of headroom.
const UNIT: u128 = 1 << 32;

/// How many units of 2^32 points this process can take on besides what it owns; `None` where there is no limit, or nothing
/// to go by yet. What is held and not owned is in memory already: it is loaded for a handover.
pub(super) fn headroom(held: &Slice, owned: &Slice) -> Option<u32> {
    let (limit, used) = (limit()?, resident()?);
    let ahead = held.size().saturating_sub(owned.size()) / UNIT;
    Some(room(limit, used, held.size())?.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)))
}

/// That, of bytes and points.
fn room(limit: u64, used: u64, held: u128) -> Option<u32> {
    let units = held / UNIT;
    if units == 0 || used == 0 {
        return None;
    }
    let free = (limit / 100 * USABLE).saturating_sub(used);
    let more = u128::from(free) * units / u128::from(used);
    let step = (units / STEPS).max(1);
    Some(u32::try_from(more / step * step).unwrap_or(u32::MAX))
}

/// The memory limit of our control group, in bytes.
fn limit() -> Option<u64> {
    let number = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let root = Path::new("/sys/fs/cgroup");
    let own = control_group().unwrap_or_default();
    // In a container the own group is the root of what can be seen; "max" is no number, and no limit.
    let second = number(&root.join(own).join("memory.max")).or_else(|| number(&root.join("memory.max")));
    let first = || number(&root.join("memory/memory.limit_in_bytes"));
    // Without a limit version 1 says the largest number of pages.
    second.or_else(first).filter(|limit| *limit < 1 << 60)
}

/// The path of this process's control group of version 2, relative to its mount point.
#[cfg(target_os = "linux")]
fn control_group() -> Option<String> {
    let groups = procfs::process::Process::myself().ok()?.cgroups().ok()?;
    let own = groups.into_iter().find(|group| group.hierarchy == 0)?;
    Some(own.pathname.trim_start_matches('/').to_owned())
}

/// Returns the resident memory of this process in bytes.
#[cfg(target_os = "linux")]
pub fn resident() -> Option<u64> {
    // In kB.
    procfs::process::Process::myself().ok()?.status().ok()?.vmrss?.checked_mul(1024)
}

#[cfg(not(target_os = "linux"))]
fn control_group() -> Option<String> {
    None
}

/// Returns nothing: only Linux has `/proc`.
#[cfg(not(target_os = "linux"))]
pub fn resident() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_much_as_the_memory_bears() {
        const MIB: u64 = 1 << 20;
        let quarter = 1_u128 << 62;
        // 60 of 80 usable MiB are free, and 20 hold a quarter: three quarters more.
        assert_eq!(room(100 * MIB, 20 * MIB, quarter), Some(3 << 30));
        assert_eq!(room(100 * MIB, 81 * MIB, quarter), Some(0));
        assert_eq!(room(1 << 50, 20 * MIB, quarter), Some(u32::MAX));
        assert_eq!(room(100 * MIB, 20 * MIB, 0), None);
        // In steps: a little more memory is no news.
        assert_eq!(room(100 * MIB, 20 * MIB + 64, quarter), room(100 * MIB, 20 * MIB + 128, quarter));
        // However small the share: twice the memory and a bit more bears half as much again.
        for shards in [2, 3, 10, 64, 200, 1000] {
            let share = (1_u128 << 64) / shards;
            let room = room(200 * MIB, 100 * MIB, share).map(u128::from);
            assert!(room.is_some_and(|room| room >= share / UNIT / 2 && room <= share / UNIT), "{shards}: {room:?}");
        }
        assert_eq!(Slice::all().size(), 1 << 64);
    }
}
