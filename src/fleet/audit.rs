//! The audit: once a minute the coordinator proves that the fleet exposes each object once. It measures each switch right after it.
//!
//! Its dependencies are traits: the other members ([`PeerDirectory`]), the objects of this replica
//! ([`CoverageView`]), and the requests to the others ([`CoverageClient`]).

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::coverage::{
    CoverageReport, CoverageRequest, KnownVersions, Proof, ProofError, Reports, SeenError, common_version, exposed,
    generation,
};
use super::handover::{Cause, Status};
use super::ledger::{CoverageChange, CoverageStatus, Ledger};
use super::peer_client::{self, Dialer, PeerError};
use super::record::{Endpoint, MeasuredSwitch};
use super::switches::{Answer, KnownChange, timings};
use crate::sharding::Digest;
use crate::sync::lock;

/// Pause before the next attempt for resources without a proof, or with an inexact one. A switch takes less time.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Number of retries. Together they take about a minute: members know a common version of a quiet resource only after the next
/// bookmark, and bookmarks arrive once a minute.
const RETRIES: u32 = 10;

/// How long a member may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer that took longer does not say exactly enough when a member switched.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(250);

/// Time between two looks for a switch that is not measured. A member that leaves waits for its measurement.
const MEASURE_PAUSE: Duration = Duration::from_millis(250);
/// Number of attempts to measure a switch. The pause doubles after each, so they take half a minute: longer than the load of what a
/// lost member leaves behind.
const MEASURE_TRIES: u32 = 7;

/// Maximum length of an answer in bytes. An answer with a hundred resources takes a tenth of it.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// The name of the auditing replica in messages.
const SELF: &str = "this replica";

/// Another member that may expose objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The name in messages.
    pub name: String,
    /// How to reach it. If that is unknown (`None`), nothing can be proven.
    pub endpoint: Option<Endpoint>,
}

impl Peer {
    /// Returns all other members that may expose objects, as the coordinator with this status and ordinal knows them. Returns
    /// `None` on other replicas.
    ///
    /// A member that is present but not live keeps its address. If it does not answer there, nothing is proven.
    pub fn all(status: &Status, own: u32) -> Option<Vec<Self>> {
        if !status.coordinator {
            return None;
        }
        let present = |ordinal: &u32| !status.absent.contains(ordinal);
        let mut endpoints = status.endpoints((0..status.total).filter(present));
        endpoints.remove(&own);
        let peer = |(ordinal, endpoint)| Self { name: format!("shard {ordinal}"), endpoint };
        Some(endpoints.into_iter().map(peer).collect())
    }
}

/// The other members of the fleet.
pub trait PeerDirectory: Send + Sync {
    /// Returns `namespace/name` of the StatefulSet.
    fn fleet(&self) -> String;
    /// Returns all other members that may expose objects: those present in the current generation, and those that are live
    /// without being present. `None` while another replica is the coordinator.
    fn peers(&self) -> Option<Vec<Peer>>;
    /// Returns the last changes of the assignment that this member took part in, the newest last.
    fn changes(&self) -> Vec<KnownChange>;
    /// Whether a change, or a later one of its cause, is measured.
    fn is_measured(&self, change: &KnownChange) -> bool;
    /// Notes a measured switch. Returns whether it is news.
    fn note_measured(&self, cause: Cause, switch: MeasuredSwitch) -> bool;
}

/// The objects that this replica exposes, and those of the cluster that it sees.
pub trait CoverageView: Send + Sync {
    /// Returns the report of this replica.
    fn report(&self, request: &CoverageRequest) -> CoverageReport;
    /// Returns the versions as of which this replica may know all objects of a resource, of all shards.
    fn cluster_versions(&self, resource: &str) -> KnownVersions;
    /// Returns the digest of all objects of a resource as of a version.
    ///
    /// # Errors
    /// This replica does not know all objects as of that version.
    fn seen_at(&self, resource: &str, version: u64) -> Result<Digest, SeenError>;
}

/// Sends coverage requests to other members.
pub trait CoverageClient: Send + Sync {
    /// Returns the report of the member `at` an endpoint.
    ///
    /// # Errors
    /// The member does not answer, or not with a report.
    fn request<'a>(
        &'a self,
        at: &'a Endpoint,
        request: &'a CoverageRequest,
    ) -> BoxFuture<'a, Result<CoverageReport, PeerError>>;
}

/// The results of the audits, for telemetry. Empty while another replica audits.
#[derive(Debug)]
pub struct Coverage {
    ledger: Mutex<Ledger>,
    started: Instant,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { ledger: Mutex::default(), started: Instant::now() }
    }
}

impl Coverage {
    /// Returns the status of every audited resource.
    pub fn statuses(&self) -> Vec<CoverageStatus> {
        self.ledger().statuses(self.started.elapsed())
    }

    /// Records the result of an attempt to prove the coverage of `resource`.
    pub fn record(&self, resource: &str, result: Result<Proof, ProofError>) {
        self.ledger().record(resource, result, self.started.elapsed());
    }

    fn clear(&self) {
        self.ledger().clear();
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic cannot leave harmful state behind: the next audit records everything again.
        lock(&self.ledger)
    }
}

/// The task that audits.
pub struct Audit {
    /// The other members.
    pub members: Arc<dyn PeerDirectory>,
    /// The objects of this replica.
    pub view: Arc<dyn CoverageView>,
    /// Sends requests to the other members.
    pub client: Arc<dyn CoverageClient>,
    /// Receives the results.
    pub coverage: Arc<Coverage>,
    /// Time between audits.
    pub interval: Duration,
}

/// The result of one attempt, by resource; `None` if the API server does not have the resource.
type Attempt = BTreeMap<String, Option<Result<Proof, ProofError>>>;

impl Audit {
    /// Audits periodically while this replica is the coordinator, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let forever = async {
            loop {
                let started = Instant::now();
                if self.audit().await.is_none() {
                    self.coverage.clear();
                    // A replica that becomes the coordinator audits at once.
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
                log_changes(self.coverage.ledger().changes(self.coverage.started.elapsed()));
                sleep(self.interval.saturating_sub(started.elapsed())).await;
            }
        };
        stop.run_until_cancelled(async { tokio::join!(forever, self.measure_switches()) }).await;
    }

    /// Measures each switch soon after it, while this replica is the coordinator.
    async fn measure_switches(&self) -> Infallible {
        let (mut generation, mut tries, mut due) = (0, 0, Instant::now());
        loop {
            sleep(MEASURE_PAUSE).await;
            let newest = self.members.changes().pop().filter(|change| change.cause != Cause::Start);
            let Some((peers, change)) = self.members.peers().zip(newest) else {
                tries = 0;
                continue;
            };
            if change.generation != generation {
                (generation, tries, due) = (change.generation, 0, Instant::now());
            }
            if tries < MEASURE_TRIES && due <= Instant::now() && !self.members.is_measured(&change) {
                due += MEASURE_PAUSE * 2_u32.pow(tries);
                tries += 1;
                let request = CoverageRequest { fleet: self.members.fleet(), versions: BTreeMap::new() };
                // The answers contain the switches. A failure is no news: the audit reports it.
                let _ = self.request_all(&peers, &request).await;
            }
        }
    }

    /// Tries each resource until it is exact, is found inexact twice in a row, or has no retries left. Returns `None` if this
    /// replica is not the coordinator.
    async fn audit(&self) -> Option<()> {
        let mut inexact = BTreeSet::new();
        let mut only: Option<BTreeSet<String>> = None;
        for tries in 0..=RETRIES {
            if tries > 0 {
                sleep(RETRY_PAUSE).await;
            }
            let mut again = BTreeSet::new();
            let results = self.attempt(only.as_ref()).await?;
            if only.is_none() {
                self.coverage.ledger().retain(|resource| results.contains_key(resource));
            }
            for (resource, result) in results {
                let Some(result) = result else {
                    self.coverage.ledger().remove(&resource);
                    continue;
                };
                let is_final = match &result {
                    Ok(proof) if proof.is_exact() => true,
                    // An inexact result counts only if the next attempt confirms it.
                    Ok(_) => !inexact.insert(resource.clone()),
                    Err(_) => tries == RETRIES,
                };
                if is_final {
                    self.coverage.record(&resource, result);
                } else {
                    again.insert(resource);
                }
            }
            if again.is_empty() {
                break;
            }
            only = Some(again);
        }
        Some(())
    }

    /// Makes one attempt for all resources, or for those in `only`. Returns `None` if this replica is not the coordinator.
    async fn attempt(&self, only: Option<&BTreeSet<String>>) -> Option<Attempt> {
        let peers = self.members.peers()?;
        let mut request = CoverageRequest { fleet: self.members.fleet(), versions: BTreeMap::new() };
        let first = self.request_all(&peers, &request).await;
        let own = self.view.report(&request);
        let selected = own.selections;
        let resources: Vec<_> =
            own.known_versions.into_keys().filter(|r| only.is_none_or(|only| only.contains(r))).collect();
        let mut results = Attempt::new();
        let first = match first {
            Ok(reports) => reports,
            Err(error) => return Some(resources.into_iter().map(|r| (r, Some(Err(error.clone())))).collect()),
        };
        for resource in resources {
            match common_version(&resource, &first, self.view.cluster_versions(&resource)) {
                Ok(Some(version)) => drop(request.versions.insert(resource, version)),
                Ok(None) => drop(results.insert(resource, None)),
                Err(error) => drop(results.insert(resource, Some(Err(error)))),
            }
        }
        // Read the digests of the cluster before those of the members: only the latter depend on the generation.
        let seen: BTreeMap<_, _> =
            request.versions.iter().map(|(r, version)| (r.clone(), self.view.seen_at(r, *version))).collect();
        let second = self.request_all(&peers, &request).await.and_then(|reports| generation(&reports).map(|_| reports));
        for (resource, seen) in seen {
            let proof = second.as_ref().map_err(Clone::clone).and_then(|reports| {
                let exposed = exposed(&resource, reports)?;
                // Namespaces that the selectors select come and go.
                let selection = |reports: &Reports| reports.first()?.1.selections.get(&resource).copied();
                if selection(reports) != selected.get(&resource).copied() {
                    return Err(ProofError::OtherSelection(SELF.to_owned()));
                }
                Ok(Proof { seen: seen?, exposed })
            });
            results.insert(resource, Some(proof));
        }
        // A member that joined or left meanwhile may have exposed objects that no report contains.
        if self.members.peers()? != peers {
            results.values_mut().flatten().for_each(|result| *result = Err(ProofError::HandoverInProgress));
        }
        Some(results)
    }

    /// Notes how exact the switches in the answers were.
    fn measure(&self, answers: &[Answer<'_>]) {
        for (cause, switch) in timings(answers, &self.members.changes()) {
            if self.members.note_measured(cause, switch) {
                let MeasuredSwitch { generation, gap, overlap } = switch;
                info!(generation, cause = cause.name(), gap_ms = gap, overlap_ms = overlap, "handover measured");
            }
        }
    }

    /// Returns the reports of all members, with the own report first.
    async fn request_all(&self, peers: &[Peer], request: &CoverageRequest) -> Result<Reports, ProofError> {
        let requests = peers.iter().map(|Peer { name, endpoint }| async move {
            let asked = Instant::now();
            let result = match endpoint {
                Some(endpoint) => timeout(ANSWER_TIMEOUT, self.client.request(endpoint, request))
                    .await
                    .unwrap_or(Err(PeerError::Timeout(ANSWER_TIMEOUT))),
                None => Err(PeerError::NoAddress),
            };
            let answered = (Instant::now(), asked.elapsed());
            result.map(|report| (name.clone(), report, answered)).map_err(|error| {
                let at = endpoint.as_ref().map(|to| format!(" at {}", to.address)).unwrap_or_default();
                ProofError::NoAnswer(format!("{name}{at}: {error}"))
            })
        });
        let reports: Result<Vec<_>, ProofError> = join_all(requests).await.into_iter().collect();
        let reports = reports?;
        let own = self.view.report(request);
        if reports.iter().all(|(_, _, (_, took))| *took <= MAX_ROUND_TRIP) {
            let others = reports.iter().map(|(_, report, (at, _))| answer(at.elapsed(), report));
            let answers: Vec<_> = others.chain([answer(Duration::ZERO, &own)]).collect();
            self.measure(&answers);
        }
        let mut all = vec![(SELF.to_owned(), own)];
        all.extend(reports.into_iter().map(|(name, report, _)| (name, report)));
        Ok(all)
    }
}

fn answer(age: Duration, report: &CoverageReport) -> Answer<'_> {
    Answer { age, generation: report.generation, reports: &report.switches }
}

fn log_changes(changes: Vec<CoverageChange>) {
    for CoverageChange { resource, state, proof, error } in changes {
        let (seen, exposed) = proof.map(|p| (p.seen.count, p.exposed.count)).unzip();
        match error {
            Some(error) => warn!(resource, %error, "coverage unproven"),
            None if state.exact => info!(resource, seen, exposed, "coverage exact again"),
            None => warn!(
                resource,
                seen,
                exposed,
                missing = state.missing,
                doubled = state.doubled,
                "coverage not exact: run `kube-state-fleet verify` for the names of the objects"
            ),
        }
    }
}

/// Sends coverage requests over HTTP: `POST /fleet/coverage` on the fleet port.
#[derive(Clone)]
pub struct HttpCoverageClient(pub Dialer);

impl CoverageClient for HttpCoverageClient {
    fn request<'a>(
        &'a self,
        at: &'a Endpoint,
        request: &'a CoverageRequest,
    ) -> BoxFuture<'a, Result<CoverageReport, PeerError>> {
        Box::pin(async move {
            let body = Some(serde_json::to_vec(request)?);
            let limits = (MAX_ANSWER_BYTES, ANSWER_TIMEOUT);
            peer_client::request_json(&self.0, at, peer_client::COVERAGE_PATH, body, limits).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::{KeyDigest, Member};
    use crate::sharding::Hashes;

    const PODS: &str = "pods";

    /// A fleet of two members: the reports of both, and the digest of the cluster.
    struct TestFleet(Mutex<TestState>);

    struct TestState {
        peers: Option<Vec<Peer>>,
        own: CoverageReport,
        /// `None` if the other member refuses connections.
        other: Option<CoverageReport>,
        seen: Result<Digest, SeenError>,
        requests: usize,
        changes: Vec<KnownChange>,
        measured: Option<(Cause, MeasuredSwitch)>,
    }

    fn digest(uids: &[&str]) -> Digest {
        let mut digest = Digest::default();
        uids.iter().for_each(|uid| digest.add(Hashes::of(uid)));
        digest
    }

    fn report(uids: &[&str]) -> CoverageReport {
        CoverageReport {
            generation: 3,
            settled: true,
            known_versions: [(PODS.to_owned(), KnownVersions::Versions { oldest: 1, newest: 9 })].into(),
            digests: [(PODS.to_owned(), digest(uids))].into(),
            selections: BTreeMap::new(),
            switches: Vec::new(),
        }
    }

    fn endpoint(address: &str) -> Endpoint {
        Endpoint { address: address.to_owned(), key: KeyDigest([0; 32]) }
    }

    fn refused() -> PeerError {
        PeerError::Connect(std::io::ErrorKind::ConnectionRefused.into())
    }

    impl TestFleet {
        fn state(&self) -> MutexGuard<'_, TestState> {
            self.0.lock().expect("no test panics while it holds the lock")
        }
    }

    impl PeerDirectory for TestFleet {
        fn fleet(&self) -> String {
            "monitoring/fleet".to_owned()
        }

        fn peers(&self) -> Option<Vec<Peer>> {
            self.state().peers.clone()
        }

        fn changes(&self) -> Vec<KnownChange> {
            self.state().changes.clone()
        }

        fn is_measured(&self, change: &KnownChange) -> bool {
            self.state().measured.is_some_and(|(_, switch)| switch.generation == change.generation)
        }

        fn note_measured(&self, cause: Cause, switch: MeasuredSwitch) -> bool {
            let measured = Some((cause, switch));
            std::mem::replace(&mut self.state().measured, measured) != measured
        }
    }

    impl CoverageView for TestFleet {
        fn report(&self, _: &CoverageRequest) -> CoverageReport {
            self.state().own.clone()
        }

        fn cluster_versions(&self, _: &str) -> KnownVersions {
            KnownVersions::Versions { oldest: 0, newest: 9 }
        }

        fn seen_at(&self, _: &str, _: u64) -> Result<Digest, SeenError> {
            self.state().seen.clone()
        }
    }

    impl CoverageClient for TestFleet {
        fn request<'a>(
            &'a self,
            _: &'a Endpoint,
            _: &'a CoverageRequest,
        ) -> BoxFuture<'a, Result<CoverageReport, PeerError>> {
            let mut state = self.state();
            state.requests += 1;
            Box::pin(std::future::ready(state.other.clone().ok_or_else(refused)))
        }
    }

    /// A healthy fleet and its audit.
    fn start() -> (Arc<TestFleet>, Arc<Coverage>, CancellationToken) {
        let peer = Peer { name: "fleet-1".to_owned(), endpoint: Some(endpoint("10.0.0.2:8082")) };
        let fleet = Arc::new(TestFleet(Mutex::new(TestState {
            peers: Some(vec![peer]),
            own: report(&["a", "b"]),
            other: Some(report(&["c"])),
            seen: Ok(digest(&["a", "b", "c"])),
            requests: 0,
            changes: Vec::new(),
            measured: None,
        })));
        let coverage = Arc::new(Coverage::default());
        let audit = Audit {
            members: Arc::clone(&fleet) as _,
            view: Arc::clone(&fleet) as _,
            client: Arc::clone(&fleet) as _,
            coverage: Arc::clone(&coverage),
            interval: Duration::from_secs(60),
        };
        let stop = CancellationToken::new();
        tokio::spawn(audit.run(stop.clone()));
        (fleet, coverage, stop)
    }

    fn states(coverage: &Coverage) -> Vec<(bool, bool, bool, bool)> {
        let statuses = coverage.statuses();
        statuses.iter().map(|s| (s.state.exact, s.state.missing, s.state.doubled, s.state.unproven)).collect()
    }

    const EXACT: [(bool, bool, bool, bool); 1] = [(true, false, false, false)];
    const MISSING: [(bool, bool, bool, bool); 1] = [(false, true, false, false)];
    const DOUBLED: [(bool, bool, bool, bool); 1] = [(false, false, true, false)];
    const UNPROVEN: [(bool, bool, bool, bool); 1] = [(false, false, false, true)];

    async fn seconds(count: u64) {
        sleep(Duration::from_secs(count)).await;
    }

    #[test]
    fn peers_are_all_members_that_may_expose_objects() {
        let member = |ordinal: u32, address: &str| -> Member {
            let id = serde_json::json!({ "ordinal": ordinal, "pod": "", "nonce": 0 });
            let member = serde_json::json!({ "id": id, "address": address, "hash": "xxhash64", "layout": 1, "key": "00".repeat(32) });
            serde_json::from_value(member).expect("the other fields have defaults")
        };
        let mut status = Status {
            total: 5,
            absent: vec![3],
            coordinator: true,
            // Member 3 is absent but live, member 6 is above the total and about to leave, member 7 is not live.
            peers: vec![member(1, "b"), member(3, "d"), member(6, "g")],
            contacts: vec![member(1, "b"), member(2, "c"), member(7, "h")],
            ..Status::default()
        };
        let peers = Peer::all(&status, 0).expect("the coordinator has peers");
        let found: Vec<_> = peers
            .iter()
            .map(|peer| (peer.name.as_str(), peer.endpoint.as_ref().map(|to| to.address.as_str())))
            .collect();
        let expected = [
            ("shard 1", Some("b")),
            ("shard 2", Some("c")),
            ("shard 3", Some("d")),
            ("shard 4", None),
            ("shard 6", Some("g")),
        ];
        assert_eq!(found, expected);
        status.coordinator = false;
        assert_eq!(Peer::all(&status, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn missing_and_doubled_objects_are_reported_when_found_twice() {
        let (fleet, coverage, _stop) = start();
        seconds(1).await;
        assert_eq!(states(&coverage), EXACT);
        fleet.state().other = Some(report(&[]));
        seconds(61).await;
        assert_eq!(states(&coverage), EXACT, "a single inexact result does not count");
        seconds(5).await;
        assert_eq!(states(&coverage), MISSING);
        fleet.state().other = Some(report(&["b", "c"]));
        seconds(70).await;
        assert_eq!(states(&coverage), DOUBLED);
        fleet.state().other = Some(report(&["c"]));
        seconds(70).await;
        assert_eq!(states(&coverage), EXACT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_without_a_proof_for_minutes_is_unproven() {
        for change in [
            |s: &mut TestState| s.other = None,
            |s: &mut TestState| s.other = Some(CoverageReport { generation: 4, ..report(&["c"]) }),
            |s: &mut TestState| s.own.settled = false,
            |s: &mut TestState| s.seen = Err(SeenError::Filtered),
            |s: &mut TestState| s.other = Some(CoverageReport { digests: BTreeMap::new(), ..report(&[]) }),
            |s: &mut TestState| s.peers.as_mut().expect("the coordinator has peers")[0].endpoint = None,
        ] {
            let (fleet, coverage, stop) = start();
            seconds(1).await;
            change(&mut fleet.state());
            seconds(110).await;
            assert_eq!(states(&coverage), EXACT);
            seconds(30).await;
            assert_eq!(states(&coverage), UNPROVEN);
            stop.cancel();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_coordinator_audits_and_a_new_one_reports_nothing_before_its_first_audit() {
        let (fleet, coverage, _stop) = start();
        seconds(1).await;
        let peers = fleet.state().peers.take();
        seconds(70).await;
        assert!(coverage.statuses().is_empty());
        let requests = fleet.state().requests;
        seconds(600).await;
        assert_eq!(fleet.state().requests, requests, "a replica that is not the coordinator sends no requests");
        fleet.state().peers = peers;
        seconds(6).await;
        assert_eq!(states(&coverage), EXACT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_coordinator_measures_a_switch_within_a_second() {
        use crate::fleet::switches::{Moved, SwitchReport};
        let (fleet, _coverage, _stop) = start();
        seconds(2).await;
        let moved = |ago| Some(Moved { points: digest(&["range"]), first_ago: ago, last_ago: ago });
        {
            let mut state = fleet.state();
            state.changes = vec![KnownChange { generation: 3, cause: Cause::Leave, lost: None }];
            let hidden = SwitchReport { generation: 3, hidden: moved(1_300), ..SwitchReport::default() };
            state.own.switches = vec![hidden];
            let shown = SwitchReport { generation: 3, shown: moved(1_000), ..SwitchReport::default() };
            state.other = Some(CoverageReport { generation: 2, switches: vec![shown], ..report(&["c"]) });
        }
        sleep(Duration::from_millis(300)).await;
        assert_eq!(fleet.state().measured, None, "the other has not switched");
        if let Some(other) = &mut fleet.state().other {
            other.generation = 3;
        }
        sleep(Duration::from_millis(600)).await;
        let measured = MeasuredSwitch { generation: 3, gap: 300, overlap: Some(0) };
        assert_eq!(fleet.state().measured, Some((Cause::Leave, measured)));
        let requests = fleet.state().requests;
        seconds(40).await;
        assert_eq!(fleet.state().requests, requests, "it is measured");
    }

    #[tokio::test(start_paused = true)]
    async fn a_switch_that_cannot_be_measured_causes_few_requests() {
        let (fleet, _coverage, _stop) = start();
        seconds(2).await;
        let requests = fleet.state().requests;
        fleet.state().changes = vec![KnownChange { generation: 3, cause: Cause::Leave, lost: None }];
        seconds(55).await;
        assert_eq!(fleet.state().requests, requests + MEASURE_TRIES as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_the_api_server_does_not_have_is_omitted() {
        let (fleet, coverage, _stop) = start();
        seconds(1).await;
        assert_eq!(coverage.statuses().len(), 1);
        fleet.state().own.known_versions = [(PODS.to_owned(), KnownVersions::Refused)].into();
        let other = CoverageReport { known_versions: fleet.state().own.known_versions.clone(), ..report(&[]) };
        fleet.state().other = Some(other);
        seconds(61).await;
        assert!(coverage.statuses().is_empty());
    }
}
