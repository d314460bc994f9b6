//! The state of each other member: its newest statement, its liveness, its clock.
//!
//! May not know the record, nor the consequences of a member's death.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use super::timing::{LEASE_DURATION, Now, RENEW_PERIOD};
use crate::fleet::record::{Heartbeat, Incarnation, Member, Phase};
use crate::sharding::MOST_SHARDS;

/// A peer is connected if it answered a heartbeat that was sent this recently.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(3500);
/// A peer is live if its Lease changed this recently, even without a connection to it.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(8);
/// How long after its holder's death a Lease event may still arrive.
const LEASE_DELIVERY_LIMIT: Duration = Duration::from_secs(3);
/// The longest round trip from which the offset of a peer's clock is measured.
const MAX_CLOCK_ROUND_TRIP: Duration = Duration::from_millis(500);
/// A peer that answered a heartbeat this recently is known to be running at a switch.
const RUNNING_TIMEOUT: Duration = Duration::from_secs(2);
/// How many earlier processes of an ordinal are remembered.
const MAX_PAST_NONCES: usize = 16;
/// How many renewals of a Lease the estimate of its holder's clock uses.
const MAX_LEASE_OFFSETS: usize = 4;

/// Whether a member is alive, as far as this member can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// It answered a heartbeat or renewed its Lease recently.
    Live,
    /// It is silent, and may still expose its ranges. It becomes live with its next sign of life, or dead when its Lease
    /// has expired.
    Suspected,
    /// It exposes nothing, and will not expose anything again.
    Dead,
}

/// How a statement of a member arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// In its Lease, through the API server.
    Lease,
    /// In the answer to a heartbeat that was sent at this moment (boot time).
    Answer(Duration),
    /// In a heartbeat that it sent. It may have been on its way for long, so it proves nothing.
    Heartbeat,
}

/// The state of one other member.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its newest statement.
    pub member: Member,
    /// When the API server last confirmed its facts, in our boot time.
    pub confirmed_at: Option<Duration>,
    /// When this process of the ordinal was first seen.
    first_seen_at: Duration,
    /// When its Lease last changed, by the time of arrival.
    lease_changed_at: Option<Duration>,
    /// When the newest heartbeat that it answered was sent.
    answered_at: Option<Duration>,
    /// When its newest heartbeat arrived.
    heard_at: Option<Duration>,
    /// When its address began to refuse connections.
    refused_at: Option<Duration>,
    /// Until when its predecessor, an earlier process of the ordinal in another Pod, may still be running.
    predecessor_until: Option<Duration>,
    /// The nonces of earlier processes of the ordinal, oldest first.
    past_nonces: Vec<u64>,
    /// Its clock minus ours in milliseconds, measured by a heartbeat.
    clock_offset: Option<i64>,
    /// An ordinal whose clock it can tell, and that clock minus its own in milliseconds.
    reported_offset: Option<(u32, i64)>,
    /// Its clock minus ours in milliseconds, by its last Lease renewals. Each is too low by the delivery time of the Lease.
    lease_offsets: Vec<i64>,
}

impl Peer {
    fn new(member: Member, now: Now) -> Self {
        Self {
            member,
            confirmed_at: None,
            first_seen_at: now.boot,
            lease_changed_at: None,
            answered_at: None,
            heard_at: None,
            refused_at: None,
            predecessor_until: None,
            past_nonces: Vec::new(),
            clock_offset: None,
            reported_offset: None,
            lease_offsets: Vec::new(),
        }
    }

    /// Returns its liveness. This member has seen everything that was written before `confirmed_at`.
    pub fn liveness(&self, now: Now, confirmed_at: Option<Duration>) -> Liveness {
        if self.has_ended() {
            Liveness::Dead
        } else if self.gave_recent_sign_of_life(now) {
            Liveness::Live
        } else if self.lease_has_expired(confirmed_at)
            && self.answered_at.is_none_or(|at| now.since(at) > LEASE_DURATION)
        {
            Liveness::Dead
        } else {
            Liveness::Suspected
        }
    }

    /// Whether its Lease has expired, so that it cannot write any more. Its heartbeats do not matter here.
    pub fn lease_has_expired(&self, confirmed_at: Option<Duration>) -> bool {
        let changed_at = self.lease_changed_at.unwrap_or(self.first_seen_at);
        confirmed_at.is_some_and(|confirmed_at| confirmed_at.saturating_sub(changed_at) > LEASE_DURATION)
    }

    /// Whether it answers heartbeats.
    pub fn is_answering(&self, now: Now) -> bool {
        self.refused_at.is_none() && is_recent(self.answered_at, ANSWER_TIMEOUT, now)
    }

    /// Returns when the newest heartbeat that it answered was sent.
    pub const fn answered_at(&self) -> Option<Duration> {
        self.answered_at
    }

    /// Whether it answered a heartbeat or sent one within `period`.
    pub fn was_heard(&self, period: Duration, now: Now) -> bool {
        is_recent(self.answered_at, period, now) || is_recent(self.heard_at, period, now)
    }

    /// Whether it follows `revision` or a newer one, and was running a moment ago.
    pub fn follows_now(&self, revision: u64, now: Now) -> bool {
        self.member.follows >= revision
            && (is_recent(self.answered_at, RUNNING_TIMEOUT, now)
                || is_recent(self.lease_changed_at, RENEW_PERIOD + Duration::from_secs(1), now))
    }

    /// Whether its predecessor, an earlier process of the ordinal, may still be running.
    pub fn may_have_predecessor(&self, now: Now) -> bool {
        self.predecessor_until.is_some_and(|until| now.boot < until)
    }

    /// Whether the process is known to have ended.
    fn has_ended(&self) -> bool {
        self.refused_at.is_some() || self.member.phase == Phase::Left
    }

    fn gave_recent_sign_of_life(&self, now: Now) -> bool {
        self.is_answering(now) || is_recent(self.lease_changed_at, RENEWAL_TIMEOUT, now)
    }

    /// Notes a sign of life. One that is newer than a refused connection refutes the refusal.
    fn note_sign_of_life(&mut self, evidence: Evidence, now: Now) {
        match evidence {
            Evidence::Lease => {
                self.lease_changed_at = Some(now.boot);
                if self.refused_at.is_some_and(|at| now.since(at) > LEASE_DELIVERY_LIMIT) {
                    self.refused_at = None;
                }
            }
            Evidence::Answer(sent_at) => {
                self.answered_at = self.answered_at.max(Some(sent_at));
                if self.refused_at.is_some_and(|at| sent_at > at) {
                    self.refused_at = None;
                }
            }
            Evidence::Heartbeat => self.heard_at = Some(now.boot),
        }
    }

    /// Notes the clock that a Lease renewal shows: `offset` is the holder's clock minus ours in milliseconds.
    fn note_lease_offset(&mut self, offset: Option<i64>) {
        self.lease_offsets.extend(offset);
        let surplus = self.lease_offsets.len().saturating_sub(MAX_LEASE_OFFSETS);
        self.lease_offsets.drain(..surplus);
    }

    /// Whether `other`, a statement of another process of the ordinal, is from a newer process.
    fn is_replaced_by(&self, other: &Member, now: Now) -> bool {
        let is_past = self.past_nonces.contains(&other.id.nonce);
        match other.life.cmp(&self.member.life) {
            Ordering::Greater => true,
            Ordering::Equal => !is_past,
            // A process that found no Lease of its predecessor starts to count from 1.
            Ordering::Less => !is_past && (self.has_ended() || !self.gave_recent_sign_of_life(now)),
        }
    }

    /// Starts to track `member`, a newer process of the ordinal.
    fn replace(&mut self, member: Member, now: Now) {
        let old = std::mem::replace(self, Self::new(member, now));
        self.predecessor_until = match old.has_ended() || runs_in_place_of(&self.member, &old.member) {
            true => old.predecessor_until.filter(|until| now.boot < *until),
            false => Some(old.lease_changed_at.unwrap_or(now.boot) + LEASE_DURATION),
        };
        self.past_nonces = old.past_nonces;
        self.past_nonces.push(old.member.id.nonce);
        if self.past_nonces.len() > MAX_PAST_NONCES {
            self.past_nonces.remove(0);
        }
    }
}

/// Whether `new` proves by its Pod or address that `old` has ended: one Pod, or one address, runs one process at a time.
pub(super) fn runs_in_place_of(new: &Member, old: &Member) -> bool {
    old.id.pod == new.id.pod || old.address == new.address
}

fn is_recent(at: Option<Duration>, timeout: Duration, now: Now) -> bool {
    at.is_some_and(|at| now.since(at) <= timeout)
}

/// The other members, by ordinal.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(BTreeMap<u32, Peer>);

impl Peers {
    pub fn get(&self, ordinal: u32) -> Option<&Peer> {
        self.0.get(&ordinal)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.values()
    }

    /// Forgets a member.
    pub fn remove(&mut self, ordinal: u32) {
        self.0.remove(&ordinal);
    }

    /// Notes a statement of a member. Members, their processes, addresses and keys come from Leases alone: other evidence counts only
    /// for the process that the Lease names.
    pub fn observe(&mut self, mut member: Member, evidence: Evidence, now: Now) {
        let ordinal = member.id.ordinal;
        let lease_offset = member.renewed.take().map(|at| (at as i64).wrapping_sub(now.unix as i64));
        if ordinal >= MOST_SHARDS {
            return;
        }
        let by_lease = evidence == Evidence::Lease;
        let Some(peer) = self.0.get_mut(&ordinal) else {
            if !by_lease {
                return;
            }
            let mut peer = Peer::new(member, now);
            peer.note_sign_of_life(evidence, now);
            self.0.insert(ordinal, peer);
            return;
        };
        if peer.member.id == member.id {
            if evidence != Evidence::Heartbeat && member.sequence >= peer.member.sequence {
                let (address, key) = (peer.member.address.clone(), peer.member.key);
                peer.member = if by_lease { member } else { Member { address, key, ..member } };
            }
            peer.note_sign_of_life(evidence, now);
            peer.note_lease_offset(lease_offset);
        } else if by_lease && peer.is_replaced_by(&member, now) {
            peer.replace(member, now);
            peer.note_sign_of_life(evidence, now);
        }
    }

    /// Notes the clock and the confirmation in the answer to a heartbeat that was sent at `sent_at`.
    pub fn observe_answer(&mut self, answer: &Heartbeat, sent_at: Duration, now: Now) {
        let Some(peer) = self.incarnation_mut(&answer.member.id) else { return };
        if let Some(age) = answer.confirmed_age {
            peer.confirmed_at = peer.confirmed_at.max(sent_at.checked_sub(Duration::from_millis(age)));
        }
        let round_trip = now.since(sent_at);
        if round_trip <= MAX_CLOCK_ROUND_TRIP {
            let ours = now.unix.saturating_sub(round_trip.as_millis() as u64 / 2);
            peer.clock_offset = Some((answer.now as i64).wrapping_sub(ours as i64));
        }
        peer.reported_offset = answer.record.as_ref().map(|record| record.coordinator.ordinal).zip(answer.ahead);
    }

    /// Notes that the address of a process refuses connections.
    pub fn observe_refusal(&mut self, id: &Incarnation, now: Now) {
        if let Some(peer) = self.incarnation_mut(id) {
            peer.refused_at.get_or_insert(now.boot);
        }
    }

    /// Counts every Lease as renewed now. The API server was unreachable for longer than a Lease lasts, so a Lease that was
    /// not renewed says nothing about its holder.
    pub fn reset_leases(&mut self, now: Now) {
        for peer in self.0.values_mut() {
            peer.lease_changed_at = Some(now.boot);
        }
    }

    /// Returns the clock of a member minus ours in milliseconds: as measured, else as another member reports it, else as
    /// its Lease renewals show it.
    pub fn clock_offset(&self, ordinal: u32) -> Option<i64> {
        let peer = self.get(ordinal);
        let reported = || {
            let by = |peer: &Peer| peer.reported_offset.filter(|(of, _)| *of == ordinal).map(|(_, ahead)| ahead);
            self.iter().find_map(|peer| peer.clock_offset?.checked_add(by(peer)?))
        };
        let by_lease = || peer.and_then(|peer| peer.lease_offsets.iter().max().copied());
        peer.and_then(|peer| peer.clock_offset).or_else(reported).or_else(by_lease)
    }

    fn incarnation_mut(&mut self, id: &Incarnation) -> Option<&mut Peer> {
        self.0.get_mut(&id.ordinal).filter(|peer| peer.member.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::first_statement;
    use super::*;
    use crate::sharding::Hasher;

    fn at(seconds: u64) -> Now {
        Now { boot: Duration::from_secs(seconds), unix: 1_700_000_000_000 + seconds * 1000 }
    }

    fn member(nonce: u64, life: u64) -> Member {
        let id = Incarnation { ordinal: 1, pod: format!("pod-{nonce}"), nonce };
        Member { life, ..first_statement(id, format!("10.0.0.{nonce}:8082"), Hasher::XxHash64) }
    }

    fn peers(evidence: Evidence) -> Peers {
        let mut peers = Peers::default();
        peers.observe(member(1, 1), evidence, at(100));
        peers
    }

    fn liveness(peers: &Peers, now: u64, confirmed_at: Option<u64>) -> Option<Liveness> {
        peers.get(1).map(|peer| peer.liveness(at(now), confirmed_at.map(Duration::from_secs)))
    }

    #[test]
    fn a_silent_peer_is_suspected_until_its_lease_has_expired() {
        let peers = peers(Evidence::Lease);
        assert_eq!(liveness(&peers, 108, Some(108)), Some(Liveness::Live));
        assert_eq!(liveness(&peers, 109, Some(109)), Some(Liveness::Suspected));
        assert_eq!(liveness(&peers, 115, Some(115)), Some(Liveness::Suspected));
        assert_eq!(liveness(&peers, 116, Some(116)), Some(Liveness::Dead));
        assert_eq!(liveness(&peers, 116, None), Some(Liveness::Suspected), "nothing was read after its last renewal");
    }

    #[test]
    fn a_received_heartbeat_is_no_sign_of_life() {
        let mut peers = peers(Evidence::Lease);
        peers.observe(member(1, 1), Evidence::Heartbeat, at(109));
        assert_eq!(liveness(&peers, 109, None), Some(Liveness::Suspected));
        assert_eq!(liveness(&self::peers(Evidence::Heartbeat), 100, None), None, "it has no Lease");
    }

    #[test]
    fn a_later_answer_refutes_a_refused_connection() {
        let mut peers = peers(Evidence::Lease);
        peers.observe_refusal(&member(1, 1).id, at(101));
        assert_eq!(liveness(&peers, 101, None), Some(Liveness::Dead));
        let answer = |sent_at| Evidence::Answer(Duration::from_secs(sent_at));
        peers.observe(member(1, 1), answer(100), at(102));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Dead), "it answered before it was refused");
        peers.observe(member(1, 1), answer(102), at(102));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Live));
    }

    #[test]
    fn a_lease_refutes_a_refused_connection_only_after_its_delivery_time() {
        let mut peers = peers(Evidence::Lease);
        peers.observe_refusal(&member(1, 1).id, at(101));
        peers.observe(member(1, 1), Evidence::Lease, at(104));
        assert_eq!(liveness(&peers, 104, None), Some(Liveness::Dead), "it may have been written before the crash");
        peers.observe(member(1, 1), Evidence::Lease, at(105));
        assert_eq!(liveness(&peers, 105, None), Some(Liveness::Live));
    }

    #[test]
    fn a_heartbeat_does_not_replace_a_process_that_may_be_running() {
        let mut peers = peers(Evidence::Lease);
        let nonce = |peers: &Peers| peers.get(1).map(|peer| peer.member.id.nonce);
        peers.observe(member(2, 2), Evidence::Heartbeat, at(101));
        assert_eq!(nonce(&peers), Some(1));
        peers.observe(member(2, 2), Evidence::Lease, at(101));
        assert_eq!(nonce(&peers), Some(2));
        let may_have_predecessor = |now| peers.get(1).is_some_and(|peer| peer.may_have_predecessor(at(now)));
        assert!(may_have_predecessor(114) && !may_have_predecessor(115), "its Lease was renewed at 100");
    }
}
