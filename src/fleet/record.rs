//! What the members of a fleet tell each other: the record that all follow, and what each says of itself.
//!
//! Both are JSON: the record in an annotation of the fleet's Lease, a member in an annotation of its own Lease, and both
//! in the heartbeats that peers exchange. A field that is unknown is ignored and one that is missing has its default, so that
//! versions can be mixed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::sharding::{Hasher, MOST_SHARDS};

/// The version of how ranges are cut. A member that cuts otherwise must not take part.
pub const LAYOUT: u32 = 1;

/// What the fleet has agreed on: one object, written by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Counts the writes: of two records the one with the higher revision is the newer.
    pub revision: u64,
    /// Who wrote it, and writes the next one unless it is gone.
    pub coordinator: Incarnation,
    /// UID of the StatefulSet.
    #[serde(default)]
    pub statefulset: String,
    /// Who owns what now.
    pub current: Assignment,
    /// Who is to own what next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// Who owns what: everything that ranges are worked out from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// A number that no other view has: a revision, at most that of the record in which it first appeared.
    pub generation: u64,
    /// Number of shards.
    pub total: u32,
    /// Who is served for by others, in the order in which they became absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<u32>,
    /// Of those, whose ranges nobody may take.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub untaken: BTreeSet<u32>,
    /// How UIDs are hashed.
    pub hash: Hasher,
    /// See [`LAYOUT`].
    pub layout: u32,
    /// The newest start from nothing: who had not joined before may do so without preparation.
    pub fresh: Fresh,
}

/// A generation that began with nobody serving anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fresh {
    /// Which.
    pub generation: u64,
    /// The ordinals below this may start in it.
    pub below: u32,
}

/// A view that is being prepared, or about to become current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// What will be.
    pub view: Assignment,
    /// Once it is set, nothing changes until that moment, and from then on this is the current view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchTime>,
}

/// When a view becomes current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchTime {
    /// Unix time in milliseconds, by the clock of `by`.
    pub at: u64,
    /// The ordinal of who set it.
    pub by: u32,
}

/// One life of a replica: a process of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incarnation {
    /// The pod's ordinal, counted from `spec.ordinals.start`.
    pub ordinal: u32,
    /// UID of the pod.
    pub pod: String,
    /// Differs from process to process.
    pub nonce: u64,
}

/// How far a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It loads what it would own if nobody were absent, or waits after a crash.
    #[default]
    Starting,
    /// It may own ranges.
    Fit,
    /// It was told to end, and serves until its ranges are taken over.
    Leaving,
    /// It has ended in order.
    Left,
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Who it is.
    pub id: Incarnation,
    /// Where its telemetry port is, as `ip:port`.
    pub address: String,
    /// Unix milliseconds, by its clock, at which it wrote its Lease: the Lease's `renewTime`, so not part of the annotation.
    #[serde(skip)]
    pub renewed: Option<u64>,
    /// Counts the lives of its ordinal, as far as it knows: of two lives the one with the higher number is the newer. It has read
    /// the Lease of the life before when it is above 1.
    #[serde(default)]
    pub life: u64,
    /// Counts what it has said: of two statements of one incarnation the one with the higher number is the newer.
    #[serde(default)]
    pub sequence: u64,
    /// How far it is.
    #[serde(default)]
    pub phase: Phase,
    /// The record that it follows counts on it, but it may not join: an earlier life of it did, and ended in a crash.
    #[serde(default)]
    pub awaits: bool,
    /// The newest generation whose ranges it has loaded whole and keeps up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<u64>,
    /// The newest generation in which it exposes its ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<u64>,
    /// Revision of the record that it follows, 0 for none.
    #[serde(default)]
    pub follows: u64,
    /// The hash that its flags ask for.
    pub hash: Hasher,
    /// The layout that it knows.
    pub layout: u32,
    /// How many points of the hash space it can take on besides what it owns, in units of 2^32; `None` for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<u32>,
    /// Unix seconds of its crashes within the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<u64>,
}

/// What peers send each other, as question and as answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Namespace and name of the StatefulSet, as `namespace/name`: another fleet's member is no peer.
    pub fleet: String,
    /// The sender.
    pub member: Member,
    /// The newest record that the sender knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// How many milliseconds ago the API server last confirmed what the sender knows, to itself or to a peer of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_age: Option<u64>,
    /// The sender's clock, Unix milliseconds.
    pub now: u64,
    /// The clock of the record's coordinator minus the sender's, in milliseconds, as far as the sender can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<i64>,
}

impl Record {
    /// Whether it can be what a coordinator wrote, some time after a record with this revision. Whoever reaches a telemetry port
    /// can send anything, and what is followed is passed on.
    pub fn is_sane(&self, known: u64) -> bool {
        let sane = |view: &Assignment| {
            let absent: BTreeSet<u32> = view.absent.iter().copied().collect();
            (1..=MOST_SHARDS).contains(&view.total)
                && view.generation <= self.revision
                && absent.len() == view.absent.len()
                && absent.iter().all(|ordinal| *ordinal < view.total)
                && view.untaken.is_subset(&absent)
        };
        self.revision <= known.saturating_add(1 << 32)
            && sane(&self.current)
            && self.next.as_ref().is_none_or(|next| sane(&next.view))
    }

    /// Whether the moment of a switch is set: until it has passed, nothing else may be written.
    pub fn is_switching(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.switch.is_some())
    }
}

impl Assignment {
    /// The ordinals that serve for themselves.
    pub fn present(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.total).filter(|ordinal| self.has(*ordinal))
    }

    /// Whether `ordinal` serves for itself.
    pub fn has(&self, ordinal: u32) -> bool {
        ordinal < self.total && !self.absent.contains(&ordinal)
    }

    /// Whether both lead to the same ranges.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.total, &self.absent, &self.untaken, self.hash, self.layout)
            == (other.total, &other.absent, &other.untaken, other.hash, other.layout)
    }
}

impl std::fmt::Display for Incarnation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{:016x}", self.ordinal, self.pod, self.nonce)
    }
}
