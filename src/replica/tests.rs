//! The audit over real sources, against a simulated cluster with constant changes.

use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::inventory::{CoverageSources, Inventory};
use super::resources::{Group, Rollout, RunningResource, WatchContext};
use super::*;
use crate::fleet::audit::{Audit, Coverage, CoverageClient, CoverageView, Peer, PeerDirectory};
use crate::fleet::coverage::{CoverageReport, CoverageRequest, Exposure, ExposureSource};
use crate::fleet::handover::Cause;
use crate::fleet::ledger::CoverageState;
use crate::fleet::peer_client::PeerError;
use crate::fleet::record::{Endpoint, KeyDigest, MeasuredSwitch};
use crate::fleet::switches::KnownChange;
use crate::intake;
use crate::settings::{Environment, Flags};
use crate::sharding::Hasher;
use crate::simulator::{ResourceType, Simulator};
use crate::sync::watch;

const FLEET: &str = "monitoring/fleet";

/// Timeout of each wait.
const LONG: Duration = Duration::from_secs(60);

const EXACT: CoverageState = CoverageState { exact: true, missing: false, doubled: false, unproven: false };
const MISSING: CoverageState = CoverageState { exact: false, missing: true, doubled: false, unproven: false };
const DOUBLED: CoverageState = CoverageState { exact: false, missing: false, doubled: true, unproven: false };

/// A member of generation 1.
struct Member(Slice);

impl ExposureSource for Member {
    fn exposure(&self) -> Exposure {
        Exposure { generation: 1, settled: true, counted: self.0.clone() }
    }
}

/// The peers, as the coordinator knows them, and the connections to them. An address is the index of a peer.
#[derive(Clone)]
struct Others(Vec<Arc<Inventory>>);

impl PeerDirectory for Others {
    fn fleet(&self) -> String {
        FLEET.to_owned()
    }

    fn peers(&self) -> Option<Vec<Peer>> {
        let endpoint = |at: usize| Endpoint { address: at.to_string(), key: KeyDigest([0; 32]) };
        let peer = |at: usize| Peer { name: at.to_string(), endpoint: Some(endpoint(at)) };
        Some((0..self.0.len()).map(peer).collect())
    }

    fn changes(&self) -> Vec<KnownChange> {
        Vec::new()
    }

    fn is_measured(&self, _: &KnownChange) -> bool {
        true
    }

    fn note_measured(&self, _: Cause, _: MeasuredSwitch) -> bool {
        false
    }
}

impl CoverageClient for Others {
    fn request<'a>(
        &'a self,
        at: &'a Endpoint,
        request: &'a CoverageRequest,
    ) -> BoxFuture<'a, Result<CoverageReport, PeerError>> {
        let peer = at.address.parse().ok().and_then(|at: usize| self.0.get(at));
        Box::pin(std::future::ready(peer.map(|peer| peer.report(request)).ok_or(PeerError::NoAddress)))
    }
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "shop", "name": name },
        "spec": { "nodeName": "n", "containers": [{ "name": "main", "image": "i" }] },
    })
}

fn settings() -> Settings {
    let flags = Flags { resources: vec!["pods,nodes,services".to_owned()], ..Flags::default() };
    Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0
}

fn client(simulator: &Simulator) -> kube::Client {
    intake::shared_client(kube::Config::new(simulator.url().parse().expect("a URL"))).expect("a client")
}

type Served = watch::Receiver<Arc<[Arc<RunningResource>]>>;

/// Starts a replica's watches.
fn replica(simulator: &Simulator, slice: Slice, tasks: &Tasks) -> (Arc<Inventory>, Served) {
    let context = WatchContext {
        namespaced: false,
        client: client(simulator),
        private: None,
        held: Some(slice.clone()),
        audited: true,
        linger: Duration::ZERO,
        exposed: None,
    };
    let resources = Resources::new(context, tasks.spawner(), [Group::BuiltIn]);
    let set = resources.set(Group::BuiltIn, builtin::specs(&settings(), 0), Rollout::Atomic);
    drop(set.expect("no thread is needed"));
    let watch_set = resources.watch_set();
    let inventory = Arc::new(Inventory { exposure: Arc::new(Member(slice)), watch_set, coverage_sources: None });
    (inventory, resources.served())
}

/// Audits from `coverage_view` until pods are in the state `pods`.
async fn audit(
    coverage_view: &Arc<Inventory>,
    others: Vec<&Arc<Inventory>>,
    pods: CoverageState,
    stop: &CancellationToken,
) {
    let coverage = Arc::new(Coverage::default());
    let others = Others(others.into_iter().cloned().collect());
    let audit = Audit {
        members: Arc::new(others.clone()),
        view: Arc::clone(coverage_view) as _,
        client: Arc::new(others),
        coverage: Arc::clone(&coverage),
        interval: LONG,
    };
    let audits = tokio::spawn(audit.run(stop.clone()));
    let wanted = async {
        loop {
            let lines = coverage.statuses();
            let state = lines.iter().find(|line| line.resource == "pods").map(|line| line.state);
            if state == Some(pods) {
                assert!(lines.iter().all(|line| line.resource != "services"), "the API server does not have them");
                break;
            }
            assert!(state.is_none_or(|state| state == CoverageState::default()), "{state:?} in place of {pods:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, wanted).await.expect("in time");
    audits.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_doubles_are_found_while_the_cluster_lives_and_nothing_else() {
    let resources = vec![ResourceType::of::<Node>(), ResourceType::of::<Pod>()];
    let simulator = Arc::new(Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port"));
    for i in 0..50 {
        simulator.apply(&pod(&format!("web-{i}"))).expect("applied");
    }
    let assignment = Assignment::new(3).expect("three");
    let tasks = Tasks::new(CancellationToken::new());
    let stop = tasks.spawner().stop_token();
    let start = |shard| replica(&simulator, Slice::of(Hasher::default(), assignment.ranges(shard)), &tasks);
    let [(first, served), (second, _), (third, _)] = [0, 1, 2].map(start);

    let living = Arc::clone(&simulator);
    let churn = tokio::spawn(async move {
        for i in 0.. {
            living.apply(&pod(&format!("job-{i}"))).expect("applied");
            if i >= 20 {
                living.delete("pods", "shop", &format!("job-{}", i - 20)).expect("deleted");
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    tokio::join!(
        audit(&first, vec![&second, &third], EXACT, &stop),
        audit(&first, vec![&second], MISSING, &stop),
        audit(&first, vec![&second, &third, &third], DOUBLED, &stop),
    );

    // The same with the coverage watch.
    let sources = Arc::new(CoverageSources::default());
    let watch = coverage_watch::CoverageWatch {
        members: Arc::new(Others(Vec::new())),
        served,
        client: client(&simulator),
        config: None,
        sources: Arc::clone(&sources),
    };
    tokio::spawn(watch.run(stop.clone()));
    let Inventory { exposure, watch_set, .. } = &*first;
    let (exposure, watch_set) = (Arc::clone(exposure), Arc::clone(watch_set));
    let filtered = Arc::new(Inventory { exposure, watch_set, coverage_sources: Some(sources) });
    tokio::join!(audit(&filtered, vec![&second, &third], EXACT, &stop), audit(&filtered, vec![&third], MISSING, &stop),);
    churn.abort();
}
