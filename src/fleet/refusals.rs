//! What this member refused: counted for telemetry, and logged at most once a minute per reason.

use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::format_error::FormatError;
use crate::shown;
use crate::sync::lock;

/// The minimum time between two log lines about the same reason.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// Why a connection or a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client's key is in no Lease of the fleet.
    UnknownKey,
    /// A message is about another process than the one that sent it, or from another fleet.
    WrongMember,
    /// A message or a Lease is malformed or too large.
    Invalid,
    /// A record or a statement has a version, layout or hash that this program does not know.
    UnknownFormat,
    /// More heartbeats arrived than the member can handle.
    QueueFull,
}

impl Reason {
    /// All reasons.
    const ALL: [Self; 5] = [Self::UnknownKey, Self::WrongMember, Self::Invalid, Self::UnknownFormat, Self::QueueFull];

    const fn name(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::WrongMember => "wrong_member",
            Self::Invalid => "invalid",
            Self::UnknownFormat => "unknown_format",
            Self::QueueFull => "queue_full",
        }
    }
}

impl From<&FormatError> for Reason {
    fn from(error: &FormatError) -> Self {
        match error {
            FormatError::Unknown { .. } => Self::UnknownFormat,
            _ => Self::Invalid,
        }
    }
}

/// The refused connections and messages of one member.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; Reason::ALL.len()],
    logged: Mutex<[Option<Logged>; Reason::ALL.len()]>,
}

/// The last log line about a reason.
#[derive(Clone, Copy, Debug)]
struct Logged {
    at: Instant,
    count: u64,
}

impl Refusals {
    /// Counts a refusal. `detail` names the refused message and the reason, and is escaped.
    pub fn note(&self, reason: Reason, detail: impl Display) {
        let count = self.counts[reason as usize].fetch_add(1, Relaxed) + 1;
        let mut logged = lock(&self.logged);
        let last = &mut logged[reason as usize];
        if last.is_some_and(|last| last.at.elapsed() < LOG_PERIOD) {
            return debug!(reason = reason.name(), detail = shown::value(&detail.to_string()), "refused");
        }
        let suppressed = count - 1 - last.map_or(0, |last| last.count);
        *last = Some(Logged { at: Instant::now(), count });
        drop(logged);
        let (detail, reason_name) = (shown::value(&detail.to_string()), reason.name());
        match reason {
            // A new member connects before the others have read its Lease.
            Reason::UnknownKey => info!(reason = reason_name, detail, suppressed, "refused a connection"),
            Reason::UnknownFormat => error!(reason = reason_name, detail, suppressed, "refused a format"),
            _ => warn!(reason = reason_name, detail, suppressed, "refused a message"),
        }
    }

    /// Returns the number of refusals by the name of their reason.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reason::ALL.into_iter().map(|reason| (reason.name(), self.counts[reason as usize].load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_counted_by_reason_and_logged_once_a_minute() {
        let refusals = Refusals::default();
        for _ in 0..1000 {
            refusals.note(Reason::Invalid, "x");
        }
        refusals.note(Reason::QueueFull, "y");
        let counts: Vec<_> = refusals.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("invalid", 1000), ("queue_full", 1)]);
        let logged = |reason: Reason| lock(&refusals.logged)[reason as usize].map(|logged| logged.count);
        assert_eq!(logged(Reason::Invalid), Some(1));
        tokio::time::advance(LOG_PERIOD).await;
        refusals.note(Reason::Invalid, "x");
        assert_eq!(logged(Reason::Invalid), Some(1001));
    }
}
