//! The phase of this process in its fleet, and the generations that it served and prepared.
//!
//! May not know the consequences for loading, for the Lease or for the record.

use super::facts::Facts;
use super::timing::Now;
use crate::fleet::record::Assignment;
use crate::sharding::Slice;

/// How many prepared generations are remembered.
const MAX_PREPARED: usize = 8;

/// The phase of this process in its fleet.
#[derive(Clone, Debug)]
enum Phase {
    /// It discovers its fleet, loads, and waits for an assignment in which it may serve. Then follows `Serving`.
    Preparing,
    /// It exposes its share of the current generation. An assignment without it leads back to `Preparing`.
    Serving(Serving),
    /// It was asked to terminate. It serves until an assignment without it is current; it may also start to serve if a
    /// scheduled switch counts on it.
    Leaving(Option<Serving>),
    /// Another process may run in its place. It exposes nothing and writes no record until that is settled. Its heartbeats show the
    /// generation that it served until that changes.
    Contested { serving: Option<Serving>, leaving: bool },
}

/// The share of a serving process.
#[derive(Clone, Copy, Debug)]
struct Serving {
    /// The current generation.
    generation: u64,
    /// Whether all of the share has been loaded once since the process began to serve.
    ready: bool,
}

/// How this process takes part in its fleet.
#[derive(Clone, Debug)]
pub(super) struct Participation {
    phase: Phase,
    /// The last generation that it served before it stopped serving.
    last_served: Option<u64>,
    /// The generations whose share it has loaded, newest last.
    prepared: Vec<u64>,
}

impl Participation {
    /// Returns the participation of a process that has just started.
    pub const fn new() -> Self {
        Self { phase: Phase::Preparing, last_served: None, prepared: Vec::new() }
    }

    const fn serving(&self) -> Option<Serving> {
        match self.phase {
            Phase::Preparing => None,
            Phase::Serving(serving) => Some(serving),
            Phase::Leaving(serving) | Phase::Contested { serving, .. } => serving,
        }
    }

    fn set_serving(&mut self, after: Option<Serving>) {
        if after.is_none()
            && let Some(before) = self.serving()
        {
            self.last_served = Some(before.generation);
        }
        match &mut self.phase {
            Phase::Leaving(serving) | Phase::Contested { serving, .. } => *serving = after,
            phase => *phase = after.map_or(Phase::Preparing, Phase::Serving),
        }
    }

    /// Whether it serves its share of the current generation.
    pub const fn is_serving(&self) -> bool {
        self.serving().is_some()
    }

    /// Returns the generation that it serves.
    pub fn served_generation(&self) -> Option<u64> {
        self.serving().map(|serving| serving.generation)
    }

    /// Whether it serves, and all of its share has been loaded.
    pub fn is_ready(&self) -> bool {
        self.serving().is_some_and(|serving| serving.ready)
    }

    /// Whether it was asked to terminate.
    pub const fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_) | Phase::Contested { leaving: true, .. })
    }

    /// Whether another process may run in its place.
    pub const fn is_contested(&self) -> bool {
        matches!(self.phase, Phase::Contested { .. })
    }

    /// Returns the slice that it exposes now, as far as it is loaded.
    pub fn exposed(&self, facts: &Facts) -> Slice {
        match facts.current() {
            Some(assignment) if self.is_serving() && !self.is_contested() && facts.is_meant(assignment) => {
                facts.owned(assignment)
            }
            _ => Slice::none(),
        }
    }

    /// Whether it may serve its share of an assignment once that is current: it serves already, or has prepared it, or may
    /// start without preparation.
    pub fn may_serve(&self, assignment: &Assignment, facts: &Facts, now: Now) -> bool {
        !self.is_contested()
            && assignment.has(facts.ordinal())
            && facts.is_meant(assignment)
            && (self.is_serving()
                || self.prepared.contains(&assignment.generation)
                || ((self.may_start(assignment, facts) || self.may_resume(assignment, facts))
                    && !facts.may_have_predecessor(now)
                    && !facts.is_behind(now)
                    && !facts.may_be_over(assignment)))
    }

    /// Whether it may start to serve without preparation: in a fleet that started from nothing, as the first process of its
    /// ordinal that does.
    pub fn may_start(&self, assignment: &Assignment, facts: &Facts) -> bool {
        let in_this_fleet =
            |generation: Option<u64>| generation.is_some_and(|generation| generation >= assignment.fresh.generation);
        let predecessor = facts.predecessor.as_ref().map(|predecessor| &predecessor.member);
        // The Lease of the process that the assignment means was deleted.
        let is_later = predecessor.is_none() && (1..facts.own.life).contains(&assignment.life(facts.ordinal()));
        facts.leases_listed
            && !is_later
            && facts.ordinal() < assignment.fresh.below
            && !in_this_fleet(self.served_generation().or(self.last_served))
            && !in_this_fleet(predecessor.and_then(|member| member.joined))
            && !in_this_fleet(predecessor.and_then(|member| member.prepared))
    }

    /// Whether it may serve what its predecessor served: the record still names its ordinal, so nobody can have taken the ranges.
    ///
    /// The Pod crashed once within the hour. If it crashes repeatedly, the others take over, and it waits.
    pub fn may_resume(&self, assignment: &Assignment, facts: &Facts) -> bool {
        let is_current = facts.current().is_some_and(|current| current.generation == assignment.generation);
        let crashed_in_place = facts.predecessor.as_ref().is_some_and(|it| it.member.id.pod == facts.own.id.pod);
        facts.leases_listed
            && facts.confirmed_at.is_some()
            && is_current
            && self.last_served.is_none()
            && crashed_in_place
            && facts.own.crashes.len() <= 1
            && assignment.has(facts.ordinal())
    }

    /// Another assignment has become the current one.
    pub fn enter(&mut self, assignment: &Assignment, facts: &Facts, now: Now) {
        let serving = self.may_serve(assignment, facts, now);
        let ready = self.is_ready();
        self.set_serving(serving.then_some(Serving { generation: assignment.generation, ready }));
    }

    /// Starts to serve the current assignment if it may.
    pub fn start_if_allowed(&mut self, facts: &Facts, now: Now) {
        if let Some(assignment) = facts.current().filter(|_| !self.is_serving())
            && self.may_serve(assignment, facts, now)
        {
            self.set_serving(Some(Serving { generation: assignment.generation, ready: false }));
        }
    }

    /// Its share of a generation is loaded.
    pub fn note_prepared(&mut self, generation: u64) {
        if self.prepared.last() != Some(&generation) {
            self.prepared.push(generation);
            if self.prepared.len() > MAX_PREPARED {
                self.prepared.remove(0);
            }
        }
    }

    /// The share that it serves is loaded.
    pub fn note_ready(&mut self) {
        if let Some(serving) = self.serving() {
            self.set_serving(Some(Serving { ready: true, ..serving }));
        }
    }

    /// It was asked to terminate.
    pub fn leave(&mut self) {
        match &mut self.phase {
            Phase::Contested { leaving, .. } => *leaving = true,
            _ => self.phase = Phase::Leaving(self.serving()),
        }
    }

    /// Another process may run in its place.
    pub fn contest(&mut self) {
        self.phase = Phase::Contested { serving: self.serving(), leaving: self.is_leaving() };
    }

    /// No other process runs in its place any more, but one may have: it starts again, unprepared.
    pub fn rejoin(&mut self) {
        let leaving = self.is_leaving();
        self.set_serving(None);
        self.prepared.clear();
        self.phase = if leaving { Phase::Leaving(None) } else { Phase::Preparing };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::range_cache::all_present;
    use super::super::statement::first_statement;
    use super::super::timing::LEASE_DURATION;
    use super::*;
    use crate::fleet::record::{ColdStart, Incarnation, Member, Next, RECORD_VERSION, Record, SwitchTime};
    use crate::sharding::Hasher;

    const NOW: Now = Now { boot: Duration::from_secs(100), unix: 1_700_000_000_000 };

    fn facts(generation: u64, absent: &[u32]) -> Facts {
        let id = Incarnation { ordinal: 0, pod: "pod-0".to_owned(), nonce: 1 };
        let own = first_statement(id.clone(), "10.0.0.1:8082".to_owned(), Hasher::XxHash64);
        let fresh = ColdStart { generation: 1, below: 2 };
        let current = Assignment { generation, absent: absent.to_vec(), fresh, ..all_present(2, Hasher::XxHash64) };
        let mut facts = Facts::new(own);
        facts.leases_listed = true;
        facts.follow(
            Record {
                version: RECORD_VERSION,
                program: String::new(),
                revision: generation,
                coordinator: id,
                statefulset: String::new(),
                current,
                next: None,
            },
            NOW,
        );
        facts
    }

    fn enter(participation: &mut Participation, facts: &Facts) {
        participation.enter(facts.current().expect("a record"), facts, NOW);
    }

    #[test]
    fn a_new_fleet_starts_without_preparation_and_only_once() {
        let mut participation = Participation::new();
        enter(&mut participation, &facts(1, &[]));
        assert_eq!(participation.served_generation(), Some(1));
        enter(&mut participation, &facts(2, &[0]));
        assert_eq!(participation.served_generation(), None);
        enter(&mut participation, &facts(3, &[]));
        assert_eq!(participation.served_generation(), None, "it has served in this fleet before");
        participation.note_prepared(4);
        enter(&mut participation, &facts(4, &[]));
        assert_eq!(participation.served_generation(), Some(4));
    }

    #[test]
    fn a_process_does_not_start_while_its_predecessor_may_run() {
        let mut facts = facts(1, &[]);
        let predecessor = Member {
            id: Incarnation { ordinal: 0, pod: "pod-before".to_owned(), nonce: 2 },
            address: "10.0.0.2:8082".to_owned(),
            ..facts.own.clone()
        };
        assert!(!facts.observe_predecessor(predecessor, NOW), "a crash in another Pod does not count");
        let mut participation = Participation::new();
        participation.start_if_allowed(&facts, NOW);
        assert!(!participation.is_serving());
        participation.start_if_allowed(&facts, Now { boot: NOW.boot + LEASE_DURATION, ..NOW });
        assert!(participation.is_serving());
    }

    #[test]
    fn a_process_does_not_start_in_an_assignment_that_a_switch_may_have_ended() {
        let mut facts = facts(4, &[]);
        let mut record = facts.record().expect("it follows one").clone();
        record.revision += 1;
        // The predecessor has left since, by a switch that no member has written down.
        record.coordinator = Incarnation { ordinal: 1, pod: "pod-1".to_owned(), nonce: 3 };
        let view = Assignment { generation: 6, absent: vec![0], ..record.current.clone() };
        record.next = Some(Next { view, switch: Some(SwitchTime { at: 5 }), stamp_wait: None });
        facts.follow(record.clone(), NOW);
        let mut participation = Participation::new();
        enter(&mut participation, &facts);
        participation.start_if_allowed(&facts, NOW);
        assert!(!participation.is_serving(), "the clock of the coordinator is unknown");
        record.revision += 1;
        record.coordinator = facts.own.id.clone();
        facts.follow(record, NOW);
        participation.start_if_allowed(&facts, NOW);
        assert!(participation.is_serving(), "it knows the clock, so it knows whether the switch has taken place");
    }

    #[test]
    fn a_leaving_process_serves_until_an_assignment_without_it() {
        let mut participation = Participation::new();
        enter(&mut participation, &facts(1, &[]));
        participation.note_ready();
        participation.leave();
        assert!(participation.is_leaving() && participation.is_serving() && participation.is_ready());
        enter(&mut participation, &facts(2, &[0]));
        assert!(participation.is_leaving() && !participation.is_serving() && !participation.is_ready());
    }

    #[test]
    fn a_contested_process_exposes_nothing_and_rejoins_unprepared() {
        let mut participation = Participation::new();
        let serving = facts(1, &[]);
        enter(&mut participation, &serving);
        assert!(!participation.exposed(&serving).is_empty());
        participation.contest();
        assert!(participation.exposed(&serving).is_empty());
        participation.note_prepared(2);
        enter(&mut participation, &facts(2, &[]));
        assert!(!participation.is_serving());
        participation.rejoin();
        enter(&mut participation, &facts(2, &[]));
        assert!(!participation.is_serving(), "it is no longer prepared");
        participation.contest();
        participation.leave();
        assert!(participation.is_contested() && participation.is_leaving());
    }
}
