//! Everything that a member has observed, and pure questions about it.
//!
//! May not know the decisions that follow: no fact depends on a decision. The one exception is the member's own statement.
//! The state machine stores it here, so that the rules treat all members alike.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peers::{Liveness, Peer, Peers, runs_in_place_of};
use super::range_cache::RangeCache;
use super::status::Lost;
use super::timing::{LEASE_DURATION, Now, SWITCH_LEAD, StampPoint};
use crate::fleet::FormatError;
use crate::fleet::instructions::Instructions;
use crate::fleet::record::{Assignment, Incarnation, Member, Next, Phase, Record, Suspicion, successor};
use crate::sharding::{MOST_SHARDS, Slice};

/// Crashes that are older than this, in seconds, no longer count.
const CRASH_MEMORY: u64 = 3600;
/// The most crashes that are remembered. The backoff does not grow with more.
const MAX_CRASHES: usize = 8;
/// How far the word of the peers extends the confirmation by the API server before that ends.
const BRIDGE: Duration = Duration::from_secs(1);
/// How many members prepare to take the place of a coordinator that may have ended.
const CANDIDATES: u32 = 3;

/// The observations of one member.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The latest statement of this process, as its Lease and its heartbeats carry it.
    pub own: Member,
    /// The other members.
    pub peers: Peers,
    /// The StatefulSet as last seen.
    pub statefulset: Option<StatefulSet>,
    /// Whether it still exists.
    pub statefulset_exists: bool,
    /// What its annotations ask for.
    pub instructions: Instructions,
    /// Whether the first list of Leases is complete, so that every predecessor is known.
    pub leases_listed: bool,
    /// The newest record; `None` while this member discovers its fleet.
    pub record: Option<FollowedRecord>,
    /// A newer record that this program cannot read. Until it can, it neither writes a record nor is it ready.
    pub unreadable_record: Option<UnreadableRecord>,
    /// Whether the API server has no record, or an older one than this member follows, or a damaged one: it may have been restored.
    pub record_is_lost: bool,
    /// When the API server last confirmed these facts to this member: the time of the newest own Lease write that came back.
    pub confirmed_at: Option<Duration>,
    /// The process of this ordinal before this one, as its Lease described it.
    pub predecessor: Option<Predecessor>,
    /// Until when another process of this ordinal may run that held its Lease (boot time).
    pub rival_until: Option<Duration>,
    /// Whether the Pods of other ordinals are Ready, as far as asked.
    pub ready_pods: BTreeMap<u32, bool>,
    /// The slice that is synced and kept up to date.
    pub loaded: Slice,
    /// With `--seamless-handover`: within which time all clients that scrape regularly come again.
    pub scrape_wait: Option<Duration>,
    /// The newest generation for which all of them have fetched the series that it loses, with their timestamp.
    pub stamped: Option<u64>,
    ranges: RangeCache,
}

/// The parts of the StatefulSet that matter to the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatefulSet {
    pub uid: String,
    /// The number of replicas in its spec.
    pub replicas: u32,
}

/// A record, and what this member knows about its times.
#[derive(Clone, Debug)]
pub(super) struct FollowedRecord {
    pub record: Record,
    /// When this member first saw the record (boot time).
    pub received_at: Duration,
    /// When the scheduled switch is due by our boot clock. Present exactly if the record schedules a switch.
    pub switch_at: Option<Duration>,
    /// When this member first saw the next assignment. Present exactly if the record has one.
    pub next_since: Option<Duration>,
    /// When the series that move get their timestamp. Present exactly if the record says so.
    pub stamps: Option<StampPoint>,
}

/// A record that this program cannot read.
#[derive(Clone, Debug)]
pub(super) struct UnreadableRecord {
    pub error: FormatError,
    /// Until when it counts (boot time), if a peer sent it; `None` if it is in the Lease.
    pub until: Option<Duration>,
}

/// An earlier process of this ordinal.
#[derive(Clone, Debug)]
pub(super) struct Predecessor {
    pub member: Member,
    /// Until when a predecessor may still be running (boot time).
    pub may_run_until: Duration,
}

impl Facts {
    /// Returns the facts of a process that has observed nothing.
    pub fn new(own: Member) -> Self {
        Self {
            own,
            peers: Peers::default(),
            statefulset: None,
            statefulset_exists: false,
            instructions: Instructions::default(),
            leases_listed: false,
            record: None,
            unreadable_record: None,
            record_is_lost: false,
            confirmed_at: None,
            predecessor: None,
            rival_until: None,
            ready_pods: BTreeMap::new(),
            loaded: Slice::none(),
            scrape_wait: None,
            stamped: None,
            ranges: RangeCache::default(),
        }
    }

    pub const fn ordinal(&self) -> u32 {
        self.own.id.ordinal
    }

    /// Returns the number of replicas in the StatefulSet's spec, if known.
    pub fn wanted_replicas(&self) -> Option<u32> {
        self.statefulset.as_ref().map(|set| set.replicas)
    }

    /// Whether the Pod of `ordinal` is known to be Ready.
    pub fn pod_is_ready(&self, ordinal: u32) -> bool {
        self.ready_pods.get(&ordinal).copied().unwrap_or_default()
    }

    /// Whether a predecessor of this process may still be running.
    pub fn may_have_predecessor(&self, now: Now) -> bool {
        self.predecessor.as_ref().is_some_and(|predecessor| now.boot < predecessor.may_run_until)
            || self.rival_until.is_some_and(|until| now.boot < until)
    }

    /// Whether an assignment that has this ordinal means this process, and not a later one.
    pub fn is_meant(&self, assignment: &Assignment) -> bool {
        self.own.life >= assignment.life(self.ordinal())
    }

    /// Returns the life of the newest known process of an ordinal, 0 without one.
    fn life(&self, ordinal: u32) -> u64 {
        let peer = |ordinal| self.peers.get(ordinal).map_or(0, |peer| peer.member.life);
        if ordinal == self.ordinal() { self.own.life } else { peer(ordinal) }
    }

    /// Returns the lives of the processes that an assignment means, as far as they are known now.
    pub fn lives(&self, assignment: &Assignment) -> Vec<u64> {
        (0..assignment.total).map(|ordinal| assignment.life(ordinal).max(self.life(ordinal))).collect()
    }

    /// Whether an assignment may still mean an earlier process of a present ordinal.
    pub fn has_later_lives(&self, assignment: &Assignment) -> bool {
        assignment.present().any(|ordinal| self.life(ordinal) > assignment.life(ordinal).max(1))
    }
}

/// The record.
impl Facts {
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref().map(|followed| &followed.record)
    }

    /// Returns the highest revision or generation that the record or any Lease mentions.
    pub fn highest(&self) -> u64 {
        let members = self.peers.iter().map(|peer| peer.member.highest());
        members.chain([self.own.highest(), self.record().map_or(0, |record| record.revision)]).max().unwrap_or_default()
    }

    /// Whether a live member follows a newer record than this one, which that member tells, or writes again.
    pub fn is_behind(&self, now: Now) -> bool {
        let known = self.record().map_or(0, |record| record.revision);
        self.live_peers(now).any(|peer| peer.member.follows > known && peer.member.highest() > known)
    }

    /// Returns the current assignment.
    pub fn current(&self) -> Option<&Assignment> {
        self.record().map(|record| &record.current)
    }

    /// Returns the next assignment, scheduled or not.
    pub fn next(&self) -> Option<&Next> {
        self.record()?.next.as_ref()
    }

    /// Returns the assignment whose switch is scheduled, and when it is due (boot time).
    pub fn scheduled_switch(&self) -> Option<(Duration, &Assignment)> {
        Some((self.record.as_ref()?.switch_at?, &self.next()?.view))
    }

    /// Whether the scheduled switch may have ended an assignment. No member writes the record again after a switch, so a process that
    /// has just started may read it much later. It cannot tell until it knows the clock of the member that wrote it.
    pub fn may_be_over(&self, assignment: &Assignment) -> bool {
        self.record().is_some_and(|record| {
            record.is_switching()
                && record.current.generation == assignment.generation
                && self.clock_offset(&record.coordinator).is_none()
        })
    }

    /// Whether others depend on this member after the scheduled switch.
    pub fn is_about_to_serve(&self) -> bool {
        self.scheduled_switch().is_some_and(|(_, assignment)| assignment.has(self.ordinal()))
    }

    /// Follows a newer record. Returns whether its current assignment has another generation.
    pub fn follow(&mut self, record: Record, now: Now) -> bool {
        let next_generation = |record: &Record| record.next.as_ref().map(|next| next.view.generation);
        let before = self.record.take();
        // It was at most this far in the future when it was written, whatever the clocks say.
        let latest = record.is_switching().then(|| now.boot + SWITCH_LEAD);
        let switch_at = self.switch_time(&record, now.boot).or(latest);
        let same_next = before.as_ref().filter(|before| next_generation(&before.record) == next_generation(&record));
        let next_since = match same_next {
            Some(before) => before.next_since,
            None => next_generation(&record).map(|_| now.boot),
        };
        let stamps = Self::stamp_point(&record, before.as_ref(), now);
        let changed = before.is_none_or(|before| before.record.current.generation != record.current.generation);
        self.record = Some(FollowedRecord { record, received_at: now.boot, switch_at, next_since, stamps });
        changed
    }

    /// Computes the time of the scheduled switch again, from the newest clock offsets. A known time stays if the process that set it
    /// is forgotten.
    pub fn update_switch_time(&mut self) {
        let switch_at = self.record.as_ref().and_then(|known| self.switch_time(&known.record, known.received_at));
        if let Some(known) = &mut self.record {
            known.switch_at = switch_at.or(known.switch_at);
        }
    }

    /// Makes the next assignment the current one. Returns since when it was the next one.
    pub fn complete_switch(&mut self) -> Option<Duration> {
        let known = self.record.as_mut()?;
        let next = known.record.next.take()?;
        known.record.current = next.view;
        (known.switch_at, known.stamps) = (None, None);
        known.next_since.take()
    }

    /// Returns when the scheduled switch of `record` is due by our boot clock. The record has the time by the boot clock of the
    /// member that wrote it, and the offset of that clock may become known later than the record (`None`).
    fn switch_time(&self, record: &Record, received_at: Duration) -> Option<Duration> {
        let switch = record.next.as_ref()?.switch?;
        let ours = i64::try_from(switch.at).ok()?.saturating_sub(self.clock_offset(&record.coordinator)?);
        Some(Duration::from_millis(u64::try_from(ours).unwrap_or(0)).min(received_at + SWITCH_LEAD))
    }

    /// Returns when the series that move get their timestamp. It stays the same within a generation.
    fn stamp_point(record: &Record, before: Option<&FollowedRecord>, now: Now) -> Option<StampPoint> {
        let next = record.next.as_ref()?;
        let (wait, generation) = (next.stamp_wait?, next.view.generation);
        let known = before.and_then(|before| before.stamps).filter(|known| known.generation == generation);
        known.or_else(|| Some(StampPoint::new(generation, wait, now)))
    }

    /// Returns when the series that move in the next generation get their timestamp.
    pub fn stamps(&self) -> Option<StampPoint> {
        self.record.as_ref()?.stamps
    }

    /// Returns the boot clock of a process minus ours in milliseconds, if known.
    pub fn clock_offset(&self, id: &Incarnation) -> Option<i64> {
        if *id == self.own.id { Some(0) } else { self.peers.clock_offset(id) }
    }
}

/// The members.
impl Facts {
    pub fn liveness(&self, peer: &Peer, now: Now) -> Liveness {
        self.peers.liveness(peer, now, self.confirmed_at, self.may_serve(peer))
    }

    /// Whether the current or the next assignment counts on a peer.
    fn may_serve(&self, peer: &Peer) -> bool {
        let next = self.next().map(|next| &next.view);
        self.current().into_iter().chain(next).any(|assignment| assignment.has(peer.member.id.ordinal))
    }

    /// Returns the newest statement of a live member, which may be this one.
    pub fn live_member(&self, ordinal: u32, now: Now) -> Option<&Member> {
        if ordinal == self.ordinal() {
            return Some(&self.own);
        }
        let peer = self.peers.get(ordinal)?;
        (self.liveness(peer, now) == Liveness::Live).then_some(&peer.member)
    }

    /// Returns the recipients of heartbeats: every member that has neither left nor been silent, in its Lease and towards this
    /// member, for longer than a Lease lasts. A silent one stays while another member hears it.
    pub fn contacts(&self, now: Now) -> impl Iterator<Item = &Member> {
        let is_contact = move |peer: &&Peer| {
            let is_silent = peer.lease_has_expired(self.confirmed_at) && !peer.was_heard(LEASE_DURATION, now);
            peer.member.phase != Phase::Left && (!is_silent || self.liveness(peer, now) != Liveness::Dead)
        };
        self.peers.iter().filter(is_contact).map(|peer| &peer.member)
    }

    /// Forgets a member whose Lease was deleted, unless it may be serving or an assignment counts on it.
    pub fn forget_if_over(&mut self, ordinal: u32, now: Now) {
        let counts = |assignment: &Assignment| ordinal < assignment.total;
        let needed = self.current().is_some_and(counts) || self.next().is_some_and(|next| counts(&next.view));
        let is_dead = self.peers.get(ordinal).is_some_and(|peer| self.liveness(peer, now) == Liveness::Dead);
        if is_dead && !needed {
            self.peers.remove(ordinal);
        }
    }

    /// Returns the other live members.
    pub fn live_peers(&self, now: Now) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(move |peer| self.liveness(peer, now) == Liveness::Live)
    }

    /// Whether this process is the coordinator.
    pub fn is_coordinator(&self) -> bool {
        self.record().is_some_and(|record| record.coordinator == self.own.id)
    }

    /// Whether the coordinator is able to write: it is this process, or a peer whose Lease has not expired. To this member, one
    /// that the operator wants to avoid is none.
    pub fn has_coordinator(&self, now: Now) -> bool {
        let Some(coordinator) = self.record().map(|record| &record.coordinator) else { return false };
        if coordinator.ordinal == self.ordinal() {
            return *coordinator == self.own.id;
        }
        let avoided = &self.instructions.avoided;
        if avoided.contains(&coordinator.ordinal)
            && !avoided.contains(&self.ordinal())
            && self.own.phase != Phase::Leaving
        {
            return false;
        }
        self.peers.get(coordinator.ordinal).is_some_and(|peer| {
            peer.member.id == *coordinator
                && self.liveness(peer, now) != Liveness::Dead
                && !peer.lease_has_expired(self.confirmed_at)
        })
    }

    /// Returns how many live members have precedence over this one in the election of a coordinator: lower ordinals first,
    /// then members that leave, and last those that the operator wants to avoid.
    pub fn election_rank(&self, now: Now) -> u32 {
        let avoided = |ordinal| self.instructions.avoided.contains(&ordinal);
        let key = |member: &Member| (avoided(member.id.ordinal), member.phase == Phase::Leaving, member.id.ordinal);
        let precedes = |peer: &&Peer| !peer.lease_has_expired(self.confirmed_at) && key(&peer.member) < key(&self.own);
        self.live_peers(now).filter(precedes).count() as u32
    }

    /// Returns the suspicions that this member stores in its Lease: those of the coordinator, and of the members that would
    /// take its place. All others report whom they do not hear to their peers alone, or a large fleet would write a Lease per
    /// member for each crash.
    pub fn suspicions_to_store(&self, now: Now) -> Vec<Suspicion> {
        let suspicions: Vec<_> = self.peers.suspicions().collect();
        let coordinator = self.record().map(|record| &record.coordinator);
        let vacant = || suspicions.iter().any(|it| Some(&it.id) == coordinator) || !self.has_coordinator(now);
        let may_decide =
            suspicions.is_empty() || self.is_coordinator() || (vacant() && self.election_rank(now) < CANDIDATES);
        if may_decide { suspicions } else { Vec::new() }
    }

    /// Answers suspicions that this process has ended.
    pub fn refute(&mut self, suspicions: &[Suspicion]) {
        let of_us = suspicions.iter().any(|it| it.id == self.own.id && it.number == successor(self.own.refuted));
        if of_us {
            self.own.refuted = successor(self.own.refuted);
            self.own.sequence = successor(self.own.sequence);
        }
    }

    /// Notes that the own Lease described `other`, an earlier process of this ordinal. Returns whether that process crashed
    /// in the same Pod.
    pub fn observe_predecessor(&mut self, other: Member, now: Now) -> bool {
        let left = other.phase == Phase::Left;
        self.own.life = self.own.life.max(successor(other.life));
        self.own.found = self.own.highest().max(other.highest());
        let may_run_until = match left || runs_in_place_of(&self.own, &other) {
            true => self.predecessor.as_ref().map_or(Duration::ZERO, |before| before.may_run_until),
            false => now.boot + LEASE_DURATION,
        };
        let seconds = now.unix / 1000;
        // A new Pod starts without a history: the crashes of the Pod before may be due to its node.
        let same_pod = other.id.pod == self.own.id.pod;
        if same_pod {
            self.own.crashes = other.crashes.clone();
            if !left {
                self.own.crashes.push(seconds);
            }
        }
        self.own.crashes.retain(|at| seconds.abs_diff(*at) <= CRASH_MEMORY);
        let surplus = self.own.crashes.len().saturating_sub(MAX_CRASHES);
        self.own.crashes.drain(..surplus);
        self.predecessor = Some(Predecessor { member: other, may_run_until });
        same_pod && !left
    }
}

/// How long the facts may be relied on.
impl Facts {
    /// Returns when the API server last confirmed these facts, to this member or to a peer that reported it.
    pub fn last_confirmed(&self) -> Option<Duration> {
        self.peers.iter().map(|peer| peer.confirmed_at).fold(self.confirmed_at, Option::max)
    }

    /// Returns until when (boot time) the current assignment may be relied on without further observations; `None` without a
    /// record.
    pub fn valid_until(&self, now: Now) -> Option<Duration> {
        let record = self.record()?;
        if self.is_alone(now) {
            // A member may start while this process is paused, and serve in its place.
            return Some(now.boot + LEASE_DURATION);
        }
        let by_server = self.last_confirmed().map(|at| at + LEASE_DURATION);
        if let Some(until) = by_server.filter(|until| now.boot < *until) {
            // Bridges the time until the next decision, which may come late.
            let by_peers = self.valid_until_by_peers(record, now).unwrap_or_default();
            return Some(by_peers.min(until + BRIDGE).max(until));
        }
        Some(match self.valid_until_by_peers(record, now) {
            Some(by_peers) => by_server.map_or(by_peers, |by_server| by_peers.max(by_server)),
            None => by_server.unwrap_or_default(),
        })
    }

    /// Whether this member serves everything, and no other one is known that may have news.
    pub fn is_alone(&self, now: Now) -> bool {
        self.current().is_some_and(|current| current.total == 1)
            && self.peers.iter().all(|peer| self.has_ended(peer, now))
    }

    /// Whether this member has read all news of the time before `since` (boot time): its own Lease came back through the watch after
    /// a later write, or every member that may have written the record has answered a later heartbeat.
    pub fn is_confirmed_since(&self, since: Duration, now: Now) -> bool {
        let has_news = |peer: &&Peer| !self.has_ended(peer, now);
        let answered = |peer: &Peer| peer.answered_at().is_some_and(|at| at >= since);
        let mut with_news = self.peers.iter().filter(has_news).peekable();
        self.confirmed_at.is_some_and(|at| at >= since) || (with_news.peek().is_some() && with_news.all(answered))
    }

    /// Returns until when the assignment is valid if no known member reaches the API server. If every member that serves
    /// answers, and none of them reaches it, no member can change the record.
    fn valid_until_by_peers(&self, record: &Record, now: Now) -> Option<Duration> {
        let next = record.next.as_ref().map(|next| &next.view);
        let members = record.current.present().chain(next.into_iter().flat_map(Assignment::present));
        let mut until = now.boot + LEASE_DURATION;
        for ordinal in members.filter(|ordinal| *ordinal != self.ordinal()) {
            let peer = self.peers.get(ordinal);
            if peer.is_some_and(|peer| self.has_ended(peer, now)) {
                continue;
            }
            until = until.min(peer?.answered_at()? + LEASE_DURATION);
        }
        Some(until)
    }

    /// Whether a peer has ended, as far as peers can tell: an expired Lease proves nothing while the API server is out of
    /// reach, and a suspicion cannot be stored.
    fn has_ended(&self, peer: &Peer, now: Now) -> bool {
        self.peers.is_lost_to_two(peer, now) || self.peers.liveness(peer, now, None, true) == Liveness::Dead
    }
}

/// Ranges.
impl Facts {
    /// Returns the slice that this member owns in an assignment.
    pub fn owned(&self, assignment: &Assignment) -> Slice {
        self.ranges.slice(assignment, self.ordinal())
    }

    /// Returns the slice that this member would own if no member were absent: it loads that before it may serve.
    pub fn full_share(&self) -> Slice {
        let total = self.wanted_replicas().or(self.current().map(|assignment| assignment.total)).unwrap_or(0);
        if total == 0 {
            return Slice::none();
        }
        let hash = self.current().map_or(self.own.hash, |assignment| assignment.hash);
        let total = total.max(self.ordinal().saturating_add(1)).min(MOST_SHARDS);
        self.ranges.slice_if_all_present(total, hash, self.ordinal())
    }

    /// Whether the full share of this member is loaded.
    pub fn has_full_share(&self) -> bool {
        let full_share = self.full_share();
        !full_share.is_empty() && self.loaded.covers(&full_share)
    }

    /// Returns what a member owns in `after` and not in `before`.
    pub fn gained(&self, before: &Assignment, after: &Assignment, ordinal: u32) -> Slice {
        self.ranges.slice(after, ordinal).minus(&self.ranges.slice(before, ordinal))
    }

    /// Returns what others take at once from the members that `after` dismisses; `None` without such ranges, or if this member never
    /// heard one of the dismissed.
    pub fn lost(&self, before: &Assignment, after: &Assignment) -> Option<Lost> {
        let mut dismissed = after.absent.iter().filter(|ordinal| before.has(**ordinal));
        let signs = dismissed.by_ref().map(|ordinal| self.peers.get(*ordinal).and_then(Peer::last_sign_of_life));
        let alive_at = signs.min()??;
        let taken = after.present().fold(Slice::none(), |all, other| all.union(&self.gained(before, after, other)));
        (!taken.is_empty()).then_some(Lost { taken, alive_at })
    }

    /// Returns how many points of the hash space a member owns in an assignment.
    pub fn points(&self, assignment: &Assignment, ordinal: u32) -> u128 {
        self.ranges.slice(assignment, ordinal).ranges(assignment.hash).size()
    }

    /// Returns how many points it would own there with no member absent.
    pub fn points_if_all_present(&self, assignment: &Assignment, ordinal: u32) -> u128 {
        self.ranges.slice_if_all_present(assignment.total, assignment.hash, ordinal).ranges(assignment.hash).size()
    }
}
