//! The two clocks of a member.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::handover::Now;

/// A machine that was asleep must not believe that no time has passed, so the clock is one that runs through suspension,
/// where there is one.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// This moment.
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { boot: boot(), unix: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
}

/// This moment, by the clock that never goes back.
pub fn boot() -> Duration {
    let time = clock_gettime(CLOCK);
    // Since boot: never negative.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_not_back() {
        let before = now();
        std::thread::sleep(Duration::from_millis(2));
        let after = now();
        assert!(after.boot >= before.boot + Duration::from_millis(2));
        assert!(after.unix > 1_600_000_000_000);
    }
}
