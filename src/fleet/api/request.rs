//! Requests to the API server with a timeout, their errors, and when to retry them.

use std::time::Duration;

use backon::ExponentialBackoff;
use tracing::{debug, warn};

use crate::backoff::exponential;

/// How long an answer may take. After that, the next request may reach another API server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Number of refusals in a row, before any success, after which a permission counts as missing. A starting API server may
/// refuse requests before it has read its RBAC rules.
pub(super) const REFUSALS: u32 = 4;

/// The first pause after a failure, and the longest. They are short because a Lease must be renewed several times within its
/// duration.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the API server forbids it: {0}")]
    Forbidden(String),
    #[error("the object does not exist")]
    NotFound,
    #[error("the object has changed since it was read")]
    Conflict,
    #[error("the API server answers {code}: {message}")]
    Status { code: u16, message: String },
    #[error(transparent)]
    Connection(kube::Error),
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
}

/// Returns the answer to a request, if it arrives in time.
pub(super) async fn with_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, RequestError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            403 => RequestError::Forbidden(status.message.clone()),
            404 => RequestError::NotFound,
            409 => RequestError::Conflict,
            code => RequestError::Status { code, message: status.message.clone() },
        }),
        Ok(Err(error)) => Err(RequestError::Connection(error)),
        Err(_) => Err(RequestError::Timeout),
    }
}

/// Decides after each failure of a request how long to wait before the next attempt, or that a permission is missing.
pub(super) struct Retries {
    pauses: ExponentialBackoff,
    refusals: u32,
    failures: u32,
    succeeded: bool,
}

impl Default for Retries {
    fn default() -> Self {
        Self { pauses: exponential(FIRST_PAUSE, LONGEST_PAUSE), refusals: 0, failures: 0, succeeded: false }
    }
}

impl Retries {
    /// Resets the backoff.
    pub fn succeeded(&mut self) {
        *self = Self { succeeded: true, ..Self::default() };
    }

    /// Returns the pause before the next attempt, or `None` if the permission is missing. After one success, refusals are
    /// retried forever: the API server may not have read its RBAC rules yet. `action` completes "cannot ..." in the log.
    pub fn failed(&mut self, error: &RequestError, action: &str) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        match error {
            RequestError::Forbidden(_) => self.refusals += 1,
            _ => self.refusals = 0,
        }
        if self.refusals >= REFUSALS && !self.succeeded {
            return None;
        }
        // The caller reports a missing permission once it is certain, so do not warn about it here.
        let is_certain = self.refusals == 0 || self.succeeded;
        if is_certain && self.failures > 1 && self.failures.is_power_of_two() {
            warn!(%error, failures = self.failures, "cannot {action}, retrying");
        } else {
            debug!(%error, failures = self.failures, "cannot {action}, retrying");
        }
        Some(self.pauses.next().unwrap_or(LONGEST_PAUSE))
    }
}
