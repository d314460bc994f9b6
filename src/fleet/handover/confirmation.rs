//! Whether this member may still rely on what it knows: for how long since its last confirmation, and at all since its last pause.
//!
//! May not know what is exposed.

use std::time::Duration;

use super::facts::Facts;
use super::peers::ANSWER_TO_SUSPICION;
use super::timing::{LEASE_DURATION, Now};
use crate::settings::OnLostQuorum;

/// The longest time without a reading of the clock that is no pause. A process whose connections break while it does not run is
/// dismissed after this time at the earliest, so what it knew then still holds.
pub(super) const PAUSE: Duration = ANSWER_TO_SUSPICION;
/// How long a process waits at least after a pause for a confirmation, before it serves without one.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// The last pause of this process, until what it knows is confirmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Wakefulness {
    /// The last reading of the clock (boot time).
    last: Option<Duration>,
    resumed: Option<Resumed>,
}

/// A process that was paused, and has not read the news yet.
#[derive(Clone, Copy, Debug)]
struct Resumed {
    /// When it resumed (boot time).
    at: Duration,
    /// Until when it waits for a confirmation (boot time): as long as it was paused, within limits.
    patient_until: Duration,
}

impl Wakefulness {
    /// Notes a reading of the clock. Returns whether the process was paused before it.
    pub fn note(&mut self, now: Now) -> bool {
        let gap = self.last.map_or(Duration::ZERO, |last| now.since(last));
        self.last = self.last.max(Some(now.boot));
        if gap <= PAUSE {
            return false;
        }
        let patience = gap.clamp(LEAST_PATIENCE, LEASE_DURATION);
        self.resumed = Some(Resumed { at: now.boot, patient_until: now.boot + patience });
        true
    }

    /// Ends the wait if the API server or all peers have confirmed the facts since the pause.
    pub fn confirm(&mut self, facts: &Facts, now: Now) {
        self.resumed.take_if(|resumed| facts.is_confirmed_since(resumed.at, now));
    }

    /// Whether a confirmation after a pause may still come.
    pub fn awaits_news(&self, now: Now) -> bool {
        self.resumed.is_some_and(|resumed| now.boot < resumed.patient_until)
    }

    /// Returns until when (boot time) this member may expose what it owns, unless a later call says otherwise; `None` without a
    /// record.
    pub fn valid_until(&self, facts: &Facts, choice: OnLostQuorum, now: Now) -> Option<Duration> {
        let confirmed_until = facts.valid_until(now)?;
        let next_reading = now.boot + PAUSE;
        let serves = choice == OnLostQuorum::Serve && facts.last_confirmed().is_some();
        Some(match self.resumed {
            Some(_) if self.awaits_news(now) || !(serves || facts.is_alone(now)) => now.boot,
            _ if serves => next_reading,
            _ => confirmed_until.min(next_reading),
        })
    }
}
