//! What must hold at each step, and for how long each fault excuses a violation.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::World;
use crate::sharding::Hashes;

/// How long (ms) a moved range may be duplicated or missing: clock offsets are estimates, and scrapes take time.
const SWITCH_TOLERANCE: u64 = 500;
/// How long (ms) a range may be missing after a crash: until the crash is noticed, a scheduled switch has passed, a
/// coordinator is elected, and another member has loaded the range.
const RECOVERY: u64 = 12_000;
/// How much longer (ms) if another member has no connection to the crashed one: until the Lease has expired, which shows with
/// the next renewal of the own Lease.
const LEASE_EXPIRY: u64 = 20_000;

impl World {
    /// Returns when every process reaches the API server again.
    pub(super) fn api_reachable_at(&self) -> u64 {
        let until = |cuts: &BTreeMap<u32, u64>| cuts.values().max().copied().unwrap_or(0);
        until(&self.api_cut).max(until(&self.deaf)).max(self.api_down_until).max(self.now)
    }

    /// Returns by when the others serve the ranges of a process that crashes now.
    pub(super) fn recovered_at(&self, ordinal: u32) -> u64 {
        let cut = |cuts: &BTreeMap<(u32, u32), u64>| {
            cuts.iter().any(|((a, b), until)| [*a, *b].contains(&ordinal) && self.now < *until)
        };
        let cut = cut(&self.peers_cut) || cut(&self.refused);
        self.api_reachable_at() + RECOVERY + if cut { LEASE_EXPIRY } else { 0 }
    }

    /// A fully isolated process may expose its ranges for one more Lease duration, or nothing while the isolation lasts.
    pub(super) fn excuse_for_isolation(&mut self, time: u64) {
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

    pub(super) fn exposes(&self, p: usize, point: Hashes) -> bool {
        let process = &self.processes[p];
        let boot = self.clock(p).boot;
        let plan = process.decision.as_ref().map(|decision| &decision.plan);
        self.runs(p)
            && process.loaded.contains(point)
            && plan.and_then(|plan| plan.at(boot)).is_some_and(|slice| slice.contains(point))
    }

    /// Checks that exactly one process exposes each sampled point.
    pub(super) fn check(&mut self) -> Result<(), TestCaseError> {
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
    pub(super) fn check_resumed(&mut self) -> Result<(), TestCaseError> {
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

    /// Whether the fleet matches the StatefulSet and exposes everything.
    pub(super) fn is_settled(&self) -> bool {
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

    pub(super) fn settle(&mut self, limit: u64) -> Result<(), TestCaseError> {
        let end = self.now + limit;
        while !self.is_settled() {
            prop_assert!(self.now < end, "not settled at {}\n{}", self.now, self.history.join("\n"));
            self.step()?;
        }
        self.run_for(2_000)
    }
}
