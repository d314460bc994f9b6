//! How a member of a fleet ends: it hands over, shows once more that it has nothing, and says that it has left.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::fleet::{FleetHandle, Snapshot};
use crate::server::ScrapeTracker;

/// What is left of the grace period for the end itself: to say that we have left, and for answers that have begun.
const RESERVE: Duration = Duration::from_secs(5);
/// However short the grace period, so long is tried.
const LEAST: Duration = Duration::from_secs(1);
/// How long the last write may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a pod with this grace period may take to hand over.
fn limit(grace: Duration) -> Duration {
    grace.saturating_sub(RESERVE).max(LEAST)
}

/// Hands over to the others and returns when nobody needs this replica any more, or time is up.
pub(super) async fn leave(fleet: &FleetHandle, scrape_tracker: &ScrapeTracker) {
    let snapshot = fleet.snapshot();
    if !snapshot.coordinated {
        return;
    }
    let began = Instant::now();
    let handed_over = async {
        fleet.leave();
        until(fleet, |snapshot| snapshot.released).await;
        let released = Instant::now();
        // Without anybody to take over there is nothing to show, and nobody else who serves.
        if fleet.exposed().is_none_or(|exposed| exposed.is_empty()) {
            scrape_tracker.wait_for_all_since(released).await;
        }
    };
    if timeout(limit(snapshot.grace), handed_over).await.is_err() {
        warn!(seconds = began.elapsed().as_secs(), "the grace period ends before the others have taken over");
    }
    fleet.farewell();
    if timeout(FAREWELL, until(fleet, |snapshot| snapshot.left)).await.is_err() {
        warn!("the others could not be told that this replica has left");
    }
    info!(seconds = began.elapsed().as_secs_f64(), "left the fleet");
}

/// How long the end may take after that, counted from the beginning.
pub(super) fn rest(grace: Duration, began: Instant) -> Duration {
    (limit(grace) + RESERVE - LEAST).saturating_sub(began.elapsed()).max(LEAST)
}

async fn until(fleet: &FleetHandle, is: impl Fn(&Snapshot) -> bool) {
    let mut changed = fleet.changed();
    while !is(&fleet.snapshot()) {
        // Who lost the right to agree with others needs not wait for them. The sender lives as long as the fleet.
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
            assert!(limit(grace) >= LEAST);
            tokio::time::advance(limit(grace) + FAREWELL).await;
            let end = began.elapsed() + rest(grace, began);
            assert!(end <= grace.max(RESERVE + LEAST), "{grace:?} {end:?}");
        }
    }
}
