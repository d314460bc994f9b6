//! Measures how exactly the members switch: what each of them hid and showed in a change of the assignment, and when. No clock,
//! no I/O.
//!
//! Members state how long ago something happened, so their clocks do not matter. May not know the state machine's reasons.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handover::Plan;
use crate::sharding::{Digest, Hasher, Slice};

/// Maximum number of changes that a member remembers. An audit asks for them once a minute.
const MOST: usize = 8;

/// How long after the first change of a generation further changes count as part of it.
const WINDOW: Duration = Duration::from_secs(10);

/// What a member hid and showed when it adopted a generation: a part of its answer to an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchReport {
    /// The adopted generation.
    pub generation: u64,
    /// The ranges that it exposed before, and not any more.
    pub hidden: Option<Moved>,
    /// The ranges that it exposes since.
    pub shown: Option<Moved>,
}

/// Ranges that began or ceased to be exposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Moved {
    /// The number of points of the ranges, and a sum over their bounds, modulo 2^64. Those of disjoint ranges add up.
    pub points: Digest,
    /// How long ago the first of them changed, in milliseconds.
    pub first_ago: u64,
    /// How long ago the last of them changed, in milliseconds.
    pub last_ago: u64,
}

/// How exact a switch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchTiming {
    /// The generation that it led to.
    pub generation: u64,
    /// From the first range that a member hid to the last that another one showed: no object was missing for longer.
    pub gap: Duration,
    /// From the first range that a member showed to the last that another one hid: no object was exposed twice for longer.
    pub overlap: Duration,
}

/// The changes that a member remembers, each with moments in boot time.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    generation: u64,
    /// The moment up to which all changes are known.
    noted: Duration,
    /// Changes until this moment are part of the newest entry.
    open_until: Duration,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    generation: u64,
    hidden: Option<Change>,
    shown: Option<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    points: Digest,
    first: Duration,
    last: Duration,
}

impl Journal {
    /// Notes that the plan `before` was in force until `now`, and is replaced by `after`, which follows `generation`.
    pub fn note(&mut self, before: &Plan, after: &Plan, generation: u64, now: Duration) {
        if generation != self.generation {
            self.generation = generation;
            self.open_until = now + WINDOW;
            self.entries.push_back(Entry { generation, ..Entry::default() });
            if self.entries.len() > MOST {
                self.entries.pop_front();
            }
        }
        let due = before.steps.iter().map(|(from, _)| *from).chain(before.until);
        let mut moments: Vec<_> = due.filter(|at| self.noted < *at && *at <= now).collect();
        moments.sort_unstable();
        let mut exposed = before.at(self.noted);
        for at in moments {
            let next = before.at(at);
            self.change(exposed, next, at);
            exposed = next;
        }
        self.change(exposed, after.at(now), now);
        self.noted = now;
        // The end of an overlap belongs to the switch that began it.
        if let Some((last, _)) = after.steps.last().filter(|(from, _)| *from > now && now <= self.open_until) {
            self.open_until = self.open_until.max(*last + WINDOW);
        }
    }

    fn change(&mut self, before: Option<&Slice>, after: Option<&Slice>, at: Duration) {
        if before == after || at > self.open_until {
            return;
        }
        let Some(entry) = self.entries.back_mut() else { return };
        let none = Slice::none();
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        for (side, slice) in [(&mut entry.hidden, before.minus(after)), (&mut entry.shown, after.minus(before))] {
            if slice.is_empty() {
                continue;
            }
            let change = side.get_or_insert(Change { points: Digest::default(), first: at, last: at });
            change.points = change.points.plus(points(&slice));
            (change.first, change.last) = (change.first.min(at), change.last.max(at));
        }
    }

    /// Returns what the member hid and showed, as of `now`.
    pub fn reports(&self, now: Duration) -> Vec<SwitchReport> {
        let ago = |at: Duration| u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
        let moved =
            |change: Change| Moved { points: change.points, first_ago: ago(change.first), last_ago: ago(change.last) };
        let report = |entry: &Entry| SwitchReport {
            generation: entry.generation,
            hidden: entry.hidden.map(moved),
            shown: entry.shown.map(moved),
        };
        self.entries.iter().map(report).collect()
    }
}

/// Returns the exactness of each switch after generation `after` that moved ranges from members to members, in order.
///
/// Each answer has the time since it arrived. A switch whose hidden and shown ranges are not the same is left out: a member
/// that took part in it has ended, or it is not over.
pub fn timings(answers: &[(Duration, &[SwitchReport])], after: u64) -> Vec<SwitchTiming> {
    let recent = |reports: &&[SwitchReport]| reports.len() <= MOST;
    let answers: Vec<_> = answers.iter().filter(|(_, reports)| recent(reports)).collect();
    let mut generations: Vec<u64> =
        answers.iter().flat_map(|(_, reports)| *reports).map(|r| r.generation).filter(|g| *g > after).collect();
    generations.sort_unstable();
    generations.dedup();
    generations.into_iter().filter_map(|generation| timing(&answers, generation)).collect()
}

fn timing(answers: &[&(Duration, &[SwitchReport])], generation: u64) -> Option<SwitchTiming> {
    let (mut hidden, mut shown) = (Sum::default(), Sum::default());
    for (since, reports) in answers {
        for report in reports.iter().filter(|report| report.generation == generation) {
            hidden.add(report.hidden, *since);
            shown.add(report.shown, *since);
        }
    }
    let ((hid_first, hid_last), (showed_first, showed_last)) = (hidden.ago?, shown.ago?);
    (hidden.points == shown.points).then(|| SwitchTiming {
        generation,
        gap: hid_first.saturating_sub(showed_last),
        overlap: showed_first.saturating_sub(hid_last),
    })
}

/// What all members hid, or showed: when the first and the last did, as times before now.
#[derive(Default)]
struct Sum {
    points: Digest,
    ago: Option<(Duration, Duration)>,
}

impl Sum {
    fn add(&mut self, moved: Option<Moved>, since: Duration) {
        let Some(Moved { points, first_ago, last_ago }) = moved else { return };
        let [first, last] = [first_ago, last_ago].map(|ago| since.saturating_add(Duration::from_millis(ago)));
        self.points = self.points.plus(points);
        self.ago = Some(self.ago.map_or((first, last), |(f, l)| (f.max(first), l.min(last))));
    }
}

/// Returns the digest of the ranges of a slice.
///
/// The sum is that of a hash of each end minus that of each start. Where two ranges meet, both cancel out, so digests add up
/// however ranges are cut. (A sum of the points themselves is the same for many ranges whose sizes are powers of two.)
fn points(slice: &Slice) -> Digest {
    let parts = Hasher::ALL.into_iter().flat_map(|hasher| slice.ranges(hasher).parts());
    let hash = |bound: u128| Hasher::XxHash64.hash(&bound.to_string());
    parts.fold(Digest::default(), |total, &(start, end)| {
        #[expect(clippy::cast_possible_truncation, reason = "the count is modulo 2^64")]
        let count = (end - start) as u64;
        total.plus(Digest { count, sum: hash(end).wrapping_sub(hash(start)) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::Assignment;

    const fn second(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn part(total: u32, shard: u32) -> Slice {
        Slice::of(Hasher::XxHash64, Assignment::new(total).expect("few shards").ranges(shard))
    }

    fn plan(steps: &[(Duration, Slice)]) -> Plan {
        Plan { steps: steps.to_vec(), until: None }
    }

    /// The journal of a member that exposes `before` in generation 1, and `after` in generation 2 from `at` on, which it
    /// notices `late`.
    fn switched(before: &Slice, after: &Slice, at: Duration, late: Duration) -> Journal {
        let mut journal = Journal::default();
        let old = plan(&[(second(1), before.clone())]);
        journal.note(&plan(&[(Duration::ZERO, Slice::none())]), &old, 1, second(1));
        let both = plan(&[(second(50), before.clone()), (at, after.clone())]);
        journal.note(&old, &both, 1, second(50));
        let now = at + late;
        journal.note(&both, &plan(&[(now, after.clone())]), 2, now);
        journal
    }

    fn timings_of(journals: &[Journal]) -> Vec<SwitchTiming> {
        let reports: Vec<_> = journals.iter().map(|journal| journal.reports(second(90))).collect();
        let answers: Vec<_> = reports.iter().map(|reports| (Duration::ZERO, &reports[..])).collect();
        timings(&answers, 1)
    }

    #[test]
    fn points_of_disjoint_ranges_add_up_and_other_ranges_of_the_same_size_differ() {
        for total in 2..40 {
            let sum = (0..total).fold(Digest::default(), |sum, shard| sum.plus(points(&part(total, shard))));
            assert_eq!(sum, points(&Slice::all()));
        }
        assert_ne!(points(&part(2, 0)), points(&part(2, 1)));
        assert_eq!(points(&part(2, 0)).count, 1 << 63);
    }

    #[test]
    fn a_gap_and_an_overlap_are_measured_between_members_and_an_exact_switch_has_neither() {
        let (at, soon) = (second(53), ms(4));
        for (shown_at, gap, overlap) in [(at, 0, 0), (at + ms(300), 300, 0), (at - ms(200), 0, 200)] {
            let old = [0, 1].map(|shard| switched(&part(2, shard), &part(3, shard), at, soon));
            let new = switched(&Slice::none(), &part(3, 2), shown_at, soon);
            let [first, second] = old;
            let expected = SwitchTiming { generation: 2, gap: ms(gap), overlap: ms(overlap) };
            assert_eq!(timings_of(&[first, second, new]), [expected], "{shown_at:?}");
        }
    }

    #[test]
    fn a_switch_whose_hidden_and_shown_ranges_differ_is_not_measured() {
        let at = second(53);
        let old = [0, 1].map(|shard| switched(&part(2, shard), &part(3, shard), at, Duration::ZERO));
        assert_eq!(timings_of(&old), [], "the member that shows them has not answered");
        let other = switched(&Slice::none(), &part(3, 1), at, Duration::ZERO);
        let [first, second] = old;
        assert_eq!(timings_of(&[first, second, other]), [], "as many points, but others");
    }

    #[test]
    fn the_age_of_an_answer_counts() {
        let at = second(53);
        let old = switched(&Slice::all(), &part(2, 0), at, ms(1)).reports(second(90));
        let new = switched(&Slice::none(), &part(2, 1), at, ms(1)).reports(second(91));
        let timings = timings(&[(second(1), &old), (Duration::ZERO, &new)], 1);
        assert_eq!(timings, [SwitchTiming { generation: 2, gap: Duration::ZERO, overlap: Duration::ZERO }]);
    }

    #[test]
    fn the_end_of_a_long_overlap_belongs_to_its_switch_and_an_expired_plan_hides() {
        let (at, end) = (second(53), second(83));
        let mut old = Journal::default();
        let serving = plan(&[(second(1), Slice::all())]);
        old.note(&plan(&[(Duration::ZERO, Slice::none())]), &serving, 1, second(1));
        let ending = plan(&[(at, Slice::all()), (end, part(2, 0))]);
        old.note(&serving, &ending, 2, at);
        old.note(&ending, &plan(&[(end, part(2, 0))]), 2, end);
        let new = switched(&Slice::none(), &part(2, 1), at, ms(1));
        let expected = SwitchTiming { generation: 2, gap: Duration::ZERO, overlap: second(30) };
        assert_eq!(timings_of(&[old, new.clone()]), [expected]);

        let mut expired = Journal::default();
        let until = Plan { until: Some(second(51)), ..plan(&[(second(1), Slice::all())]) };
        expired.note(&plan(&[(Duration::ZERO, Slice::none())]), &until, 1, second(1));
        expired.note(&until, &plan(&[(second(54), part(2, 0))]), 2, second(54));
        let hidden = expired.reports(second(90))[1].hidden.expect("it hid all");
        assert_eq!((hidden.first_ago, hidden.last_ago), (39_000, 39_000));
    }

    #[test]
    fn a_member_remembers_a_few_switches_and_later_changes_of_a_generation_do_not_count() {
        let mut journal = Journal::default();
        let mut before = plan(&[(Duration::ZERO, Slice::none())]);
        for generation in 1..30_u32 {
            let after = plan(&[(second(u64::from(generation)), part(generation, 0))]);
            journal.note(&before, &after, u64::from(generation), second(u64::from(generation)));
            before = after;
        }
        let reports = journal.reports(second(60));
        assert_eq!(reports.iter().map(|report| report.generation).collect::<Vec<_>>(), (22..30).collect::<Vec<_>>());
        journal.note(&before, &plan(&[(second(60), Slice::none())]), 29, second(60));
        assert_eq!(journal.reports(second(60)), reports);
    }
}
