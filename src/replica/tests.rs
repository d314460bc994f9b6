//! The audit over real sources and HTTP, against a simulated cluster with constant changes.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use tokio::sync::watch;

use super::inventory::{CoverageSources, Inventory};
use super::ports::Port;
use super::resources::{RunningResource, WatchContext};
use super::*;
use crate::fleet::audit::{Audit, Coverage, HttpCoverageClient, Peer, PeerDirectory};
use crate::fleet::coverage::{Exposure, ExposureSource};
use crate::fleet::ledger::CoverageState;
use crate::intake;
use crate::server::{self, AuthLayer, PeerQueries};
use crate::settings::{Environment, Flags, Listen, Timeouts};
use crate::sharding::Hasher;
use crate::simulator::{ResourceType, Simulator};

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

/// The peers, as the coordinator knows them.
struct Others(Vec<SocketAddr>);

impl PeerDirectory for Others {
    fn fleet(&self) -> String {
        FLEET.to_owned()
    }

    fn peers(&self) -> Option<Vec<Peer>> {
        let peer = |address: &SocketAddr| Peer { name: address.to_string(), address: Some(address.to_string()) };
        Some(self.0.iter().map(peer).collect())
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

/// Starts a replica's watches, and answers the coordinator's questions at the returned address.
fn replica(simulator: &Simulator, slice: Slice, tasks: &Tasks) -> (Arc<Inventory>, Served, SocketAddr) {
    let context = WatchContext {
        client: client(simulator),
        private: None,
        held: Some(slice.clone()),
        audited: true,
        linger: Duration::ZERO,
    };
    let resources = Resources::new(context, tasks.spawner(), [Group::BuiltIn]);
    let set = resources.set(Group::BuiltIn, builtin::specs(&settings(), 0), Rollout::Atomic);
    drop(set.expect("no thread is needed"));
    let watch_set = resources.watch_set();
    let inventory = Arc::new(Inventory { exposure: Arc::new(Member(slice)), watch_set, coverage_sources: None });
    let coverage_view = (Arc::new(Others(Vec::new())) as _, Arc::clone(&inventory) as _);
    let routes = server::fleet_routes(PeerQueries {
        inventory: Arc::clone(&inventory) as _,
        coverage_view: Some(coverage_view),
    });
    let Port { listener, address } =
        ports::bind("", Listen { host: [127, 0, 0, 1].into(), port: 0 }).expect("a free port");
    let stop = tasks.spawner().stop_token();
    tokio::spawn(server::serve(listener, AuthLayer::new(routes, None, None), Timeouts::default(), stop));
    (inventory, resources.served(), address)
}

/// Audits from `coverage_view` until pods are in the state `pods`.
async fn audit(coverage_view: &Arc<Inventory>, others: Vec<SocketAddr>, pods: CoverageState, stop: &CancellationToken) {
    let coverage = Arc::new(Coverage::default());
    let audit = Audit {
        members: Arc::new(Others(others)),
        view: Arc::clone(coverage_view) as _,
        client: Arc::new(HttpCoverageClient(Arc::new(crate::fleet::peer_client::PlainConnector))),
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
    let [(first, served, _), (_, _, second), (_, _, third)] = [0, 1, 2].map(start);

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
        audit(&first, vec![second, third], EXACT, &stop),
        audit(&first, vec![second], MISSING, &stop),
        audit(&first, vec![second, third, third], DOUBLED, &stop),
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
    tokio::join!(audit(&filtered, vec![second, third], EXACT, &stop), audit(&filtered, vec![third], MISSING, &stop),);
    churn.abort();
}
