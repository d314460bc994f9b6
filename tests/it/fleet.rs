//! Fleets of complete replicas against the simulator: the objects that each replica serves while members join, leave, crash or
//! lack permissions.

use std::collections::BTreeSet;
use std::time::Duration;

use kube_state_fleet::replica::Replica;
use kube_state_fleet::settings::Flags;
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::common::{client, get, settings};

/// How long a test waits before it fails.
const LONG: Duration = Duration::from_secs(90);
const OBJECTS: usize = 60;

struct World(Simulator);

impl World {
    /// Starts a cluster with pods, and with a StatefulSet of `replicas` replicas.
    async fn new(replicas: u32) -> Self {
        let types = vec![
            ResourceType::new("", "v1", "pods", "Pod", true),
            ResourceType::new("apps", "v1", "statefulsets", "StatefulSet", true),
            ResourceType::new("coordination.k8s.io", "v1", "leases", "Lease", true),
        ];
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), types).await.expect("a free port");
        let world = Self(simulator);
        world.scale(replicas);
        for i in 0..OBJECTS {
            let pod =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("p{i}")}});
            world.0.create(&pod).expect("a new pod");
        }
        world
    }

    fn scale(&self, replicas: u32) {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "ops", "name": "fleet"},
            "spec": {"replicas": replicas, "selector": {}, "serviceName": "fleet", "template": {}},
        });
        self.0.apply(&set).expect("the StatefulSet is valid");
    }

    /// Creates the pod of an ordinal, as the StatefulSet controller would, and starts its replica.
    async fn start(&self, ordinal: u32) -> Replica {
        let name = format!("fleet-{ordinal}");
        self.0
            .apply(&pod(
                &name,
                &json!([{
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "fleet", "uid": "u", "controller": true,
                }]),
            ))
            .expect("the pod is valid");
        self.start_in(&name).await
    }

    async fn start_in(&self, pod: &str) -> Replica {
        let flags = Flags {
            resources: vec!["pods".to_owned()],
            pod: Some(pod.to_owned()),
            pod_namespace: Some("ops".to_owned()),
            ..Flags::default()
        };
        Replica::start(settings(flags), client(&self.0.url())).await.expect("the replica starts")
    }

    /// Waits until all replicas are ready, each serves some pods, and together they serve each pod once.
    async fn settled(&self, replicas: &[&Replica]) {
        let began = Instant::now();
        loop {
            let mut problems = String::new();
            let (mut served, mut sum) = (BTreeSet::new(), 0);
            for replica in replicas {
                let ready = get(replica.telemetry_address(), "/readyz").await;
                if !ready.starts_with("HTTP/1.1 200 ") {
                    problems += &ready;
                }
                let own = uids(&get(replica.metrics_address(), "/metrics").await);
                if own.is_empty() {
                    problems += "a replica serves nothing\n";
                }
                sum += own.len();
                served.extend(own);
            }
            if problems.is_empty() && served == self.0.uids("pods") && sum == served.len() {
                return;
            }
            assert!(began.elapsed() < LONG, "{problems}{sum} pods served of {}", self.0.count("pods"));
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn lease(&self, name: &str, annotation: &str) -> Value {
        let lease = self.0.get("leases", "ops", name).expect("a Lease");
        let text = lease["metadata"]["annotations"][annotation].as_str().expect("an annotation").to_owned();
        serde_json::from_str(&text).expect("JSON")
    }
}

fn pod(name: &str, owners: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": {"terminationGracePeriodSeconds": 60, "containers": []},
        "metadata": {"namespace": "ops", "name": name, "ownerReferences": owners},
    })
}

fn uids(scrape: &str) -> Vec<String> {
    let lines = scrape.lines().filter(|line| line.starts_with("kube_pod_info{"));
    lines.filter_map(|line| Some(line.split_once("uid=\"")?.1.split_once('"')?.0.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_proves_that_the_fleet_exposes_each_object_once() {
    let world = World::new(2).await;
    let (zero, one) = (world.start(0).await, world.start(1).await);
    world.settled(&[&zero, &one]).await;
    let began = Instant::now();
    let exact = "kube_state_fleet_cover{resource=\"pods\",state=\"exact\"} ";
    for i in 0.. {
        // An audit needs a resourceVersion that all members have reached, and only changes bring new ones.
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": format!("new{i}")}});
        world.0.create(&pod).expect("a new pod");
        let mut values = Vec::new();
        for replica in [&zero, &one] {
            let metrics = get(replica.telemetry_address(), "/metrics").await;
            assert!(
                !metrics.contains("state=\"missing\"} 1") && !metrics.contains("state=\"doubled\"} 1"),
                "{metrics}"
            );
            values.extend(metrics.lines().filter_map(|line| line.strip_prefix(exact)).map(str::to_owned));
        }
        assert!(values.len() < 2, "only the coordinator reports coverage");
        if values == ["1"] {
            break;
        }
        assert!(began.elapsed() < LONG, "{values:?}");
        sleep(Duration::from_millis(100)).await;
    }
    zero.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_objects_stay_served_while_members_join_leave_and_crash() {
    let world = World::new(2).await;
    let (zero, one) = (world.start(0).await, world.start(1).await);
    world.settled(&[&zero, &one]).await;
    // Scale up.
    world.scale(3);
    let two = world.start(2).await;
    world.settled(&[&zero, &one, &two]).await;
    let metrics = get(two.telemetry_address(), "/metrics").await;
    for line in [
        "kube_state_metrics_total_shards 3",
        "kube_state_metrics_shard_ordinal{shard_ordinal=\"2\"} 2",
        "kube_state_fleet_coordination 1",
        "kube_state_fleet_replicas_wanted 3",
        "kube_state_fleet_members{state=\"present\"} 3",
        "kube_state_fleet_peers_answering 2",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    // Scale down: the leaving member serves until the others have its objects, then writes to its Lease that it has left.
    world.scale(2);
    two.leave().await;
    world.settled(&[&zero, &one]).await;
    assert_eq!(world.lease("kube-state-fleet.fleet.2", "kube-state-fleet.io/member")["phase"], "left");
    // The record may still contain the switch: no write is needed after its time has passed.
    let record = world.lease("kube-state-fleet.fleet", "kube-state-fleet.io/record");
    assert!(record["current"]["total"] == 2 || record["next"]["view"]["total"] == 2, "{record}");
    // One member crashes, and the other takes over its objects.
    drop(one);
    world.settled(&[&zero]).await;
    // It stands in for shard 1, so that upstream's alert about missing shards stays silent.
    let metrics = get(zero.telemetry_address(), "/metrics").await;
    let shards = metrics.lines().filter(|line| line.starts_with("kube_state_metrics_") && line.contains("shard"));
    assert_eq!(
        shards.collect::<Vec<_>>(),
        [
            "kube_state_metrics_shard_ordinal{shard_ordinal=\"0\"} 0",
            "kube_state_metrics_shard_ordinal{shard_ordinal=\"1\"} 1",
            "kube_state_metrics_total_shards 2"
        ]
    );
    let mut zero = zero;
    tokio::select! {
        ended = zero.stopped() => panic!("{ended:?}"),
        () = sleep(Duration::from_millis(10)) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_for_leases_each_replica_follows_the_statefulset() {
    let world = World::new(2).await;
    world.0.faults("leases", |faults| faults.refuse = Some(403)).unwrap();
    let (zero, one) = (world.start(0).await, world.start(1).await);
    world.settled(&[&zero, &one]).await;
    let metrics = get(one.telemetry_address(), "/metrics").await;
    assert!(metrics.contains("kube_state_fleet_coordination 0\n"), "{metrics}");
    assert!(metrics.contains("kube_state_metrics_total_shards 2\n"), "{metrics}");
    world.scale(3);
    let two = world.start(2).await;
    world.settled(&[&zero, &one, &two]).await;
    // A replica that does not coordinate leaves immediately.
    let began = Instant::now();
    two.leave().await;
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn a_pod_outside_a_fleet_is_an_error_that_names_the_pod() {
    let world = World::new(1).await;
    world.0.create(&pod("single-0", &json!([]))).unwrap();
    for (name, expected) in [
        ("single-0", "pod single-0 in namespace ops belongs to no StatefulSet"),
        ("fleet-7", "there is no pod fleet-7 in namespace ops"),
    ] {
        let mut replica = world.start_in(name).await;
        let reason = tokio::time::timeout(LONG, replica.stopped())
            .await
            .expect("in time")
            .expect_err("the replica stops with an error");
        assert!(reason.unfit.is_some() && reason.to_string().contains(expected), "{reason}");
    }
}

#[tokio::test]
async fn only_heartbeats_of_the_same_fleet_are_accepted() {
    let world = World::new(1).await;
    let zero = world.start(0).await;
    world.settled(&[&zero]).await;
    let heartbeat = |fleet: &str| {
        json!({
            "fleet": fleet, "now": 0,
            "member": {
                "id": {"ordinal": 4, "pod": "x", "nonce": 1}, "address": "127.0.0.1:1", "hash": "xxHash64", "layout": 1,
            },
        })
    };
    let ours = world.lease("kube-state-fleet.fleet.0", "kube-state-fleet.io/member");
    let mut right = heartbeat("ops/fleet");
    right["member"]["hash"] = ours["hash"].clone();
    let mut wrong = right.clone();
    wrong["fleet"] = "ops/other".into();
    for (heartbeat, status) in [(right, "200 OK"), (wrong, "409 Conflict"), (json!({}), "400 Bad Request")] {
        let mut stream = TcpStream::connect(zero.telemetry_address()).await.unwrap();
        let body = heartbeat.to_string();
        let request = format!(
            "POST /fleet/heartbeat HTTP/1.1\r\nhost: replica\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}
