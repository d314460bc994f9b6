//! Seeded faults: each breaks one rule of the fleet, and the model has to find that.
//!
//! A fault sits between a machine and its surroundings. It changes what the machine hears, or what it wants, as if the machine
//! did not follow the rule. The machine itself has no code for it. Each test plays the same random scripts until an invariant
//! fails. A fault that no script finds shows a hole in the model.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::timing::millis;
use super::super::{Decision, Event, Now};
use super::actions::{Action, actions};
use super::store::Loss;
use super::{World, run_in};
use crate::fleet::record::{Heartbeat, Incarnation, Member, Next, Phase, Record, SwitchTime};

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seeded {
    /// A member says that it is prepared when it begins to load.
    PreparedTooEarly,
    /// A refused connection counts as death.
    RefusalIsDeath,
    /// A silent member counts as dead before its Lease has expired.
    ExpiryNotAwaited,
    /// A live member does not answer suspicions.
    SuspicionUnanswered,
    /// Each member seems to follow the newest record.
    ConfirmationSkipped,
    /// The coordinator changes the time of a scheduled switch.
    SwitchTimeChanges,
    /// Members do not compare their clocks.
    ClocksIgnored,
    /// Assignments do not say which process they mean, and no Lease tells a process that it was replaced.
    LivesIgnored,
    /// A process does not look at the Lease of its predecessor before it writes it.
    PredecessorForgotten,
    /// Members do not say how much they can hold.
    MemoryIgnored,
    /// A process relies on what it knew before it was paused.
    PauseIgnored,
    /// A process ends as soon as it is asked to.
    ReleasedAtOnce,
    /// A record is followed although it is older than the known one.
    OldRecordFollowed,
    /// A write of the own Lease counts as confirmed before the watch delivers it.
    ConfirmedUndelivered,
}

impl World {
    /// Hands an event to a machine.
    pub(super) fn deliver(&mut self, p: usize, event: Event) {
        let clock = self.clock(p);
        if let Some(event) = self.distort(p, event, clock) {
            self.processes[p].machine.handle(event, clock);
        }
    }

    /// Returns what a machine hears in place of an event.
    fn distort(&self, p: usize, mut event: Event, clock: Now) -> Option<Event> {
        let Some(seeded) = self.seeded else { return Some(event) };
        let own = self.processes[p].machine.own_member().id.clone();
        let known = self.processes[p].machine.known_record().map_or(0, |record| record.revision);
        let statement = match &mut event {
            Event::Lease(member) => Some(member),
            Event::HeartbeatAnswered(heartbeat, _) | Event::HeartbeatReceived(heartbeat) => Some(&mut heartbeat.member),
            _ => None,
        };
        match (seeded, statement) {
            (Seeded::SuspicionUnanswered, Some(member)) if member.id != own => member.suspects.clear(),
            (Seeded::ConfirmationSkipped, Some(member)) if member.id != own && member.follows > 0 => {
                member.follows = u64::MAX;
            }
            (Seeded::MemoryIgnored, Some(member)) => member.capacity = None,
            (Seeded::ClocksIgnored, Some(member)) => (member.renewed, member.boot) = (None, None),
            (Seeded::LivesIgnored, Some(member))
                if member.id.ordinal == own.ordinal && member.id != own && self.processes[p].written.is_some() =>
            {
                return None;
            }
            (Seeded::PredecessorForgotten, Some(member))
                if member.id.ordinal == own.ordinal && member.id != own && self.processes[p].written.is_none() =>
            {
                return None;
            }
            _ => {}
        }
        match (seeded, &mut event) {
            (Seeded::RefusalIsDeath, Event::ConnectionLost(id)) => return Some(self.death_of(id)),
            (Seeded::ClocksIgnored, Event::HeartbeatAnswered(answer, _)) => {
                (answer.now, answer.ahead) = (millis(clock.boot), answer.ahead.map(|_| 0));
            }
            (Seeded::LivesIgnored, Event::Record(record)) => forget_lives(record),
            (
                Seeded::LivesIgnored,
                Event::HeartbeatAnswered(Heartbeat { record: Some(record), .. }, _)
                | Event::HeartbeatReceived(Heartbeat { record: Some(record), .. }),
            ) => forget_lives(record),
            (Seeded::OldRecordFollowed, Event::Record(record)) if record.revision < known => {
                record.revision = known + 1;
            }
            _ => {}
        }
        Some(event)
    }

    /// Returns what a machine hears when it takes a process for dead.
    fn death_of(&self, id: &Incarnation) -> Event {
        let lease = self.leases.get(&id.ordinal).filter(|lease| lease.id == *id);
        lease.map_or_else(
            || Event::ConnectionLost(id.clone()),
            |lease| Event::Lease(Member { phase: Phase::Left, ..lease.clone() }),
        )
    }

    /// Tells a machine what only a seeded fault does.
    pub(super) fn mislead(&mut self, p: usize) {
        if self.seeded == Some(Seeded::ExpiryNotAwaited) {
            let mut unheard = self.processes[p].machine.heartbeat(self.clock(p)).unheard;
            unheard.retain(|id| self.processes.iter().any(|q| q.alive && q.machine.own_member().id == *id));
            for id in unheard {
                self.deliver(p, self.death_of(&id));
            }
        }
    }

    /// Returns what the surroundings of a machine see in place of its decision.
    pub(super) fn distort_decision(&self, mut decision: Decision) -> Decision {
        match self.seeded {
            Some(Seeded::PauseIgnored) => decision.plan.until = None,
            Some(Seeded::ReleasedAtOnce) => decision.released |= decision.member.phase == Phase::Leaving,
            Some(Seeded::LivesIgnored) => decision.write.iter_mut().for_each(forget_lives),
            _ => {}
        }
        decision
    }

    /// Lets the coordinator postpone the switch that it has scheduled.
    pub(super) fn change_switch_time(&mut self, p: usize) {
        let Some(record) = self.processes[p].machine.known_record().cloned() else { return };
        let is_coordinator = record.coordinator == self.processes[p].machine.own_member().id;
        let may_write = self.seeded == Some(Seeded::SwitchTimeChanges) && is_coordinator;
        if let Some(Next { switch: Some(SwitchTime { at, .. }), .. }) = &record.next
            && may_write
            && self.processes[p].stored == self.record_at
            && *at > millis(self.clock(p).boot) + 1_000
        {
            let mut later = record.clone();
            later.revision += 1;
            if let Some(switch) = later.next.as_mut().and_then(|next| next.switch.as_mut()) {
                switch.at += 2_000;
            }
            self.write_record(p, &later);
        }
    }
}

fn forget_lives(record: &mut Record) {
    record.current.lives.clear();
    if let Some(next) = &mut record.next {
        next.view.lives.clear();
    }
}

/// The scripts that look for a fault.
#[derive(Clone, Copy)]
enum Scripts {
    /// Random ones, the same ones each time.
    Random,
    /// One, with different delays, clocks and loads, in a fleet of three.
    This(&'static [(u64, Action)]),
}

/// Plays scripts until one fails because of the fault. Returns how many that takes.
fn scripts_to_find(seeded: Seeded, scripts: Scripts, most: u64) -> Option<u64> {
    let mut runner = TestRunner::deterministic();
    (1..=most).find(|number| {
        let (seed, replicas, script) = match scripts {
            Scripts::Random => (any::<u64>(), 1_u32..5, actions()).new_tree(&mut runner).unwrap().current(),
            Scripts::This(script) => (*number, 3, script.to_vec()),
        };
        let memory = (seeded == Seeded::MemoryIgnored).then_some(u32::MAX / 10 * 7);
        let fails = |seeded| run_in(World { seeded, memory, ..World::new(seed, replicas) }, &script).is_err();
        fails(Some(seeded)) && !fails(None)
    })
}

macro_rules! found {
    ($($test:ident: $fault:ident within $most:literal of $scripts:expr;)*) => {
        $(
            #[test]
            fn $test() {
                let scripts = scripts_to_find(Seeded::$fault, $scripts, $most);
                println!("{:?}: {scripts:?} scripts", Seeded::$fault);
                assert!(scripts.is_some(), "no script finds {:?}", Seeded::$fault);
            }
        )*
    };
}

found! {
    a_member_that_is_prepared_too_early_is_found: PreparedTooEarly within 8 of Scripts::This(&[
        (0, Action::Stall(3, 60_000)),
        (0, Action::Scale(4)),
        (60_000, Action::Scale(4)),
    ]);
    a_refusal_that_counts_as_death_is_found: RefusalIsDeath within 40 of Scripts::Random;
    an_expiry_that_is_not_awaited_is_found: ExpiryNotAwaited within 40 of Scripts::Random;
    an_unanswered_suspicion_is_found: SuspicionUnanswered within 8 of Scripts::This(&[
        (25_000, Action::RefuseAll(20_000)),
        (20_000, Action::Scale(3)),
    ]);
    a_skipped_confirmation_is_found: ConfirmationSkipped within 8 of Scripts::This(&[
        (0, Action::Scale(4)),
        (0, Action::Deafen(2, 25_000)),
        (0, Action::CutPeers(0, 2, 25_000)),
        (0, Action::CutPeers(1, 2, 25_000)),
        (0, Action::CutPeers(2, 3, 25_000)),
        (25_000, Action::Scale(4)),
    ]);
    a_changed_switch_time_is_found: SwitchTimeChanges within 40 of Scripts::Random;
    ignored_clocks_are_found: ClocksIgnored within 40 of Scripts::Random;
    ignored_lives_are_found: LivesIgnored within 40 of Scripts::Random;
    a_forgotten_predecessor_is_found: PredecessorForgotten within 40 of Scripts::Random;
    an_ignored_memory_is_found: MemoryIgnored within 40 of Scripts::Random;
    an_ignored_pause_is_found: PauseIgnored within 8 of Scripts::This(&[
        (0, Action::Pause(1, 30_000)),
        (35_000, Action::Scale(3)),
    ]);
    a_process_that_ends_at_once_is_found: ReleasedAtOnce within 40 of Scripts::Random;
    an_old_record_that_is_followed_is_found: OldRecordFollowed within 8 of Scripts::This(&[
        (0, Action::Scale(4)),
        (30_000, Action::LoseRecord(Loss::Back(3))),
    ]);
    an_undelivered_confirmation_is_found: ConfirmedUndelivered within 8 of Scripts::This(&[
        (25_000, Action::Deafen(0, 40_000)),
        (0, Action::CutPeers(0, 1, 40_000)),
        (0, Action::CutPeers(0, 2, 40_000)),
        (40_000, Action::Scale(3)),
    ]);
}
