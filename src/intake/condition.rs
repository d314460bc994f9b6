//! Whether the requests of a source succeed, for the owner, which decides when a source is degraded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::shown;

/// How long an answer may keep a source waiting before the wait counts as a failure. The request continues.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long after its last data a source still proves that the API server works. A quiet watch receives a bookmark every minute.
const HEARD: Duration = Duration::from_secs(75);

/// Whether the requests of a source succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// No request has failed since the source last held its whole slice, up to date.
    #[default]
    Fine,
    /// The last request failed, or its answer does not arrive.
    Failing,
    /// Data arrives for a list that follows a failure.
    Retrying,
}

/// A failure in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its kind, one of a few.
    pub reason: &'static str,
    /// The error, on one line of limited length.
    pub error: String,
}

/// The requests of a source up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Whether they succeed.
    pub condition: Condition,
    /// Number of failures, and of times that an answer did not arrive in time.
    pub failures: u64,
    /// The last failure.
    pub trouble: Option<Arc<Trouble>>,
    /// When data last arrived.
    pub(super) heard: Option<Instant>,
}

impl Vitals {
    /// Whether the source proves that the API server works: it lists or watches, and data arrived not long ago.
    pub fn is_proof(&self, now: Instant) -> bool {
        self.condition == Condition::Fine && self.heard.is_some_and(|heard| now.duration_since(heard) < HEARD)
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.condition = Condition::Failing;
        self.failures += 1;
        self.keep(failure);
    }

    /// Keeps a failure for those who ask. A refusal is one too, although the server works.
    pub(super) fn keep(&mut self, failure: &Failure) {
        self.trouble = Some(Arc::new(Trouble { reason: failure.reason(), error: shown::line(&failure.to_string()) }));
    }

    /// Data of a list arrived.
    pub(super) fn progressed(&mut self) {
        if self.condition == Condition::Failing {
            self.condition = Condition::Retrying;
        }
    }
}
