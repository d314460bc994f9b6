//! What may happen to the cluster.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::World;
use super::invariants::TAKEOVER;
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
        }
    }
}
