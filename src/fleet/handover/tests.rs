//! Tests of single rules, each with the few events that it depends on.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::fleet::FormatError;
use crate::fleet::instructions::Instructions;
use crate::fleet::record::{
    Heartbeat, Incarnation, KeyDigest, MAX_NUMBER, Member, Next, Phase, Record, Suspicion, SwitchTime,
};
use crate::settings::OnLostQuorum;
use crate::sharding::{Assignment, Hasher, Slice};

fn at(seconds: u64) -> Now {
    Now { boot: Duration::from_secs(seconds), unix: 1_700_000_000_000 + seconds * 1000 }
}

fn incarnation(ordinal: u32, nonce: u64) -> Incarnation {
    Incarnation { ordinal, pod: format!("pod-{ordinal}"), nonce }
}

fn machine(ordinal: u32, nonce: u64) -> Machine {
    overlapping(ordinal, nonce, Duration::ZERO)
}

fn overlapping(ordinal: u32, nonce: u64, overlap: Duration) -> Machine {
    Machine::new(Config {
        owns_pod: Some(true),
        id: incarnation(ordinal, nonce),
        address: format!("10.0.0.{ordinal}:8082"),
        key: None,
        fleet: "default/fleet".to_owned(),
        hash: Hasher::XxHash64,
        overlap,
        on_lost_quorum: OnLostQuorum::Refuse,
        seamless: false,
    })
}

/// Lets a member that is not paused decide from one moment to another, as its task does.
fn tick(machine: &mut Machine, from: Now, to: Now) -> Decision {
    let step = 250;
    for millis in (0..to.since(from.boot).as_millis() as u64).step_by(step) {
        let now = Now { boot: from.boot + Duration::from_millis(millis), unix: from.unix + millis };
        machine.handle(Event::Tick, now);
    }
    machine.decide(to)
}

/// Returns a member that starts in a fleet of `replicas` without a record. `previous` is the Lease of its predecessor.
fn started(previous: Option<Member>, replicas: u32, now: Now) -> Machine {
    start(machine(0, 7), previous, replicas, now)
}

fn start(mut machine: Machine, previous: Option<Member>, replicas: u32, now: Now) -> Machine {
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), replicas))), now);
    if let Some(previous) = previous {
        machine.handle(Event::Lease(previous), now);
    }
    machine.handle(Event::NoRecord, now);
    machine.handle(Event::Listed, now);
    machine.handle(Event::LeaseConfirmed(now.boot), now);
    machine
}

fn last_statement(phase: Phase, crashes: Vec<u64>, now: Now) -> Member {
    let mut before = machine(0, 3);
    Member { phase, crashes, ..before.decide(now).member }
}

/// Returns after how many seconds a member that is absent, and loaded its full share, says that it is fit.
fn fit_after(previous: Option<Member>) -> Option<u64> {
    let now = at(1000);
    let mut other = start(machine(1, 1), None, 2, now);
    let mut record = other.decide(now).write.expect("the first member writes the first record");
    record.current.absent = vec![0];
    record.current.fresh.below = 0;
    let mut machine = started(previous, 2, now);
    machine.handle(Event::Record(record), now);
    let hold = machine.decide(now).desired;
    machine.handle(Event::Loaded(hold), now);
    (0..700).find(|seconds| machine.decide(at(1000 + seconds)).member.phase == Phase::Fit)
}

#[test]
fn a_member_waits_after_a_crash_and_not_after_leaving() {
    let now = at(990);
    let seconds = now.unix / 1000;
    assert_eq!(fit_after(None), Some(0));
    assert_eq!(fit_after(Some(last_statement(Phase::Left, vec![seconds; 3], now))), Some(0));
    assert_eq!(fit_after(Some(last_statement(Phase::Fit, vec![], now))), Some(30));
    assert_eq!(fit_after(Some(last_statement(Phase::Fit, vec![seconds], now))), Some(60));
    assert_eq!(fit_after(Some(last_statement(Phase::Fit, vec![seconds; 8], now))), Some(600));
    assert_eq!(
        fit_after(Some(last_statement(Phase::Fit, vec![seconds - 3_700], now))),
        Some(30),
        "crashes count for an hour"
    );
}

#[test]
fn a_plan_exposes_nothing_after_its_confirmation_expires() {
    let plan = Plan { steps: vec![(Duration::ZERO, Slice::all())], until: Some(Duration::from_secs(20)) };
    assert_eq!(plan.at(Duration::from_secs(19)), Some(&Slice::all()));
    assert_eq!(plan.at(Duration::from_secs(20)), None);
    assert_eq!(Plan { until: None, ..plan }.at(Duration::from_secs(99)), Some(&Slice::all()));
}

#[test]
fn a_plan_changes_on_time_without_events() {
    let steps = vec![(Duration::from_secs(5), Slice::all()), (Duration::from_secs(9), Slice::none())];
    let plan = Plan { steps, until: None };
    let at = |seconds| plan.at(Duration::from_secs(seconds)).cloned();
    assert_eq!([at(1), at(5), at(8), at(9)], [Slice::all(), Slice::all(), Slice::all(), Slice::none()].map(Some));
}

#[test]
fn a_fleet_of_one_keeps_serving_without_an_api_server() {
    let now = at(1000);
    let mut machine = started(None, 1, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    let hold = machine.decide(now).desired;
    assert!(hold.is_all());
    machine.handle(Event::Loaded(hold), now);
    let decision = tick(&mut machine, now, at(5000));
    assert!(decision.ready);
    assert_eq!(decision.plan.at(Duration::from_secs(5000)), Some(&Slice::all()));
}

#[test]
fn a_new_member_is_not_ready_before_its_record_is_confirmed() {
    let now = at(1000);
    let record = start(machine(0, 7), None, 2, now).decide(now).write.expect("the first record");
    // The other member wrote the record. The watch of Leases has not shown the own Lease yet, and no peer has answered.
    let mut machine = machine(1, 8);
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 2))), now);
    machine.handle(Event::Record(record), now);
    machine.handle(Event::Listed, now);
    let hold = machine.decide(now).desired;
    machine.handle(Event::Loaded(hold), now);
    let decision = machine.decide(now);
    assert_eq!((decision.ready, decision.plan.at(now.boot)), (false, None));
    machine.handle(Event::LeaseConfirmed(now.boot), now);
    let decision = machine.decide(now);
    assert!(decision.ready && decision.plan.at(now.boot).is_some_and(|slice| !slice.is_empty()));
    // Whether a member stays ready that loses both is another matter: --on-lost-quorum.
    assert!(tick(&mut machine, now, at(1100)).ready);
}

#[test]
fn a_superseded_process_exposes_nothing() {
    let now = at(1000);
    let mut machine = started(None, 1, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    machine.handle(Event::Lease(Member { id: incarnation(0, 99), ..last_statement(Phase::Fit, vec![], now) }), now);
    assert_eq!(machine.decide(now).plan.at(now.boot), Some(&Slice::none()));
}

/// Returns until when (seconds) a member that serves alone overlaps, if it learns at 1010 that another one took half of the objects.
/// The API server confirmed its knowledge at 1000, and then at `confirmed`.
fn overlaps_until(confirmed: u64) -> u64 {
    let now = at(1000);
    let mut alone = start(overlapping(0, 7, Duration::from_secs(30)), None, 1, now);
    let first = alone.decide(now).write.expect("the first record");
    alone.handle(Event::Record(first.clone()), now);
    alone.handle(Event::Loaded(Slice::all()), now);
    let mut second = first;
    second.revision += 1;
    second.current.generation += 1;
    second.current.total = 2;
    let _ = tick(&mut alone, now, at(1010));
    alone.handle(Event::LeaseConfirmed(Duration::from_secs(confirmed)), at(1010));
    alone.handle(Event::Record(second), at(1010));
    let mut exposed = |seconds: u64| {
        alone.handle(Event::LeaseConfirmed(Duration::from_secs(seconds)), at(seconds));
        alone.decide(at(seconds)).plan.at(Duration::from_secs(seconds)).cloned()
    };
    let until = (1010..).find(|seconds| exposed(*seconds) != Some(Slice::all())).expect("it ends");
    assert_eq!(exposed(until), Some(Slice::of(Hasher::XxHash64, Assignment::new(2).unwrap().ranges(0))));
    until
}

#[test]
fn the_overlap_exposes_lost_ranges_until_it_ends() {
    assert_eq!(overlaps_until(1010), 1040);
}

#[test]
fn the_overlap_of_a_member_without_news_begins_with_its_last_confirmation() {
    assert_eq!(overlaps_until(1000), 1030);
}

/// The ranges that each of two members takes over from a third one, in units of room.
const SIXTH: u32 = u32::MAX / 6 + 1;
/// What each of three members owns, in the same units.
const THIRD: u32 = u32::MAX / 3;

/// Returns a member that serves in generation 1, with the given room.
fn serving(ordinal: u32, phase: Phase, room: Option<u32>, sequence: u64, now: Now) -> Member {
    let member = machine(ordinal, 1).decide(now).member;
    let capacity = room.map(|room| THIRD + room);
    Member { phase, capacity, sequence, prepared: Some(1), joined: Some(1), follows: 1, ..member }
}

/// Lets the connection to a process break for good, without an answer to the suspicion. Returns when the process is lost.
fn lose(machine: &mut Machine, id: Incarnation, now: Now) -> Now {
    machine.handle(Event::ConnectionLost(id), now);
    let decision = machine.decide(now);
    assert_eq!(decision.write, None, "one observer of a broken connection proves nothing");
    machine.handle(Event::Lease(decision.member), now);
    Now { boot: now.boot + Duration::from_secs(1), unix: now.unix + 1000 }
}

/// Returns the coordinator of a fleet of three that all serve, with the room of itself and of the last member.
fn three(own: Option<u32>, last: Option<u32>, now: Now) -> Machine {
    let mut machine = started(None, 3, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    let hold = machine.decide(now).desired;
    machine.handle(Event::Loaded(hold), now);
    let memory = |free: u32| {
        // A part of the limit is not usable, and what is free is rounded down.
        let (used, free) = (u64::from(THIRD), u64::from(free));
        Memory { limit: (used + free) * 100 / 80 + used / 100, used }
    };
    machine.handle(Event::Memory(own.map(memory)), now);
    machine.handle(Event::Lease(serving(1, Phase::Fit, None, 1, now)), now);
    machine.handle(Event::Lease(serving(2, Phase::Fit, last, 1, now)), now);
    assert_eq!(machine.decide(now).write, None);
    machine
}

#[test]
fn the_late_lease_of_a_predecessor_does_not_replace_its_successor() {
    let now = at(1000);
    let mut machine = started(None, 2, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    let hold = machine.decide(now).desired;
    machine.handle(Event::Loaded(hold), now);
    let before = Member { life: 6, ..serving(1, Phase::Fit, None, 9, now) };
    let after = Member { life: 7, id: incarnation(1, 2), ..serving(1, Phase::Fit, None, 2, now) };
    for lease in [before.clone(), after, before] {
        machine.handle(Event::Lease(lease), now);
    }
    let named = machine.decide(now).write.expect("the record names the later process");
    assert_eq!((named.current.generation, &*named.current.lives), (1, &[1, 7][..]));
    machine.handle(Event::Record(named), now);
    assert_eq!(machine.decide(now).write, None);
    assert_eq!(machine.status(now).peers.iter().map(|peer| peer.id.nonce).collect::<Vec<_>>(), [2]);
    let now = lose(&mut machine, incarnation(1, 2), now);
    let record = machine.decide(now).write.expect("one member is lost");
    assert_eq!(*record.current.absent, [1]);
}

#[test]
fn members_addresses_and_keys_come_from_leases_alone() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let known = machine.status(now).contacts;
    let key = Some(KeyDigest([9; 32]));
    let elsewhere = |member: Member| Member { address: "203.0.113.1:1".to_owned(), key, sequence: 99, ..member };
    let senders = [
        elsewhere(known[0].clone()),
        elsewhere(Member { id: incarnation(1, 99), ..known[0].clone() }),
        elsewhere(Member { id: incarnation(7, 1), ..known[0].clone() }),
    ];
    for member in senders {
        let heartbeat = Heartbeat { member, ..self::machine(1, 1).heartbeat(now) };
        machine.handle(Event::HeartbeatReceived(heartbeat.clone()), now);
        machine.handle(Event::HeartbeatAnswered(heartbeat, now.boot), now);
    }
    let place = |members: &[Member]| -> Vec<_> {
        members.iter().map(|member| (member.id.clone(), member.address.clone(), member.key)).collect()
    };
    assert_eq!(place(&machine.status(now).contacts), place(&known));
}

#[test]
fn a_record_comes_from_its_lease_or_from_a_member() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let heartbeat = machine.heartbeat(now);
    let mut newer = heartbeat.record.clone().expect("a record");
    newer.revision += 1;
    let sent_by = |id| {
        let member = Member { id, ..serving(1, Phase::Fit, None, 1, now) };
        Event::HeartbeatReceived(Heartbeat { member, record: Some(newer.clone()), ..heartbeat.clone() })
    };
    for stranger in [incarnation(1, 99), incarnation(5, 1)] {
        machine.handle(sent_by(stranger), now);
        assert_eq!(machine.known_record().map(|record| record.revision), Some(newer.revision - 1));
    }
    machine.handle(sent_by(incarnation(1, 1)), now);
    assert_eq!(machine.known_record(), Some(&newer));
}

fn unknown() -> FormatError {
    FormatError::Unknown { what: "layout", found: "2".to_owned(), known: "1".to_owned(), writer: "9.9.9".to_owned() }
}

#[test]
fn an_unreadable_record_is_not_a_missing_one_and_not_an_empty_one() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let before = machine.decide(now);
    assert!(before.ready);
    machine.handle(Event::UnreadableRecord(unknown()), now);
    // Without the unknown record, the coordinator would react to a lost member and to a new replica count.
    machine.handle(Event::ConnectionLost(incarnation(1, 1)), now);
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 2))), now);
    let decision = machine.decide(now);
    assert!(!decision.ready);
    assert_eq!(decision.write, None, "the record of a newer version is not overwritten");
    assert_eq!(decision.plan.at(now.boot), before.plan.at(now.boot), "it keeps its ranges");
    assert!(machine.status(now).unreadable_record.is_some_and(|reason| reason.contains("unknown layout 2")));
    let record = machine.known_record().cloned().expect("a record");
    machine.handle(Event::Record(record), now);
    let decision = machine.decide(now);
    assert!(decision.ready && decision.write.is_some());

    // A member that never saw a readable record has no share, is not ready, and writes none.
    let mut fresh = start(self::machine(1, 1), None, 3, now);
    fresh.handle(Event::UnreadableRecord(unknown()), now);
    let decision = fresh.decide(now);
    assert!(!decision.ready && decision.write.is_none());
}

#[test]
fn a_record_that_a_peer_follows_and_this_member_cannot_read_makes_it_unready_for_a_while() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let peer = serving(1, Phase::Fit, None, 1, now);
    let heartbeat = Heartbeat { member: peer, unreadable: Some(unknown()), record: None, ..machine.heartbeat(now) };
    let stranger = Member { id: incarnation(1, 99), ..heartbeat.member.clone() };
    machine.handle(Event::HeartbeatReceived(Heartbeat { member: stranger, ..heartbeat.clone() }), now);
    assert!(machine.decide(now).ready);
    machine.handle(Event::HeartbeatReceived(heartbeat), now);
    assert!(!machine.decide(now).ready);
    assert!(!machine.decide(at(1014)).ready);
    assert!(machine.decide(at(1015)).ready);
}

#[test]
fn a_superseded_member_and_one_that_owns_nothing_are_not_ready() {
    let now = at(1000);
    let mut superseded = three(None, None, now);
    assert!(superseded.decide(now).ready);
    superseded.handle(Event::Lease(Member { id: incarnation(0, 99), ..last_statement(Phase::Fit, vec![], now) }), now);
    assert!(!superseded.decide(now).ready);
    assert!(superseded.status(now).superseded);

    // An assignment gives the member nothing, although the StatefulSet has its ordinal.
    let mut machine = three(None, None, now);
    let mut record = machine.known_record().cloned().expect("a record");
    (record.revision, record.current.generation, record.current.layout) = (9, 9, 2);
    machine.handle(Event::Record(record), now);
    assert!(!machine.decide(now).ready);
}

#[test]
fn only_leases_that_nothing_needs_are_deleted() {
    let start = at(1000);
    let mut machine = three(None, None, start);
    for member in [serving(3, Phase::Left, None, 1, start), serving(4, Phase::Fit, None, 1, start)] {
        machine.handle(Event::Lease(member), start);
    }
    let deleted = |machine: &mut Machine, seconds: u64| {
        machine.handle(Event::LeaseConfirmed(Duration::from_secs(seconds)), at(seconds));
        for ordinal in [1, 2] {
            machine.handle(Event::Lease(serving(ordinal, Phase::Fit, None, seconds, start)), at(seconds));
        }
        machine.decide(at(seconds)).leases_to_delete
    };
    assert!(deleted(&mut machine, 1014).is_empty(), "they have not expired");
    assert_eq!(deleted(&mut machine, 1016), [3, 4]);
    machine.handle(Event::StatefulSet(None), at(1016));
    assert!(deleted(&mut machine, 1016).is_empty(), "the StatefulSet is gone, and may come back with more replicas");
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 4))), at(1016));
    assert_eq!(deleted(&mut machine, 1016), [4], "the StatefulSet has an ordinal 3");
    machine.handle(Event::LeaseGone(4), at(1016));
    assert!(deleted(&mut machine, 1017).is_empty());
    // Silence of the API server proves nothing.
    assert!(machine.decide(at(1040)).leases_to_delete.is_empty());
    let mut other = self::machine(1, 1);
    other.handle(Event::StatefulSet(Some(("set".to_owned(), 3))), start);
    other.handle(Event::Record(machine.known_record().cloned().expect("a record")), start);
    other.handle(Event::Lease(serving(4, Phase::Left, None, 1, start)), start);
    assert!(deleted(&mut other, 1016).is_empty(), "only the coordinator deletes");
}

#[test]
fn a_member_that_is_silent_for_longer_than_its_lease_is_no_contact() {
    let mut machine = three(None, None, at(1000));
    let contacts =
        |machine: &Machine, now| machine.status(now).contacts.iter().map(|m| m.id.ordinal).collect::<Vec<_>>();
    machine.handle(Event::Lease(serving(2, Phase::Fit, None, 2, at(1000))), at(1010));
    for seconds in [1008, 1016] {
        machine.handle(Event::LeaseConfirmed(Duration::from_secs(seconds)), at(seconds));
    }
    assert_eq!(contacts(&machine, at(1016)), [2]);
    let member = serving(1, Phase::Fit, None, 1, at(1000));
    let heartbeat = Heartbeat { member, ..self::machine(1, 1).heartbeat(at(1016)) };
    machine.handle(Event::HeartbeatReceived(heartbeat), at(1016));
    assert_eq!(contacts(&machine, at(1016)), [1, 2], "it reaches this member, but not the API server");
}

#[test]
fn a_process_that_found_no_lease_replaces_a_silent_predecessor() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let before = Member { life: 6, ..serving(1, Phase::Fit, None, 9, now) };
    machine.handle(Event::Lease(before), now);
    let restarted = || Member { id: incarnation(1, 2), ..serving(1, Phase::Fit, None, 1, now) };
    let nonce = |machine: &Machine, now: Now| {
        machine.status(now).contacts.iter().find(|m| m.id.ordinal == 1).map(|m| m.id.nonce)
    };
    machine.handle(Event::Lease(restarted()), now);
    assert_eq!(nonce(&machine, now), Some(1));
    machine.handle(Event::Lease(restarted()), at(10_000));
    assert_eq!(nonce(&machine, at(10_000)), Some(2));
}

#[test]
fn members_take_over_only_within_their_room() {
    let now = at(1000);
    let untaken = |own, last| {
        let mut machine = three(own, last, now);
        let now = lose(&mut machine, incarnation(1, 1), now);
        let record = machine.decide(now).write.expect("one member is lost");
        assert_eq!((&*record.current.absent, record.next), (&[1][..], None));
        !record.current.untaken.is_empty()
    };
    assert!(!untaken(None, None));
    assert!(!untaken(Some(SIXTH), Some(SIXTH)));
    assert!(untaken(Some(SIXTH), Some(SIXTH - 100_000)));
    assert!(untaken(Some(0), None));
}

#[test]
fn untaken_ranges_are_taken_over_once_there_is_room() {
    let now = at(1000);
    let mut machine = three(None, Some(0), now);
    let now = lose(&mut machine, incarnation(1, 1), now);
    let record = machine.decide(now).write.expect("one member is lost");
    assert_eq!(record.current.untaken, [1].into());
    machine.handle(Event::Record(record), now);
    assert_eq!(machine.status(now).untaken, [1]);
    assert!(machine.notices().iter().any(|notice| notice.warning && notice.text.contains("no member has room")));
    assert_eq!(machine.decide(now).write, None, "no fact has changed");
    machine.handle(Event::Lease(serving(2, Phase::Fit, Some(SIXTH), 2, now)), now);
    let next = machine.decide(now).write.and_then(|record| record.next).expect("there is room");
    assert_eq!((&*next.view.absent, next.view.untaken), (&[1][..], BTreeSet::new()));
}

#[test]
fn a_leaving_member_serves_until_another_has_room() {
    let now = at(1000);
    let mut machine = three(None, Some(0), now);
    machine.handle(Event::Lease(serving(1, Phase::Leaving, None, 2, now)), now);
    assert_eq!(machine.decide(now).write, None);
    machine.handle(Event::Lease(serving(2, Phase::Fit, Some(SIXTH), 2, now)), now);
    let next = machine.decide(now).write.and_then(|record| record.next).expect("there is room");
    assert_eq!((&*next.view.absent, next.view.untaken), (&[1][..], BTreeSet::new()));
}

/// Numbers that no fleet reaches come from a damaged Lease.
#[test]
fn the_highest_numbers_that_others_accept_are_not_exceeded() {
    let now = at(1000);
    let mut machine = machine(0, 2);
    let highest = Member { life: MAX_NUMBER, sequence: MAX_NUMBER, ..self::machine(0, 1).decide(now).member };
    machine.handle(Event::Lease(highest), now);
    machine.handle(Event::Listed, now);
    let own = machine.decide(now).member;
    machine.handle(Event::Lease(Member { phase: Phase::Left, sequence: MAX_NUMBER, ..own.clone() }), now);
    let suspicion = Suspicion { id: own.id.clone(), number: 1 };
    let peer = Member { suspects: vec![suspicion], ..self::machine(1, 1).decide(now).member };
    machine.handle(Event::Lease(peer), now);
    machine.handle(Event::Leave, now);
    let own = machine.decide(now).member;
    assert_eq!((own.life, own.sequence, own.refuted), (MAX_NUMBER, MAX_NUMBER, 1));
    let written = serde_json::to_vec(&own).expect("JSON");
    assert_eq!(Member::decode(&written).map(|member| member.id), Ok(own.id));
}

#[test]
fn a_suspected_process_answers_and_is_not_dismissed() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    machine.handle(Event::ConnectionLost(incarnation(1, 1)), now);
    let suspecting = machine.decide(now).member;
    assert_eq!(suspecting.suspects.iter().map(|it| it.id.ordinal).collect::<Vec<_>>(), [1]);
    machine.handle(Event::Lease(suspecting.clone()), now);
    let mut suspected = self::machine(1, 1);
    let before = suspected.decide(now).member;
    suspected.handle(Event::Lease(suspecting.clone()), now);
    let after = suspected.decide(now).member;
    assert!(after.sequence > before.sequence && after.refuted == 1, "it writes its Lease at once");
    suspected.handle(Event::Lease(suspecting), now);
    assert_eq!(suspected.decide(now).member, after, "once");
    machine.handle(Event::Lease(Member { refuted: 1, ..serving(1, Phase::Fit, None, after.sequence, now) }), now);
    let decision = machine.decide(at(1002));
    assert_eq!((decision.write, decision.member.suspects), (None, Vec::new()));
}

#[test]
fn only_the_coordinator_and_its_candidates_store_suspicions() {
    let now = at(1000);
    let record = three(None, None, now).known_record().cloned().expect("a record");
    let suspects = |ordinal: u32, suspected: u32| {
        let mut machine = start(machine(ordinal, 1), None, 3, now);
        machine.handle(Event::Record(record.clone()), now);
        let coordinator = Member { id: record.coordinator.clone(), ..serving(0, Phase::Fit, None, 1, now) };
        for member in [coordinator.clone(), serving(3 - ordinal, Phase::Fit, None, 1, now)] {
            machine.handle(Event::Lease(member), now);
        }
        let id = if suspected == 0 { coordinator.id } else { incarnation(suspected, 1) };
        machine.handle(Event::ConnectionLost(id.clone()), now);
        assert!(machine.heartbeat(now).unheard.contains(&id));
        machine.decide(now).member.suspects.len()
    };
    assert_eq!((suspects(1, 2), suspects(1, 0), suspects(2, 0)), (0, 1, 1));
}

#[test]
fn members_are_dismissed_and_coordinators_replaced_only_so_often() {
    let mut machine = three(None, None, at(1000));
    let mut record = machine.known_record().cloned().expect("a record");
    for seconds in 0..8 {
        record.revision += 2;
        record.current.generation = record.revision;
        record.current.absent = if seconds % 2 == 0 { vec![] } else { vec![2] };
        record.coordinator = incarnation(seconds % 2, 1);
        machine.handle(Event::Record(record.clone()), at(1000 + u64::from(seconds)));
    }
    // The coordinator, member 1, has left.
    machine.handle(Event::Lease(serving(1, Phase::Left, None, 99, at(1010))), at(1010));
    let mut takes_over = |seconds| {
        machine.handle(Event::LeaseConfirmed(Duration::from_secs(seconds)), at(seconds));
        let _ = machine.decide(at(seconds));
        machine.decide(Now { boot: Duration::from_secs(seconds + 3), ..at(seconds) }).write.is_some()
    };
    assert!(!takes_over(1012), "the office changed hands eight times within a minute");
    assert!(takes_over(1061));
}

/// Returns the coordinator of a new fleet of three in which member 2 joined and never loads.
fn with_a_member_that_never_loads(now: Now) -> Machine {
    let mut machine = three(None, None, now);
    let never = Member { prepared: None, loading: true, ..serving(2, Phase::Fit, None, 2, now) };
    machine.handle(Event::Lease(never), now);
    machine
}

/// Keeps the fleet of [`with_a_member_that_never_loads`] alive until `seconds`, and returns the first record that is wanted.
fn first_write(machine: &mut Machine, seconds: std::ops::Range<u64>) -> Option<crate::fleet::record::Record> {
    seconds.into_iter().find_map(|second| {
        let now = at(second);
        machine.handle(Event::LeaseConfirmed(now.boot), now);
        machine.handle(Event::Lease(serving(1, Phase::Fit, None, second, now)), now);
        let never = Member { prepared: None, loading: true, ..serving(2, Phase::Fit, None, second, now) };
        machine.handle(Event::Lease(never), now);
        machine.decide(now).write
    })
}

#[test]
fn a_member_that_never_loads_is_replaced_after_two_minutes() {
    let mut machine = with_a_member_that_never_loads(at(1000));
    assert_eq!(first_write(&mut machine, 1000..1119), None);
    let next = first_write(&mut machine, 1119..1125).and_then(|record| record.next).expect("it is replaced");
    assert_eq!(*next.view.absent, [2]);
}

#[test]
fn a_member_that_gains_nothing_blocks_no_handover() {
    let now = at(1000);
    let mut machine = with_a_member_that_never_loads(now);
    machine.handle(Event::Lease(serving(1, Phase::Leaving, None, 2, now)), now);
    let _ = machine.decide(now);
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 4))), now);
    let fourth = Member { joined: None, prepared: None, ..serving(3, Phase::Fit, None, 1, now) };
    machine.handle(Event::Lease(fourth.clone()), now);
    machine.handle(Event::Lease(serving(1, Phase::Fit, None, 3, now)), now);
    let record = machine.decide(now).write.expect("the fleet grows");
    machine.handle(Event::Record(record.clone()), now);
    assert_eq!(machine.decide(now).write, None);
    let generation = record.next.expect("a next assignment").view.generation;
    let follows = record.revision;
    machine.handle(Event::Lease(Member { prepared: Some(generation), follows, sequence: 2, ..fourth }), now);
    for ordinal in [1, 2] {
        let loading = ordinal == 2;
        machine.handle(Event::Lease(Member { follows, loading, ..serving(ordinal, Phase::Fit, None, 9, now) }), now);
    }
    let switch = machine.decide(now).write.and_then(|record| record.next).and_then(|next| next.switch);
    assert!(switch.is_some(), "{:?}", machine.status(now).waiting_for);
}

#[test]
fn a_member_that_was_paused_over_the_switch_overlaps_nothing() {
    let now = at(1000);
    let mut alone = start(overlapping(0, 7, Duration::from_secs(30)), None, 1, now);
    let first = alone.decide(now).write.expect("the first record");
    alone.handle(Event::Record(first.clone()), now);
    alone.handle(Event::Loaded(Slice::all()), now);
    let _ = alone.decide(now);
    let mut second = first;
    (second.revision, second.current.generation, second.current.total) = (9, 9, 2);
    alone.handle(Event::Record(second), at(1020));
    alone.handle(Event::LeaseConfirmed(Duration::from_secs(1020)), at(1020));
    let exposed = alone.decide(at(1020)).plan.at(Duration::from_secs(1020)).cloned();
    assert_eq!(exposed, Some(Slice::of(Hasher::XxHash64, Assignment::new(2).unwrap().ranges(0))));
}

#[test]
fn the_word_of_the_peers_follows_that_of_the_api_server_without_a_pause() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let answer = |machine: &mut Machine, seconds| {
        for ordinal in [1, 2] {
            let member = serving(ordinal, Phase::Fit, None, 1, now);
            let heartbeat = Heartbeat { member, confirmed_age: None, ..self::machine(1, 1).heartbeat(now) };
            machine.handle(Event::HeartbeatAnswered(heartbeat, Duration::from_secs(seconds)), at(seconds));
        }
    };
    answer(&mut machine, 1014);
    // The confirmation of 1000 ends at 1015, and the next decision may come 250 ms later.
    let decision = tick(&mut machine, at(1014), Now { boot: Duration::from_millis(1_014_900), ..at(1014) });
    assert!(decision.plan.at(decision.wake_at).is_some());
}

#[test]
fn a_member_keeps_its_ranges_over_a_restart_while_the_record_names_it() {
    let now = at(1000);
    let record = three(None, None, now).known_record().cloned().expect("a record");
    let serves = |crashes: usize| {
        let before = Member {
            joined: Some(1),
            prepared: Some(1),
            ..last_statement(Phase::Fit, vec![now.unix / 1000; crashes], now)
        };
        let mut machine = machine(0, 8);
        machine.handle(Event::StatefulSet(Some(("set".to_owned(), 3))), now);
        machine.handle(Event::Lease(before), now);
        machine.handle(Event::Record(record.clone()), now);
        machine.handle(Event::Listed, now);
        assert_eq!(machine.decide(now).member.joined, None, "the record may be old");
        machine.handle(Event::LeaseConfirmed(now.boot), now);
        let member = machine.decide(now).member;
        (member.joined, member.awaits)
    };
    assert_eq!(serves(0), (Some(1), false));
    assert_eq!(serves(1), (None, true), "it crashed before: the others take over");
}

/// Returns a member of a fleet of three that runs without a pause for `seconds` without the API server, while `answering` answer.
fn cut_off(on_lost_quorum: OnLostQuorum, answering: &[u32], seconds: u64) -> (Machine, Now) {
    let mut machine = three(None, None, at(1000));
    machine.choose(on_lost_quorum);
    for second in 1000..1000 + seconds {
        for ordinal in answering {
            machine.handle(answer(*ordinal, at(second)), at(second));
        }
        let _ = tick(&mut machine, at(second), at(second + 1));
    }
    (machine, at(1000 + seconds))
}

/// Returns the answer of a member that does not reach the API server, to a heartbeat that was sent now.
fn answer(ordinal: u32, now: Now) -> Event {
    let member = serving(ordinal, Phase::Fit, None, 1, at(1000));
    Event::HeartbeatAnswered(Heartbeat { member, confirmed_age: None, ..machine(1, 1).heartbeat(now) }, now.boot)
}

/// Returns the member 0 of a fleet of three, and a record of the member 1 that schedules a switch in 3 s. The boot clock of member 1
/// is `ahead` of ours.
fn scheduled(ahead: Duration, now: Now) -> (Machine, Record) {
    let machine = three(None, None, now);
    let record = machine.known_record().cloned().expect("a record");
    let view = crate::fleet::record::Assignment { generation: 2, absent: vec![2], ..record.current.clone() };
    let switch = Some(SwitchTime { at: millis(now.boot + ahead) + 3000 });
    let next = Some(Next { view, switch, stamp_wait: None });
    (machine, Record { revision: 3, coordinator: incarnation(1, 1), next, ..record })
}

/// Returns the answer of the member 1, whose boot clock is `ahead` of ours, to a heartbeat that was sent now.
fn clock_of(ahead: Duration, now: Now) -> Event {
    let Event::HeartbeatAnswered(heartbeat, sent) = answer(1, now) else { unreachable!("it is an answer") };
    Event::HeartbeatAnswered(Heartbeat { now: millis(now.boot + ahead), ..heartbeat }, sent)
}

/// Returns when a member switches (boot time).
fn switches_at(machine: &mut Machine, now: Now) -> Duration {
    machine.decide(now).plan.steps.last().expect("a step").0
}

#[test]
fn no_step_of_a_wall_clock_moves_a_scheduled_switch() {
    let now = at(1000);
    let due = now.boot + Duration::from_secs(3);
    let ahead = Duration::from_secs(86_400);
    for step in [-3_600_000, -700, 700, 3_600_000_i64] {
        let stepped = |now: Now| Now { unix: now.unix.saturating_add_signed(step), ..now };
        let (mut machine, record) = scheduled(ahead, now);
        // The clock steps between the measurement and the record, and back after it.
        machine.handle(clock_of(ahead, now), now);
        machine.handle(Event::Record(record), stepped(now));
        assert_eq!(switches_at(&mut machine, stepped(now)), due, "{step}");
        assert_eq!(switches_at(&mut machine, at(1001)), due, "{step}");
        machine.handle(clock_of(ahead, at(1002)), at(1002));
        assert_eq!(switches_at(&mut machine, stepped(at(1002))), due, "{step}");
    }
}

#[test]
fn a_member_that_has_not_measured_the_clock_of_the_coordinator_switches_three_seconds_after_the_record() {
    let now = at(1000);
    let later = at(1001);
    let ahead = Duration::from_secs(86_400);
    let (mut machine, record) = scheduled(ahead, now);
    machine.handle(Event::Record(record), later);
    assert_eq!(switches_at(&mut machine, later), later.boot + Duration::from_secs(3));
    let mut by_lease = machine.clone();
    by_lease.handle(
        Event::Lease(Member { boot: Some(millis(later.boot + ahead)), ..serving(1, Phase::Fit, None, 2, now) }),
        later,
    );
    assert_eq!(switches_at(&mut by_lease, later), now.boot + Duration::from_secs(3), "its Lease shows the clock");
    machine.handle(clock_of(ahead, later), later);
    assert_eq!(switches_at(&mut machine, later), now.boot + Duration::from_secs(3));
    let restarted = Member { id: incarnation(1, 2), life: 2, ..serving(1, Phase::Starting, None, 1, now) };
    machine.handle(Event::Lease(restarted), later);
    assert_eq!(switches_at(&mut machine, later), now.boot + Duration::from_secs(3), "a known time stays");
}

/// Whether it exposes anything.
fn exposes(machine: &mut Machine, now: Now) -> bool {
    machine.decide(now).plan.at(now.boot).is_some_and(|slice| !slice.is_empty())
}

#[test]
fn a_member_that_is_cut_off_does_not_take_refused_connections_for_the_end_of_all_others() {
    for (choice, serves) in [(OnLostQuorum::Refuse, false), (OnLostQuorum::Serve, true)] {
        let (mut machine, now) = cut_off(choice, &[], 1);
        for ordinal in [1, 2] {
            machine.handle(Event::ConnectionLost(incarnation(ordinal, 1)), now);
        }
        let later = at(now.boot.as_secs() + 40);
        tick(&mut machine, now, later);
        assert_eq!(exposes(&mut machine, later), serves);
    }
}

#[test]
fn a_silent_member_during_an_outage_costs_what_the_choice_says() {
    for (choice, serves) in [(OnLostQuorum::Serve, true), (OnLostQuorum::Refuse, false)] {
        let (mut machine, now) = cut_off(choice, &[1], 60);
        assert_eq!(exposes(&mut machine, now), serves, "{choice:?}");
        let status = machine.status(now);
        assert_eq!((status.isolated, status.refuses), (true, !serves));
        let warned = machine.notices().iter().filter(|it| it.warning && it.text.contains("--on-lost-quorum")).count();
        assert_eq!(warned, 1);
    }
    for choice in [OnLostQuorum::Serve, OnLostQuorum::Refuse] {
        let (mut machine, now) = cut_off(choice, &[1, 2], 60);
        assert!(exposes(&mut machine, now) && !machine.status(now).isolated, "{choice:?}");
    }
}

#[test]
fn a_paused_process_waits_for_the_news() {
    for choice in [OnLostQuorum::Serve, OnLostQuorum::Refuse] {
        let (mut machine, now) = cut_off(choice, &[1, 2], 2);
        let plan = machine.decide(now).plan;
        let later = |millis| Now { boot: now.boot + Duration::from_millis(millis), unix: now.unix + millis };
        // A scrape may come before its next decision.
        assert!(plan.at(later(400).boot).is_some() && plan.at(later(600).boot).is_none());
        let before = machine.decide(now).member.sequence;
        assert!(!exposes(&mut machine, later(600)), "{choice:?}");
        assert!(machine.decide(later(600)).member.sequence > before, "it asks for news at once");
        let mut by_server = machine.clone();
        by_server.handle(Event::LeaseConfirmed(later(400).boot), later(650));
        assert!(!exposes(&mut by_server, later(650)), "this was written before the pause ended");
        by_server.handle(Event::LeaseConfirmed(later(610).boot), later(700));
        assert!(exposes(&mut by_server, later(700)), "{choice:?}");
        let mut by_peers = machine.clone();
        by_peers.handle(answer(1, later(700)), later(700));
        assert!(!exposes(&mut by_peers, later(700)), "the other one may have news");
        by_peers.handle(answer(2, later(700)), later(700));
        assert!(exposes(&mut by_peers, later(700)), "{choice:?}");
        // Neither answers.
        let _ = tick(&mut machine, later(600), later(3_500));
        assert!(!exposes(&mut machine, later(3_500)));
        let _ = tick(&mut machine, later(3_500), later(3_700));
        assert_eq!(exposes(&mut machine, later(3_700)), choice == OnLostQuorum::Serve);
    }
}

/// Returns the coordinator of a fleet of `total` that all serve. The others say that they can hold `capacity`.
fn fleet_of(total: u32, capacity: u32, now: Now) -> Machine {
    let mut machine = started(None, total, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    let hold = machine.decide(now).desired;
    let used = u64::from(u32::MAX / total);
    machine.handle(Event::Loaded(hold), now);
    machine.handle(Event::Memory(Some(Memory { limit: u64::from(capacity) * 100 / 80 + used / 10, used })), now);
    for ordinal in 1..total {
        let member = serving(ordinal, Phase::Fit, None, 1, now);
        machine.handle(Event::Lease(Member { capacity: Some(capacity), ..member }), now);
    }
    machine
}

/// Follows the next assignment that `machine` proposes as if the fleet had switched to it.
fn follow_next(machine: &mut Machine, now: Now) -> Option<crate::fleet::record::Assignment> {
    let record = machine.decide(now).write?;
    let next = record.next.clone()?.view;
    machine.handle(
        Event::Record(crate::fleet::record::Record {
            current: next.clone(),
            next: None,
            revision: record.revision + 1,
            ..record
        }),
        now,
    );
    machine.handle(Event::Loaded(machine.status(now).owned), now);
    Some(next)
}

#[test]
fn a_fleet_shrinks_only_as_far_as_its_members_have_room() {
    let now = at(1000);
    // Each of ten members can hold a quarter of all objects.
    let mut machine = fleet_of(10, u32::MAX / 4, now);
    assert_eq!(machine.decide(now).write, None);
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 1))), now);
    let next = follow_next(&mut machine, now).expect("there is room for fewer members");
    assert_eq!((next.total, &*next.absent), (4, &[][..]));
    assert_eq!(machine.decide(now).write, None, "one member cannot hold everything");
    let status = machine.status(now);
    assert_eq!((status.handover, &*status.waiting_for), (HandoverState::Waiting, &[1, 2, 3][..]));
    assert!(machine.notices().iter().any(|it| it.warning && it.text.contains("members [1, 2, 3] are to go")));
    // The grace period of member 3 ends. Nobody has room for its ranges: the others go on.
    machine.handle(Event::Lease(serving(3, Phase::Left, None, 9, now)), now);
    let record = machine.decide(now).write.expect("a member is lost");
    assert_eq!((record.current.total, record.current.untaken), (4, [3].into()));
}

#[test]
fn two_losses_at_once_share_the_room_for_one() {
    let now = at(1000);
    // Of eight members, each can hold its share and half of another: one absent member at a time.
    let mut machine = fleet_of(8, u32::MAX / 8 * 3 / 2 + 1, now);
    for ordinal in 1..8 {
        let phase = if ordinal < 5 { Phase::Left } else { Phase::Fit };
        let member = Member { capacity: Some(u32::MAX / 8 * 3 / 2 + 1), ..serving(ordinal, phase, None, 9, now) };
        machine.handle(Event::Lease(member), now);
    }
    let current = machine.decide(now).write.expect("members are lost").current;
    assert_eq!(&*current.absent, [1, 2, 3, 4]);
    // Four remain, with room for two more shares.
    assert!(current.untaken.len() >= 2, "{current:?}");
}

#[test]
fn steps_of_an_autoscaler_do_not_restart_the_wait_for_new_members() {
    let mut machine = three(None, None, at(1000));
    let mut grows = |seconds: u64, wanted: u32| {
        let now = at(seconds);
        machine.handle(Event::LeaseConfirmed(now.boot), now);
        machine.handle(Event::StatefulSet(Some(("set".to_owned(), wanted))), now);
        for ordinal in [1, 2] {
            machine.handle(Event::Lease(serving(ordinal, Phase::Fit, None, seconds, at(1000))), now);
        }
        let fit = Member { joined: None, prepared: None, ..serving(3, Phase::Fit, None, seconds, at(1000)) };
        machine.handle(Event::Lease(fit), now);
        machine.decide(now).write.and_then(|record| record.next).map(|next| next.view.total)
    };
    // Member 3 is fit, the others never come, and each minute one more is wanted.
    for second in 1001..1120 {
        let wanted = if second < 1060 { 5 } else { 6 };
        assert_eq!(grows(second, wanted), None, "{second}");
    }
    assert_eq!(grows(1122, 7), Some(4));
}

#[test]
fn steps_of_an_autoscaler_do_not_restart_the_wait_after_a_crash() {
    let now = at(1000);
    let mut other = start(machine(1, 1), None, 2, now);
    let mut record = other.decide(now).write.expect("the first member writes the first record");
    (record.current.absent, record.current.fresh.below) = (vec![0], 0);
    let mut machine = started(Some(last_statement(Phase::Fit, vec![], now)), 2, now);
    machine.handle(Event::Record(record), now);
    let fit_at = (1000..1100).find(|second| {
        let replicas = 2 + u32::from(*second >= 1020);
        machine.handle(Event::StatefulSet(Some(("set".to_owned(), replicas))), at(*second));
        let desired = machine.decide(at(*second)).desired;
        machine.handle(Event::Loaded(desired), at(*second));
        machine.decide(at(*second)).member.phase == Phase::Fit
    });
    assert_eq!(fit_at, Some(1030));
}

/// Returns the coordinator of a fleet of three with these instructions, in a fleet of `replicas`, whose members are all fit.
fn instructed(instructions: Instructions, replicas: u32, now: Now) -> Machine {
    let mut machine = three(None, None, now);
    for ordinal in 1..replicas.max(3) {
        machine.handle(Event::Lease(serving(ordinal, Phase::Fit, None, 5, now)), now);
    }
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), replicas))), now);
    machine.handle(Event::Instructions(instructions), now);
    machine
}

fn paused() -> Instructions {
    Instructions { paused: true, ..Instructions::default() }
}

#[test]
fn a_paused_fleet_starts_no_handover_and_resumes() {
    let now = at(1000);
    assert!(instructed(Instructions::default(), 4, now).decide(now).write.is_some());
    let mut machine = instructed(paused(), 4, now);
    assert_eq!(machine.decide(now).write, None);
    assert!(machine.status(now).instructions.paused);
    machine.handle(Event::Instructions(Instructions::default()), now);
    let record = machine.decide(now).write.expect("it resumes");
    assert!(record.next.is_some());

    // A handover whose switch is not scheduled is cancelled.
    machine.handle(Event::Record(record), now);
    machine.handle(Event::Instructions(paused()), now);
    let record = machine.decide(now).write.expect("it is cancelled");
    assert_eq!((record.current.total, record.next), (3, None));
}

#[test]
fn a_paused_fleet_still_replaces_members_that_are_gone_or_leave() {
    let now = at(1000);
    let mut machine = instructed(paused(), 3, now);
    machine.handle(Event::Lease(serving(1, Phase::Left, None, 6, now)), now);
    let record = machine.decide(now).write.expect("a dismissal");
    assert_eq!((record.current.absent, record.next), (vec![1], None));
    let mut machine = instructed(paused(), 3, now);
    machine.handle(Event::Lease(serving(2, Phase::Leaving, None, 6, now)), now);
    let next = machine.decide(now).write.and_then(|record| record.next).expect("a handover");
    assert_eq!(next.view.absent, [2]);
}

#[test]
fn an_excluded_member_is_absent_until_it_is_no_longer_excluded() {
    let now = at(1000);
    let excluded = Instructions { excluded: [1].into(), ..Instructions::default() };
    let mut machine = instructed(excluded.clone(), 3, now);
    let mut record = machine.decide(now).write.expect("a handover");
    let next = record.next.take().expect("it is planned");
    assert_eq!(next.view.absent, [1]);
    record.current = next.view;
    machine.handle(Event::Record(record), now);
    assert_eq!(machine.decide(now).write, None);
    machine.handle(Event::Instructions(Instructions::default()), now);
    let next = machine.decide(now).write.and_then(|record| record.next).expect("it rejoins");
    assert!(next.view.absent.is_empty());

    // Nobody would serve.
    let all = Instructions { excluded: [0, 1, 2].into(), ..Instructions::default() };
    let next = instructed(all, 3, now).decide(now).write.and_then(|record| record.next);
    assert!(next.is_none_or(|next| next.view.present().next().is_some()));
}

#[test]
fn an_avoided_coordinator_is_relieved_by_another_member() {
    let now = at(1000);
    let coordinator = three(None, None, now);
    let record = coordinator.known_record().cloned().expect("a record");
    let avoid =
        |ordinals: &[u32]| Instructions { avoided: ordinals.iter().copied().collect(), ..Instructions::default() };
    let takes_over = |ordinal: u32, instructions: Instructions| {
        let mut machine = machine(ordinal, 1);
        machine.handle(Event::StatefulSet(Some(("set".to_owned(), 3))), now);
        machine.handle(Event::Instructions(instructions), now);
        for other in (0..3).filter(|other| *other != ordinal) {
            let nonce = if other == 0 { 7 } else { 1 };
            let id = Incarnation { nonce, ..serving(other, Phase::Fit, None, 1, now).id };
            machine.handle(Event::Lease(Member { id, ..serving(other, Phase::Fit, None, 1, now) }), now);
        }
        machine.handle(Event::Record(record.clone()), now);
        machine.handle(Event::Listed, now);
        machine.handle(Event::LeaseConfirmed(now.boot), now);
        machine.decide(now).write.map(|record| record.coordinator.ordinal)
    };
    assert_eq!(record.coordinator.ordinal, 0);
    assert_eq!(takes_over(1, avoid(&[])), None);
    assert_eq!(takes_over(1, avoid(&[0])), Some(1));
    assert_eq!(takes_over(2, avoid(&[0])), None, "member 1 comes first");
    assert_eq!(takes_over(1, avoid(&[0, 1])), None);
    assert_eq!(takes_over(2, avoid(&[0, 1])), Some(2));
    assert_eq!(takes_over(2, avoid(&[0, 1, 2])), None, "there is no other");
}

#[test]
fn a_member_that_was_declared_gone_and_lives_says_so() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let own = machine.own_member().clone();
    machine.handle(Event::Lease(Member { phase: Phase::Left, sequence: own.sequence + 1000, ..own.clone() }), now);
    let after = machine.decide(now).member;
    assert_eq!((after.phase, after.sequence), (own.phase, own.sequence + 1001));
    assert!(!machine.status(now).superseded);
}

#[test]
fn a_member_that_blocks_for_long_is_announced_once() {
    let now = at(1000);
    let mut machine = instructed(Instructions::default(), 4, now);
    let record = machine.decide(now).write.expect("the fleet grows");
    machine.handle(Event::Record(record), now);
    let mut announced = Vec::new();
    for seconds in 1000..1200 {
        for ordinal in 1..4 {
            machine.handle(Event::Lease(serving(ordinal, Phase::Fit, None, seconds, now)), at(seconds));
        }
        machine.handle(Event::LeaseConfirmed(Duration::from_secs(seconds)), at(seconds));
        let _ = machine.decide(at(seconds));
        announced.extend(machine.notices().into_iter().filter(|it| it.text.contains("have blocked the handover")));
    }
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert_eq!(announced[0].topic, Some(Topic::HandoverBlocked));
    let blocked = machine.status(at(1200)).blocked_for;
    assert!(blocked.get(&3).is_some_and(|age| age.as_secs() >= 199), "{blocked:?}");
}

#[test]
fn a_wait_for_scrapers_ends_after_two_minutes_and_blocks_nothing() {
    let now = at(1000);
    let mut machine = instructed(Instructions::default(), 4, now);
    machine.set_seamless(true);
    machine.handle(Event::ScrapeWait(Duration::from_secs(74)), now);
    let (mut announced, mut scheduled, mut stamped) = (Vec::new(), None, None);
    for second in 1000..1200 {
        let now = at(second);
        let decision = machine.decide(now);
        if let Some(record) = decision.write {
            let next = record.next.as_ref();
            stamped = stamped.or(next.and_then(|next| next.stamp_wait).map(|wait| (second, wait)));
            scheduled = scheduled.or(next.and_then(|next| next.switch).map(|_| second));
            machine.handle(Event::Record(record), now);
        }
        machine.handle(Event::Loaded(decision.desired), now);
        let (record, next) =
            machine.known_record().map(|record| (record.revision, record.next.clone())).expect("it has one");
        let prepared = next.map(|next| next.view.generation);
        for ordinal in 1..4 {
            let joined = Some(1).filter(|_| ordinal < 3);
            let member =
                Member { prepared, joined, follows: record, ..serving(ordinal, Phase::Fit, None, second, now) };
            // The scrapers of member 2 come, those of this one and of member 1 do not.
            let stamped = prepared.filter(|_| ordinal == 2);
            machine.handle(Event::Lease(Member { scrape_wait: Some(1000), stamped, ..member }), now);
        }
        machine.handle(Event::LeaseConfirmed(now.boot), now);
        let status = machine.status(now);
        if status.handover == HandoverState::Stamping && second > 1010 {
            assert_eq!((status.unscraped, status.waiting_for), (vec![0, 1], vec![]));
        }
        announced.extend(machine.notices().into_iter().filter(|it| it.warning));
    }
    let (stamped, wait) = stamped.expect("the series have a timestamp");
    assert_eq!((wait, scheduled), (74_000, Some(stamped + 120)));
    let texts: Vec<_> = announced.iter().map(|it| &*it.text).collect();
    assert!(matches!(&texts[..], [text] if text.starts_with("a scraper of members [0, 1] did not come")), "{texts:?}");
    assert_eq!(machine.status(at(1200)).scrape_outcomes, Some([(ScrapeOutcome::TimedOut, 1)].into()));
}

/// Returns another process of member 0.
fn rival(life: u64, sequence: u64, now: Now) -> Member {
    let id = Incarnation { pod: "pod-other".to_owned(), ..incarnation(0, 99) };
    Member { id, life, sequence, address: "10.0.9.9:8082".to_owned(), ..serving(0, Phase::Fit, None, 1, now) }
}

#[test]
fn a_member_whose_lease_went_back_in_time_keeps_serving() {
    let now = at(1000);
    let mut machine =
        start(machine(0, 7), Some(Member { life: 3, ..last_statement(Phase::Left, vec![], now) }), 1, now);
    let record = machine.decide(now).write.expect("the first record");
    machine.handle(Event::Record(record), now);
    machine.handle(Event::Loaded(Slice::all()), now);
    let before = machine.decide(now);
    assert!(before.ready && before.member.life == 4);
    // Its predecessor, an earlier process than that, and an older statement of its own.
    let older = Member { sequence: 0, ..before.member.clone() };
    for lease in [Member { life: 3, ..last_statement(Phase::Left, vec![], now) }, rival(2, 1, now), older] {
        machine.handle(Event::Lease(lease), now);
        let after = machine.decide(now);
        assert!(after.ready && !after.verify && after.member.life == 4);
        assert_eq!(after.plan, before.plan);
    }
}

/// Returns member 0 of a fleet of three, whose Lease names another process with a higher life.
fn contested(now: Now) -> Machine {
    let mut machine = three(None, None, now);
    machine.handle(Event::Lease(rival(5, 1, now)), now);
    let decision = machine.decide(now);
    assert!(decision.verify && !decision.ready && decision.write.is_none());
    assert_eq!(decision.plan.at(now.boot), Some(&Slice::none()));
    machine
}

fn read(machine: &mut Machine, holder: Option<Member>, seconds: u64) -> Decision {
    machine.handle(Event::LeaseRead(holder, Duration::from_secs(seconds)), at(seconds));
    machine.decide(at(seconds))
}

#[test]
fn a_member_rejoins_after_the_other_process_of_its_ordinal_has_ended() {
    let now = at(1000);
    let mut machine = contested(now);
    for seconds in [1000, 1008, 1015] {
        let decision = read(&mut machine, Some(rival(5, 1, now)), seconds);
        assert!(decision.verify && decision.outrun_by.is_none() && decision.member.life == 1);
    }
    let decision = read(&mut machine, Some(rival(5, 1, now)), 1016);
    assert!(!decision.verify && !decision.ready);
    assert_eq!((decision.member.life, decision.member.joined, decision.member.awaits), (6, None, true));
    // Its own Lease, or none, or one that says that its holder left: nobody else runs, but somebody may have.
    let left = Member { phase: Phase::Left, ..rival(5, 2, now) };
    for holder in [None, Some(left), Some(machine.own_member().clone())] {
        let mut machine = contested(now);
        let holder = holder
            .map(|holder| if holder.phase == Phase::Left { holder } else { self::machine(0, 7).decide(now).member });
        let member = read(&mut machine, holder, 1001).member;
        assert_eq!((member.life, member.joined, member.awaits), (6, None, true));
    }
}

#[test]
fn a_member_ends_while_another_process_of_its_ordinal_renews_its_lease() {
    let now = at(1000);
    let mut machine = contested(now);
    assert_eq!(read(&mut machine, Some(rival(5, 1, now)), 1001).outrun_by, None);
    let renewed = Member { renewed: Some(1), ..rival(5, 1, now) };
    let decision = read(&mut machine, Some(renewed), 1006);
    assert_eq!(decision.outrun_by, Some(rival(5, 1, now).id));
    assert!(!decision.ready && machine.status(at(1006)).superseded);
    assert!(decision.plan.at(Duration::from_secs(1006)).is_none_or(Slice::is_empty));
}

#[test]
fn only_the_pod_of_the_statefulset_takes_over_from_a_running_process() {
    let now = at(1000);
    let starts = |owns_pod| {
        let mut machine = machine(0, 7);
        machine.set_owns_pod(owns_pod);
        machine.handle(Event::StatefulSet(Some(("set".to_owned(), 2))), now);
        machine.handle(Event::Lease(rival(5, 1, now)), now);
        machine.handle(Event::Listed, now);
        machine
    };
    let decision = starts(Some(true)).decide(now);
    assert_eq!((decision.verify, decision.member.life), (false, 6));
    let mut machine = starts(Some(false));
    let decision = machine.decide(now);
    assert_eq!((decision.verify, decision.member.life), (true, 1), "it does not write over the Lease");
    assert!(read(&mut machine, Some(rival(5, 1, now)), 1001).outrun_by.is_none());
    assert!(read(&mut machine, Some(rival(5, 2, now)), 1004).outrun_by.is_some());
    let mut machine = starts(Some(false));
    assert!(read(&mut machine, Some(rival(5, 1, now)), 1001).verify);
    assert_eq!(read(&mut machine, Some(rival(5, 1, now)), 1017).member.life, 6, "it has ended");
}

/// Without `POD_IP`, or before the API server has the addresses of the Pod.
#[test]
fn a_process_that_does_not_know_its_pod_takes_over_at_its_own_address_alone() {
    let now = at(1000);
    let verifies = |address: &str, phase| {
        let mut machine = machine(0, 7);
        machine.set_owns_pod(None);
        let other = Member { address: address.to_owned(), phase, ..rival(5, 1, now) };
        machine.handle(Event::Lease(other), now);
        machine.handle(Event::Listed, now);
        machine.decide(now).verify
    };
    assert!(!verifies("10.0.0.0:8082", Phase::Fit), "a container that restarts keeps the address of its Pod");
    assert!(verifies("10.0.0.99:8082", Phase::Fit));
    assert!(!verifies("10.0.0.99:8082", Phase::Left));
}

#[test]
fn the_coordinator_writes_a_record_again_that_went_back_in_time() {
    let now = at(1000);
    let mut machine = three(None, None, now);
    let old = machine.known_record().cloned().expect("a record");
    let mut newer = old.clone();
    (newer.revision, newer.current.generation) = (9, 9);
    for ordinal in [1, 2] {
        machine.handle(Event::Lease(Member { follows: 9, ..serving(ordinal, Phase::Fit, None, 2, now) }), now);
    }
    assert_eq!(machine.decide(now).write, None, "other members know a newer record");
    machine.handle(Event::Record(newer.clone()), now);
    let ready = machine.decide(now);
    assert_eq!(ready.write, None);
    machine.handle(Event::Record(old), now);
    let again = machine.decide(now);
    let record = again.write.expect("the record is written again");
    assert_eq!((record.revision, record.current.generation, record.current.total), (10, 9, 3));
    assert_eq!(again.plan, ready.plan);
    machine.handle(Event::Record(record), now);
    assert_eq!(machine.decide(now).write, None);
    machine.handle(Event::DamagedRecord, now);
    assert_eq!(machine.decide(now).write.map(|record| record.revision), Some(11));
}

#[test]
fn a_record_that_was_deleted_while_all_members_were_down_counts_on_from_their_leases() {
    let now = at(1000);
    let before = |ordinal| {
        let id = incarnation(ordinal, 3);
        let member = Member { id, life: 4, follows: 3000, ..serving(ordinal, Phase::Left, None, 1, now) };
        Member { joined: Some(2999), prepared: Some(2999), ..member }
    };
    let mut machine = self::machine(0, 7);
    machine.handle(Event::StatefulSet(Some(("set".to_owned(), 2))), now);
    machine.handle(Event::Lease(before(0)), now);
    machine.handle(Event::Lease(Member { follows: 3007, ..before(1) }), now);
    machine.handle(Event::NoRecord, now);
    machine.handle(Event::Listed, now);
    machine.handle(Event::LeaseConfirmed(now.boot), now);
    let decision = machine.decide(now);
    assert_eq!(decision.member.found, 3000, "others count on, although it wrote over the Lease");
    let record = decision.write.expect("the first record");
    assert_eq!((record.revision, record.current.generation, record.current.fresh.generation), (3008, 3008, 3008));
    machine.handle(Event::Record(record), now);
    let member = machine.decide(now).member;
    assert_eq!((member.joined, member.found), (Some(3008), 0), "it serves at once");
}

#[test]
fn a_process_that_was_replaced_learns_it_from_the_record_of_any_member() {
    let now = at(1000);
    let mut old = three(None, None, now);
    assert!(old.decide(now).ready);
    // Its watch is dead, and another member with a dead watch still accepts it.
    let mut newer = old.known_record().cloned().expect("a record");
    (newer.revision, newer.current.lives) = (2, vec![2, 1, 1]);
    let heartbeat = Heartbeat {
        member: serving(1, Phase::Fit, None, 2, now),
        record: Some(newer.clone()),
        confirmed_age: Some(0),
        ..old.heartbeat(now)
    };
    old.handle(Event::HeartbeatAnswered(heartbeat, now.boot), now);
    let decision = old.decide(now);
    assert!(decision.verify && !decision.ready && decision.write.is_none());
    assert_eq!(decision.plan.at(now.boot), Some(&Slice::none()));

    // Others do not count on what it says.
    let mut other = start(machine(1, 1), None, 3, now);
    let statement = Member { id: incarnation(0, 7), ..serving(0, Phase::Fit, None, 1, now) };
    other.handle(Event::Lease(statement.clone()), now);
    other.handle(Event::Record(newer), now);
    let heartbeat = Heartbeat { member: statement, record: None, ..old.heartbeat(now) };
    other.handle(Event::HeartbeatAnswered(heartbeat, now.boot), now);
    assert_eq!(other.status(now).answering, 0);
}

/// Returns the notices about a topic.
fn about(machine: &mut Machine, topic: Topic) -> Vec<Notice> {
    machine.notices().into_iter().filter(|notice| notice.topic == Some(topic)).collect()
}

#[test]
fn the_coordinator_names_the_members_that_it_dismisses_and_why() {
    let now = at(1000);
    let left = |now: Now| Event::Lease(serving(1, Phase::Left, None, 2, now));
    for (how, why) in [(left(now), "1: it has left, or was declared gone"), (Event::Tick, "2: its connections broke")] {
        let mut machine = three(None, None, now);
        drop(machine.notices());
        let lost = match how {
            Event::Tick => lose(&mut machine, incarnation(2, 1), now),
            how => {
                machine.handle(how, now);
                now
            }
        };
        let record = machine.decide(lost).write.expect("a member is lost");
        machine.handle(Event::Record(record), lost);
        let notices = machine.notices();
        let of = |topic| notices.iter().find(|notice| notice.topic == Some(topic)).expect("a notice");
        let dismissed = of(Topic::MemberDismissed);
        assert!(dismissed.warning && dismissed.text.contains(why), "{dismissed}");
        let completed = of(Topic::HandoverCompleted);
        assert!(completed.text.contains("2 of 3 members") && completed.text.contains("before: 3 of 3"), "{completed}");
        assert!(completed.text.contains("cause: dismissal") && !completed.warning);
    }
}

#[test]
fn operators_see_instructions_and_doubts_without_the_log() {
    let now = at(1000);
    let mut machine = instructed(paused(), 3, now);
    assert_eq!(about(&mut machine, Topic::HandoversPaused).len(), 1);
    let problem = Instructions { problems: vec!["no list".to_owned()], ..Instructions::default() };
    machine.handle(Event::Instructions(problem), now);
    let topics: Vec<_> = machine.notices().into_iter().map(|notice| notice.topic).collect();
    assert_eq!(topics, [Some(Topic::HandoversResumed), Some(Topic::InstructionIgnored)]);
    machine.handle(Event::Lease(rival(5, 1, now)), now);
    assert_eq!(about(&mut machine, Topic::Superseded).len(), 1);
    let _ = read(&mut machine, None, 1001);
    assert_eq!(about(&mut machine, Topic::Rejoining).len(), 1);
}
