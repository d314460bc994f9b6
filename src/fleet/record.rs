//! The data that the members of a fleet exchange: the record that all of them follow, and the state of each member.
//!
//! Both are JSON. The record is in an annotation of the fleet's Lease, a member in an annotation of its own Lease, and both are
//! in heartbeats. `wire` reads them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::format_error::FormatError;
use crate::sharding::{Hasher, MOST_SHARDS};

/// The version of this program.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The version of the record's format.
pub const RECORD_VERSION: u32 = 1;

/// The highest number in a record or a statement: what every reader of JSON reads exactly. No fleet counts so far.
pub(super) const MAX_NUMBER: u64 = 1 << 53;

/// The version of the rules that divide the hash space. A member with another version must not own ranges.
pub const LAYOUT: u32 = 1;

/// The most processes that a heartbeat names as unheard, and the most that a member suspects.
pub const MOST_UNHEARD: usize = 32;

/// The shared state of the fleet. The coordinator writes it by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of the format; see [`RECORD_VERSION`].
    #[serde(default = "first_version")]
    pub version: u32,
    /// The version of the program that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Number of writes so far: of two records, the one with the higher revision is newer.
    pub revision: u64,
    /// The member that wrote the record. It also writes the next one, unless it fails.
    pub coordinator: Incarnation,
    /// UID of the StatefulSet.
    #[serde(default)]
    pub statefulset: String,
    /// The assignment that is in force.
    pub current: Assignment,
    /// The assignment that will replace the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// The input from which each member computes the ranges of all members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The number of this assignment, which no other assignment has. It is at most the revision of the record in which the
    /// assignment first appeared.
    pub generation: u64,
    /// Number of shards.
    pub total: u32,
    /// The ordinals whose objects other members serve, in the order in which they became absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<u32>,
    /// Those absent ordinals whose ranges no member may take over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub untaken: BTreeSet<u32>,
    /// How UIDs are hashed.
    pub hash: Hasher,
    /// The version of the rules that divide the hash space; see [`LAYOUT`].
    pub layout: u32,
    /// The latest cold start. A member that has not joined a generation since then may join without preparation.
    pub fresh: ColdStart,
    /// The [`Member::life`] of each ordinal's newest process, as far as it was known, 0 for an unknown one: the assignment does
    /// not mean earlier processes. The ranges do not depend on it, and it may change within a generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<u64>,
}

/// A generation that began while no member served objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColdStart {
    /// The generation.
    pub generation: u64,
    /// Only ordinals below this number may join without preparation.
    pub below: u32,
}

/// An assignment that members prepare for, or that is about to become current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// The assignment.
    pub view: Assignment,
    /// When the assignment becomes current. Once this is set, the record does not change before that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchTime>,
    /// With `--seamless-handover`: the series that are about to move have a timestamp, so many milliseconds after the moment
    /// at which the record first said so. No switch comes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_wait: Option<u32>,
}

/// When an assignment becomes current: a moment of the boot clock of the member that wrote the record. Each reader turns it into a
/// moment of its own boot clock, so no step of a wall clock moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SwitchTime {
    /// Milliseconds since the boot of that member's machine.
    pub at: u64,
}

/// One process of a replica: a restart of the container or of the pod is a new incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incarnation {
    /// The pod's ordinal, counted from `spec.ordinals.start`.
    pub ordinal: u32,
    /// UID of the pod.
    pub pod: String,
    /// A random number that each process draws at its start.
    pub nonce: u64,
}

/// The SHA-256 of a process' public key (its SubjectPublicKeyInfo), in JSON as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyDigest(pub [u8; 32]);

/// How to reach a member: the address of its fleet port, and the key that must answer there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// `ip:port`.
    pub address: String,
    /// The key of the process.
    pub key: KeyDigest,
}

/// The stage of a member in its life cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The member loads the ranges that it would own if no member were absent, or waits after a crash.
    #[default]
    Starting,
    /// The member may own ranges.
    Fit,
    /// The member received a request to terminate, and serves until other members take over its ranges.
    Leaving,
    /// The member has shut down gracefully.
    Left,
}

/// The state of a member, as the member reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The member.
    pub id: Incarnation,
    /// The version of its program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// The address of its fleet port, as `ip:port`.
    pub address: String,
    /// The key that proves its identity in connections; `None` for a program that has no fleet port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyDigest>,
    /// When it last wrote its Lease, in Unix milliseconds by its clock. This is the `renewTime` of the Lease and not part of
    /// the annotation.
    #[serde(skip)]
    pub renewed: Option<u64>,
    /// When it last wrote its Lease, in milliseconds by its boot clock. Its heartbeats lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u64>,
    /// Number of incarnations of its ordinal that it knows of, itself included: of two incarnations, the one with the higher
    /// number is newer. Above 1, it has read the Lease of its predecessor.
    #[serde(default)]
    pub life: u64,
    /// Number of the report: of two reports of one incarnation, the one with the higher number is newer.
    #[serde(default)]
    pub sequence: u64,
    /// The stage in its life cycle.
    #[serde(default)]
    pub phase: Phase,
    /// Whether it waits for a new assignment: it is present in the current one but may not join. An earlier process of its
    /// ordinal had joined, and crashed.
    #[serde(default)]
    pub awaits: bool,
    /// The newest generation whose ranges it has loaded completely and keeps up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<u64>,
    /// The newest generation in which it exposes its ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<u64>,
    /// Whether it has joined, and never loaded its ranges completely: it serves nothing yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loading: bool,
    /// The revision of the record that it follows; 0 for none.
    #[serde(default)]
    pub follows: u64,
    /// The highest revision or generation that it has found in the record and in the Lease of its predecessor, unless it follows
    /// that; 0 otherwise. A new record counts on from it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub found: u64,
    /// The hash that its flags select.
    pub hash: Hasher,
    /// The layout that it supports; see [`LAYOUT`].
    pub layout: u32,
    /// How much it can hold, in units of 2^32 points of the hash space; `None` without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// With `--seamless-handover`: within how many milliseconds all clients that scrape it regularly come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape_wait: Option<u32>,
    /// The newest generation for which all of them have fetched the series that it loses, with their timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<u64>,
    /// The times of its crashes within the last hour, in Unix seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<u64>,
    /// The members that it suspects to have ended, and may dismiss. A suspected member that lives answers at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<Suspicion>,
    /// The number of the newest suspicion that it has answered.
    #[serde(default)]
    pub refuted: u64,
}

/// A member's suspicion that a process has ended, as in SWIM (Das, Gupta and Motivala, 2002): the process refutes it with its
/// number, unless it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspicion {
    /// The suspected process.
    pub id: Incarnation,
    /// One more than the number of the last suspicion that the process refuted.
    pub number: u64,
}

/// The message that peers exchange, both as request and as response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// `namespace/name` of the StatefulSet. Members of different fleets are not peers.
    pub fleet: String,
    /// The sender.
    pub member: Member,
    /// The newest record that the sender knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Why the record of the sender cannot be read.
    #[serde(skip)]
    pub unreadable: Option<FormatError>,
    /// Milliseconds since the API server last confirmed the state that the sender knows, to the sender or to one of its peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_age: Option<u64>,
    /// The time by the sender's boot clock, in milliseconds.
    pub now: u64,
    /// The boot clock of the record's coordinator minus that of the sender, in milliseconds, if the sender has an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<i64>,
    /// The processes that do not answer the sender, at most [`MOST_UNHEARD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unheard: Vec<Incarnation>,
    /// The last measured switch of each cause, by the name of the cause, as far as the sender knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, MeasuredSwitch>,
}

/// How exact a switch was, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredSwitch {
    /// The generation that it led to.
    pub generation: u64,
    /// No object was missing for longer.
    pub gap: u64,
    /// No object was exposed twice for longer; `None` if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
}

/// Returns the number after `number` that others still accept.
pub(super) const fn successor(number: u64) -> u64 {
    if number < MAX_NUMBER { number + 1 } else { MAX_NUMBER }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The version of records that do not say theirs.
const fn first_version() -> u32 {
    1
}

impl Record {
    /// Whether the values of the record agree with each other.
    pub fn is_sane(&self) -> bool {
        let sane = |assignment: &Assignment| {
            let absent: BTreeSet<u32> = assignment.absent.iter().copied().collect();
            (1..=MOST_SHARDS).contains(&assignment.total)
                && assignment.generation <= self.revision
                && assignment.fresh.generation <= assignment.generation
                && assignment.fresh.below <= MOST_SHARDS
                && absent.len() == assignment.absent.len()
                && absent.iter().all(|ordinal| *ordinal < assignment.total)
                && assignment.untaken.is_subset(&absent)
        };
        self.revision <= MAX_NUMBER && sane(&self.current) && self.next.as_ref().is_none_or(|next| sane(&next.view))
    }

    /// Whether the time of a switch is set. Until that time, no other record may be written.
    pub fn is_switching(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.switch.is_some())
    }
}

impl Assignment {
    /// Returns the ordinals that serve their own objects.
    pub fn present(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.total).filter(|ordinal| self.has(*ordinal))
    }

    /// Whether `ordinal` serves its own objects.
    pub fn has(&self, ordinal: u32) -> bool {
        ordinal < self.total && !self.absent.contains(&ordinal)
    }

    /// Returns the life of the process that it means for `ordinal`: an earlier one must not serve. 0 if that is unknown.
    pub fn life(&self, ordinal: u32) -> u64 {
        self.lives.get(ordinal as usize).copied().unwrap_or_default()
    }

    /// Whether both assignments result in the same ranges.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.total, &self.absent, &self.untaken, self.hash, self.layout)
            == (other.total, &other.absent, &other.untaken, other.hash, other.layout)
    }
}

impl Member {
    /// Returns how to reach the member; `None` if it has no fleet port.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { address: self.address.clone(), key: self.key? })
    }

    /// Returns the highest revision or generation that it mentions. One that no fleet reaches is an error, and does not count.
    pub fn highest(&self) -> u64 {
        let numbers = [self.follows, self.found, self.joined.unwrap_or_default(), self.prepared.unwrap_or_default()];
        numbers.into_iter().filter(|number| *number <= MAX_NUMBER / 2).max().unwrap_or_default()
    }
}

impl std::fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for KeyDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let error = "a key is not 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error);
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| error)?;
        }
        Ok(Self(digest))
    }
}

impl std::fmt::Display for Incarnation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{:016x}", self.ordinal, self.pod, self.nonce)
    }
}
