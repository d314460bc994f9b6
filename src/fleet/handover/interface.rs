//! The inputs and outputs of the state machine: configuration and events in, decisions and notices out.
//!
//! May not know how decisions are made.

use std::collections::BTreeMap;
use std::time::Duration;

use super::confirmation::PAUSE;
use crate::fleet::FormatError;
use crate::fleet::instructions::Instructions;
use crate::fleet::record::{Heartbeat, Incarnation, KeyDigest, Member, Record};
use crate::settings::OnLostQuorum;
use crate::sharding::{Hasher, Slice};

/// The fixed properties of a member.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of this process.
    pub id: Incarnation,
    /// The address of its fleet port, as `ip:port`.
    pub address: String,
    /// The key that proves its identity to other members.
    pub key: Option<KeyDigest>,
    /// Whether the process runs in the Pod that the API server has under its name, if it knows. Only such a process takes the Lease of
    /// a running one over.
    pub owns_pod: Option<bool>,
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// The hash that the flags select.
    pub hash: Hasher,
    /// The value of `--handover-overlap`.
    pub overlap: Duration,
    /// The value of `--on-lost-quorum`.
    pub on_lost_quorum: OnLostQuorum,
    /// The value of `--seamless-handover`.
    pub seamless: bool,
}

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The limit of its control group.
    pub limit: u64,
    /// What it takes now.
    pub used: u64,
}

/// An observation of a member.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time passed.
    Tick,
    /// The UID of the StatefulSet and the number of replicas in its spec; `None` if it does not exist.
    StatefulSet(Option<(String, u32)>),
    /// What the annotations of the StatefulSet ask for.
    Instructions(Instructions),
    /// The first list of Leases is complete. The events for its contents came before this one.
    Listed,
    /// A member's Lease was written. This includes the member's own Lease as a previous process left it.
    Lease(Member),
    /// The fleet's record as the API server has it, also after the API server accepted this member's own write.
    Record(Record),
    /// The API server has no record of the fleet.
    NoRecord,
    /// The API server has a record that this program cannot read.
    UnreadableRecord(FormatError),
    /// The record of the Lease is not usable, or no list shows it, so it needs to be written again. The API server has it.
    DamagedRecord,
    /// A read of the member's own Lease by [`Decision::verify`], sent at this moment (boot time), found this holder.
    LeaseRead(Option<Member>, Duration),
    /// The Lease of an ordinal was deleted.
    LeaseGone(u32),
    /// The member's Lease, written at this moment (boot time) or later, came back through the watch. The member has
    /// therefore seen every earlier write.
    LeaseConfirmed(Duration),
    /// A peer answered a heartbeat that was sent at this moment (boot time).
    HeartbeatAnswered(Heartbeat, Duration),
    /// A peer sent a heartbeat.
    HeartbeatReceived(Heartbeat),
    /// The connection to this peer closed, and a new one cannot be opened: the process may have ended.
    ConnectionLost(Incarnation),
    /// Whether the Pods of the ordinals in [`Decision::pods_to_check`] are Ready.
    Pods(BTreeMap<u32, bool>),
    /// The slice that is synced and kept up to date, for all resources.
    Loaded(Slice),
    /// The memory of the process; `None` without a limit.
    Memory(Option<Memory>),
    /// With `--seamless-handover`: within this time, all clients that scrape regularly come again.
    ScrapeWait(Duration),
    /// All of them have fetched the series of [`Decision::stamps`] for this generation.
    Stamped(u64),
    /// The process received a request to terminate.
    Leave,
}

/// The slices that a member exposes, each from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each slice is exposed from its moment (boot time) until the moment of the next one. The first one is in force
    /// now. Never empty.
    pub steps: Vec<(Duration, Slice)>,
    /// The member exposes nothing from this moment (boot time) on unless the plan is confirmed before. `None` for a plan
    /// that needs no confirmation.
    pub until: Option<Duration>,
}

impl Plan {
    /// Whether the member was paused since it made the plan: otherwise there is a newer one.
    pub fn is_old(&self, boot: Duration) -> bool {
        self.steps.first().is_some_and(|(made, _)| boot.saturating_sub(*made) >= PAUSE)
    }

    /// Returns the slice to expose at `boot`, or `None` if the plan was confirmed too long ago.
    pub fn at(&self, boot: Duration) -> Option<&Slice> {
        if self.until.is_some_and(|until| boot >= until) {
            return None;
        }
        self.steps.iter().rev().find(|(from, _)| *from <= boot).or(self.steps.first()).map(|(_, slice)| slice)
    }
}

/// The series that have a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// The objects.
    pub slice: Slice,
    /// The timestamp, in Unix milliseconds by the own clock.
    pub at: u64,
    /// The generation in which others serve them.
    pub generation: u64,
}

/// The complete desired state of a member. Each decision replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The slice to sync and to keep up to date.
    pub desired: Slice,
    /// The slices to expose.
    pub plan: Plan,
    /// The exposed series that have a timestamp until the switch, because they are about to move.
    pub stamps: Option<Stamps>,
    /// The objects of which no series may end for now.
    pub held_back: Slice,
    /// The content of the member's own Lease. The caller writes a change immediately.
    pub member: Member,
    /// A record to create, or to write in place of the existing one.
    pub write: Option<Record>,
    /// Whether the replica is ready: its share of the current generation is synced, and it serves it.
    pub ready: bool,
    /// Whether the process may end: it was asked to terminate, and no other member depends on it.
    pub released: bool,
    /// When (boot time) the caller asks for the next decision if no event occurs before.
    pub wake_at: Duration,
    /// The ordinals whose Leases the caller deletes: the StatefulSet no longer has them, and they have expired.
    pub leases_to_delete: Vec<u32>,
    /// Whether another process may hold the member's Lease: the caller reads it from the API server, without a cache, and answers
    /// with [`Event::LeaseRead`], until this ends.
    pub verify: bool,
    /// The process that runs in place of this one, which must end.
    pub outrun_by: Option<Incarnation>,
    /// The ordinals whose Pods decide how to continue; the caller answers with [`Event::Pods`].
    pub pods_to_check: Vec<u32>,
}

/// A message for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it needs an operator's attention.
    pub warning: bool,
    /// The message.
    pub text: String,
    /// Its topic, if operators should see it without the log.
    pub topic: Option<Topic>,
}

/// The topic of a notice that operators should see without the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The current assignment changed.
    HandoverCompleted,
    /// A member lost its ranges because it does not run any more.
    MemberDismissed,
    /// No member has room for the ranges of an absent one.
    RangesUntaken,
    /// Members that are to go stay, because no other has room for their ranges.
    NoRoom,
    /// Members have blocked a change for long.
    HandoverBlocked,
    /// An annotation pauses handovers.
    HandoversPaused,
    /// No annotation pauses handovers any more.
    HandoversResumed,
    /// Other annotations of operators changed.
    InstructionsChanged,
    /// An annotation has no effect.
    InstructionIgnored,
    /// The StatefulSet has more replicas than a fleet can have members.
    TooManyReplicas,
    /// The coordinator writes the record again, which something else changed.
    RecordRewritten,
    /// Another process may run as this member, or does.
    Superseded,
    /// No other process runs as this member after all.
    Rejoining,
    /// The last confirmation of the assignment is too old.
    QuorumLost,
    /// The assignment is confirmed again.
    QuorumRegained,
}

impl Topic {
    /// Whether it needs an operator's attention.
    pub const fn is_warning(self) -> bool {
        match self {
            Self::MemberDismissed
            | Self::RangesUntaken
            | Self::NoRoom
            | Self::HandoverBlocked
            | Self::InstructionIgnored
            | Self::TooManyReplicas
            | Self::RecordRewritten
            | Self::Superseded
            | Self::Rejoining
            | Self::QuorumLost => true,
            Self::HandoverCompleted
            | Self::HandoversPaused
            | Self::HandoversResumed
            | Self::InstructionsChanged
            | Self::QuorumRegained => false,
        }
    }

    /// Whether it is about this member alone. Every member sees the rest.
    pub const fn is_of_member(self) -> bool {
        matches!(self, Self::Superseded | Self::Rejoining | Self::QuorumLost | Self::QuorumRegained)
    }
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
