//! The state of the whole fleet, merged from the reports of all replicas.
//!
//! The reports are of slightly different moments, so their sums are approximate. The audit proves whether each object is
//! exposed once; an overview only repeats its result.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::peer_client::{self, Dialer, PeerError};
use super::record::Endpoint;
use super::report::{CoverageVerdict, Feature, FleetReport, HandoverReport, ReplicaReport, ResourceCoverage};
use crate::sharding::MOST_SHARDS;
use crate::shown;

/// How long a replica may take to answer. A person waits for the page meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum length of an answer in bytes; one with a hundred resources takes a tenth of it.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// Maximum number of resources and of other lines in a report that is shown.
const MAX_LINES: usize = 1000;

/// The whole fleet, as one replica finds it: `GET /fleet` on the metrics port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overview {
    /// `namespace/name` of the StatefulSet; absent outside a fleet.
    pub fleet: Option<String>,
    /// The ordinal of the replica that answers.
    pub answered_by: u32,
    /// Version of the program on that replica.
    pub version: String,
    /// Whether the replicas coordinate.
    pub coordinated: bool,
    /// Number of shards.
    pub shards: u32,
    /// The StatefulSet's replica count.
    pub wanted: Option<u32>,
    /// The current generation; 0 for none.
    pub generation: u64,
    /// The state of handovers.
    pub handover: HandoverReport,
    /// All replicas that exist or should exist, by ordinal. Outside a fleet, the one that answers.
    pub replicas: Vec<ReplicaSummary>,
    /// All resources that any replica watches.
    pub resources: Vec<ResourceSummary>,
    /// The features that are enabled on the replica that answers, beyond the defaults.
    pub enabled: Vec<Feature>,
}

/// One replica of an [`Overview`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSummary {
    /// Its shard.
    pub ordinal: u32,
    /// Name of its pod, if it is known.
    pub pod: Option<String>,
    /// Its status.
    pub standing: ReplicaStatus,
    /// Problems, or why it is not ready.
    pub notes: Vec<String>,
    /// Whether it is the coordinator.
    pub coordinator: bool,
    /// `ip:port` of its `/metrics`, if it answered.
    pub metrics: Option<String>,
    /// The share of all UIDs that it exposes, from 0 to 1.
    pub share: f64,
    /// Number of objects that it exposes, of all resources.
    pub objects: u64,
    /// Resident memory in bytes.
    pub memory: Option<u64>,
    /// Seconds since it started.
    pub uptime: Option<u64>,
}

/// The status of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplicaStatus {
    /// It does not answer.
    #[default]
    Silent,
    /// It has not started, and has no share until it does.
    Expected,
    /// It is absent, and other replicas expose its objects.
    Absent,
    /// It is absent, and no other replica has the memory for its objects.
    Untaken,
    /// It answers, and exposes its objects.
    Serving,
    /// It is loading objects.
    Loading,
    /// It has loaded its objects, and waits for its fleet.
    Waiting,
    /// Its last confirmation is too old to expose anything.
    Isolated,
    /// It has been asked to stop, and exposes objects until others take over.
    Leaving,
}

/// One resource of an [`Overview`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceSummary {
    /// The plural.
    pub resource: String,
    /// Number of objects that the answering replicas expose together.
    pub owned: u64,
    /// The same by ordinal.
    pub by_replica: BTreeMap<u32, u64>,
    /// Number of objects in the cluster, if a replica sees all of them.
    pub seen: Option<u64>,
    /// The result of the last audit.
    pub cover: CoverageVerdict,
    /// Seconds since the last proof.
    pub cover_age: Option<u64>,
    /// Whether it has synced on all answering replicas.
    pub loaded: bool,
    /// The HTTP status by which the API server refuses it.
    pub refused: Option<u16>,
    /// The last error of each answering replica, by ordinal, on which it fails for so long that nothing waits for it.
    pub degraded: BTreeMap<u32, String>,
    /// Seconds since the API server last sent anything about it, on the replica where that is longest ago.
    pub silent: Option<u64>,
}

/// Requests the reports of `others`, by ordinal, and merges them with `own`. A replica outside a fleet has no dialer and no
/// others.
pub async fn fetch_overview(
    own: ReplicaReport,
    others: BTreeMap<u32, Option<Endpoint>>,
    dialer: Option<&Dialer>,
) -> Overview {
    let requests = others.into_iter().map(|(ordinal, endpoint)| async move {
        let result = match (dialer, &endpoint) {
            (Some(dialer), Some(endpoint)) => {
                let limits = (MAX_ANSWER_BYTES, ANSWER_TIMEOUT);
                peer_client::request_json(dialer, endpoint, peer_client::REPLICA_PATH, None, limits).await
            }
            _ => Err(PeerError::NoAddress),
        };
        Answer { ordinal, address: endpoint.map(|endpoint| endpoint.address), result: result.map(displayable) }
    });
    merge(own, join_all(requests).await)
}

/// The answer of another replica.
struct Answer {
    ordinal: u32,
    address: Option<String>,
    result: Result<ReplicaReport, PeerError>,
}

/// Returns a report whose texts are escaped and short, and whose lists are no longer than a replica makes them.
fn displayable(mut report: ReplicaReport) -> ReplicaReport {
    let show = |text: &mut String| *text = shown::value(text);
    show(&mut report.version);
    report.pod.iter_mut().for_each(show);
    report.waits_for.truncate(MAX_LINES);
    report.waits_for.iter_mut().for_each(show);
    report.enabled.truncate(MAX_LINES);
    report.enabled.iter_mut().flat_map(|feature| [&mut feature.name, &mut feature.value]).for_each(show);
    report.resources.truncate(MAX_LINES);
    for resource in &mut report.resources {
        show(&mut resource.resource);
        resource.degraded.iter_mut().for_each(show);
    }
    if let Some(part) = &mut report.part {
        show(&mut part.fleet);
        let shards = MOST_SHARDS as usize;
        part.absent.truncate(shards);
        part.untaken.truncate(shards);
        part.handover.waiting_for.truncate(shards);
        part.handover.blocked_for.retain(|ordinal, _| *ordinal < MOST_SHARDS);
        part.handover.problems.truncate(MAX_LINES);
        part.handover.problems.iter_mut().for_each(show);
        part.cover.truncate(MAX_LINES);
        part.cover.iter_mut().for_each(|cover| show(&mut cover.resource));
    }
    report
}

fn merge(own: ReplicaReport, answers: Vec<Answer>) -> Overview {
    let fleet = own.part.as_ref().map(|part| part.fleet.clone());
    let own_part = own.part.clone().unwrap_or_default();
    // The member with the newest generation knows most.
    let parts = answers.iter().filter_map(|answer| answer.result.as_ref().ok()?.part.clone());
    let newest = parts.fold(own_part, |best, part| if part.generation > best.generation { part } else { best });
    let mut overview = Overview {
        fleet,
        answered_by: own.ordinal,
        version: own.version.clone(),
        coordinated: newest.coordinated,
        shards: own.shards,
        wanted: newest.wanted,
        generation: newest.generation,
        handover: newest.handover.clone(),
        enabled: own.enabled.clone(),
        ..Overview::default()
    };
    let mut resources = Resources::default();
    let own = Answer { ordinal: own.ordinal, address: None, result: Ok(own) };
    for Answer { ordinal, address, result } in std::iter::once(own).chain(answers) {
        overview.replicas.push(match result {
            Ok(report) => {
                resources.add(ordinal, &report);
                answering(ordinal, address.as_deref(), report)
            }
            Err(_) if ordinal >= overview.shards => expected(ordinal),
            Err(error) => missing(ordinal, &newest, &error),
        });
    }
    overview.replicas.sort_by_key(|replica| replica.ordinal);
    overview.resources = resources.finish();
    overview
}

fn answering(ordinal: u32, address: Option<&str>, report: ReplicaReport) -> ReplicaSummary {
    let part = report.part.clone().unwrap_or_default();
    let standing = if part.leaving {
        ReplicaStatus::Leaving
    } else if part.isolated {
        ReplicaStatus::Isolated
    } else if report.ready {
        ReplicaStatus::Serving
    } else if report.resources.iter().any(|resource| !resource.loaded) {
        ReplicaStatus::Loading
    } else {
        ReplicaStatus::Waiting
    };
    let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
    ReplicaSummary {
        ordinal,
        pod: report.pod,
        standing,
        notes: report.waits_for,
        coordinator: part.coordinator,
        metrics: address.map(|address| SocketAddr::new(address.ip(), report.metrics_port).to_string()),
        share: report.share,
        objects: report.resources.iter().map(|resource| resource.owned).sum(),
        memory: report.memory,
        uptime: Some(report.uptime),
    }
}

/// A replica that the StatefulSet wants, and that has no share yet.
fn expected(ordinal: u32) -> ReplicaSummary {
    let note = "not started yet, so it has no share".to_owned();
    ReplicaSummary { ordinal, standing: ReplicaStatus::Expected, notes: vec![note], ..ReplicaSummary::default() }
}

fn missing(ordinal: u32, part: &FleetReport, error: &PeerError) -> ReplicaSummary {
    let (standing, note) = if part.untaken.contains(&ordinal) {
        (ReplicaStatus::Untaken, "no other replica has the memory for its objects".to_owned())
    } else if part.absent.contains(&ordinal) {
        (ReplicaStatus::Absent, "other replicas expose its objects".to_owned())
    } else {
        (ReplicaStatus::Silent, shown::value(&error.to_string()))
    };
    ReplicaSummary { ordinal, standing, notes: vec![note], ..ReplicaSummary::default() }
}

/// The resources of all replicas, in the order in which they first appear.
#[derive(Debug, Default)]
struct Resources {
    all: Vec<ResourceSummary>,
    coverage: BTreeMap<String, ResourceCoverage>,
}

impl Resources {
    fn add(&mut self, ordinal: u32, report: &ReplicaReport) {
        for resource in &report.resources {
            let at = self.all.iter().position(|known| known.resource == resource.resource).unwrap_or_else(|| {
                let name = resource.resource.clone();
                self.all.push(ResourceSummary { resource: name, loaded: true, ..ResourceSummary::default() });
                self.all.len() - 1
            });
            let summary = &mut self.all[at];
            summary.owned += resource.owned;
            summary.by_replica.insert(ordinal, resource.owned);
            summary.seen = summary.seen.max(resource.seen);
            summary.loaded &= resource.loaded;
            summary.refused = summary.refused.or(resource.refused);
            summary.degraded.extend(resource.degraded.clone().map(|error| (ordinal, error)));
            summary.silent = summary.silent.max(resource.silent);
        }
        let part = report.part.iter().filter(|part| part.coordinator);
        self.coverage.extend(part.flat_map(|part| &part.cover).map(|cover| (cover.resource.clone(), cover.clone())));
    }

    fn finish(mut self) -> Vec<ResourceSummary> {
        for resource in &mut self.all {
            if let Some(coverage) = self.coverage.get(&resource.resource) {
                (resource.cover, resource.cover_age) = (coverage.verdict, Some(coverage.age));
            }
        }
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::handover::HandoverState;
    use crate::fleet::report::ResourceReport;

    fn report(ordinal: u32, generation: u64, owned: u64) -> ReplicaReport {
        let pods = ResourceReport {
            resource: "pods".to_owned(),
            owned,
            seen: Some(7),
            loaded: true,
            ..ResourceReport::default()
        };
        let part = FleetReport { generation, coordinated: true, absent: vec![2], ..FleetReport::default() };
        ReplicaReport {
            ordinal,
            shards: 3,
            ready: true,
            metrics_port: 8080,
            part: Some(part),
            resources: vec![pods],
            ..ReplicaReport::default()
        }
    }

    fn answer(ordinal: u32, address: Option<&str>, result: Result<ReplicaReport, PeerError>) -> Answer {
        Answer { ordinal, address: address.map(str::to_owned), result }
    }

    #[test]
    fn reports_are_added_up_and_the_newest_generation_counts() {
        let mut other = report(1, 5, 4);
        let exact = ResourceCoverage { resource: "pods".to_owned(), verdict: CoverageVerdict::Exact, age: 9 };
        let part = other.part.as_mut().expect("the report has a fleet");
        (part.coordinator, part.cover) = (true, vec![exact]);
        (part.handover.state, other.resources[0].silent) = (HandoverState::Switching, Some(50));
        let overview = merge(report(0, 4, 3), vec![answer(1, Some("10.0.0.2:8082"), Ok(other))]);
        assert_eq!((overview.answered_by, overview.generation, overview.shards), (0, 5, 3));
        assert_eq!(overview.handover.state, HandoverState::Switching);
        let [pods] = &overview.resources[..] else { panic!("{overview:?}") };
        assert_eq!((pods.owned, pods.seen, pods.silent), (7, Some(7), Some(50)));
        assert_eq!(pods.by_replica, [(0, 3), (1, 4)].into());
        assert_eq!((pods.cover, pods.cover_age), (CoverageVerdict::Exact, Some(9)));
        assert_eq!(overview.replicas[1].metrics.as_deref(), Some("10.0.0.2:8080"));
        assert!(overview.replicas[1].coordinator && !overview.replicas[0].coordinator);
    }

    #[test]
    fn a_replica_that_does_not_answer_is_shown_with_its_state_in_the_fleet() {
        let mut own = report(1, 4, 3);
        let part = own.part.as_mut().expect("the report has a fleet");
        (part.absent, part.untaken) = (vec![2, 3], vec![3]);
        own.shards = 4;
        let silent = |ordinal| answer(ordinal, None, Err(PeerError::NoAddress));
        let overview = merge(own, vec![silent(0), silent(2), silent(3), silent(4)]);
        let standings: Vec<_> = overview.replicas.iter().map(|replica| (replica.ordinal, replica.standing)).collect();
        let expected = [
            (0, ReplicaStatus::Silent),
            (1, ReplicaStatus::Serving),
            (2, ReplicaStatus::Absent),
            (3, ReplicaStatus::Untaken),
            (4, ReplicaStatus::Expected),
        ];
        assert_eq!(standings, expected);
        assert_eq!(overview.replicas[0].notes, ["its address is unknown"]);
    }

    #[test]
    fn texts_of_a_report_are_escaped_and_bounded() {
        let mut bad = report(1, 4, 3);
        bad.pod = Some("pod\u{1b}[2J".repeat(1000));
        bad.waits_for = vec!["line\n".repeat(1000); 5000];
        bad.resources = vec![bad.resources[0].clone(); 5000];
        bad.part.get_or_insert_default().absent = (0..1 << 16).collect();
        let shown = displayable(bad);
        let pod = shown.pod.unwrap_or_default();
        assert!(pod.len() < 210 && pod.starts_with("pod\\u{1b}[2J"), "{pod}");
        assert!(shown.waits_for.len() == 1000 && shown.waits_for[0].len() < 210);
        assert!(!shown.waits_for[0].contains('\n'));
        assert_eq!((shown.resources.len(), shown.part.unwrap_or_default().absent.len()), (1000, 1024));
    }

    #[test]
    fn an_answering_replica_has_the_status_that_hinders_it_most() {
        let with = |change: fn(&mut ReplicaReport)| {
            let mut report = report(0, 4, 3);
            change(&mut report);
            answering(0, None, report).standing
        };
        assert_eq!(with(|_| {}), ReplicaStatus::Serving);
        assert_eq!(with(|report| report.ready = false), ReplicaStatus::Waiting);
        assert_eq!(with(|report| (report.ready, report.resources[0].loaded) = (false, false)), ReplicaStatus::Loading);
        let isolated = |report: &mut ReplicaReport| report.part.get_or_insert_default().isolated = true;
        assert_eq!(with(isolated), ReplicaStatus::Isolated);
        let leaving = |report: &mut ReplicaReport| {
            let part = report.part.get_or_insert_default();
            (part.isolated, part.leaving) = (true, true);
        };
        assert_eq!(with(leaving), ReplicaStatus::Leaving);
    }
}
