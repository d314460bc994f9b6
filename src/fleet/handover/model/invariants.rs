//! What must hold at each step, and for how long each fault excuses a violation.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::capacity::units;
use super::{Form, Pod, Process, World};
use crate::fleet::bounds::{self, Isolation, LEASE, LEASE_EXPIRY, RECONNECTION, RECOVERY, RENEWAL, SWITCH, TAKEOVER};
use crate::fleet::record::{Assignment, Member, Record};
use crate::settings::OnLostQuorum;
use crate::sharding::Hashes;

/// How long (ms) the fleet waits for a member that does not start.
const START: u64 = 120_000;
/// How long (ms) a rolling update takes for a Pod that serves nothing.
const REPLACEMENT: u64 = 6_000;

impl World {
    /// A Lease does not show any more what its member says. Whoever waits for a Lease to expire waits again.
    pub(super) fn excuse_lost_lease(&mut self) {
        if self.gaps_excused_until > self.now {
            let until = self.api_reachable_at() + LEASE_EXPIRY + RECOVERY;
            self.gaps_excused_until = self.gaps_excused_until.max(until);
        }
    }

    /// A process is replaced while it runs. The new one waits for a Lease duration. The old one exposes nothing from the moment
    /// that it learns of the new one.
    pub(super) fn excuse_replacement(&mut self) {
        let started = self.now.max(self.orphaned_until) + self.start_delay;
        let until = self.api_reachable_at().max(started) + LEASE_EXPIRY + RECOVERY;
        self.gaps_excused_until = self.gaps_excused_until.max(until);
    }

    /// Returns when every process reaches the API server again, gets answers, and can read the record.
    pub(super) fn api_reachable_at(&self) -> u64 {
        let until = |cuts: &BTreeMap<u32, u64>| cuts.values().max().copied().unwrap_or(0);
        let cuts = until(&self.api_cut).max(until(&self.deaf)).max(until(&self.lossy));
        cuts.max(self.api_down_until).max(self.unreadable_until).max(self.now)
    }

    /// Whether the process is the one of a Pod, and not one whose Pod was replaced.
    pub(super) fn has_pod(&self, p: usize) -> bool {
        self.pods.get(&self.processes[p].ordinal).is_some_and(|pod| pod.process == Some(p))
    }

    /// Whether the process takes part in the fleet.
    fn is_member(&self, p: usize) -> bool {
        self.processes[p].alive && !self.processes[p].foreign && self.has_pod(p)
    }

    /// Returns by when the others serve the ranges of a process that crashes now.
    pub(super) fn recovered_at(&self, p: usize) -> u64 {
        let ordinal = self.processes[p].ordinal;
        let cut = |cuts: &BTreeMap<(u32, u32), u64>| {
            cuts.iter().any(|((a, b), until)| [*a, *b].contains(&ordinal) && self.now < *until)
        };
        let id = &self.processes[p].machine.own_member().id;
        let lost = self.listed_lease(ordinal).is_none_or(|lease| lease.id != *id);
        let cut = cut(&self.peers_cut) || cut(&self.refused) || lost;
        self.api_reachable_at() + RECOVERY + if cut { LEASE_EXPIRY } else { 0 }
    }

    /// Whether a process reads what the others write: from the API server, or from a peer that does.
    fn hears_news(&self, p: usize) -> bool {
        let others = || (0..self.processes.len()).filter(|q| *q != p && self.runs(*q));
        self.reads_api(p) || others().any(|q| self.reads_api(q) && self.linked(p, q))
    }

    /// Whether every other process that lives answers this one.
    fn hears_all(&self, p: usize) -> bool {
        let mut others = (0..self.processes.len()).filter(|q| *q != p && self.is_member(*q));
        others.all(|q| self.runs(q) && self.linked(p, q))
    }

    /// Whether others may dismiss a process that lives and cannot renew its Lease: two of them do not hear it, or one that hears no
    /// third.
    fn may_be_dismissed(&self, p: usize) -> bool {
        let others: Vec<_> = (0..self.processes.len()).filter(|q| *q != p && self.is_member(*q)).collect();
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
            if !self.processes[p].alive || self.processes[p].foreign || self.reads_api(p) {
                continue;
            }
            // A process that was replaced has its own bound.
            let is_member = self.is_member(p);
            if is_member && self.may_be_dismissed(p) {
                // It hides its ranges when it learns that, and the others have to load them.
                self.gaps_excused_until = self.gaps_excused_until.max(self.now + RECONNECTION + TAKEOVER);
            }
            if self.is_confirmed_by_members(p) {
                self.processes[p].confirmed_last = self.now;
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
            if is_member && ((refuses && !self.hears_all(p)) || waits) {
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

    /// Whether every process that serves, as far as `p` knows, runs and answers it. They confirm each other's view: while none of them
    /// reaches the API server, only a process that they have not read of can change the record.
    fn is_confirmed_by_members(&self, p: usize) -> bool {
        let Process { machine, ordinal, .. } = &self.processes[p];
        let Some(record) = machine.known_record() else { return false };
        let next = record.next.as_ref().map(|next| &next.view);
        let members = std::iter::once(&record.current).chain(next).flat_map(Assignment::present);
        let answers = |member: u32| {
            let mut processes = (0..self.processes.len()).filter(|q| self.processes[*q].ordinal == member);
            processes.any(|q| self.runs(q) && self.linked(p, q))
        };
        members.filter(|member| member != ordinal).all(answers)
    }

    /// Whether processes may expose a point together.
    fn may_double(&self, exposing: &[usize]) -> bool {
        let isolation = |p: &usize| {
            let Process { deaf_since, deaf_last, confirmed_last, .. } = self.processes[*p];
            Isolation { deaf_since, deaf_last, confirmed_last }
        };
        bounds::may_double(self.on_lost_quorum, self.now, exposing.iter().map(isolation))
    }

    pub(super) fn exposes(&self, p: usize, point: Hashes) -> bool {
        let process = &self.processes[p];
        let boot = self.clock(p).boot;
        let plan = process.decision.as_ref().map(|decision| &decision.plan);
        self.runs(p)
            && process.held.contains(point)
            && plan.and_then(|plan| plan.at(boot)).is_some_and(|slice| slice.contains(point))
    }

    /// Checks that exactly one process exposes each sampled point.
    pub(super) fn check(&mut self) -> Result<(), TestCaseError> {
        self.note_isolation();
        self.note_unwell();
        let untaken = self.processes.iter().any(|process| {
            process.alive && !process.machine.known_record().is_none_or(|record| record.current.untaken.is_empty())
        });
        // If no process stays, none can take over.
        let stays = |pod: &Pod| pod.process.is_some_and(|p| !self.processes[p].foreign) && pod.deleting.is_none();
        if untaken || !self.pods.values().any(stays) {
            // The next process waits for those of another version, as for members that do not start. They are replaced one by one.
            let foreign = self.processes.iter().any(|process| process.alive && process.foreign);
            let wait = if foreign { START + RECOVERY + self.pods.len() as u64 * REPLACEMENT } else { 20_000 };
            self.gaps_excused_until = self.gaps_excused_until.max(self.now + wait);
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
        if let Some(broken) = &self.broken {
            prop_assert!(false, "{broken}\n{}", self.history.join("\n"));
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
            prop_assert!(duplicated <= SWITCH + self.overlap, "duplicated for {duplicated} ms {}", story());
            prop_assert!(
                missing <= SWITCH || self.now < self.gaps_excused_until,
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
        let quiet = self.now > self.last_switch + 1_000 + self.overlap;
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

    /// Whether a process has ranges to expose.
    fn is_serving(&self, p: usize) -> bool {
        let decision = self.processes[p].decision.as_ref();
        decision.is_some_and(|decision| decision.plan.steps.iter().any(|(_, slice)| !slice.is_empty()))
    }

    /// Notes which processes do not run, do not reach the API server, or do not have their Leases.
    fn note_unwell(&mut self) {
        for p in 0..self.processes.len() {
            let process = &self.processes[p];
            let is_its = |lease: &Member| lease.id == process.machine.own_member().id;
            let answered = self.lossy.get(&process.ordinal).is_none_or(|until| self.now >= *until);
            let has_lease = self.listed_lease(process.ordinal).is_some_and(is_its);
            if !(self.runs(p) && self.reads_api(p) && answered && has_lease) {
                self.processes[p].unwell_at = self.now;
            }
        }
    }

    /// Checks a write of the record by a process: a scheduled switch is final, each member that serves knows of a switch before it
    /// is scheduled, and none that runs and reaches the API server is dismissed.
    pub(super) fn check_write(&mut self, p: usize, record: &Record) {
        let switching = self.record.as_ref().filter(|before| self.form == Form::Good && before.is_switching());
        let is_final = |before: &Record| {
            let next = before.next.as_ref().map(|next| next.view.generation);
            next.is_none_or(|next| record.current.generation >= next)
        };
        let mut broken = Vec::new();
        if !switching.is_none_or(is_final) {
            broken.push("changes a scheduled switch".to_owned());
        }
        if let Some(next) = record.next.as_ref().filter(|next| next.switch.is_some()) {
            for q in (0..self.processes.len()).filter(|q| self.is_member(*q)) {
                let Process { machine, ordinal, .. } = &self.processes[q];
                let takes_part = record.current.has(*ordinal) || next.view.has(*ordinal);
                let knows = |known: &Record| {
                    let prepares = known.next.as_ref().is_some_and(|it| it.view.generation == next.view.generation);
                    prepares || known.current.generation >= next.view.generation
                };
                if takes_part && self.is_serving(q) && !machine.known_record().is_some_and(knows) {
                    broken.push(format!("schedules a switch that {ordinal} does not know"));
                }
            }
        }
        // One that went back in time is not what the writer starts from.
        let known = self.processes[p].machine.known_record().map_or(0, |known| known.revision);
        let is_newest = |before: &&Record| self.form == Form::Good && before.revision >= known;
        if let Some(before) = self.record.as_ref().filter(is_newest) {
            let at_once = switching.is_none() && record.current.total == before.current.total;
            let newly = |ordinal: &u32| at_once && before.current.has(*ordinal) && !record.current.has(*ordinal);
            for q in (0..self.processes.len()).filter(|q| self.is_member(*q)) {
                let Process { ordinal, unwell_at, .. } = &self.processes[q];
                if newly(ordinal) && self.is_serving(q) && self.now > unwell_at + LEASE + RENEWAL {
                    broken.push(format!("dismisses {ordinal}, which runs and reaches the API server"));
                }
            }
        }
        if let Some(broken) = broken.pop() {
            self.broken = Some(format!("{} {broken} at {}", self.processes[p].ordinal, self.now));
        }
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
