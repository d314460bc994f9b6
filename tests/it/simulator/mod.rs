//! The simulator as clients see it: through a kube client, and through raw HTTP where the wire format matters.

mod fleet;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, VersionMatch, WatchEvent, WatchParams};
use kube_state_fleet::simulator::{Options, ResourceType, Simulator};
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const STREAM: &str = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

async fn simulator_with(options: Options) -> Simulator {
    let resources = vec![
        ResourceType::of::<Namespace>(),
        ResourceType::of::<Node>(),
        ResourceType::of::<Pod>(),
        ResourceType::of::<ConfigMap>(),
        ResourceType::of::<Secret>(),
        ResourceType::of::<Deployment>(),
        ResourceType::of::<Lease>(),
    ];
    Simulator::start_with(([127, 0, 0, 1], 0).into(), resources, options).await.expect("a free port on loopback")
}

async fn simulator() -> Simulator {
    simulator_with(Options::default()).await
}

fn client(simulator: &Simulator) -> kube::Client {
    kube::Client::try_from(kube::Config::new(simulator.url().parse().expect("a URL"))).expect("a client")
}

fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": namespace, "name": name, "labels": { "app": "web" } },
        "spec": { "nodeName": node, "containers": [{ "name": "main" }] },
    })
}

fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "namespace": "shop", "name": name },
        "type": "kubernetes.io/tls", "data": { "tls.key": "aHVzaA==" },
    })
}

fn names(pods: &[Pod]) -> Vec<&str> {
    pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect()
}

async fn request(simulator: &Simulator, path: &str, accept: &str) -> (u16, Incoming) {
    let http: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = http::Request::get(format!("{}{path}", simulator.url())).header("accept", accept);
    let response = http.request(request.body(Full::default()).expect("a request")).await.expect("an answer");
    (response.status().as_u16(), response.into_body())
}

async fn get(simulator: &Simulator, path: &str, accept: &str) -> (u16, Value) {
    let (code, body) = request(simulator, path, accept).await;
    let bytes = body.collect().await.expect("a body").to_bytes();
    (code, serde_json::from_slice(&bytes).expect("JSON"))
}

/// The lines of a watch.
struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    async fn open(simulator: &Simulator, path: &str, accept: &str) -> Self {
        let (code, body) = request(simulator, path, accept).await;
        assert_eq!(code, 200);
        Self { body, read: Vec::new() }
    }

    /// The next line; `Ok(None)` at an orderly end.
    async fn next(&mut self) -> Result<Option<String>, hyper::Error> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line).expect("UTF-8")));
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => self.read.extend_from_slice(&frame.into_data().expect("data")),
                None => return Ok(None),
            }
        }
    }

    async fn event(&mut self) -> Value {
        let line = self.next().await.expect("an unbroken connection").expect("an event");
        serde_json::from_str(&line).expect("JSON")
    }
}

#[tokio::test]
async fn lists_have_a_version_and_the_objects_of_the_scope() {
    let simulator = simulator().await;
    for (namespace, name, node) in [("shop", "a", "n1"), ("shop", "b", "n2"), ("blog", "c", "n1")] {
        simulator.create(&pod(namespace, name, node)).expect("created");
    }
    let client = client(&simulator);
    let all = Api::<Pod>::all(client.clone());
    let list = all.list(&ListParams::default()).await.expect("a list");
    assert_eq!(names(&list.items), ["c", "a", "b"]);
    assert_eq!(list.metadata.resource_version, Some(simulator.version().to_string()));
    let shop = Api::<Pod>::namespaced(client, "shop").list(&ListParams::default()).await.expect("a list");
    assert_eq!(names(&shop.items), ["a", "b"]);
    let on_n1 = all.list(&ListParams::default().fields("spec.nodeName=n1,metadata.namespace!=shop")).await;
    assert_eq!(names(&on_n1.expect("a list").items), ["c"]);
    let labelled = all.list(&ListParams::default().labels("app!=web")).await.expect("a list");
    assert!(labelled.items.is_empty());
}

#[tokio::test]
async fn pages_show_the_list_as_it_was_at_the_first_one() {
    let simulator = simulator().await;
    for i in 0..5 {
        simulator.create(&pod("shop", &format!("p{i}"), "")).expect("created");
    }
    let pods = Api::<Pod>::all(client(&simulator));
    let first = pods.list(&ListParams::default().limit(2)).await.expect("a page");
    assert_eq!((names(&first.items), first.metadata.remaining_item_count), (vec!["p0", "p1"], Some(3)));
    simulator.delete("pods", "shop", "p3").expect("deleted");
    let next = |token: Option<String>| ListParams::default().limit(2).continue_token(&token.expect("a next page"));
    let second = pods.list(&next(first.metadata.continue_)).await.expect("a page");
    assert_eq!(names(&second.items), ["p2", "p3"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    let third = pods.list(&next(second.metadata.continue_.clone())).await.expect("a page");
    assert_eq!((names(&third.items), third.metadata.continue_), (vec!["p4"], None));
    simulator.compact();
    match pods.list(&next(second.metadata.continue_)).await {
        Err(kube::Error::Api(status)) => assert_eq!((status.code, status.reason.as_str()), (410, "Expired")),
        other => panic!("expected 410, got {other:?}"),
    }
}

#[tokio::test]
async fn a_watch_resumes_after_a_version_and_sees_objects_enter_and_leave_its_scope() {
    let simulator = simulator().await;
    simulator.create(&pod("shop", "before", "n1")).expect("created");
    let version = simulator.version().to_string();
    simulator.create(&pod("shop", "a", "")).expect("created");
    simulator.apply(&pod("shop", "a", "n1")).expect("changed");
    simulator.apply(&pod("shop", "a", "n1")).expect("not changed");
    let mut moved = pod("shop", "a", "n1");
    moved["metadata"]["labels"]["app"] = "db".into();
    simulator.apply(&moved).expect("changed");
    simulator.apply(&pod("shop", "a", "n2")).expect("changed");
    simulator.delete("pods", "shop", "before").expect("deleted");
    let pods = Api::<Pod>::all(client(&simulator));
    let watch = pods.watch(&WatchParams::default().fields("spec.nodeName=n1").timeout(2), &version).await;
    let seen: Vec<_> = watch
        .expect("a watch")
        .take(4)
        .map_ok(|event| match event {
            WatchEvent::Added(pod) => ("added", pod),
            WatchEvent::Modified(pod) => ("modified", pod),
            WatchEvent::Deleted(pod) => ("deleted", pod),
            other => panic!("unexpected {other:?}"),
        })
        .map_ok(|(event, pod)| (event, pod.metadata.name.unwrap_or_default(), pod.metadata.resource_version))
        .try_collect()
        .await
        .expect("events");
    let event = |kind, name: &str, version: &str| (kind, name.to_owned(), Some(version.to_owned()));
    assert_eq!(
        seen,
        [
            event("added", "a", "4"),
            event("modified", "a", "5"),
            event("deleted", "a", "6"),
            event("deleted", "before", "7")
        ]
    );
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_and_carries_bookmarks() {
    let simulator = simulator_with(Options { bookmarks: Duration::from_millis(20), ..Options::default() }).await;
    simulator.create(&pod("shop", "a", "")).expect("created");
    let version = simulator.version();
    let path = format!("/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={version}");
    let mut lines = Lines::open(&simulator, &path, "application/json").await;
    let bookmark = lines.event().await;
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Pod");
    assert_eq!(bookmark["object"]["metadata"], json!({ "resourceVersion": version.to_string() }));
    while lines.next().await.expect("an orderly end").is_some() {}
}

#[tokio::test]
async fn a_streaming_list_ends_in_its_bookmark_and_goes_on_as_a_watch() {
    let simulator = simulator().await;
    for name in ["a", "b"] {
        simulator.create(&pod("shop", name, "")).expect("created");
    }
    let mut lines = Lines::open(&simulator, &format!("/api/v1/pods?{STREAM}"), "application/json").await;
    for name in ["a", "b"] {
        let event = lines.event().await;
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(name)));
    }
    let end = lines.event().await;
    assert_eq!(end["object"]["metadata"]["annotations"], json!({ "k8s.io/initial-events-end": "true" }));
    assert_eq!(end["object"]["metadata"]["resourceVersion"], simulator.version().to_string());
    assert_eq!(simulator.open_watches("pods"), 1);
    simulator.delete("pods", "shop", "a").expect("deleted");
    assert_eq!(lines.event().await["type"], "DELETED");
    simulator.send_bookmarks("pods").expect("pods are served");
    assert_eq!(lines.event().await["object"]["metadata"]["resourceVersion"], simulator.version().to_string());
}

#[tokio::test]
async fn a_streaming_list_reads_as_the_kube_client_expects_it() {
    let simulator = simulator().await;
    simulator.create(&pod("shop", "a", "")).expect("created");
    let pods = Api::<Pod>::all(client(&simulator));
    let params = WatchParams::default().initial_events();
    let events: Vec<_> = pods.watch(&params, "0").await.expect("a watch").take(2).try_collect().await.expect("events");
    assert!(matches!(&events[0], WatchEvent::Added(pod) if pod.metadata.name.as_deref() == Some("a")));
    assert!(matches!(&events[1], WatchEvent::Bookmark(mark) if !mark.metadata.annotations.is_empty()));
}

#[tokio::test]
async fn too_old_is_410_as_an_event() {
    let simulator = simulator().await;
    simulator.create(&pod("shop", "a", "")).expect("created");
    simulator.create(&pod("shop", "b", "")).expect("created");
    simulator.compact();
    let mut old = Lines::open(&simulator, "/api/v1/pods?watch=1&resourceVersion=2", "application/json").await;
    let event = old.event().await;
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(old.next().await.expect("an orderly end"), None);
    let mut open = Lines::open(&simulator, "/api/v1/pods?watch=1&resourceVersion=3", "application/json").await;
    simulator.create(&pod("shop", "c", "")).expect("created");
    assert_eq!(open.event().await["type"], "ADDED");
    simulator.expire_watches("pods").expect("pods are served");
    assert_eq!(open.event().await["object"]["reason"], "Expired");
    assert_eq!(open.next().await.expect("an orderly end"), None);
    let (code, status) = get(&simulator, "/api/v1/pods?resourceVersion=99", "").await;
    assert_eq!((code, &status["details"]["causes"][0]["reason"]), (504, &json!("ResourceVersionTooLarge")));
}

#[tokio::test]
async fn a_slow_watcher_is_ended() {
    let simulator = simulator_with(Options { history: 3, ..Options::default() }).await;
    let mut lines = Lines::open(&simulator, "/api/v1/configmaps?watch=1&resourceVersion=1", "application/json").await;
    // More than the buffers of both sides: the watcher blocks while the history continues.
    let text = "x".repeat(1 << 20);
    for i in 0..40 {
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "shop", "name": format!("m{i}") },
            "data": { "text": text } });
        simulator.create(&map).expect("created");
        tokio::task::yield_now().await;
    }
    let mut seen = 0;
    while lines.next().await.expect("an orderly end").is_some() {
        seen += 1;
    }
    assert!(seen < 40);
    assert_eq!(simulator.open_watches("configmaps"), 0);
}

#[tokio::test]
async fn secrets_come_as_a_table_without_their_data() {
    let simulator = simulator().await;
    simulator.create(&secret("a")).expect("created");
    let (code, table) = get(&simulator, "/api/v1/secrets", TABLE).await;
    assert_eq!((code, &table["kind"]), (200, &json!("Table")));
    let columns: Vec<_> = table["columnDefinitions"].as_array().expect("columns").iter().map(|c| &c["name"]).collect();
    assert_eq!(columns, ["Name", "Type", "Data", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "kubernetes.io/tls", 1, "1m"]));
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "a");
    assert!(!table.to_string().contains("aHVzaA"));
    let mut lines = Lines::open(&simulator, &format!("/api/v1/secrets?{STREAM}"), TABLE).await;
    assert!(lines.event().await["object"]["columnDefinitions"].is_array());
    let end = lines.event().await;
    assert!(end["object"]["columnDefinitions"].is_null());
    assert!(end["object"]["rows"][0]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].is_string());
    let (_, whole) = get(&simulator, "/api/v1/secrets?includeObject=Object", TABLE).await;
    assert_eq!(whole["rows"][0]["object"]["data"]["tls.key"], "aHVzaA==");
}

#[tokio::test]
async fn metadata_alone_is_answered_where_it_is_asked_for() {
    let simulator = simulator().await;
    simulator.create(&secret("a")).expect("created");
    let secrets = Api::<Secret>::namespaced(client(&simulator), "shop");
    let list = secrets.list_metadata(&ListParams::default()).await.expect("a list");
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
    let one = secrets.get_metadata("a").await.expect("an object");
    assert_eq!(one.metadata.uid, list.items[0].metadata.uid);
    let (_, raw) = get(&simulator, "/api/v1/secrets", PARTIAL_LIST).await;
    assert_eq!(raw["kind"], "PartialObjectMetadataList");
    assert_eq!(raw["items"][0]["kind"], "PartialObjectMetadata");
    assert!(raw["items"][0]["data"].is_null());
    let (code, _) = get(&simulator, "/api/v1/secrets", PARTIAL).await;
    assert_eq!(code, 406);
    let protobuf = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert_eq!(get(&simulator, "/api/v1/secrets", protobuf).await.0, 406);
    let both = format!("{protobuf},{PARTIAL_LIST}");
    assert_eq!(get(&simulator, "/api/v1/secrets", &both).await.1["kind"], "PartialObjectMetadataList");
}

#[tokio::test]
async fn of_two_writers_from_one_version_the_second_is_refused() {
    let simulator = simulator().await;
    let leases = Api::<Lease>::namespaced(client(&simulator), "shop");
    let mut lease: Lease =
        serde_json::from_value(json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "a" } }))
            .expect("a lease");
    let created = leases.create(&PostParams::default(), &lease).await.expect("created");
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());
    lease = created.clone();
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = Some("b".to_owned());
    }
    let replaced = leases.replace("l", &PostParams::default(), &lease).await.expect("replaced");
    assert_eq!(replaced.metadata.generation, Some(2));
    for refused in [
        leases.replace("l", &PostParams::default(), &lease).await.map(drop),
        leases.create(&PostParams::default(), &lease).await.map(drop),
    ] {
        assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 409));
    }
    let patch = json!({ "metadata": { "annotations": { "state": "x" } } });
    let patched = leases.patch("l", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    assert_eq!(patched.metadata.annotations.and_then(|all| all.get("state").cloned()).as_deref(), Some("x"));
    leases.delete("l", &DeleteParams::default()).await.expect("deleted");
    assert!(leases.get_opt("l").await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_status_is_written_alone() {
    let simulator = simulator().await;
    simulator.create(&pod("shop", "a", "n1")).expect("created");
    let pods = Api::<Pod>::namespaced(client(&simulator), "shop");
    let patch = json!({ "spec": { "nodeName": "n2" }, "status": { "phase": "Running" } });
    let patched = pods.patch_status("a", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    assert_eq!(patched.spec.and_then(|spec| spec.node_name).as_deref(), Some("n1"));
    assert_eq!(patched.status.and_then(|status| status.phase).as_deref(), Some("Running"));
    assert_eq!(patched.metadata.generation, Some(1));
}

#[tokio::test]
async fn faults_can_be_asked_for_and_taken_back() {
    let simulator = simulator().await;
    simulator.create(&pod("shop", "a", "")).expect("created");
    let list = "/api/v1/pods";
    simulator.faults("pods", |faults| faults.refuse = Some(403)).expect("pods are served");
    assert_eq!(get(&simulator, list, "").await.0, 403);
    simulator.faults("pods", |faults| faults.refuse = None).expect("pods are served");
    assert_eq!(get(&simulator, list, "").await.0, 200);
    simulator.faults("pods", |faults| faults.no_streaming_lists = true).expect("pods are served");
    assert_eq!(get(&simulator, &format!("{list}?{STREAM}"), "").await.0, 422);
    simulator.faults("pods", |faults| faults.cut_lists = Some(10)).expect("pods are served");
    assert!(request(&simulator, list, "").await.1.collect().await.is_err());
    simulator.faults("pods", |faults| faults.whole_objects = true).expect("pods are served");
    assert!(simulator.faults("toasters", |_| ()).is_err());
    let watch = "/api/v1/pods?watch=1&resourceVersion=2";
    let mut lines = Lines::open(&simulator, watch, PARTIAL).await;
    simulator.apply(&pod("shop", "a", "n1")).expect("changed");
    assert_eq!(lines.event().await["object"]["spec"]["nodeName"], "n1");
    simulator.send_raw("pods", "no JSON\n").expect("pods are served");
    assert_eq!(lines.next().await.expect("a line").as_deref(), Some("no JSON\n"));
    simulator.drop_watches("pods").expect("pods are served");
    assert!(lines.next().await.is_err());
    simulator.faults("pods", |faults| faults.watches_gone = true).expect("pods are served");
    assert_eq!(Lines::open(&simulator, watch, "").await.event().await["type"], "ERROR");
}

#[tokio::test]
async fn a_silenced_watch_stays_silent_while_a_new_one_speaks() {
    let simulator = simulator().await;
    let watch = "/api/v1/pods?watch=1&resourceVersion=1&timeoutSeconds=60";
    let mut silent = Lines::open(&simulator, watch, "").await;
    simulator.silence_watches("pods").expect("pods are served");
    let mut speaking = Lines::open(&simulator, watch, "").await;
    simulator.create(&pod("shop", "a", "")).expect("created");
    assert_eq!(speaking.event().await["type"], "ADDED");
    assert!(futures::FutureExt::now_or_never(silent.next()).is_none());
}

#[tokio::test]
async fn a_client_discovers_groups_and_resources() {
    let simulator = simulator().await;
    let client = client(&simulator);
    assert_eq!(client.apiserver_version().await.expect("a version").minor, "36");
    let groups = client.list_api_groups().await.expect("groups");
    assert_eq!(
        groups.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        ["apps", "coordination.k8s.io"]
    );
    let core = client.list_core_api_resources("v1").await.expect("resources");
    assert!(core.resources.iter().any(|resource| resource.name == "pods" && resource.namespaced));
    assert_eq!(get(&simulator, "/api/v1/toasters", "").await.0, 404);
    assert_eq!(get(&simulator, "/apis/apps/v2/deployments", "").await.0, 404);
    let (_, missing) = get(&simulator, "/api/v1/namespaces/shop/pods/a", "").await;
    assert_eq!((&missing["reason"], &missing["details"]["name"]), (&json!("NotFound"), &json!("a")));
    assert!(simulator.requests().iter().any(|request| request.path == "/version" && request.method == "GET"));
}

#[tokio::test]
async fn lists_may_ask_for_a_version_they_know() {
    let simulator = simulator().await;
    for name in ["a", "b", "c"] {
        simulator.create(&pod("shop", name, "")).expect("created");
    }
    let pods = Api::<Pod>::all(client(&simulator));
    // A kube client omits version 0 if it sets a limit.
    let (_, cached) = get(&simulator, "/api/v1/pods?limit=1&resourceVersion=0", "").await;
    assert_eq!(cached["items"].as_array().map(Vec::len), Some(3));
    let exact = ListParams::default().at("2").matching(VersionMatch::Exact);
    assert!(matches!(pods.list(&exact).await, Err(kube::Error::Api(status)) if status.code == 410));
}

#[tokio::test]
async fn its_port_is_free_once_it_has_stopped() {
    let first = simulator().await;
    let address = first.address();
    let mut lines = Lines::open(&first, "/api/v1/pods?watch=1", "").await;
    first.stop().await;
    assert!(lines.next().await.is_err());
    Simulator::start(address, Vec::new()).await.expect("the port is free");
}
