//! The network between processes and to the API server.
//!
//! It authenticates as the fleet port does: a heartbeat arrives only between processes that know each other's keys from Leases.

use super::super::Event;
use super::{Message, Process, World};

impl World {
    pub(super) fn reaches_api(&self, p: usize) -> bool {
        let Process { ordinal, api_cut_until, .. } = &self.processes[p];
        self.now >= self.api_down_until.max(*api_cut_until)
            && self.api_cut.get(ordinal).is_none_or(|until| self.now >= *until)
    }

    /// Whether packets of two processes arrive.
    pub(super) fn connected(&self, p: usize, q: usize) -> bool {
        let (p, q) = (&self.processes[p], &self.processes[q]);
        let (a, b) = (p.ordinal, q.ordinal);
        self.now >= p.peers_cut_until.max(q.peers_cut_until)
            && self.peers_cut.get(&(a.min(b), a.max(b))).is_none_or(|until| self.now >= *until)
    }

    pub(super) fn refuses(&self, from: u32, to: u32) -> bool {
        self.refused.get(&(from, to)).is_some_and(|until| self.now < *until)
    }

    /// Whether a process reads from the API server.
    pub(super) fn reads_api(&self, p: usize) -> bool {
        let ordinal = self.processes[p].ordinal;
        self.reaches_api(p) && self.deaf.get(&ordinal).is_none_or(|until| self.now >= *until)
    }

    /// Whether the heartbeats of two processes, and the answers, arrive.
    pub(super) fn linked(&self, p: usize, q: usize) -> bool {
        let (a, b) = (self.processes[p].ordinal, self.processes[q].ordinal);
        let network = self.connected(p, q) && !self.refuses(a, b) && !self.refuses(b, a);
        network && self.may_know(p, q) && self.may_know(q, p)
    }

    /// Whether the process `p` knows the key of the process `q`, or can read it.
    fn may_know(&self, p: usize, q: usize) -> bool {
        let id = &self.processes[q].machine.own_member().id;
        self.processes[p].keys.get(&id.ordinal) == Some(id)
            || (self.reaches_api(p) && self.listed_lease(id.ordinal).is_some_and(|lease| lease.id == *id))
    }

    /// Whether the process `to` accepts the key of the process `from`. An unknown key makes it read the Leases, for the next
    /// attempt.
    pub(super) fn admits(&mut self, to: usize, from: usize) -> bool {
        let id = self.processes[from].machine.own_member().id.clone();
        let known = self.processes[to].keys.get(&id.ordinal) == Some(&id);
        if !known && self.reaches_api(to) && self.processes[to].cursor != usize::MAX {
            let listed = self.leases.keys().filter_map(|ordinal| self.listed_lease(*ordinal));
            self.processes[to].keys = listed.map(|member| (member.id.ordinal, member.id.clone())).collect();
        }
        known
    }

    pub(super) fn heartbeat(&mut self, p: usize) {
        let clock = self.clock(p);
        let heartbeat = self.processes[p].machine.heartbeat(clock);
        let news = Some((heartbeat.member.clone(), heartbeat.record.as_ref().map_or(0, |r| r.revision)));
        if self.now < self.processes[p].next_heartbeat && self.processes[p].announced == news {
            return;
        }
        let from = self.processes[p].ordinal;
        self.processes[p].next_heartbeat = self.next_period(from, 1_000);
        self.processes[p].announced = news;
        for peer in self.processes[p].machine.status(clock).contacts {
            let at = self.now + self.delay();
            let lost = Message::Event(Event::ConnectionLost(peer.id.clone()));
            let to = self
                .processes
                .iter()
                .position(|other| other.alive && other.machine.own_member().address == peer.address);
            let Some(to) = to else {
                let cut = self.peers_cut.get(&(from.min(peer.id.ordinal), from.max(peer.id.ordinal)));
                if cut.is_none_or(|until| self.now >= *until) && self.now >= self.processes[p].peers_cut_until {
                    self.processes[p].inbox.push((at, lost));
                }
                continue;
            };
            if !self.connected(p, to) {
                continue;
            }
            // Another process may have the address: it lacks the key that the Lease names.
            let is_other = self.processes[to].machine.own_member().id != peer.id;
            if is_other || self.refuses(from, peer.id.ordinal) {
                self.processes[p].inbox.push((at, lost));
            } else {
                self.processes[to].inbox.push((at, Message::Heartbeat(p, heartbeat.clone(), clock.boot)));
            }
        }
    }
}
