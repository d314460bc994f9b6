//! Both ports over real sockets, with a store filled by hand.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kube_state_fleet::exposition::{
    BlockBuilder, Format, Header, MetricType, NamespacedBy, Parts, ResourceStore, Selection, Stamp, Store, Uids, Update,
};
use kube_state_fleet::fleet::audit::Coverage;
use kube_state_fleet::fleet::coverage::Proof;
use kube_state_fleet::fleet::overview::{Overview, ReplicaStatus};
use kube_state_fleet::fleet::peer_client::Dialer;
use kube_state_fleet::fleet::record::Endpoint;
use kube_state_fleet::fleet::report::{FleetReport, ReplicaReport, ResourceReport};
use kube_state_fleet::fleet::tls::ProcessKey;
use kube_state_fleet::health::{Health, WatchSet, WatchedResource};
use kube_state_fleet::intake::Status;
use kube_state_fleet::server::{
    AuthLayer, ExposureGate, Inventory, Metrics, Reporter, Routes, bind, both, fleet_routes, metrics_routes,
    overview_routes, report_routes, serve, telemetry_routes,
};
use kube_state_fleet::settings::{Listen, Shard, Timeouts};
use kube_state_fleet::sharding::{Digest, Hashes, Slice};
use kube_state_fleet::telemetry::{MetricSources, Telemetry};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A timeout that only a failure reaches.
const TIMEOUT: Duration = Duration::from_secs(60);
const STAMP: Stamp = Stamp { version: 1, listed: false };

/// A gate that tests open and close.
#[derive(Default)]
struct FakeGate(Mutex<Option<Arc<Slice>>>);

impl FakeGate {
    fn set(&self, exposed: Option<Slice>) {
        *self.0.lock().unwrap() = exposed.map(Arc::new);
    }
}

impl ExposureGate for FakeGate {
    fn exposed_slice(&self) -> Option<Arc<Slice>> {
        self.0.lock().unwrap().clone()
    }
}

const FLEET: &str = "monitoring/fleet";

/// Answers `verify` with the pods of a store.
struct FakeInventory(Arc<ResourceStore>);

impl Inventory for FakeInventory {
    fn objects(&self, resource: &str) -> Option<Uids> {
        (resource == "pods").then(|| Uids::new(Arc::clone(&self.0), &Arc::new(Slice::all())))
    }

    fn generation(&self) -> u64 {
        4
    }
}

/// Returns the same report each time, and counts the reports.
#[derive(Default)]
struct FakeReporter {
    others: Mutex<BTreeMap<u32, Option<Endpoint>>>,
    reports: AtomicUsize,
}

impl Reporter for FakeReporter {
    fn report(&self) -> ReplicaReport {
        self.reports.fetch_add(1, Relaxed);
        let pods = ResourceReport { resource: "pods".to_owned(), owned: 3, loaded: true, ..ResourceReport::default() };
        let part = FleetReport { fleet: FLEET.to_owned(), coordinated: true, generation: 4, ..FleetReport::default() };
        ReplicaReport {
            ordinal: 2,
            shards: 3,
            ready: true,
            part: Some(part),
            resources: vec![pods],
            ..ReplicaReport::default()
        }
    }

    fn others(&self) -> BTreeMap<u32, Option<Endpoint>> {
        self.others.lock().unwrap().clone()
    }
}

fn dialer() -> Dialer {
    Dialer(Arc::new(ProcessKey::generate().expect("a key")))
}

/// A replica without watches: a store with pods and nodes, and both ports.
pub struct TestReplica {
    store: Arc<Store>,
    gate: Arc<FakeGate>,
    coverage: Arc<Coverage>,
    reporter: Arc<FakeReporter>,
    pods: Arc<ResourceStore>,
    pub status: Arc<Status>,
    pub metrics: SocketAddr,
    pub telemetry: SocketAddr,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
}

fn header(name: &str, kind: MetricType) -> Header {
    Header { name: name.to_owned(), help: format!("Help of \"{name}\"."), kind, reads: Parts::ALL, shares: true }
}

impl TestReplica {
    fn new(gzip: bool, pods: usize) -> Self {
        Self::behind(gzip, pods, |routes| AuthLayer::new(routes, None, None))
    }

    /// A replica whose ports are behind `layer`.
    pub fn behind(gzip: bool, pods: usize, layer: impl Fn(Routes) -> AuthLayer) -> Self {
        let pod_store = ResourceStore::new(
            "pods",
            vec![header("kube_pod_info", MetricType::Info), header("kube_pod_restarts_total", MetricType::Counter)],
        );
        pod_store.index_namespaces(NamespacedBy::Namespace);
        let nodes = ResourceStore::new("nodes", vec![header("kube_node_info", MetricType::Gauge)]);
        nodes.index_namespaces(NamespacedBy::Namespace);
        let store = Arc::new(Store::new(vec![Arc::clone(&pod_store), Arc::clone(&nodes)]));
        for i in 0..pods {
            let mut block = BlockBuilder::new(&[("namespace", "default"), ("pod", &format!("pod-{i}"))]);
            block.family(0, |samples| samples.sample(&[("host_ip", "10.0.0.1")], 1.0));
            block.family(1, |samples| samples.sample(&[("container", "app")], i as f64));
            let uid = format!("pod-{i}");
            let update = Update { namespace: "default".to_owned(), ..block.finish().into() };
            pod_store.apply(0, uid.as_str().into(), Hashes::of(&uid), STAMP, update);
        }
        let mut block = BlockBuilder::new(&[("node", "n")]);
        block.family(0, |samples| samples.sample(&[], 1.0));
        nodes.apply(0, "node".into(), Hashes::of("node"), STAMP, block.finish());

        let status = Arc::new(Status::default());
        let watched = |resource: &str, kind: &str, objects: &Arc<ResourceStore>, sources| WatchedResource {
            name: resource.to_owned(),
            kind: kind.to_owned(),
            object_limit: 1000,
            objects: Arc::clone(objects),
            sources,
            degraded: Arc::default(),
            selection: None,
        };
        let settled = || {
            let status = Arc::new(Status::default());
            status.settled.store(true, std::sync::atomic::Ordering::Relaxed);
            status
        };
        let coverage = Arc::new(Coverage::default());
        let health = Arc::new(Health {
            shard: Shard { ordinal: 2, total: 5 },
            watch_set: Arc::new(ArcSwap::from_pointee(WatchSet {
                resources: vec![
                    watched("pods", "*v1.Pod", &pod_store, vec![settled(), Arc::clone(&status)]),
                    watched("nodes", "*v1.Node", &nodes, vec![settled()]),
                ],
                undecided: Vec::new(),
            })),
            definitions: Arc::default(),
            fleet: None,
        });
        let telemetry = Arc::new(Telemetry::new(MetricSources {
            health: Arc::clone(&health),
            followed: Arc::default(),
            definition_events: Arc::default(),
            server_side: false,
            reloads: Arc::default(),
            coverage: Arc::clone(&coverage),
        }));
        let stop = CancellationToken::new();
        let mut servers = Vec::new();
        let mut start = |routes: Routes| {
            let listener = bind(Listen { host: Ipv4Addr::LOCALHOST.into(), port: 0 }).expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            servers.push(tokio::spawn(serve(listener, layer(routes), Timeouts::default(), stop.clone())));
            address
        };
        let exposure_gate = Arc::new(FakeGate::default());
        exposure_gate.set(Some(Slice::all()));
        let reporter = Arc::new(FakeReporter::default());
        let overview = overview_routes(Arc::clone(&reporter) as _, Some(dialer()));
        let metrics = metrics_routes(Metrics {
            store: Arc::clone(&store),
            exposure_gate: Arc::clone(&exposure_gate) as _,
            farewell: Arc::default(),
            scrape_tracker: Arc::default(),
            gzip: Arc::new(gzip.into()),
            telemetry: Arc::clone(&telemetry),
        });
        let metrics = start(both(metrics, overview));
        let inventory = Arc::new(FakeInventory(Arc::clone(&pod_store)));
        let telemetry = both(telemetry_routes(telemetry, health), report_routes(Arc::clone(&reporter) as _));
        let telemetry = start(both(telemetry, fleet_routes(inventory)));
        Self {
            store,
            gate: exposure_gate,
            coverage,
            reporter,
            pods: pod_store,
            status,
            metrics,
            telemetry,
            stop,
            servers,
        }
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        Client::connect(self.metrics).await.send(Method::GET, path, headers).await
    }

    async fn ask_telemetry(&self, path: &str) -> Answer {
        Client::connect(self.telemetry).await.send(Method::GET, path, &[]).await
    }

    /// Returns all series, as the store prints them.
    pub fn text(&self, format: Format) -> String {
        let bytes: Vec<u8> = self.store.scrape(&Selection::All, format, &Slice::all()).flatten().collect();
        String::from_utf8(bytes).expect("UTF-8")
    }
}

pub struct Answer {
    pub status: StatusCode,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn inflated(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(self.body.as_slice()).read_to_string(&mut text).expect("gzip");
        text
    }
}

/// One connection.
pub struct Client(SendRequest<Empty<Bytes>>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the server listens")).await
    }

    /// A client that uses an open connection.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        Self(sender)
    }

    async fn begin(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<hyper::body::Incoming> {
        let mut request = Request::builder().method(method).uri(path).header("host", "replica");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).expect("a request");
        self.0.ready().await.expect("the connection is open");
        tokio::time::timeout(TIMEOUT, self.0.send_request(request)).await.expect("in time").expect("an answer")
    }

    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let response = self.begin(method, path, headers).await;
        let (parts, body) = response.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
            .collect();
        let body = tokio::time::timeout(TIMEOUT, body.collect()).await.expect("in time").expect("a whole body");
        Answer { status: parts.status, headers, body: body.to_bytes().to_vec() }
    }
}

#[tokio::test]
async fn a_scrape_gets_the_format_and_the_encoding_that_it_asks_for() {
    let replica = TestReplica::new(true, 2000);
    for (accept, format, content_type) in [
        ("", Format::Text, TEXT),
        ("text/plain;version=0.0.4", Format::Text, TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", Format::OpenMetrics, OPEN),
        ("application/vnd.google.protobuf;q=0.9,*/*;q=0.1", Format::Text, TEXT),
    ] {
        for (encoding, gzip) in [("", false), ("gzip", true), ("gzip;q=0", false), ("*", true), ("identity", false)] {
            let answer = replica.get("/metrics", &[("accept", accept), ("accept-encoding", encoding)]).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
            assert_eq!(answer.header("content-encoding"), gzip.then_some("gzip"), "{encoding}");
            let text = if gzip { answer.inflated() } else { answer.text().to_owned() };
            assert!(text == replica.text(format), "{accept} {encoding}: the body is the store's text");
            assert!(text.ends_with('\n'));
            assert_eq!(text.ends_with("\n# EOF\n"), format == Format::OpenMetrics);
        }
    }
}

#[tokio::test]
async fn without_gzip_answers_are_not_compressed() {
    let replica = TestReplica::new(false, 1);
    let answer = replica.get("/metrics", &[("accept-encoding", "gzip")]).await;
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.text(), replica.text(Format::Text));
}

#[tokio::test]
async fn resources_can_be_selected_and_excluded() {
    let replica = TestReplica::new(true, 1);
    for (query, pods, nodes) in [
        ("?resources=pods", true, false),
        ("?resources=pods,nodes", true, true),
        ("?resources=pods&resources=nodes", true, true),
        ("?resources=pods%2Cnodes", true, true),
        ("?exclude_resources=pods", false, true),
        ("?resources=pods,nodes&exclude_resources=pods", false, true),
        ("?resources=", false, false),
        ("?resources=unknown", false, false),
        ("?exclude_resources=", true, true),
        ("?other=1", true, true),
    ] {
        let answer = replica.get(&format!("/metrics{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.text().contains("kube_pod_info"), pods, "{query}");
        assert_eq!(answer.text().contains("kube_node_info"), nodes, "{query}");
    }
}

#[tokio::test]
async fn each_port_has_its_paths_and_allows_only_get_and_head() {
    let replica = TestReplica::new(true, 1);
    for (address, good, bad) in [
        (replica.metrics, ["/", "/metrics", "/healthz", "/livez", "/fleet"].as_slice(), ["/readyz", "/x"].as_slice()),
        (replica.telemetry, &["/", "/metrics", "/fleet/replica"], &["/fleet", "/livez", "/healthz", "/debug/pprof/"]),
    ] {
        let mut client = Client::connect(address).await;
        for path in good {
            let got = client.send(Method::GET, path, &[]).await;
            let head = client.send(Method::HEAD, path, &[]).await;
            assert_eq!((got.status, head.status), (StatusCode::OK, StatusCode::OK), "{path}");
            assert_eq!(got.header("content-type"), head.header("content-type"), "{path}");
            assert!(!got.body.is_empty() && head.body.is_empty(), "{path}");
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                let refused = client.send(method.clone(), path, &[]).await;
                assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert_eq!(refused.header("allow"), Some("GET, HEAD"));
            }
        }
        for path in bad {
            assert_eq!(client.send(Method::GET, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

/// Returns the text between `begin` and `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect("it is there").0
}

#[tokio::test]
async fn the_page_may_run_only_its_script_and_request_only_its_origin() {
    let replica = TestReplica::new(true, 1);
    let page = replica.get("/", &[]).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let inline = between(page.text(), &format!("<{tag}>"), &format!("</{tag}>"));
        let digest = ring::digest::digest(&ring::digest::SHA256, inline.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{policy}");
        assert!(inline.len() > 1000 && !inline.contains(&format!("/*{tag}*/")), "{tag} is not filled in");
    }
    assert!(policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    // Links are relative, because the page may have another root behind a proxy.
    let mut links = page.text().split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    assert!(links.all(|link| !link.starts_with('/') && (!link.contains(':') || link.starts_with("data:"))));
}

#[tokio::test]
async fn the_overview_includes_replicas_that_do_not_answer() {
    let replica = TestReplica::new(true, 1);
    // A port that is bound, but on which nothing is accepted.
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let key = dialer().0.digest();
    *replica.reporter.others.lock().unwrap() =
        [(0, None), (1, Some(Endpoint { address: refusing.to_string(), key }))].into();
    let answer = replica.get("/fleet", &[]).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let overview: Overview = serde_json::from_slice(&answer.body).expect("an overview");
    let standings: Vec<_> = overview.replicas.iter().map(|replica| (replica.ordinal, replica.standing)).collect();
    assert_eq!(standings, [(0, ReplicaStatus::Silent), (1, ReplicaStatus::Silent), (2, ReplicaStatus::Serving)]);
    assert_eq!(overview.fleet.as_deref(), Some(FLEET));
    let [pods] = &overview.resources[..] else { panic!("{overview:?}") };
    assert_eq!((pods.owned, pods.by_replica.clone()), (3, [(2, 3)].into()));
}

#[tokio::test]
async fn concurrent_requests_share_one_overview() {
    let replica = TestReplica::new(true, 1);
    let look = || async { replica.get("/fleet", &[]).await.status };
    let answers = futures::future::join_all(std::iter::repeat_with(look).take(20)).await;
    assert_eq!(answers, [StatusCode::OK; 20]);
    // Not exactly one: a slow machine may take longer than an answer is cached.
    assert!(replica.reporter.reports.load(Relaxed) < 10);
}

#[tokio::test]
async fn readyz_names_the_resources_that_are_not_loaded() {
    let replica = TestReplica::new(true, 1);
    let answer = replica.ask_telemetry("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text(), "pods: not loaded yet\n");
    replica.status.settled.store(true, Relaxed);
    assert_eq!(replica.ask_telemetry("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_scrape_of_a_connection_sees_the_current_objects() {
    let replica = TestReplica::new(true, 1);
    let mut client = Client::connect(replica.metrics).await;
    for scrape in 0..3 {
        let answer = client.send(Method::GET, "/metrics", &[]).await;
        assert_eq!(answer.text().matches("kube_pod_info{").count(), 1 - usize::from(scrape == 2));
        if scrape == 1 {
            replica.pods.delete(0, "pod-0", 0);
        }
    }
}

#[tokio::test]
async fn a_scrape_shows_the_exposed_slice_and_is_refused_while_the_gate_is_closed() {
    let replica = TestReplica::new(true, 1);
    for (exposed, status, series) in [
        (Some(Slice::all()), StatusCode::OK, 1),
        (Some(Slice::none()), StatusCode::OK, 0),
        (None, StatusCode::SERVICE_UNAVAILABLE, 0),
    ] {
        replica.gate.set(exposed);
        let answer = replica.get("/metrics", &[]).await;
        assert_eq!((answer.status, answer.text().matches("kube_pod_info{").count()), (status, series));
    }
    assert!(replica.get("/metrics", &[]).await.text().contains("reached neither the API server nor its peers"));
    assert_eq!(replica.get("/livez", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_uids_of_a_resource_are_listed() {
    let replica = TestReplica::new(true, 1);
    let answer = replica.ask_telemetry("/fleet/objects?resource=pods").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
    assert_eq!(answer.text(), r#"{"generation":4,"uids":["pod-0"],"finalGeneration":4}"#);
    assert_eq!(replica.ask_telemetry("/fleet/objects?resource=nodes").await.status, StatusCode::NOT_FOUND);
    assert_eq!(replica.ask_telemetry("/fleet/objects").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_ports_for_scrapes_take_no_messages_of_members() {
    let replica = TestReplica::new(true, 1);
    for address in [replica.metrics, replica.telemetry] {
        for (path, known) in [("/fleet/heartbeat", false), ("/fleet/coverage", false), ("/fleet/replica", true)] {
            let answer = Client::connect(address).await.send(Method::POST, path, &[]).await;
            let known = known && address == replica.telemetry;
            let expected = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn the_replica_that_audits_exports_the_coverage() {
    let replica = TestReplica::new(true, 1);
    assert!(!replica.ask_telemetry("/metrics").await.text().contains("kube_state_fleet_cover"));
    let digest = |count| Digest { count, sum: count };
    replica.coverage.record("pods", Ok(Proof { seen: digest(3), exposed: digest(2) }));
    let answer = replica.ask_telemetry("/metrics").await;
    let text = answer.text();
    for line in [
        "kube_state_fleet_cover{resource=\"pods\",state=\"exact\"} 0",
        "kube_state_fleet_cover{resource=\"pods\",state=\"missing\"} 1",
        "kube_state_fleet_cover{resource=\"pods\",state=\"doubled\"} 0",
        "kube_state_fleet_cover{resource=\"pods\",state=\"unproven\"} 0",
        "kube_state_fleet_cover_objects{resource=\"pods\",of=\"seen\"} 3",
        "kube_state_fleet_cover_objects{resource=\"pods\",of=\"exposed\"} 2",
        "kube_state_fleet_cover_age_seconds{resource=\"pods\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_ends_its_scrape() {
    let replica = TestReplica::new(true, 100_000);
    for encoding in ["identity", "gzip"] {
        let mut stream = TcpStream::connect(replica.metrics).await.expect("the server listens");
        let request = format!("GET /metrics HTTP/1.1\r\nhost: replica\r\naccept-encoding: {encoding}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream.read_exact(&mut [0; 1000]).await.expect("an answer begins");
    }
    // A scrape is counted when its snapshot is dropped.
    let count = "http_request_duration_seconds_count{handler=\"metrics\",method=\"get\"} 2\n";
    let ended = async {
        while !replica.ask_telemetry("/metrics").await.text().contains(count) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, ended).await.expect("both scrapes end although no client read them");
}

#[tokio::test]
async fn on_shutdown_answers_in_progress_complete_and_idle_connections_close() {
    let mut replica = TestReplica::new(true, 20_000);
    let mut idle = Client::connect(replica.metrics).await;
    idle.send(Method::GET, "/healthz", &[]).await;
    let mut busy = Client::connect(replica.metrics).await;
    let response = busy.begin(Method::GET, "/metrics", &[]).await;
    replica.stop.cancel();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    assert!(body == replica.text(Format::Text));
    assert!(idle.0.ready().await.is_err());
    for server in replica.servers.drain(..) {
        tokio::time::timeout(TIMEOUT, server).await.expect("it ends").expect("it does not panic");
    }
    assert!(TcpStream::connect(replica.metrics).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let replica = TestReplica::new(true, 0);
    let taken = Listen { host: replica.metrics.ip(), port: replica.metrics.port() };
    assert_eq!(bind(taken).expect_err("taken").kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn self_metrics_have_the_names_of_kube_state_metrics() {
    let replica = TestReplica::new(true, 3);
    replica.get("/metrics", &[]).await;
    let status = &replica.status;
    for (counter, value) in [
        (&status.lists, 3),
        (&status.list_errors, 1),
        (&status.watches, 5),
        (&status.watch_errors, 2),
        (&status.listed_objects, 30),
        (&status.applied, 7),
        (&status.foreign, 23),
        (&status.refused, 403),
        (&status.not_served, 4),
    ] {
        counter.store(value, Relaxed);
    }
    let answer = replica.ask_telemetry("/metrics").await;
    assert_eq!(answer.header("content-type"), Some(TEXT));
    let text = answer.text();
    for line in [
        "# TYPE kube_state_metrics_list_total counter",
        "kube_state_metrics_list_total{result=\"success\",resource=\"*v1.Pod\"} 3",
        "kube_state_metrics_list_total{result=\"error\",resource=\"*v1.Pod\"} 1",
        "kube_state_metrics_watch_total{result=\"success\",resource=\"*v1.Pod\"} 5",
        "kube_state_metrics_watch_total{result=\"error\",resource=\"*v1.Pod\"} 2",
        "kube_state_metrics_list_objects{resource=\"*v1.Pod\"} 30",
        "kube_state_metrics_list_objects_limit{resource=\"*v1.Pod\"} 1000",
        "kube_state_metrics_shard_ordinal{shard_ordinal=\"2\"} 2",
        "# TYPE kube_state_metrics_total_shards gauge",
        "kube_state_metrics_total_shards 5",
        "# TYPE http_request_duration_seconds histogram",
        "http_request_duration_seconds_count{handler=\"metrics\",method=\"get\"} 1",
        "http_request_duration_seconds_bucket{le=\"10\",handler=\"metrics\",method=\"get\"} 1",
        "kube_state_fleet_events_total{resource=\"pods\",outcome=\"applied\"} 7",
        "kube_state_fleet_events_total{resource=\"pods\",outcome=\"foreign\"} 23",
        "kube_state_fleet_objects{resource=\"pods\"} 3",
        "kube_state_fleet_loaded{resource=\"pods\"} 0",
        "kube_state_fleet_refused{resource=\"pods\",code=\"403\"} 1",
        "kube_state_fleet_not_served_total{resource=\"pods\"} 4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("\nkube_state_metrics_build_info{version=\""));
    #[cfg(target_os = "linux")]
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
    ] {
        assert!(text.contains(&format!("\n{name} ")), "{name} is missing in\n{text}");
    }
    let samples = text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split(['{', ' ']).next());
    for name in samples {
        let family = ["_bucket", "_sum", "_count"].iter().fold(name, |n, suffix| n.strip_suffix(suffix).unwrap_or(n));
        assert!(text.contains(&format!("# HELP {family} ")), "{family} has no HELP");
        assert!(text.contains(&format!("# TYPE {family} ")), "{family} has no TYPE");
    }
    let open = Client::connect(replica.telemetry)
        .await
        .send(Method::GET, "/metrics", &[("accept", "application/openmetrics-text")])
        .await;
    assert_eq!(open.header("content-type"), Some(OPEN));
    assert!(open.text().ends_with("# EOF\n"));
}
