//! Whether the members of a fleet together expose each object once: what they are asked, and what follows from what they
//! answer. No clock, no I/O.
//!
//! Members hear of a change at different moments, so their sums are compared as of one resourceVersion that all have
//! reached: first each says how far it has come, then each says what it exposed as of the chosen version. Answers under
//! different generations are of different fleets and prove nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handover::{HandoverState, Plan, Status};
use crate::sharding::{Digest, Slice};

/// How long a resource may go without a proof before it counts as unproven: a proof is tried every minute, and a handover,
/// a member that lists again, or a quiet resource of which bookmarks come once a minute may void two rounds in a fleet
/// that is well.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a member is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// As of which resourceVersion the digest of a resource is wanted.
    #[serde(default)]
    pub versions: BTreeMap<String, u64>,
}

/// What a member answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The generation under which it exposes what it does.
    pub generation: u64,
    /// Whether that holds, with no switch due.
    pub settled: bool,
    /// How far it has come with each resource.
    #[serde(default)]
    pub reach: BTreeMap<String, Reach>,
    /// The digests that were asked for, where they are known.
    #[serde(default)]
    pub digests: BTreeMap<String, Digest>,
}

/// The objects of one resource that a replica exposes, as `GET /fleet/objects` lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// The generation under which they are exposed; 0 outside a fleet.
    #[serde(default)]
    pub generation: u64,
    /// Their UIDs, in no order.
    pub uids: Vec<String>,
}

/// As of which resourceVersions a member knows what it exposes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// The API server does not have the resource, or does not show it.
    Refused,
    /// None: it is being listed.
    None,
    /// These, both ends included.
    Versions {
        /// The earliest.
        floor: u64,
        /// The newest.
        position: u64,
    },
}

/// What a member exposes at a moment, as the audit counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The generation, 0 for none.
    pub generation: u64,
    /// Whether no switch is due.
    pub settled: bool,
    /// What is exposed, without what is exposed for `--handover-overlap` alone.
    pub counted: Slice,
}

impl Stand {
    /// That of a member with this status and plan.
    pub fn of(status: &Status, plan: &Plan, boot: Duration) -> Self {
        let settled = status.handover != HandoverState::Switching;
        Self::new(status.generation, settled, plan, &status.owned, boot)
    }

    /// That of a member that exposes what `plan` says and owns `owned` in `generation`.
    pub fn new(generation: u64, settled: bool, plan: &Plan, owned: &Slice, boot: Duration) -> Self {
        let exposed = plan.at(boot).cloned().unwrap_or_default();
        // A step to come takes away what is exposed for the overlap alone; without one, whatever is exposed counts.
        let overlap = plan.steps.iter().any(|(from, _)| *from > boot);
        let counted = if overlap { exposed.intersection(owned) } else { exposed };
        Self { generation, settled, counted }
    }
}

/// Why there is no proof this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A member did not answer.
    Silent(String),
    /// Members expose by different generations, or a switch is due.
    Unsettled,
    /// A member does not have the resource, or is listing it.
    NotLoaded(String),
    /// There is no version as of which all members know what they exposed.
    NoCommonVersion,
    /// A member forgot between question and question.
    Forgotten(String),
    /// No one sees all objects.
    Unseen(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => write!(f, "a member did not answer: {why}"),
            Self::Unsettled => f.write_str("a handover is under way"),
            Self::NotLoaded(member) => write!(f, "{member} does not watch it, or is listing it"),
            Self::NoCommonVersion => {
                f.write_str("there is no resourceVersion as of which all members know what they exposed")
            }
            Self::Forgotten(member) => write!(f, "{member} no longer knows what it exposed"),
            Self::Unseen(why) => write!(f, "not all objects of the cluster are seen: {why}"),
        }
    }
}

/// What was exposed and what there was, as of one resourceVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// All objects of the cluster.
    pub seen: Digest,
    /// The sum of what the members expose.
    pub exposed: Digest,
}

impl Proof {
    /// Each object is exposed once.
    pub fn is_exact(&self) -> bool {
        self.seen == self.exposed
    }

    /// Some are exposed by nobody: there are fewer, or as many but others.
    pub fn is_missing(&self) -> bool {
        self.exposed.count < self.seen.count || (self.exposed.count == self.seen.count && !self.is_exact())
    }

    /// Some are exposed more than once: there are more, or as many but others.
    pub fn is_doubled(&self) -> bool {
        self.exposed.count > self.seen.count || (self.exposed.count == self.seen.count && !self.is_exact())
    }
}

/// Answers, each with how its member is called in messages.
pub type Answers = Vec<(String, Answer)>;

/// The generation by which all who answered expose.
///
/// # Errors
/// They do not agree, or a switch is due.
pub fn generation(answers: &Answers) -> Result<u64, Doubt> {
    let mut generations = answers.iter().map(|(_, answer)| answer.settled.then_some(answer.generation));
    let first = generations.next().flatten().filter(|generation| *generation != 0).ok_or(Doubt::Unsettled)?;
    if generations.all(|other| other == Some(first)) { Ok(first) } else { Err(Doubt::Unsettled) }
}

/// The newest resourceVersion of `resource` that everyone has reached and knows about, who sees all objects (`sight`) included;
/// `None` if the API server refuses it to all. Who alone is refused it has nothing to wait for: what it should expose is missing.
///
/// # Errors
/// There is none.
pub fn common_version(resource: &str, answers: &Answers, sight: Reach) -> Result<Option<u64>, Doubt> {
    let reach = |answer: &Answer| answer.reach.get(resource).copied();
    if answers.iter().all(|(_, answer)| reach(answer) == Some(Reach::Refused)) {
        return Ok(None);
    }
    let (mut lowest, mut highest) = match sight {
        Reach::Versions { floor, position } => (floor, position),
        Reach::None => return Err(Doubt::Unseen("it is being listed".to_owned())),
        Reach::Refused => return Err(Doubt::Unseen("the API server refuses it here".to_owned())),
    };
    for (member, answer) in answers {
        match reach(answer) {
            Some(Reach::Versions { floor, position }) => (lowest, highest) = (lowest.max(floor), highest.min(position)),
            Some(Reach::Refused) => {}
            Some(Reach::None) | None => return Err(Doubt::NotLoaded(member.clone())),
        }
    }
    if lowest > highest { Err(Doubt::NoCommonVersion) } else { Ok(Some(highest)) }
}

/// What all together expose.
///
/// # Errors
/// A member does not know what it exposed.
pub fn exposed(resource: &str, answers: &Answers) -> Result<Digest, Doubt> {
    answers.iter().try_fold(Digest::default(), |sum, (member, answer)| {
        let digest = answer.digests.get(resource).ok_or_else(|| Doubt::Forgotten(member.clone()))?;
        Ok(sum.plus(*digest))
    })
}

/// What is known of each resource's coverage over time.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<String, Known>);

#[derive(Clone, Debug)]
struct Known {
    proof: Option<Proof>,
    /// When that was (boot time), or when the first proof was tried.
    at: Duration,
    /// Why the last try failed.
    doubt: Option<Doubt>,
    /// What was last told of it.
    told: State,
}

/// What can be said of a resource's coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Each object is exposed once.
    pub exact: bool,
    /// Some are exposed by nobody.
    pub missing: bool,
    /// Some are exposed more than once.
    pub doubled: bool,
    /// There was no proof for [`PATIENCE`].
    pub unproven: bool,
}

/// A resource's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The resource.
    pub resource: String,
    /// What can be said; nothing before the first proof.
    pub state: State,
    /// The last proof.
    pub proof: Option<Proof>,
    /// How long ago that was; before the first, for how long it has been tried.
    pub age: Duration,
}

/// A change of a resource's state, to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The resource.
    pub resource: String,
    /// What can be said now.
    pub state: State,
    /// The last proof.
    pub proof: Option<Proof>,
    /// Why there is none, if it is unproven.
    pub doubt: Option<Doubt>,
}

impl Ledger {
    /// A try to prove `resource`, at `now` (boot time).
    pub fn enter(&mut self, resource: &str, tried: Result<Proof, Doubt>, now: Duration) {
        let known = self.0.entry(resource.to_owned()).or_insert_with(|| Known {
            proof: None,
            at: now,
            doubt: None,
            told: State::default(),
        });
        match tried {
            Ok(proof) => (known.proof, known.at, known.doubt) = (Some(proof), now, None),
            Err(doubt) => known.doubt = Some(doubt),
        }
    }

    /// A resource that cannot be proven and need not be: the API server does not have it.
    pub fn leave_out(&mut self, resource: &str) {
        self.0.remove(resource);
    }

    /// Of the resources only those go on: the others are no longer watched.
    pub fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.0.retain(|resource, _| is_kept(resource));
    }

    /// Whoever proves from now on, it is not us.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All that is known, at `now`.
    pub fn lines(&self, now: Duration) -> Vec<Line> {
        let line = |(resource, known): (&String, &Known)| Line {
            resource: resource.clone(),
            state: known.state(now),
            proof: known.proof,
            age: now.saturating_sub(known.at),
        };
        self.0.iter().map(line).collect()
    }

    /// What has changed since the last call and is worth a line: not that a first proof was exact.
    pub fn news(&mut self, now: Duration) -> Vec<News> {
        let mut news = Vec::new();
        for (resource, known) in &mut self.0 {
            let state = known.state(now);
            let expected = known.told == State::default() && state.exact;
            if std::mem::replace(&mut known.told, state) != state && !expected {
                let doubt = known.doubt.clone().filter(|_| state.unproven);
                news.push(News { resource: resource.clone(), state, proof: known.proof, doubt });
            }
        }
        news
    }
}

impl Known {
    fn state(&self, now: Duration) -> State {
        let unproven = now.saturating_sub(self.at) > PATIENCE;
        match self.proof.filter(|_| !unproven) {
            Some(proof) => State {
                exact: proof.is_exact(),
                missing: proof.is_missing(),
                doubled: proof.is_doubled(),
                unproven: false,
            },
            None => State { unproven, ..State::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::Arc;

    use super::*;
    use crate::exposition::{BlockBuilder, ResourceStore, Stamp};
    use crate::sharding::{Assignment, Hasher, Hashes};

    const RESOURCE: &str = "pods";

    fn answer(generation: u64, floor: u64, position: u64) -> Answer {
        let reach = [(RESOURCE.to_owned(), Reach::Versions { floor, position })].into();
        Answer { generation, settled: true, reach, digests: BTreeMap::new() }
    }

    fn named(answers: Vec<Answer>) -> Answers {
        answers.into_iter().enumerate().map(|(i, answer)| (format!("member {i}"), answer)).collect()
    }

    #[test]
    fn a_version_is_chosen_that_all_know_about() {
        let all = Reach::Versions { floor: 0, position: 100 };
        let version = |answers| common_version(RESOURCE, &named(answers), all);
        assert_eq!(version(vec![answer(1, 3, 9), answer(1, 7, 8)]), Ok(Some(8)));
        assert_eq!(version(vec![answer(1, 8, 8), answer(1, 7, 8)]), Ok(Some(8)));
        assert_eq!(version(vec![answer(1, 9, 9), answer(1, 7, 8)]), Err(Doubt::NoCommonVersion));
        let with = |reach| Answer { reach: [(RESOURCE.to_owned(), reach)].into(), ..answer(1, 0, 0) };
        assert_eq!(version(vec![answer(1, 3, 9), with(Reach::None)]), Err(Doubt::NotLoaded("member 1".to_owned())));
        assert_eq!(version(vec![answer(1, 3, 9), with(Reach::Refused)]), Ok(Some(9)));
        assert_eq!(version(vec![with(Reach::Refused), with(Reach::Refused)]), Ok(None));
        assert_eq!(version(vec![answer(1, 3, 9), Answer::default()]), Err(Doubt::NotLoaded("member 1".to_owned())));
        let seen = |sight| common_version(RESOURCE, &named(vec![answer(1, 3, 9)]), sight);
        assert_eq!(seen(Reach::Versions { floor: 0, position: 8 }), Ok(Some(8)));
        assert_eq!(seen(Reach::Versions { floor: 0, position: 2 }), Err(Doubt::NoCommonVersion));
        assert!(matches!(seen(Reach::Refused), Err(Doubt::Unseen(_))));
        assert!(matches!(seen(Reach::None), Err(Doubt::Unseen(_))));
    }

    #[test]
    fn answers_count_only_under_one_generation_that_holds() {
        let of = |answers| generation(&named(answers));
        assert_eq!(of(vec![answer(4, 0, 0), answer(4, 0, 0)]), Ok(4));
        assert_eq!(of(vec![answer(4, 0, 0), answer(5, 0, 0)]), Err(Doubt::Unsettled));
        assert_eq!(of(vec![answer(4, 0, 0), Answer { settled: false, ..answer(4, 0, 0) }]), Err(Doubt::Unsettled));
        assert_eq!(of(vec![answer(0, 0, 0)]), Err(Doubt::Unsettled));
        assert_eq!(of(vec![]), Err(Doubt::Unsettled));
    }

    #[test]
    fn what_is_exposed_for_an_overlap_alone_does_not_count_and_other_excess_does() {
        let half = |upper| Slice::of(Hasher::XxHash64, Assignment::new(2).expect("two").ranges(upper));
        let second = Duration::from_secs;
        let lasting = Plan { steps: vec![(second(0), Slice::all())], until: None };
        assert_eq!(Stand::new(1, true, &lasting, &half(0), second(5)).counted, Slice::all());
        let overlap = Plan { steps: vec![(second(0), Slice::all()), (second(9), half(0))], until: None };
        assert_eq!(Stand::new(1, true, &overlap, &half(0), second(5)).counted, half(0));
        assert_eq!(Stand::new(1, true, &overlap, &half(0), second(9)).counted, half(0));
        let shut = Plan { steps: vec![(second(0), Slice::all())], until: Some(second(5)) };
        assert_eq!(Stand::new(1, true, &shut, &half(0), second(5)).counted, Slice::none());
    }

    fn proof(seen: &[&str], exposed: &[&str]) -> Proof {
        let digest = |uids: &[&str]| {
            let mut digest = Digest::default();
            uids.iter().for_each(|uid| digest.add(Hashes::of(uid)));
            digest
        };
        Proof { seen: digest(seen), exposed: digest(exposed) }
    }

    #[test]
    fn a_proof_says_what_is_wrong() {
        for (exposed, exact, missing, doubled) in [
            (vec!["a", "b"], true, false, false),
            (vec!["a"], false, true, false),
            (vec!["a", "b", "b"], false, false, true),
            (vec!["a", "a"], false, true, true),
        ] {
            let proof = proof(&["a", "b"], &exposed);
            assert_eq!(
                (proof.is_exact(), proof.is_missing(), proof.is_doubled()),
                (exact, missing, doubled),
                "{exposed:?}"
            );
        }
    }

    #[test]
    fn a_resource_is_unproven_only_after_minutes_and_a_change_of_coordinator_tells_nothing() {
        let second = Duration::from_secs;
        let mut ledger = Ledger::default();
        ledger.enter(RESOURCE, Err(Doubt::Unsettled), second(1000));
        let state = |ledger: &Ledger, at| ledger.lines(second(at))[0].state;
        assert_eq!(state(&ledger, 1180), State::default());
        assert!(ledger.news(second(1180)).is_empty());
        assert!(state(&ledger, 1181).unproven);
        let news = ledger.news(second(1181));
        assert_eq!((news.len(), &news[0].doubt), (1, &Some(Doubt::Unsettled)));
        ledger.enter(RESOURCE, Ok(proof(&["a"], &["a"])), second(1200));
        assert_eq!(state(&ledger, 1201), State { exact: true, ..State::default() });
        assert_eq!(ledger.news(second(1201)).len(), 1, "that it is well again is told");
        ledger.enter(RESOURCE, Err(Doubt::Unsettled), second(1300));
        assert!(state(&ledger, 1300).exact, "a try that failed changes nothing");
        ledger.clear();
        ledger.enter(RESOURCE, Ok(proof(&["a"], &["a"])), second(1400));
        assert!(ledger.news(second(1400)).is_empty());
    }

    /// A member of a fleet that watches a cluster and may be some events behind.
    struct Member {
        pods: Arc<ResourceStore>,
        slice: Slice,
        /// How many events it has seen.
        seen: usize,
    }

    impl Member {
        fn new(slice: Slice) -> Self {
            Self { pods: ResourceStore::new(RESOURCE, Vec::new()), slice, seen: 0 }
        }

        fn catch_up(&mut self, events: &[(bool, String)], to: usize) {
            for (i, (present, uid)) in events.iter().enumerate().take(to).skip(self.seen) {
                let version = i as u64 + 1;
                if !self.slice.contains_uid(uid) {
                    continue;
                }
                if *present {
                    let block = BlockBuilder::new(&[]).finish();
                    self.pods.apply(0, uid.as_str().into(), Hashes::of(uid), Stamp { version, listed: false }, block);
                } else {
                    self.pods.delete(uid, version);
                }
            }
            self.seen = self.seen.max(to);
        }

        fn answer(&self, version: Option<u64>) -> Answer {
            let pods = &self.pods;
            let digest = version.map(|v| (RESOURCE.to_owned(), pods.digest(&Slice::all(), v).expect("it is known")));
            Answer {
                digests: digest.into_iter().collect(),
                ..answer(7, pods.floor().expect("no list is open"), self.seen as u64)
            }
        }
    }

    /// What there is after the first `count` events.
    fn cluster(events: &[(bool, String)], count: usize) -> Digest {
        let mut there = std::collections::BTreeSet::new();
        for (present, uid) in &events[..count] {
            if *present {
                there.insert(uid)
            } else {
                there.remove(uid)
            };
        }
        let mut digest = Digest::default();
        there.iter().for_each(|uid| digest.add(Hashes::of(uid)));
        digest
    }

    proptest! {
        /// However far behind each is, and whatever happens between the two questions: a healthy fleet is exact, one with a gap
        /// is missing, one with a member twice is doubled.
        #[test]
        fn a_fleet_is_judged_by_what_it_is_and_not_by_how_far_behind_it_is(
            events in proptest::collection::vec((any::<bool>(), (0..24_u8).prop_map(|i| format!("uid-{i}"))), 1..80),
            total in 1..5_u32,
            first in proptest::collection::vec(0..80_usize, 5),
            later in proptest::collection::vec(0..80_usize, 5),
            fault in 0..3_u8,
        ) {
            let assignment = Assignment::new(total).expect("there are some");
            let mut ordinals: Vec<_> = (0..total).collect();
            match fault {
                1 => drop(ordinals.pop()),
                2 => ordinals.push(total - 1),
                _ => {}
            }
            prop_assume!(!ordinals.is_empty());
            let slice = |ordinal: &u32| Slice::of(Hasher::XxHash64, assignment.ranges(*ordinal));
            let mut members: Vec<_> = ordinals.iter().map(|ordinal| Member::new(slice(ordinal))).collect();
            for (member, to) in members.iter_mut().zip(&first) {
                member.catch_up(&events, (*to).min(events.len()));
            }
            let asked = named(members.iter().map(|m| m.answer(None)).collect());
            let version = common_version(RESOURCE, &asked, Reach::Versions { floor: 0, position: u64::MAX }).expect("all know it").expect("nobody is refused");
            for (member, to) in members.iter_mut().zip(&later) {
                member.catch_up(&events, (*to).min(events.len()));
            }
            let answers = named(members.iter().map(|m| m.answer(Some(version))).collect());
            prop_assert_eq!(generation(&answers), Ok(7));
            let seen = cluster(&events, version as usize);
            let proof = Proof { seen, exposed: exposed(RESOURCE, &answers).expect("all know it") };

            let mut odd = Member::new(slice(&(total - 1)));
            odd.catch_up(&events, version as usize);
            let affected = odd.answer(Some(version)).digests[RESOURCE].count > 0;
            prop_assert_eq!(proof.is_exact(), fault == 0 || !affected);
            prop_assert_eq!(proof.is_missing(), fault == 1 && affected);
            prop_assert_eq!(proof.is_doubled(), fault == 2 && affected);
        }
    }
}
