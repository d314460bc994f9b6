//! Measures how exactly the members switch: what each of them hid and showed in a change of the assignment, and when. No clock,
//! no I/O.
//!
//! Members state how long ago something happened, so their clocks do not matter. May not know the state machine's reasons.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handover::{Cause, Change, Plan, millis};
use super::record::MeasuredSwitch;
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
    /// How long ago it had first loaded all that it exposes, in milliseconds. Members prepare a planned switch, so then it is over
    /// with it.
    pub loaded_ago: Option<u64>,
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

/// A change of the assignment that the measuring member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownChange {
    /// The generation that it led to.
    pub generation: u64,
    /// Why it changed.
    pub cause: Cause,
    /// For a dismissal: the ranges that others took, and how long ago the dismissed members certainly ran.
    pub lost: Option<(Digest, Duration)>,
}

/// The answer of a member: the ranges that it hid and showed.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The time since it arrived.
    pub age: Duration,
    /// The generation by which the member exposes objects. Its reports are complete up to that one.
    pub generation: u64,
    /// Its last changes.
    pub reports: &'a [SwitchReport],
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
    hidden: Option<Move>,
    shown: Option<Move>,
    /// When all that the member exposes was first loaded.
    loaded: Option<Duration>,
    change: Option<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Move {
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
            let change = side.get_or_insert(Move { points: Digest::default(), first: at, last: at });
            change.points = change.points.plus(points(&slice));
            (change.first, change.last) = (change.first.min(at), change.last.max(at));
        }
    }

    /// Notes the newest change, and whether all that the member exposes is loaded, after [`Self::note`].
    pub fn note_state(&mut self, change: Option<&Change>, loaded: bool, now: Duration) {
        let newest = self.entries.back_mut();
        if let (Some(entry), Some(change)) = (newest, change)
            && entry.generation == change.generation
            && entry.change.is_none()
        {
            entry.change = Some(change.clone());
        }
        if loaded {
            for entry in self.entries.iter_mut().filter(|entry| entry.shown.is_some()) {
                entry.loaded.get_or_insert(now);
            }
        }
    }

    /// Returns what the member hid and showed, as of `now`.
    pub fn reports(&self, now: Duration) -> Vec<SwitchReport> {
        let ago = |at: Duration| millis(now.saturating_sub(at));
        let moved =
            |change: Move| Moved { points: change.points, first_ago: ago(change.first), last_ago: ago(change.last) };
        let report = |entry: &Entry| SwitchReport {
            generation: entry.generation,
            hidden: entry.hidden.map(moved),
            shown: entry.shown.map(moved),
            loaded_ago: entry.loaded.map(ago),
        };
        self.entries.iter().map(report).collect()
    }

    /// Returns the changes that the member took part in, as of `now`.
    pub fn changes(&self, now: Duration) -> Vec<KnownChange> {
        let known = |change: &Change| KnownChange {
            generation: change.generation,
            cause: change.cause,
            lost: change.lost.as_ref().map(|lost| (points(&lost.taken), now.saturating_sub(lost.alive_at))),
        };
        self.entries.iter().filter_map(|entry| entry.change.as_ref()).map(known).collect()
    }

    /// Returns the cause of the newest change and its generation, if the member hid ranges in it.
    pub fn newest_hidden(&self) -> Option<(Cause, u64)> {
        let newest = self.entries.back().filter(|entry| entry.hidden.is_some())?;
        newest.change.as_ref().map(|change| (change.cause, change.generation))
    }
}

/// Returns how exact each of `changes` was, as far as the answers tell.
///
/// A planned switch whose hidden and shown ranges are not the same is left out: a member that took part in it has not answered, or
/// it is not over. In a dismissal the lost members cannot say when they ended. They certainly ran at their last sign of life, so the
/// gap is at most the time from there until others had loaded what they took.
pub fn timings(answers: &[Answer<'_>], changes: &[KnownChange]) -> Vec<(Cause, MeasuredSwitch)> {
    let answers: Vec<_> = answers.iter().filter(|answer| answer.reports.len() <= MOST).collect();
    let timing = |change: &KnownChange| {
        // One that has not changed yet may still hide and show ranges.
        let is_over = answers.iter().all(|answer| answer.generation >= change.generation);
        let measured = if is_over { timing(&answers, change) } else { None };
        measured.map(|measured| (change.cause, measured))
    };
    changes.iter().filter_map(timing).collect()
}

fn timing(answers: &[&Answer<'_>], change: &KnownChange) -> Option<MeasuredSwitch> {
    let generation = change.generation;
    let (mut hidden, mut shown) = (Sum::default(), Sum::default());
    // When the last of those that gained ranges had loaded them; `None` while one of them loads.
    let mut loaded = Some(Duration::MAX);
    for Answer { age, reports, .. } in answers {
        for report in reports.iter().filter(|report| report.generation == generation) {
            hidden.add(report.hidden, *age);
            shown.add(report.shown, *age);
            if report.shown.is_some() {
                let ago = report.loaded_ago.map(|ago| age.saturating_add(Duration::from_millis(ago)));
                loaded = loaded.zip(ago).map(|(last, ago)| last.min(ago));
            }
        }
    }
    let (showed_first, showed_last) = shown.ago?;
    if change.cause == Cause::Dismissal {
        let (taken, alive_ago) = change.lost?;
        let gap = alive_ago.saturating_sub(loaded?.min(showed_last));
        return (taken == shown.points).then(|| MeasuredSwitch { generation, gap: millis(gap), overlap: None });
    }
    let (hid_first, hid_last) = hidden.ago?;
    (hidden.points == shown.points).then(|| MeasuredSwitch {
        generation,
        gap: millis(hid_first.saturating_sub(showed_last)),
        overlap: Some(millis(showed_first.saturating_sub(hid_last))),
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

    const SCALED: KnownChange = KnownChange { generation: 2, cause: Cause::Scale, lost: None };

    const fn answer(age: Duration, reports: &[SwitchReport]) -> Answer<'_> {
        Answer { age, generation: 2, reports }
    }

    const fn exact(gap: u64, overlap: u64) -> (Cause, MeasuredSwitch) {
        (Cause::Scale, MeasuredSwitch { generation: 2, gap, overlap: Some(overlap) })
    }

    fn timings_of(journals: &[Journal]) -> Vec<(Cause, MeasuredSwitch)> {
        let reports: Vec<_> = journals.iter().map(|journal| journal.reports(second(90))).collect();
        let answers: Vec<_> = reports.iter().map(|reports| answer(Duration::ZERO, reports)).collect();
        timings(&answers, &[SCALED])
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
            assert_eq!(timings_of(&[first, second, new]), [exact(gap, overlap)], "{shown_at:?}");
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
    fn a_switch_is_not_measured_while_a_member_has_not_changed() {
        let at = second(53);
        let old = switched(&Slice::all(), &part(2, 0), at, ms(1)).reports(second(90));
        let new = switched(&Slice::none(), &part(2, 1), at, ms(1)).reports(second(90));
        let late = Answer { generation: 1, ..answer(Duration::ZERO, &[]) };
        let mut answers = vec![answer(Duration::ZERO, &old), answer(Duration::ZERO, &new)];
        assert_eq!(timings(&answers, &[SCALED]), [exact(0, 0)]);
        answers.push(late);
        assert_eq!(timings(&answers, &[SCALED]), []);
    }

    #[test]
    fn a_dismissal_takes_from_the_last_sign_of_life_until_others_have_loaded_the_ranges() {
        let at = second(53);
        let lost = (points(&part(2, 1)), second(90) - second(52));
        let change = KnownChange { cause: Cause::Dismissal, lost: Some(lost), ..SCALED };
        let mut taker = switched(&part(2, 0), &Slice::all(), at, ms(1));
        let measure =
            |taker: &Journal, change| timings(&[answer(Duration::ZERO, &taker.reports(second(90)))], &[change]);
        assert_eq!(measure(&taker, change), [], "it has not loaded what it took");
        taker.note_state(None, false, second(54));
        taker.note_state(None, true, second(55));
        taker.note_state(None, true, second(60));
        let measured = MeasuredSwitch { generation: 2, gap: 3000, overlap: None };
        assert_eq!(measure(&taker, change), [(Cause::Dismissal, measured)]);
        let others = KnownChange { lost: Some((points(&part(2, 0)), lost.1)), ..change };
        assert_eq!(measure(&taker, others), [], "other ranges were lost");
        assert_eq!(measure(&taker, KnownChange { lost: None, ..change }), [], "the lost member was never heard");
    }

    #[test]
    fn a_member_knows_the_changes_that_it_took_part_in() {
        let lost = crate::fleet::handover::Lost { taken: part(2, 1), alive_at: second(52) };
        let change = Change { generation: 2, cause: Cause::Leave, lost: Some(lost) };
        let mut journal = switched(&Slice::all(), &part(2, 0), second(53), ms(1));
        assert_eq!((journal.newest_hidden(), journal.changes(second(90))), (None, Vec::new()));
        journal.note_state(Some(&Change { generation: 3, ..change.clone() }), true, second(54));
        assert_eq!(journal.changes(second(90)), [], "of another generation");
        journal.note_state(Some(&change), true, second(54));
        assert_eq!(journal.newest_hidden(), Some((Cause::Leave, 2)));
        let known = KnownChange { generation: 2, cause: Cause::Leave, lost: Some((points(&part(2, 1)), second(38))) };
        assert_eq!(journal.changes(second(90)), [known]);
    }

    #[test]
    fn the_age_of_an_answer_counts() {
        let at = second(53);
        let old = switched(&Slice::all(), &part(2, 0), at, ms(1)).reports(second(90));
        let new = switched(&Slice::none(), &part(2, 1), at, ms(1)).reports(second(91));
        let timings = timings(&[answer(second(1), &old), answer(Duration::ZERO, &new)], &[SCALED]);
        assert_eq!(timings, [exact(0, 0)]);
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
        assert_eq!(timings_of(&[old, new.clone()]), [exact(0, 30_000)]);

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
