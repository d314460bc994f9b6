//! The API server, the StatefulSet controller and the kubelet.

use super::super::timing::millis;
use super::super::{Decision, Event};
use super::seeded::Seeded;
use super::{Entry, Form, Message, Pod, World};
use crate::fleet::record::{Member, Phase, Record};

impl World {
    /// Plays the StatefulSet controller and the kubelet.
    pub(super) fn control(&mut self) {
        if self.foreign.take_if(|(_, until)| self.now >= *until).is_some() {
            self.revision += 1;
        }
        let exists = self.now >= self.orphaned_until;
        for ordinal in 0..self.replicas {
            if exists && !self.pods.contains_key(&ordinal) {
                let uid = format!("pod-{ordinal}-{}", self.name());
                let address = self.addresses.remove(&ordinal).unwrap_or_else(|| uid.clone());
                let (revision, start) = (self.revision, self.now + self.start_delay);
                let pod = Pod { uid, address, revision, process: None, start, deleting: None, released: None };
                self.pods.insert(ordinal, pod);
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
        end.retain(|_| exists);
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
                (None, None) if self.now >= start => {
                    // One whose Pod is gone may have come back meanwhile, and serve.
                    if self.processes.iter().any(|process| process.alive && process.ordinal == ordinal) {
                        self.excuse_replacement();
                    }
                    self.start(ordinal);
                }
                (Some(_), None) => drop(self.pods.remove(&ordinal)),
                (Some(kill), Some(p)) => {
                    let foreign = self.processes[p].foreign;
                    let released = self.runs(p)
                        && (foreign || self.processes[p].decision.as_ref().is_some_and(|decision| decision.released));
                    let pod = self.pods.get_mut(&ordinal).unwrap();
                    if released {
                        pod.released.get_or_insert(self.now);
                    }
                    if self.now >= kill {
                        self.history.push(format!("{:>6} {ordinal} is killed after its grace period", self.now));
                        self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(p));
                        self.kill(p);
                        self.pods.remove(&ordinal);
                    } else if foreign && released {
                        self.kill(p);
                        self.pods.remove(&ordinal);
                    } else if pod.released.is_some_and(|at| self.now > at + 300) && self.reaches_api(p) {
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

    /// Delivers what a process reads from the API server.
    pub(super) fn read_api(&mut self, p: usize) {
        let ordinal = self.processes[p].ordinal;
        if !self.reads_api(p) || self.now < self.processes[p].reads_from {
            return;
        }
        let mut events = Vec::new();
        if self.processes[p].cursor == usize::MAX {
            // A process reads its own Lease by its name.
            let own = self.leases.get(&ordinal).cloned();
            events.extend(own.into_iter().map(Event::Lease));
            // As `api::leases`: a list delivers Leases late.
            let others = self.leases.keys().filter(|o| **o != ordinal).filter_map(|o| self.listed_lease(*o)).cloned();
            events.extend(others.map(|member| Event::Lease(Member { renewed: None, boot: None, ..member })));
            events.push(self.record_event());
            events.push(Event::Listed);
            self.processes[p].cursor = self.log.len();
            self.processes[p].stored = self.record_at;
            self.processes[p].misses_record = self.form == Form::Hidden;
        }
        let set = (self.now >= self.orphaned_until).then(|| (format!("sts-{}", self.orphaned_until), self.replicas));
        events.push(Event::StatefulSet(set));
        while let Some((at, entry)) = self.log.get(self.processes[p].cursor) {
            if at + 30 > self.now {
                break;
            }
            let place = self.processes[p].cursor;
            let process = &mut self.processes[p];
            process.cursor += 1;
            let own_write = process.own_writes.iter().position(|(at, _)| *at == place);
            match (entry, entry.lease_of()) {
                // The answer to an own write was faster than the watch.
                (_, None) if place + 1 < process.stored => continue,
                (_, None) => {
                    process.stored = place + 1;
                    process.misses_record = matches!(entry, Entry::RecordHidden);
                }
                (Entry::LeaseDamaged(ordinal), _) => drop(process.keys.remove(ordinal)),
                _ => {}
            }
            events.extend(entry.event());
            if entry.lease_of() == Some(ordinal) && own_write.is_none() && process.written.is_some() {
                // Something else changed its Lease: it writes it again, once a second at most.
                process.renew = process.renew.min(self.now.max(process.disturbed + 1_000));
                process.disturbed = self.now;
            }
            if let Some(sent) = own_write.and_then(|own_write| process.own_writes.remove(own_write).1) {
                events.push(Event::LeaseConfirmed(sent));
            }
        }
        for event in events {
            match &event {
                Event::Lease(member) => drop(self.processes[p].keys.insert(member.id.ordinal, member.id.clone())),
                Event::LeaseGone(ordinal) => drop(self.processes[p].keys.remove(ordinal)),
                _ => {}
            }
            self.deliver(p, event);
        }
    }

    /// Answers a process that doubts whether it still holds its Lease.
    pub(super) fn verify(&mut self, p: usize) {
        let (ordinal, now) = (self.processes[p].ordinal, self.now);
        let wants = self.processes[p].decision.as_ref().is_some_and(|decision| decision.verify);
        if wants && now >= self.processes[p].next_read && self.reaches_api(p) {
            self.processes[p].next_read = now + 1_000;
            let (holder, clock) = (self.leases.get(&ordinal).cloned(), self.clock(p));
            self.deliver(p, Event::LeaseRead(holder, clock.boot));
        }
    }

    pub(super) fn write(&mut self, p: usize, decision: &Decision) {
        let ordinal = self.processes[p].ordinal;
        if !self.reaches_api(p) || self.processes[p].cursor == usize::MAX {
            return;
        }
        let boot = self.clock(p).boot;
        let yields = self
            .leases
            .get(&ordinal)
            .is_none_or(|lease| lease.id == decision.member.id || lease.life < decision.member.life);
        let changed = self.processes[p].written.as_ref() != Some(&decision.member);
        if !yields {
            // As `api::leases`: only a higher life writes over the Lease of another process.
        } else if self.now >= self.processes[p].renew || (changed && self.processes[p].unanswered == 0) {
            let lost = self.loses_answer(ordinal);
            // It waits 4 s for the answer, and tries again.
            let next = if lost { self.now + 4_000 + self.vary(200..2_000) } else { self.next_period(ordinal, 5_000) };
            let process = &mut self.processes[p];
            process.unanswered = if lost { process.unanswered + 1 } else { 0 };
            process.renew = next;
            process.written = Some(decision.member.clone());
            process.own_writes.push((self.log.len(), (!lost).then_some(boot)));
            let (renewed, since_boot) = (Some(self.clock(p).unix), Some(millis(boot)));
            self.commit(Entry::Lease(Member { renewed, boot: since_boot, ..decision.member.clone() }));
            if self.seeded == Some(Seeded::ConfirmedUndelivered) {
                self.deliver(p, Event::LeaseConfirmed(boot));
            }
        }
        self.change_switch_time(p);
        if let Some(record) = &decision.write
            && self.processes[p].stored == self.record_at
        {
            self.write_record(p, record);
        }
        for ordinal in &decision.leases_to_delete {
            // The precondition: the Lease is as this process has read it.
            let is_read = self.processes[p].keys.get(ordinal).is_some_and(|id| {
                self.listed_lease(*ordinal).is_some_and(|lease| lease.id == *id)
                    && self.log[self.processes[p].cursor..].iter().all(|(_, entry)| entry.lease_of() != Some(*ordinal))
            });
            if is_read {
                self.history.push(format!("{:>6} the Lease of {ordinal} is deleted", self.now));
                self.commit(Entry::LeaseGone(*ordinal));
            }
        }
    }

    /// Writes the record over the version that a process knows.
    pub(super) fn write_record(&mut self, p: usize, record: &Record) {
        if std::mem::take(&mut self.processes[p].misses_record) {
            // It cannot create what exists, and reads it by its name.
            let hidden = self.record.clone();
            for event in hidden.map(Event::Record).into_iter().chain([Event::DamagedRecord]) {
                self.deliver(p, event);
            }
            return;
        }
        self.check_write(p, record);
        self.commit(Entry::Record(record.clone()));
        if !self.loses_answer(self.processes[p].ordinal) {
            let at = self.now + self.delay();
            self.processes[p].inbox.push((at, Message::Stored(self.record_at, record.clone())));
        }
    }

    /// Whether the answer to a write that was accepted gets lost.
    fn loses_answer(&mut self, ordinal: u32) -> bool {
        self.lossy.get(&ordinal).is_some_and(|until| self.now < *until) && self.random.bool()
    }

    /// Lets a process of another version write its Lease, which this one cannot read.
    pub(super) fn run_foreign(&mut self, p: usize) {
        if self.now >= self.processes[p].renew && self.reaches_api(p) {
            self.processes[p].renew = self.now + 5_000;
            self.commit(Entry::LeaseDamaged(self.processes[p].ordinal));
        }
    }
}
