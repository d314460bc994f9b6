//! The rate limit of a port, as a token bucket.

use std::sync::Mutex;

use tokio::time::Instant;

use super::config::Limit;

use crate::sync::lock;

/// The token bucket of one port.
#[derive(Debug, Default)]
pub(in crate::server) struct RateLimiter(Mutex<Option<Level>>);

#[derive(Clone, Copy, Debug)]
struct Level {
    limit: Limit,
    tokens: f64,
    at: Instant,
}

impl RateLimiter {
    /// Takes a token; false if the bucket is empty.
    pub(super) fn take(&self, limit: Limit) -> bool {
        let mut level = lock(&self.0);
        let (now, burst) = (Instant::now(), f64::from(limit.burst));
        // The bucket starts full, and is full again after the limit changed.
        let last = level.filter(|level| level.limit == limit).unwrap_or(Level { limit, tokens: burst, at: now });
        let refilled = now.duration_since(last.at).div_duration_f64(limit.interval);
        let tokens = (last.tokens + refilled).min(burst);
        let taken = tokens >= 1.0;
        *level = Some(Level { limit, tokens: if taken { tokens - 1.0 } else { tokens }, at: now });
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_request_per_interval() {
        let limit = Limit { interval: Duration::from_secs(2), burst: 3 };
        let bucket = RateLimiter::default();
        let taken = || (0..5).filter(|_| bucket.take(limit)).count();
        assert_eq!(taken(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(), 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(), 1);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(taken(), 3);
        assert!(bucket.take(Limit { burst: 1, ..limit }), "another limit starts with a full bucket");
        assert!(
            !bucket.take(Limit { burst: 0, ..limit }),
            "a burst of 0 refuses all requests, as in the exporter toolkit"
        );
    }
}
