//! A world for machines to live in: an API server, a network, a StatefulSet, clocks that differ. Random lives are checked
//! at every step: no range is exposed twice, none is left out by a fleet that lives and is connected.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fleet::record::{Heartbeat, Incarnation, Member, Phase, Record};
use crate::sharding::{Assignment, Hasher, Hashes, Slice};

/// How long a moved range may be doubled or missing: clocks are estimated, and scrapes are no instants.
const SLACK: u64 = 500;
/// How long after a crash a range may be missing: it is noticed, a pending switch passes, somebody else coordinates, loads.
const HEALING: u64 = 12_000;
/// How much longer if somebody is cut off from who crashed, and may be the one to notice: until its Lease has run out, which
/// shows with the next renewal of the own.
const EXPIRY: u64 = 20_000;

#[derive(Clone, Debug)]
enum Action {
    Scale(u32),
    Roll,
    /// A process dies and is started again after so many milliseconds.
    Crash(u32, u64),
    Pause(u32, u64),
    CutApi(u32, u64),
    CutPeers(u32, u32, u64),
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
        1 => (1_000_u64..40_000).prop_map(Action::ApiDown),
    ];
    proptest::collection::vec((0_u64..30_000, action), 1..7)
}

/// What travels to a process.
#[derive(Clone, Debug)]
enum Message {
    Event(Event),
    /// A heartbeat of a process, sent at that boot time of its own.
    Heartbeat(usize, Heartbeat, Duration),
}

struct Process {
    machine: Machine,
    ordinal: u32,
    /// Its boot clock at world time 0, and its wall clock's error.
    boot: Duration,
    skew: i64,
    alive: bool,
    paused_until: u64,
    decision: Option<Decision>,
    loaded: Slice,
    loading: Option<(u64, Slice)>,
    inbox: Vec<(u64, Message)>,
    /// How much of the API server's log it has seen, and since when it may see more.
    cursor: usize,
    blind_until: u64,
    /// Own Lease: what was written, when the next is due, and at which place of the log (with when it was sent).
    written: Option<Member>,
    renew: u64,
    echoes: Vec<(usize, Duration)>,
    next_heartbeat: u64,
    told: Option<(Member, u64)>,
    /// How many writes of the record it has seen.
    seen_record: u64,
}

enum Entry {
    Lease(Member),
    Record(Record),
}

struct Pod {
    uid: String,
    revision: u32,
    /// Its process, once started.
    process: Option<usize>,
    start: u64,
    /// When SIGKILL follows on SIGTERM.
    deleting: Option<u64>,
    released: Option<u64>,
}

struct World {
    now: u64,
    /// Milliseconds between two looks at everything.
    step: u64,
    random: fastrand::Rng,
    log: Vec<(u64, Entry)>,
    leases: BTreeMap<u32, Member>,
    record: Option<Record>,
    record_writes: u64,
    api_down_until: u64,
    api_cut: BTreeMap<u32, u64>,
    peers_cut: BTreeMap<(u32, u32), u64>,
    processes: Vec<Process>,
    pods: BTreeMap<u32, Pod>,
    replicas: u32,
    revision: u32,
    start_delay: u64,
    hash: Hasher,
    /// What each process finds that it has room for.
    room: Option<u32>,
    points: Vec<Hashes>,
    missing: BTreeMap<usize, u64>,
    doubled: BTreeMap<usize, u64>,
    excuse_gap: u64,
    excuse_double: u64,
    complete: bool,
    last_switch: u64,
    said: Vec<String>,
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
            processes: Vec::new(),
            pods: BTreeMap::new(),
            replicas,
            revision: 0,
            start_delay: 3_000,
            hash: Hasher::XxHash64,
            room: None,
            points,
            missing: BTreeMap::new(),
            doubled: BTreeMap::new(),
            excuse_gap: 20_000,
            excuse_double: 0,
            complete: false,
            last_switch: 0,
            said: Vec::new(),
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

    fn runs(&self, p: usize) -> bool {
        self.processes[p].alive && self.now >= self.processes[p].paused_until
    }

    fn start(&mut self, ordinal: u32) {
        let pod = &self.pods[&ordinal];
        let id = Incarnation { ordinal, pod: pod.uid.clone(), nonce: self.random.u64(..) };
        let config = Config {
            id,
            address: pod.uid.clone(),
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
            blind_until: self.now + 100,
            written: None,
            renew: 0,
            echoes: Vec::new(),
            next_heartbeat: 0,
            told: None,
            seen_record: 0,
        });
        self.pods.get_mut(&ordinal).unwrap().process = Some(index);
    }

    fn kill(&mut self, p: usize) {
        self.processes[p].alive = false;
        let (ordinal, id) = (self.processes[p].ordinal, self.processes[p].machine.own_member().id.clone());
        for other in 0..self.processes.len() {
            if other != p && self.processes[other].alive && self.connected(ordinal, self.processes[other].ordinal) {
                let at = self.now + self.delay();
                self.processes[other].inbox.push((at, Message::Event(Event::ConnectionRefused(id.clone()))));
            }
        }
    }

    fn act(&mut self, action: &Action) {
        self.said.push(format!("{:>6} {action:?}", self.now));
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
                    self.excuse_gap = self.excuse_gap.max(self.healed(o));
                }
            }
            Action::Pause(o, time) => {
                if let Some(p) = process(self, o) {
                    self.processes[p].paused_until = now + time;
                    self.excuse_gap = self.excuse_gap.max(self.connected_again().max(now + time) + 20_000);
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
            Action::ApiDown(time) => {
                self.api_down_until = now + time;
                self.excuse_gap = self.excuse_gap.max(self.excuse_gap.max(now) + time);
                self.excuse_for_isolation(time);
            }
        }
    }

    /// When everybody reaches the API server again.
    fn connected_again(&self) -> u64 {
        self.api_cut.values().max().copied().unwrap_or(0).max(self.api_down_until).max(self.now)
    }

    /// When others serve for one that crashes now.
    fn healed(&self, ordinal: u32) -> u64 {
        let cut = self.peers_cut.iter().any(|((a, b), until)| [*a, *b].contains(&ordinal) && self.now < *until);
        self.connected_again() + HEALING + if cut { EXPIRY } else { 0 }
    }

    /// Whoever is cut off from all may expose what it had for one lease, or nothing for as long as it is.
    fn excuse_for_isolation(&mut self, time: u64) {
        let cut = |until: &u64| self.now < *until;
        let from_api = self.api_cut.values().any(cut) || self.now < self.api_down_until;
        if from_api && self.peers_cut.values().any(cut) {
            self.excuse_double = self.excuse_double.max(self.now + time.max(60_000) + 16_000);
            self.excuse_gap = self.excuse_gap.max(self.now + time.max(60_000) + 40_000);
        }
        if from_api {
            // A crash is not healed, and nobody loads anything, for so long.
            if self.excuse_gap > self.now {
                self.excuse_gap = self.excuse_gap.max(self.connected_again() + HEALING);
            }
        }
    }

    /// The StatefulSet controller and the kubelet.
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
                        self.said.push(format!("{:>6} {ordinal} is killed after its grace", self.now));
                        self.excuse_gap = self.excuse_gap.max(self.healed(ordinal));
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
            Entry::Record(record) => {
                self.record = Some(record.clone());
                self.record_writes += 1;
            }
        }
        self.log.push((self.now, entry));
    }

    /// What a process reads from the API server.
    fn read_api(&mut self, p: usize) {
        let ordinal = self.processes[p].ordinal;
        if !self.reaches_api(ordinal) || self.now < self.processes[p].blind_until {
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
                Entry::Record(record) => {
                    events.push(Event::Record(record.clone()));
                    self.processes[p].seen_record += 1;
                }
            }
            self.processes[p].cursor += 1;
            let echo = self.processes[p].echoes.iter().position(|(at, _)| *at == place);
            if let Some(echo) = echo {
                events.push(Event::LeaseConfirmed(self.processes[p].echoes.remove(echo).1));
            }
        }
        for event in events {
            self.processes[p].machine.handle(event, clock);
        }
    }

    /// One process does what it wants to.
    fn run(&mut self, p: usize) {
        self.read_api(p);
        let clock = self.clock(p);
        self.processes[p].machine.handle(Event::Headroom(self.room), clock);
        let mut due: Vec<_> = self.processes[p].inbox.extract_if(.., |(at, _)| *at <= self.now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, message) in due {
            match message {
                Message::Event(event) => self.processes[p].machine.handle(event, clock),
                Message::Heartbeat(from, heartbeat, sent) => {
                    self.processes[p].machine.handle(Event::HeartbeatReceived(heartbeat), clock);
                    let answer = self.processes[p].machine.heartbeat(clock);
                    let (a, b) = (self.processes[p].ordinal, self.processes[from].ordinal);
                    if self.connected(a, b) {
                        let at = self.now + self.delay();
                        self.processes[from].inbox.push((at, Message::Event(Event::HeartbeatAnswered(answer, sent))));
                    }
                }
            }
        }
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
        self.said.extend(notices.iter().map(|notice| format!("{:>6} {ordinal}: {notice}", self.now)));
        self.load(p, &decision);
        self.write(p, &decision);
        self.heartbeat(p);
        self.processes[p].decision = Some(decision);
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
            self.processes[p].echoes.push((self.log.len(), boot));
            let renewed = Some(self.clock(p).unix);
            self.commit(Entry::Lease(Member { renewed, ..decision.member.clone() }));
        }
        if let Some(record) = &decision.write
            && self.processes[p].seen_record == self.record_writes
        {
            self.commit(Entry::Record(record.clone()));
        }
    }

    fn heartbeat(&mut self, p: usize) {
        let clock = self.clock(p);
        let heartbeat = self.processes[p].machine.heartbeat(clock);
        let news = Some((heartbeat.member.clone(), heartbeat.record.as_ref().map_or(0, |r| r.revision)));
        if self.now < self.processes[p].next_heartbeat && self.processes[p].told == news {
            return;
        }
        self.processes[p].next_heartbeat = self.now + 1_000;
        self.processes[p].told = news;
        let from = self.processes[p].ordinal;
        for peer in self.processes[p].machine.status(clock).contacts {
            if !self.connected(from, peer.id.ordinal) {
                continue;
            }
            let at = self.now + self.delay();
            let to = self
                .processes
                .iter()
                .position(|other| other.alive && other.machine.own_member().address == peer.address);
            match to {
                Some(to) => self.processes[to].inbox.push((at, Message::Heartbeat(p, heartbeat.clone(), clock.boot))),
                None => self.processes[p].inbox.push((at, Message::Event(Event::ConnectionRefused(peer.id.clone())))),
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

    /// Checks every sampled point.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let untaken = self.processes.iter().any(|process| {
            process.alive && !process.machine.known_record().is_none_or(|record| record.current.untaken.is_empty())
        });
        // With nobody who stays, nobody can take over.
        if untaken || self.pods.values().all(|pod| pod.process.is_none() || pod.deleting.is_some()) {
            self.excuse_gap = self.excuse_gap.max(self.now + 20_000);
        }
        let mut whole = true;
        let step = self.step;
        for (i, point) in self.points.clone().into_iter().enumerate() {
            let who: Vec<u32> = (0..self.processes.len())
                .filter(|p| self.exposes(*p, point))
                .map(|p| self.processes[p].ordinal)
                .collect();
            whole &= who.len() == 1;
            let count = |map: &mut BTreeMap<usize, u64>, bad: bool| match bad {
                true => {
                    *map.entry(i).or_default() += step;
                    map[&i]
                }
                false => map.remove(&i).map_or(0, |_| 0),
            };
            let missing = count(&mut self.missing, who.is_empty());
            let doubled = count(&mut self.doubled, who.len() > 1);
            let story = || format!("at {}: {who:?}\n{}", self.now, self.said.join("\n"));
            prop_assert!(doubled <= SLACK || self.now < self.excuse_double, "doubled for {doubled} ms {}", story());
            prop_assert!(missing <= SLACK || self.now < self.excuse_gap, "missing for {missing} ms {}", story());
        }
        self.complete = whole;
        Ok(())
    }

    /// Who was paused may be scraped before it has read anything: it must not expose what has become another's meanwhile.
    fn check_who_wakes(&mut self) -> Result<(), TestCaseError> {
        let quiet = self.now > self.last_switch + 1_000 && self.now >= self.excuse_double;
        for p in 0..self.processes.len() {
            let until = self.processes[p].paused_until;
            let wakes = self.processes[p].alive && until > self.now - self.step && until <= self.now;
            if !wakes || !quiet {
                continue;
            }
            for point in self.points.clone() {
                let others =
                    (0..self.processes.len()).filter(|other| *other != p && self.exposes(*other, point)).count();
                let both = others > 0 && self.exposes(p, point);
                prop_assert!(!both, "{p} wakes at {} and doubles\n{}", self.now, self.said.join("\n"));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), TestCaseError> {
        self.now += self.step;
        self.check_who_wakes()?;
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

    /// Whether the fleet is as it should be.
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
            prop_assert!(self.now < end, "not settled at {}\n{}", self.now, self.said.join("\n"));
            self.step()?;
        }
        self.run_for(2_000)
    }
}

fn live(seed: u64, replicas: u32, script: &[(u64, Action)]) -> Result<World, TestCaseError> {
    let mut world = World::new(seed, replicas);
    world.settle(60_000)?;
    world.excuse_gap = 0;
    for (after, action) in script {
        world.run_for(*after)?;
        world.act(action);
    }
    world.settle(900_000)?;
    Ok(world)
}

#[test]
fn planned_changes_leave_no_hole_and_no_double() {
    for seed in 0..4 {
        let script = [
            (5_000, Action::Scale(3)),
            (60_000, Action::Scale(2)),
            (60_000, Action::Roll),
            (10_000, Action::Scale(4)),
            (150_000, Action::Scale(1)),
        ];
        live(seed, 2, &script).unwrap();
    }
}

#[test]
fn a_crash_is_healed_within_seconds() {
    for seed in 0..4 {
        let mut world = live(seed, 2, &[]).unwrap();
        world.act(&Action::Crash(0, 10_000));
        world.excuse_gap = world.now + 3_000;
        world.settle(120_000).unwrap();
    }
}

#[test]
fn a_fleet_that_was_killed_as_a_whole_comes_back() {
    let mut world = live(7, 3, &[]).unwrap();
    for ordinal in 0..3 {
        world.act(&Action::Crash(ordinal, 1_000));
    }
    world.excuse_gap = world.now + 15_000;
    world.settle(60_000).unwrap();
}

#[test]
fn no_switch_is_set_that_somebody_who_serves_has_not_heard_of() {
    for seed in 0..8 {
        let pause = (5_000, Action::Pause(2, 6_000 + seed * 1_000));
        live(seed, 3, &[pause, (2_000, Action::Scale(2))]).unwrap();
    }
}

#[test]
fn a_new_hash_is_a_handover() {
    let mut world = live(3, 3, &[]).unwrap();
    world.hash = Hasher::Fnv1a64;
    world.act(&Action::Roll);
    world.settle(200_000).unwrap();
    assert_eq!(world.record.unwrap().current.hash, Hasher::Fnv1a64);
}

#[test]
fn who_has_no_room_takes_nothing_and_serves_its_own() {
    let mut world = live(11, 3, &[]).unwrap();
    let own = |world: &World| -> Vec<Slice> {
        world.processes.iter().filter(|each| each.alive).map(|each| each.machine.status(world.clock(0)).owned).collect()
    };
    let before = own(&world);
    world.room = Some(0);
    world.run_for(10_000).unwrap();
    world.act(&Action::Crash(1, 60_000));
    world.run_for(30_000).unwrap();
    assert_eq!(world.processes[0].machine.status(world.clock(0)).untaken, [1]);
    assert_eq!(own(&world), [before[0].clone(), before[2].clone()]);
    // There is room again: the others take over before the one that is lost is back.
    world.room = Some(u32::MAX);
    world.run_for(20_000).unwrap();
    let status = world.processes[0].machine.status(world.clock(0));
    assert_eq!((&*status.absent, &*status.untaken), (&[1][..], &[][..]));
    assert!(world.complete);
    world.settle(120_000).unwrap();
}

/// The longest `shardSelector` in bytes, and the most ranges, that a member of a fleet of `total` asks with.
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
    world.excuse_gap = 0;
    world.act(&Action::Scale(64));
    world.settle(60_000).unwrap();
    world.act(&Action::Crash(5, 1_000));
    world.settle(120_000).unwrap();
    world.act(&Action::Roll);
    // Some of them are enough: one is like the other.
    world.run_for(40_000).unwrap();
    let rolled = world.pods.values().filter(|pod| pod.revision == world.revision).count();
    assert!(rolled >= 3, "{rolled} are new");
}

#[test]
#[ignore = "takes minutes"]
fn sixty_four_members_are_all_replaced_and_halved_and_doubled() {
    let mut world = World::new(65, 64);
    world.step = 250;
    world.start_delay = 500;
    world.settle(60_000).unwrap();
    world.excuse_gap = 0;
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
    fn random_lives_are_whole(seed: u64, replicas in 1_u32..5, script in actions()) {
        live(seed, replicas, &script)?;
    }
}
