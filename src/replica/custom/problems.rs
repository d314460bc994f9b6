//! What is wrong with objects, told now and then: what a metric says of one object it often says of thousands.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use crate::collectors::custom::Problem;
use crate::sync::lock;

/// A metric is told of no more often.
const PAUSE: Duration = Duration::from_secs(60);

/// When each metric was told of, and how many problems it had since.
#[derive(Debug, Default)]
pub(super) struct Problems(Mutex<HashMap<String, (Instant, u64)>>);

impl Problems {
    /// Tells of a problem with an object, or counts it.
    pub fn tell(&self, object: &str, problem: &Problem) {
        let Some(untold) = self.is_due(&problem.metric, Instant::now()) else { return };
        error!(object, untold, "{problem}");
    }

    /// Whether `metric` is to be told of, and how many of its problems were not.
    fn is_due(&self, metric: &str, now: Instant) -> Option<u64> {
        // Nothing panics while the lock is held.
        let mut told = lock(&self.0);
        match told.get_mut(metric) {
            Some((at, untold)) if now.duration_since(*at) < PAUSE => {
                *untold += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, (now, 0)).1),
            None => {
                told.insert(metric.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_told_of_once_a_minute() {
        let (problems, start) = (Problems::default(), Instant::now());
        assert_eq!(problems.is_due("a", start), Some(0));
        assert_eq!(problems.is_due("a", start + PAUSE / 2), None);
        assert_eq!(problems.is_due("b", start + PAUSE / 2), Some(0));
        assert_eq!(problems.is_due("a", start + PAUSE), Some(1));
        assert_eq!(problems.is_due("a", start + PAUSE * 3), Some(0));
    }
}
