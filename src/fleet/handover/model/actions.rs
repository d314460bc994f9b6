//! What may happen to the cluster.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::store::{Loss, MOST_WRITES_BACK};
use super::{Entry, Form, Process, World};
use crate::fleet::bounds::TAKEOVER;
use crate::fleet::record::Record;
use crate::sharding::Hasher;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Action {
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
    /// A process finishes no load.
    Stall(u32, u64),
    /// The wall clock of a process jumps by this many milliseconds. Nothing depends on it.
    Jump(u32, i64),
    /// The StatefulSet is deleted without its Pods, and created again after a time.
    Orphan(u64),
    /// A rolling update to the other hash.
    Rehash,
    LoseRecord(Loss),
    LoseLease(u32, Loss),
    /// All Leases and the record are again what they were this many milliseconds ago.
    Restore(u64),
    /// A node is cut off: its Pod is deleted by force, and replaced elsewhere. The old process reaches the API server and the other
    /// processes again after these times.
    Replace(u32, u64, u64),
    /// The Pods of two ordinals are deleted by force, and each new one gets the address of the other old one.
    SwapAddresses(u32, u32),
    /// Writes of a process are accepted, and their answers may get lost.
    LoseAnswers(u32, u64),
    /// The record is one of a newer version.
    NewerRecord(u64),
    /// A rolling update to a version that cannot read the formats of this one, and back.
    RollForeign(u64),
    /// One resource fails on an ordinal.
    Fail(u32, u64),
    /// The wall clock of a process jumps by this many milliseconds when the next switch has been scheduled.
    JumpAtSwitch(u32, i64),
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        2 => (1..MOST_WRITES_BACK).prop_map(Loss::Back),
        1 => Just(Loss::Deleted),
        1 => Just(Loss::Unlabelled),
        1 => Just(Loss::Damaged),
    ]
}

pub(super) fn actions() -> impl Strategy<Value = Vec<(u64, Action)>> {
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
        1 => (ordinal(), 1_000_u64..60_000).prop_map(|(o, d)| Action::Stall(o, d)),
        1 => (ordinal(), -60_000_i64..60_000).prop_map(|(o, by)| Action::Jump(o, by)),
        1 => (1_000_u64..60_000).prop_map(Action::Orphan),
        1 => Just(Action::Rehash),
        3 => (loss()).prop_map(Action::LoseRecord),
        3 => (ordinal(), loss()).prop_map(|(o, loss)| Action::LoseLease(o, loss)),
        2 => (1_000_u64..60_000).prop_map(Action::Restore),
        2 => (ordinal(), 1_000_u64..60_000, 1_000_u64..60_000).prop_map(|(o, api, peers)| Action::Replace(o, api, peers)),
        1 => (ordinal(), ordinal()).prop_map(|(a, b)| Action::SwapAddresses(a, b)),
        1 => (ordinal(), 1_000_u64..60_000).prop_map(|(o, d)| Action::LoseAnswers(o, d)),
        1 => (1_000_u64..60_000).prop_map(Action::NewerRecord),
        1 => (1_000_u64..90_000).prop_map(Action::RollForeign),
        1 => (ordinal(), 1_000_u64..90_000).prop_map(|(o, d)| Action::Fail(o, d)),
        1 => (ordinal(), -60_000_i64..60_000).prop_map(|(o, by)| Action::JumpAtSwitch(o, by)),
    ];
    proptest::collection::vec((0_u64..30_000, action), 1..7)
}

impl World {
    pub(super) fn act(&mut self, action: &Action) {
        self.history.push(format!("{:>6} {action:?}", self.now));
        let process = |world: &Self, o: u32| world.pods.get(&o).and_then(|pod| pod.process);
        let now = self.now;
        match *action {
            Action::Scale(replicas) => self.replicas = replicas,
            Action::Roll => self.revision += 1,
            Action::Stall(o, time) => drop(self.stalled.insert(o, now + time)),
            Action::Jump(o, by) => {
                if let Some(p) = process(self, o) {
                    self.processes[p].skew += by;
                }
            }
            Action::Orphan(time) => self.orphaned_until = now + time,
            Action::Rehash => {
                self.hash = if self.hash == Hasher::XxHash64 { Hasher::Fnv1a64 } else { Hasher::XxHash64 };
                self.revision += 1;
            }
            Action::Crash(o, after) => {
                if let Some(p) = process(self, o) {
                    self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(p));
                    self.kill(p);
                    self.restart_later(o, after);
                }
            }
            Action::Pause(o, time) => {
                if let Some(p) = process(self, o) {
                    self.processes[p].paused_until = now + time;
                    self.gaps_excused_until =
                        self.gaps_excused_until.max(self.api_reachable_at().max(now + time) + TAKEOVER);
                }
            }
            Action::CutApi(o, time) => {
                self.api_cut.insert(o, now + time);
            }
            Action::CutPeers(a, b, time) => {
                self.peers_cut.insert((a.min(b), a.max(b)), now + time);
            }
            // A false refusal costs nothing.
            Action::Refuse(a, b, time) => {
                self.refused.insert((a, b), now + time);
            }
            Action::RefuseAll(time) => {
                let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
                self.refused.extend(pairs.map(|pair| (pair, now + time)));
            }
            Action::Deafen(o, time) => {
                self.deaf.insert(o, now + time);
            }
            Action::ApiDown(time) => {
                self.api_down_until = now + time;
            }
            Action::LoseRecord(loss) => self.lose_record(loss),
            Action::LoseLease(o, loss) => {
                self.lose_lease(o, loss);
                self.excuse_lost_lease();
            }
            Action::Restore(age) => {
                self.restore(now.saturating_sub(age));
                self.excuse_lost_lease();
            }
            Action::Replace(o, api, peers) => {
                if let Some(p) = process(self, o) {
                    (self.processes[p].api_cut_until, self.processes[p].peers_cut_until) = (now + api, now + peers);
                    self.pods.remove(&o);
                    self.excuse_replacement();
                }
            }
            Action::SwapAddresses(a, b) => {
                for (o, other) in [(a, b), (b, a)] {
                    if let Some(p) = process(self, o).filter(|_| a != b && self.pods.contains_key(&other)) {
                        self.addresses.insert(other, self.processes[p].machine.own_member().address.clone());
                    }
                }
                for o in [a, b] {
                    if let Some(p) = process(self, o).filter(|_| a != b) {
                        self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(p));
                        self.kill(p);
                        self.pods.remove(&o);
                    }
                }
            }
            Action::LoseAnswers(o, time) => drop(self.lossy.insert(o, now + time)),
            Action::NewerRecord(time) => {
                if self.form == Form::Good {
                    self.commit(Entry::RecordUnreadable);
                    self.unreadable_until = now + time;
                }
            }
            Action::RollForeign(time) => {
                self.revision += 1;
                self.foreign = Some((self.revision, now + time));
            }
            Action::Fail(o, time) => drop(self.failing.insert(o, (now, now + time))),
            Action::JumpAtSwitch(o, by) => self.jumps.push((o, by)),
        }
    }

    /// Lets what was announced happen.
    pub(super) fn happen(&mut self) {
        let written = self.record_at.checked_sub(1).and_then(|at| self.log.get(at)).map_or(0, |(at, _)| *at);
        let is_switching = self.record.as_ref().is_some_and(Record::is_switching);
        if self.form == Form::Good && is_switching && self.now < written + 2_500 {
            for (o, by) in std::mem::take(&mut self.jumps) {
                self.act(&Action::Jump(o, by));
            }
        }
        if self.form == Form::Unreadable
            && self.now >= self.unreadable_until
            && let Some(record) = self.record.clone()
        {
            self.commit(Entry::Record(record));
        }
        for p in 0..self.processes.len() {
            let Process { alive, api_cut_until, .. } = self.processes[p];
            // The kubelet reaches the API server again, and ends a Pod that was deleted.
            if alive && !self.has_pod(p) && self.now >= api_cut_until + 30_000 {
                self.gaps_excused_until = self.gaps_excused_until.max(self.recovered_at(p));
                self.kill(p);
            }
        }
    }

    /// Lets the container of an ordinal restart after a time.
    pub(super) fn restart_later(&mut self, ordinal: u32, after: u64) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.process = None;
            pod.start = self.now + after;
        }
    }
}
