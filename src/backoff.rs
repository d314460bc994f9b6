//! Delays before another try.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Delays that double from `first` to `longest`, without end. Jitter adds up to as much again to each.
pub fn exponential(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

/// `first`, doubled `times` times, at most `longest`. Without jitter.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

/// `delay` and up to a fifth more, so that replicas do not act in lockstep.
pub fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(fastrand::f64().mul_add(0.2, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubling_stops_at_the_longest_delay() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        for (times, seconds) in [(0, 1), (1, 2), (4, 16), (5, 30), (31, 30), (32, 30), (u32::MAX, 30)] {
            assert_eq!(doubled(first, times, longest), Duration::from_secs(seconds), "doubled {times} times");
        }
    }
}
