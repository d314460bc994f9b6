//! The last scrapes of a replica that nobody takes over from: with `--seamless-handover`, all series get a timestamp.
//!
//! Prometheus then does not mark them stale when the replica ends, and shows their last values until the next process
//! continues them, for 5 minutes at most.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exposition::Departing;
use crate::sharding::Slice;

/// How far the timestamp of a series is ahead of its scrape at least, in milliseconds. Prometheus marks a series stale whose samples
/// had no timestamp before, as of the time of the scrape, and drops the mark as older than the sample. The clocks of Prometheus
/// and of this replica may differ by less than this.
const LEAD: u64 = 500;

/// Whether the replica serves its last scrapes.
#[derive(Debug, Default)]
pub struct Farewell(OnceLock<u64>);

impl Farewell {
    /// Adds a timestamp to all series from now on, `after` this moment.
    pub fn say(&self, after: Duration) {
        // The first one counts: all scrapes have the same timestamp.
        let _ = self.0.set(unix_time() + after.as_millis() as u64);
    }

    /// Returns the objects whose series have a timestamp in a scrape that begins now: all after [`Self::say`], else `departing`.
    pub(super) fn departing(&self, departing: Option<Departing>) -> Option<Departing> {
        let all = self.0.get().map(|at| Departing { slice: Slice::all(), at: *at });
        let departing = all.or(departing)?;
        Some(Departing { at: departing.at.max(unix_time() + LEAD), ..departing })
    }
}

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_ahead_of_its_scrape_and_the_same_for_all() {
        let (farewell, soon) = (Farewell::default(), Duration::from_secs(60));
        assert_eq!(farewell.departing(None), None);
        let half = Departing { slice: Slice::none(), at: unix_time() + 60_000 };
        assert_eq!(farewell.departing(Some(half.clone())), Some(half.clone()));
        let late = farewell.departing(Some(Departing { at: 5, ..half.clone() })).expect("it departs");
        assert!((unix_time() + 400..=unix_time() + LEAD).contains(&late.at), "{late:?}");
        farewell.say(soon);
        let first = farewell.departing(Some(half)).expect("all depart");
        farewell.say(soon * 2);
        assert_eq!((first.slice.is_all(), farewell.departing(None)), (true, Some(first)));
    }
}
