//! Reports progress on a terminal, for work that takes longer than a second.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use super::output::print_line;

/// The time between two reports.
const PERIOD: Duration = Duration::from_secs(1);

/// Limits reports to one per second, and none in the first second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress(Instant);

impl Progress {
    /// Starts the first period.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether a report is due. If so, starts the next period.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= PERIOD;
        if is_due {
            self.0 = Instant::now();
        }
        is_due
    }

    /// Prints a line to standard error if a report is due. Prints nothing if standard error is not a terminal.
    pub fn report(&mut self, line: impl FnOnce() -> String) {
        if self.is_due() && stderr().is_terminal() {
            print_line(&mut stderr(), &line());
        }
    }
}
