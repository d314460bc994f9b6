//! A model of a cluster for whole fleets of machines: an API server, a network, a StatefulSet controller, and clocks that
//! differ. It runs random scripts of crashes, pauses and partitions, and checks every step: no range is exposed twice, and a
//! live and connected fleet leaves no range out.
//!
//! The network authenticates as the fleet port does: a heartbeat arrives only between processes that know each other's keys
//! from Leases. A hostile peer, if there is one, sends forged and garbled messages, and repeats real ones. It has no key of a
//! member, so the model hands its messages to the machines only as far as the machines must cope with them by themselves: those of
//! processes that no Lease names, and old messages of members. Members that lie are out of scope (docs/threat-model.md).

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fleet::record::{Heartbeat, Incarnation, Member, Phase, Record};
use crate::sharding::{Assignment, Hasher, Hashes, Slice};

/// How long (ms) a moved range may be duplicated or missing: clock offsets are estimates, and scrapes take time.
const SWITCH_TOLERANCE: u64 = 500;
/// How long (ms) a range may be missing after a crash: until the crash is noticed, a scheduled switch has passed, a
/// coordinator is elected, and another member has loaded the range.
const RECOVERY: u64 = 12_000;
/// How much longer (ms) if another member has no connection to the crashed one: until the Lease has expired, which shows with
/// the next renewal of the own Lease.
const LEASE_EXPIRY: u64 = 20_000;

#[derive(Clone, Debug)]
enum Action {
    Scale(u32),
    Roll,
    /// A process crashes, and restarts after this many milliseconds.
    Crash(u32, u64),
    Pause(u32, u64),
    CutApi(u32, u64),
    CutPeers(u32, u32, u64),
    /// Connections from one process to another are refused, although both run.
    Refuse(u32, u32, u64),
    /// All connections between processes are refused.
    RefuseAll(u64),
    /// A process writes to the API server, but its watches deliver nothing.
    Deafen(u32, u64),
    ApiDown(u64),
}

fn actions() -> impl Strategy<Value = Vec<(u64, Action)>> {
    let ordinal = || 0_u32..4;
    let action = prop_oneof![
        3 => (1_u32..5).prop_map(Action::Scale),
        2 => Just(Action::Roll),
        2 => (ordinal(), 100_u64..12_000).prop_map(|(o, d)| Action::Crash(o, d)),
        2 => (ordinal(), 500_u64..40_000).prop_map(|(o, d)| Action::Pause(o, d)),
        1 => (ordinal(), 1_000_u64..60_000).prop_map(|(o, d)| Action::CutApi(o, d)),
        1 => (ordinal(), ordinal(), 1_000_u64..60_000).prop_map(|(a, b, d)| Action::CutPeers(a, b, d)),
        2 => (ordinal(), ordinal(), 1_000_u64..60_000).prop_map(|(a, b, d)| Action::Refuse(a, b, d)),
        1 => (1_000_u64..60_000).prop_map(Action::RefuseAll),
        1 => (ordinal(), 1_000_u64..20_000).prop_map(|(o, d)| Action::Deafen(o, d)),
        1 => (1_000_u64..40_000).prop_map(Action::ApiDown),
    ];
    proptest::collection::vec((0_u64..30_000, action), 1..7)
}

/// An input on its way to a process.
#[derive(Clone, Debug)]
enum Message {
    Event(Event),
    /// A heartbeat of the process with this index, sent at this moment (boot time of the sender).
    Heartbeat(usize, Heartbeat, Duration),
}

struct Process {
    machine: Machine,
    ordinal: u32,
    /// Its boot clock at time 0 of the model, and the error of its wall clock in milliseconds.
    boot: Duration,
    skew: i64,
    alive: bool,
    paused_until: u64,
    decision: Option<Decision>,
    loaded: Slice,
    loading: Option<(u64, Slice)>,
    inbox: Vec<(u64, Message)>,
    /// The position in the API server's log up to which it has read, and when its first read is possible.
    cursor: usize,
    reads_from: u64,
    /// The own Lease: the last write, when the next one is due, and the positions of writes in the log with their boot times.
    written: Option<Member>,
    renew: u64,
    own_writes: Vec<(usize, Duration)>,
    next_heartbeat: u64,
    announced: Option<(Member, u64)>,
    /// How many writes of the record it has read.
    seen_record: u64,
    /// The keys that it has read from Leases: the process that each ordinal's Lease names.
    keys: BTreeMap<u32, Incarnation>,
}

enum Entry {
    Lease(Member),
    LeaseGone(u32),
    Record(Record),
}

struct Pod {
    uid: String,
    revision: u32,
    /// The index of its process, while that runs.
    process: Option<usize>,
    start: u64,
    /// When SIGKILL follows SIGTERM.
    deleting: Option<u64>,
    released: Option<u64>,
}

struct World {
    now: u64,
    /// Milliseconds between two steps.
    step: u64,
    random: fastrand::Rng,
    log: Vec<(u64, Entry)>,
    leases: BTreeMap<u32, Member>,
    record: Option<Record>,
    record_writes: u64,
    api_down_until: u64,
    api_cut: BTreeMap<u32, u64>,
    peers_cut: BTreeMap<(u32, u32), u64>,
    /// Until when connections from one ordinal to another are refused.
    refused: BTreeMap<(u32, u32), u64>,
    /// Until when the watches of an ordinal deliver nothing.
    deaf: BTreeMap<u32, u64>,
    processes: Vec<Process>,
    pods: BTreeMap<u32, Pod>,
    replicas: u32,
    revision: u32,
    start_delay: u64,
    hash: Hasher,
    /// The headroom that each process reports.
    headroom: Option<u32>,
    points: Vec<Hashes>,
    missing: BTreeMap<usize, u64>,
    duplicated: BTreeMap<usize, u64>,
    gaps_excused_until: u64,
    duplicates_excused_until: u64,
    complete: bool,
    last_switch: u64,
    /// What the hostile peer has overheard; `None` without one.
    overheard: Option<Vec<(Heartbeat, Duration)>>,
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
            log: Vec::new(),
            leases: BTreeMap::new(),
            record: None,
            record_writes: 0,
            api_down_until: 0,
            api_cut: BTreeMap::new(),
            peers_cut: BTreeMap::new(),
            refused: BTreeMap::new(),
            deaf: BTreeMap::new(),
            processes: Vec::new(),
            pods: BTreeMap::new(),
            replicas,
            revision: 0,
            start_delay: 3_000,
            hash: Hasher::XxHash64,
            headroom: None,
            points,
            missing: BTreeMap::new(),
            duplicated: BTreeMap::new(),
            gaps_excused_until: 20_000,
            duplicates_excused_until: 0,
            complete: false,
            last_switch: 0,
            overheard: None,
            history: Vec::new(),
        }
    }

    fn clock(&self, p: usize) -> Now {
        let process = &self.processes[p];
        let unix = 1_700_000_000_000_i64 + self.now as i64 + process.skew;
        Now { boot: process.boot + Duration::from_millis(self.now), unix: unix as u64 }
    }

    fn delay(&mut self) -> u64 {
        self.random.u64(2..40)
    }

    fn reaches_api(&self, ordinal: u32) -> bool {
        self.now >= self.api_down_until && self.api_cut.get(&ordinal).is_none_or(|until| self.now >= *until)
    }

    fn connected(&self, a: u32, b: u32) -> bool {
        self.peers_cut.get(&(a.min(b), a.max(b))).is_none_or(|until| self.now >= *until)
    }

    fn refuses(&self, from: u32, to: u32) -> bool {
        self.refused.get(&(from, to)).is_some_and(|until| self.now < *until)
    }

    fn runs(&self, p: usize) -> bool {
        self.processes[p].alive && self.now >= self.processes[p].paused_until
    }

    fn start(&mut self, ordinal: u32) {
        let pod = &self.pods[&ordinal];
        let id = Incarnation { ordinal, pod: pod.uid.clone(), nonce: self.random.u64(..) };
        let config = Config {
            id,
            address: pod.uid.clone(),
            key: None,
            fleet: "default/fleet".to_owned(),
            hash: self.hash,
            overlap: Duration::ZERO,
        };
        let boot = Duration::from_secs(self.random.u64(1000..100_000));
        let skew = self.random.i64(-1000..1000);
        let index = self.processes.len();
        self.processes.push(Process {
            machine: Machine::new(config),
            ordinal,
            boot,
            skew,
            alive: true,
            paused_until: 0,
            decision: None,
            loaded: Slice::none(),
            loading: None,
            inbox: Vec::new(),
            cursor: usize::MAX,
            reads_from: self.now + 100,
            written: None,
            renew: 0,
            own_writes: Vec::new(),
            next_heartbeat: 0,
            announced: None,
            seen_record: 0,
            keys: BTreeMap::new(),
        });
        self.pods.get_mut(&ordinal).unwrap().process = Some(index);
    }

    fn kill(&mut self, p: usize) {
        self.processes[p].alive = false;
        let (ordinal, id) = (self.processes[p].ordinal, self.processes[p].machine.own_member().id.clone());
        for other in 0..self.processes.len() {
            if other != p && self.processes[other].alive && self.connected(ordinal, self.processes[other].ordinal) {
                let at = self.now + self.delay();
                self.processes[other].inbox.push((at, Message::Event(Event::ConnectionLost(id.clone()))));
            }
        }
    }

    fn act(&mut self, action: &Action) {
        self.history.push(format!("{:>6} {action:?}", self.now));
        let process = |world: &Self, o: u32| world.pods.get(&o).and_then(|pod| pod.process);
        let now = self.now;
        match *action {
            Action::Scale(replicas) => self.replicas = replicas,
            Action::Roll => self.revision += 1,
            Action::Crash(o, after) => {
                if let Some(p) = process(self, o) {
                    self.kill(p);
                    let pod = self.pods.get_mut(&o).unwrap();
                    pod.process = None;
                    pod.start = now + after;
                    self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(o));
                }
            }
            Action::Pause(o, time) => {
                if let Some(p) = process(self, o) {
                    self.processes[p].paused_until = now + time;
                    self.gaps_excused_until =
                        self.gaps_excused_until.max(self.api_reachable_at().max(now + time) + 20_000);
                }
            }
            Action::CutApi(o, time) => {
                self.api_cut.insert(o, now + time);
                self.excuse_for_isolation(time);
            }
            Action::CutPeers(a, b, time) => {
                self.peers_cut.insert((a.min(b), a.max(b)), now + time);
                self.excuse_for_isolation(time);
            }
            // No excuse: a false refusal costs nothing.
            Action::Refuse(a, b, time) => {
                self.refused.insert((a, b), now + time);
                self.excuse_for_isolation(time);
            }
            Action::RefuseAll(time) => {
                let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
                self.refused.extend(pairs.map(|pair| (pair, now + time)));
                self.excuse_for_isolation(time);
            }
            Action::Deafen(o, time) => {
                self.deaf.insert(o, now + time);
                self.excuse_for_isolation(time);
            }
            Action::ApiDown(time) => {
                self.api_down_until = now + time;
                self.gaps_excused_until = self.gaps_excused_until.max(self.gaps_excused_until.max(now) + time);
                self.excuse_for_isolation(time);
            }
        }
    }

    /// Returns when every process reaches the API server again.
    fn api_reachable_at(&self) -> u64 {
        let until = |cuts: &BTreeMap<u32, u64>| cuts.values().max().copied().unwrap_or(0);
        until(&self.api_cut).max(until(&self.deaf)).max(self.api_down_until).max(self.now)
    }

    /// Returns by when the others serve the ranges of a process that crashes now.
    fn recovered_at(&self, ordinal: u32) -> u64 {
        let cut = |cuts: &BTreeMap<(u32, u32), u64>| {
            cuts.iter().any(|((a, b), until)| [*a, *b].contains(&ordinal) && self.now < *until)
        };
        let cut = cut(&self.peers_cut) || cut(&self.refused);
        self.api_reachable_at() + RECOVERY + if cut { LEASE_EXPIRY } else { 0 }
    }

    /// A fully isolated process may expose its ranges for one more Lease duration, or nothing while the isolation lasts.
    fn excuse_for_isolation(&mut self, time: u64) {
        let cut = |until: &u64| self.now < *until;
        let from_api = self.api_cut.values().chain(self.deaf.values()).any(cut) || self.now < self.api_down_until;
        if from_api && self.peers_cut.values().chain(self.refused.values()).any(cut) {
            self.duplicates_excused_until = self.duplicates_excused_until.max(self.now + time.max(60_000) + 16_000);
            self.gaps_excused_until = self.gaps_excused_until.max(self.now + time.max(60_000) + 40_000);
        }
        if from_api {
            // Until then no crash is recovered from, and no process can load.
            if self.gaps_excused_until > self.now {
                self.gaps_excused_until = self.gaps_excused_until.max(self.api_reachable_at() + RECOVERY);
            }
        }
    }

    /// Plays the StatefulSet controller and the kubelet.
    fn control(&mut self) {
        for ordinal in 0..self.replicas {
            if !self.pods.contains_key(&ordinal) {
                let uid = format!("pod-{ordinal}-{}", self.random.u32(..));
                let (revision, start) = (self.revision, self.now + self.start_delay);
                self.pods.insert(ordinal, Pod { uid, revision, process: None, start, deleting: None, released: None });
            }
        }
        let ready = |world: &Self, pod: &Pod| {
            pod.deleting.is_none()
                && pod.process.is_some_and(|p| world.processes[p].decision.as_ref().is_some_and(|w| w.ready))
        };
        let mut end = Vec::new();
        let mut all_new = true;
        for ordinal in (0..=self.pods.keys().max().copied().unwrap_or(0)).rev() {
            let Some(pod) = self.pods.get(&ordinal) else {
                all_new &= ordinal >= self.replicas;
                continue;
            };
            if ordinal >= self.replicas {
                end.push(ordinal);
            } else if pod.revision != self.revision && all_new {
                end.push(ordinal);
                all_new = false;
            } else {
                all_new &= ready(self, pod);
            }
        }
        for ordinal in end {
            let grace = self.now + 90_000;
            let pod = self.pods.get_mut(&ordinal).unwrap();
            if pod.deleting.is_none() {
                pod.deleting = Some(grace);
                if let Some(p) = pod.process {
                    self.processes[p].inbox.push((self.now, Message::Event(Event::Leave)));
                }
            }
        }
        for ordinal in self.pods.keys().copied().collect::<Vec<_>>() {
            let (deleting, process, start) = {
                let pod = &self.pods[&ordinal];
                (pod.deleting, pod.process, pod.start)
            };
            match (deleting, process) {
                (None, None) if self.now >= start => self.start(ordinal),
                (Some(_), None) => drop(self.pods.remove(&ordinal)),
                (Some(kill), Some(p)) => {
                    let released = self.runs(p) && self.processes[p].decision.as_ref().is_some_and(|w| w.released);
                    let pod = self.pods.get_mut(&ordinal).unwrap();
                    if released {
                        pod.released.get_or_insert(self.now);
                    }
                    if self.now >= kill {
                        self.history.push(format!("{:>6} {ordinal} is killed after its grace period", self.now));
                        self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(ordinal));
                        self.kill(p);
                        self.pods.remove(&ordinal);
                    } else if pod.released.is_some_and(|at| self.now > at + 300) && self.reaches_api(ordinal) {
                        let left = Member { phase: Phase::Left, ..self.processes[p].machine.own_member().clone() };
                        let left = Member { sequence: left.sequence + 1, ..left };
                        self.commit(Entry::Lease(left));
                        self.kill(p);
                        self.pods.remove(&ordinal);
                    }
                }
                _ => {}
            }
        }
    }

    fn commit(&mut self, entry: Entry) {
        match &entry {
            Entry::Lease(member) => drop(self.leases.insert(member.id.ordinal, member.clone())),
            Entry::LeaseGone(ordinal) => drop(self.leases.remove(ordinal)),
            Entry::Record(record) => {
                self.record = Some(record.clone());
                self.record_writes += 1;
            }
        }
        self.log.push((self.now, entry));
    }

    /// Delivers what a process reads from the API server.
    fn read_api(&mut self, p: usize) {
        let ordinal = self.processes[p].ordinal;
        let deaf = self.deaf.get(&ordinal).is_some_and(|until| self.now < *until);
        if deaf || !self.reaches_api(ordinal) || self.now < self.processes[p].reads_from {
            return;
        }
        let clock = self.clock(p);
        let mut events = Vec::new();
        if self.processes[p].cursor == usize::MAX {
            let own = self.leases.get(&ordinal).cloned();
            events.extend(own.into_iter().map(Event::Lease));
            events.extend(self.leases.iter().filter(|(o, _)| **o != ordinal).map(|(_, m)| Event::Lease(m.clone())));
            events.push(self.record.clone().map_or(Event::NoRecord, Event::Record));
            events.push(Event::Listed);
            self.processes[p].cursor = self.log.len();
            self.processes[p].seen_record = self.record_writes;
        }
        events.push(Event::StatefulSet(Some(("sts".to_owned(), self.replicas))));
        while let Some((at, entry)) = self.log.get(self.processes[p].cursor) {
            if at + 30 > self.now {
                break;
            }
            let place = self.processes[p].cursor;
            match entry {
                Entry::Lease(member) => events.push(Event::Lease(member.clone())),
                Entry::LeaseGone(ordinal) => events.push(Event::LeaseGone(*ordinal)),
                Entry::Record(record) => {
                    events.push(Event::Record(record.clone()));
                    self.processes[p].seen_record += 1;
                }
            }
            self.processes[p].cursor += 1;
            let own_write = self.processes[p].own_writes.iter().position(|(at, _)| *at == place);
            if let Some(own_write) = own_write {
                events.push(Event::LeaseConfirmed(self.processes[p].own_writes.remove(own_write).1));
            }
        }
        for event in events {
            match &event {
                Event::Lease(member) => drop(self.processes[p].keys.insert(member.id.ordinal, member.id.clone())),
                Event::LeaseGone(ordinal) => drop(self.processes[p].keys.remove(ordinal)),
                _ => {}
            }
            self.processes[p].machine.handle(event, clock);
        }
    }

    /// Whether the process `to` accepts the key of the process `from`. An unknown key makes it read the Leases, for the next
    /// attempt.
    fn admits(&mut self, to: usize, from: usize) -> bool {
        let id = self.processes[from].machine.own_member().id.clone();
        let known = self.processes[to].keys.get(&id.ordinal) == Some(&id);
        if !known && self.reaches_api(self.processes[to].ordinal) && self.processes[to].cursor != usize::MAX {
            self.processes[to].keys = self.leases.iter().map(|(o, member)| (*o, member.id.clone())).collect();
        }
        known
    }

    /// Delivers the inputs of one process and carries its decision out.
    fn run(&mut self, p: usize) {
        self.read_api(p);
        let clock = self.clock(p);
        self.processes[p].machine.handle(Event::Headroom(self.headroom), clock);
        let mut due: Vec<_> = self.processes[p].inbox.extract_if(.., |(at, _)| *at <= self.now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, message) in due {
            match message {
                Message::Event(event) => self.processes[p].machine.handle(event, clock),
                Message::Heartbeat(from, heartbeat, sent) => {
                    if !self.admits(p, from) {
                        continue;
                    }
                    self.overhear(&heartbeat, sent);
                    self.processes[p].machine.handle(Event::HeartbeatReceived(heartbeat), clock);
                    let answer = self.processes[p].machine.heartbeat(clock);
                    let (a, b) = (self.processes[p].ordinal, self.processes[from].ordinal);
                    if self.connected(a, b) && !self.refuses(b, a) {
                        let at = self.now + self.delay();
                        self.processes[from].inbox.push((at, Message::Event(Event::HeartbeatAnswered(answer, sent))));
                    }
                }
            }
        }
        self.attack(p);
        if let Some((_, slice)) = self.processes[p].loading.take_if(|(at, _)| *at <= self.now) {
            self.processes[p].loaded = slice.clone();
            self.processes[p].machine.handle(Event::Loaded(slice), clock);
        }
        let decision = self.processes[p].machine.decide(clock);
        let ordinal = self.processes[p].ordinal;
        let notices = self.processes[p].machine.notices();
        if notices.iter().any(|notice| notice.text.contains("is current")) {
            self.last_switch = self.now;
        }
        self.history.extend(notices.iter().map(|notice| format!("{:>6} {ordinal}: {notice}", self.now)));
        self.load(p, &decision);
        self.write(p, &decision);
        self.heartbeat(p);
        self.processes[p].decision = Some(decision);
    }

    /// Lets the hostile peer note a message of a member. TLS does not let it read any, but it may have been a member's proxy before.
    fn overhear(&mut self, heartbeat: &Heartbeat, sent: Duration) {
        if let Some(overheard) = &mut self.overheard {
            let place = self.random.usize(..64);
            match overheard.get_mut(place) {
                Some(old) if self.random.u8(..) < 16 => *old = (heartbeat.clone(), sent),
                Some(_) => {}
                None => overheard.push((heartbeat.clone(), sent)),
            }
        }
    }

    /// Lets the hostile peer send a process a few messages: old ones of members, and forged ones of processes without a Lease.
    fn attack(&mut self, p: usize) {
        let Some(overheard) = &self.overheard else { return };
        if overheard.is_empty() || self.random.u8(..) < 200 {
            return;
        }
        let (heartbeat, sent) = overheard[self.random.usize(..overheard.len())].clone();
        let clock = self.clock(p);
        let mut forged = heartbeat.clone();
        forged.member.id.nonce = self.random.u64(..);
        forged.member.life += self.random.u64(..1000);
        forged.member.phase = [Phase::Left, Phase::Leaving, Phase::Fit][self.random.usize(..3)];
        forged.member.address = "203.0.113.1:1".to_owned();
        forged.now = self.random.u64(..);
        forged.confirmed_age = Some(0);
        if let Some(record) = &mut forged.record {
            record.revision += self.random.u64(1..1_000_000);
            record.current.generation = record.revision;
            match self.random.u8(..3) {
                0 => record.current.layout = 2,
                1 => record.current.total = 64,
                _ => record.current.absent = (0..record.current.total).collect(),
            }
        }
        let stranger = Member {
            id: Incarnation { ordinal: self.random.u32(..5), ..forged.member.id.clone() },
            ..forged.member.clone()
        };
        let machine = &mut self.processes[p].machine;
        for event in [
            Event::HeartbeatReceived(heartbeat),
            Event::HeartbeatReceived(forged.clone()),
            Event::HeartbeatReceived(Heartbeat { member: stranger.clone(), ..forged.clone() }),
            // No member sends its heartbeat to the hostile peer, so it answers none: such an answer is one of another connection.
            Event::HeartbeatAnswered(forged.clone(), sent),
            Event::HeartbeatAnswered(Heartbeat { member: stranger, ..forged.clone() }, clock.boot),
            Event::ConnectionLost(forged.member.id),
        ] {
            machine.handle(event, clock);
        }
    }

    fn load(&mut self, p: usize, decision: &Decision) {
        let reaches = self.reaches_api(self.processes[p].ordinal);
        let time = self.random.u64(200..2_000);
        let now = self.now;
        let process = &mut self.processes[p];
        if process.loaded.covers(&decision.desired) {
            process.loading = None;
            if process.loaded != decision.desired {
                process.loading = Some((now, decision.desired.clone()));
            }
        } else if reaches && process.loading.as_ref().is_none_or(|(_, slice)| *slice != decision.desired) {
            process.loading = Some((now + time, decision.desired.clone()));
        } else if !reaches {
            process.loading = None;
        }
    }

    fn write(&mut self, p: usize, decision: &Decision) {
        let ordinal = self.processes[p].ordinal;
        if !self.reaches_api(ordinal) || self.processes[p].cursor == usize::MAX {
            return;
        }
        let boot = self.clock(p).boot;
        if self.now >= self.processes[p].renew || self.processes[p].written.as_ref() != Some(&decision.member) {
            self.processes[p].renew = self.now + 5_000;
            self.processes[p].written = Some(decision.member.clone());
            self.processes[p].own_writes.push((self.log.len(), boot));
            let renewed = Some(self.clock(p).unix);
            self.commit(Entry::Lease(Member { renewed, ..decision.member.clone() }));
        }
        if let Some(record) = &decision.write
            && self.processes[p].seen_record == self.record_writes
        {
            self.commit(Entry::Record(record.clone()));
        }
        for ordinal in &decision.leases_to_delete {
            // The precondition: the Lease is as this process has read it.
            let is_read = self.processes[p].keys.get(ordinal).is_some_and(|id| {
                self.leases.get(ordinal).is_some_and(|lease| lease.id == *id)
                    && self.log[self.processes[p].cursor..].iter().all(|(_, entry)| match entry {
                        Entry::Lease(member) => member.id.ordinal != *ordinal,
                        _ => true,
                    })
            });
            if is_read {
                self.history.push(format!("{:>6} the Lease of {ordinal} is deleted", self.now));
                self.commit(Entry::LeaseGone(*ordinal));
            }
        }
    }

    fn heartbeat(&mut self, p: usize) {
        let clock = self.clock(p);
        let heartbeat = self.processes[p].machine.heartbeat(clock);
        let news = Some((heartbeat.member.clone(), heartbeat.record.as_ref().map_or(0, |r| r.revision)));
        if self.now < self.processes[p].next_heartbeat && self.processes[p].announced == news {
            return;
        }
        self.processes[p].next_heartbeat = self.now + 1_000;
        self.processes[p].announced = news;
        let from = self.processes[p].ordinal;
        for peer in self.processes[p].machine.status(clock).contacts {
            if !self.connected(from, peer.id.ordinal) {
                continue;
            }
            let at = self.now + self.delay();
            if self.refuses(from, peer.id.ordinal) {
                self.processes[p].inbox.push((at, Message::Event(Event::ConnectionLost(peer.id.clone()))));
                continue;
            }
            let to = self
                .processes
                .iter()
                .position(|other| other.alive && other.machine.own_member().address == peer.address);
            match to {
                // Another process has the address: it lacks the key that the Lease names.
                Some(to) if self.processes[to].machine.own_member().id != peer.id => {}
                Some(to) => self.processes[to].inbox.push((at, Message::Heartbeat(p, heartbeat.clone(), clock.boot))),
                None => self.processes[p].inbox.push((at, Message::Event(Event::ConnectionLost(peer.id.clone())))),
            }
        }
    }

    fn exposes(&self, p: usize, point: Hashes) -> bool {
        let process = &self.processes[p];
        let boot = self.clock(p).boot;
        let plan = process.decision.as_ref().map(|decision| &decision.plan);
        self.runs(p)
            && process.loaded.contains(point)
            && plan.and_then(|plan| plan.at(boot)).is_some_and(|slice| slice.contains(point))
    }

    /// Checks that exactly one process exposes each sampled point.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let untaken = self.processes.iter().any(|process| {
            process.alive && !process.machine.known_record().is_none_or(|record| record.current.untaken.is_empty())
        });
        // If no process stays, none can take over.
        if untaken || self.pods.values().all(|pod| pod.process.is_none() || pod.deleting.is_some()) {
            self.gaps_excused_until = self.gaps_excused_until.max(self.now + 20_000);
        }
        let mut complete = true;
        let step = self.step;
        for (i, point) in self.points.clone().into_iter().enumerate() {
            let exposed_by: Vec<u32> = (0..self.processes.len())
                .filter(|p| self.exposes(*p, point))
                .map(|p| self.processes[p].ordinal)
                .collect();
            complete &= exposed_by.len() == 1;
            let count = |map: &mut BTreeMap<usize, u64>, bad: bool| match bad {
                true => {
                    *map.entry(i).or_default() += step;
                    map[&i]
                }
                false => map.remove(&i).map_or(0, |_| 0),
            };
            let missing = count(&mut self.missing, exposed_by.is_empty());
            let duplicated = count(&mut self.duplicated, exposed_by.len() > 1);
            let story = || format!("at {}: {exposed_by:?}\n{}", self.now, self.history.join("\n"));
            prop_assert!(
                duplicated <= SWITCH_TOLERANCE || self.now < self.duplicates_excused_until,
                "duplicated for {duplicated} ms {}",
                story()
            );
            prop_assert!(
                missing <= SWITCH_TOLERANCE || self.now < self.gaps_excused_until,
                "missing for {missing} ms {}",
                story()
            );
        }
        self.complete = complete;
        Ok(())
    }

    /// Checks a process that resumes after a pause: a scrape may come before its first read, and must not expose ranges that
    /// another process serves by now.
    fn check_resumed(&mut self) -> Result<(), TestCaseError> {
        let quiet = self.now > self.last_switch + 1_000 && self.now >= self.duplicates_excused_until;
        for p in 0..self.processes.len() {
            let until = self.processes[p].paused_until;
            let resumes = self.processes[p].alive && until > self.now - self.step && until <= self.now;
            if !resumes || !quiet {
                continue;
            }
            for point in self.points.clone() {
                let others =
                    (0..self.processes.len()).filter(|other| *other != p && self.exposes(*other, point)).count();
                let both = others > 0 && self.exposes(p, point);
                prop_assert!(!both, "{p} resumes at {} and duplicates\n{}", self.now, self.history.join("\n"));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), TestCaseError> {
        self.now += self.step;
        self.check_resumed()?;
        self.control();
        for p in 0..self.processes.len() {
            if self.runs(p) {
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

    /// Whether the fleet matches the StatefulSet and exposes everything.
    fn is_settled(&self) -> bool {
        let running: Vec<_> = self.processes.iter().filter(|process| process.alive).collect();
        let generations: BTreeSet<_> =
            running.iter().filter_map(|p| p.machine.known_record().map(|r| r.current.generation)).collect();
        let view = running.first().and_then(|p| p.machine.known_record()).map(|r| r.current.clone());
        self.complete
            && running.len() == self.replicas as usize
            && self.pods.values().all(|pod| pod.revision == self.revision && pod.deleting.is_none())
            && running.iter().all(|process| process.decision.as_ref().is_some_and(|decision| decision.ready))
            && generations.len() == 1
            && view.is_some_and(|view| view.total == self.replicas && view.absent.is_empty())
    }

    fn settle(&mut self, limit: u64) -> Result<(), TestCaseError> {
        let end = self.now + limit;
        while !self.is_settled() {
            prop_assert!(self.now < end, "not settled at {}\n{}", self.now, self.history.join("\n"));
            self.step()?;
        }
        self.run_for(2_000)
    }
}

fn run_script(seed: u64, replicas: u32, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    run_in(World::new(seed, replicas), script)
}

/// Runs a script in a world with a hostile peer.
fn run_attacked(seed: u64, replicas: u32, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    run_in(World { overheard: Some(Vec::new()), ..World::new(seed, replicas) }, script)
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

#[test]
fn planned_changes_leave_no_gap_and_no_duplicate() {
    for seed in 0..4 {
        let script = [
            (5_000, Action::Scale(3)),
            (60_000, Action::Scale(2)),
            (60_000, Action::Roll),
            (10_000, Action::Scale(4)),
            (150_000, Action::Scale(1)),
        ];
        run_script(seed, 2, &script).unwrap();
    }
}

#[test]
fn a_hostile_peer_moves_nothing_and_delays_nothing() {
    for seed in 0..4 {
        let script = [
            (60_000, Action::Scale(3)),
            (60_000, Action::Scale(2)),
            (60_000, Action::Roll),
            (150_000, Action::Crash(1, 5_000)),
            (60_000, Action::Scale(4)),
        ];
        let world = run_attacked(seed, 2, &script).unwrap();
        let alive = world.processes.iter().filter(|process| process.alive);
        assert!(
            alive.clone().all(|process| process.machine.known_record().is_some_and(|record| record.current.total == 4))
        );
        assert!(alive.clone().all(|process| process.machine.status(world.clock(0)).contacts.len() == 3));
    }
}

#[test]
fn the_leases_of_former_members_are_deleted() {
    let script = [(30_000, Action::Scale(4)), (60_000, Action::Scale(2))];
    let mut world = run_script(5, 2, &script).unwrap();
    world.run_for(60_000).unwrap();
    assert_eq!(world.leases.keys().copied().collect::<Vec<_>>(), [0, 1]);
    for process in world.processes.iter().filter(|process| process.alive) {
        assert_eq!(process.machine.status(world.clock(0)).contacts.len(), 1);
    }
    // The ordinals may come back.
    world.act(&Action::Scale(3));
    world.settle(120_000).unwrap();
}

#[test]
fn a_fleet_recovers_from_a_crash_within_seconds() {
    for seed in 0..4 {
        let mut world = run_script(seed, 2, &[]).unwrap();
        world.act(&Action::Crash(0, 10_000));
        world.gaps_excused_until = world.now + 3_000;
        world.settle(120_000).unwrap();
    }
}

/// Returns how often a member was dismissed.
fn dismissals(world: &World) -> usize {
    world
        .log
        .iter()
        .filter(|(_, entry)| matches!(entry, Entry::Record(record) if !record.current.absent.is_empty()))
        .count()
}

#[test]
fn refused_connections_between_live_members_change_nothing() {
    let scripts = [
        vec![(1_000, Action::RefuseAll(60_000))],
        vec![(1_000, Action::Refuse(0, 1, 60_000)), (0, Action::Refuse(0, 2, 60_000))],
        vec![(1_000, Action::Refuse(1, 0, 60_000)), (0, Action::Refuse(2, 0, 60_000))],
        vec![(1_000, Action::Refuse(1, 2, 60_000))],
    ];
    for (seed, script) in scripts.iter().enumerate() {
        for replicas in [2, 3] {
            let mut world = run_script(seed as u64, replicas, script).unwrap();
            let (writes, leases) = (world.record_writes, world.log.len());
            world.run_for(60_000).unwrap();
            assert_eq!((world.record_writes - writes, dismissals(&world)), (0, 0), "{}", world.history.join("\n"));
            let leases = world.log.len() - leases;
            assert!(leases <= 120, "{leases} writes of Leases in a minute");
        }
    }
}

#[test]
fn a_deaf_member_with_refused_connections_dismisses_nobody() {
    for seed in 0..4 {
        let script =
            [(1_000, Action::Deafen(0, 8_000)), (0, Action::Refuse(0, 1, 8_000)), (0, Action::Refuse(0, 2, 8_000))];
        let mut world = run_script(seed, 3, &script).unwrap();
        world.run_for(30_000).unwrap();
        assert_eq!(dismissals(&world), 0, "{}", world.history.join("\n"));
    }
}

#[test]
fn a_fleet_restarts_after_all_members_crashed() {
    let mut world = run_script(7, 3, &[]).unwrap();
    for ordinal in 0..3 {
        world.act(&Action::Crash(ordinal, 1_000));
    }
    world.gaps_excused_until = world.now + 15_000;
    world.settle(60_000).unwrap();
}

#[test]
fn a_fleet_serves_after_a_loss_of_power_although_one_member_stays_away() {
    for seed in 0..4 {
        let mut world = run_script(seed, 4, &[]).unwrap();
        for ordinal in 0..4 {
            world.act(&Action::Crash(ordinal, if ordinal == 3 { 60_000 } else { 1_000 }));
        }
        world.gaps_excused_until = world.now + 60_000;
        world.run_for(5_000).unwrap();
        let (now, served) = (world.now, |world: &World| {
            world
                .points
                .iter()
                .filter(|p| (0..world.processes.len()).any(|process| world.exposes(process, **p)))
                .count()
        });
        assert!(served(&world) * 8 > world.points.len() * 5, "at {now}: {}", world.history.join("\n"));
        world.settle(200_000).unwrap();
    }
}

#[test]
fn no_switch_is_scheduled_before_every_serving_member_knows_the_record() {
    for seed in 0..8 {
        let pause = (5_000, Action::Pause(2, 6_000 + seed * 1_000));
        run_script(seed, 3, &[pause, (2_000, Action::Scale(2))]).unwrap();
    }
}

#[test]
fn a_changed_hash_is_handed_over() {
    let mut world = run_script(3, 3, &[]).unwrap();
    world.hash = Hasher::Fnv1a64;
    world.act(&Action::Roll);
    world.settle(200_000).unwrap();
    assert_eq!(world.record.unwrap().current.hash, Hasher::Fnv1a64);
}

#[test]
fn a_member_without_headroom_serves_its_own_share_alone() {
    let mut world = run_script(11, 3, &[]).unwrap();
    let own = |world: &World| -> Vec<Slice> {
        world.processes.iter().filter(|each| each.alive).map(|each| each.machine.status(world.clock(0)).owned).collect()
    };
    let before = own(&world);
    world.headroom = Some(0);
    world.run_for(10_000).unwrap();
    world.act(&Action::Crash(1, 60_000));
    world.run_for(30_000).unwrap();
    assert_eq!(world.processes[0].machine.status(world.clock(0)).untaken, [1]);
    assert_eq!(own(&world), [before[0].clone(), before[2].clone()]);
    // With headroom again, the others take over before the crashed member is back.
    world.headroom = Some(u32::MAX);
    world.run_for(20_000).unwrap();
    let status = world.processes[0].machine.status(world.clock(0));
    assert_eq!((&*status.absent, &*status.untaken), (&[1][..], &[][..]));
    assert!(world.complete);
    world.settle(120_000).unwrap();
}

/// Returns the length of the longest `shardSelector` in bytes and the most ranges in one, in a fleet of `total` members.
fn selectors(total: u32, absent: &[u32]) -> (usize, usize) {
    let assignment = Assignment::with_absent(total, absent, &BTreeSet::new()).unwrap();
    let lengths = (0..total).map(|ordinal| {
        let ranges = assignment.ranges(ordinal);
        let text: usize = ranges
            .parts()
            .iter()
            .map(|(start, end)| format!("shardRange(object.metadata.uid,'{start:#018x}','{end:#018x}') || ").len())
            .sum();
        (text, ranges.parts().len())
    });
    lengths.max().unwrap()
}

#[test]
fn sixty_four_members_hand_over() {
    let (bytes, ranges) = selectors(64, &[]);
    assert!(ranges <= 110 && bytes <= 110 * 80, "{ranges} ranges in {bytes} bytes");
    let (bytes, ranges) = selectors(64, &[5, 17, 18, 63]);
    assert!(ranges <= 220 && bytes <= 220 * 80, "{ranges} ranges in {bytes} bytes");

    let mut world = World::new(64, 63);
    world.step = 250;
    world.start_delay = 500;
    world.settle(60_000).unwrap();
    world.gaps_excused_until = 0;
    world.act(&Action::Scale(64));
    world.settle(60_000).unwrap();
    world.act(&Action::Crash(5, 1_000));
    world.settle(120_000).unwrap();
    world.act(&Action::Roll);
    // The first few replacements are enough: all are alike.
    world.run_for(40_000).unwrap();
    let rolled = world.pods.values().filter(|pod| pod.revision == world.revision).count();
    assert!(rolled >= 3, "{rolled} members were replaced");
}

#[test]
#[ignore = "takes minutes"]
fn sixty_four_members_roll_scale_down_and_scale_up() {
    let mut world = World::new(65, 64);
    world.step = 250;
    world.start_delay = 500;
    world.settle(60_000).unwrap();
    world.gaps_excused_until = 0;
    world.act(&Action::Roll);
    world.settle(3_600_000).unwrap();
    for replicas in [32, 64] {
        world.act(&Action::Scale(replicas));
        world.settle(120_000).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_scripts_leave_no_gap_and_no_duplicate(seed: u64, replicas in 1_u32..5, script in actions()) {
        run_script(seed, replicas, &script)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_scripts_under_attack_leave_no_gap_and_no_duplicate(seed: u64, replicas in 1_u32..5, script in actions()) {
        run_attacked(seed, replicas, &script)?;
    }
}
