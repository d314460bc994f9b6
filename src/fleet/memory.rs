//! The memory of this process, and its limit.

use std::path::Path;

use super::handover::Memory;

/// Returns the memory of this process; `None` if it has no limit.
pub(super) fn memory() -> Option<Memory> {
    Some(Memory { limit: limit()?, used: resident()? })
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
