//! How far something is that takes longer than a second: for whoever waits at a terminal.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// How often it is told.
const PERIOD: Duration = Duration::from_secs(1);

/// Knows when the next word is due: once a second, and not within the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress(Instant);

impl Progress {
    /// Something begins.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether a word is due; then the next one is a second later.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= PERIOD;
        if is_due {
            self.0 = Instant::now();
        }
        is_due
    }

    /// Tells standard error what `words` are, if they are due and it is a terminal: scripts have no use for them.
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.is_due() && stderr().is_terminal() {
            super::say(&mut stderr(), &words());
        }
    }
}
