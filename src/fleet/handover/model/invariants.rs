//! What must hold at each step, and for how long each fault excuses a violation.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::capacity::units;
use super::World;
use crate::settings::OnLostQuorum;
use crate::sharding::Hashes;

/// How long (ms) a moved range may be duplicated or missing: clock offsets are estimates, and scrapes take time.
const SWITCH_TOLERANCE: u64 = 500;
/// How long (ms) a range may be missing after a crash: until the crash is noticed, a scheduled switch has passed, a
/// coordinator is elected, and another member has loaded the range.
pub(super) const RECOVERY: u64 = 12_000;
/// How long (ms) an assignment is valid without a confirmation, and a process waits at most for one after a pause.
const LEASE: u64 = 15_000;
/// How often (ms) a Lease is renewed: the last confirmation may be that old when a process loses the API server.
const RENEWAL: u64 = 5_000;
/// How long (ms) a process may expose what others serve after it hears news again: until the next heartbeat, of a peer that
/// may itself have waited for one.
const RECONNECTION: u64 = 2_500;
/// How long (ms) a range may be missing after its process resumes from a pause in which the others may have dismissed it: until
/// they have loaded it.
pub(super) const TAKEOVER: u64 = 4_000;
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

    /// Whether a process reads what the others write: from the API server, or from a peer that does.
    fn hears_news(&self, p: usize) -> bool {
        let others = || (0..self.processes.len()).filter(|q| *q != p && self.runs(*q));
        self.reads_api(p) || others().any(|q| self.reads_api(q) && self.linked(p, q))
    }

    /// Whether every other process that lives answers this one.
    fn hears_all(&self, p: usize) -> bool {
        let alive = (0..self.processes.len()).filter(|q| *q != p && self.processes[*q].alive);
        alive.into_iter().all(|q| self.runs(q) && self.linked(p, q))
    }

    /// Whether others may dismiss a process that lives and cannot renew its Lease: two of them do not hear it, or one that hears no
    /// third.
    fn may_be_dismissed(&self, p: usize) -> bool {
        let others: Vec<_> = (0..self.processes.len()).filter(|q| *q != p && self.processes[*q].alive).collect();
        let (hearing, deaf): (Vec<_>, Vec<_>) = others.into_iter().partition(|q| self.runs(*q) && self.linked(p, *q));
        match deaf[..] {
            [] => false,
            [q] => !hearing.into_iter().any(|r| self.linked(q, r)),
            _ => true,
        }
    }

    /// Notes which processes hear no news, and what that excuses.
    fn note_isolation(&mut self) {
        for p in 0..self.processes.len() {
            if !self.processes[p].alive || self.reads_api(p) {
                continue;
            }
            if self.may_be_dismissed(p) {
                // It hides its ranges when it learns that, and the others have to load them.
                self.gaps_excused_until = self.gaps_excused_until.max(self.now + RECONNECTION + TAKEOVER);
            }
            if self.hears_news(p) {
                continue;
            }
            let process = &mut self.processes[p];
            process.deaf_since =
                process.deaf_since.filter(|_| process.deaf_last + self.step >= self.now).or(Some(self.now));
            process.deaf_last = self.now;
            let deaf_for = self.now - process.deaf_since.unwrap_or(self.now);
            let waits = process.paused_until > 0 && self.now < process.paused_until + LEASE;
            let refuses = self.on_lost_quorum == OnLostQuorum::Refuse && deaf_for + RENEWAL >= LEASE;
            if (refuses && !self.hears_all(p)) || waits {
                // It exposes nothing. The others take over when its Lease has expired, if they reach the API server.
                let until = self.api_reachable_at() + LEASE_EXPIRY + RECOVERY;
                self.gaps_excused_until = self.gaps_excused_until.max(until);
            }
        }
        let stalled_until = self.stalled.values().max().copied().unwrap_or(0);
        if self.gaps_excused_until > self.now && stalled_until > self.now {
            // Until then a process may not finish the load of what it takes over.
            self.gaps_excused_until = self.gaps_excused_until.max(stalled_until + TAKEOVER);
        }
        if self.gaps_excused_until > self.now && self.api_reachable_at() > self.now {
            // Until then no crash is recovered from, and no process can load.
            self.gaps_excused_until = self.gaps_excused_until.max(self.api_reachable_at() + RECOVERY);
        }
    }

    /// Whether a process knows by now what the others do.
    fn is_informed(&self, p: usize) -> bool {
        self.processes[p].deaf_since.is_none() || self.now > self.processes[p].deaf_last + RECONNECTION
    }

    /// Whether processes may expose a point together: at most one of them is informed. With `--on-lost-quorum=refuse`, the others
    /// expose it for one more Lease duration.
    fn may_double(&self, exposing: &[usize]) -> bool {
        let overdue = |p: &&usize| {
            let since = self.processes[**p].deaf_since.unwrap_or(self.now);
            self.on_lost_quorum == OnLostQuorum::Refuse && self.now > since + LEASE + RENEWAL
        };
        let (informed, deaf): (Vec<_>, Vec<_>) = exposing.iter().partition(|p| self.is_informed(**p));
        informed.len() <= 1 && !deaf.iter().any(overdue)
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
        self.note_isolation();
        let untaken = self.processes.iter().any(|process| {
            process.alive && !process.machine.known_record().is_none_or(|record| record.current.untaken.is_empty())
        });
        // If no process stays, none can take over.
        if untaken || self.pods.values().all(|pod| pod.process.is_none() || pod.deleting.is_some()) {
            self.gaps_excused_until = self.gaps_excused_until.max(self.now + 20_000);
        }
        for process in self.processes.iter().filter(|process| process.alive) {
            let asked = process.decision.as_ref().map_or(0, |decision| units(decision.desired.size()));
            let ordinal = process.ordinal;
            prop_assert!(
                self.memory.is_none_or(|limit| asked <= limit),
                "{ordinal} is asked to load {asked} at {}\n{}",
                self.now,
                self.history.join("\n")
            );
        }
        let mut complete = true;
        let step = self.step;
        for (i, point) in self.points.clone().into_iter().enumerate() {
            let exposing: Vec<usize> = (0..self.processes.len()).filter(|p| self.exposes(*p, point)).collect();
            let excused = self.may_double(&exposing);
            let exposed_by: Vec<u32> = exposing.into_iter().map(|p| self.processes[p].ordinal).collect();
            complete &= exposed_by.len() == 1;
            let count = |map: &mut BTreeMap<usize, u64>, bad: bool| match bad {
                true => {
                    *map.entry(i).or_default() += step;
                    map[&i]
                }
                false => map.remove(&i).map_or(0, |_| 0),
            };
            let missing = count(&mut self.missing, exposed_by.is_empty());
            let duplicated = count(&mut self.duplicated, exposed_by.len() > 1 && !excused);
            let story = || format!("at {}: {exposed_by:?}\n{}", self.now, self.history.join("\n"));
            prop_assert!(duplicated <= SWITCH_TOLERANCE, "duplicated for {duplicated} ms {}", story());
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
        let quiet = self.now > self.last_switch + 1_000;
        for p in 0..self.processes.len() {
            let until = self.processes[p].paused_until;
            let resumes = self.processes[p].alive && until > self.now - self.step && until <= self.now;
            if !resumes || !quiet {
                continue;
            }
            for point in self.points.clone() {
                let exposing: Vec<_> = (0..self.processes.len()).filter(|p| self.exposes(*p, point)).collect();
                let both = exposing.contains(&p) && exposing.len() > 1 && !self.may_double(&exposing);
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
