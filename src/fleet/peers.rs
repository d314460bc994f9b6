//! Connections to the other members: one per address, kept open, with a heartbeat every second.
//!
//! A connection shows two facts that the API server cannot: what a member knows now, and that its process has ended. The
//! latter shows as soon as the kernel closes the connection and refuses a new one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::clock;
use super::handle::FleetHandle;
use super::handover::Event;
use super::peer_client::{self, Connector, HEARTBEAT_PATH, MAX_HEARTBEAT_BYTES, PeerError, PeerStream};
use super::record::{Heartbeat, Incarnation, Member};
use crate::backoff::jittered;

/// Time between heartbeats while nothing changes.
const PERIOD: Duration = Duration::from_secs(1);
/// How long connecting, or an answer, may take.
const PEER_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses between attempts to reach an address; the last one repeats.
const RETRY_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Pause before another attempt if the address belongs to another fleet, or to this replica.
const NOT_A_PEER_PAUSE: Duration = Duration::from_secs(10);

/// Keeps a connection to each of `contacts`, and reports answers and refused connections to the state machine. `own` is this
/// process.
pub(super) async fn run(
    fleet: &Arc<FleetHandle>,
    own: &Incarnation,
    connector: &Arc<dyn Connector>,
    mut contacts: watch::Receiver<Vec<Member>>,
) -> Infallible {
    let mut connections: HashMap<String, AbortOnDropHandle<Infallible>> = HashMap::new();
    loop {
        let addresses: Vec<String> = contacts.borrow_and_update().iter().map(|m| m.address.clone()).collect();
        connections.retain(|address, task| addresses.contains(address) && !task.is_finished());
        for address in addresses {
            connections.entry(address.clone()).or_insert_with(|| {
                let peer = PeerConnection::new(Arc::clone(fleet), own.clone(), Arc::clone(connector), address);
                AbortOnDropHandle::new(tokio::spawn(peer.run()))
            });
        }
        if contacts.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The connection to one address, opened again whenever it breaks.
struct PeerConnection {
    fleet: Arc<FleetHandle>,
    own: Incarnation,
    connector: Arc<dyn Connector>,
    address: String,
    /// The process that answered last.
    last: Option<Incarnation>,
    /// Whether the log already says that the peer denies access.
    denial_logged: bool,
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
    #[error("the peer denies access: {status}: {text}; check --auth-filter and --tls-config")]
    AccessDenied { status: StatusCode, text: String },
    #[error("not a member of this fleet: {0}")]
    NotAPeer(String),
}

impl PeerConnection {
    fn new(fleet: Arc<FleetHandle>, own: Incarnation, connector: Arc<dyn Connector>, address: String) -> Self {
        Self { fleet, own, connector, address, last: None, denial_logged: false }
    }

    async fn run(mut self) -> Infallible {
        let mut failures = 0;
        loop {
            let pause = match timeout(PEER_TIMEOUT, self.connector.open(&self.address)).await {
                Ok(Ok(stream)) => {
                    let (answers, error) = self.exchange_heartbeats(stream).await;
                    if matches!(error, ExchangeError::AccessDenied { .. }) && !self.denial_logged {
                        self.denial_logged = true;
                        warn!(address = self.address, %error, "cannot exchange heartbeats with a peer");
                    }
                    debug!(address = self.address, %error, "connection to a peer broke");
                    match error {
                        ExchangeError::NotAPeer(_) => NOT_A_PEER_PAUSE,
                        // The process may have ended, which other members need to know: reconnect at once to find out.
                        _ if answers > 0 => {
                            failures = 0;
                            continue;
                        }
                        _ => retry_pause(&mut failures),
                    }
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // Proves that the process has ended only if it answered before: a firewall refuses connections, too.
                    if let Some(id) = &self.last {
                        self.fleet.send(Event::ConnectionRefused(id.clone()));
                    }
                    retry_pause(&mut failures)
                }
                Ok(Err(error)) => {
                    debug!(address = self.address, %error, "cannot connect to a peer");
                    retry_pause(&mut failures)
                }
                Err(_) => retry_pause(&mut failures),
            };
            sleep(pause).await;
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
            let sent = clock::boot();
            let heartbeat = self.fleet.current_heartbeat().ok_or(ExchangeError::NoHeartbeat)?;
            let exchange = exchange(&*self.connector, &mut sender, &self.address, &heartbeat);
            let answer = timeout(PEER_TIMEOUT, exchange).await.map_err(|_| no_answer())??;
            if answer.member.id == self.own {
                return Err(ExchangeError::NotAPeer("the address is that of this replica".to_owned()));
            }
            if !self.fleet.is_of(&answer) {
                return Err(ExchangeError::NotAPeer(format!("it belongs to {}", answer.fleet)));
            }
            *answers += 1;
            self.denial_logged = false;
            self.last = Some(answer.member.id.clone());
            self.fleet.send(Event::HeartbeatAnswered(answer, sent));
            tokio::select! {
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
    connector: &dyn Connector,
    sender: &mut SendRequest<Full<Bytes>>,
    address: &str,
    heartbeat: &Heartbeat,
) -> Result<Heartbeat, ExchangeError> {
    let body = Some(serde_json::to_vec(heartbeat).map_err(PeerError::Json)?);
    let (status, body) =
        peer_client::send(connector, sender, (address, HEARTBEAT_PATH), body, MAX_HEARTBEAT_BYTES as usize).await?;
    if status != StatusCode::OK {
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        return Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ExchangeError::AccessDenied { status, text },
            status if status.is_server_error() => ExchangeError::NotReady { status, text },
            _ => ExchangeError::NotAPeer(format!("{status}: {text}")),
        });
    }
    serde_json::from_slice(&body).map_err(|error| ExchangeError::NotAPeer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;

    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::UnboundedReceiver;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::fleet::handover::{Config, Machine};
    use crate::fleet::message::Message;
    use crate::sharding::Hasher;

    const LONG: Duration = Duration::from_secs(30);

    fn id(ordinal: u32, nonce: u64) -> Incarnation {
        Incarnation { ordinal, pod: format!("pod-{ordinal}"), nonce }
    }

    fn heartbeat(id: &Incarnation, fleet: &str) -> Heartbeat {
        let config = Config {
            id: id.clone(),
            address: String::new(),
            fleet: fleet.to_owned(),
            hash: Hasher::default(),
            overlap: Duration::ZERO,
        };
        Machine::new(config).heartbeat(clock::now())
    }

    /// Answers each heartbeat with `heartbeat`, until the task is aborted.
    fn answer(listener: TcpListener, heartbeat: Heartbeat) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let body = Bytes::from(serde_json::to_vec(&heartbeat).expect("JSON"));
                let service = service_fn(move |_| {
                    let body = body.clone();
                    async move { Ok::<_, Infallible>(hyper::Response::new(Full::new(body))) }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        })
    }

    async fn listen(at: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(at).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// Member 0 of a fleet, with a connection to `address`.
    fn connect_to(address: SocketAddr) -> (AbortOnDropHandle<Infallible>, UnboundedReceiver<Message>) {
        let (fleet, messages) = FleetHandle::new();
        fleet.publish(heartbeat(&id(0, 1), "ops/fleet"));
        let peer = PeerConnection::new(fleet, id(0, 1), Arc::new(peer_client::PlainConnector), address.to_string());
        (AbortOnDropHandle::new(tokio::spawn(peer.run())), messages)
    }

    async fn next(messages: &mut UnboundedReceiver<Message>) -> Event {
        match timeout(LONG, messages.recv()).await.expect("in time").expect("it runs") {
            Message::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_answered_and_then_refuses_is_gone_and_may_come_back_as_another_process() {
        let (listener, address) = listen("127.0.0.1:0").await;
        let peer = answer(listener, heartbeat(&id(1, 7), "ops/fleet"));
        let (_task, mut messages) = connect_to(address);
        let before = clock::boot();
        assert!(
            matches!(next(&mut messages).await, Event::HeartbeatAnswered(heartbeat, sent) if heartbeat.member.id == id(1, 7) && sent <= clock::boot() && sent + LONG > before)
        );
        peer.abort();
        let gone = loop {
            match next(&mut messages).await {
                Event::HeartbeatAnswered(..) => {}
                Event::ConnectionRefused(id) => break id,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(gone, id(1, 7));
        let (listener, _) = listen(&address.to_string()).await;
        let _peer = answer(listener, heartbeat(&id(1, 8), "ops/fleet"));
        let back = loop {
            if let Event::HeartbeatAnswered(heartbeat, _) = next(&mut messages).await {
                break heartbeat.member.id;
            }
        };
        assert_eq!(back, id(1, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_silent_or_never_answered_is_not_gone() {
        // The kernel accepts connections for a process that does not run.
        let (_silent, address) = listen("127.0.0.1:0").await;
        let (_task, mut messages) = connect_to(address);
        let (refusing, at) = listen("127.0.0.1:0").await;
        drop(refusing);
        let (_other, mut other_messages) = connect_to(at);
        sleep(4 * PEER_TIMEOUT).await;
        assert!(messages.try_recv().is_err());
        assert!(other_messages.try_recv().is_err());
    }

    #[tokio::test]
    async fn members_of_another_fleet_and_the_own_process_are_no_peers() {
        for heartbeat in [heartbeat(&id(1, 7), "ops/other"), heartbeat(&id(0, 1), "ops/fleet")] {
            let (listener, address) = listen("127.0.0.1:0").await;
            let peer = answer(listener, heartbeat);
            let (_task, mut messages) = connect_to(address);
            sleep(Duration::from_millis(300)).await;
            peer.abort();
            assert!(messages.try_recv().is_err());
        }
    }

    #[tokio::test]
    async fn a_changed_heartbeat_is_sent_at_once() {
        let (fleet, _messages) = FleetHandle::new();
        let own = heartbeat(&id(0, 1), "ops/fleet");
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
