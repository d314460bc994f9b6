//! A model of a cluster for whole fleets of machines: an API server, a network, a StatefulSet controller, and clocks that
//! differ. It runs random scripts of crashes, pauses and partitions, and checks every step: no range is exposed twice, and a
//! live and connected fleet leaves no range out.
//!
//! | file | holds |
//! |---|---|
//! | `actions` | what may happen to the cluster, random scripts of it |
//! | `invariants` | what must hold at each step, and for how long each fault excuses a violation |
//! | `process` | the life of a process: its inputs, its loads, its end |
//! | `api` | the API server, the StatefulSet controller and the kubelet |
//! | `store` | what the API server stores, and the ways in which it loses that |
//! | `network` | heartbeats, who reaches whom |
//! | `hostile` | a peer that sends forged, garbled and repeated messages |
//! | `seeded` | faults that break a rule of the fleet, which the model has to find |
//! | `explore` | every order of few faults at a time, instead of random ones |
//! | `canonical` | the canonical form of a world, by which `explore` recognizes equal ones |
//! | `tests` | scripts |

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed test may panic")]

mod actions;
mod api;
mod canonical;
mod explore;
mod hostile;
mod invariants;
mod network;
mod process;
mod seeded;
mod store;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;

use super::{Decision, Event, Machine, Now};
use crate::fleet::record::{Heartbeat, Incarnation, Member, Record};
use crate::settings::OnLostQuorum;
use crate::sharding::{Hasher, Hashes, Slice};
use actions::Action;
use seeded::Seeded;

/// An input on its way to a process.
#[derive(Clone, Debug)]
enum Message {
    Event(Event),
    /// A heartbeat of the process with this index, sent at this moment (boot time of the sender).
    Heartbeat(usize, Heartbeat, Duration),
    /// The answer to a write of the record that led to this version.
    Stored(usize, Record),
}

/// The first moment of an exploration, in milliseconds. It is far from 0, so that moments differ from durations.
const ORIGIN: u64 = 5_000_000_000;
/// The boot clocks of the ordinals at that moment, in milliseconds. The differences between them are no moments of any clock.
const BOOT_CLOCKS: [u64; 4] = [10_000_000_000, 30_000_000_000, 70_000_000_000, 150_000_000_000];
/// How much faster than time the wall clocks run in an exploration, so that the memory of crashes, an hour, ends after a minute.
const WALL_CLOCK_RATE: u64 = 60;

/// What only an exploration has.
#[derive(Clone, Debug, Default)]
struct Explored {
    names: u64,
}

#[derive(Clone)]
struct Process {
    machine: Machine,
    ordinal: u32,
    /// Its boot clock at time 0 of the model, and the error of its wall clock in milliseconds.
    boot: Duration,
    skew: i64,
    alive: bool,
    paused_until: u64,
    /// Since when, and when last, it has heard no news.
    deaf_since: Option<u64>,
    deaf_last: u64,
    /// When all members that serve last answered it.
    confirmed_last: u64,
    decision: Option<Decision>,
    loaded: Slice,
    loading: Option<(u64, Slice)>,
    inbox: Vec<(u64, Message)>,
    /// The position in the API server's log up to which it has read, and when its first read is possible.
    cursor: usize,
    reads_from: u64,
    /// The own Lease: the last write, when the next one is due, and the positions of writes in the log with their boot times, as
    /// far as their answers arrive.
    written: Option<Member>,
    renew: u64,
    own_writes: Vec<(usize, Option<Duration>)>,
    /// How many writes in a row got no answer.
    unanswered: u32,
    /// When it last found that something else had changed its Lease.
    disturbed: u64,
    /// When it may read its own Lease again.
    next_read: u64,
    next_heartbeat: u64,
    announced: Option<(Member, u64)>,
    /// The version of the record that it knows: one more than the position of the write in the log.
    stored: usize,
    /// Whether it may not know that the record exists, because the Lease has lost its labels.
    misses_record: bool,
    /// The generation whose timestamps its scrapers are to fetch.
    stamped: Option<u64>,
    /// The keys that it has read from Leases: the process that each ordinal's Lease names.
    keys: BTreeMap<u32, Incarnation>,
    /// Until when this process alone does not reach the API server, and the other processes.
    api_cut_until: u64,
    peers_cut_until: u64,
    /// What is loaded of a resource that does not fail. `loaded` is what the machine knows of.
    held: Slice,
    started: u64,
    /// When it last did not run, not reach the API server, or not have its Lease.
    unwell_at: u64,
    /// Whether it is of a version that cannot read the formats of this one.
    foreign: bool,
}

/// A change of a stored object.
#[derive(Clone, Debug)]
enum Entry {
    Lease(Member),
    LeaseGone(u32),
    /// The statement cannot be read.
    LeaseDamaged(u32),
    /// The Lease has lost its labels.
    LeaseHidden(u32),
    Record(Record),
    RecordGone,
    RecordDamaged,
    /// A newer version wrote it.
    RecordUnreadable,
    /// The Lease has lost its labels.
    RecordHidden,
}

/// Whether the stored record can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Gone,
    Good,
    Hidden,
    Damaged,
    Unreadable,
}

#[derive(Clone)]
struct Pod {
    uid: String,
    address: String,
    revision: u32,
    /// The index of its process, while that runs.
    process: Option<usize>,
    start: u64,
    /// When SIGKILL follows SIGTERM.
    deleting: Option<u64>,
    released: Option<u64>,
}

#[derive(Clone)]
struct World {
    now: u64,
    /// Milliseconds between two steps.
    step: u64,
    random: fastrand::Rng,
    /// In an exploration, nothing is random.
    explored: Option<Explored>,
    log: Vec<(u64, Entry)>,
    /// The readable statements in Leases, and the Leases that no list shows.
    leases: BTreeMap<u32, Member>,
    hidden: BTreeSet<u32>,
    /// The last good record, in which form it is stored now, and its version.
    record: Option<Record>,
    form: Form,
    record_at: usize,
    record_writes: u64,
    /// Until when the record is one of a newer version.
    unreadable_until: u64,
    /// Until when answers to writes of an ordinal may get lost.
    lossy: BTreeMap<u32, u64>,
    /// Since when, and until when, one resource fails on an ordinal.
    failing: BTreeMap<u32, (u64, u64)>,
    /// Clocks that jump at the next scheduled switch.
    jumps: Vec<(u32, i64)>,
    /// The address of the next Pod of an ordinal.
    addresses: BTreeMap<u32, String>,
    /// The revision of a version that cannot read the formats of this one, and until when it is rolled out.
    foreign: Option<(u32, u64)>,
    api_down_until: u64,
    api_cut: BTreeMap<u32, u64>,
    peers_cut: BTreeMap<(u32, u32), u64>,
    /// Until when connections from one ordinal to another are refused.
    refused: BTreeMap<(u32, u32), u64>,
    /// Until when the watches of an ordinal deliver nothing.
    deaf: BTreeMap<u32, u64>,
    /// Until when the processes of an ordinal finish no load.
    stalled: BTreeMap<u32, u64>,
    /// Until when there is no StatefulSet, only its Pods.
    orphaned_until: u64,
    processes: Vec<Process>,
    pods: BTreeMap<u32, Pod>,
    replicas: u32,
    revision: u32,
    start_delay: u64,
    hash: Hasher,
    on_lost_quorum: OnLostQuorum,
    /// `--handover-overlap` in milliseconds.
    overlap: u64,
    /// Whether the processes have `--seamless-handover`.
    seamless: bool,
    /// How much each process can hold, in units of 2^32 points. A fifth of that is not usable.
    memory: Option<u32>,
    points: Vec<Hashes>,
    missing: BTreeMap<usize, u64>,
    duplicated: BTreeMap<usize, u64>,
    gaps_excused_until: u64,
    complete: bool,
    last_switch: u64,
    /// What the hostile peer has overheard; `None` without one.
    overheard: Option<Vec<(Heartbeat, Duration)>>,
    /// The rule that the machines break.
    seeded: Option<Seeded>,
    /// A write that breaks a rule.
    broken: Option<String>,
    history: Vec<String>,
}

impl World {
    fn new(seed: u64, replicas: u32) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let points = (0..96).map(|_| Hashes { xxhash64: random.u64(..), fnv1a64: random.u64(..) }).collect();
        Self {
            now: 0,
            step: 50,
            random,
            explored: None,
            log: Vec::new(),
            leases: BTreeMap::new(),
            hidden: BTreeSet::new(),
            record: None,
            form: Form::Gone,
            record_at: 0,
            record_writes: 0,
            unreadable_until: 0,
            lossy: BTreeMap::new(),
            failing: BTreeMap::new(),
            jumps: Vec::new(),
            addresses: BTreeMap::new(),
            foreign: None,
            api_down_until: 0,
            api_cut: BTreeMap::new(),
            peers_cut: BTreeMap::new(),
            refused: BTreeMap::new(),
            deaf: BTreeMap::new(),
            stalled: BTreeMap::new(),
            orphaned_until: 0,
            processes: Vec::new(),
            pods: BTreeMap::new(),
            replicas,
            revision: 0,
            start_delay: 3_000,
            hash: Hasher::XxHash64,
            on_lost_quorum: if seed.is_multiple_of(2) { OnLostQuorum::Refuse } else { OnLostQuorum::Serve },
            overlap: if seed % 5 < 2 { 500 * (seed % 5 + 1) } else { 0 },
            seamless: false,
            memory: None,
            points,
            missing: BTreeMap::new(),
            duplicated: BTreeMap::new(),
            gaps_excused_until: 20_000,
            complete: false,
            last_switch: 0,
            overheard: None,
            seeded: None,
            broken: None,
            history: Vec::new(),
        }
    }

    fn clock(&self, p: usize) -> Now {
        let process = &self.processes[p];
        Now { boot: process.boot + Duration::from_millis(self.now), unix: (self.unix() + process.skew) as u64 }
    }

    /// Returns the Unix time in milliseconds.
    fn unix(&self) -> i64 {
        let ran = self.explored.as_ref().map_or(self.now, |_| (self.now - ORIGIN) * WALL_CLOCK_RATE);
        1_700_000_000_000 + ran as i64
    }

    fn delay(&mut self) -> u64 {
        self.vary(2..40)
    }

    /// Returns a duration in milliseconds: a random one, in an exploration the mean.
    fn vary(&mut self, range: Range<u64>) -> u64 {
        match self.explored {
            Some(_) => range.start.midpoint(range.end),
            None => self.random.u64(range),
        }
    }

    /// Returns a number that names a Pod or a process.
    fn name(&mut self) -> u64 {
        match &mut self.explored {
            Some(explored) => {
                explored.names += 1;
                explored.names
            }
            None => self.random.u64(..),
        }
    }

    /// Returns when something that an ordinal does periodically is due again. In an exploration that is on a grid of its own, so
    /// that the phases of the members to each other do not depend on their histories.
    fn next_period(&self, ordinal: u32, period: u64) -> u64 {
        let phase = u64::from(ordinal) * 300;
        match self.explored {
            Some(_) => (self.now + period - phase) / period * period + phase,
            None => self.now + period,
        }
    }

    fn runs(&self, p: usize) -> bool {
        self.processes[p].alive && self.now >= self.processes[p].paused_until
    }

    fn step(&mut self) -> Result<(), TestCaseError> {
        self.now += self.step;
        self.check_resumed()?;
        self.happen();
        self.control();
        for p in 0..self.processes.len() {
            if self.runs(p) && self.processes[p].foreign {
                self.run_foreign(p);
            } else if self.runs(p) {
                self.run(p);
            }
        }
        self.check()
    }

    fn run_for(&mut self, time: u64) -> Result<(), TestCaseError> {
        let end = self.now + time;
        while self.now < end {
            self.step()?;
        }
        Ok(())
    }
}

/// Returns the command that runs a script again.
fn replay_command(seed: u64, replicas: u32, attacked: bool, script: &[(u64, Action)]) -> String {
    let script = serde_json::to_string(&(seed, replicas, attacked, script)).unwrap();
    format!("REPLAY='{script}' cargo test --lib handover::model::tests::replay -- --ignored")
}

fn run_script(seed: u64, replicas: u32, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    run(seed, replicas, false, script)
}

/// Runs a script in a world with a hostile peer.
fn run_attacked(seed: u64, replicas: u32, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    run(seed, replicas, true, script)
}

fn run(seed: u64, replicas: u32, attacked: bool, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    let overheard = attacked.then(Vec::new);
    let replay = |error| match error {
        TestCaseError::Fail(reason) => {
            TestCaseError::fail(format!("{reason}\n{}", replay_command(seed, replicas, attacked, script)))
        }
        rejected => rejected,
    };
    run_in(World { overheard, ..World::new(seed, replicas) }, script).map_err(replay)
}

fn run_in(mut world: World, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    world.settle(60_000)?;
    world.gaps_excused_until = 0;
    for (after, action) in script {
        world.run_for(*after)?;
        world.act(action);
    }
    world.settle(900_000)?;
    Ok(world)
}
