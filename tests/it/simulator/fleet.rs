//! The server's features for a fleet: shards of lists and watches, Leases, the StatefulSet and its Pods.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use k8s_openapi::api::apps::v1::StatefulSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const HALF: u128 = 1 << 63;
const WHOLE: u128 = 1 << 64;

/// `shardSelector` of these ranges, as part of a query.
fn shards(ranges: &[(u128, u128)]) -> String {
    let term = |(start, end): &(u128, u128)| format!("shardRange(object.metadata.uid,'{start:#018x}','{end:#018x}')");
    let selector = ranges.iter().map(term).collect::<Vec<_>>().join(" || ");
    form_urlencoded::Serializer::new(String::new()).append_pair("shardSelector", &selector).finish()
}

fn uids(list: &Value) -> BTreeSet<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().filter_map(|item| item["metadata"]["uid"].as_str()).map(str::to_owned).collect()
}

async fn many_pods() -> Simulator {
    let simulator = simulator().await;
    for i in 0..40 {
        simulator.create(&pod("shop", &format!("p{i}"), "n1")).expect("created");
    }
    simulator
}

#[tokio::test]
async fn shards_of_a_list_are_the_list_cut_in_parts() {
    let simulator = many_pods().await;
    let json = "application/json";
    let (code, low) = get(&simulator, &format!("/api/v1/pods?{}", shards(&[(0, HALF)])), json).await;
    let (_, high) = get(&simulator, &format!("/api/v1/pods?{}", shards(&[(HALF, WHOLE)])), json).await;
    assert_eq!(code, 200);
    assert!(!uids(&low).is_empty() && uids(&low).is_disjoint(&uids(&high)));
    assert_eq!(&uids(&low) | &uids(&high), simulator.uids("pods"));
    let echoed = low["metadata"]["shardInfo"]["selector"].as_str().expect("an echo");
    assert_eq!(echoed, "shardRange(object.metadata.uid,'0x0000000000000000','0x8000000000000000')");
    let both = format!("/api/v1/pods?{}", shards(&[(0, HALF), (HALF, WHOLE)]));
    assert_eq!(uids(&get(&simulator, &both, json).await.1), simulator.uids("pods"));
    // The number of remaining items is unknown if some are left out, and other forms have no field for the echo.
    let paged = get(&simulator, &format!("/api/v1/pods?limit=1&{}", shards(&[(0, HALF)])), json).await.1;
    assert!(paged["metadata"]["continue"].is_string() && paged["metadata"]["remainingItemCount"].is_null());
    assert!(get(&simulator, &both, TABLE).await.1["metadata"]["shardInfo"].is_null());
    assert_eq!(get(&simulator, "/api/v1/pods?shardSelector=all", json).await.0, 400);
}

#[tokio::test]
async fn shards_of_a_watch_get_their_own_objects_only() {
    let simulator = many_pods().await;
    let part = shards(&[(0, HALF)]);
    let list = get(&simulator, &format!("/api/v1/pods?{part}"), "application/json").await.1;
    let mut lines = Lines::open(&simulator, &format!("/api/v1/pods?{STREAM}&{part}"), "application/json").await;
    let mut initial = BTreeSet::new();
    loop {
        let event = lines.event().await;
        if event["type"] == "BOOKMARK" {
            break;
        }
        initial.insert(event["object"]["metadata"]["uid"].as_str().expect("a UID").to_owned());
    }
    assert_eq!(initial, uids(&list));
    for i in 0..40 {
        simulator.delete("pods", "shop", &format!("p{i}")).expect("deleted");
    }
    for _ in 0..initial.len() {
        let event = lines.event().await;
        assert_eq!(event["type"], "DELETED");
        assert!(initial.contains(event["object"]["metadata"]["uid"].as_str().expect("a UID")));
    }
    simulator.send_bookmarks("pods").expect("pods are served");
    assert_eq!(lines.event().await["type"], "BOOKMARK", "nothing of the other half came");
}

#[tokio::test]
async fn a_server_may_not_know_shards_or_refuse_them() {
    let simulator = many_pods().await;
    let path = format!("/api/v1/pods?{}", shards(&[(0, HALF)]));
    simulator.faults("pods", |faults| faults.ignore_shards = true).expect("pods are served");
    let all = get(&simulator, &path, "application/json").await.1;
    assert_eq!(uids(&all), simulator.uids("pods"));
    assert!(all["metadata"]["shardInfo"].is_null());
    simulator.faults("pods", |faults| faults.refuse_shards = true).expect("pods are served");
    assert_eq!(get(&simulator, &path, "application/json").await.0, 400);
    assert_eq!(get(&simulator, "/api/v1/pods", "application/json").await.0, 200);
}

#[tokio::test]
async fn a_lease_is_replaced_only_with_its_current_version() {
    let simulator = simulator().await;
    let leases = Api::<Lease>::namespaced(client(&simulator), "shop");
    let lease = |holder: &str| -> Lease {
        serde_json::from_value(json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": holder } }))
            .expect("a lease")
    };
    let first = leases.create(&PostParams::default(), &lease("a")).await.expect("created");
    let blind = leases.replace("l", &PostParams::default(), &lease("b")).await;
    assert!(matches!(blind, Err(kube::Error::Api(status)) if status.code == 422));
    let mut second = lease("b");
    second.metadata.resource_version = first.metadata.resource_version;
    leases.replace("l", &PostParams::default(), &second).await.expect("replaced");
    let late = leases.replace("l", &PostParams::default(), &second).await;
    assert!(matches!(late, Err(kube::Error::Api(status)) if status.code == 409));
}

/// A server that echoes the request line, and its address.
async fn small_server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on loopback");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = vec![0; 4096];
            let length = stream.read(&mut read).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&read[..length]).lines().next().unwrap_or_default().to_owned();
            let answer = json!({ "asked": line }).to_string();
            let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            let _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn pods_on_loopback_are_reached_through_the_server() {
    let simulator = simulator().await;
    let address = small_server().await;
    for (name, ip) in [("near", "127.0.0.1"), ("far", "10.0.0.1"), ("new", "")] {
        let mut pod = pod("shop", name, "n1");
        pod["status"] = json!({ "podIP": ip });
        simulator.create(&pod).expect("created");
    }
    let path =
        |pod: &str, port: u16| format!("/api/v1/namespaces/shop/pods/{pod}:{port}/proxy/fleet/objects?resource=pods");
    let answer = get(&simulator, &path("near", address.port()), "application/json").await;
    assert_eq!(answer, (201, json!({ "asked": "GET /fleet/objects?resource=pods HTTP/1.1" })));
    for (pod, code) in [("far", 403), ("new", 400), ("nobody", 404)] {
        assert_eq!(get(&simulator, &path(pod, address.port()), "application/json").await.0, code, "{pod}");
    }
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on loopback");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    assert_eq!(get(&simulator, &path("near", port), "application/json").await.0, 503);
}

#[tokio::test]
async fn a_stateful_set_is_scaled_over_http_and_its_pods_end_in_their_own_time() {
    let resources = vec![ResourceType::of::<StatefulSet>(), ResourceType::of::<Pod>()];
    let options = Options { statefulsets: true, ..Options::default() };
    let simulator = Simulator::start_with(([127, 0, 0, 1], 0).into(), resources, options).await.expect("a free port");
    let sets = Api::<StatefulSet>::namespaced(client(&simulator), "shop");
    let pods = Api::<Pod>::namespaced(client(&simulator), "shop");
    let set: StatefulSet = serde_json::from_value(json!({
        "metadata": { "name": "fleet" },
        "spec": {
            "replicas": 2, "serviceName": "fleet", "selector": { "matchLabels": { "app": "fleet" } },
            "template": { "metadata": { "labels": { "app": "fleet" } } },
        },
    }))
    .expect("a StatefulSet");
    sets.create(&PostParams::default(), &set).await.expect("created");
    assert_eq!(simulator.count("pods"), 2);
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    pods.patch_status("fleet-0", &PatchParams::default(), &Patch::Merge(&ready)).await.expect("patched");
    let seen = sets.get_status("fleet").await.expect("a StatefulSet");
    assert_eq!(seen.status.and_then(|status| status.ready_replicas), Some(1));

    let scale = json!({ "spec": { "replicas": 1 } });
    sets.patch("fleet", &PatchParams::default(), &Patch::Merge(&scale)).await.expect("patched");
    let leaving = pods.get("fleet-1").await.expect("still there");
    assert!(leaving.metadata.deletion_timestamp.is_some());
    // A delete without a grace period of 0 only requests termination.
    pods.delete("fleet-1", &DeleteParams::default()).await.expect("asked for");
    let mut called_back = leaving;
    called_back.metadata.deletion_timestamp = None;
    let kept = pods.replace("fleet-1", &PostParams::default(), &called_back).await.expect("still there");
    assert!(kept.metadata.deletion_timestamp.is_some());
    pods.delete("fleet-1", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    assert_eq!(names(&pods.list(&ListParams::default()).await.expect("a list").items), ["fleet-0"]);
    // A Pod that is still wanted is created again, as a new one.
    let before = pods.get("fleet-0").await.expect("there").metadata.uid;
    pods.delete("fleet-0", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    assert_ne!(pods.get("fleet-0").await.expect("there").metadata.uid, before);
    sets.delete("fleet", &DeleteParams::default()).await.expect("deleted");
    assert!(pods.get("fleet-0").await.expect("still there").metadata.deletion_timestamp.is_some());
}
