//! How ranges change hands: the state machine of a member. Events in, decisions out; no clock, no I/O.
//!
//! Every member runs a [`Machine`]. All follow one [`Record`]: the current view, and at most one that is next. The
//! coordinator, which is whoever wrote the record last and lives, writes the next one; the rules are in `coordinate`,
//! what is known of the others in `members`, what a member does itself in `machine`.
//! May not know anything that runs, nor where events come from.

mod coordinate;
mod machine;
mod members;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{Heartbeat, Incarnation, Member, Record};
use crate::sharding::{Hasher, Slice};

pub use machine::Machine;

/// How long a Lease speaks for its holder, and a confirmation for a plan.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often a Lease is renewed.
pub const RENEW: Duration = Duration::from_secs(5);
/// How far ahead a switch is set.
pub const LEAD: Duration = Duration::from_secs(3);
/// How long a member that never prepared is waited for.
pub const START_LIMIT: Duration = Duration::from_secs(120);

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
    LeaseConfirmed(Duration),
    /// A peer answered a heartbeat that was sent at this moment (boot time).
    HeartbeatAnswered(Heartbeat, Duration),
    /// A peer sent a heartbeat.
    HeartbeatReceived(Heartbeat),
    /// The connection to this peer closed and its address refuses a new one.
    ConnectionRefused(Incarnation),
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
    /// When nobody confirms the plan until then, nothing may be exposed; `None` where there is no plan yet.
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
pub struct Decision {
    /// What is to be loaded and kept up to date.
    pub desired: Slice,
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
    pub wake_at: Duration,
    /// Ordinals about whose Pods we want to know ([`Event::Pods`]).
    pub pods_to_check: Vec<u32>,
}

/// How a change of the fleet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HandoverState {
    /// The fleet is as it should be.
    #[default]
    Idle,
    /// Somebody who should serve is not there; the others cover for it, as far as they may.
    Waiting,
    /// Members load what they will own.
    Preparing,
    /// The moment of the switch is set.
    Switching,
}

/// What a member knows of its fleet, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Generation of the current view, 0 without one.
    pub generation: u64,
    /// Its shards.
    pub total: u32,
    /// Its hash.
    pub hash: Hasher,
    /// What we own in it, whether or not we may expose it.
    pub owned: Slice,
    /// How many members serve for themselves.
    pub present: u32,
    /// Who is served for by others.
    pub absent: Vec<u32>,
    /// Of those, whose ranges nobody may take.
    pub untaken: Vec<u32>,
    /// How many replicas the StatefulSet wants.
    pub replicas: Option<u32>,
    /// Whether we are the coordinator.
    pub coordinator: bool,
    /// How a change stands.
    pub handover: HandoverState,
    /// For how long the fleet has not been as it should be.
    pub pending: Option<Duration>,
    /// The ordinals that a change waits for.
    pub waiting_for: Vec<u32>,
    /// The other members that live, absent ones too.
    pub peers: Vec<Member>,
    /// Whom to send heartbeats to: all of whom we know and who have not left, since who is silent may only be out of our sight.
    pub contacts: Vec<Member>,
    /// How many of them answered a heartbeat lately.
    pub answering: u32,
    /// How long ago what we know was last confirmed.
    pub confirmed_age: Option<Duration>,
    /// Whether it was too long ago to expose anything.
    pub isolated: bool,
    /// How often the current view has changed since the start.
    pub handovers: u64,
    /// How long ago it last did.
    pub since_handover: Option<Duration>,
    /// Whether we were told to end.
    pub leaving: bool,
    /// How long the last planned change took, from its proposal to its switch.
    pub last_handover: Option<Duration>,
}

impl Status {
    /// The members of these ordinals and those that live, with the addresses of whom it knows.
    pub fn addresses(&self, ordinals: impl IntoIterator<Item = u32>) -> BTreeMap<u32, Option<String>> {
        let live = self.peers.iter().map(|member| member.id.ordinal);
        let mut addresses: BTreeMap<_, _> = ordinals.into_iter().chain(live).map(|ordinal| (ordinal, None)).collect();
        for member in self.peers.iter().chain(&self.contacts) {
            if let Some(address) = addresses.get_mut(&member.id.ordinal) {
                address.get_or_insert_with(|| member.address.clone());
            }
        }
        addresses
    }
}

/// Something worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// What to say.
    pub text: String,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
