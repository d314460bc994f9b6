//! `--seamless-handover`: tells the fleet when scrapers come, and the stores which series may not end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::resources::Resources;
use crate::fleet::FleetHandle;
use crate::server::{Missing, ScrapeTracker, Scraper};
use crate::sharding::Slice;

/// Whether clients are late is looked at this often.
const PERIOD: Duration = Duration::from_secs(1);
/// The return time may vary by this much, or each scrape would change the statement of the member.
const TOLERANCE: Duration = Duration::from_secs(5);

/// The wait for scrapers while the series that move have a timestamp.
struct Wait {
    /// The generation in which others serve them.
    generation: u64,
    since: Instant,
    /// The scrapers that came regularly then.
    expected: Vec<Scraper>,
    /// Whether all of them have come since.
    is_over: bool,
}

impl Wait {
    fn begin(generation: u64, scrapers: &ScrapeTracker) -> Self {
        let expected = scrapers.on_time();
        info!(generation, scrapers = expected.len(), "moving series have a timestamp: waiting for scrapers");
        Self { generation, since: Instant::now(), expected, is_over: false }
    }

    /// Names the scrapers that have not come, after the switch: they may see gaps.
    fn end(self, fleet: &FleetHandle, scrapers: &ScrapeTracker) {
        let missing = scrapers.missing(&self.expected, self.since);
        if !missing.is_empty() {
            let missing = Missing::name(&missing);
            warn!(generation = self.generation, scrapers = missing, "objects moved before all scrapers had come");
            fleet.announce_missed_scrapers(&missing);
        }
    }
}

/// Connects a member of a fleet with its scrapers and its stores. Never ends.
pub(super) async fn run(fleet: Arc<FleetHandle>, scrapers: Arc<ScrapeTracker>, resources: Arc<Resources>) {
    let (mut changed, mut scraped) = (fleet.changed(), scrapers.scraped());
    let (mut told, mut held_back) = (None, Slice::none());
    let mut wait: Option<Wait> = None;
    loop {
        let snapshot = fleet.snapshot();
        if snapshot.held_back != held_back {
            held_back.clone_from(&snapshot.held_back);
            resources.hold_back(&held_back);
        }
        let time = scrapers.return_time();
        if told.is_none_or(|told: Duration| time > told || time + TOLERANCE < told) {
            told = Some(time);
            fleet.set_scrape_wait(time);
        }
        let generation = snapshot.stamps.as_ref().map(|stamps| stamps.generation);
        if wait.as_ref().map(|wait| wait.generation) != generation {
            // A generation that is cancelled does not come.
            if let Some(ended) = wait.take().filter(|wait| wait.generation <= snapshot.status.generation) {
                ended.end(&fleet, &scrapers);
            }
            wait = generation.map(|generation| Wait::begin(generation, &scrapers));
            // Also from one generation to the next: other pages move.
            resources.free_timed();
        }
        if let Some(wait) = wait.as_mut().filter(|wait| !wait.is_over)
            && scrapers.missing(&wait.expected, wait.since).is_empty()
        {
            wait.is_over = true;
            fleet.set_stamped(wait.generation);
        }
        tokio::select! {
            biased;
            // The handle and the tracker hold the senders, so these cannot fail.
            _ = changed.changed() => {}
            _ = scraped.changed() => {}
            () = sleep(PERIOD) => {
                // A scrape that began before the switch leaves text after it.
                if wait.is_none() {
                    resources.free_timed();
                }
            }
        }
    }
}
