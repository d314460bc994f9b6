//! The fleet port: heartbeats, questions of the coordinator's audit, and reports for the status page, between members alone.
//!
//! A connection is a member's if its key is that in the Lease of a member ([`Roster`]), and each request is checked again. A
//! member speaks for itself alone. No handshake and no connection can crowd out those of others: each address has its share of
//! the handshakes, each member its share of the connections, and the newest displaces the oldest of whoever has the most.
//!
//! Each member connects to all others, so a member of the largest fleet has a connection from each of 1,023, and after its restart
//! all of them shake hands at once. Handshakes from the addresses in the Leases therefore have places of their own, apart from
//! those of strangers.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::listener::accepted_or_pause;
use super::overview::Reporter;
use crate::fleet::audit::{CoverageView, PeerDirectory};
use crate::fleet::coverage::CoverageRequest;
use crate::fleet::peer_client::{COVERAGE_PATH, HEARTBEAT_PATH, MAX_HEARTBEAT_BYTES, PeerStream, REPLICA_PATH};
use crate::fleet::record::{Heartbeat, Incarnation, KeyDigest};
use crate::fleet::refusals::Reason;
use crate::fleet::roster::Roster;
use crate::fleet::{FleetHandle, Refusal, tls};
use crate::sharding::MOST_SHARDS;
use crate::sync::lock;

/// Maximum number of handshakes at a time: from the addresses of members, from others, and from one address.
const MAX_MEMBER_HANDSHAKES: usize = MOST_SHARDS as usize;
const MAX_HANDSHAKES: usize = 64;
const MAX_HANDSHAKES_PER_ADDRESS: usize = 8;
/// Maximum number of connections of one member: one for heartbeats, and one for each question in progress.
const MAX_PER_MEMBER: usize = 8;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be without a request. Heartbeats come every second.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a coverage request in bytes. A hundred resources need a tenth of it.
const MAX_COVERAGE_REQUEST: usize = 64 << 10;
/// Maximum size of the head of a request in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Answers the other members.
#[derive(Clone)]
pub struct Members {
    /// Takes heartbeats.
    pub fleet: Arc<FleetHandle>,
    /// Answers the coordinator's audit.
    pub coverage_view: Arc<dyn CoverageView>,
    /// Reports on this replica.
    pub reporter: Arc<dyn Reporter>,
    /// The keys of the members.
    pub roster: Arc<Roster>,
}

/// Serves `members` to the processes whose keys they know, until `stop`. `config` is that of [`tls::ProcessKey::server`].
pub async fn serve_members(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    members: Members,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    // Dropping the set closes its connections.
    let mut connections = JoinSet::new();
    let handshakes = Handshakes::default();
    let sessions = Arc::new(Places::new(usize::MAX, MAX_PER_MEMBER));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Some((stream, remote)) = accepted_or_pause(accepted).await else { continue };
                let handshakes = handshakes.of(remote.ip(), &members.roster);
                let connection = Connection {
                    acceptor: acceptor.clone(),
                    members: members.clone(),
                    sessions: Arc::clone(&sessions),
                    handshakes: Arc::clone(handshakes),
                };
                handshakes.take(remote.ip(), || connections.spawn(connection.serve(stream, remote.ip())));
            }
        }
    }
}

/// The places of handshakes.
struct Handshakes {
    members: Arc<Places<IpAddr>>,
    strangers: Arc<Places<IpAddr>>,
}

impl Default for Handshakes {
    fn default() -> Self {
        let places = |most| Arc::new(Places::new(most, MAX_HANDSHAKES_PER_ADDRESS));
        Self { members: places(MAX_MEMBER_HANDSHAKES), strangers: places(MAX_HANDSHAKES) }
    }
}

impl Handshakes {
    /// The places for an address.
    fn of(&self, ip: IpAddr, roster: &Roster) -> &Arc<Places<IpAddr>> {
        if roster.is_member_ip(ip) { &self.members } else { &self.strangers }
    }
}

/// The tasks that hold one of a limited number of places. One more displaces the oldest task of the key that has the most: unlike
/// a request that waits for its turn ([`crate::access::Turns`]), a member that reconnects must not wait for its old connections.
struct Places<K> {
    most: usize,
    most_per_key: usize,
    tasks: Mutex<VecDeque<(K, AbortHandle)>>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    const fn new(most: usize, most_per_key: usize) -> Self {
        Self { most, most_per_key, tasks: Mutex::new(VecDeque::new()) }
    }

    /// Gives the task that `spawn` returns a place for `key`, and ends the task that it displaces.
    fn take(&self, key: K, spawn: impl FnOnce() -> AbortHandle) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|(_, task)| !task.is_finished());
        let mut of_key = tasks.iter().enumerate().filter(|(_, (other, _))| *other == key).map(|(at, _)| at);
        let oldest = of_key.next();
        let displaced = match oldest {
            Some(at) if 1 + of_key.count() >= self.most_per_key => Some(at),
            _ if tasks.len() >= self.most => Some(oldest_of_most(&tasks)),
            _ => None,
        };
        if let Some((_, task)) = displaced.and_then(|at| tasks.remove(at)) {
            task.abort();
        }
        // Spawned under the lock, so that the task cannot give its place back before it has it.
        tasks.push_back((key, spawn()));
    }

    /// Gives the place of a task back.
    fn give_back(&self, id: tokio::task::Id) {
        lock(&self.tasks).retain(|(_, task)| task.id() != id);
    }
}

/// Returns the index of the oldest task of the key that has the most tasks.
fn oldest_of_most<K: Eq + Hash>(tasks: &VecDeque<(K, AbortHandle)>) -> usize {
    let mut counts = HashMap::new();
    for (key, _) in tasks {
        *counts.entry(key).or_insert(0_usize) += 1;
    }
    let most = counts.values().max();
    tasks.iter().position(|(key, _)| counts.get(key) == most).unwrap_or_default()
}

/// One connection.
struct Connection {
    acceptor: TlsAcceptor,
    members: Members,
    handshakes: Arc<Places<IpAddr>>,
    sessions: Arc<Places<KeyDigest>>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, remote: IpAddr) {
        let Self { acceptor, members, handshakes, sessions } = self;
        let _ = stream.set_nodelay(true);
        let secured = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
        handshakes.give_back(tokio::task::id());
        let stream = match secured {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%remote, %error, "handshake on the fleet port failed"),
            Err(_) => return debug!(%remote, "handshake on the fleet port timed out"),
        };
        let Some(key) = key_of(&stream) else { return };
        // A task of its own, which a newer connection of the member may end.
        let mut session = JoinSet::new();
        sessions.take(key, || session.spawn(serve_member(stream, key, members)));
        session.join_next().await;
    }
}

/// Returns the key that the client has proven to have.
fn key_of(stream: &TlsStream<TcpStream>) -> Option<KeyDigest> {
    tls::key_of(stream.get_ref().1.peer_certificates()?.first()?).ok()
}

/// Answers the requests on a connection of the process that has `key`.
pub async fn serve_member(stream: impl PeerStream + 'static, key: KeyDigest, members: Members) {
    let service = service_fn(|request| {
        let members = members.clone();
        async move { Ok::<_, Infallible>(members.answer(key, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%key, %error, "connection of a member ended early");
    }
}

impl Members {
    async fn answer(&self, key: KeyDigest, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // The Lease may name another process by now.
        let Some(sender) = self.roster.identify(&key) else {
            return text(StatusCode::FORBIDDEN, "the key of this connection is no longer that of a member\n");
        };
        match (request.method(), request.uri().path()) {
            (&Method::POST, HEARTBEAT_PATH) => match body(request, MAX_HEARTBEAT_BYTES).await {
                Ok(body) => self.heartbeat(&sender, &body),
                Err(refusal) => refusal,
            },
            (&Method::POST, COVERAGE_PATH) => match body(request, MAX_COVERAGE_REQUEST).await {
                Ok(body) => self.coverage(&sender, &body),
                Err(refusal) => refusal,
            },
            (&Method::GET, REPLICA_PATH) => json(&self.reporter.report()),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    fn heartbeat(&self, sender: &Incarnation, body: &[u8]) -> Response<Full<Bytes>> {
        let refusals = self.fleet.refusals();
        let heartbeat = match Heartbeat::decode(body) {
            Ok(heartbeat) => heartbeat,
            Err(error) => {
                refusals.note((&error).into(), format_args!("heartbeat of member {}: {error}", sender.ordinal));
                return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
            }
        };
        if heartbeat.member.id != *sender {
            let claimed = heartbeat.member.id.ordinal;
            refusals.note(Reason::WrongMember, format_args!("member {} speaks for member {claimed}", sender.ordinal));
            return text(StatusCode::FORBIDDEN, "the key of this connection is that of another member\n");
        }
        match self.fleet.on_heartbeat(heartbeat) {
            Ok(heartbeat) => json(&heartbeat),
            Err(refusal @ Refusal::OtherFleet { .. }) => text(StatusCode::CONFLICT, format!("{refusal}\n")),
            Err(refusal @ Refusal::NotCoordinated) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n")),
        }
    }

    fn coverage(&self, sender: &Incarnation, body: &[u8]) -> Response<Full<Bytes>> {
        let request: CoverageRequest = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => {
                let detail = format_args!("coverage request of member {}: {error}", sender.ordinal);
                self.fleet.refusals().note(Reason::Invalid, detail);
                return text(StatusCode::BAD_REQUEST, "not a coverage request\n");
            }
        };
        let fleet = self.fleet.fleet();
        if fleet != request.fleet {
            return text(StatusCode::CONFLICT, format!("this replica belongs to fleet {fleet:?}\n"));
        }
        json(&self.coverage_view.report(&request))
    }
}

/// Reads the body of a request, or returns the refusal of one that is too long or too slow.
async fn body(request: Request<Incoming>, limit: usize) -> Result<Bytes, Response<Full<Bytes>>> {
    match timeout(BODY_TIMEOUT, Limited::new(request.into_body(), limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(text(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {limit} bytes\n"))),
        Err(_) => Err(text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    }
}

fn json(content: &impl Serialize) -> Response<Full<Bytes>> {
    // Cannot fail: all numbers are finite, and all keys are strings or integers.
    let mut answer = Response::new(Full::from(serde_json::to_vec(content).unwrap_or_default()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(body.into()));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    /// Lets displaced tasks end.
    async fn settle() {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_members_of_the_largest_fleet_have_places_that_strangers_cannot_take() {
        let roster = Roster::of_members((1..MOST_SHARDS).map(|ordinal| (ordinal, ip(ordinal))));
        let handshakes = Handshakes::default();
        let sessions = Places::new(usize::MAX, MAX_PER_MEMBER);
        let mut tasks = JoinSet::new();
        let mut alive = Vec::new();
        for member in 1..MOST_SHARDS {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&member.to_be_bytes());
            handshakes.of(ip(member), &roster).take(ip(member), || {
                let task = tasks.spawn(pending::<()>());
                alive.push(task.clone());
                task
            });
            sessions.take(KeyDigest(key), || {
                let task = tasks.spawn(pending::<()>());
                alive.push(task.clone());
                task
            });
        }
        let mut strangers = Vec::new();
        for stranger in MOST_SHARDS..5 * MOST_SHARDS {
            handshakes.of(ip(stranger), &roster).take(ip(stranger), || {
                let task = tasks.spawn(pending::<()>());
                strangers.push(task.clone());
                task
            });
        }
        settle().await;
        assert_eq!(alive.iter().filter(|task| !task.is_finished()).count(), 2 * 1023);
        assert_eq!(strangers.iter().filter(|task| !task.is_finished()).count(), MAX_HANDSHAKES);
        // One address of a member cannot take the places of the others. One more place is free.
        for _ in 0..5 * MOST_SHARDS {
            handshakes.of(ip(1), &roster).take(ip(1), || tasks.spawn(pending::<()>()));
        }
        settle().await;
        assert_eq!(alive.iter().filter(|task| !task.is_finished()).count(), 2 * 1023 - 1);
    }
}
