//! Timeouts of the servers.

use std::time::Duration;

use super::SettingsError;
use super::values::{self, GoDuration};

/// The default of kube-state-metrics.
const IDLE: Duration = Duration::from_secs(300);
/// Longer than any connection lives.
const MAXIMUM: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the servers wait for a client, as Go's `http.Server` does; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `--server-read-timeout`: from the first byte of a request to its last.
    pub read: Option<Duration>,
    /// `--server-read-header-timeout`: from the first byte of a request to the end of its headers; as `read` if there is none.
    pub read_header: Option<Duration>,
    /// `--server-write-timeout`: from the end of a request to the end of its response.
    pub write: Option<Duration>,
    /// `--server-idle-timeout`: between requests; as `read` if there is none.
    pub idle: Option<Duration>,
}

impl Default for Timeouts {
    /// As in kube-state-metrics.
    fn default() -> Self {
        Self {
            read: Some(Duration::from_secs(60)),
            read_header: Some(Duration::from_secs(5)),
            write: Some(Duration::from_secs(60)),
            idle: Some(IDLE),
        }
    }
}

impl Timeouts {
    /// The timeout that `flag` sets. As in Go, zero is no limit; negative values are rejected.
    pub(super) fn timeout(
        flag: &'static str,
        given: &Option<GoDuration>,
        default: Option<Duration>,
    ) -> Result<Option<Duration>, SettingsError> {
        let timeout = values::duration(default.unwrap_or_default(), MAXIMUM)(flag, given)?;
        Ok(Some(timeout).filter(|timeout| !timeout.is_zero()))
    }
}
