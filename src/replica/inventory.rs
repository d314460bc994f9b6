//! What this replica exposes and sees, for the audit and for `verify`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::{Arc, Mutex};

use crate::exposition::{ResourceStore, Uids};
use crate::fleet::audit::{CoverageView, Peer, PeerDirectory};
use crate::fleet::coverage::{CoverageReport, CoverageRequest, Exposure, ExposureSource, KnownVersions, SeenError};
use crate::fleet::handover::Cause;
use crate::fleet::record::MeasuredSwitch;
use crate::fleet::switches::KnownChange;
use crate::health::{SharedWatchSet, WatchedResource};
use crate::intake::Status;
use crate::server;
use crate::sharding::{Digest, Slice};
use crate::sync::lock;

/// The exposed objects of the store, and the sources that read them.
pub(super) struct Inventory {
    pub exposure: Arc<dyn ExposureSource>,
    pub watch_set: SharedWatchSet,
    /// The sources that see all objects; `None` if the replica's own sources do.
    pub coverage_sources: Option<Arc<CoverageSources>>,
}

/// The sources that see all objects, by resource.
#[derive(Debug, Default)]
pub(super) struct CoverageSources(Mutex<BTreeMap<String, Vec<Arc<Status>>>>);

impl CoverageSources {
    /// Replaces all sources.
    pub fn set(&self, sources: BTreeMap<String, Vec<Arc<Status>>>) {
        *lock(&self.0) = sources;
    }

    fn sources_of(&self, resource: &str) -> Vec<Arc<Status>> {
        lock(&self.0).get(resource).cloned().unwrap_or_default()
    }
}

impl server::Inventory for Inventory {
    fn objects(&self, resource: &str) -> Option<Uids> {
        let watch_set = self.watch_set.load();
        let watched = watch_set.find(resource)?;
        Some(Uids::new(Arc::clone(&watched.objects), &Arc::new(self.exposure.exposure().counted)))
    }

    fn generation(&self) -> u64 {
        self.exposure.exposure().generation
    }
}

impl CoverageView for Inventory {
    fn report(&self, request: &CoverageRequest) -> CoverageReport {
        let Exposure { generation, settled, counted } = self.exposure.exposure();
        let mut report = CoverageReport { generation, settled, ..CoverageReport::default() };
        // Only the question for versions, the first of an attempt, is about switches.
        if request.versions.is_empty() {
            report.switches = self.exposure.switches();
        }
        for watched in &self.watch_set.load().resources {
            let objects = &watched.objects;
            report.selections.extend(watched.selection.map(|selection| (watched.name.clone(), selection)));
            let known = match is_of_no_namespace(watched) {
                true => ALL_VERSIONS,
                false => known_versions(&watched.sources, objects, &counted),
            };
            report.known_versions.insert(watched.name.clone(), known);
            let digest = request.versions.get(&watched.name).map(|version| objects.digest(&counted, *version));
            if counted.is_empty() {
                report.digests.insert(watched.name.clone(), Digest::default());
            } else if let Some(Ok(digest)) = digest {
                report.digests.insert(watched.name.clone(), digest);
            }
        }
        report
    }

    fn cluster_versions(&self, resource: &str) -> KnownVersions {
        if self.watch_set.load().find(resource).is_some_and(is_of_no_namespace) {
            return ALL_VERSIONS;
        }
        match position(&self.unfiltered_sources(resource)) {
            Position::Refused => KnownVersions::Refused,
            Position::None => KnownVersions::None,
            Position::At(position) => KnownVersions::Versions { oldest: 0, newest: position },
        }
    }

    fn seen_at(&self, resource: &str, version: u64) -> Result<Digest, SeenError> {
        self.unfiltered_sources(resource).iter().try_fold(Digest::default(), |sum, source| {
            let seen = source.uids_at(version).map_err(|error| match source.filtered.load(Relaxed) {
                true => SeenError::Filtered,
                false => SeenError::Version(error.to_string()),
            })?;
            Ok(sum.plus(seen))
        })
    }
}

impl Inventory {
    /// Returns the sources that see all objects of a resource.
    fn unfiltered_sources(&self, resource: &str) -> Vec<Arc<Status>> {
        match &self.coverage_sources {
            Some(coverage_sources) => coverage_sources.sources_of(resource),
            None => {
                let watch_set = self.watch_set.load();
                watch_set.find(resource).map_or_else(Vec::new, |watched| watched.sources.clone())
            }
        }
    }
}

/// Nothing is known as of every version.
const ALL_VERSIONS: KnownVersions = KnownVersions::Versions { oldest: 0, newest: u64::MAX };

/// Whether `--namespace-selector` selects no namespace now, so that nothing is watched.
fn is_of_no_namespace(watched: &WatchedResource) -> bool {
    watched.selection.is_some() && watched.sources.is_empty()
}

/// The oldest position of several sources.
#[derive(Debug, PartialEq, Eq)]
enum Position {
    /// The API server refuses a source.
    Refused,
    /// A source has no position.
    None,
    At(u64),
}

fn position(sources: &[Arc<Status>]) -> Position {
    if sources.iter().any(|s| s.refused.load(Relaxed) != 0) {
        return Position::Refused;
    }
    // What a degraded source exposes is as of different versions.
    if sources.iter().any(|s| s.degraded.load(Relaxed)) {
        return Position::None;
    }
    // A source publishes its position after it has handed over the events, so the store contains them.
    match sources.iter().map(|s| s.position.load(Acquire)).min() {
        None | Some(0) => Position::None,
        Some(position) => Position::At(position),
    }
}

/// Returns the resourceVersions as of which the exposed objects are known. A replica that exposes nothing, and perhaps watches
/// nothing, knows its empty set as of all versions.
fn known_versions(sources: &[Arc<Status>], objects: &ResourceStore, counted: &Slice) -> KnownVersions {
    match (position(sources), objects.floor()) {
        (Position::Refused, _) => KnownVersions::Refused,
        _ if counted.is_empty() => KnownVersions::Versions { oldest: 0, newest: u64::MAX },
        (Position::At(newest), Some(oldest)) => KnownVersions::Versions { oldest, newest },
        _ => KnownVersions::None,
    }
}

/// The members of a fleet, if the settings make its replicas read all objects. Otherwise no audit is possible.
pub(super) struct AuditableMembers {
    pub members: Arc<dyn PeerDirectory>,
    pub reads_all: Arc<AtomicBool>,
}

impl PeerDirectory for AuditableMembers {
    fn fleet(&self) -> String {
        self.members.fleet()
    }

    fn peers(&self) -> Option<Vec<Peer>> {
        self.members.peers().filter(|_| self.reads_all.load(Relaxed))
    }

    fn changes(&self) -> Vec<KnownChange> {
        self.members.changes()
    }

    fn is_measured(&self, change: &KnownChange) -> bool {
        self.members.is_measured(change)
    }

    fn note_measured(&self, cause: Cause, switch: MeasuredSwitch) -> bool {
        self.members.note_measured(cause, switch)
    }
}

/// The constant view of a replica outside a fleet.
#[derive(Clone, Debug)]
pub(super) struct StandaloneView(pub Slice);

impl ExposureSource for StandaloneView {
    fn exposure(&self) -> Exposure {
        Exposure { generation: 0, settled: true, counted: self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;
    use crate::exposition::{BlockBuilder, Stamp};
    use crate::health::{WatchSet, WatchedResource};
    use crate::sharding::Hashes;

    const PODS: &str = "pods";

    fn source(position: u64) -> Arc<Status> {
        let status = Status::default();
        status.position.store(position, Relaxed);
        Arc::new(status)
    }

    fn inventory(counted: Slice) -> Inventory {
        let objects = ResourceStore::new(PODS, Vec::new());
        let list = objects.begin(None);
        for (uid, version) in [("a", 3), ("b", 4)] {
            let (stamp, block) = (Stamp { version, listed: true }, BlockBuilder::new(&[]).finish());
            objects.apply(0, uid.into(), Hashes::of(uid), stamp, block);
        }
        let scope = crate::exposition::Scope { partition: 0, slice: &Slice::all() };
        objects.finish(list, scope, 5);
        let sources = [9, 7].map(source);
        let watched = WatchedResource {
            name: PODS.to_owned(),
            kind: "*v1.Pod".to_owned(),
            object_limit: 0,
            objects,
            sources: sources.to_vec(),
            degraded: Arc::default(),
            selection: None,
        };
        let watch_set = WatchSet { resources: vec![watched], undecided: Vec::new() };
        let watch_set = Arc::new(ArcSwap::from_pointee(watch_set));
        Inventory { exposure: Arc::new(StandaloneView(counted)), watch_set, coverage_sources: None }
    }

    fn asked(version: u64) -> CoverageRequest {
        CoverageRequest { fleet: String::new(), versions: [(PODS.to_owned(), version)].into() }
    }

    #[test]
    fn a_resource_is_known_from_its_list_to_the_slowest_of_its_sources() {
        let inventory = inventory(Slice::all());
        let answer = inventory.report(&asked(6));
        assert_eq!(answer.known_versions[PODS], KnownVersions::Versions { oldest: 5, newest: 7 });
        assert_eq!(answer.digests[PODS].count, 2);
        assert!(inventory.report(&asked(4)).digests.is_empty(), "nothing is known as of before the list");
        inventory.watch_set.load().resources[0].sources[1].position.store(0, Relaxed);
        assert_eq!(inventory.report(&asked(6)).known_versions[PODS], KnownVersions::None);
        inventory.watch_set.load().resources[0].sources[1].position.store(7, Relaxed);
        inventory.watch_set.load().resources[0].sources[1].degraded.store(true, Relaxed);
        assert_eq!(inventory.report(&asked(6)).known_versions[PODS], KnownVersions::None, "nothing is exact");
        inventory.watch_set.load().resources[0].sources[1].refused.store(403, Relaxed);
        assert_eq!(inventory.report(&asked(6)).known_versions[PODS], KnownVersions::Refused);
    }

    #[test]
    fn a_replica_that_exposes_nothing_does_not_delay_the_audit() {
        let inventory = inventory(Slice::none());
        inventory.watch_set.load().resources[0].sources[0].position.store(0, Relaxed);
        let answer = inventory.report(&asked(6));
        assert_eq!(answer.known_versions[PODS], KnownVersions::Versions { oldest: 0, newest: u64::MAX });
        assert_eq!(answer.digests[PODS], Digest::default());
    }

    #[test]
    fn the_coverage_watch_replaces_the_sources() {
        let mut inventory = inventory(Slice::all());
        assert_eq!(inventory.cluster_versions(PODS), KnownVersions::Versions { oldest: 0, newest: 7 });
        let coverage_sources = Arc::new(CoverageSources::default());
        inventory.coverage_sources = Some(Arc::clone(&coverage_sources));
        assert_eq!(inventory.cluster_versions(PODS), KnownVersions::None);
        coverage_sources.set([(PODS.to_owned(), vec![source(8)])].into());
        assert_eq!(inventory.cluster_versions(PODS), KnownVersions::Versions { oldest: 0, newest: 8 });
        assert!(inventory.seen_at(PODS, 8).is_err(), "it has listed nothing yet");
    }
}
