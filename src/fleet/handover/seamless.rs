//! `--seamless-handover`: series that are about to move have a timestamp, and every scraper sees that before the switch.
//!
//! A Prometheus that drops the labels of the replica sees a moved object as one series. It ends a series that a replica no longer
//! exposes, with a staleness marker, unless its last samples had timestamps. So once a generation is prepared, the
//! coordinator writes a timestamp into the record. The members that lose ranges print their series with it, and the switch waits
//! until their scrapers have come. One timestamp serves for all scrapes of a handover: it lies at the end of the wait, so that
//! it is later than all samples before, and earlier than those of the new owner.
//!
//! Prometheus does not notice the end of such a series. Members therefore hold back changes that would end series, until every
//! scraper has seen the object at its new owner.
//!
//! May not know how series look.

use std::time::Duration;

use super::facts::Facts;
use super::interface::Stamps;
use super::status::ScrapeOutcome;
use super::timing::{MAX_SCRAPE_WAIT, Now, SWITCH_LEAD};
use crate::fleet::record::{Assignment, Member, Next};
use crate::sharding::Slice;

/// How long after it reads the record a member begins to print timestamps. The members that gain the objects hold back the end
/// of series by then.
const STAMP_DELAY: Duration = Duration::from_secs(1);

/// Returns what a member prints with a timestamp now, of `exposed`.
pub(super) fn stamps(facts: &Facts, exposed: &Slice, now: Now) -> Option<Stamps> {
    let (point, next) = (facts.stamps()?, &facts.next()?.view);
    let slice = exposed.minus(&facts.owned(next));
    let begun = now.boot >= point.written() + STAMP_DELAY;
    (begun && !slice.is_empty()).then_some(Stamps { slice, at: point.unix, generation: point.generation })
}

/// Returns the live members that lose ranges in `next`, and print timestamps.
fn losers<'a>(
    facts: &'a Facts,
    current: &'a Assignment,
    next: &'a Assignment,
    now: Now,
) -> impl Iterator<Item = &'a Member> {
    let loses = move |ordinal: &u32| !facts.gained(next, current, *ordinal).is_empty();
    let members = current.present().filter(loses).filter_map(move |ordinal| facts.live_member(ordinal, now));
    members.filter(|member| member.scrape_wait.is_some())
}

/// Returns those of the [`losers`] of which a scraper has not seen the timestamp.
fn unseen<'a>(
    facts: &'a Facts,
    current: &'a Assignment,
    next: &'a Assignment,
    now: Now,
) -> impl Iterator<Item = &'a Member> {
    losers(facts, current, next, now).filter(|member| member.stamped != Some(next.generation))
}

/// Returns `next` with a timestamp for the series that move, unless it has one, or nobody would see it.
pub(super) fn with_stamps(facts: &Facts, current: &Assignment, next: &Next, now: Now) -> Option<Next> {
    if next.stamp_wait.is_some() {
        return None;
    }
    let wait = losers(facts, current, &next.view, now).filter_map(|member| member.scrape_wait).max()?;
    let wait = wait.min(MAX_SCRAPE_WAIT.as_millis() as u32);
    (wait > 0).then(|| Next { stamp_wait: Some(wait), ..next.clone() })
}

/// Returns the outcome of the handover to the next generation if it takes place now, and the members whose scrapers are missing.
pub(super) fn outcome(facts: &Facts, now: Now) -> (ScrapeOutcome, Vec<u32>) {
    let unscraped = unscraped(facts, now);
    match facts.stamps() {
        None => (ScrapeOutcome::Plain, Vec::new()),
        Some(_) if unscraped.is_empty() => (ScrapeOutcome::Seamless, unscraped),
        Some(_) => (ScrapeOutcome::TimedOut, unscraped),
    }
}

/// Returns the ordinals of [`unseen`], while there is a timestamp.
pub(super) fn unscraped(facts: &Facts, now: Now) -> Vec<u32> {
    let (Some(_), Some(current), Some(next)) = (facts.stamps(), facts.current(), facts.next()) else {
        return Vec::new();
    };
    unseen(facts, current, &next.view, now).map(|member| member.id.ordinal).collect()
}

/// Whether all scrapers of the members that lose ranges have seen the timestamp, or had twice the time.
pub(super) fn scrapers_have_come(facts: &Facts, current: &Assignment, next: &Assignment, now: Now) -> bool {
    let Some(point) = facts.stamps() else { return true };
    let limit = point.written() + (point.wait * 2).min(MAX_SCRAPE_WAIT.max(point.wait));
    now.boot + SWITCH_LEAD >= point.due && (now.boot >= limit || unseen(facts, current, next, now).next().is_none())
}

/// The objects whose series do not end for now.
#[derive(Clone, Debug)]
pub(super) struct HeldBack {
    pub slice: Slice,
    until: Duration,
}

impl HeldBack {
    /// Returns what to hold back now, after `before`: what this member gains or loses in a generation with a timestamp, until
    /// every scraper has had the time to come once more after the switch.
    pub fn after(before: Option<Self>, facts: &Facts, now: Now) -> Option<Self> {
        let before = before.filter(|before| now.boot < before.until);
        let (Some(point), Some(next), Some(current)) = (facts.stamps(), facts.next(), facts.current()) else {
            return before;
        };
        let (own, then) = (facts.owned(current), facts.owned(&next.view));
        let moving = own.minus(&then).union(&then.minus(&own));
        let until = point.due.max(now.boot) + point.wait;
        let slice = before.map_or_else(|| moving.clone(), |before| before.slice.union(&moving));
        Some(Self { slice, until })
    }
}
