//! The coordinator's rules: how the record should change, given the facts of one member.
//!
//! A change is one of three kinds:
//! - Immediate, if members are lost: the others take over their ranges and expose them as soon as they are loaded. No range
//!   moves between live members.
//! - Planned, in all other cases: the record gets a next assignment. Its members prepare it, then the coordinator schedules
//!   the switch. With `--seamless-handover`, scrapers come in between ([`super::seamless`]).
//! - From nothing, if no member serves any more.
//!
//! May not know the state machine: [`CoordinatorMemory::propose`] depends on the facts, the time and its memory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::Facts;
use super::peers::Liveness;
use super::range_cache::all_present;
use super::seamless::{scrapers_have_come, with_stamps};
use super::timing::{Now, START_TIMEOUT, SWITCH_LEAD, millis};
use crate::fleet::record::{Assignment, ColdStart, LAYOUT, Member, Next, Phase, Record, SwitchTime};
use crate::sharding::Hasher;

/// The tolerance for rounding when shares are compared: one part in 2^24 of the hash space.
const TOLERANCE: u128 = 1 << 40;

/// The content of a new record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordChange {
    pub current: Assignment,
    pub next: Option<Next>,
    /// By how much the revision grows: the number of generations that the change creates, at least 1.
    pub revisions: u64,
}

/// What a member would do as coordinator, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    pub change: Option<RecordChange>,
    /// Whether the fleet matches the StatefulSet's spec and no member is missing.
    pub settled: bool,
    /// The ordinals that block a change.
    pub waiting_for: Vec<u32>,
    /// The ordinals that are to go, and whose ranges no member has room for.
    pub no_room: Vec<u32>,
    /// The ordinals that never had a Lease. Only the state of their Pods shows whether they may be serving.
    pub pods_to_check: Vec<u32>,
}

/// What a present member of the current assignment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberStatus {
    /// It serves its share.
    Serving,
    /// It may be serving: the facts do not tell.
    MaybeServing,
    /// It has not started to serve, and has time left to do so.
    Starting { live: bool },
    /// It is live, and had enough time to start.
    Overdue,
    /// It does not serve, and will not start.
    Lost,
}

/// What the coordinator remembers between decisions. Every member keeps it, since any member may become the coordinator.
#[derive(Clone, Debug, Default)]
pub(super) struct CoordinatorMemory {
    starts: StartWaits,
    /// Since when the StatefulSet wants more replicas than the current total (boot time). How many more does not matter, or each
    /// step of an autoscaler would restart the wait.
    growing_since: Option<Duration>,
}

/// Since when the coordinator waits for members to start, in one fleet that started from nothing.
#[derive(Clone, Debug, Default)]
struct StartWaits {
    fresh_generation: u64,
    since: BTreeMap<u32, Duration>,
}

impl CoordinatorMemory {
    /// Returns the change that the record needs now, and the ordinals that block one.
    pub fn propose(&mut self, facts: &Facts, now: Now) -> Proposal {
        let Some(record) = facts.record() else {
            let change = facts.wanted_replicas().and_then(|replicas| start_from_nothing(replicas, facts));
            return Proposal { change, ..Proposal::default() };
        };
        if record.is_switching() {
            return Proposal::default();
        }
        let statuses = self.statuses(facts, record, now);
        let mut proposal = self.propose_for(facts, record, &statuses, now);
        proposal.pods_to_check =
            ordinals(&statuses, |s| matches!(s, MemberStatus::Starting { live: false } | MemberStatus::MaybeServing))
                .into_iter()
                .filter(|ordinal| facts.peers.get(*ordinal).is_none())
                .collect();
        proposal
    }

    /// Returns the proposal for a record without a scheduled switch.
    fn propose_for(
        &mut self,
        facts: &Facts,
        record: &Record,
        statuses: &BTreeMap<u32, MemberStatus>,
        now: Now,
    ) -> Proposal {
        let current = &record.current;
        let lost = ordinals(statuses, |status| status == MemberStatus::Lost);
        let serves = |status| !matches!(status, MemberStatus::Lost | MemberStatus::Starting { live: false });
        if ordinals(statuses, serves).is_empty() {
            // Members that are still starting serve without a new start; it is for those that may not.
            let needs_start = !lost.is_empty() || current.present().next().is_none();
            let total = facts.wanted_replicas().unwrap_or(current.total);
            let change = needs_start.then(|| start_from_nothing(total, facts)).flatten();
            return Proposal { change, ..Proposal::default() };
        }
        if !lost.is_empty() {
            let number = facts.highest();
            let after = without_lost(facts, current, &lost, number + 1);
            let desired = self.desired_assignment(facts, &after, statuses, now);
            let next = (!desired.is_like(&after)).then(|| unscheduled(desired, number + 2));
            let revisions = 1 + u64::from(next.is_some());
            let change = Some(RecordChange { current: after, next, revisions });
            return Proposal { change, waiting_for: lost, ..Proposal::default() };
        }
        let desired = self.desired_assignment(facts, current, statuses, now);
        let change = |next| Some(RecordChange { current: current.clone(), next, revisions: 1 });
        match &record.next {
            None if desired.is_like(current) => {
                let no_room = without_room(facts, current, now);
                let waiting_for: Vec<_> = missing(facts, current).into_iter().chain(no_room.iter().copied()).collect();
                let starting = ordinals(statuses, |status| matches!(status, MemberStatus::Starting { .. }));
                let settled = waiting_for.is_empty() && starting.is_empty();
                // A process that was replaced then knows that it is not meant, whoever tells it.
                let change = facts.has_later_lives(current).then(|| change(None)).flatten();
                Proposal { change, settled, waiting_for, no_room, ..Proposal::default() }
            }
            Some(_) if desired.is_like(current) => Proposal { change: change(None), ..Proposal::default() },
            Some(next) if next.view.is_like(&desired) => {
                let waiting_for = blocking_switch(facts, record, &next.view, now);
                let step = || match with_stamps(facts, current, next, now) {
                    Some(stamped) => Some(stamped),
                    None if !scrapers_have_come(facts, current, &next.view, now) => None,
                    None => Some(schedule(next, now)),
                };
                let step = waiting_for.is_empty().then(step).flatten();
                let change = step.and_then(|next| change(Some(next)));
                Proposal { change, waiting_for, ..Proposal::default() }
            }
            _ => {
                let next = unscheduled(desired, facts.highest() + 1);
                Proposal { change: change(Some(next)), ..Proposal::default() }
            }
        }
    }

    /// Returns the status of each present member of the current assignment.
    fn statuses(&mut self, facts: &Facts, record: &Record, now: Now) -> BTreeMap<u32, MemberStatus> {
        let fresh_generation = record.current.fresh.generation;
        if self.starts.fresh_generation != fresh_generation {
            self.starts = StartWaits { fresh_generation, since: BTreeMap::new() };
        }
        let statuses: BTreeMap<_, _> =
            record.current.present().map(|ordinal| (ordinal, self.status(facts, record, ordinal, now))).collect();
        let still_waiting =
            |ordinal: &u32| statuses.get(ordinal).is_some_and(|status| *status != MemberStatus::Serving);
        self.starts.since.retain(|ordinal, _| still_waiting(ordinal));
        statuses
    }

    fn status(&mut self, facts: &Facts, record: &Record, ordinal: u32, now: Now) -> MemberStatus {
        let (member, liveness, may_have_predecessor) = match facts.peers.get(ordinal) {
            _ if ordinal == facts.ordinal() => (&facts.own, Liveness::Live, false),
            Some(peer) => (&peer.member, facts.liveness(peer, now), peer.may_have_predecessor(now)),
            // A Pod that is Ready without a Lease runs a version that knows nothing of fleets.
            None if facts.pod_is_ready(ordinal) => return MemberStatus::MaybeServing,
            None => return self.starts.status(ordinal, Liveness::Dead, now),
        };
        match liveness {
            _ if may_have_predecessor => MemberStatus::MaybeServing,
            Liveness::Live if member.joined.is_some() && !member.loading => MemberStatus::Serving,
            // It may be serving, or begin to.
            Liveness::Live if member.follows < record.revision => MemberStatus::MaybeServing,
            Liveness::Live if member.awaits => MemberStatus::Lost,
            Liveness::Suspected => MemberStatus::MaybeServing,
            Liveness::Dead if member.joined.or(member.prepared).is_some() || member.phase == Phase::Left => {
                MemberStatus::Lost
            }
            liveness => self.starts.status(ordinal, liveness, now),
        }
    }

    /// Returns the assignment that the fleet should have, starting from `current`. While handovers are paused, only members that
    /// leave, or never started, hand over: they end anyway.
    fn desired_assignment(
        &mut self,
        facts: &Facts,
        current: &Assignment,
        statuses: &BTreeMap<u32, MemberStatus>,
        now: Now,
    ) -> Assignment {
        let paused = facts.instructions.paused;
        let mut desired = if paused {
            current.clone()
        } else {
            let wanted = self.total(facts, current, now);
            with_room(wanted, facts, current, now)
        };
        drain(&mut desired, facts, current, statuses, now);
        if let Some(hash) = common_hash(facts, &desired, now).filter(|_| !paused) {
            desired.hash = hash;
        }
        // The last serving members stay until another member can take over.
        let serves = |assignment: &Assignment| assignment.present().next().is_some();
        if serves(current) && !serves(&desired) { current.clone() } else { desired }
    }

    /// Returns the number of shards: the replicas of the StatefulSet. New members join together, once all of them are fit or
    /// the coordinator has waited long enough.
    fn total(&mut self, facts: &Facts, current: &Assignment, now: Now) -> u32 {
        let Some(wanted) = facts.wanted_replicas().filter(|wanted| *wanted > 0) else { return current.total };
        if wanted <= current.total {
            self.growing_since = None;
            return wanted;
        }
        let since = *self.growing_since.get_or_insert(now.boot);
        let mut added = current.total..wanted;
        if added.clone().all(|ordinal| is_fit(facts, ordinal, now)) {
            return wanted;
        }
        if now.since(since) < START_TIMEOUT {
            return current.total;
        }
        added.rfind(|ordinal| is_fit(facts, *ordinal, now)).map_or(current.total, |last| last + 1)
    }
}

impl StartWaits {
    /// Returns the status of a member that has not started to serve.
    fn status(&mut self, ordinal: u32, liveness: Liveness, now: Now) -> MemberStatus {
        let live = liveness == Liveness::Live;
        let since = *self.since.entry(ordinal).or_insert(now.boot);
        if now.since(since) < START_TIMEOUT {
            MemberStatus::Starting { live }
        } else if live {
            MemberStatus::Overdue
        } else {
            MemberStatus::Lost
        }
    }
}

fn ordinals(statuses: &BTreeMap<u32, MemberStatus>, wanted: impl Fn(MemberStatus) -> bool) -> Vec<u32> {
    statuses.iter().filter(|(_, status)| wanted(**status)).map(|(ordinal, _)| *ordinal).collect()
}

/// Whether a member may be given ranges.
fn is_fit(facts: &Facts, ordinal: u32, now: Now) -> bool {
    !facts.instructions.excluded.contains(&ordinal)
        && facts.live_member(ordinal, now).is_some_and(|member| member.phase == Phase::Fit && member.layout == LAYOUT)
        && facts.peers.get(ordinal).is_none_or(|peer| !peer.may_have_predecessor(now))
}

/// Returns the assignment with `wanted` shards, if its members have room for their ranges. Otherwise the fleet shrinks as far as
/// there is room, or does not grow.
fn with_room(wanted: u32, facts: &Facts, current: &Assignment, now: Now) -> Assignment {
    let of = |total: u32| {
        let mut desired = Assignment { total, absent: Vec::new(), untaken: BTreeSet::new(), ..current.clone() };
        keep_absent(&mut desired, facts, current, now);
        desired
    };
    let fits = |total: u32| has_room(facts, &of(total), current);
    if wanted == current.total || fits(wanted) {
        return of(wanted);
    }
    // Fewer shards need more room each. `least` is the lowest total that is known to fit.
    let (mut too_few, mut least) = (wanted.min(current.total), current.total);
    while least - too_few > 1 {
        let total = too_few.midpoint(least);
        match fits(total) {
            true => least = total,
            false => too_few = total,
        }
    }
    of(least)
}

/// Makes the members absent in `desired` that cannot serve: those that were absent, in the same order so that no range moves
/// without need, and the new ones that are not fit.
fn keep_absent(desired: &mut Assignment, facts: &Facts, current: &Assignment, now: Now) {
    let total = desired.total;
    let still_absent =
        current.absent.iter().copied().filter(|ordinal| *ordinal < total && !is_fit(facts, *ordinal, now));
    let not_started = (current.total..total).filter(|ordinal| !is_fit(facts, *ordinal, now));
    for ordinal in still_absent.chain(not_started) {
        let taken = current.absent.contains(&ordinal) && !current.untaken.contains(&ordinal);
        desired.absent.push(ordinal);
        if !taken && !has_room(facts, desired, current) {
            desired.untaken.insert(ordinal);
        }
    }
}

/// Makes the members absent in `desired` that leave, are excluded or are overdue, if the others have room for their ranges. A
/// member that leaves serves until then.
fn drain(
    desired: &mut Assignment,
    facts: &Facts,
    current: &Assignment,
    statuses: &BTreeMap<u32, MemberStatus>,
    now: Now,
) {
    let total = desired.total;
    for ordinal in current.present().filter(|ordinal| *ordinal < total) {
        let leaves = facts.live_member(ordinal, now).is_some_and(|member| member.phase == Phase::Leaving);
        let excluded = facts.instructions.excluded.contains(&ordinal) && !facts.instructions.paused;
        if leaves || excluded || statuses.get(&ordinal) == Some(&MemberStatus::Overdue) {
            desired.absent.push(ordinal);
            if desired.present().next().is_none() || !has_room(facts, desired, current) {
                desired.absent.pop();
            }
        }
    }
}

/// Returns the hash that all present members ask for; `None` if they differ or one of them is not live.
fn common_hash(facts: &Facts, assignment: &Assignment, now: Now) -> Option<Hasher> {
    let mut hashes = assignment.present().map(|ordinal| facts.live_member(ordinal, now).map(|member| member.hash));
    let first = hashes.next()??;
    hashes.all(|hash| hash == Some(first)).then_some(first)
}

/// Returns the ordinals that the StatefulSet wants and that do not serve their own share, and those whose ranges nobody serves.
fn missing(facts: &Facts, current: &Assignment) -> Vec<u32> {
    let wanted = facts.wanted_replicas().unwrap_or(current.total);
    let lacks = |ordinal: &u32| !current.has(*ordinal) && (*ordinal < wanted || current.untaken.contains(ordinal));
    (0..wanted.max(current.total)).filter(lacks).collect()
}

/// Returns the members that serve, and that leave or that the StatefulSet no longer wants. If an assignment without them is not
/// proposed, no member has room for their ranges.
fn without_room(facts: &Facts, current: &Assignment, now: Now) -> Vec<u32> {
    let wanted = facts.wanted_replicas().filter(|wanted| *wanted > 0).unwrap_or(current.total);
    let is_to_go = |ordinal: &u32| {
        *ordinal >= wanted || facts.live_member(*ordinal, now).is_some_and(|member| member.phase == Phase::Leaving)
    };
    let stays = |ordinal: u32| !is_to_go(&ordinal);
    // If all of them are to go, there is nobody who could have room.
    if current.present().any(stays) { current.present().filter(is_to_go).collect() } else { Vec::new() }
}

/// Returns a change in which every member starts to serve without preparation; `None` for zero members.
fn start_from_nothing(total: u32, facts: &Facts) -> Option<RecordChange> {
    let generation = facts.highest() + 1;
    let fresh = ColdStart { generation, below: total };
    let current = Assignment { generation, fresh, ..all_present(total, facts.own.hash) };
    (total > 0).then_some(RecordChange { current, next: None, revisions: 1 })
}

/// Returns `current` without the lost members. The others take over their ranges as far as they have room.
fn without_lost(facts: &Facts, current: &Assignment, lost: &[u32], generation: u64) -> Assignment {
    let mut after = Assignment { generation, ..current.clone() };
    for ordinal in lost {
        after.absent.push(*ordinal);
        if !has_room(facts, &after, current) {
            after.untaken.insert(*ordinal);
        }
    }
    after
}

const fn unscheduled(mut view: Assignment, generation: u64) -> Next {
    view.generation = generation;
    Next { view, switch: None, stamp_wait: None }
}

/// Returns `next` with its switch scheduled by the boot clock of this member.
fn schedule(next: &Next, now: Now) -> Next {
    Next { switch: Some(SwitchTime { at: millis(now.boot + SWITCH_LEAD) }), ..next.clone() }
}

/// Whether each member that gains ranges may own what `after` gives it: at most twice its share with all members present, and no
/// more than it can hold.
fn has_room(facts: &Facts, after: &Assignment, before: &Assignment) -> bool {
    after.present().all(|ordinal| {
        let (points, owned) = (facts.points(after, ordinal), facts.points(before, ordinal));
        points <= owned + TOLERANCE
            || (points <= facts.points_if_all_present(after, ordinal) * 2 + TOLERANCE
                && statement_of(facts, ordinal).is_none_or(|member| fits(member, points)))
    })
}

/// Whether a member can hold `points`.
fn fits(member: &Member, points: u128) -> bool {
    member.capacity.is_none_or(|units| points <= (u128::from(units) << 32) + TOLERANCE)
}

/// Returns the newest statement of a member, live or not.
fn statement_of(facts: &Facts, ordinal: u32) -> Option<&Member> {
    match ordinal == facts.ordinal() {
        true => Some(&facts.own),
        false => facts.peers.get(ordinal).map(|peer| &peer.member),
    }
}

/// Returns the members that block the switch to `next`: first those that have not prepared it, then those that serve in
/// either assignment and may not know the record.
fn blocking_switch(facts: &Facts, record: &Record, next: &Assignment, now: Now) -> Vec<u32> {
    let unprepared = unprepared(facts, &record.current, next, now);
    if unprepared.is_empty() { unconfirmed(facts, record, next, now) } else { unprepared }
}

/// Returns the members that gain ranges in `next` and have not prepared it. One that gains nothing may lack its own ranges:
/// that does not block the others.
fn unprepared(facts: &Facts, current: &Assignment, next: &Assignment, now: Now) -> Vec<u32> {
    let has_prepared =
        |ordinal: &u32| facts.live_member(*ordinal, now).is_some_and(|member| member.prepared == Some(next.generation));
    let gains = |ordinal: &u32| !facts.gained(current, next, *ordinal).is_empty();
    next.present().filter(|ordinal| !has_prepared(ordinal) && gains(ordinal)).collect()
}

/// Returns the members of the current and the next assignment that may be serving and have not confirmed the record within
/// the last moments.
fn unconfirmed(facts: &Facts, record: &Record, next: &Assignment, now: Now) -> Vec<u32> {
    let members: BTreeSet<u32> = record.current.present().chain(next.present()).collect();
    let is_unconfirmed = |ordinal: &u32| {
        facts.peers.get(*ordinal).is_some_and(|peer| {
            let may_serve = peer.may_have_predecessor(now) || facts.liveness(peer, now) != Liveness::Dead;
            may_serve && !peer.follows_now(record.revision, now)
        })
    };
    members.into_iter().filter(is_unconfirmed).collect()
}
