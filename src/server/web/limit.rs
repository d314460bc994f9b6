//! How often may be asked: a bucket of tokens.

use std::sync::Mutex;

use tokio::time::Instant;

use super::config::Limit;

use crate::sync::lock;

/// What is left in the bucket of one port.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Option<Level>>);

#[derive(Clone, Copy, Debug)]
struct Level {
    limit: Limit,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Takes a token, if there is one.
    pub fn take(&self, limit: Limit) -> bool {
        let mut level = lock(&self.0);
        let (now, burst) = (Instant::now(), f64::from(limit.burst));
        // A bucket is full at first, and again when the limit is another.
        let last = level.filter(|level| level.limit == limit).unwrap_or(Level { limit, tokens: burst, at: now });
        let back = now.duration_since(last.at).div_duration_f64(limit.interval);
        let tokens = (last.tokens + back).min(burst);
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
    async fn a_burst_is_let_through_and_then_one_an_interval() {
        let limit = Limit { interval: Duration::from_secs(2), burst: 3 };
        let bucket = Bucket::default();
        let taken = || (0..5).filter(|_| bucket.take(limit)).count();
        assert_eq!(taken(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(), 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(), 1);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(taken(), 3);
        assert!(bucket.take(Limit { burst: 1, ..limit }), "another limit begins anew");
        assert!(!bucket.take(Limit { burst: 0, ..limit }), "a burst of none lets nobody through, as in the toolkit");
    }
}
