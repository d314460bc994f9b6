//! The state of each other member: its newest statement, its liveness, its clock.
//!
//! May not know the record, nor the consequences of a member's death.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use super::timing::{LEASE_DURATION, Now, RENEW_PERIOD, millis};
use crate::fleet::record::{Heartbeat, Incarnation, MOST_UNHEARD, Member, Phase, Suspicion, successor};
use crate::sharding::MOST_SHARDS;

/// A peer is connected if it answered a heartbeat that was sent this recently.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(3500);
/// A peer is live if its Lease changed this recently, even without a connection to it.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(8);
/// How long after its holder's death a Lease event may still arrive.
const LEASE_DELIVERY_LIMIT: Duration = Duration::from_secs(3);
/// How long after the API server has a suspicion its subject may take to answer. A live member does within about 100 ms.
pub(super) const ANSWER_TO_SUSPICION: Duration = Duration::from_millis(500);
/// How long a process that refuted a suspicion is not suspected again for the same broken path.
const REFUTED_FOR: Duration = Duration::from_secs(10);
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
    /// It has ended, and will not expose anything again.
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
    /// When it wrote the last renewal that a watch delivered, at the earliest.
    renewed_at: Option<Duration>,
    /// When the newest heartbeat that it answered was sent.
    answered_at: Option<Duration>,
    /// When its newest heartbeat arrived.
    heard_at: Option<Duration>,
    /// The suspicion that it has ended, until that is refuted.
    suspicion: Option<Suspected>,
    /// When it last refuted one (boot time), unless it has answered since.
    refuted_at: Option<Duration>,
    /// The processes that do not answer it.
    unheard: Vec<Incarnation>,
    /// Until when its predecessor, an earlier process of the ordinal in another Pod, may still be running.
    predecessor_until: Option<Duration>,
    /// The nonces of earlier processes of the ordinal, oldest first.
    past_nonces: Vec<u64>,
    /// Its boot clock minus ours in milliseconds, measured by a heartbeat.
    clock_offset: Option<i64>,
    /// A process whose boot clock it can tell, and that clock minus its own in milliseconds.
    reported_offset: Option<(Incarnation, i64)>,
    /// Its boot clock minus ours in milliseconds, by its last Lease renewals. Each is too low by the delivery time of the Lease.
    lease_offsets: Vec<i64>,
}

impl Peer {
    fn new(member: Member, now: Now) -> Self {
        Self {
            member,
            confirmed_at: None,
            first_seen_at: now.boot,
            lease_changed_at: None,
            renewed_at: None,
            answered_at: None,
            heard_at: None,
            suspicion: None,
            refuted_at: None,
            unheard: Vec::new(),
            predecessor_until: None,
            past_nonces: Vec::new(),
            clock_offset: None,
            reported_offset: None,
            lease_offsets: Vec::new(),
        }
    }

    /// Returns its liveness by its own messages; see [`Peers::liveness`].
    fn liveness(&self, now: Now, confirmed_at: Option<Duration>) -> Liveness {
        if self.member.phase == Phase::Left {
            Liveness::Dead
        } else if self.suspicion.is_none() && self.gave_recent_sign_of_life(now) {
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
        self.suspicion.is_none() && is_recent(self.answered_at, ANSWER_TIMEOUT, now)
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

    /// Whether the process has left, or may have ended. That it was replaced proves the rest.
    fn may_have_ended(&self) -> bool {
        self.suspicion.is_some() || self.member.phase == Phase::Left
    }

    fn gave_recent_sign_of_life(&self, now: Now) -> bool {
        self.is_answering(now) || is_recent(self.lease_changed_at, RENEWAL_TIMEOUT, now)
    }

    /// Whether it can be suspected: a broken path that it has refuted before proves nothing new.
    fn may_be_suspected(&self, now: Now) -> bool {
        !is_recent(self.refuted_at, REFUTED_FOR, now)
    }

    /// Notes that the suspicion was wrong.
    fn refute(&mut self, now: Now) {
        if self.suspicion.take().is_some() {
            self.refuted_at = Some(now.boot);
        }
    }

    /// Notes which suspicion its newest message answers, however the message arrived.
    fn note_refuted(&mut self, number: u64, now: Now) {
        self.member.refuted = self.member.refuted.max(number);
        if self.suspicion.as_ref().is_some_and(|suspicion| suspicion.number <= self.member.refuted) {
            self.refute(now);
        }
    }

    /// Notes a sign of life. One that is newer than a broken connection refutes the suspicion.
    fn note_sign_of_life(&mut self, evidence: Evidence, now: Now) {
        match evidence {
            Evidence::Lease => {
                self.lease_changed_at = Some(now.boot);
                if self.suspicion.as_ref().is_some_and(|it| now.since(it.since) > LEASE_DELIVERY_LIMIT) {
                    self.refute(now);
                }
            }
            Evidence::Answer(sent_at) => {
                self.answered_at = self.answered_at.max(Some(sent_at));
                if self.suspicion.as_ref().is_none_or(|it| sent_at > it.since) {
                    (self.suspicion, self.refuted_at) = (None, None);
                }
            }
            Evidence::Heartbeat => self.heard_at = Some(now.boot),
        }
    }

    /// Returns a moment at which it certainly ran: no later one is known.
    pub fn last_sign_of_life(&self) -> Option<Duration> {
        self.answered_at.max(self.renewed_at)
    }

    /// Notes a renewal of its Lease that a watch delivered, and the clock that it shows: `offset` is the holder's boot clock minus
    /// ours in milliseconds.
    fn note_renewal(&mut self, offset: Option<i64>, now: Now) {
        let Some(offset) = offset else { return };
        self.renewed_at = Some(now.boot.saturating_sub(LEASE_DELIVERY_LIMIT));
        self.lease_offsets.push(offset);
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
            Ordering::Less => !is_past && (self.may_have_ended() || !self.gave_recent_sign_of_life(now)),
        }
    }

    /// Starts to track `member`, a newer process of the ordinal.
    fn replace(&mut self, member: Member, now: Now) {
        let old = std::mem::replace(self, Self::new(member, now));
        self.predecessor_until = match old.may_have_ended() || runs_in_place_of(&self.member, &old.member) {
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

/// Returns a time of another boot clock in milliseconds minus a time of ours.
fn difference(theirs: u64, ours: Duration) -> i64 {
    i64::try_from(theirs).unwrap_or(i64::MAX).saturating_sub_unsigned(millis(ours))
}

fn is_recent(at: Option<Duration>, timeout: Duration, now: Now) -> bool {
    at.is_some_and(|at| now.since(at) <= timeout)
}

/// The suspicion that a process has ended.
#[derive(Clone, Copy, Debug)]
struct Suspected {
    /// Since when (boot time).
    since: Duration,
    number: u64,
    /// When the API server had it, so that the process could read it (boot time).
    stored_at: Option<Duration>,
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
        member.renewed = None;
        let lease_offset =
            member.boot.take().filter(|_| evidence == Evidence::Lease).map(|at| difference(at, now.boot));
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
            peer.note_renewal(lease_offset, now);
            self.0.insert(ordinal, peer);
            return;
        };
        if peer.member.id == member.id {
            peer.note_refuted(member.refuted, now);
            if evidence != Evidence::Heartbeat && member.sequence >= peer.member.sequence {
                let (address, key) = (peer.member.address.clone(), peer.member.key);
                peer.member = if by_lease { member } else { Member { address, key, ..member } };
            }
            peer.note_sign_of_life(evidence, now);
            peer.note_renewal(lease_offset, now);
        } else if by_lease && peer.is_replaced_by(&member, now) {
            peer.replace(member, now);
            peer.note_sign_of_life(evidence, now);
            peer.note_renewal(lease_offset, now);
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
            peer.clock_offset = Some(difference(answer.now, now.boot.saturating_sub(round_trip / 2)));
        }
        peer.reported_offset = answer.record.as_ref().map(|record| record.coordinator.clone()).zip(answer.ahead);
    }

    /// Notes that the connection to a process broke and cannot be opened again: the process may have ended.
    pub fn suspect(&mut self, id: &Incarnation, now: Now) {
        if let Some(peer) = self.incarnation_mut(id).filter(|peer| peer.may_be_suspected(now)) {
            let number = successor(peer.member.refuted);
            peer.suspicion.get_or_insert(Suspected { since: now.boot, number, stored_at: None });
        }
    }

    /// Notes which processes do not answer a peer, as it says itself.
    pub fn observe_unheard(&mut self, heartbeat: &Heartbeat) {
        if let Some(peer) = self.incarnation_mut(&heartbeat.member.id) {
            peer.unheard = heartbeat.unheard.iter().take(MOST_UNHEARD).cloned().collect();
        }
    }

    /// Notes that the API server has these suspicions of this member, so that their subjects can read them.
    pub fn observe_stored(&mut self, suspicions: &[Suspicion], now: Now) {
        for Suspicion { id, number } in suspicions {
            let suspected = self.incarnation_mut(id).and_then(|peer| peer.suspicion.as_mut());
            if let Some(suspected) = suspected.filter(|suspected| suspected.number == *number) {
                suspected.stored_at.get_or_insert(now.boot);
            }
        }
    }

    /// Returns the suspicions that are not refuted.
    pub fn suspicions(&self) -> impl Iterator<Item = Suspicion> {
        let suspicion = |peer: &Peer| {
            peer.suspicion.map(|suspected| Suspicion { id: peer.member.id.clone(), number: suspected.number })
        };
        self.iter().filter(|peer| peer.member.phase != Phase::Left).filter_map(suspicion).take(MOST_UNHEARD)
    }

    /// Returns the processes that have not left and do not answer; the suspected ones first.
    pub fn unheard(&self, now: Now) -> impl Iterator<Item = &Incarnation> {
        let silent = move |peer: &&Peer| peer.suspicion.is_none() && !peer.is_answering(now);
        let suspected = self.iter().filter(|peer| peer.suspicion.is_some());
        let unheard = suspected.chain(self.iter().filter(silent)).filter(|peer| peer.member.phase != Phase::Left);
        unheard.map(|peer| &peer.member.id).take(MOST_UNHEARD)
    }

    /// Returns when the next suspicion becomes certain if nothing answers it.
    pub fn next_answer_due(&self, now: Now) -> Option<Duration> {
        let due = |peer: &Peer| Some(peer.suspicion?.stored_at? + ANSWER_TO_SUSPICION);
        self.iter().filter_map(due).filter(|due| *due > now.boot).min()
    }

    /// Returns the liveness of a peer. This member has seen everything that was written before `confirmed_at`. `serves`: an
    /// assignment counts on the peer.
    ///
    /// A suspected peer is dead when it has not answered the suspicion in time. One that is silent on an open connection is dead when
    /// its Lease has expired. Neither is, if it may serve and another member hears it: it follows the record that it hears there.
    pub fn liveness(&self, peer: &Peer, now: Now, confirmed_at: Option<Duration>, serves: bool) -> Liveness {
        let stored_at = peer.suspicion.and_then(|suspected| suspected.stored_at);
        let is_unanswered = stored_at.is_some_and(|at| now.since(at) >= ANSWER_TO_SUSPICION);
        if is_unanswered && self.is_unheard_by_others(peer, now) {
            return Liveness::Dead;
        }
        match peer.liveness(now, confirmed_at) {
            Liveness::Dead if peer.member.phase != Phase::Left && serves && self.is_heard_by_others(peer, now) => {
                Liveness::Suspected
            }
            liveness => liveness,
        }
    }

    /// Whether a peer is suspected, and no other member hears it.
    pub fn is_lost_to_all(&self, peer: &Peer, now: Now) -> bool {
        peer.suspicion.is_some() && self.is_unheard_by_others(peer, now)
    }

    /// Whether a peer is suspected, and a second member, which answers this one, does not hear it either. The word of one member
    /// alone proves nothing: a firewall may refuse all its connections.
    pub fn is_lost_to_two(&self, peer: &Peer, now: Now) -> bool {
        let is_witness = |other: &Peer| other.is_answering(now) && other.unheard.contains(&peer.member.id);
        peer.suspicion.is_some() && self.iter().any(is_witness)
    }

    /// Whether a second member does not hear `peer`, or there is none to ask.
    fn is_unheard_by_others(&self, peer: &Peer, now: Now) -> bool {
        let mut others = self.iter().filter(|other| other.is_answering(now)).peekable();
        others.peek().is_none() || others.any(|other| other.unheard.contains(&peer.member.id))
    }

    /// Whether every other member hears `peer`, and there is one. A member that does not hear more peers than it names cannot tell.
    fn is_heard_by_others(&self, peer: &Peer, now: Now) -> bool {
        !self.is_unheard_by_others(peer, now)
            && self.iter().filter(|other| other.is_answering(now)).all(|other| other.unheard.len() < MOST_UNHEARD)
    }

    /// Counts every Lease as renewed now. The API server was unreachable for longer than a Lease lasts, so a Lease that was
    /// not renewed says nothing about its holder.
    pub fn reset_leases(&mut self, now: Now) {
        for peer in self.0.values_mut() {
            peer.lease_changed_at = Some(now.boot);
        }
    }

    /// Returns the boot clock of a process minus ours in milliseconds: as measured, else as another member reports it, else as
    /// its Lease renewals show it.
    pub fn clock_offset(&self, id: &Incarnation) -> Option<i64> {
        let peer = self.get(id.ordinal).filter(|peer| peer.member.id == *id);
        let reported = || {
            let by = |peer: &Peer| peer.reported_offset.as_ref().filter(|(of, _)| of == id).map(|(_, ahead)| *ahead);
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
        peers.get(1).map(|peer| peers.liveness(peer, at(now), confirmed_at.map(Duration::from_secs), true))
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

    /// The suspicion of the peer is stored at `seconds`.
    fn store_suspicion(peers: &mut Peers, seconds: u64) {
        let suspicions: Vec<_> = peers.suspicions().collect();
        peers.observe_stored(&suspicions, at(seconds));
    }

    #[test]
    fn a_suspected_peer_is_dead_when_it_has_not_answered_the_stored_suspicion() {
        let mut peers = peers(Evidence::Lease);
        peers.suspect(&member(1, 1).id, at(101));
        assert_eq!(
            liveness(&peers, 107, None),
            Some(Liveness::Suspected),
            "the API server does not have the suspicion"
        );
        store_suspicion(&mut peers, 107);
        assert_eq!(liveness(&peers, 107, None), Some(Liveness::Suspected), "it has time to answer");
        assert_eq!(liveness(&peers, 108, None), Some(Liveness::Dead));
        let suspicions: Vec<_> = peers.suspicions().collect();
        let answer = Member { refuted: suspicions[0].number, ..member(1, 1) };
        peers.observe(answer, Evidence::Heartbeat, at(108));
        assert_eq!(liveness(&peers, 108, None), Some(Liveness::Live), "any message with the answer refutes it");
        assert_eq!(peers.suspicions().count(), 0);
    }

    #[test]
    fn a_broken_path_that_was_refuted_is_no_news_for_a_while() {
        let mut peers = peers(Evidence::Lease);
        let refute = |peers: &mut Peers, seconds| {
            let number = peers.suspicions().next().expect("a suspicion").number;
            peers.observe(Member { refuted: number, ..member(1, 1) }, Evidence::Lease, at(seconds));
            number
        };
        peers.suspect(&member(1, 1).id, at(101));
        assert_eq!(refute(&mut peers, 102), 1);
        peers.suspect(&member(1, 1).id, at(111));
        assert_eq!(peers.suspicions().count(), 0);
        peers.suspect(&member(1, 1).id, at(113));
        assert_eq!(refute(&mut peers, 113), 2, "an answer to an earlier suspicion is no answer to this one");
        peers.observe(member(1, 1), Evidence::Answer(Duration::from_secs(114)), at(114));
        peers.suspect(&member(1, 1).id, at(115));
        assert_eq!(peers.suspicions().count(), 1, "the path worked again, and broke again");
    }

    /// A third member.
    fn other() -> Member {
        let id = Incarnation { ordinal: 2, pod: "pod-other".to_owned(), nonce: 9 };
        first_statement(id, "10.0.0.9:8082".to_owned(), Hasher::XxHash64)
    }

    /// A heartbeat of a member that does not hear these processes.
    fn unheard(member: Member, unheard: Vec<Incarnation>) -> Heartbeat {
        Heartbeat {
            fleet: String::new(),
            member,
            record: None,
            confirmed_age: None,
            now: 0,
            ahead: None,
            unreadable: None,
            unheard,
            measured: BTreeMap::new(),
        }
    }

    #[test]
    fn a_peer_that_another_member_hears_is_not_dead() {
        let mut peers = peers(Evidence::Lease);
        let other = other();
        peers.suspect(&member(1, 1).id, at(101));
        store_suspicion(&mut peers, 101);
        peers.observe(other.clone(), Evidence::Lease, at(102));
        peers.observe(other.clone(), Evidence::Answer(Duration::from_secs(102)), at(102));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Suspected));
        peers.observe_unheard(&unheard(other, vec![member(1, 1).id]));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Dead), "two members do not hear it");
    }

    #[test]
    fn a_silent_peer_whose_lease_has_expired_is_not_dead_while_another_member_hears_it() {
        let mut peers = peers(Evidence::Lease);
        let other = other();
        peers.observe(other.clone(), Evidence::Lease, at(100));
        peers.observe(other.clone(), Evidence::Answer(Duration::from_secs(116)), at(116));
        assert_eq!(liveness(&peers, 116, Some(116)), Some(Liveness::Suspected));
        let serves = |peers: &Peers, serves| {
            let peer = peers.get(1).expect("a peer");
            peers.liveness(peer, at(116), Some(Duration::from_secs(116)), serves)
        };
        assert_eq!(serves(&peers, false), Liveness::Dead, "no assignment counts on it");
        assert_eq!(liveness(&peers, 120, Some(120)), Some(Liveness::Dead), "the other one is silent too");
        let mut confirmed = peers.clone();
        confirmed.observe_unheard(&unheard(other.clone(), vec![member(1, 1).id]));
        assert_eq!(liveness(&confirmed, 116, Some(116)), Some(Liveness::Dead), "two members do not hear it");
        peers.observe_unheard(&unheard(other, vec![member(7, 1).id; MOST_UNHEARD]));
        assert_eq!(liveness(&peers, 116, Some(116)), Some(Liveness::Dead), "the other one hears too few to name all");
    }

    #[test]
    fn a_later_answer_refutes_a_suspicion() {
        let mut peers = peers(Evidence::Lease);
        peers.suspect(&member(1, 1).id, at(101));
        let answer = |sent_at| Evidence::Answer(Duration::from_secs(sent_at));
        peers.observe(member(1, 1), answer(100), at(102));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Suspected), "it answered before the connection broke");
        peers.observe(member(1, 1), answer(102), at(102));
        assert_eq!(liveness(&peers, 102, None), Some(Liveness::Live));
    }

    #[test]
    fn a_lease_refutes_a_suspicion_only_after_its_delivery_time() {
        let mut peers = peers(Evidence::Lease);
        peers.suspect(&member(1, 1).id, at(101));
        peers.observe(member(1, 1), Evidence::Lease, at(104));
        assert_eq!(liveness(&peers, 104, None), Some(Liveness::Suspected), "it may have been written before the crash");
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
