//! The life of a process: its inputs, its loads, its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::capacity::units;
use super::super::{Config, Decision, Event, Machine, Memory};
use super::seeded::Seeded;
use super::{BOOT_CLOCKS, Message, ORIGIN, Process, World};
use crate::fleet::record::Incarnation;
use crate::sharding::Slice;

impl World {
    pub(super) fn start(&mut self, ordinal: u32) {
        let nonce = self.name();
        let pod = &self.pods[&ordinal];
        let id = Incarnation { ordinal, pod: pod.uid.clone(), nonce };
        let config = Config {
            owns_pod: Some(true),
            id,
            address: pod.address.clone(),
            key: None,
            fleet: "default/fleet".to_owned(),
            hash: self.hash,
            overlap: Duration::from_millis(self.overlap),
            on_lost_quorum: self.on_lost_quorum,
            seamless: self.seamless,
        };
        let (boot, skew) = match self.explored {
            Some(_) => (Duration::from_millis(BOOT_CLOCKS[ordinal as usize] - ORIGIN), 0),
            None => (Duration::from_secs(self.random.u64(1000..100_000)), self.random.i64(-1000..1000)),
        };
        let index = self.processes.len();
        self.processes.push(Process {
            machine: Machine::new(config),
            ordinal,
            boot,
            skew,
            alive: true,
            paused_until: 0,
            deaf_since: None,
            deaf_last: 0,
            confirmed_last: 0,
            decision: None,
            loaded: Slice::none(),
            loading: None,
            inbox: Vec::new(),
            cursor: usize::MAX,
            reads_from: self.now + 100,
            written: None,
            renew: 0,
            own_writes: Vec::new(),
            next_read: 0,
            next_heartbeat: 0,
            announced: None,
            stored: 0,
            misses_record: false,
            unanswered: 0,
            disturbed: 0,
            stamped: None,
            keys: BTreeMap::new(),
            api_cut_until: 0,
            peers_cut_until: 0,
            held: Slice::none(),
            started: self.now,
            unwell_at: self.now,
            foreign: self.foreign.is_some_and(|(revision, _)| revision == pod.revision),
        });
        self.pods.get_mut(&ordinal).unwrap().process = Some(index);
    }

    pub(super) fn kill(&mut self, p: usize) {
        self.processes[p].alive = false;
        let id = self.processes[p].machine.own_member().id.clone();
        for other in 0..self.processes.len() {
            if other != p && self.processes[other].alive && self.connected(p, other) {
                let at = self.now + self.delay();
                self.processes[other].inbox.push((at, Message::Event(Event::ConnectionLost(id.clone()))));
            }
        }
    }

    /// Delivers the inputs of one process and carries its decision out.
    pub(super) fn run(&mut self, p: usize) {
        self.read_api(p);
        let clock = self.clock(p);
        let memory = self.memory(p);
        self.deliver(p, Event::Memory(memory));
        let mut due: Vec<_> = self.processes[p].inbox.extract_if(.., |(at, _)| *at <= self.now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, message) in due {
            match message {
                Message::Event(event) => self.deliver(p, event),
                Message::Stored(version, _) if version < self.processes[p].stored => {}
                Message::Stored(version, record) => {
                    self.processes[p].stored = version;
                    self.deliver(p, Event::Record(record));
                }
                Message::Heartbeat(from, heartbeat, sent) => {
                    if !self.admits(p, from) {
                        continue;
                    }
                    self.overhear(&heartbeat, sent);
                    self.deliver(p, Event::HeartbeatReceived(heartbeat));
                    let answer = self.processes[p].machine.heartbeat(clock);
                    let (a, b) = (self.processes[p].ordinal, self.processes[from].ordinal);
                    if self.connected(p, from) && !self.refuses(b, a) {
                        let at = self.now + self.delay();
                        self.processes[from].inbox.push((at, Message::Event(Event::HeartbeatAnswered(answer, sent))));
                    }
                }
            }
        }
        self.attack(p);
        self.finish_load(p);
        self.verify(p);
        self.mislead(p);
        let decision = self.processes[p].machine.decide(clock);
        let decision = self.distort_decision(decision);
        let ordinal = self.processes[p].ordinal;
        let notices = self.processes[p].machine.notices();
        if notices.iter().any(|notice| notice.text.contains("is current")) {
            self.last_switch = self.now;
        }
        self.history.extend(notices.iter().map(|notice| format!("{:>6} {ordinal}: {notice}", self.now)));
        self.scrape(p, &decision);
        self.load(p, &decision);
        self.write(p, &decision);
        self.heartbeat(p);
        if decision.outrun_by.is_some() {
            self.kill(p);
            if self.has_pod(p) {
                self.restart_later(ordinal, 1_000);
            }
        }
        self.processes[p].decision = Some(decision);
    }

    /// Ends the load of a process if it is due. A resource that fails delays it until that is degraded.
    fn finish_load(&mut self, p: usize) {
        let degraded_at = self.degraded_at(p);
        let process = &mut self.processes[p];
        let Some((at, slice)) = process.loading.clone().filter(|(at, _)| *at <= self.now) else { return };
        process.held = if slice.covers(&process.held) { slice.clone() } else { process.held.union(&slice) };
        if degraded_at.is_some_and(|degraded_at| self.now < degraded_at.max(at)) && !process.loaded.covers(&slice) {
            return;
        }
        process.loading = None;
        (process.held, process.loaded) = (slice.clone(), slice.clone());
        self.deliver(p, Event::Loaded(slice));
    }

    /// Returns when the resource that fails is degraded; `None` if none fails.
    fn degraded_at(&self, p: usize) -> Option<u64> {
        let process = &self.processes[p];
        let (since, until) = self.failing.get(&process.ordinal)?;
        (self.now < *until).then(|| process.started.max(*since) + 30_000)
    }

    /// Lets the scrapers of a process fetch the timestamps of moving series: each within 5 s, or too late.
    fn scrape(&mut self, p: usize, decision: &Decision) {
        let (clock, wait) = (self.clock(p), Duration::from_secs(5));
        self.processes[p].machine.handle(Event::ScrapeWait(wait), clock);
        let generation = decision.stamps.as_ref().map(|stamps| stamps.generation);
        if generation != self.processes[p].stamped {
            self.processes[p].stamped = generation;
            if let Some(generation) = generation {
                let at = self.now + self.vary(0..6_000);
                self.processes[p].inbox.push((at, Message::Event(Event::Stamped(generation))));
            }
        }
    }

    /// Returns the memory of a process, in units of 2^32 points.
    fn memory(&self, p: usize) -> Option<Memory> {
        let used = units(self.processes[p].loaded.size()).max(1);
        self.memory.map(|limit| Memory { limit: u64::from(limit), used: u64::from(used) })
    }

    pub(super) fn load(&mut self, p: usize, decision: &Decision) {
        let ordinal = self.processes[p].ordinal;
        let reaches = self.reaches_api(p) && self.stalled.get(&ordinal).is_none_or(|until| self.now >= *until);
        let time = self.vary(200..2_000);
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
        if self.seeded == Some(Seeded::PreparedTooEarly) {
            self.deliver(p, Event::Loaded(decision.desired.clone()));
        }
    }
}
