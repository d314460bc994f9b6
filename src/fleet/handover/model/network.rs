//! The network between processes and to the API server.
//!
//! It authenticates as the fleet port does: a heartbeat arrives only between processes that know each other's keys from Leases.

use super::super::Event;
use super::{Message, World};

impl World {
    pub(super) fn reaches_api(&self, ordinal: u32) -> bool {
        self.now >= self.api_down_until && self.api_cut.get(&ordinal).is_none_or(|until| self.now >= *until)
    }

    pub(super) fn connected(&self, a: u32, b: u32) -> bool {
        self.peers_cut.get(&(a.min(b), a.max(b))).is_none_or(|until| self.now >= *until)
    }

    pub(super) fn refuses(&self, from: u32, to: u32) -> bool {
        self.refused.get(&(from, to)).is_some_and(|until| self.now < *until)
    }

    /// Whether a process reads from the API server.
    pub(super) fn reads_api(&self, p: usize) -> bool {
        let ordinal = self.processes[p].ordinal;
        self.reaches_api(ordinal) && self.deaf.get(&ordinal).is_none_or(|until| self.now >= *until)
    }

    /// Whether the heartbeats of two processes, and the answers, arrive.
    pub(super) fn linked(&self, p: usize, q: usize) -> bool {
        let (a, b) = (self.processes[p].ordinal, self.processes[q].ordinal);
        let network = self.connected(a, b) && !self.refuses(a, b) && !self.refuses(b, a);
        network && self.may_know(p, q) && self.may_know(q, p)
    }

    /// Whether the process `p` knows the key of the process `q`, or can read it.
    fn may_know(&self, p: usize, q: usize) -> bool {
        let id = &self.processes[q].machine.own_member().id;
        self.processes[p].keys.get(&id.ordinal) == Some(id) || self.reaches_api(self.processes[p].ordinal)
    }

    /// Whether the process `to` accepts the key of the process `from`. An unknown key makes it read the Leases, for the next
    /// attempt.
    pub(super) fn admits(&mut self, to: usize, from: usize) -> bool {
        let id = self.processes[from].machine.own_member().id.clone();
        let known = self.processes[to].keys.get(&id.ordinal) == Some(&id);
        if !known && self.reaches_api(self.processes[to].ordinal) && self.processes[to].cursor != usize::MAX {
            self.processes[to].keys = self.leases.iter().map(|(o, member)| (*o, member.id.clone())).collect();
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
}
