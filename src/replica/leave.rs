//! Shutdown of a fleet's member: it hands over, serves an empty scrape to each scraper, and announces that it has left.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::fleet::{FleetHandle, Snapshot};
use crate::server::{Farewell, Missing, ScrapeTracker};

/// Part of the grace period that is kept for the announcement and for answers in progress.
const RESERVE: Duration = Duration::from_secs(5);
/// Minimum time for the handover, for any grace period.
const MIN_HANDOVER: Duration = Duration::from_secs(1);
/// How long the coordinator may take to measure the handover.
const MEASUREMENT: Duration = Duration::from_secs(3);
/// Timeout of the announcement.
const ANNOUNCEMENT: Duration = Duration::from_secs(2);

/// Returns the time for the handover, given the Pod's grace period.
fn limit(grace: Duration) -> Duration {
    grace.saturating_sub(RESERVE).max(MIN_HANDOVER)
}

/// Hands over, and returns when no member and no scraper needs this replica any more, or when the time is up.
pub(super) async fn leave(fleet: &FleetHandle, scrape_tracker: &ScrapeTracker, farewell: Option<&Farewell>) {
    let snapshot = fleet.snapshot();
    if !snapshot.coordinated {
        return say_farewell(scrape_tracker, farewell).await;
    }
    let began = Instant::now();
    let handed_over = async {
        fleet.leave();
        until(fleet, |snapshot| snapshot.released).await;
        let released = Instant::now();
        // If no other member took over, this replica still exposes objects and has no empty scrape to show.
        if fleet.exposed().is_none_or(|exposed| exposed.is_empty()) {
            // Without this replica, nobody can tell when it hid its objects.
            let measured = timeout(MEASUREMENT, fleet.until_measured());
            let ((), _) = tokio::join!(scrape_tracker.wait_for_all_since(released), measured);
        } else {
            say_farewell(scrape_tracker, farewell).await;
        }
    };
    if timeout(limit(snapshot.grace), handed_over).await.is_err() {
        warn!(seconds = began.elapsed().as_secs(), "handover not completed within the grace period");
    }
    fleet.mark_left();
    if timeout(ANNOUNCEMENT, until(fleet, |snapshot| snapshot.left)).await.is_err() {
        warn!("could not announce that this replica has left");
    }
    info!(seconds = began.elapsed().as_secs_f64(), "left the fleet");
}

/// Serves each client that scrapes regularly once more, with timestamps, so that Prometheus does not end the series.
pub(super) async fn say_farewell(scrape_tracker: &ScrapeTracker, farewell: Option<&Farewell>) {
    let wait = scrape_tracker.return_time();
    let Some(farewell) = farewell.filter(|_| !wait.is_zero()) else { return };
    info!(seconds = wait.as_secs(), "terminating: serving every scraper once more, with timestamps");
    let (expected, since) = (scrape_tracker.on_time(), Instant::now());
    farewell.say(wait);
    // The limit is the same as for the fleet. A scraper that comes more rarely sees a gap.
    let _ = timeout(wait, scrape_tracker.wait_for_all_since(since)).await;
    let missing = scrape_tracker.missing(&expected, since);
    if !missing.is_empty() {
        warn!(scrapers = Missing::name(&missing), "ending before all scrapers had come: their series may have a gap");
    }
}

/// Returns the time that remains of `grace` after [`leave`], which began at `began`.
pub(super) fn remaining(grace: Duration, began: Instant) -> Duration {
    (limit(grace) + RESERVE - MIN_HANDOVER).saturating_sub(began.elapsed()).max(MIN_HANDOVER)
}

async fn until(fleet: &FleetHandle, is: impl Fn(&Snapshot) -> bool) {
    let mut changed = fleet.changed();
    while !is(&fleet.snapshot()) {
        // A member that lost its permissions does not wait for the others. The sender lives as long as the handle.
        if !fleet.snapshot().coordinated || changed.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_of_it_fits_into_the_grace_period() {
        for grace in [0, 3, 6, 30, 120].map(Duration::from_secs) {
            let began = Instant::now();
            assert!(limit(grace) >= MIN_HANDOVER);
            tokio::time::advance(limit(grace) + ANNOUNCEMENT).await;
            let end = began.elapsed() + remaining(grace, began);
            assert!(end <= grace.max(RESERVE + MIN_HANDOVER), "{grace:?} {end:?}");
        }
    }
}
