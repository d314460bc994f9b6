//! Tracks which clients scrape, and how often.
//!
//! A replica that stops first serves an empty scrape to each regular client, so that Prometheus marks its series stale at
//! once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::sync::{lock, watch};

/// A client that has not scraped for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// A client is late after this many times its scrape interval.
const LATE_FACTOR: f64 = 1.3;
/// Clients that are tracked. A further one replaces the one that scraped the longest ago, first of those that scraped once: many
/// addresses that scrape once do not hide a regular client.
const MAX_CLIENTS: usize = 64;

/// The clients that scraped in the last minutes.
#[derive(Debug, Default)]
pub struct ScrapeTracker {
    seen: Mutex<HashMap<IpAddr, ScrapeTimes>>,
    /// Notifies waiters of each scrape.
    scraped: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
struct ScrapeTimes {
    last: Instant,
    /// Between the last two scrapes; `None` after the first.
    interval: Option<Duration>,
}

impl ScrapeTracker {
    /// Records a scrape by the client at `ip`.
    pub fn record(&self, ip: IpAddr) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.retain(|_, times| now.duration_since(times.last) <= FORGET_AFTER);
        if let Some(times) = seen.get_mut(&ip) {
            *times = ScrapeTimes { last: now, interval: Some(now.duration_since(times.last)) };
        } else {
            let least = seen.iter().min_by_key(|(_, times)| (times.interval.is_some(), times.last)).map(|(ip, _)| *ip);
            if let Some(least) = least.filter(|_| seen.len() >= MAX_CLIENTS) {
                seen.remove(&least);
            }
            seen.insert(ip, ScrapeTimes { last: now, interval: None });
        }
        drop(seen);
        self.scraped.send_replace(());
    }

    /// Waits until each client that scrapes regularly has scraped after `since`, or is late.
    pub async fn wait_for_all_since(&self, since: Instant) {
        let mut scraped = self.scraped.subscribe();
        while let Some(until) = self.last_deadline(since) {
            tokio::select! {
                biased;
                () = sleep_until(until) => return,
                // `self` holds the sender, so this cannot fail.
                _ = scraped.changed() => {}
            }
        }
    }

    /// When the last client that has not scraped since `since` becomes late.
    fn last_deadline(&self, since: Instant) -> Option<Instant> {
        let now = Instant::now();
        let seen = self.seen();
        let missing = seen.values().filter(|times| times.last < since);
        let late = missing.filter_map(|times| Some(times.last + times.interval?.mul_f64(LATE_FACTOR)));
        late.filter(|at| *at > now).max()
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<IpAddr, ScrapeTimes>> {
        lock(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    async fn waited(scrape_tracker: &ScrapeTracker) -> u64 {
        let since = Instant::now();
        scrape_tracker.wait_for_all_since(since).await;
        since.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn clients_without_a_known_interval_are_not_waited_for() {
        let scrape_tracker = ScrapeTracker::default();
        assert_eq!(waited(&scrape_tracker).await, 0);
        scrape_tracker.record(ip(1));
        assert_eq!(waited(&scrape_tracker).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_regular_client_is_waited_for_until_it_is_late() {
        let scrape_tracker = ScrapeTracker::default();
        scrape_tracker.record(ip(1));
        sleep(Duration::from_secs(30)).await;
        scrape_tracker.record(ip(1));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(waited(&scrape_tracker).await, 29);
        // It has stopped scraping.
        sleep(Duration::from_secs(60)).await;
        assert_eq!(waited(&scrape_tracker).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_when_all_clients_have_scraped() {
        let scrape_tracker = Arc::new(ScrapeTracker::default());
        for _ in 0..2 {
            scrape_tracker.record(ip(1));
            scrape_tracker.record(ip(2));
            sleep(Duration::from_secs(20)).await;
        }
        let began = Instant::now();
        let waiting = tokio::spawn({
            let scrape_tracker = Arc::clone(&scrape_tracker);
            async move { waited(&scrape_tracker).await }
        });
        sleep(Duration::from_secs(1)).await;
        scrape_tracker.record(ip(1));
        sleep(Duration::from_secs(2)).await;
        scrape_tracker.record(ip(2));
        assert_eq!(waiting.await.expect("no panic"), 3);
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_regular_client_is_known_among_many_that_scrape_once() {
        let scrape_tracker = ScrapeTracker::default();
        for scrape in 0..4 {
            for other in (0..100).filter(|_| scrape > 1) {
                scrape_tracker.record([10, 0, scrape, other].into());
            }
            scrape_tracker.record(ip(1));
            sleep(Duration::from_secs(30)).await;
        }
        assert_eq!(scrape_tracker.seen().len(), MAX_CLIENTS);
        assert_eq!(waited(&scrape_tracker).await, 9);
    }
}
