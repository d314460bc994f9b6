//! The table of docs/threat-model.md: each path of each port, with each combination of flags, credentials and methods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use base64::Engine;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use kube_state_fleet::access::{AuthFilter, Review, ReviewError, TokenReviewer};
use kube_state_fleet::fleet::peer_client::{COVERAGE_PATH, HEARTBEAT_PATH, REPLICA_PATH};
use kube_state_fleet::fleet::roster::Roster;
use kube_state_fleet::fleet::tls::ProcessKey;
use kube_state_fleet::server::{AuthLayer, WebConfig};
use regex::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::common::tls::{Authority, handshake};
use crate::server::{Client, TestReplica};

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The flags of the table's columns.
const COLUMNS: [&str; 5] = ["without flags", "TLS", "mTLS", "`basic_auth_users`", "`--auth-filter`"];

/// A client that a port may require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Required {
    Anyone,
    Certificate,
    Password,
    Token,
    Member,
}

impl Required {
    fn parse(cell: &str) -> Self {
        match cell {
            "anyone" => Self::Anyone,
            "certificate" => Self::Certificate,
            "password" => Self::Password,
            "token" => Self::Token,
            "member" => Self::Member,
            other => panic!("{other:?} is not one of the words that the threat model explains"),
        }
    }
}

/// A path of a port, and its requirement by column.
#[derive(Debug)]
struct Row {
    port: u16,
    path: String,
    required: BTreeMap<&'static str, Required>,
}

/// Returns the rows of the table, one for each path.
fn table() -> Vec<Row> {
    let text = include_str!("../../docs/threat-model.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| port | path |"));
    let header = cells(lines.next().expect("the table"));
    assert_eq!(header[3..], COLUMNS);
    let mut rows = Vec::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let cells = cells(line);
        let required = COLUMNS.iter().copied().zip(cells[3..].iter().map(|cell| Required::parse(cell))).collect();
        for path in cells[1].split(", ") {
            let path = path.trim_matches('`').to_owned();
            rows.push(Row { port: cells[0].parse().expect("a port"), path, required: BTreeMap::clone(&required) });
        }
    }
    assert!(rows.len() > 8, "{rows:?}");
    rows
}

/// Allows `reader`; `stranger` is valid, but lacks the permission.
struct FakeReviewer;

impl TokenReviewer for FakeReviewer {
    fn review<'a>(&'a self, token: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        let valid = |everything| Review::Authenticated { everything, namespaces: Vec::new() };
        Box::pin(std::future::ready(Ok(match token {
            "reader" => valid(true),
            "stranger" => valid(false),
            _ => Review::Unauthenticated,
        })))
    }
}

/// The credentials of clients, the proof in each, and the status if that is not enough.
fn credentials() -> Vec<(Option<String>, Option<Required>, StatusCode)> {
    let basic = |text: &str| Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)));
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    vec![
        (None, None, StatusCode::UNAUTHORIZED),
        (basic("ann:right"), Some(Required::Password), StatusCode::UNAUTHORIZED),
        (basic("ann:wrong"), None, StatusCode::UNAUTHORIZED),
        (bearer("reader"), Some(Required::Token), StatusCode::UNAUTHORIZED),
        (bearer("stranger"), None, StatusCode::FORBIDDEN),
        (bearer("unknown"), None, StatusCode::UNAUTHORIZED),
    ]
}

/// The security of a replica: the columns that apply, and its two ports.
struct Secured {
    columns: Vec<&'static str>,
    replica: TestReplica,
}

/// Starts a replica for each combination of TLS, mTLS, users and the auth filter.
async fn all_modes(authority: &Authority) -> Vec<Secured> {
    let mut modes = Vec::new();
    let hash = bcrypt::hash("right", 4).expect("a hash");
    for tls in [None, Some("TLS"), Some("mTLS")] {
        for (users, filter) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut text = String::new();
            if tls.is_some() {
                text += "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n";
            }
            if tls == Some("mTLS") {
                text += "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
            }
            if users {
                text += &format!("basic_auth_users: {{ann: \"{hash}\"}}\n");
            }
            let web = WebConfig::load(&authority.write("web.yml", &text), filter).await;
            if users && filter {
                web.expect_err("users and the auth filter exclude each other");
                continue;
            }
            let web = web.expect("valid");
            let filter = filter.then(|| AuthFilter::new(FakeReviewer));
            let mut columns: Vec<_> = tls.into_iter().collect();
            columns.extend(users.then_some("`basic_auth_users`"));
            columns.extend(filter.is_some().then_some("`--auth-filter`"));
            if columns.is_empty() {
                columns.push("without flags");
            }
            let replica =
                TestReplica::behind(false, 1, |routes| AuthLayer::new(routes, Some(Arc::clone(&web)), filter.clone()));
            replica.status.settled.store(true, Relaxed);
            modes.push(Secured { columns, replica });
        }
    }
    modes
}

impl Secured {
    fn is_tls(&self) -> bool {
        self.columns.iter().any(|column| ["TLS", "mTLS"].contains(column))
    }

    /// Connects, with a certificate or without. `None` if the server refuses the handshake.
    async fn connect(&self, authority: &Authority, address: SocketAddr, certificate: bool) -> Option<Client> {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        if !self.is_tls() {
            return Some(Client::over(stream).await);
        }
        // With TLS 1.3 the client learns of a refusal only when it reads.
        let mut probe = handshake(authority.client(certificate), stream).await.expect("the server's part");
        probe.write_all(b"GET /metrics HTTP/1.1\r\nhost: replica\r\n\r\n").await.ok()?;
        probe.read(&mut [0]).await.ok().filter(|read| *read > 0)?;
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let stream = handshake(authority.client(certificate), stream).await.expect("it was accepted before");
        Some(Client::over(stream).await)
    }
}

/// Returns the status that the table states for a request.
fn expected(
    row: &Row,
    columns: &[&'static str],
    method: &Method,
    proven: Option<Required>,
    refusal: StatusCode,
) -> StatusCode {
    let required: BTreeSet<_> = columns.iter().map(|column| row.required[column]).collect();
    if required.contains(&Required::Password) && proven != Some(Required::Password) {
        return StatusCode::UNAUTHORIZED;
    }
    if required.contains(&Required::Token) && proven != Some(Required::Token) {
        return refusal;
    }
    match *method {
        Method::GET | Method::HEAD => StatusCode::OK,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    }
}

#[tokio::test]
async fn each_path_requires_what_the_threat_model_states() {
    let (authority, rows) = (Authority::new(), table());
    let mut requests = 0;
    for mode in all_modes(&authority).await {
        for (port, address) in [(8080, mode.replica.metrics), (8081, mode.replica.telemetry)] {
            let rows: Vec<_> = rows.iter().filter(|row| row.port == port).collect();
            for certificate in [false, true] {
                let required = |row: &&Row| mode.columns.iter().any(|c| row.required[c] == Required::Certificate);
                let needs_certificate = rows.iter().all(required);
                assert_eq!(needs_certificate, rows.iter().any(required), "a handshake does not know the path");
                let Some(mut client) = mode.connect(&authority, address, certificate).await else {
                    assert!(needs_certificate && !certificate, "{port} {:?}", mode.columns);
                    continue;
                };
                assert!(certificate || !needs_certificate, "{port} {:?}", mode.columns);
                for (header, proven, refusal) in credentials() {
                    let headers: Vec<_> = header.iter().map(|value| ("authorization", value.as_str())).collect();
                    for method in METHODS {
                        for row in &rows {
                            let query = if row.path == "/fleet/objects" { "?resource=pods" } else { "" };
                            let answer = client.send(method.clone(), &format!("{}{query}", row.path), &headers).await;
                            let expected = expected(row, &mode.columns, &method, proven, refusal);
                            let request = format!("{method} {port} {} of {header:?}", row.path);
                            assert_eq!(answer.status, expected, "{request} with {:?}", mode.columns);
                            requests += 1;
                        }
                        // Nothing else is served, and a refusal does not tell whether a path exists.
                        let answer = client.send(method.clone(), "/debug/pprof/", &headers).await;
                        let refused = mode.columns.iter().any(|column| column.starts_with('`')) && {
                            let any = rows.iter().find(|row| row.path == "/metrics").expect("both ports have it");
                            !expected(any, &mode.columns, &Method::GET, proven, refusal).is_success()
                        };
                        assert_eq!(answer.status == StatusCode::NOT_FOUND, !refused, "{method} {:?}", mode.columns);
                    }
                }
            }
        }
    }
    assert!(requests > 3000, "{requests} requests");
}

#[test]
fn the_threat_model_lists_the_paths_of_the_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
    let route = Regex::new(r"warp::path!\(([^)]*)\)|(warp::path::end\(\))").expect("a pattern");
    let mut served = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for found in route.captures_iter(code) {
            let parts = found.get(1).map_or("", |parts| parts.as_str());
            let parts: Vec<_> = parts.split('/').map(|part| part.trim().trim_matches('"')).collect();
            served.insert(format!("/{}", parts.join("/")));
        }
    }
    let listed: BTreeSet<_> = table().into_iter().filter(|row| row.port != 8082).map(|row| row.path).collect();
    assert_eq!(listed, served);
    let of_members: BTreeSet<_> = table().into_iter().filter(|row| row.port == 8082).map(|row| row.path).collect();
    let paths = [("POST", HEARTBEAT_PATH), ("POST", COVERAGE_PATH), ("GET", REPLICA_PATH)];
    assert_eq!(of_members, paths.map(|(method, path)| format!("{method} {path}")).into());
}

#[tokio::test]
async fn the_fleet_port_refuses_the_handshake_of_anyone_but_members() {
    let rows = table();
    let of_members = rows.iter().filter(|row| row.port == 8082).flat_map(|row| row.required.values());
    assert!(of_members.clone().count() > 0 && of_members.into_iter().all(|required| *required == Required::Member));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = ProcessKey::generate().expect("a key").server(Arc::<Roster>::default()).expect("a configuration");
    let authority = Authority::new();
    for certificate in [false, true] {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let client = tokio::spawn(handshake(authority.client(certificate), stream));
        let (stream, _) = listener.accept().await.expect("a connection");
        assert!(TlsAcceptor::from(Arc::clone(&server)).accept(stream).await.is_err());
        let _ = client.await;
    }
}
