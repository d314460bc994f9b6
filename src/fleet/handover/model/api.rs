//! The API server, the StatefulSet controller and the kubelet.

use super::super::timing::millis;
use super::super::{Decision, Event};
use super::{Entry, Message, Pod, World};
use crate::fleet::record::{Member, Phase};

impl World {
    /// Plays the StatefulSet controller and the kubelet.
    pub(super) fn control(&mut self) {
        let exists = self.now >= self.orphaned_until;
        for ordinal in 0..self.replicas {
            if exists && !self.pods.contains_key(&ordinal) {
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

    pub(super) fn commit(&mut self, entry: Entry) {
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
    pub(super) fn read_api(&mut self, p: usize) {
        let ordinal = self.processes[p].ordinal;
        if !self.reads_api(p) || self.now < self.processes[p].reads_from {
            return;
        }
        let clock = self.clock(p);
        let mut events = Vec::new();
        if self.processes[p].cursor == usize::MAX {
            let own = self.leases.get(&ordinal).cloned();
            events.extend(own.into_iter().map(Event::Lease));
            // As `api::leases`: a list delivers Leases late.
            let others = self.leases.iter().filter(|(o, _)| **o != ordinal).map(|(_, member)| member.clone());
            events.extend(others.map(|member| Event::Lease(Member { renewed: None, boot: None, ..member })));
            events.push(self.record.clone().map_or(Event::NoRecord, Event::Record));
            events.push(Event::Listed);
            self.processes[p].cursor = self.log.len();
            self.processes[p].seen_record = self.record_writes;
        }
        let set = (self.now >= self.orphaned_until).then(|| (format!("sts-{}", self.orphaned_until), self.replicas));
        events.push(Event::StatefulSet(set));
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

    /// Answers a process that doubts whether it still holds its Lease.
    pub(super) fn verify(&mut self, p: usize) {
        let (ordinal, now) = (self.processes[p].ordinal, self.now);
        let wants = self.processes[p].decision.as_ref().is_some_and(|decision| decision.verify);
        if wants && now >= self.processes[p].next_read && self.reaches_api(ordinal) {
            self.processes[p].next_read = now + 1_000;
            let (holder, clock) = (self.leases.get(&ordinal).cloned(), self.clock(p));
            self.processes[p].machine.handle(Event::LeaseRead(holder, clock.boot), clock);
        }
    }

    pub(super) fn write(&mut self, p: usize, decision: &Decision) {
        let ordinal = self.processes[p].ordinal;
        if !self.reaches_api(ordinal) || self.processes[p].cursor == usize::MAX {
            return;
        }
        let boot = self.clock(p).boot;
        let yields = self
            .leases
            .get(&ordinal)
            .is_none_or(|lease| lease.id == decision.member.id || lease.life < decision.member.life);
        if !yields {
            // As `api::leases`: only a higher life writes over the Lease of another process.
        } else if self.now >= self.processes[p].renew || self.processes[p].written.as_ref() != Some(&decision.member) {
            self.processes[p].renew = self.now + 5_000;
            self.processes[p].written = Some(decision.member.clone());
            self.processes[p].own_writes.push((self.log.len(), boot));
            let (renewed, boot) = (Some(self.clock(p).unix), Some(millis(boot)));
            self.commit(Entry::Lease(Member { renewed, boot, ..decision.member.clone() }));
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
}
