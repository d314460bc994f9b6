//! A rate limit, as a token bucket.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// A rate limit: a bucket of `burst` tokens, which gets one token back per `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The time per token.
    pub interval: Duration,
    /// The size of the bucket.
    pub burst: u32,
}

/// A token bucket.
#[derive(Debug, Default)]
pub struct TokenBucket(Mutex<Option<Level>>);

#[derive(Clone, Copy, Debug)]
struct Level {
    limit: Limit,
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// Takes a token; false if the bucket is empty.
    pub fn take(&self, limit: Limit) -> bool {
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
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_request_per_interval() {
        let limit = Limit { interval: Duration::from_secs(2), burst: 3 };
        let bucket = TokenBucket::default();
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
