//! Connections to the other members: one per process, kept open, with a heartbeat every second.
//!
//! A connection shows two facts that the API server cannot: what a member knows now, and that its process may have ended. The
//! latter shows as soon as the connection closes and a new one is refused, reset, closed at once, or not answered.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::handle::FleetHandle;
use super::handover::Event;
use super::peer_client::{self, Dial, HEARTBEAT_PATH, MAX_HEARTBEAT_BYTES, PeerError, PeerStream};
use super::record::{Endpoint, Heartbeat, Incarnation, Member};
use crate::backoff::jittered;
use crate::shown;
use crate::sync::watch;

/// Time between heartbeats while nothing changes.
const PERIOD: Duration = Duration::from_secs(1);
/// How long connecting, or an answer, may take.
const PEER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the first attempt after a broken connection may take, before the process may have ended.
const RECONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// Pauses between attempts to reach an address; the last one repeats.
const RETRY_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Pause before another attempt if the peer refuses the messages of this process.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// After this many failures in a row, the log says why a peer cannot be reached.
const LOGGED_FAILURE: usize = 30;

/// Keeps a connection to each of `contacts`, and reports answers and refused connections to the state machine.
pub(super) async fn run(
    fleet: &Arc<FleetHandle>,
    dialer: &Arc<dyn Dial>,
    mut contacts: watch::Receiver<Vec<Member>>,
) -> Infallible {
    let mut connections: BTreeMap<(Incarnation, Endpoint), AbortOnDropHandle<Infallible>> = BTreeMap::new();
    loop {
        let processes: Vec<_> =
            contacts.borrow_and_update().iter().filter_map(|m| Some((m.id.clone(), m.endpoint()?))).collect();
        connections.retain(|process, task| processes.contains(process) && !task.is_finished());
        for process in processes {
            connections.entry(process).or_insert_with_key(|(id, endpoint)| {
                let peer = PeerConnection::new(Arc::clone(fleet), Arc::clone(dialer), id.clone(), endpoint.clone());
                AbortOnDropHandle::new(tokio::spawn(peer.run()))
            });
        }
        if contacts.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The connection to one process, opened again whenever it breaks.
struct PeerConnection {
    fleet: Arc<FleetHandle>,
    dialer: Arc<dyn Dial>,
    id: Incarnation,
    endpoint: Endpoint,
    /// Whether the process has answered before.
    answered: bool,
}

/// Why an exchange of heartbeats ended.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the connection closed")]
    Closed,
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("this replica has no heartbeat to send yet")]
    NoHeartbeat,
    #[error("the peer is not ready to answer: {status}: {text}")]
    NotReady { status: StatusCode, text: String },
    #[error("the peer refuses the heartbeat: {status}: {text}")]
    Refused { status: StatusCode, text: String },
    #[error("the answer is not a heartbeat of this member: {0}")]
    Invalid(String),
}

impl ExchangeError {
    /// Whether the other side closed the connection.
    const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed | Self::Peer(PeerError::Connection(_) | PeerError::Body(_)))
    }
}

impl PeerConnection {
    const fn new(fleet: Arc<FleetHandle>, dialer: Arc<dyn Dial>, id: Incarnation, endpoint: Endpoint) -> Self {
        Self { fleet, dialer, id, endpoint, answered: false }
    }

    async fn run(mut self) -> Infallible {
        let mut failures = 0;
        // Whether the last connection broke just now: if the process has ended, other members need to know.
        let mut broke = false;
        loop {
            let limit = if broke { RECONNECT_TIMEOUT } else { PEER_TIMEOUT };
            let (pause, lost) = match timeout(limit, self.dialer.dial(&self.endpoint)).await {
                Ok(Ok(stream)) => {
                    let (answers, error) = self.exchange_heartbeats(stream).await;
                    let is_refused = matches!(error, ExchangeError::Refused { .. } | ExchangeError::Invalid(_));
                    self.log_failure(if is_refused { LOGGED_FAILURE } else { failures }, &error);
                    broke = error.is_closed() && answers > 0;
                    if answers > 1 {
                        failures = 0;
                        continue;
                    }
                    let pause = if is_refused { REFUSED_PAUSE } else { retry_pause(&mut failures) };
                    // Something else may have accepted the connection in place of the process: a proxy.
                    (pause, error.is_closed() && answers == 0)
                }
                Ok(Err(error)) => {
                    broke = false;
                    self.log_failure(failures, &error);
                    (retry_pause(&mut failures), true)
                }
                // The address of a Pod that is gone is silent. A process that is only suspended keeps its connection.
                Err(_) => (retry_pause(&mut failures), std::mem::take(&mut broke)),
            };
            // Says something about the process only if it answered before: it may not listen yet, or be behind a firewall.
            if lost && self.answered {
                self.fleet.send(Event::ConnectionLost(self.id.clone()));
            }
            sleep(pause).await;
        }
    }

    fn log_failure(&self, failures: usize, error: &dyn std::fmt::Display) {
        let (address, member) = (&self.endpoint.address, self.id.ordinal);
        if failures == LOGGED_FAILURE {
            warn!(member, address, %error, "cannot exchange heartbeats with a peer");
        } else {
            debug!(member, address, %error, "connection to a peer broke");
        }
    }

    /// Exchanges heartbeats until the connection breaks. Returns the number of answers, and why it ended.
    async fn exchange_heartbeats(&mut self, stream: Box<dyn PeerStream>) -> (u64, ExchangeError) {
        let mut answers = 0;
        let error = match self.try_exchange_heartbeats(stream, &mut answers).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        (answers, error)
    }

    async fn try_exchange_heartbeats(
        &mut self,
        stream: Box<dyn PeerStream>,
        answers: &mut u64,
    ) -> Result<Infallible, ExchangeError> {
        let handshake = timeout(PEER_TIMEOUT, peer_client::handshake(stream)).await.map_err(|_| no_answer())?;
        let (mut sender, mut connection) = handshake.map_err(PeerError::Connection)?;
        let mut notified = self.fleet.notified();
        loop {
            notified.mark_unchanged();
            let sent = self.fleet.clock().boot();
            let heartbeat = self.fleet.current_heartbeat().ok_or(ExchangeError::NoHeartbeat)?;
            let exchange = exchange(&mut sender, &self.endpoint.address, &heartbeat);
            let answer = timeout(PEER_TIMEOUT, exchange).await.map_err(|_| no_answer())??;
            if answer.member.id != self.id || !self.fleet.is_of(&answer) {
                let text = format!("member {} of {}", answer.member.id.ordinal, shown::value(&answer.fleet));
                return Err(ExchangeError::Invalid(text));
            }
            *answers += 1;
            self.answered = true;
            self.fleet.on_answer(answer, sent);
            tokio::select! {
                biased;
                () = sleep(PERIOD) => {}
                _ = notified.changed() => {}
                // Also between requests: this is how the end of a peer is noticed.
                result = &mut connection => {
                    return Err(match result {
                        Ok(Err(error)) => PeerError::Connection(error).into(),
                        Ok(Ok(())) | Err(_) => ExchangeError::Closed,
                    });
                }
            }
        }
    }
}

fn no_answer() -> ExchangeError {
    PeerError::Timeout(PEER_TIMEOUT).into()
}

/// Returns the pause after a number of failures, with jitter, and counts one more.
fn retry_pause(failures: &mut usize) -> Duration {
    let pause = RETRY_PAUSES.get(*failures).or(RETRY_PAUSES.last()).copied().unwrap_or(PERIOD);
    *failures += 1;
    jittered(pause)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    address: &str,
    heartbeat: &Heartbeat,
) -> Result<Heartbeat, ExchangeError> {
    let body = serde_json::to_vec(heartbeat).map_err(PeerError::Json)?;
    let request = peer_client::request(address, HEARTBEAT_PATH, Some(body))?;
    let (status, body) = peer_client::send(sender, request, MAX_HEARTBEAT_BYTES).await?;
    if status != StatusCode::OK {
        let text = shown::bytes(&body);
        return Err(match status {
            status if status.is_server_error() => ExchangeError::NotReady { status, text },
            _ => ExchangeError::Refused { status, text },
        });
    }
    Heartbeat::decode(&body).map_err(|error| ExchangeError::Invalid(shown::value(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use bytes::Bytes;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::fleet::clock::{self, SystemClock};
    use crate::fleet::events;
    use crate::fleet::handover::{Config, Machine};
    use crate::fleet::message::{Inbox, Message};
    use crate::fleet::peer_client::Dialer;
    use crate::fleet::roster::Roster;
    use crate::fleet::tls::ProcessKey;
    use crate::sharding::Hasher;

    const LONG: Duration = Duration::from_secs(30);

    fn id(ordinal: u32, nonce: u64) -> Incarnation {
        Incarnation { ordinal, pod: format!("pod-{ordinal}"), nonce }
    }

    fn key() -> Arc<ProcessKey> {
        Arc::new(ProcessKey::generate().expect("a key"))
    }

    fn heartbeat(id: &Incarnation, key: &ProcessKey, fleet: &str) -> Heartbeat {
        let config = Config {
            owns_pod: Some(true),
            id: id.clone(),
            address: "127.0.0.1:1".to_owned(),
            key: Some(key.digest()),
            fleet: fleet.to_owned(),
            hash: Hasher::default(),
            overlap: Duration::ZERO,
            on_lost_quorum: Default::default(),
            seamless: false,
        };
        Machine::new(config).heartbeat(clock::now())
    }

    /// A process that answers each heartbeat with `heartbeat`, to clients with the key `client`, until the task is aborted.
    fn answer(listener: TcpListener, key: &ProcessKey, client: &Heartbeat, heartbeat: Heartbeat) -> JoinHandle<()> {
        let roster = Roster::default();
        roster.learn(client.member.id.ordinal, 1, Some(&client.member));
        let acceptor = TlsAcceptor::from(key.server(Arc::new(roster)).expect("TLS"));
        tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let body = Bytes::from(serde_json::to_vec(&heartbeat).expect("JSON"));
                let service = service_fn(move |_| {
                    let body = body.clone();
                    async move { Ok::<_, Infallible>(hyper::Response::new(Full::new(body))) }
                });
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    }
                });
            }
        })
    }

    async fn listen(at: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(at).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// Member 0 of a fleet.
    struct TestMember {
        key: Arc<ProcessKey>,
        heartbeat: Heartbeat,
    }

    impl TestMember {
        fn new() -> Self {
            let key = key();
            Self { heartbeat: heartbeat(&id(0, 1), &key, "ops/fleet"), key }
        }

        /// Opens a connection to the process `id`, which has the key `peer`.
        fn connect_to(
            &self,
            id: Incarnation,
            address: SocketAddr,
            peer: &ProcessKey,
        ) -> (AbortOnDropHandle<Infallible>, Inbox) {
            let (fleet, messages) = FleetHandle::new(Arc::new(SystemClock), Arc::default(), events::queue(false).0);
            fleet.publish(self.heartbeat.clone());
            let endpoint = Endpoint { address: address.to_string(), key: peer.digest() };
            let peer = PeerConnection::new(fleet, Arc::new(Dialer(Arc::clone(&self.key))), id, endpoint);
            (AbortOnDropHandle::new(tokio::spawn(peer.run())), messages)
        }
    }

    async fn next(messages: &mut Inbox) -> Event {
        match timeout(LONG, messages.recv()).await.expect("in time").expect("it runs") {
            Message::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_answered_and_then_refuses_is_gone() {
        let (member, peer_key) = (TestMember::new(), key());
        let (listener, address) = listen("127.0.0.1:0").await;
        let peer = answer(listener, &peer_key, &member.heartbeat, heartbeat(&id(1, 7), &peer_key, "ops/fleet"));
        let (_task, mut messages) = member.connect_to(id(1, 7), address, &peer_key);
        let before = clock::boot();
        assert!(
            matches!(next(&mut messages).await, Event::HeartbeatAnswered(heartbeat, sent) if heartbeat.member.id == id(1, 7) && sent <= clock::boot() && sent + LONG > before)
        );
        peer.abort();
        let gone = loop {
            match next(&mut messages).await {
                Event::HeartbeatAnswered(..) => {}
                Event::ConnectionLost(id) => break id,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(gone, id(1, 7));
    }

    /// How a proxy treats the connections that it accepted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Proxy {
        /// Forwards them. If the process behind it does not answer, it closes them.
        Forward,
        /// Closes them.
        Close,
        /// Resets them.
        Reset,
    }

    /// A proxy on loopback before the process at `to`, as a sidecar of a mesh: it accepts every connection itself.
    async fn proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<Proxy>, AbortOnDropHandle<()>) {
        let (listener, address) = listen("127.0.0.1:0").await;
        let mode = watch::Sender::new(Proxy::Forward);
        let modes = mode.subscribe();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut modes = modes.clone();
                connections.spawn(async move {
                    let forward = async {
                        if let Ok(mut upstream) = tokio::net::TcpStream::connect(to).await {
                            let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
                        }
                    };
                    tokio::select! {
                        biased;
                        _ = modes.wait_for(|mode| *mode != Proxy::Forward) => {}
                        () = forward => {}
                    }
                    if *modes.borrow() == Proxy::Reset {
                        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    }
                });
            }
        });
        (address, mode, AbortOnDropHandle::new(task))
    }

    /// Member 0, connected by a proxy to a process of member 1 that answers.
    struct Proxied {
        peer: JoinHandle<()>,
        mode: watch::Sender<Proxy>,
        messages: Inbox,
        _tasks: (AbortOnDropHandle<()>, AbortOnDropHandle<Infallible>),
    }

    impl Proxied {
        async fn new() -> Self {
            let (member, peer_key) = (TestMember::new(), key());
            let (listener, address) = listen("127.0.0.1:0").await;
            let peer = answer(listener, &peer_key, &member.heartbeat, heartbeat(&id(1, 7), &peer_key, "ops/fleet"));
            let (address, mode, proxy) = proxy(address).await;
            let (task, mut messages) = member.connect_to(id(1, 7), address, &peer_key);
            answered(&mut messages).await;
            answered(&mut messages).await;
            Self { peer, mode, messages, _tasks: (proxy, task) }
        }
    }

    async fn answered(messages: &mut Inbox) {
        while !matches!(next(messages).await, Event::HeartbeatAnswered(..)) {}
    }

    async fn lost(messages: &mut Inbox) {
        while !matches!(next(messages).await, Event::ConnectionLost(peer) if peer == id(1, 7)) {}
    }

    #[tokio::test]
    async fn the_end_of_a_process_shows_through_a_proxy_that_accepts_and_closes_or_resets() {
        for after in [Proxy::Forward, Proxy::Close, Proxy::Reset] {
            let mut scene = Proxied::new().await;
            scene.peer.abort();
            scene.mode.send_replace(after);
            lost(&mut scene.messages).await;
        }
    }

    #[tokio::test]
    async fn a_live_process_behind_a_proxy_that_closes_or_resets_answers_again_afterwards() {
        for fault in [Proxy::Close, Proxy::Reset] {
            let mut scene = Proxied::new().await;
            scene.mode.send_replace(fault);
            lost(&mut scene.messages).await;
            scene.mode.send_replace(Proxy::Forward);
            // Refutes the suspicion.
            answered(&mut scene.messages).await;
        }
    }

    #[tokio::test]
    async fn a_process_with_another_key_at_the_address_of_a_peer_learns_and_reports_nothing() {
        let (member, peer_key, other_key) = (TestMember::new(), key(), key());
        let (listener, address) = listen("127.0.0.1:0").await;
        let stranger = answer(listener, &other_key, &member.heartbeat, heartbeat(&id(1, 7), &other_key, "ops/fleet"));
        let (_task, mut messages) = member.connect_to(id(1, 7), address, &peer_key);
        sleep(Duration::from_millis(300)).await;
        stranger.abort();
        assert!(messages.try_recv().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_silent_or_never_answered_is_not_gone() {
        let (member, peer_key) = (TestMember::new(), key());
        // The kernel accepts connections for a process that does not run.
        let (_silent, address) = listen("127.0.0.1:0").await;
        let (_task, mut messages) = member.connect_to(id(1, 7), address, &peer_key);
        let (refusing, at) = listen("127.0.0.1:0").await;
        drop(refusing);
        let (_other, mut other_messages) = member.connect_to(id(1, 7), at, &peer_key);
        sleep(4 * PEER_TIMEOUT).await;
        assert!(messages.try_recv().is_none());
        assert!(other_messages.try_recv().is_none());
    }

    #[tokio::test]
    async fn a_peer_speaks_for_itself_and_its_fleet_alone() {
        let (member, peer_key) = (TestMember::new(), key());
        for answered in [heartbeat(&id(1, 7), &peer_key, "ops/other"), heartbeat(&id(2, 7), &peer_key, "ops/fleet")] {
            let (listener, address) = listen("127.0.0.1:0").await;
            let peer = answer(listener, &peer_key, &member.heartbeat, answered);
            let (_task, mut messages) = member.connect_to(id(1, 7), address, &peer_key);
            sleep(Duration::from_millis(300)).await;
            peer.abort();
            assert!(messages.try_recv().is_none());
        }
    }

    #[tokio::test]
    async fn a_changed_heartbeat_is_sent_at_once() {
        let (fleet, _messages) = FleetHandle::new(Arc::new(SystemClock), Arc::default(), events::queue(false).0);
        let own = TestMember::new().heartbeat;
        fleet.publish(own.clone());
        let mut notified = fleet.notified();
        notified.mark_unchanged();
        fleet.publish(Heartbeat { now: own.now + 5, ..own.clone() });
        assert!(!notified.has_changed().expect("the sender lives"), "a later clock alone is no change");
        let member = Member { follows: 3, ..own.member.clone() };
        fleet.publish(Heartbeat { member, ..own });
        assert!(notified.has_changed().expect("the sender lives"));
        assert_eq!(fleet.current_heartbeat().expect("a heartbeat").member.follows, 3);
    }
}
