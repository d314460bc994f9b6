//! The coordinator's part: what the record should say next, from what one member knows.
//!
//! Three kinds of change. At once, when members are lost: their ranges go to others, who expose them as soon as they are
//! loaded; nothing moves between the living. Planned, for all else: a next view, prepared by all of its members, then a
//! moment for the switch. From nothing, when nobody serves any more.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::machine::Machine;
use super::members::Liveness;
use super::{LEAD, Now, START_LIMIT};
use crate::fleet::record::{Fresh, LAYOUT, Member, Next, Phase, Record, Switch, View};
use crate::sharding::{Assignment, Hasher, Slice};

/// Rounding of shares must not make a difference: one part in 2^24.
const TOLERANCE: u128 = 1 << 40;

/// A change of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordChange {
    pub current: View,
    pub next: Option<Next>,
    /// How much the revision grows.
    pub revisions: u64,
}

/// What one member would do if it were the coordinator, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proposal {
    pub change: Option<RecordChange>,
    /// Nothing is to be done and nobody is missing.
    pub settled: bool,
    /// Whom it waits for.
    pub waiting_for: Vec<u32>,
    /// Who never had a Lease: only their Pods can tell what they are.
    pub unstarted: Vec<u32>,
}

/// What a member of the current view does in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberStatus {
    /// It serves.
    Serving,
    /// It may be serving: nothing is known for certain.
    MaybeServing,
    /// It has not begun yet, and may still; the flag says whether it lives.
    Starting(bool),
    /// It lives, and should have begun long ago.
    Overdue,
    /// It does not serve, and will not.
    Lost,
}

/// What the coordinator remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct CoordinatorMemory {
    /// Since when members of the view with this fresh generation are waited for, by ordinal.
    unstarted: (u64, BTreeMap<u32, Duration>),
    /// Since when the StatefulSet wants this many, which is more than the view has.
    growing: Option<(u32, Duration)>,
}

impl CoordinatorMemory {
    /// What should change.
    pub fn propose(&mut self, m: &Machine, now: Now) -> Proposal {
        let Some(record) = m.known_record() else {
            let change = m.wanted_replicas().and_then(|replicas| bootstrap(1, replicas, m));
            return Proposal { change, ..Proposal::default() };
        };
        if record.is_switching() {
            return Proposal::default();
        }
        let current = &record.current;
        let statuses = self.statuses(m, record, now);
        let of = |wanted: fn(MemberStatus) -> bool| -> Vec<u32> {
            statuses.iter().filter(|(_, status)| wanted(**status)).map(|(ordinal, _)| *ordinal).collect()
        };
        let mut proposal = Proposal {
            unstarted: of(|status| matches!(status, MemberStatus::Starting(false) | MemberStatus::MaybeServing))
                .into_iter()
                .filter(|ordinal| m.others().get(*ordinal).is_none())
                .collect(),
            ..Proposal::default()
        };
        let somebody =
            statuses.values().any(|status| !matches!(status, MemberStatus::Lost | MemberStatus::Starting(false)));
        if !somebody {
            let total = m.wanted_replicas().unwrap_or(current.total);
            // Those who may start do so anyway; a new beginning is for those who may not.
            if !of(|status| status == MemberStatus::Lost).is_empty() || current.present().next().is_none() {
                proposal.change = bootstrap(record.revision + 1, total, m);
            }
            return proposal;
        }
        let lost = of(|status| status == MemberStatus::Lost);
        if !lost.is_empty() {
            let after = without_lost(m, current, &lost, record.revision + 1);
            let desired = self.desired(m, &after, &statuses, now);
            let next = (!desired.is_like(&after)).then(|| planned(desired, record.revision + 2));
            let revisions = 1 + u64::from(next.is_some());
            proposal.waiting_for = lost;
            proposal.change = Some(RecordChange { current: after, next, revisions });
            return proposal;
        }
        let desired = self.desired(m, current, &statuses, now);
        let change = |next| Some(RecordChange { current: current.clone(), next, revisions: 1 });
        match &record.next {
            None if desired.is_like(current) => {
                proposal.waiting_for = missing(m, current);
                proposal.settled =
                    proposal.waiting_for.is_empty() && of(|f| matches!(f, MemberStatus::Starting(_))).is_empty();
            }
            Some(_) if desired.is_like(current) => proposal.change = change(None),
            Some(next) if next.view.is_like(&desired) => {
                proposal.waiting_for = unprepared(m, &next.view, now);
                if proposal.waiting_for.is_empty() {
                    proposal.waiting_for = unconfirmed(m, record, &next.view, now);
                }
                if proposal.waiting_for.is_empty() {
                    let at = now.unix + LEAD.as_millis() as u64;
                    let switch = Some(Switch { at, by: m.own_member().id.ordinal });
                    proposal.change = change(Some(Next { view: next.view.clone(), switch }));
                }
            }
            _ => proposal.change = change(Some(planned(desired, record.revision + 1))),
        }
        proposal
    }

    fn statuses(&mut self, m: &Machine, record: &Record, now: Now) -> BTreeMap<u32, MemberStatus> {
        let fresh = record.current.fresh.generation;
        if self.unstarted.0 != fresh {
            self.unstarted = (fresh, BTreeMap::new());
        }
        let statuses: BTreeMap<_, _> =
            record.current.present().map(|ordinal| (ordinal, self.status(m, record, ordinal, now))).collect();
        self.unstarted
            .1
            .retain(|ordinal, _| statuses.get(ordinal).is_some_and(|f| !matches!(f, MemberStatus::Serving)));
        statuses
    }

    fn status(&mut self, m: &Machine, record: &Record, ordinal: u32, now: Now) -> MemberStatus {
        let mut waited = |life: Liveness| {
            let since = *self.unstarted.1.entry(ordinal).or_insert(now.boot);
            match (now.boot.saturating_sub(since) < START_LIMIT, life) {
                (true, life) => MemberStatus::Starting(life == Liveness::Live),
                (false, Liveness::Live) => MemberStatus::Overdue,
                (false, _) => MemberStatus::Lost,
            }
        };
        let (member, life, predecessor) = match m.others().get(ordinal) {
            _ if ordinal == m.own_member().id.ordinal => (m.own_member(), Liveness::Live, false),
            Some(peer) => (&peer.member, peer.liveness(now, m.own_confirmed()), peer.has_predecessor(now)),
            // Ready without ever having held a Lease: an exporter that knows nothing of fleets.
            None if m.pod_is_ready(ordinal) => return MemberStatus::MaybeServing,
            None => return waited(Liveness::Dead),
        };
        match life {
            _ if predecessor => MemberStatus::MaybeServing,
            Liveness::Live if member.joined.is_some() => MemberStatus::Serving,
            Liveness::Live if member.follows < record.revision => MemberStatus::MaybeServing,
            Liveness::Live if member.awaits => MemberStatus::Lost,
            Liveness::Suspected => MemberStatus::MaybeServing,
            Liveness::Dead if member.joined.or(member.prepared).is_some() || member.phase == Phase::Left => {
                MemberStatus::Lost
            }
            life => waited(life),
        }
    }

    /// The view that the fleet should have, seen from `current`.
    fn desired(&mut self, m: &Machine, current: &View, statuses: &BTreeMap<u32, MemberStatus>, now: Now) -> View {
        let fit = |ordinal: &u32| {
            member(m, *ordinal, now).is_some_and(|member| member.phase == Phase::Fit && member.layout == LAYOUT)
                && m.others().get(*ordinal).is_none_or(|peer| !peer.has_predecessor(now))
        };
        let total = self.total(m, current, &fit, now);
        let mut desired = View { total, absent: Vec::new(), untaken: BTreeSet::new(), ..current.clone() };
        // Who is gone stays so in the same order, so that nothing moves without need.
        let stay_absent = current.absent.iter().copied().filter(|o| *o < total && !fit(o));
        let not_there = (current.total..total).filter(|ordinal| !fit(ordinal));
        for ordinal in stay_absent.chain(not_there) {
            let taken = current.absent.contains(&ordinal) && !current.untaken.contains(&ordinal);
            desired.absent.push(ordinal);
            if !taken && !has_room(m, &desired, current) {
                desired.untaken.insert(ordinal);
            }
        }
        // Who wants to leave serves on as long as nobody can take over.
        for ordinal in current.present().filter(|ordinal| *ordinal < total) {
            let leaving = member(m, ordinal, now).is_some_and(|member| member.phase == Phase::Leaving);
            if leaving || statuses.get(&ordinal) == Some(&MemberStatus::Overdue) {
                desired.absent.push(ordinal);
                if desired.present().next().is_none() || !has_room(m, &desired, current) {
                    desired.absent.pop();
                }
            }
        }
        let hashes: Vec<_> =
            desired.present().map(|ordinal| member(m, ordinal, now).map(|member| member.hash)).collect();
        if let [Some(hash), others @ ..] = &*hashes
            && others.iter().all(|other| *other == Some(*hash))
        {
            desired.hash = *hash;
        }
        // Who serves is not sent away before there is somebody to take over.
        let (nobody, somebody) = (desired.present().next().is_none(), current.present().next().is_some());
        if nobody && somebody { current.clone() } else { desired }
    }

    /// How many shards there should be: as the StatefulSet says, but newcomers are taken in when all of them are there,
    /// or have been waited for long enough.
    fn total(&mut self, m: &Machine, current: &View, fit: &impl Fn(&u32) -> bool, now: Now) -> u32 {
        let Some(wanted) = m.wanted_replicas().filter(|wanted| *wanted > 0) else { return current.total };
        if wanted <= current.total {
            self.growing = None;
            return wanted;
        }
        let since = match self.growing {
            Some((before, since)) if before == wanted => since,
            _ => now.boot,
        };
        self.growing = Some((wanted, since));
        if (current.total..wanted).all(|ordinal| fit(&ordinal)) {
            return wanted;
        }
        if now.boot.saturating_sub(since) < START_LIMIT {
            return current.total;
        }
        (current.total..wanted).rev().find(fit).map_or(current.total, |last| last + 1)
    }
}

/// The ordinals that the StatefulSet wants and that do not serve for themselves.
fn missing(m: &Machine, current: &View) -> Vec<u32> {
    let wanted = m.wanted_replicas().unwrap_or(current.total);
    (0..wanted).filter(|ordinal| !current.has(*ordinal)).collect()
}

/// A member that lives.
fn member(m: &Machine, ordinal: u32, now: Now) -> Option<&Member> {
    if ordinal == m.own_member().id.ordinal {
        return Some(m.own_member());
    }
    let peer = m.others().get(ordinal)?;
    (peer.liveness(now, m.own_confirmed()) == Liveness::Live).then_some(&peer.member)
}

/// Everybody begins anew.
fn bootstrap(generation: u64, total: u32, m: &Machine) -> Option<RecordChange> {
    let current =
        View { generation, fresh: Fresh { generation, below: total }, ..all_present(total, m.own_member().hash) };
    (total > 0).then_some(RecordChange { current, next: None, revisions: 1 })
}

/// A view in which everyone serves for themselves.
const fn all_present(total: u32, hash: Hasher) -> View {
    let fresh = Fresh { generation: 0, below: 0 };
    View { generation: 0, total, absent: Vec::new(), untaken: BTreeSet::new(), hash, layout: LAYOUT, fresh }
}

/// `current` without those who are lost.
fn without_lost(m: &Machine, current: &View, lost: &[u32], generation: u64) -> View {
    let mut after = View { generation, ..current.clone() };
    for ordinal in lost {
        let before = after.clone();
        after.absent.push(*ordinal);
        if !has_room(m, &after, &before) {
            after.untaken.insert(*ordinal);
        }
    }
    after
}

const fn planned(mut view: View, generation: u64) -> Next {
    view.generation = generation;
    Next { view, switch: None }
}

/// Whether each member may own what `after` gives it: at most as much again as its own share, and as it has room for.
fn has_room(m: &Machine, after: &View, before: &View) -> bool {
    after.present().all(|ordinal| {
        let size = m.share(after, ordinal);
        let room = match m.others().get(ordinal) {
            _ if ordinal == m.own_member().id.ordinal => m.own_member().headroom,
            peer => peer.and_then(|peer| peer.member.headroom),
        };
        let gain = size.saturating_sub(m.share(before, ordinal));
        size <= m.fair_share(after, ordinal) * 2 + TOLERANCE
            && room.is_none_or(|room| gain <= (u128::from(room) << 32) + TOLERANCE)
    })
}

/// The members of `next` that have not prepared it.
fn unprepared(m: &Machine, next: &View, now: Now) -> Vec<u32> {
    let prepared =
        |ordinal: &u32| member(m, *ordinal, now).is_some_and(|member| member.prepared == Some(next.generation));
    next.present().filter(|ordinal| !prepared(ordinal)).collect()
}

/// The live members of both views that have not confirmed just now that they know of the next one.
fn unconfirmed(m: &Machine, record: &Record, next: &View, now: Now) -> Vec<u32> {
    let both: BTreeSet<u32> = record.current.present().chain(next.present()).collect();
    let unsure = |ordinal: &u32| {
        m.others().get(*ordinal).is_some_and(|peer| {
            let serves = peer.has_predecessor(now) || peer.liveness(now, m.own_confirmed()) != Liveness::Dead;
            serves && !peer.follows_now(record.revision, now)
        })
    };
    both.into_iter().filter(unsure).collect()
}

/// Assignments that were worked out lately: the same few are asked for again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct AssignmentCache(RefCell<Vec<(View, Arc<Assignment>)>>);

impl AssignmentCache {
    /// What `ordinal` owns in `view`.
    pub fn slice(&self, view: &View, ordinal: u32) -> Slice {
        self.of(view).map_or_else(Slice::none, |assignment| Slice::of(view.hash, assignment.ranges(ordinal)))
    }

    /// What `ordinal` owns where everyone serves for themselves.
    pub fn of_all_present(&self, total: u32, hash: Hasher, ordinal: u32) -> Slice {
        self.slice(&all_present(total, hash), ordinal)
    }

    fn of(&self, view: &View) -> Option<Arc<Assignment>> {
        if view.layout != LAYOUT {
            return None;
        }
        let mut known = self.0.borrow_mut();
        if let Some((_, assignment)) = known.iter().find(|(other, _)| other.is_like(view)) {
            return Some(Arc::clone(assignment));
        }
        let assignment = Arc::new(Assignment::with_absent(view.total, &view.absent, &view.untaken).ok()?);
        if known.len() >= 8 {
            known.remove(0);
        }
        known.push((view.clone(), Arc::clone(&assignment)));
        Some(assignment)
    }
}
