//! Gives up the pages of the program that only its start needed.
//!
//! The kernel maps the program's file page by page when code is first used, 16 pages at a time, and counts them as resident memory
//! until the process ends. Most of a small shard's memory are pages that nothing uses after loading: the command line, the YAML
//! parser, the decoders of kinds that seldom change. This module unmaps all of them once. Those in use come back from the page
//! cache at their next use, without reading the disk. May know nothing of the replica but whether it has loaded.

use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, interval_at};
use tracing::{debug, warn};

/// How often to ask whether the replica has loaded.
const LOOK: Duration = Duration::from_secs(5);

/// How many looks in a row must find a replica that has loaded: the first handover and the first scrapes follow the load.
const LOOKS: u32 = 3;

/// Waits for the end of the start.
pub(super) struct StartPages {
    ticks: Interval,
    /// How many looks in a row found a replica that had loaded.
    loaded: u32,
}

impl StartPages {
    pub fn new() -> Self {
        let mut ticks = interval_at(Instant::now() + LOOK, LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, loaded: 0 }
    }

    /// Resolves when it is time for [`Self::look`], never again after the pages were unmapped. Cancel-safe.
    pub async fn due(&mut self) {
        if self.loaded >= LOOKS {
            return std::future::pending().await;
        }
        self.ticks.tick().await;
    }

    /// Learns whether the replica has loaded, and unmaps the pages when it has for a while.
    pub fn look(&mut self, has_loaded: bool) {
        self.loaded = if has_loaded { self.loaded + 1 } else { 0 };
        if self.loaded == LOOKS {
            match unmap() {
                Ok(bytes) => debug!(bytes, "gave up the pages of the program that the start needed"),
                // Costs some memory, and nothing else.
                Err(error) => warn!(error, "cannot give up the pages of the program that the start needed"),
            }
        }
    }
}

/// Unmaps the resident pages of files that this process maps and cannot write. Returns their number of bytes.
///
/// # Errors
/// `/proc` or the kernel refuses.
#[cfg(target_os = "linux")]
fn unmap() -> Result<u64, String> {
    use procfs::process::{MMPermissions, MMapPath, Process};
    use rustix::mm::{Advice, madvise};

    let maps = Process::myself().and_then(|process| process.smaps()).map_err(|error| error.to_string())?;
    let mut bytes = 0;
    for map in &maps {
        // Without anonymous pages, each page is as in the file. Where there are some, as in relocated data, the file has not
        // what the process sees.
        let unchanged = map.extension.map.get("Anonymous") == Some(&0);
        let is_file = matches!(map.pathname, MMapPath::Path(_)) && map.perms.contains(MMPermissions::READ);
        if !is_file || !unchanged || map.perms.intersects(MMPermissions::WRITE | MMPermissions::SHARED) {
            continue;
        }
        let (start, end) = map.address;
        let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(end - start)) else { continue };
        // SAFETY: the process cannot write this private mapping, and none of its pages differs from the file. So the next
        // access reads the same bytes from the file, as madvise(2) promises for such mappings.
        #[allow(unsafe_code)]
        unsafe { madvise(std::ptr::with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) }
            .map_err(|error| error.to_string())?;
        bytes += map.extension.map.get("Rss").copied().unwrap_or(0);
    }
    Ok(bytes)
}

#[cfg(not(target_os = "linux"))]
fn unmap() -> Result<u64, String> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pages_are_given_up_once_after_three_looks_in_a_row() {
        let mut pages = StartPages::new();
        for has_loaded in [true, true, false, true, true, true] {
            pages.due().await;
            pages.look(has_loaded);
        }
        assert_eq!(pages.loaded, LOOKS);
        assert!(tokio::time::timeout(LOOK * 10, pages.due()).await.is_err(), "once");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_program_works_after_its_pages_were_given_up() {
        let text: Vec<String> = (0..1000).map(|number| format!("{number}")).collect();
        assert!(unmap().expect("/proc is there") > 100_000, "a test program has more code");
        assert_eq!(text.iter().filter_map(|it| it.parse::<u32>().ok()).sum::<u32>(), 499_500);
    }
}
