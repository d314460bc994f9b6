//! Tracks which clients scrape, and how often.
//!
//! A replica that stops first serves an empty scrape to each regular client, so that Prometheus marks its series stale at
//! once.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::shown;
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
/// Clients that a message names at most.
const MOST_NAMED: usize = 5;

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
    /// Notifies waiters of each complete scrape.
    scraped: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
struct ScrapeTimes {
    last: Instant,
    /// When the last scrape began that received its whole answer.
    completed: Option<Instant>,
    /// Between the last two scrapes; `None` after the first.
    interval: Option<Duration>,
}

impl ScrapeTimes {
    fn has_completed(&self, since: Instant) -> bool {
        self.completed.is_some_and(|began| began >= since)
    }

    /// Returns when the client becomes late, if it scrapes regularly.
    fn deadline(&self) -> Option<Instant> {
        Some(self.last + self.interval?.mul_f64(LATE_FACTOR))
    }
}

/// A client that was expected and has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    ip: IpAddr,
    /// The time since its last scrape, unless it is forgotten.
    seen: Option<Duration>,
    /// The time between its last two scrapes.
    interval: Option<Duration>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials and the selection may be secret.
        write!(f, "{}", self.ip)?;
        match (self.seen, self.interval) {
            (Some(seen), Some(interval)) => {
                write!(f, " (last seen {} s ago, comes every {} s)", seen.as_secs(), interval.as_secs())
            }
            _ => Ok(()),
        }
    }
}

/// A scrape that has begun.
#[derive(Debug)]
pub struct Visit {
    scraper: Scraper,
    began: Instant,
}

impl Missing {
    /// Names clients for people, the first few of them.
    pub fn name(missing: &[Self]) -> String {
        shown::few(missing, MOST_NAMED, ", ", Self::to_string)
    }
}

impl ScrapeTracker {
    /// Records that a scrape begins.
    pub fn record(&self, scraper: Scraper) -> Visit {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.retain(|_, times| now.duration_since(times.last) <= FORGET_AFTER);
        if let Some(times) = seen.get_mut(&scraper) {
            *times = ScrapeTimes { last: now, interval: Some(now.duration_since(times.last)), ..*times };
        } else {
            let least = seen
                .iter()
                .min_by_key(|(_, times)| (times.interval.is_some(), times.last))
                .map(|(scraper, _)| *scraper);
            if let Some(least) = least.filter(|_| seen.len() >= MAX_CLIENTS) {
                seen.remove(&least);
            }
            seen.insert(scraper, ScrapeTimes { last: now, completed: None, interval: None });
        }
        Visit { scraper, began: now }
    }

    /// Records that a scrape received its whole answer, so the client has seen what it shows.
    pub fn complete(&self, visit: &Visit) {
        if let Some(times) = self.seen().get_mut(&visit.scraper) {
            times.completed = times.completed.max(Some(visit.began));
        }
        self.scraped.send_replace(());
    }

    /// Waits until each client that scrapes regularly has completed a scrape that began after `since`, or is late.
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

    /// Returns the clients that scrape regularly and are not late.
    pub fn on_time(&self) -> Vec<Scraper> {
        let now = Instant::now();
        let is_on_time = |times: &ScrapeTimes| times.deadline().is_some_and(|deadline| deadline > now);
        self.seen().iter().filter(|(_, times)| is_on_time(times)).map(|(scraper, _)| *scraper).collect()
    }

    /// Returns those of `expected` that have not completed a scrape that began after `since`.
    pub fn missing(&self, expected: &[Scraper], since: Instant) -> Vec<Missing> {
        let seen = self.seen();
        let missing = expected
            .iter()
            .map(|scraper| (scraper.ip, seen.get(scraper)))
            .filter(|(_, times)| times.is_none_or(|times| !times.has_completed(since)));
        missing
            .map(|(ip, times)| Missing {
                ip,
                seen: times.map(|times| times.last.elapsed()),
                interval: times.and_then(|times| times.interval),
            })
            .collect()
    }

    /// Returns within which time every client that scrapes regularly comes again, with some reserve: 0 without one, and at most 2
    /// minutes. Whole seconds.
    pub fn return_time(&self) -> Duration {
        let now = Instant::now();
        let seen = self.seen();
        let on_time = seen.values().filter(|times| times.deadline().is_some_and(|deadline| deadline > now));
        let longest = on_time.filter_map(|times| times.interval).max();
        let wait = longest.map_or(Duration::ZERO, |interval| interval.mul_f64(RESERVE) + START);
        Duration::from_secs(wait.min(MAX_RETURN_TIME).as_secs_f64().ceil() as u64)
    }

    /// Notifies of each complete scrape.
    pub fn scraped(&self) -> watch::Receiver<()> {
        self.scraped.subscribe()
    }

    /// When the last client that has not completed a scrape since `since` becomes late.
    fn last_deadline(&self, since: Instant) -> Option<Instant> {
        let now = Instant::now();
        let seen = self.seen();
        let missing = seen.values().filter(|times| !times.has_completed(since));
        missing.filter_map(ScrapeTimes::deadline).filter(|at| *at > now).max()
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

    fn visit(scrape_tracker: &ScrapeTracker, scraper: Scraper) {
        scrape_tracker.complete(&scrape_tracker.record(scraper));
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
        visit(&scrape_tracker, ip(1));
        assert_eq!(waited(&scrape_tracker).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_regular_client_is_waited_for_until_it_is_late() {
        let scrape_tracker = ScrapeTracker::default();
        visit(&scrape_tracker, ip(1));
        sleep(Duration::from_secs(30)).await;
        visit(&scrape_tracker, ip(1));
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
            visit(&scrape_tracker, ip(1));
            visit(&scrape_tracker, ip(2));
            sleep(Duration::from_secs(20)).await;
        }
        let began = Instant::now();
        let waiting = tokio::spawn({
            let scrape_tracker = Arc::clone(&scrape_tracker);
            async move { waited(&scrape_tracker).await }
        });
        sleep(Duration::from_secs(1)).await;
        visit(&scrape_tracker, ip(1));
        sleep(Duration::from_secs(2)).await;
        visit(&scrape_tracker, ip(2));
        assert_eq!(waiting.await.expect("no panic"), 3);
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_counts_when_its_answer_is_complete() {
        let scrape_tracker = Arc::new(ScrapeTracker::default());
        for _ in 0..2 {
            visit(&scrape_tracker, ip(1));
            sleep(Duration::from_secs(30)).await;
        }
        let before = scrape_tracker.record(ip(1));
        let since = Instant::now() + Duration::from_secs(1);
        sleep(Duration::from_secs(30)).await;
        let visit = scrape_tracker.record(ip(1));
        scrape_tracker.complete(&before);
        assert_eq!(scrape_tracker.missing(&[ip(1)], since).len(), 1, "its answer is on the way");
        let waiting = tokio::spawn({
            let scrape_tracker = Arc::clone(&scrape_tracker);
            async move { scrape_tracker.wait_for_all_since(since).await }
        });
        sleep(Duration::from_secs(2)).await;
        assert!(!waiting.is_finished());
        scrape_tracker.complete(&visit);
        waiting.await.expect("no panic");
        assert!(scrape_tracker.missing(&[ip(1)], since).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_regular_client_is_known_among_many_that_scrape_once() {
        let scrape_tracker = ScrapeTracker::default();
        for scrape in 0..4 {
            for other in (0..100).filter(|_| scrape > 1) {
                visit(&scrape_tracker, Scraper::new([10, 0, scrape, other].into(), []));
            }
            visit(&scrape_tracker, ip(1));
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
            visit(&scrape_tracker, pair[0]);
            sleep(Duration::from_secs(10)).await;
            visit(&scrape_tracker, pair[1]);
            sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(scrape_tracker.return_time().as_secs(), 38, "two clients of one address, each every 30 s");
        let since = Instant::now();
        visit(&scrape_tracker, pair[0]);
        let mut expected = scrape_tracker.on_time();
        expected.sort_by_key(|scraper| *scraper != pair[0]);
        assert_eq!(expected, pair);
        let missing = |since| scrape_tracker.missing(&pair, since).iter().map(Missing::to_string).collect::<Vec<_>>();
        assert_eq!(missing(since), ["10.0.0.1 (last seen 20 s ago, comes every 30 s)"]);
        visit(&scrape_tracker, pair[1]);
        assert!(missing(since).is_empty());
        sleep(Duration::from_secs(60)).await;
        assert_eq!(scrape_tracker.return_time(), Duration::ZERO, "both are late");
        assert!(scrape_tracker.on_time().is_empty());
        visit(&scrape_tracker, ip(3));
        sleep(Duration::from_secs(250)).await;
        visit(&scrape_tracker, ip(3));
        assert_eq!(scrape_tracker.return_time(), MAX_RETURN_TIME);
        let since = Instant::now() + MAX_RETURN_TIME;
        sleep(2 * MAX_RETURN_TIME).await;
        let missing = scrape_tracker.missing(&[ip(3)], since);
        assert_eq!(missing[0].to_string(), "10.0.0.3 (last seen 240 s ago, comes every 250 s)");
        let many: Vec<_> = (4..13).map(ip).collect();
        let named = Missing::name(&scrape_tracker.missing(&many, since));
        assert_eq!(named, "10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8, and 4 more");
    }
}
