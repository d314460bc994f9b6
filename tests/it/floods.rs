//! Floods: clients that hold connections or send wrong credentials do not lock others out. Results are counted, not timed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine;
use futures::future::BoxFuture;
use http::{Method, StatusCode};
use kube_state_fleet::access::{AuthFilter, Review, ReviewError, TokenReviewer};
use kube_state_fleet::server::{AuthLayer, WebConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::common::tls::{Authority, handshake};
use crate::server::{Client, TestReplica};

/// More than a port accepts.
const FLOOD: usize = 400;
/// The addresses of the flood. Only Linux has all of 127.0.0.0/8 without setup.
const ATTACKERS: [Ipv4Addr; 2] = if cfg!(target_os = "linux") {
    [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)]
} else {
    [Ipv4Addr::LOCALHOST; 2]
};

async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("a local address");
    socket.connect(to).await.expect("it is accepted")
}

/// Opens `FLOOD` connections, and sends `text` on each.
async fn flood(to: SocketAddr, text: &str) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for n in 0..FLOOD {
        let mut stream = connect(ATTACKERS[n % 2], to).await;
        // A connection may already be closed.
        let _ = stream.write_all(text.as_bytes()).await;
        open.push(stream);
    }
    open
}

/// Returns how many connections the server has closed. Waits until there are `expected`.
async fn closed(open: &mut [TcpStream], expected: usize) -> usize {
    for _ in 0..600 {
        let mut closed = 0;
        for stream in &mut *open {
            let mut byte = [0];
            let polled = tokio::time::timeout(Duration::ZERO, stream.read(&mut byte)).await;
            closed += usize::from(matches!(polled, Ok(Ok(0) | Err(_))));
        }
        if closed >= expected {
            return closed;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    0
}

#[tokio::test]
async fn probes_are_answered_while_idle_connections_fill_the_ports() {
    let replica = TestReplica::behind(false, 1, |routes| AuthLayer::new(routes, None, None));
    replica.status.settled.store(true, Relaxed);
    // No request, a request that never ends, and connections between two requests.
    for text in ["", "GET /metrics HTTP/1.1\r\nx-slow: ", "GET /livez HTTP/1.1\r\nhost: replica\r\n\r\n"] {
        for (address, path) in [(replica.metrics, "/livez"), (replica.telemetry, "/readyz")] {
            let mut open = flood(address, text).await;
            for _ in 0..10 {
                let mut probe = Client::over(connect(Ipv4Addr::LOCALHOST, address).await).await;
                assert_eq!(probe.send(Method::GET, path, &[]).await.status, StatusCode::OK, "{path} during {text:?}");
            }
            assert!(closed(&mut open, FLOOD - 256).await >= FLOOD - 256, "the oldest made room");
        }
    }
}

#[tokio::test]
async fn probes_are_answered_while_handshakes_that_never_end_fill_the_port() {
    let authority = Authority::new();
    let file = authority.write("web.yml", "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n");
    let web = WebConfig::load(&file, false).await.expect("valid");
    let replica = TestReplica::behind(false, 1, |routes| AuthLayer::new(routes, Some(Arc::clone(&web)), None));
    let _open = flood(replica.metrics, "\u{16}\u{3}\u{1}").await;
    for _ in 0..10 {
        let stream = connect(Ipv4Addr::LOCALHOST, replica.metrics).await;
        let mut probe = Client::over(handshake(authority.client(false), stream).await.expect("TLS")).await;
        assert_eq!(probe.send(Method::GET, "/livez", &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn scrapes_are_answered_while_many_clients_do_not_read_theirs() {
    // Answers are larger than the buffers of the sockets.
    let replica = TestReplica::behind(false, 20_000, |routes| AuthLayer::new(routes, None, None));
    for (address, path) in [(replica.metrics, "/metrics"), (replica.telemetry, "/fleet/objects?resource=pods")] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: replica\r\n\r\n");
        let _open = flood(address, &request).await;
        let mut scraper = Client::over(connect(Ipv4Addr::LOCALHOST, address).await).await;
        let answer = scraper.send(Method::GET, path, &[]).await;
        assert_eq!((answer.status, answer.text().matches("pod-19999").count() > 0), (StatusCode::OK, true));
    }
}

#[tokio::test]
async fn the_right_password_is_accepted_during_a_flood_of_wrong_ones() {
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let authority = Authority::new();
    let file = authority.write("web.yml", &format!("basic_auth_users: {{ann: \"{hash}\"}}\n"));
    let web = WebConfig::load(&file, false).await.expect("valid");
    let replica = TestReplica::behind(false, 1, |routes| AuthLayer::new(routes, Some(Arc::clone(&web)), None));
    let address = replica.metrics;
    let basic = |password: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("ann:{password}")))
    };
    let attempts = Arc::new(AtomicUsize::new(0));
    let attackers: Vec<JoinHandle<()>> = (0..64)
        .map(|attacker| {
            let attempts = Arc::clone(&attempts);
            tokio::spawn(async move {
                let mut client = Client::over(connect(ATTACKERS[attacker % 2], address).await).await;
                for attempt in 0.. {
                    let value = basic(&format!("{attacker} {attempt}"));
                    let answer = client.send(Method::GET, "/metrics", &[("authorization", &value)]).await;
                    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
                    attempts.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    while attempts.load(Relaxed) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..25 {
        let mut client = Client::over(connect(Ipv4Addr::LOCALHOST, address).await).await;
        let answer = client.send(Method::GET, "/metrics", &[("authorization", &basic("right"))]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert!(attackers.iter().all(|attacker| !attacker.is_finished()), "all of them still attack");
    attackers.iter().for_each(JoinHandle::abort);
}

/// Knows one token, and counts reviews.
#[derive(Clone, Default)]
struct CountingReviewer(Arc<AtomicUsize>);

impl TokenReviewer for CountingReviewer {
    fn review<'a>(&'a self, token: &'a str, _: &'a [String]) -> BoxFuture<'a, Result<Review, ReviewError>> {
        self.0.fetch_add(1, Relaxed);
        let good = Review::Authenticated { everything: true, namespaces: Vec::new() };
        Box::pin(std::future::ready(Ok(if token == "good" { good } else { Review::Unauthenticated })))
    }
}

#[tokio::test]
async fn random_tokens_cause_few_reviews_and_a_good_token_is_accepted_meanwhile() {
    let reviewer = CountingReviewer::default();
    let filter = AuthFilter::new(reviewer.clone());
    let replica = TestReplica::behind(false, 1, |routes| AuthLayer::new(routes, None, Some(filter.clone())));
    let address = replica.metrics;
    let attackers: Vec<JoinHandle<()>> = (0..64)
        .map(|attacker| {
            tokio::spawn(async move {
                let mut client = Client::over(connect(ATTACKERS[attacker % 2], address).await).await;
                for attempt in 0.. {
                    let value = format!("Bearer {attacker}-{attempt}");
                    let answer = client.send(Method::GET, "/metrics", &[("authorization", &value)]).await;
                    assert_ne!(answer.status, StatusCode::OK);
                }
            })
        })
        .collect();
    while reviewer.0.load(Relaxed) < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let began = tokio::time::Instant::now();
    let before = reviewer.0.load(Relaxed);
    for _ in 0..25 {
        let mut client = Client::over(connect(Ipv4Addr::LOCALHOST, address).await).await;
        let answer = client.send(Method::GET, "/metrics", &[("authorization", "Bearer good")]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reviews = reviewer.0.load(Relaxed) - before;
    // However long the test takes: 4 reviews at once, 20 per second, and that of the good token.
    let most = 5.0 + 20.0 * began.elapsed().as_secs_f64();
    assert!(reviews as f64 <= most, "{reviews} reviews");
    attackers.iter().for_each(JoinHandle::abort);
}
