//! A rate-limited log of problems with objects: a metric with a problem often has it for thousands of objects.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use crate::collectors::custom::Problem;
use crate::sync::lock;

/// Minimum time between two log lines of one metric.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Per metric, the time of its last log line and the number of problems since.
#[derive(Debug, Default)]
pub(super) struct ProblemLog(Mutex<HashMap<String, (Instant, u64)>>);

impl ProblemLog {
    /// Logs a problem with an object, or counts it.
    pub fn log(&self, object: &str, problem: &Problem) {
        let Some(suppressed) = self.is_due(&problem.metric, Instant::now()) else { return };
        error!(object, suppressed, "{problem}");
    }

    /// Returns the number of suppressed problems of `metric` if a log line is due.
    fn is_due(&self, metric: &str, now: Instant) -> Option<u64> {
        let mut logged = lock(&self.0);
        match logged.get_mut(metric) {
            Some((at, suppressed)) if now.duration_since(*at) < LOG_INTERVAL => {
                *suppressed += 1;
                None
            }
            Some(last) => Some(std::mem::replace(last, (now, 0)).1),
            None => {
                logged.insert(metric.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_logged_once_a_minute() {
        let (problems, start) = (ProblemLog::default(), Instant::now());
        assert_eq!(problems.is_due("a", start), Some(0));
        assert_eq!(problems.is_due("a", start + LOG_INTERVAL / 2), None);
        assert_eq!(problems.is_due("b", start + LOG_INTERVAL / 2), Some(0));
        assert_eq!(problems.is_due("a", start + LOG_INTERVAL), Some(1));
        assert_eq!(problems.is_due("a", start + LOG_INTERVAL * 3), Some(0));
    }
}
