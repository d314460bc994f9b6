//! The two clocks of a member.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::handover::Now;

/// Where the system has one, a clock that also runs while the machine is suspended. Otherwise a resumed replica would consider
/// an old confirmation recent.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The clocks of the machine that a member runs on.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Returns the current time by both clocks.
    fn now(&self) -> Now;

    /// Returns the current time by the monotonic clock.
    fn boot(&self) -> Duration {
        self.now().boot
    }
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        now()
    }

    fn boot(&self) -> Duration {
        boot()
    }
}

/// Returns the current time by both clocks.
pub(super) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { boot: boot(), unix: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
}

/// Returns the current time by the monotonic clock.
pub(super) fn boot() -> Duration {
    let time = clock_gettime(CLOCK);
    // The time since boot is never negative.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance() {
        let before = now();
        std::thread::sleep(Duration::from_millis(2));
        let after = now();
        assert!(after.boot >= before.boot + Duration::from_millis(2));
        assert!(after.unix > 1_600_000_000_000);
    }
}
