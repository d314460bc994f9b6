//! `--seamless-handover`: tells the fleet when scrapers come, and the stores which series may not end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::resources::Resources;
use crate::fleet::FleetHandle;
use crate::server::ScrapeTracker;
use crate::sharding::Slice;

/// Whether clients are late is looked at this often.
const PERIOD: Duration = Duration::from_secs(1);
/// The return time may vary by this much, or each scrape would change the statement of the member.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Connects a member of a fleet with its scrapers and its stores. Never ends.
pub(super) async fn run(fleet: Arc<FleetHandle>, scrapers: Arc<ScrapeTracker>, resources: Arc<Resources>) {
    let (mut changed, mut scraped) = (fleet.changed(), scrapers.scraped());
    let (mut told, mut held_back) = (None, Slice::none());
    // The generation whose series have a timestamp, since when, and whether all scrapers have come since.
    let mut stamped: Option<(u64, Instant, bool)> = None;
    loop {
        let snapshot = fleet.snapshot();
        if snapshot.held_back != held_back {
            held_back.clone_from(&snapshot.held_back);
            resources.hold_back(&held_back);
        }
        let wait = scrapers.return_time();
        if told.is_none_or(|told: Duration| wait > told || wait + TOLERANCE < told) {
            told = Some(wait);
            fleet.set_scrape_wait(wait);
        }
        let generation = snapshot.stamps.as_ref().map(|stamps| stamps.generation);
        if stamped.map(|(generation, ..)| generation) != generation {
            stamped = generation.map(|generation| (generation, Instant::now(), false));
            // Also from one generation to the next: other pages move.
            resources.free_timed();
        }
        if let Some((generation, since, done @ false)) = &mut stamped
            && scrapers.all_since(*since)
        {
            *done = true;
            fleet.set_stamped(*generation);
        }
        tokio::select! {
            biased;
            // The handle and the tracker hold the senders, so these cannot fail.
            _ = changed.changed() => {}
            _ = scraped.changed() => {}
            () = sleep(PERIOD) => {
                // A scrape that began before the switch leaves text after it.
                if stamped.is_none() {
                    resources.free_timed();
                }
            }
        }
    }
}
