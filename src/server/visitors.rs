//! Who scrapes, and how often: before a replica ends it shows to each that it has nothing any more, so that Prometheus ends
//! its series at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::sync::lock;

/// Who has not come for so long does not come any more.
const MEMORY: Duration = Duration::from_secs(300);
/// Who comes every so often is late after this many times that.
const LATE: f64 = 1.3;
/// As many are remembered; of more, nobody waits for the rest.
const MOST: usize = 64;

/// Who scraped in the last minutes.
#[derive(Debug, Default)]
pub struct Visitors {
    seen: Mutex<HashMap<IpAddr, Visits>>,
    /// Ticks with each scrape.
    came: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
struct Visits {
    last: Instant,
    /// Between the last two; `None` for who came once.
    interval: Option<Duration>,
}

impl Visitors {
    /// Somebody scrapes.
    pub fn note(&self, ip: IpAddr) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.retain(|_, visits| now.duration_since(visits.last) <= MEMORY);
        if let Some(visits) = seen.get_mut(&ip) {
            *visits = Visits { last: now, interval: Some(now.duration_since(visits.last)) };
        } else if seen.len() < MOST {
            seen.insert(ip, Visits { last: now, interval: None });
        }
        drop(seen);
        self.came.send_replace(());
    }

    /// Waits until everyone who comes regularly has come once more since `since`, or is late.
    pub async fn all_since(&self, since: Instant) {
        let mut came = self.came.subscribe();
        while let Some(until) = self.last_expected(since) {
            tokio::select! {
                () = sleep_until(until) => return,
                // The sender is ours.
                _ = came.changed() => {}
            }
        }
    }

    /// When the last of those is late who have not come since.
    fn last_expected(&self, since: Instant) -> Option<Instant> {
        let now = Instant::now();
        let seen = self.seen();
        let missing = seen.values().filter(|visits| visits.last < since);
        let late = missing.filter_map(|visits| Some(visits.last + visits.interval?.mul_f64(LATE)));
        late.filter(|at| *at > now).max()
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<IpAddr, Visits>> {
        // Whatever is in it is whole: each change is one assignment.
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

    async fn waited(visitors: &Visitors) -> u64 {
        let since = Instant::now();
        visitors.all_since(since).await;
        since.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_never_came_or_came_once() {
        let visitors = Visitors::default();
        assert_eq!(waited(&visitors).await, 0);
        visitors.note(ip(1));
        assert_eq!(waited(&visitors).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_regularly_is_waited_for_until_late() {
        let visitors = Visitors::default();
        visitors.note(ip(1));
        sleep(Duration::from_secs(30)).await;
        visitors.note(ip(1));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(waited(&visitors).await, 29);
        // It is gone for good.
        sleep(Duration::from_secs(60)).await;
        assert_eq!(waited(&visitors).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_when_all_have_come() {
        let visitors = Arc::new(Visitors::default());
        for _ in 0..2 {
            visitors.note(ip(1));
            visitors.note(ip(2));
            sleep(Duration::from_secs(20)).await;
        }
        let began = Instant::now();
        let waiting = tokio::spawn({
            let visitors = Arc::clone(&visitors);
            async move { waited(&visitors).await }
        });
        sleep(Duration::from_secs(1)).await;
        visitors.note(ip(1));
        sleep(Duration::from_secs(2)).await;
        visitors.note(ip(2));
        assert_eq!(waiting.await.expect("no panic"), 3);
        assert_eq!(began.elapsed().as_secs(), 3);
    }
}
