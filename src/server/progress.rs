//! How far a connection or a request is, and when it last made progress.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::sync::lock;

/// The state of a connection, in the order in which they are closed when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// In its TLS handshake, or sending its first request.
    #[default]
    Opening,
    /// Between two requests. Clients open another connection when they need one.
    Idle,
    /// A request is in progress.
    Busy,
}

/// The phase of a connection or request, and the time of its last progress.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(Phase, Instant)>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((Phase::default(), Instant::now())))
    }
}

impl Progress {
    /// Enters a phase, which counts as progress.
    pub fn set(&self, phase: Phase) {
        *lock(&self.0) = (phase, Instant::now());
    }

    /// Records progress.
    pub fn touch(&self) {
        lock(&self.0).1 = Instant::now();
    }

    /// Returns the phase, and the time of the last progress.
    pub fn get(&self) -> (Phase, Instant) {
        *lock(&self.0)
    }

    /// Returns the time of the last progress.
    pub fn at(&self) -> Instant {
        self.get().1
    }
}
