//! Decides when a source is degraded: its requests fail for so long, while those of others succeed, that nothing should wait for it.
//!
//! The time for which it failed is counted up to [`LIMIT`], and counted down while it works. A source that fails most of the
//! time therefore becomes degraded, and one that works for a moment stays so. Only the time after a failure counts that
//! happened while another source proved that the API server works: during an outage of the whole server nobody is degraded, and after it
//! every source has the chance to try again. No clock, no I/O.

use std::time::Duration;

use tokio::time::Instant;

use crate::intake::{Condition, Vitals};

/// How long a source fails before it is degraded, and works before it is not.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// A failure counts although it came before the first proof of all, if it came at most this long before: the sources of a new
/// process start together.
const START: Duration = Duration::from_secs(5);

/// How often to check whether others still prove that the API server works.
const CHECK: Duration = Duration::from_secs(5);

/// How long one source has failed.
#[derive(Debug)]
pub(in crate::replica) struct Degradation {
    /// For how long it failed; at most [`LIMIT`].
    failed: Duration,
    /// The time since a failure in which data arrived. It counts if the attempt fails.
    retried: Duration,
    condition: Condition,
    failures: u64,
    /// Whether the last failure counts: another source has proved since before it that the API server works.
    counts: bool,
    /// Whether another source has ever proved that the API server works.
    others_worked: bool,
    failed_at: Option<Instant>,
    degraded: bool,
    /// The last observation.
    at: Instant,
}

impl Degradation {
    pub fn new(now: Instant) -> Self {
        Self {
            failed: Duration::ZERO,
            retried: Duration::ZERO,
            condition: Condition::Fine,
            failures: 0,
            counts: false,
            others_worked: false,
            failed_at: None,
            degraded: false,
            at: now,
        }
    }

    pub const fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Observes the source. `others_work`: another source proves that the API server works. Returns when to observe again if
    /// nothing changes before.
    pub fn observe(&mut self, now: Instant, vitals: &Vitals, others_work: bool) -> Option<Instant> {
        let elapsed = now.duration_since(self.at);
        self.at = now;
        match self.condition {
            Condition::Fine => self.failed = self.failed.saturating_sub(elapsed),
            Condition::Failing if self.counts => self.failed += elapsed,
            Condition::Retrying if self.counts => self.retried += elapsed,
            Condition::Failing | Condition::Retrying => {}
        }
        let failed_again = vitals.failures != self.failures;
        (self.condition, self.failures) = (vitals.condition, vitals.failures);
        if failed_again {
            self.failed += std::mem::take(&mut self.retried);
            self.failed_at = Some(now);
        }
        let first_proof = others_work && !std::mem::replace(&mut self.others_worked, true);
        let is_recent = self.failed_at.is_some_and(|at| now.duration_since(at) < START);
        let starts = failed_again || (first_proof && is_recent);
        if self.condition == Condition::Fine {
            self.retried = Duration::ZERO;
        }
        self.counts = others_work && self.condition != Condition::Fine && (self.counts || starts);
        self.failed = self.failed.min(LIMIT);
        self.degraded = if self.degraded { !self.failed.is_zero() } else { self.failed == LIMIT };
        match self.condition {
            Condition::Fine if self.degraded => Some(now + self.failed),
            Condition::Failing if self.counts && !self.degraded => Some(now + CHECK.min(LIMIT - self.failed)),
            Condition::Retrying if self.counts && !self.degraded => Some(now + CHECK),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One source beside others.
    struct Scene {
        now: Instant,
        vitals: Vitals,
        others_work: bool,
        degradation: Degradation,
    }

    impl Scene {
        fn new() -> Self {
            let now = Instant::now();
            Self { now, vitals: Vitals::default(), others_work: true, degradation: Degradation::new(now) }
        }

        fn becomes(&mut self, condition: Condition) {
            self.vitals.condition = condition;
            self.vitals.failures += u64::from(condition == Condition::Failing);
            self.look();
        }

        fn look(&mut self) -> Option<Instant> {
            self.degradation.observe(self.now, &self.vitals, self.others_work)
        }

        /// Lets time pass, with the observations that were asked for. Returns whether the source is degraded then.
        fn after(&mut self, seconds: u64) -> bool {
            let end = self.now + Duration::from_secs(seconds);
            while let Some(next) = self.look().filter(|next| *next < end) {
                assert!(next > self.now, "it makes progress");
                self.now = next;
            }
            self.now = end;
            self.look();
            self.degradation.is_degraded()
        }
    }

    #[test]
    fn a_source_is_degraded_after_30_seconds_and_for_30_seconds_after_it_works_again() {
        let mut scene = Scene::new();
        assert!(!scene.after(100));
        scene.becomes(Condition::Failing);
        assert!(!scene.after(29));
        assert!(scene.after(1) && scene.after(1000));
        scene.becomes(Condition::Fine);
        assert!(scene.after(29));
        assert!(!scene.after(1) && scene.look().is_none());
    }

    #[test]
    fn a_moment_of_success_changes_nothing() {
        let mut scene = Scene::new();
        scene.becomes(Condition::Failing);
        assert!(!scene.after(29));
        scene.becomes(Condition::Fine);
        assert!(!scene.after(1));
        scene.becomes(Condition::Failing);
        assert!(scene.after(2), "it fails most of the time");
        for _ in 0..20 {
            scene.becomes(Condition::Fine);
            assert!(scene.after(20));
            scene.becomes(Condition::Failing);
            assert!(scene.after(20), "it stays degraded");
        }
    }

    #[test]
    fn rare_failures_degrade_nothing() {
        let mut scene = Scene::new();
        for _ in 0..100 {
            scene.becomes(Condition::Failing);
            assert!(!scene.after(5));
            scene.becomes(Condition::Fine);
            assert!(!scene.after(5));
        }
    }

    #[test]
    fn an_outage_of_the_whole_server_counts_for_nobody() {
        let mut scene = Scene::new();
        scene.others_work = false;
        for _ in 0..20 {
            scene.becomes(Condition::Failing);
            assert!(!scene.after(30));
        }
        scene.others_work = true;
        assert!(!scene.after(60), "it has not tried since");
        scene.becomes(Condition::Failing);
        assert!(!scene.after(29));
        assert!(scene.after(1));
        scene.others_work = false;
        assert!(scene.after(1000), "it is still the one that failed");
    }

    #[test]
    fn the_sources_of_a_new_process_start_together() {
        let mut scene = Scene { others_work: false, ..Scene::new() };
        scene.becomes(Condition::Failing);
        assert!(!scene.after(1));
        scene.others_work = true;
        assert!(!scene.after(29), "its server asked for a pause");
        assert!(scene.after(1));
    }

    #[test]
    fn a_list_that_makes_progress_after_a_failure_is_waited_for() {
        let mut scene = Scene::new();
        scene.becomes(Condition::Failing);
        assert!(!scene.after(1));
        scene.becomes(Condition::Retrying);
        assert!(!scene.after(200));
        let mut broken = Scene { degradation: Degradation::new(scene.now), ..scene };
        broken.becomes(Condition::Failing);
        broken.becomes(Condition::Retrying);
        assert!(!broken.after(40));
        broken.becomes(Condition::Failing);
        assert!(broken.after(0), "a list that never completes");
    }
}
