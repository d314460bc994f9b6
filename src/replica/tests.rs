//! The audit over real sources, against a simulated cluster with constant changes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use serde_json::{Value, json};

use super::custom::CustomResources;
use super::inventory::{CoverageSources, Inventory};
use super::resources::{Group, Rollout, RunningResource, WatchContext};
use super::*;
use crate::exposition::{Format, Selection};
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
use crate::simulator::{self, ResourceType, Simulator};
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

fn context(client: kube::Client, slice: &Slice) -> WatchContext {
    WatchContext {
        namespaced: false,
        client,
        private: None,
        held: Some(slice.clone()),
        audited: true,
        linger: Duration::ZERO,
        exposed: None,
    }
}

/// Starts a replica's watches.
fn replica(simulator: &Simulator, slice: Slice, tasks: &Tasks) -> (Arc<Inventory>, Served) {
    let resources = Resources::new(context(client(simulator), &slice), tasks.spawner(), [Group::BuiltIn]);
    let set = resources.set(Group::BuiltIn, builtin::specs(&settings(), 0), Rollout::Atomic);
    drop(set.expect("no thread is needed"));
    let watch_set = resources.watch_set();
    let inventory = Arc::new(Inventory { exposure: Arc::new(Member(slice)), watch_set, coverage_sources: None });
    (inventory, resources.served())
}

/// Starts a replica's watches of the namespaces whose Namespace has the label `team`. The selection is followed while the last value
/// returned exists.
fn selecting(
    client: &kube::Client,
    slice: Slice,
    tasks: &Tasks,
) -> (Arc<Inventory>, Arc<Resources>, FollowedNamespaces) {
    let text = Some("team".to_owned());
    let flags = Flags { resources: vec!["pods".to_owned()], namespace_selector: text, ..Flags::default() };
    let settings = Settings::resolve(&flags, &Environment::default(), || None).expect("they are valid").0;
    let resources = Resources::new(context(client.clone(), &slice), tasks.spawner(), [Group::BuiltIn]);
    let custom = CustomResources::new(Arc::clone(&resources), client.clone(), tasks.spawner());
    let spawner = tasks.spawner();
    let namespaces = FollowedNamespaces::new(Arc::clone(&resources), Arc::new(custom), client.clone(), spawner);
    namespaces.follow(&settings, 0).expect("no thread is needed");
    let watch_set = resources.watch_set();
    tasks.spawner().spawn("resource-loader".to_owned(), Arc::clone(&resources).run());
    let inventory = Inventory { exposure: Arc::new(Member(slice)), watch_set, coverage_sources: None };
    (Arc::new(inventory), resources, namespaces)
}

/// A Namespace with these labels.
fn namespace(name: &str, labels: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

/// A Pod in this namespace.
fn pod_in(namespace: &str, number: usize) -> Value {
    let mut pod = pod(&format!("web-{number}"));
    pod["metadata"]["namespace"] = namespace.into();
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_begin_and_cease_to_match_are_neither_missing_nor_doubled() {
    let resources = vec![ResourceType::of::<Namespace>(), ResourceType::of::<Pod>()];
    let simulator = Arc::new(Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port"));
    let names = ["shop", "bank", "mill", "farm"];
    for (at, name) in names.into_iter().enumerate() {
        let labels = if at < 2 { json!({ "team": "one" }) } else { json!({}) };
        simulator.apply(&namespace(name, labels)).expect("applied");
        (0..30).for_each(|number| drop(simulator.apply(&pod_in(name, number)).expect("applied")));
    }
    let assignment = Assignment::new(2).expect("two");
    let tasks = Tasks::new(CancellationToken::new());
    let stop = tasks.spawner().stop_token();
    let start = |shard| selecting(&client(&simulator), Slice::of(Hasher::default(), assignment.ranges(shard)), &tasks);
    let [(first, _, _first), (second, _, _second)] = [0, 1].map(start);
    audit(&first, vec![&second], EXACT, &stop).await;

    let living = Arc::clone(&simulator);
    let churn = tokio::spawn(async move {
        for change in 0.. {
            let name = names[1 + change / 2 % 3];
            let labels = if change % 2 == 0 { json!({}) } else { json!({ "team": "two" }) };
            living.apply(&namespace(name, labels)).expect("applied");
            for number in 0..20 {
                living.apply(&pod_in(names[number % 4], change * 20 + number)).expect("applied");
                let _ = living.delete("pods", names[(number + 1) % 4], &format!("web-{}", change * 20 + number));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    // Each fails at the first other result.
    for _ in 0..12 {
        audit(&first, vec![&second], EXACT, &stop).await;
    }
    audit(&first, vec![&second, &second], DOUBLED, &stop).await;
    audit(&first, vec![], MISSING, &stop).await;
    churn.abort();
}

/// Waits until the store has these numbers of pods, by namespace, and no others.
async fn serves(resources: &Resources, wanted: &[(&str, usize)]) {
    let store = resources.store();
    let wanted: BTreeMap<String, usize> = wanted.iter().map(|(name, pods)| ((*name).to_owned(), *pods)).collect();
    let mut found = BTreeMap::new();
    let equal = async {
        while found != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
            found.clear();
            for line in String::from_utf8(text).expect("UTF-8").lines() {
                let Some(labels) = line.strip_prefix("kube_pod_info{namespace=\"") else { continue };
                *found.entry(labels.split('"').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
            }
        }
    };
    let done = tokio::time::timeout(LONG, equal).await;
    assert!(done.is_ok(), "{found:?} instead of {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn the_selection_stays_while_the_watch_of_namespaces_fails() {
    let resources = vec![ResourceType::of::<Namespace>(), ResourceType::of::<Pod>()];
    let simulator = Arc::new(Simulator::unconnected(resources, simulator::Options::default()));
    let api = Arc::clone(&simulator);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let answer = api.answer(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let client = kube::Client::new(service, "default");
    for name in ["shop", "bank"] {
        simulator.apply(&namespace(name, json!({ "team": "one" }))).expect("applied");
        simulator.apply(&pod_in(name, 0)).expect("applied");
    }
    let refuse = |code| simulator.faults("namespaces", |faults| faults.refuse = code).expect("it is known");
    refuse(Some(500));
    let tasks = Tasks::new(CancellationToken::new());
    let (_, resources, _followed) = selecting(&client, Slice::all(), &tasks);
    let requests = || simulator.requests().iter().filter(|request| request.path.ends_with("/namespaces")).count();
    let several_more = async || {
        let before = requests();
        let more = async {
            while requests() < before + 2 {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
        };
        tokio::time::timeout(LONG, more).await.expect("it asks again");
    };
    // Nothing is known yet: no pod is shown, and no namespace counts as selected.
    several_more().await;
    serves(&resources, &[]).await;
    assert_eq!(simulator.open_watches("pods"), 0);
    refuse(None);
    serves(&resources, &[("bank", 1), ("shop", 1)]).await;

    for code in [500, 403] {
        refuse(Some(code));
        simulator.drop_watches("namespaces").expect("it is known");
        several_more().await;
        simulator.apply(&namespace("bank", json!({}))).expect("applied");
        simulator.apply(&namespace("mill", json!({ "team": "two" }))).expect("applied");
        simulator.apply(&pod_in("mill", 0)).expect("applied");
        simulator.apply(&pod_in("bank", 1)).expect("applied");
        serves(&resources, &[("bank", 2), ("shop", 1)]).await;
        several_more().await;
        serves(&resources, &[("bank", 2), ("shop", 1)]).await;
        refuse(None);
        serves(&resources, &[("mill", 1), ("shop", 1)]).await;

        simulator.delete("pods", "bank", "web-1").expect("deleted");
        simulator.apply(&namespace("bank", json!({ "team": "one" }))).expect("applied");
        simulator.apply(&namespace("mill", json!({}))).expect("applied");
        serves(&resources, &[("bank", 1), ("shop", 1)]).await;
    }
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
            // Nothing is proven while members see different namespaces.
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
