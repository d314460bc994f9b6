//! Tracks which clients scrape, and how often.
//!
//! A replica that stops first serves an empty scrape to each regular client, so that Prometheus marks its series stale at
//! once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::sync::{lock, watch};

/// A client that has not scraped for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// Intervals vary: how much longer than the last interval a client may take, and the time until all replicas know that they wait.
const RESERVE: f64 = 1.2;
const START: Duration = Duration::from_secs(2);
/// A client is late after this many times its scrape interval.
const LATE_FACTOR: f64 = 1.3;
/// Clients that are tracked. A further one replaces the one that scraped the longest ago, first of those that scraped once: many
/// addresses that scrape once do not hide a regular client.
const MAX_CLIENTS: usize = 64;

/// The longest time that [`ScrapeTracker::return_time`] returns.
const MAX_RETURN_TIME: Duration = Duration::from_secs(120);

/// A client that scrapes, and its selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scraper {
    ip: IpAddr,
    /// A hash of the credentials and the selection. With a random key, so that no client can imitate another one's.
    details: u64,
}

impl Scraper {
    /// Identifies the client at `ip` with these credentials and this selection.
    pub fn new<'a>(ip: IpAddr, details: impl IntoIterator<Item = &'a [u8]>) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { ip, details: KEY.hash_one(details.into_iter().collect::<Vec<_>>()) }
    }
}

/// The clients that scraped in the last minutes.
#[derive(Debug, Default)]
pub struct ScrapeTracker {
    seen: Mutex<HashMap<Scraper, ScrapeTimes>>,
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
    /// Records a scrape.
    pub fn record(&self, scraper: Scraper) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.retain(|_, times| now.duration_since(times.last) <= FORGET_AFTER);
        if let Some(times) = seen.get_mut(&scraper) {
            *times = ScrapeTimes { last: now, interval: Some(now.duration_since(times.last)) };
        } else {
            let least = seen
                .iter()
                .min_by_key(|(_, times)| (times.interval.is_some(), times.last))
                .map(|(scraper, _)| *scraper);
            if let Some(least) = least.filter(|_| seen.len() >= MAX_CLIENTS) {
                seen.remove(&least);
            }
            seen.insert(scraper, ScrapeTimes { last: now, interval: None });
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

    /// Whether each client that scrapes regularly has scraped after `since`, or is late.
    pub fn all_since(&self, since: Instant) -> bool {
        self.last_deadline(since).is_none()
    }

    /// Returns within which time every client that scrapes regularly comes again, with some reserve: 0 without one, and at most 2
    /// minutes. Whole seconds.
    pub fn return_time(&self) -> Duration {
        let now = Instant::now();
        let seen = self.seen();
        let regular = seen.values().filter_map(|times| Some((times.last, times.interval?)));
        let on_time = regular.filter(|(last, interval)| *last + interval.mul_f64(LATE_FACTOR) > now);
        let longest = on_time.map(|(_, interval)| interval).max();
        let wait = longest.map_or(Duration::ZERO, |interval| interval.mul_f64(RESERVE) + START);
        Duration::from_secs(wait.min(MAX_RETURN_TIME).as_secs_f64().ceil() as u64)
    }

    /// Notifies of each scrape.
    pub fn scraped(&self) -> watch::Receiver<()> {
        self.scraped.subscribe()
    }

    /// When the last client that has not scraped since `since` becomes late.
    fn last_deadline(&self, since: Instant) -> Option<Instant> {
        let now = Instant::now();
        let seen = self.seen();
        let missing = seen.values().filter(|times| times.last < since);
        let late = missing.filter_map(|times| Some(times.last + times.interval?.mul_f64(LATE_FACTOR)));
        late.filter(|at| *at > now).max()
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Scraper, ScrapeTimes>> {
        lock(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;

    fn ip(last: u8) -> Scraper {
        Scraper::new([10, 0, 0, last].into(), [])
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
                scrape_tracker.record(Scraper::new([10, 0, scrape, other].into(), []));
            }
            scrape_tracker.record(ip(1));
            sleep(Duration::from_secs(30)).await;
        }
        assert_eq!(scrape_tracker.seen().len(), MAX_CLIENTS);
        assert_eq!(waited(&scrape_tracker).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn the_return_time_is_that_of_the_slowest_client_that_still_comes() {
        let scrape_tracker = ScrapeTracker::default();
        assert_eq!(scrape_tracker.return_time(), Duration::ZERO);
        let pair = [b"one".as_slice(), b"other"].map(|credentials| Scraper::new([10, 0, 0, 1].into(), [credentials]));
        for _ in 0..2 {
            scrape_tracker.record(pair[0]);
            sleep(Duration::from_secs(10)).await;
            scrape_tracker.record(pair[1]);
            sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(scrape_tracker.return_time().as_secs(), 38, "two clients of one address, each every 30 s");
        let since = Instant::now();
        scrape_tracker.record(pair[0]);
        assert!(!scrape_tracker.all_since(since));
        scrape_tracker.record(pair[1]);
        assert!(scrape_tracker.all_since(since));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scrape_tracker.return_time(), Duration::ZERO, "both are late");
        scrape_tracker.record(ip(3));
        sleep(Duration::from_secs(250)).await;
        scrape_tracker.record(ip(3));
        assert_eq!(scrape_tracker.return_time(), MAX_RETURN_TIME);
    }
}
