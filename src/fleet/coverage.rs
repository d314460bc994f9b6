//! Checks whether the members of a fleet together expose each object exactly once. No clock, no I/O.
//!
//! Members receive a change at different moments, so their digests are compared as of one resourceVersion. First each
//! member reports the versions that it knows. The coordinator chooses one, and each member reports the digest of the objects
//! that it exposed as of that version. Reports of different generations prove nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handover::{HandoverState, Plan, Status};
use super::switches::SwitchReport;
use crate::sharding::{Digest, Slice};

/// The request of the coordinator to a member: the body of `POST /fleet/coverage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageRequest {
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// The resourceVersion, by resource, for which the coordinator wants a digest.
    #[serde(default)]
    pub versions: BTreeMap<String, u64>,
}

/// The answer of a member to a [`CoverageRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageReport {
    /// The generation by which the member exposes objects.
    pub generation: u64,
    /// Whether that generation is final, with no switch pending.
    pub settled: bool,
    /// The versions that the member knows, by resource.
    #[serde(default)]
    pub known_versions: BTreeMap<String, KnownVersions>,
    /// The requested digests, by resource. Absent where the member does not know the version.
    #[serde(default)]
    pub digests: BTreeMap<String, Digest>,
    /// By resource, a hash of what the selectors of the settings select. Absent without selectors, and in answers of older
    /// replicas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selections: BTreeMap<String, u64>,
    /// What the member hid and showed in the last changes of the assignment. Absent in answers of older replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<SwitchReport>,
}

/// The objects of one resource that a replica exposes: the answer to `GET /fleet/objects`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// The generation by which they are exposed; 0 outside a fleet.
    #[serde(default)]
    pub generation: u64,
    /// Their UIDs, in no order.
    pub uids: Vec<String>,
    /// The generation when the answer ended. If it differs from `generation`, objects may be missing. Older replicas do not
    /// send it.
    #[serde(default)]
    pub final_generation: Option<u64>,
}

/// The resourceVersions as of which a replica knows the objects of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KnownVersions {
    /// The API server does not have the resource, or refuses to list it.
    Refused,
    /// None: the replica is listing the resource.
    None,
    /// All from `oldest` to `newest`, both included.
    Versions {
        /// The earliest version.
        oldest: u64,
        /// The latest version.
        newest: u64,
    },
}

/// The objects that a member exposes at a moment, as the audit counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The generation, 0 for none.
    pub generation: u64,
    /// Whether no switch is pending.
    pub settled: bool,
    /// The exposed objects, without those exposed only for `--handover-overlap`.
    pub counted: Slice,
}

impl Objects {
    /// Returns the generation by which all of them are exposed; `None` if it changed while they were sent.
    pub fn settled_generation(&self) -> Option<u64> {
        self.final_generation.is_none_or(|last| last == self.generation).then_some(self.generation)
    }
}

impl Exposure {
    /// Returns the exposure of a member with this status and plan.
    pub fn of(status: &Status, plan: &Plan, boot: Duration) -> Self {
        let settled = status.handover != HandoverState::Switching;
        Self::new(status.generation, settled, plan, &status.owned, boot)
    }

    /// Returns the exposure of a member that follows `plan` and owns `owned` in `generation`.
    pub fn new(generation: u64, settled: bool, plan: &Plan, owned: &Slice, boot: Duration) -> Self {
        let exposed = plan.at(boot).cloned().unwrap_or_default();
        // A later step ends the overlap. Without one, everything exposed counts.
        let overlap = plan.steps.iter().any(|(from, _)| *from > boot);
        let counted = if overlap { exposed.intersection(owned) } else { exposed };
        Self { generation, settled, counted }
    }
}

/// A replica that exposes objects.
pub trait ExposureSource: Send + Sync {
    /// Returns the objects that this replica exposes now.
    fn exposure(&self) -> Exposure;
    /// Returns what it hid and showed in the last changes of the assignment; nothing outside a fleet.
    fn switches(&self) -> Vec<SwitchReport> {
        Vec::new()
    }
}

/// Why an audit proves nothing about a resource. The next audit tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A member did not answer.
    #[error("a member did not answer: {0}")]
    NoAnswer(String),
    /// Members expose different generations, or a switch is pending.
    #[error("a handover is in progress")]
    HandoverInProgress,
    /// A member does not watch the resource, or is listing it.
    #[error("{0} does not watch the resource, or is still listing it")]
    NotSynced(String),
    /// No version is known to all members.
    #[error("no resourceVersion is known to all members")]
    NoCommonVersion,
    /// Members select different objects of the resource.
    #[error("{0} selects other objects: its selectors differ, or it has not seen a change of a Namespace yet")]
    OtherSelection(String),
    /// A member discarded the chosen version between the two requests.
    #[error("{0} has discarded the chosen resourceVersion")]
    VersionForgotten(String),
    /// No replica sees all objects of the cluster.
    #[error("this replica does not see all objects of the cluster: {0}")]
    NotAllSeen(#[from] SeenError),
}

/// Why a replica does not know all objects of a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeenError {
    /// The resource is being listed.
    #[error("the resource is still being listed")]
    Listing,
    /// The API server refuses the list.
    #[error("the API server refuses the list")]
    Refused,
    /// The API server sends only the objects of this shard.
    #[error("the API server sends only the objects of this shard; set --coverage-watch")]
    Filtered,
    /// The sources do not know the version.
    #[error("{0}")]
    Version(String),
}

/// The objects that exist and those that members expose, as of one resourceVersion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// All objects of the cluster.
    pub seen: Digest,
    /// The sum over all members of the objects that each exposes.
    pub exposed: Digest,
}

impl Proof {
    /// Whether each object is exposed once.
    pub fn is_exact(&self) -> bool {
        self.seen == self.exposed
    }

    /// Whether some objects are exposed by no member: fewer are exposed than exist, or as many but others.
    pub fn is_missing(&self) -> bool {
        self.exposed.count < self.seen.count || (self.exposed.count == self.seen.count && !self.is_exact())
    }

    /// Whether some objects are exposed more than once: more are exposed than exist, or as many but others.
    pub fn is_doubled(&self) -> bool {
        self.exposed.count > self.seen.count || (self.exposed.count == self.seen.count && !self.is_exact())
    }
}

/// The reports of all members, each with the member's name for messages.
pub type Reports = Vec<(String, CoverageReport)>;

/// Returns the generation that all reports have in common.
///
/// # Errors
/// [`ProofError::HandoverInProgress`] if the reports differ, or if a switch is pending.
pub fn generation(reports: &Reports) -> Result<u64, ProofError> {
    let mut generations = reports.iter().map(|(_, report)| report.settled.then_some(report.generation));
    let first =
        generations.next().flatten().filter(|generation| *generation != 0).ok_or(ProofError::HandoverInProgress)?;
    if generations.all(|other| other == Some(first)) { Ok(first) } else { Err(ProofError::HandoverInProgress) }
}

/// Checks that all members select the same objects of `resource`.
fn same_selection(resource: &str, reports: &Reports) -> Result<(), ProofError> {
    let first = reports.first().and_then(|(_, report)| report.selections.get(resource));
    match reports.iter().find(|(_, report)| report.selections.get(resource) != first) {
        Some((member, _)) => Err(ProofError::OtherSelection(member.clone())),
        None => Ok(()),
    }
}

/// Returns the newest resourceVersion of `resource` that all members know, within the range `cluster` of versions as of which
/// one replica sees all objects.
///
/// Returns `None` if the API server refuses the resource to all members. If it refuses only some of them, the others do not
/// wait for those, and the objects of those are missing.
///
/// # Errors
/// A member or `cluster` knows no version, or they have none in common; or members select different objects.
pub fn common_version(resource: &str, reports: &Reports, cluster: KnownVersions) -> Result<Option<u64>, ProofError> {
    let known = |report: &CoverageReport| report.known_versions.get(resource).copied();
    if reports.iter().all(|(_, report)| known(report) == Some(KnownVersions::Refused)) {
        return Ok(None);
    }
    same_selection(resource, reports)?;
    let (mut lowest, mut highest) = match cluster {
        KnownVersions::Versions { oldest, newest } => (oldest, newest),
        KnownVersions::None => return Err(SeenError::Listing.into()),
        KnownVersions::Refused => return Err(SeenError::Refused.into()),
    };
    for (member, report) in reports {
        match known(report) {
            Some(KnownVersions::Versions { oldest, newest }) => {
                (lowest, highest) = (lowest.max(oldest), highest.min(newest));
            }
            Some(KnownVersions::Refused) => {}
            Some(KnownVersions::None) | None => return Err(ProofError::NotSynced(member.clone())),
        }
    }
    if lowest > highest { Err(ProofError::NoCommonVersion) } else { Ok(Some(highest)) }
}

/// Returns the sum of the digests of `resource` over all members.
///
/// # Errors
/// [`ProofError::VersionForgotten`] if a report has no digest, [`ProofError::OtherSelection`] if members select different objects.
pub fn exposed(resource: &str, reports: &Reports) -> Result<Digest, ProofError> {
    same_selection(resource, reports)?;
    reports.iter().try_fold(Digest::default(), |sum, (member, report)| {
        let digest = report.digests.get(resource).ok_or_else(|| ProofError::VersionForgotten(member.clone()))?;
        Ok(sum.plus(*digest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::Arc;

    use super::*;
    use crate::exposition::{BlockBuilder, ResourceStore, Stamp};
    use crate::sharding::{Assignment, Hasher, Hashes};

    const RESOURCE: &str = "pods";

    fn report(generation: u64, oldest: u64, newest: u64) -> CoverageReport {
        let known_versions = [(RESOURCE.to_owned(), KnownVersions::Versions { oldest, newest })].into();
        CoverageReport { generation, settled: true, known_versions, ..CoverageReport::default() }
    }

    fn named(reports: Vec<CoverageReport>) -> Reports {
        reports.into_iter().enumerate().map(|(i, report)| (format!("member {i}"), report)).collect()
    }

    #[test]
    fn the_newest_version_that_all_members_know_is_chosen() {
        let all = KnownVersions::Versions { oldest: 0, newest: 100 };
        let version = |reports| common_version(RESOURCE, &named(reports), all);
        assert_eq!(version(vec![report(1, 3, 9), report(1, 7, 8)]), Ok(Some(8)));
        assert_eq!(version(vec![report(1, 8, 8), report(1, 7, 8)]), Ok(Some(8)));
        assert_eq!(version(vec![report(1, 9, 9), report(1, 7, 8)]), Err(ProofError::NoCommonVersion));
        let with = |known| CoverageReport { known_versions: [(RESOURCE.to_owned(), known)].into(), ..report(1, 0, 0) };
        assert_eq!(
            version(vec![report(1, 3, 9), with(KnownVersions::None)]),
            Err(ProofError::NotSynced("member 1".to_owned()))
        );
        assert_eq!(version(vec![report(1, 3, 9), with(KnownVersions::Refused)]), Ok(Some(9)));
        assert_eq!(version(vec![with(KnownVersions::Refused), with(KnownVersions::Refused)]), Ok(None));
        assert_eq!(
            version(vec![report(1, 3, 9), CoverageReport::default()]),
            Err(ProofError::NotSynced("member 1".to_owned()))
        );
        let seen = |cluster| common_version(RESOURCE, &named(vec![report(1, 3, 9)]), cluster);
        assert_eq!(seen(KnownVersions::Versions { oldest: 0, newest: 8 }), Ok(Some(8)));
        assert_eq!(seen(KnownVersions::Versions { oldest: 0, newest: 2 }), Err(ProofError::NoCommonVersion));
        assert!(matches!(seen(KnownVersions::Refused), Err(ProofError::NotAllSeen(_))));
        assert!(matches!(seen(KnownVersions::None), Err(ProofError::NotAllSeen(_))));
    }

    #[test]
    fn members_that_select_different_objects_prove_nothing() {
        let all = KnownVersions::Versions { oldest: 0, newest: 100 };
        let with = |selection: Option<u64>| {
            let digests = [(RESOURCE.to_owned(), Digest::default())].into();
            let selections = selection.map(|hash| (RESOURCE.to_owned(), hash)).into_iter().collect();
            CoverageReport { selections, digests, ..report(1, 3, 9) }
        };
        let other = |member: &str| Err(ProofError::OtherSelection(member.to_owned()));
        for (selections, expected) in [
            ([None, None, None], Ok(Some(9))),
            ([Some(1), Some(1), Some(1)], Ok(Some(9))),
            ([Some(1), Some(1), Some(2)], other("member 2")),
            ([Some(1), None, Some(1)], other("member 1")),
            ([None, Some(1), None], other("member 1")),
        ] {
            let reports = named(selections.map(with).into());
            assert_eq!(common_version(RESOURCE, &reports, all), expected);
            assert_eq!(exposed(RESOURCE, &reports).map(|_| ()), expected.map(|_| ()));
        }
        let json = serde_json::to_string(&report(1, 3, 9)).expect("it is plain data");
        assert!(!json.contains("selections"), "without selectors the answer stays as it was");
    }

    #[test]
    fn reports_count_only_if_all_are_of_one_settled_generation() {
        let of = |reports| generation(&named(reports));
        assert_eq!(of(vec![report(4, 0, 0), report(4, 0, 0)]), Ok(4));
        assert_eq!(of(vec![report(4, 0, 0), report(5, 0, 0)]), Err(ProofError::HandoverInProgress));
        assert_eq!(
            of(vec![report(4, 0, 0), CoverageReport { settled: false, ..report(4, 0, 0) }]),
            Err(ProofError::HandoverInProgress)
        );
        assert_eq!(of(vec![report(0, 0, 0)]), Err(ProofError::HandoverInProgress));
        assert_eq!(of(vec![]), Err(ProofError::HandoverInProgress));
    }

    #[test]
    fn objects_exposed_only_for_an_overlap_do_not_count_and_others_do() {
        let half = |upper| Slice::of(Hasher::XxHash64, Assignment::new(2).expect("two").ranges(upper));
        let second = Duration::from_secs;
        let lasting = Plan { steps: vec![(second(0), Slice::all())], until: None };
        assert_eq!(Exposure::new(1, true, &lasting, &half(0), second(5)).counted, Slice::all());
        let overlap = Plan { steps: vec![(second(0), Slice::all()), (second(9), half(0))], until: None };
        assert_eq!(Exposure::new(1, true, &overlap, &half(0), second(5)).counted, half(0));
        assert_eq!(Exposure::new(1, true, &overlap, &half(0), second(9)).counted, half(0));
        let shut = Plan { steps: vec![(second(0), Slice::all())], until: Some(second(5)) };
        assert_eq!(Exposure::new(1, true, &shut, &half(0), second(5)).counted, Slice::none());
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
    fn a_proof_distinguishes_missing_and_doubled_objects() {
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
                    self.pods.delete(0, uid, version);
                }
            }
            self.seen = self.seen.max(to);
        }

        fn report(&self, version: Option<u64>) -> CoverageReport {
            let pods = &self.pods;
            let digest = version.map(|v| (RESOURCE.to_owned(), pods.digest(&Slice::all(), v).expect("it is known")));
            CoverageReport {
                digests: digest.into_iter().collect(),
                ..report(7, pods.floor().expect("no list is open"), self.seen as u64)
            }
        }
    }

    /// Returns the digest of the objects that exist after the first `count` events.
    fn cluster(events: &[(bool, String)], count: usize) -> Digest {
        let mut existing = std::collections::BTreeSet::new();
        for (present, uid) in &events[..count] {
            if *present {
                existing.insert(uid)
            } else {
                existing.remove(uid)
            };
        }
        let mut digest = Digest::default();
        existing.iter().for_each(|uid| digest.add(Hashes::of(uid)));
        digest
    }

    proptest! {
        /// The lag of the members and events between the two requests do not affect the result: a healthy fleet is exact, a
        /// fleet without one of its members is missing, and a fleet with one member twice is doubled.
        #[test]
        fn the_result_does_not_depend_on_the_lag_of_members(
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
            let first_reports = named(members.iter().map(|m| m.report(None)).collect());
            let version = common_version(RESOURCE, &first_reports, KnownVersions::Versions { oldest: 0, newest: u64::MAX }).expect("all know it").expect("no member is refused");
            for (member, to) in members.iter_mut().zip(&later) {
                member.catch_up(&events, (*to).min(events.len()));
            }
            let reports = named(members.iter().map(|m| m.report(Some(version))).collect());
            prop_assert_eq!(generation(&reports), Ok(7));
            let seen = cluster(&events, version as usize);
            let proof = Proof { seen, exposed: exposed(RESOURCE, &reports).expect("all know it") };

            let mut odd = Member::new(slice(&(total - 1)));
            odd.catch_up(&events, version as usize);
            let affected = odd.report(Some(version)).digests[RESOURCE].count > 0;
            prop_assert_eq!(proof.is_exact(), fault == 0 || !affected);
            prop_assert_eq!(proof.is_missing(), fault == 1 && affected);
            prop_assert_eq!(proof.is_doubled(), fault == 2 && affected);
        }
    }
}
