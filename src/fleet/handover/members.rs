//! What is known of the other members, and what follows from it: who lives, who is gone, who may still be there.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{LEASE, Now, RENEW};
use crate::fleet::record::{Heartbeat, Incarnation, Member, Phase};
use crate::sharding::MOST_SHARDS;

/// A member that answered a heartbeat that was sent so lately is connected.
const ANSWERING: Duration = Duration::from_millis(3500);
/// A member whose Lease changed so lately lives, even if we have no connection to it.
const RENEWING: Duration = Duration::from_secs(8);
/// A Lease that was written before its holder died may still arrive for so long after.
const LEASE_DELIVERY_LIMIT: Duration = Duration::from_secs(3);
/// An estimate of a peer's clock from an exchange that took no longer than this is good.
const GOOD_EXCHANGE: Duration = Duration::from_millis(500);

/// Whether a member lives, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// It spoke lately.
    Live,
    /// It is silent, and may still expose what it did.
    Suspected,
    /// It exposes nothing any more, and nothing new.
    Dead,
}

/// How something was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// By a Lease that was written.
    Lease,
    /// By an answer to a heartbeat that we sent then.
    Answer(Duration),
    /// By a heartbeat that it sent.
    Heartbeat,
}

/// What is known of one member.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub member: Member,
    /// When we first heard of this life of it.
    since: Duration,
    /// When its Lease last changed, as we saw it.
    lease: Option<Duration>,
    /// When we sent the newest heartbeat that it answered.
    answered: Option<Duration>,
    /// When its address began to refuse us.
    gone: Option<Duration>,
    /// An earlier life of the ordinal, in another pod, may be running until then.
    predecessor: Option<Duration>,
    /// Earlier lives.
    past: Vec<u64>,
    /// When what it knows was last confirmed by the API server, in our boot time.
    pub confirmed: Option<Duration>,
    /// Its clock minus ours, in milliseconds.
    pub offset: Option<i64>,
    /// Whose clock it can tell, and how far that one is ahead of its own.
    told: Option<(u32, i64)>,
    /// What its last Leases say of its clock: each is too low by the time that the Lease took to reach us.
    renewals: Vec<i64>,
}

impl Peer {
    fn new(member: Member, now: Now) -> Self {
        Self {
            member,
            since: now.boot,
            lease: None,
            answered: None,
            gone: None,
            predecessor: None,
            past: Vec::new(),
            confirmed: None,
            offset: None,
            told: None,
            renewals: Vec::new(),
        }
    }

    /// It said something.
    fn spoke(&mut self, evidence: Evidence, now: Now) {
        match evidence {
            Evidence::Lease => {
                self.lease = Some(now.boot);
                if self.gone.is_some_and(|at| now.boot.saturating_sub(at) > LEASE_DELIVERY_LIMIT) {
                    self.gone = None;
                }
            }
            Evidence::Answer(sent) => {
                self.answered = self.answered.max(Some(sent));
                if self.gone.is_some_and(|at| sent > at) {
                    self.gone = None;
                }
            }
            Evidence::Heartbeat => {}
        }
    }

    /// Whether it lives. `confirmed`: all that was written before then was seen by us.
    pub fn liveness(&self, now: Now, confirmed: Option<Duration>) -> Liveness {
        if self.gone.is_some() || self.member.phase == Phase::Left {
            return Liveness::Dead;
        }
        let age = |at: Duration| now.boot.saturating_sub(at);
        if self.spoke_lately(now) {
            return Liveness::Live;
        }
        if self.has_expired(confirmed) && self.answered.is_none_or(|at| age(at) > LEASE) {
            return Liveness::Dead;
        }
        Liveness::Suspected
    }

    /// Whether its Lease has run out, of which a connection says nothing: it cannot write any more.
    pub fn has_expired(&self, confirmed: Option<Duration>) -> bool {
        let lease = self.lease.unwrap_or(self.since);
        confirmed.is_some_and(|confirmed| confirmed.saturating_sub(lease) > LEASE)
    }

    /// Whether it answers heartbeats.
    pub fn is_answering(&self, now: Now) -> bool {
        self.gone.is_none() && self.answered.is_some_and(|at| now.boot.saturating_sub(at) <= ANSWERING)
    }

    /// When we sent the newest heartbeat that it answered.
    pub const fn answered(&self) -> Option<Duration> {
        self.answered
    }

    /// Whether it is known to follow `revision` and to have been running just now.
    pub fn follows_now(&self, revision: u64, now: Now) -> bool {
        let within = |at: Option<Duration>, bound| at.is_some_and(|at| now.boot.saturating_sub(at) <= bound);
        self.member.follows >= revision
            && (within(self.answered, Duration::from_secs(2)) || within(self.lease, RENEW + Duration::from_secs(1)))
    }

    /// Whether an earlier life of the ordinal may still be running.
    pub fn has_predecessor(&self, now: Now) -> bool {
        self.predecessor.is_some_and(|until| now.boot < until)
    }

    /// Whether another life of the ordinal, of which something was learned, is the newer one. Leases and heartbeats overtake each
    /// other: a member that has just started answers before it has read its Lease, which tells of the life before.
    fn gives_way_to(&self, other: &Member, evidence: Evidence, now: Now) -> bool {
        let over = self.gone.is_some() || self.member.phase == Phase::Left;
        // Anybody may send a heartbeat; a life that is not known to be over is replaced by nothing less than proof.
        let proven = evidence != Evidence::Heartbeat || over;
        let is_known = self.past.contains(&other.id.nonce);
        match other.life.cmp(&self.member.life) {
            Ordering::Greater => proven,
            Ordering::Equal => proven && !is_known,
            // Who lost its Lease counts anew.
            Ordering::Less => proven && !is_known && (over || !self.spoke_lately(now)),
        }
    }

    fn spoke_lately(&self, now: Now) -> bool {
        self.is_answering(now) || self.lease.is_some_and(|at| now.boot.saturating_sub(at) <= RENEWING)
    }

    /// Its newest life is another one from now on.
    fn replace(&mut self, member: Member, now: Now) {
        let old = std::mem::replace(self, Self::new(member, now));
        let (before, after) = (&old.member, &self.member);
        // One address, or one pod, runs one process at a time.
        let over = old.gone.is_some()
            || before.phase == Phase::Left
            || before.id.pod == after.id.pod
            || before.address == after.address;
        self.predecessor = match over {
            true => old.predecessor.filter(|until| now.boot < *until),
            false => Some(old.lease.unwrap_or(now.boot) + LEASE),
        };
        self.past = old.past;
        self.past.push(before.id.nonce);
        if self.past.len() > 16 {
            self.past.remove(0);
        }
    }
}

/// The other members, by ordinal.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(BTreeMap<u32, Peer>);

impl Members {
    pub fn get(&self, ordinal: u32) -> Option<&Peer> {
        self.0.get(&ordinal)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.values()
    }

    /// A member spoke.
    pub fn learn(&mut self, mut member: Member, evidence: Evidence, now: Now) {
        let ordinal = member.id.ordinal;
        let renewed = member.renewed.take().map(|at| (at as i64).wrapping_sub(now.unix as i64));
        if ordinal >= MOST_SHARDS {
            return;
        }
        let Some(peer) = self.0.get_mut(&ordinal) else {
            let mut peer = Peer::new(member, now);
            peer.spoke(evidence, now);
            self.0.insert(ordinal, peer);
            return;
        };
        if peer.member.id == member.id {
            // What anybody may send changes nothing that is known.
            if evidence != Evidence::Heartbeat && member.sequence >= peer.member.sequence {
                peer.member = member;
            }
            peer.spoke(evidence, now);
            peer.renewals.extend(renewed);
            let surplus = peer.renewals.len().saturating_sub(4);
            peer.renewals.drain(..surplus);
        } else if peer.gives_way_to(&member, evidence, now) {
            peer.replace(member, now);
            peer.spoke(evidence, now);
        }
    }

    /// A peer answered: what its heartbeat says of clocks and confirmations.
    pub fn answered(&mut self, heartbeat: &Heartbeat, sent: Duration, now: Now) {
        let Some(peer) = self.0.get_mut(&heartbeat.member.id.ordinal).filter(|p| p.member.id == heartbeat.member.id)
        else {
            return;
        };
        if let Some(age) = heartbeat.confirmed_age {
            peer.confirmed = peer.confirmed.max(sent.checked_sub(Duration::from_millis(age)));
        }
        let took = now.boot.saturating_sub(sent);
        if took <= GOOD_EXCHANGE {
            let ours = now.unix.saturating_sub(took.as_millis() as u64 / 2);
            peer.offset = Some((heartbeat.now as i64).wrapping_sub(ours as i64));
        }
        peer.told = heartbeat.record.as_ref().map(|record| record.coordinator.ordinal).zip(heartbeat.ahead);
    }

    /// The clock of a member minus ours, in milliseconds: measured, or as another member tells us.
    pub fn offset(&self, ordinal: u32) -> Option<i64> {
        let told = || {
            let by = |peer: &Peer| peer.told.filter(|(of, _)| *of == ordinal).map(|(_, ahead)| ahead);
            self.iter().find_map(|peer| peer.offset?.checked_add(by(peer)?))
        };
        let peer = self.get(ordinal);
        let renewed = || peer.and_then(|peer| peer.renewals.iter().max().copied());
        peer.and_then(|peer| peer.offset).or_else(told).or_else(renewed)
    }

    /// Nobody is at its address any more.
    pub fn refused(&mut self, id: &Incarnation, now: Now) {
        if let Some(peer) = self.0.get_mut(&id.ordinal).filter(|p| p.member.id == *id) {
            peer.gone.get_or_insert(now.boot);
        }
    }

    /// The API server was out of reach for long: nobody could renew anything, and nobody may be blamed for it.
    pub fn forgive(&mut self, now: Now) {
        for peer in self.0.values_mut() {
            peer.lease = Some(now.boot);
        }
    }
}
