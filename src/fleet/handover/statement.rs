//! The statement of a member about itself, which its Lease and its heartbeats carry.
//!
//! May not know its readers.

use std::time::Duration;

use super::facts::Facts;
use super::participation::Participation;
use super::timing::{MAX_SCRAPE_WAIT, Now};
use crate::backoff::doubled;
use crate::fleet::record::{Assignment, Incarnation, LAYOUT, Member, PROGRAM, Phase, successor};
use crate::sharding::Hasher;

/// How long a member waits after its first crash before it may own ranges again. Doubles with each further crash.
const CRASH_BACKOFF: Duration = Duration::from_secs(30);
const MAX_CRASH_BACKOFF: Duration = Duration::from_secs(600);

/// Returns the statement of a process that has observed nothing.
pub(super) fn first_statement(id: Incarnation, address: String, hash: Hasher) -> Member {
    Member {
        id,
        program: PROGRAM.to_owned(),
        address,
        key: None,
        renewed: None,
        boot: None,
        life: 1,
        sequence: 0,
        phase: Phase::Starting,
        awaits: false,
        prepared: None,
        joined: None,
        loading: false,
        follows: 0,
        found: 0,
        hash,
        layout: LAYOUT,
        capacity: None,
        scrape_wait: None,
        stamped: None,
        crashes: Vec::new(),
        suspects: Vec::new(),
        refuted: 0,
    }
}

/// Whether the share that this process serves is loaded.
pub(super) fn serves_completely(facts: &Facts, participation: &Participation) -> bool {
    participation.is_serving() && facts.current().is_some_and(|assignment| is_loaded(facts, assignment))
}

/// Returns the newest generation whose share is loaded: the next one if it includes this process, else the one it serves.
pub(super) fn prepared_generation(facts: &Facts, participation: &Participation) -> Option<u64> {
    let next = facts.next().map(|next| &next.view);
    let prepared_next = next.filter(|assignment| assignment.has(facts.ordinal()) && is_loaded(facts, assignment));
    let served = facts.current().filter(|_| serves_completely(facts, participation));
    prepared_next.or(served).map(|assignment| assignment.generation)
}

/// Returns the statement of this process. `capacity` is how much it can hold, and `full_share_since` when its full share was first
/// loaded (boot time).
pub(super) fn statement(
    facts: &Facts,
    participation: &Participation,
    capacity: Option<u32>,
    full_share_since: Option<Duration>,
    now: Now,
) -> Member {
    let own = &facts.own;
    let record = facts.record();
    let may_own = participation.is_serving() || may_own_ranges(facts, full_share_since, now);
    let awaits = record.is_some_and(|record| {
        // Until the Leases are listed, this process does not know whether it may start.
        facts.leases_listed
            && !participation.is_serving()
            && record.current.has(facts.ordinal())
            && !participation.may_start(&record.current, facts)
            && !participation.is_contested()
            // Until its first write is confirmed, it does not know whether the record is recent.
            && facts.confirmed_at.is_some()
            && !participation.may_resume(&record.current, facts)
    });
    let mut statement = Member {
        phase: match (participation.is_leaving(), may_own) {
            (true, _) => Phase::Leaving,
            (false, true) => Phase::Fit,
            (false, false) => Phase::Starting,
        },
        awaits,
        prepared: prepared_generation(facts, participation),
        joined: participation.served_generation(),
        loading: participation.is_serving() && !participation.is_ready(),
        follows: record.map_or(own.follows, |record| record.revision),
        capacity,
        scrape_wait: facts.scrape_wait.map(|wait| wait.min(MAX_SCRAPE_WAIT).as_millis() as u32),
        stamped: facts.stamped,
        suspects: facts.suspicions_to_store(now),
        found: Some(own.found).filter(|found| record.is_none_or(|record| record.revision < *found)).unwrap_or_default(),
        ..own.clone()
    };
    if statement != *own {
        statement.sequence = successor(statement.sequence);
    }
    statement
}

fn is_loaded(facts: &Facts, assignment: &Assignment) -> bool {
    facts.loaded.covers(&facts.owned(assignment))
}

/// Whether a process that does not serve may own ranges: its full share is loaded, and was first
/// loaded before the crash backoff, and no predecessor is running.
fn may_own_ranges(facts: &Facts, full_share_since: Option<Duration>, now: Now) -> bool {
    facts.has_full_share()
        && full_share_since.is_some_and(|since| now.since(since) >= crash_backoff(facts))
        && !facts.may_have_predecessor(now)
}

/// Returns the backoff after the crashes of this Pod. There is none unless the last process crashed.
fn crash_backoff(facts: &Facts) -> Duration {
    let crashed = facts.predecessor.as_ref().is_some_and(|predecessor| predecessor.member.phase != Phase::Left);
    match facts.own.crashes.len() {
        0 => Duration::ZERO,
        crashes if crashed => doubled(CRASH_BACKOFF, crashes as u32 - 1, MAX_CRASH_BACKOFF),
        _ => Duration::ZERO,
    }
}
