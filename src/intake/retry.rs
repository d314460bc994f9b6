//! Delays before the next attempt.

use std::time::Duration;

use backon::ExponentialBackoff;

use crate::backoff::{doubled, exponential, jittered};

/// The first delay after a failure, and the longest; jitter adds up to as much again.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// The longest delay after no server answered; jitter adds up to a fifth. A recovered API server is used again within seconds. It has
/// no load from attempts that fail.
const LONGEST_UNREACHABLE: Duration = Duration::from_secs(2);

/// The first delay after the server refused a resource. It is short, because the server applies a new permission, and serves a
/// new version of a custom resource, a moment after it announced them.
const REFUSED_FIRST: Duration = Duration::from_secs(1);
/// The first [`EARLY_TRIES`] delays double up to this one, because permissions are often granted, and custom resources
/// installed, shortly after the exporter.
const REFUSED_EARLY: Duration = Duration::from_secs(30);
/// Five delays that grow to 16 s, and four of 30 s: two and a half minutes.
const EARLY_TRIES: u32 = 9;
/// With its jitter at most six minutes, in which an API that appears, or a permission, is noticed.
const REFUSED_LATE: Duration = Duration::from_secs(300);

/// The longest `Retry-After` that is obeyed.
const LONGEST_OBEYED: Duration = Duration::from_secs(600);

/// Delays between attempts, which grow until one succeeds.
#[derive(Debug)]
pub struct Retry {
    backoff: ExponentialBackoff,
    failures: u32,
    refusals: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { backoff: exponential(FIRST, LONGEST), failures: 0, refusals: 0 }
    }
}

impl Retry {
    /// The delay after a failure, at least as long as `Retry-After` says.
    pub fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = self.backoff.next().unwrap_or(LONGEST);
        retry_after.map_or(delay, |after| delay.max(jittered(after.min(LONGEST_OBEYED))))
    }

    /// The delay after no server answered.
    pub fn unreachable(&mut self) -> Duration {
        self.failed(None).min(jittered(LONGEST_UNREACHABLE))
    }

    /// The delay after the server refused the resource.
    pub fn refused(&mut self) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        jittered(match self.refusals {
            tries @ ..=EARLY_TRIES => doubled(REFUSED_FIRST, tries - 1, REFUSED_EARLY),
            _ => REFUSED_LATE,
        })
    }

    /// Whether the server has refused the resource for minutes.
    pub const fn is_refused_for_long(&self) -> bool {
        self.refusals > EARLY_TRIES
    }

    /// Whether to log a warning for the last failure: only for the first, second, fourth, eighth and so on in a row.
    pub const fn is_news(&self) -> bool {
        self.failures.is_power_of_two()
    }

    /// Whether the last failure followed a success.
    pub const fn is_first(&self) -> bool {
        self.failures == 1
    }

    /// Resets all delays after a success.
    pub fn succeeded(&mut self) {
        if self.failures != 0 || self.refusals != 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_start_over_after_a_success() {
        let mut retry = Retry::default();
        let mut base = FIRST;
        for _ in 0..12 {
            let delay = retry.failed(None);
            assert!(delay >= base && delay <= base * 2, "{delay:?} at {base:?}");
            base = (base * 2).min(LONGEST);
        }
        retry.succeeded();
        assert!(retry.failed(None) <= FIRST * 2);
    }

    #[test]
    fn a_server_that_was_unreachable_is_tried_again_within_seconds() {
        let mut retry = Retry::default();
        for _ in 0..50 {
            assert!(retry.unreachable() <= LONGEST_UNREACHABLE * 6 / 5);
        }
        assert!(retry.unreachable() >= LONGEST_UNREACHABLE);
    }

    #[test]
    fn two_replicas_do_not_wait_alike() {
        let delays = |mut retry: Retry| (0..8).map(|_| retry.failed(None)).collect::<Vec<_>>();
        assert_ne!(delays(Retry::default()), delays(Retry::default()));
    }

    #[test]
    fn the_server_may_ask_for_more_time() {
        let mut retry = Retry::default();
        let delay = retry.failed(Some(Duration::from_secs(20)));
        assert!(delay >= Duration::from_secs(20) && delay <= Duration::from_secs(24), "{delay:?}");
        assert!(retry.failed(Some(Duration::MAX)) <= LONGEST_OBEYED * 2);
    }

    #[test]
    fn a_refused_resource_is_retried_soon_and_then_slowly() {
        let mut retry = Retry::default();
        for base in [1, 2, 4, 8, 16, 30, 30, 30, 30, 300, 300] {
            let delay = retry.refused();
            assert_eq!(retry.is_refused_for_long(), base == 300, "after {}", retry.refusals);
            let base = Duration::from_secs(base);
            assert!(delay >= base && delay <= base * 6 / 5, "{delay:?} instead of {base:?}");
        }
        retry.succeeded();
        assert!(retry.refused() < REFUSED_FIRST * 2, "after a success it starts over");
    }

    #[test]
    fn warnings_get_rarer() {
        let mut retry = Retry::default();
        let news: Vec<u32> = (1..=20)
            .filter(|_| {
                retry.failed(None);
                retry.is_news()
            })
            .collect();
        assert_eq!(news, [1, 2, 4, 8, 16]);
    }
}
