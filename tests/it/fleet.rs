//! Fleets of complete replicas against the simulator: the objects that each replica serves while members join, leave, crash or
//! lack permissions.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube_state_fleet::fleet::peer_client::{self, Dialer, PeerError};
use kube_state_fleet::fleet::record::{Endpoint, KeyDigest};
use kube_state_fleet::fleet::tls::ProcessKey;
use kube_state_fleet::replica::Replica;
use kube_state_fleet::settings::{Flags, GoBool};
use kube_state_fleet::simulator::{ResourceType, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::ClientConfig;

use crate::common::tls::{Authority, handshake};
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
            ResourceType::new("events.k8s.io", "v1", "events", "Event", true),
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
        self.start_secured(ordinal, Flags::default()).await
    }

    /// As [`Self::start`], with additional flags.
    async fn start_secured(&self, ordinal: u32, flags: Flags) -> Replica {
        let name = format!("fleet-{ordinal}");
        self.0
            .apply(&pod(
                &name,
                &json!([{
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "fleet", "uid": "u", "controller": true,
                }]),
            ))
            .expect("the pod is valid");
        self.start_with(&name, flags).await
    }

    async fn start_in(&self, pod: &str) -> Replica {
        self.start_with(pod, Flags::default()).await
    }

    async fn start_with(&self, pod: &str, flags: Flags) -> Replica {
        let flags = Flags {
            resources: vec!["pods".to_owned()],
            pod: Some(pod.to_owned()),
            pod_namespace: Some("ops".to_owned()),
            ..flags
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
    // The StatefulSet has an Event for each of these changes.
    let began = Instant::now();
    for (reason, text) in [
        ("HandoverCompleted", "(cause: scale"),
        ("HandoverCompleted", "before: 2 of 2)"),
        ("HandoverCompleted", "(cause: dismissal, before: 2 of 2)"),
        ("MemberDismissed", "; 1: "),
    ] {
        let is = |event: &Value| {
            let note = event["note"].as_str().unwrap_or_default();
            event["reason"] == reason && event["regarding"]["kind"] == "StatefulSet" && note.contains(text)
        };
        loop {
            let events = world.0.list("events", "ops").expect("a resource");
            if events.iter().any(|event| is(event)) {
                break;
            }
            assert!(began.elapsed() < LONG, "no {reason} with {text:?} in {events:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_permission_for_events_a_fleet_hands_over_as_before() {
    let world = World::new(1).await;
    world.0.faults("events", |faults| faults.refuse = Some(403)).unwrap();
    let zero = world.start(0).await;
    world.settled(&[&zero]).await;
    world.scale(2);
    let one = world.start(1).await;
    world.settled(&[&zero, &one]).await;
    let began = Instant::now();
    loop {
        let metrics = get(zero.telemetry_address(), "/metrics").await;
        if metrics.contains("kube_state_fleet_handovers_total{cause=\"scale\"} 1") {
            let dropped = "kube_state_fleet_kubernetes_events_total{outcome=\"forbidden\"} ";
            let dropped = metrics.lines().find_map(|line| line.strip_prefix(dropped)).expect("a counter");
            if dropped.parse::<u32>().expect("a number") >= 2 {
                break;
            }
        }
        assert!(began.elapsed() < LONG, "{metrics}");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(world.0.list("events", "ops").expect("a resource").is_empty());
}

/// A process that is no replica: it has a key, and what a test gives it.
struct Process {
    dialer: Dialer,
    member: Value,
}

impl Process {
    /// A process that claims `ordinal`, and copies the rest of `member`.
    fn new(ordinal: u32, member: &Value) -> Self {
        let dialer = Dialer(Arc::new(ProcessKey::generate().expect("a key")));
        let mut member = member.clone();
        member["id"] = json!({"ordinal": ordinal, "pod": "other", "nonce": 4711});
        member["address"] = "127.0.0.1:1".into();
        member["key"] = dialer.0.digest().to_string().into();
        Self { dialer, member }
    }

    /// Publishes the key in the Lease of its ordinal, which is the right of members alone.
    fn join(&self, world: &World) {
        let ordinal = self.member["id"]["ordinal"].as_u64().expect("a number");
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "namespace": "ops", "name": format!("kube-state-fleet.fleet.{ordinal}"),
                "labels": {
                    "app.kubernetes.io/managed-by": "kube-state-fleet", "kube-state-fleet.io/statefulset": "fleet",
                },
                "annotations": { "kube-state-fleet.io/member": self.member.to_string() },
            },
            "spec": { "holderIdentity": "other" },
        });
        world.0.apply(&lease).expect("a valid Lease");
    }

    fn heartbeat(&self) -> Value {
        json!({ "fleet": "ops/fleet", "now": 0, "member": self.member })
    }

    /// Sends a request to the fleet port of `to`, which has the key `key`.
    async fn send(&self, to: &Replica, key: &Value, path: &str, body: &Value) -> Result<Value, PeerError> {
        let key: KeyDigest = serde_json::from_value(key.clone()).expect("a key");
        let to = Endpoint { address: to.fleet_address().expect("a fleet port").to_string(), key };
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        peer_client::request_json(&self.dialer, &to, path, body, (1 << 20, LONG)).await
    }
}

fn status(answer: Result<Value, PeerError>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(PeerError::Status { status, .. }) => status.as_u16(),
        // The handshake failed.
        Err(_) => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_process_whose_key_is_in_a_lease_is_a_member_and_only_of_its_ordinal() {
    let world = World::new(1).await;
    let zero = world.start(0).await;
    world.settled(&[&zero]).await;
    let own = world.lease("kube-state-fleet.fleet.0", "kube-state-fleet.io/member");
    let (member, stranger) = (Process::new(1, &own), Process::new(1, &own));
    let paths = ["/fleet/heartbeat", "/fleet/coverage", "/fleet/replica"];
    for path in paths {
        assert_eq!(status(stranger.send(&zero, &own["key"], path, &stranger.heartbeat()).await), 0, "{path}");
    }
    member.join(&world);
    let began = Instant::now();
    while status(member.send(&zero, &own["key"], "/fleet/heartbeat", &member.heartbeat()).await) != 200 {
        assert!(began.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/replica", &Value::Null).await), 200);
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/coverage", &json!({"fleet": "ops/fleet"})).await), 200);
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/coverage", &json!({"fleet": "ops/x"})).await), 409);
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/objects", &Value::Null).await), 404);
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/heartbeat", &json!({})).await), 400);
    // It speaks for itself alone, and not for a later process of its ordinal either.
    for (ordinal, nonce) in [(0, 4711), (2, 4711), (1, 4712)] {
        let mut heartbeat = member.heartbeat();
        heartbeat["member"]["id"] = json!({"ordinal": ordinal, "pod": "other", "nonce": nonce});
        assert_eq!(status(member.send(&zero, &own["key"], "/fleet/heartbeat", &heartbeat).await), 403);
    }
    // Nor does it get an answer from a process with another key than it expects.
    assert_eq!(status(member.send(&zero, &member.member["key"], "/fleet/replica", &Value::Null).await), 0);
    let long = json!({ "padding": "x".repeat(1 << 17) });
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/heartbeat", &long).await), 413);
    assert_eq!(status(stranger.send(&zero, &own["key"], "/fleet/replica", &Value::Null).await), 0);
    // A later process of the ordinal takes over its Lease, and its key holds no more.
    stranger.join(&world);
    let began = Instant::now();
    while status(stranger.send(&zero, &own["key"], "/fleet/replica", &Value::Null).await) != 200 {
        assert!(began.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(member.send(&zero, &own["key"], "/fleet/replica", &Value::Null).await), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_port_takes_no_plain_http_and_is_not_on_the_other_ports() {
    let world = World::new(1).await;
    let zero = world.start(0).await;
    world.settled(&[&zero]).await;
    let post = async |address, path: &str| {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: 2\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    for path in ["/fleet/heartbeat", "/fleet/coverage", "/fleet/replica", "/fleet/objects", "/fleet"] {
        for address in [zero.metrics_address(), zero.telemetry_address()] {
            let answer = post(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 405 "), "{path}: {answer}");
        }
        assert!(!post(zero.fleet_address().expect("a fleet port"), path).await.contains("HTTP/1.1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_an_unknown_format_is_neither_followed_nor_overwritten_and_nobody_is_ready() {
    let world = World::new(2).await;
    let (zero, one) = (world.start(0).await, world.start(1).await);
    world.settled(&[&zero, &one]).await;
    let lease = || world.0.get("leases", "ops", "kube-state-fleet.fleet").expect("a Lease");
    let readable = lease();
    let text = readable["metadata"]["annotations"]["kube-state-fleet.io/record"].as_str().expect("a record");
    let record: Value = serde_json::from_str(text).expect("JSON");
    let write = |record: &str| {
        let mut changed = lease();
        changed["metadata"]["annotations"]["kube-state-fleet.io/record"] = record.into();
        world.0.update(&changed).expect("a valid Lease");
    };
    let changed = |at: &str, to: Value| {
        let mut record = record.clone();
        record["revision"] = json!(record["revision"].as_u64().expect("a number") + 1);
        *record.pointer_mut(at).expect("a field") = to;
        record.to_string()
    };
    for (unknown, named) in [
        (changed("/version", json!(2)), "unknown record version 2"),
        (changed("/current/layout", json!(2)), "unknown layout 2"),
        (changed("/current/hash", json!("sha256")), "unknown hash \"sha256\""),
    ] {
        write(&unknown);
        let began = Instant::now();
        for replica in [&zero, &one] {
            loop {
                let ready = get(replica.telemetry_address(), "/readyz").await;
                if ready.starts_with("HTTP/1.1 503 ") && ready.contains(named) {
                    break;
                }
                assert!(began.elapsed() < LONG, "{named}: {ready}");
                sleep(Duration::from_millis(20)).await;
            }
        }
        // Both a lost record and a new replica count would make the coordinator write.
        world.scale(3);
        sleep(Duration::from_millis(700)).await;
        assert_eq!(lease()["metadata"]["annotations"]["kube-state-fleet.io/record"], unknown);
        let metrics = [&zero, &one].map(|replica| get(replica.metrics_address(), "/metrics"));
        let served: usize = futures::future::join_all(metrics).await.iter().map(|scrape| uids(scrape).len()).sum();
        assert_eq!(served, world.0.count("pods"), "they keep their ranges");
        let refused = get(zero.telemetry_address(), "/metrics").await;
        assert!(refused.contains("kube_state_fleet_messages_refused_total{reason=\"unknown_format\"} "), "{refused}");
        world.scale(2);
    }
    write(text);
    world.settled(&[&zero, &one]).await;
    // No version writes these: the record is damaged, and the members know what it was.
    for damaged in ["{}", "\u{1b}[2J"] {
        write(damaged);
        let began = Instant::now();
        loop {
            let lease = lease();
            let now = lease["metadata"]["annotations"]["kube-state-fleet.io/record"].as_str().unwrap_or_default();
            let restored: Option<Value> = serde_json::from_str(now).ok();
            if restored.is_some_and(|restored| restored["version"] == record["version"]) {
                break;
            }
            assert!(began.elapsed() < LONG, "still {now}");
            sleep(Duration::from_millis(20)).await;
        }
    }
    world.settled(&[&zero, &one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_strangers_does_not_keep_members_out() {
    let world = World::new(2).await;
    let zero = world.start(0).await;
    let address = zero.fleet_address().expect("a fleet port");
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(address).await.expect("it listens"));
    }
    let one = world.start(1).await;
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let _ = stream.write_all(&[0xff; 4096]).await;
        idle.push(stream);
    }
    world.settled(&[&zero, &one]).await;
    let began = Instant::now();
    for replica in [&zero, &one] {
        while !get(replica.telemetry_address(), "/metrics").await.contains("kube_state_fleet_peers_answering 1\n") {
            assert!(began.elapsed() < LONG);
            sleep(Duration::from_millis(20)).await;
        }
    }
    // The page shows both, as they answer each other.
    let overview = get(one.metrics_address(), "/fleet").await;
    assert_eq!(overview.matches("\"standing\":\"serving\"").count(), 2, "{overview}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_member_that_left_for_good_is_deleted() {
    let world = World::new(2).await;
    let (zero, one) = (world.start(0).await, world.start(1).await);
    world.settled(&[&zero, &one]).await;
    world.scale(1);
    one.leave().await;
    let began = Instant::now();
    while world.0.get("leases", "ops", "kube-state-fleet.fleet.1").is_ok() {
        assert!(began.elapsed() < LONG);
        sleep(Duration::from_millis(200)).await;
    }
    world.settled(&[&zero]).await;
}

/// Sends a `POST` to a port of scrapes, over TLS if it speaks TLS, and returns the head of the answer.
async fn post(address: SocketAddr, tls: Option<&Arc<ClientConfig>>, path: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let stream = TcpStream::connect(address).await.expect("it listens");
    let mut answer = Vec::new();
    match tls {
        None => {
            let mut stream = stream;
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.read_to_end(&mut answer).await;
        }
        Some(config) => {
            if let Ok(mut stream) = handshake(Arc::clone(config), stream).await {
                let _ = stream.write_all(request.as_bytes()).await;
                let _ = stream.read_to_end(&mut answer).await;
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_heartbeats_change_nothing_in_any_security_mode() {
    let authority = Authority::new();
    let tls = "tls_server_config: {cert_file: tls.crt, key_file: tls.key";
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let web = |name: &str, text: String| Flags { tls_config: Some(authority.write(name, &text)), ..Flags::default() };
    let filter = || Flags { auth_filter: Some(GoBool(true)), ..Flags::default() };
    let modes = [
        ("open", false, Flags::default()),
        ("filter", false, filter()),
        ("TLS", true, web("tls.yml", format!("{tls}}}\n"))),
        ("TLS and filter", true, Flags { auth_filter: filter().auth_filter, ..web("both.yml", format!("{tls}}}\n")) }),
        (
            "mTLS",
            true,
            web("mtls.yml", format!("{tls}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}}\n")),
        ),
        ("users", false, web("users.yml", format!("basic_auth_users: {{ann: \"{hash}\"}}\n"))),
    ];
    for (mode, is_tls, flags) in modes {
        let world = World::new(2).await;
        let (zero, one) = (world.start_secured(0, flags.clone()).await, world.start_secured(1, flags.clone()).await);
        let lease = |ordinal: u32| {
            let name = format!("kube-state-fleet.fleet.{ordinal}");
            let lease = world.0.get("leases", "ops", &name).ok()?;
            let text = lease["metadata"]["annotations"]["kube-state-fleet.io/member"].as_str()?.to_owned();
            serde_json::from_str::<Value>(&text).ok()
        };
        // Both serve, and follow the same record: the fleet needs no more than its Leases and the fleet port.
        let settled = || {
            let record = world.0.get("leases", "ops", "kube-state-fleet.fleet").ok()?;
            let text = record["metadata"]["annotations"]["kube-state-fleet.io/record"].as_str()?.to_owned();
            let record: Value = serde_json::from_str(&text).ok()?;
            let members = [lease(0)?, lease(1)?];
            let joined = members.iter().all(|member| member["joined"] == record["current"]["generation"]);
            (joined && record["current"]["total"] == 2 && record["current"]["absent"].is_null()).then_some(text)
        };
        let began = Instant::now();
        let record = loop {
            if let Some(record) = settled() {
                break record;
            }
            assert!(began.elapsed() < LONG, "{mode}");
            sleep(Duration::from_millis(50)).await;
        };
        let own = lease(0).expect("a Lease");
        // The inputs that blinded a fleet: a far revision with an unknown layout, a huge total, a switch that never comes.
        let forged = |change: fn(&mut Value)| {
            let mut next: Value = serde_json::from_str(&record).expect("JSON");
            next["revision"] = json!(next["revision"].as_u64().expect("a number") + 1000);
            change(&mut next);
            json!({ "fleet": "ops/fleet", "now": 0, "confirmedAge": 0, "member": lease(1), "record": next }).to_string()
        };
        let mut far = own.clone();
        far["id"] = json!({"ordinal": 7, "pod": "x", "nonce": 1});
        far["address"] = "x".repeat(900 << 10).into();
        let bodies = [
            forged(|record| record["current"]["layout"] = json!(2)),
            forged(|record| record["current"]["total"] = json!(64)),
            forged(|record| {
                record["next"] = json!({ "view": record["current"], "switch": { "at": 1_u64 << 50, "by": 0 } });
            }),
            json!({ "fleet": "ops/fleet", "now": 0, "member": far }).to_string(),
            "[".repeat(1 << 16),
        ];
        let client = is_tls.then(|| authority.client(true));
        let stranger = Process::new(1, &own);
        for body in &bodies {
            for replica in [&zero, &one] {
                for address in [replica.metrics_address(), replica.telemetry_address()] {
                    for path in ["/fleet/heartbeat", "/fleet/beat", "/fleet/coverage"] {
                        let answer = post(address, client.as_ref(), path, body).await;
                        assert!(!answer.starts_with("HTTP/1.1 2"), "{mode}: {path}: {answer}");
                    }
                }
                let fleet = replica.fleet_address().expect("a fleet port");
                for tls in [None, client.as_ref()] {
                    assert!(!post(fleet, tls, "/fleet/heartbeat", body).await.contains("HTTP/1.1"), "{mode}");
                }
                let key = if std::ptr::eq(replica, &zero) {
                    own["key"].clone()
                } else {
                    lease(1).expect("it")["key"].clone()
                };
                let sent = serde_json::from_str(body).unwrap_or(Value::from(1));
                assert_eq!(status(stranger.send(replica, &key, "/fleet/heartbeat", &sent).await), 0, "{mode}");
            }
        }
        sleep(Duration::from_millis(500)).await;
        assert_eq!(settled().as_ref(), Some(&record), "{mode}");
        assert!(world.0.get("leases", "ops", "kube-state-fleet.fleet.7").is_err(), "{mode}");
        zero.stop().await;
        one.stop().await;
    }
}
