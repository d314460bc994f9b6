//! The doubt whether this process still is the one of its ordinal, until reads of its Lease settle it.
//!
//! May not know the consequences for what is exposed.

use std::time::Duration;

use super::timing::LEASE_DURATION;
use crate::fleet::record::{Incarnation, Member, Phase};

/// A contest between this process and a possible other one of its ordinal.
#[derive(Clone, Debug)]
pub(super) struct Contest {
    /// The highest life of the other process that anything named.
    life: u64,
    /// The statement of the other process in the first read that showed it, and when that was sent (boot time).
    observed: Option<(Member, Duration)>,
}

/// The result of a read of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next read may tell.
    Open,
    /// No other process holds the Lease any more: the last holder, if the Lease names one. This process may take it back.
    Free(Option<Box<Member>>),
    /// The other process renews the Lease.
    Lost(Incarnation),
}

impl Contest {
    /// Begins a contest with a process of this life.
    pub const fn new(life: u64) -> Self {
        Self { life, observed: None }
    }

    /// Returns the highest life of the other process.
    pub const fn life(&self) -> u64 {
        self.life
    }

    /// Notes the life of the other process.
    pub fn note(&mut self, life: u64) {
        self.life = self.life.max(life);
    }

    /// Notes the holder of the Lease as a read that was sent at `sent` (boot time) found it, for the process that states `own`.
    pub fn observe(&mut self, holder: Option<Member>, sent: Duration, own: &Member) -> Verdict {
        let Some(holder) = holder else { return Verdict::Free(None) };
        if holder.id == own.id {
            return Verdict::Free(None);
        }
        if holder.life < own.life || holder.phase == Phase::Left {
            return Verdict::Free(Some(Box::new(holder)));
        }
        self.note(holder.life);
        let statement = |member: &Member| (member.id.clone(), member.sequence, member.renewed);
        match &self.observed {
            Some((before, _)) if before.id == holder.id && statement(before) != statement(&holder) => {
                Verdict::Lost(holder.id)
            }
            Some((before, since)) if before.id == holder.id => match sent.saturating_sub(*since) > LEASE_DURATION {
                true => Verdict::Free(Some(Box::new(holder))),
                false => Verdict::Open,
            },
            _ => {
                self.observed = Some((holder, sent));
                Verdict::Open
            }
        }
    }
}
