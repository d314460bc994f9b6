//! The state machine of a member: events in, wishes out. No clock, no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{Beat, Incarnation, Member, Record};
use crate::sharding::{Hasher, Slice};

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Of a clock that never goes back and runs through suspension (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    /// Unix milliseconds.
    pub unix: u64,
}

/// What a member is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub id: Incarnation,
    /// Where its telemetry port is, as `ip:port`.
    pub address: String,
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// The hash that the flags ask for.
    pub hash: Hasher,
    /// `--handover-overlap`.
    pub overlap: Duration,
}

/// What happens to a member.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time passed.
    Tick,
    /// The StatefulSet as it is now: its UID and the replicas it wants. `None`: there is none.
    StatefulSet(Option<(String, u32)>),
    /// All Leases were listed; the state of the fleet is known from now on. What they say came before, as the events below.
    Listed,
    /// The Lease of a member was written; the own one too, as it was before this process took it.
    Lease(Member),
    /// The fleet's record, as the API server has it. Also after an own write was accepted.
    Record(Record),
    /// The fleet's record is not there.
    NoRecord,
    /// Our Lease was written at this moment (boot time) or later, and came back through the watch: whatever was written
    /// before it was seen.
    Confirmed(Duration),
    /// A peer answered a beat that was sent at this moment (boot time).
    Answered(Beat, Duration),
    /// A peer sent a beat.
    Heard(Beat),
    /// The connection to this peer closed and its address refuses a new one.
    Refused(Incarnation),
    /// Which ordinals have a Pod that is Ready, as far as it was asked.
    Pods(BTreeMap<u32, bool>),
    /// What is loaded whole and kept up to date, of all resources.
    Loaded(Slice),
    /// How much more we can take on, in units of 2^32 points; `None` for no bound.
    Headroom(Option<u32>),
    /// We are to end.
    Leave,
}

/// What is exposed when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each slice is exposed from its moment (boot time) on, until the next one's. The first is in force; never empty.
    pub steps: Vec<(Duration, Slice)>,
    /// When nobody confirms the plan until then, nothing may be exposed; `None` for a fleet of one.
    pub until: Option<Duration>,
}

impl Plan {
    /// What is exposed at `boot`; `None` if we may not know any more.
    pub fn at(&self, boot: Duration) -> Option<&Slice> {
        if self.until.is_some_and(|until| boot >= until) {
            return None;
        }
        self.steps.iter().rev().find(|(from, _)| *from <= boot).or(self.steps.first()).map(|(_, slice)| slice)
    }
}

/// What a member wants, declared anew after each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// What is to be loaded and kept up to date.
    pub hold: Slice,
    /// What is exposed.
    pub plan: Plan,
    /// What the own Lease is to say; a change is written at once.
    pub member: Member,
    /// A record to be written in place of the one that is there (or to be created).
    pub write: Option<Record>,
    /// Whether the replica is ready: loaded, and its own generation is current.
    pub ready: bool,
    /// We were told to end, and nobody needs us any more.
    pub released: bool,
    /// When (boot time) to be asked again, if nothing happens before.
    pub wake: Duration,
    /// Ordinals about whose Pods we want to know ([`Event::Pods`]).
    pub ask_pods: Vec<u32>,
}
