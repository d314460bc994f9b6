//! What a member asks of the API server about its fleet: its own Pod, the StatefulSet, and Leases.
//!
//! Few and small objects, read as JSON. What is asked too often for nothing is asked more slowly, and no request waits for
//! an API server that does not answer.

mod find;
mod follow;
mod leases;
mod names;
mod pods;
mod statefulset;

use std::fmt;
use std::time::Duration;

use crate::backoff::exponential;
use backon::ExponentialBackoff;

pub use find::Unfit;
pub(super) use find::{Place, find};
pub(super) use leases::{Leases, Write};
pub(super) use names::Names;
pub(super) use pods::ask_pods;
pub use pods::is_ready;
pub(super) use statefulset::{Seen, follow_statefulset};

/// How long an answer may take; an API server that is silent must not keep us from trying another one.
const PATIENCE: Duration = Duration::from_secs(4);

/// An API server that starts refuses what it will allow in a moment: only what is refused so often in a row, before it was
/// ever allowed, is refused.
const REFUSALS: u32 = 4;

/// A right that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// For example `get`.
    pub verb: &'static str,
    /// For example `leases.coordination.k8s.io`.
    pub resource: &'static str,
    /// Where.
    pub namespace: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in namespace {}", self.verb, self.resource, self.namespace)
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the server forbids it: {0}")]
    Forbidden(String),
    #[error("it is not there")]
    NotFound,
    #[error("it has been changed meanwhile")]
    Conflict,
    #[error("{0}")]
    Status(String),
    #[error("{0}")]
    Connection(kube::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silence,
}

/// The answer to a request, if it comes in time.
async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            403 => Trouble::Forbidden(status.message.clone()),
            404 => Trouble::NotFound,
            409 => Trouble::Conflict,
            code => Trouble::Status(format!("the server answers {code}: {}", status.message)),
        }),
        Ok(Err(error)) => Err(Trouble::Connection(error)),
        Err(_) => Err(Trouble::Silence),
    }
}

/// The first pause after a failure, and the longest. They are short because a Lease must be renewed several times within its duration.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Pauses between tries, and whether a right is missing.
struct Tries {
    pauses: ExponentialBackoff,
    refusals: u32,
    failures: u32,
    succeeded: bool,
}

impl Default for Tries {
    fn default() -> Self {
        Self { pauses: exponential(FIRST_PAUSE, LONGEST_PAUSE), refusals: 0, failures: 0, succeeded: false }
    }
}

impl Tries {
    fn succeeded(&mut self) {
        *self = Self { succeeded: true, ..Self::default() };
    }

    /// The pause after a failure; none if the right is missing. What was allowed once is not given up: the API server may
    /// not have read its rules yet.
    fn failed(&mut self, trouble: &Trouble, what: &str) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        match trouble {
            Trouble::Forbidden(_) => self.refusals += 1,
            _ => self.refusals = 0,
        }
        if self.refusals >= REFUSALS && !self.succeeded {
            return None;
        }
        // A right that was never there is told once, when that is certain.
        let certain = self.refusals == 0 || self.succeeded;
        if certain && self.failures > 1 && self.failures.is_power_of_two() {
            tracing::warn!(error = %trouble, tries = self.failures, "cannot {what}; trying again");
        } else {
            tracing::debug!(error = %trouble, "cannot {what}; trying again");
        }
        Some(self.pauses.next().unwrap_or(Duration::from_secs(2)))
    }
}

#[cfg(test)]
mod tests;
