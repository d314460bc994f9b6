//! The clocks of a member, and the time limits that all members share.
//!
//! May not know the state machine.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a Lease is valid after its last renewal, and how long a plan is valid after its last confirmation.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How often a member renews its Lease.
pub const RENEW_PERIOD: Duration = Duration::from_secs(5);
/// How far in the future the coordinator schedules a switch.
pub const SWITCH_LEAD: Duration = Duration::from_secs(3);
/// How long the coordinator waits for a member that has never prepared a generation.
pub const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest wait for scrapers. Prometheus shows the last sample of a series for 5 minutes.
pub(super) const MAX_SCRAPE_WAIT: Duration = Duration::from_secs(120);

/// Events of which only so many may occur per time. Whatever misleads the members, it cannot make them change the record in a
/// loop.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(VecDeque<Duration>);

impl Pace {
    /// The most events per [`Self::PERIOD`].
    pub const MOST: usize = 8;
    pub const PERIOD: Duration = Duration::from_secs(60);

    /// Notes an event.
    pub fn note(&mut self, now: Now) {
        self.0.push_back(now.boot);
        if self.0.len() > Self::MOST {
            self.0.pop_front();
        }
    }

    /// Whether another event is due.
    pub fn allows(&self, now: Now) -> bool {
        self.0.len() < Self::MOST || self.0.front().is_none_or(|at| now.since(*at) > Self::PERIOD)
    }
}

/// The readings of both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since boot, by a clock that never goes back and keeps running during suspend (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    /// Unix time in milliseconds.
    pub unix: u64,
}

/// Returns a time in whole milliseconds.
pub(in crate::fleet) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Now {
    /// Returns how long ago `at` (boot time) was; zero for a time in the future.
    pub(super) const fn since(self, at: Duration) -> Duration {
        self.boot.saturating_sub(at)
    }
}

/// When the series that move in the next generation get their timestamp.
#[derive(Clone, Copy, Debug)]
pub(super) struct StampPoint {
    pub generation: u64,
    /// The timestamp by our boot clock.
    pub due: Duration,
    /// The same in Unix milliseconds by our clock.
    pub unix: u64,
    /// How long before that it was written.
    pub wait: Duration,
}

impl StampPoint {
    /// Returns the point for a record that is read for the first time now. It need not be the same for all members: each one is
    /// ahead of its own scrapes.
    pub fn new(generation: u64, wait: u32, now: Now) -> Self {
        let wait = Duration::from_millis(wait.into()).min(MAX_SCRAPE_WAIT);
        Self { generation, due: now.boot + wait, unix: now.unix.saturating_add(millis(wait)), wait }
    }

    pub const fn written(&self) -> Duration {
        self.due.saturating_sub(self.wait)
    }
}
