//! What happened in a run, in order. Two runs of one seed must give the same trace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::sync::lock;

/// Lines before the first difference that a comparison shows.
const SHOWN: usize = 40;

/// The time since the first event of a thread. The clock is frozen between timers, and differs between runs. Their differences do
/// not.
fn elapsed() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    START.with(Instant::elapsed)
}

/// Begins lines of the log with the simulated time.
pub struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        write!(line, "{:8.3} s", elapsed().as_secs_f64())
    }
}

/// The events of a run, if they are recorded.
#[derive(Clone, Default)]
pub struct Trace(Option<Arc<Mutex<Vec<String>>>>);

impl Trace {
    /// Returns a trace that records.
    pub fn recording() -> Self {
        Self(Some(Arc::default()))
    }

    /// Records an event.
    pub fn add(&self, event: impl FnOnce() -> String) {
        if let Some(events) = &self.0 {
            let at = elapsed();
            lock(events).push(format!("{at:?} {}", event()));
        }
    }

    /// Returns the number of events.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |events| lock(events).len())
    }

    /// Returns the first difference to another trace, and the lines before it.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (Some(one), Some(other)) = (&self.0, &other.0) else { return None };
        let (one, other) = (lock(one), lock(other));
        let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
        let before = one[at.saturating_sub(SHOWN)..at].join("\n");
        Some(format!("{before}\nevent {at} is {:?}\nand then   {:?}", one.get(at), other.get(at)))
    }
}
