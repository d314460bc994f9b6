//! `verify` as a user runs it: against a simulated cluster and replicas in this process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube_state_fleet::commands;
use kube_state_fleet::replica::Replica;
use kube_state_fleet::settings::{Flags, SelectorEntry, SelectorLists};
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};

use crate::common::{client, get, namespace, settings};

/// Timeout of each wait.
const LONG: Duration = Duration::from_secs(60);

/// The resources of the replicas; the API server lacks the last one.
const RESOURCES: &str = "--resources=pods,nodes,services";

/// A cluster with some pods, and replicas of it.
struct World {
    simulator: Arc<Simulator>,
    replicas: Vec<Replica>,
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": "shop", "name": name },
        "spec": { "nodeName": "n", "containers": [{ "name": "main", "image": "i" }] },
    })
}

impl World {
    /// Starts replicas with these shards, out of `total`.
    async fn new(shards: &[u32], total: u32) -> Self {
        let resources = vec![ResourceType::of::<Node>(), ResourceType::of::<Pod>(), ResourceType::of::<StatefulSet>()];
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
        simulator.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } })).expect("applied");
        for i in 0..60 {
            simulator.apply(&pod(&format!("web-{i:02}"))).expect("applied");
        }
        let flags = Flags { resources: vec!["pods,nodes,services".to_owned()], ..Flags::default() };
        Self::start(simulator, shards, total, &flags).await
    }

    /// Starts replicas of a cluster with these shards, out of `total`.
    async fn start(simulator: Simulator, shards: &[u32], total: u32, flags: &Flags) -> Self {
        let mut replicas = Vec::new();
        for shard in shards {
            let flags = Flags { shard: Some(*shard), total_shards: Some(total), ..flags.clone() };
            replicas.push(Replica::start(settings(flags), client(&simulator.url())).await.expect("it starts"));
        }
        for replica in &replicas {
            tokio::time::timeout(LONG, ready(replica)).await.expect("it loads");
        }
        Self { simulator: Arc::new(simulator), replicas }
    }

    /// The arguments of `verify` that name all replicas.
    fn urls(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| format!("--replica=http://{}", replica.telemetry_address())).collect()
    }

    /// Exit code, stdout and stderr of `verify` with these additional arguments.
    async fn verify(&self, arguments: &[&str]) -> (ExitCode, String, String) {
        let url = self.simulator.url();
        let resources = if arguments.iter().any(|a| a.starts_with("--resources")) { None } else { Some(RESOURCES) };
        let line = ["kube-state-fleet", "verify", "--apiserver", &url].into_iter().chain(resources);
        let line: Vec<_> = line.chain(arguments.iter().copied()).map(OsString::from).collect();
        let run = move || {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let code = commands::execute(line, &mut out, &mut err);
            (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(err).expect("UTF-8"))
        };
        tokio::time::timeout(LONG, tokio::task::spawn_blocking(run)).await.expect("in time").expect("it does not panic")
    }

    /// Runs `verify` on all replicas, with their URLs as arguments.
    async fn verify_all(&self) -> (ExitCode, String, String) {
        self.verify(&self.urls().iter().map(String::as_str).collect::<Vec<_>>()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_outside_the_selectors_are_not_missing() {
    let resources = vec![ResourceType::of::<Node>(), ResourceType::of::<Pod>()];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    for i in 0..40 {
        let mut pod = pod(&format!("web-{i:02}"));
        pod["metadata"]["labels"] = json!({ "app": (if i < 10 { "ci" } else { "web" }) });
        simulator.apply(&pod).expect("applied");
    }
    let text = |text: &str| SelectorLists(vec![SelectorEntry::Text(text.to_owned())]);
    let flags = Flags {
        resources: vec!["pods,nodes".to_owned()],
        resource_selector: text("pods=app!=ci"),
        resource_field_selector: text("pods=metadata.name!=web-39"),
        ..Flags::default()
    };
    let world = World::start(simulator, &[0, 1], 2, &flags).await;
    let urls = world.urls();
    let of = |selectors: &[&str]| {
        let line: Vec<_> = urls.iter().map(String::as_str).chain(["--resources=pods,nodes"]).collect();
        [line, selectors.to_vec()].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let same = of(&["--resource-selector=pods=app!=ci", "--resource-field-selector=pods=metadata.name!=web-39"]);
    let (code, out, err) = world.verify(&same.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    assert_eq!(columns(&out, "pods"), ["29", "29", "0", "0"], "{out}");
    let (code, out, _) = world.verify(&of(&[]).iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(code, ExitCode::from(1));
    assert_eq!(columns(&out, "pods"), ["40", "29", "11", "0"], "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_begin_and_cease_to_match_while_it_runs_are_not_missing() {
    let resources = vec![ResourceType::of::<Namespace>(), ResourceType::of::<Pod>()];
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), resources).await.expect("a free port");
    let set = |simulator: &Simulator, name: &str, is_selected: bool| {
        namespace(simulator, name, &if is_selected { json!({ "team": "one" }) } else { json!({}) });
    };
    for (name, is_selected) in [("shop", true), ("bank", true), ("mill", false), ("farm", false)] {
        set(&simulator, name, is_selected);
        for i in 0..20 {
            let mut pod = pod(&format!("web-{i:02}"));
            pod["metadata"]["namespace"] = name.into();
            simulator.apply(&pod).expect("applied");
        }
    }
    let flags =
        Flags { resources: vec!["pods".to_owned()], namespace_selector: Some("team".to_owned()), ..Flags::default() };
    let world = World::start(simulator, &[0, 1], 2, &flags).await;
    let mut flags = world.urls();
    flags.extend(["--resources=pods", "--namespace-selector=team"].map(str::to_owned));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    for (begins, ends, count) in [("mill", "bank", "40"), ("bank", "shop", "40"), ("farm", "none", "60")] {
        // At once, so that the first comparison may find differences.
        set(&world.simulator, begins, true);
        set(&world.simulator, ends, false);
        let (code, out, err) = world.verify(&flags).await;
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
        let (code, out, _) = world.verify(&flags).await;
        assert_eq!((code, columns(&out, "pods")), (ExitCode::SUCCESS, vec![count, count, "0", "0"]), "{out}");
    }
}

async fn ready(replica: &Replica) {
    loop {
        let answer = get(replica.telemetry_address(), "/readyz").await;
        if answer.starts_with("HTTP/1.1 200 ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The columns of a resource's line except the last.
fn columns<'a>(out: &'a str, resource: &str) -> Vec<&'a str> {
    let line = out.lines().find(|line| line.starts_with(resource)).unwrap_or_else(|| panic!("no {resource}: {out}"));
    line.split_whitespace().skip(1).take(4).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_fleet_is_exact_while_the_cluster_changes() {
    let world = World::new(&[0, 1, 2], 3).await;
    let (code, out, err) = world.verify_all().await;
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    assert_eq!(columns(&out, "pods"), ["60", "60", "0", "0"], "{out}");
    assert!(!out.contains("services"), "the API server does not have them: {out}");
    assert!(out.ends_with("each of 61 objects of 2 resources is served by exactly one replica\n"), "{out}");

    let simulator = Arc::clone(&world.simulator);
    let churn = tokio::spawn(async move {
        for i in 0.. {
            simulator.apply(&pod(&format!("job-{i}"))).expect("applied");
            if i >= 20 {
                simulator.delete("pods", "shop", &format!("job-{}", i - 20)).expect("deleted");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    for _ in 0..3 {
        let (code, out, err) = world.verify_all().await;
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    }
    churn.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_missing_shard_are_named_as_missing() {
    let world = World::new(&[0, 2], 3).await;
    let (code, out, _) = world.verify_all().await;
    assert_eq!(code, ExitCode::from(1), "{out}");
    let [objects, served, missing, doubled] = columns(&out, "pods")[..] else { panic!("{out}") };
    let number = |text: &str| text.parse::<usize>().expect("a number");
    assert_eq!((objects, doubled, number(served) + number(missing)), ("60", "0", 60), "{out}");
    assert!(number(missing) > 0, "{out}");
    assert_eq!(out.lines().filter(|line| line.starts_with("  shop/web-")).count(), number(missing).min(20), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_two_replicas_serve_are_doubled_and_both_are_named() {
    let world = World::new(&[0, 1, 1], 2).await;
    let (code, out, _) = world.verify_all().await;
    assert_eq!(code, ExitCode::from(1), "{out}");
    let [objects, served, missing, doubled] = columns(&out, "pods")[..] else { panic!("{out}") };
    assert_eq!((objects, served, missing), ("60", "60", "0"), "{out}");
    assert_ne!(doubled, "0");
    let by = format!(" by {}, {}", world.replicas[1].telemetry_address(), world.replicas[2].telemetry_address());
    assert!(out.lines().any(|line| line.starts_with("  shop/web-") && line.ends_with(&by)), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_the_metrics_is_no_telemetry_port() {
    let world = World::new(&[0], 1).await;
    let url = format!("--replica=http://{}", world.replicas[0].metrics_address());
    let (_, _, err) = world.verify(&[&url]).await;
    assert!(err.contains("404 Not Found; is this the telemetry port (8081 by default) of kube-state-fleet?"), "{err}");
}

/// Creates a StatefulSet without pods. Returns its UID.
fn statefulset(world: &World) -> String {
    let set = world.simulator.apply(&json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "namespace": "monitoring", "name": "fleet" },
        "spec": {
            "serviceName": "fleet", "replicas": 3, "selector": { "matchLabels": { "app": "fleet" } }, "template": {},
        },
    }));
    set.expect("applied")["metadata"]["uid"].as_str().expect("it has one").to_owned()
}

/// Creates a pod of the StatefulSet with this telemetry port. Without a port it is pending.
fn member(world: &World, uid: &str, ordinal: usize, port: Option<u16>) {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "monitoring", "name": format!("fleet-{ordinal}"), "labels": { "app": "fleet" },
            "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "fleet", "uid": uid, "controller": true },
            ],
        },
        "spec": { "containers": [{ "name": "main", "image": "i" }] },
    });
    if let Some(port) = port {
        pod["spec"]["containers"][0]["ports"] = json!([{ "name": "metrics", "containerPort": port }]);
        pod["status"] = json!({ "podIP": "127.0.0.1", "conditions": [{ "type": "Ready", "status": "True" }] });
    }
    world.simulator.apply(&pod).expect("applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_found_by_their_statefulset() {
    let world = World::new(&[0, 1], 2).await;
    let in_fleet = ["--statefulset=fleet", "--fleet-namespace=monitoring"];
    let (code, out, err) = world.verify(&in_fleet).await;
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("no StatefulSet \"fleet\" in namespace \"monitoring\"") && err.contains("--replica"), "{err}");

    let uid = statefulset(&world);
    let (code, _, err) = world.verify(&in_fleet).await;
    assert_eq!(code, ExitCode::from(2));
    assert!(err.contains("monitoring/fleet has no pods"), "{err}");

    for (ordinal, replica) in world.replicas.iter().enumerate() {
        member(&world, &uid, ordinal, Some(replica.telemetry_address().port()));
    }
    member(&world, &uid, 2, None);
    let mut before = 0;
    // From outside a cluster, the API server's proxy is the default.
    for via in [[].as_slice(), &["--via=direct"], &["--via=proxy"]] {
        let (code, out, err) = world.verify(&[via, &in_fleet].concat()).await;
        assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
        assert!(out.starts_with("3 replicas: fleet-0, fleet-1, fleet-2\n"), "{out}");
        assert_eq!(columns(&out, "pods"), ["63", "63", "0", "0"], "{out}");
        let asked = world.simulator.requests().iter().filter(|r| r.path.contains("/pods/fleet-0:")).count();
        let proxied = std::mem::replace(&mut before, asked) != asked;
        assert_eq!(proxied, via != ["--via=direct"], "{via:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_meanwhile_is_asked_too() {
    let world = World::new(&[0, 1], 2).await;
    let uid = statefulset(&world);
    member(&world, &uid, 0, Some(world.replicas[0].telemetry_address().port()));
    let late = async {
        // `verify` requests this last, before it confirms missing objects.
        while !world.simulator.requests().iter().any(|r| r.path == "/api/v1/services") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        member(&world, &uid, 1, Some(world.replicas[1].telemetry_address().port()));
    };
    let verify = world.verify(&["--via=direct", "--statefulset=fleet", "--fleet-namespace=monitoring"]);
    let ((code, out, err), ()) = tokio::join!(verify, late);
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    assert!(out.starts_with("2 replicas: fleet-0, fleet-1\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_replicas_and_unverifiable_requests_exit_with_2() {
    let world = World::new(&[0], 1).await;
    for (arguments, words) in [
        (["--replica=http://127.0.0.1:1"].as_slice(), ["127.0.0.1:1", "/fleet/objects?resource="].as_slice()),
        (&["--replica=127.0.0.1:1"], &["--replica", "\"127.0.0.1:1\""]),
        (&["--node=n", "--resources=pods"], &["--node cannot be verified"]),
        (&["--object-limit=5"], &["--object-limit cannot be verified"]),
        (&["--watch=soon"], &["--watch", "soon"]),
    ] {
        let (code, out, err) = world.verify(arguments).await;
        assert_eq!((code, out.as_str()), (ExitCode::from(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{arguments:?}: {err:?} does not say {word:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_a_line_per_round_until_it_is_stopped() {
    let world = World::new(&[0], 1).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
        .args(["verify", "--watch=10ms", "--apiserver", &world.simulator.url(), RESOURCES])
        .args(["--replica", &format!("http://{}", world.replicas[0].telemetry_address())])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is built");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for _ in 0..3 {
        let line = lines.next().expect("it goes on").expect("UTF-8");
        assert!(
            line.ends_with("1 replica: each of 61 objects of 2 resources is served by exactly one replica"),
            "{line}"
        );
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.expect("kill is there").success());
    assert!(child.wait().expect("it ends").success());
}
