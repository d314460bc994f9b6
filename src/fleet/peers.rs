//! Connections to the other members: one to each address, kept open, a heartbeat a second on it.
//!
//! Such a connection tells two things that the API server cannot: what a member knows now, and that it has ended, as soon
//! as its system closes the connection and refuses a new one.

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

use super::FleetHandle;
use super::clock;
use super::door::{self, Door, Wire};
use super::handover::Event;
use super::record::{Heartbeat, Incarnation, Member};
use crate::backoff::jittered;

/// How often a heartbeat is sent when nothing happens.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between tries to reach an address, from the first to all later ones.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Before who is no member of this fleet, or is ourselves, is asked again.
const LATER: Duration = Duration::from_secs(10);
/// An answer is a record and a member; both have bounds far below this.
pub const MAX_HEARTBEAT_BYTES: u64 = 1 << 20;

/// Keeps a connection through `door` to each of `contacts`, and tells the fleet what comes of it. `own` is who we are.
pub(super) async fn run(
    fleet: &Arc<FleetHandle>,
    own: &Incarnation,
    door: &Arc<dyn Door>,
    mut contacts: watch::Receiver<Vec<Member>>,
) -> Infallible {
    let mut lines: HashMap<String, AbortOnDropHandle<Infallible>> = HashMap::new();
    loop {
        let addresses: Vec<String> = contacts.borrow_and_update().iter().map(|m| m.address.clone()).collect();
        lines.retain(|address, line| addresses.contains(address) && !line.is_finished());
        for address in addresses {
            lines.entry(address.clone()).or_insert_with(|| {
                let line = Line::new(Arc::clone(fleet), own.clone(), Arc::clone(door), address);
                AbortOnDropHandle::new(tokio::spawn(line.run()))
            });
        }
        if contacts.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The connection to one address, and the one after that.
struct Line {
    fleet: Arc<FleetHandle>,
    own: Incarnation,
    door: Arc<dyn Door>,
    address: String,
    /// Who answered last.
    last: Option<Incarnation>,
    /// Whether it was told that we are not let in.
    told: bool,
}

/// Why an exchange did not go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection ended: {0}")]
    Ended(String),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it does not answer: {0}")]
    NotYet(String),
    #[error("it does not let us in: {0}")]
    Forbidden(String),
    #[error("it is no member of this fleet: {0}")]
    Stranger(String),
}

impl Line {
    fn new(fleet: Arc<FleetHandle>, own: Incarnation, door: Arc<dyn Door>, address: String) -> Self {
        Self { fleet, own, door, address, last: None, told: false }
    }

    async fn run(mut self) -> Infallible {
        let mut failures = 0;
        loop {
            let pause = match timeout(PATIENCE, self.door.open(&self.address)).await {
                Ok(Ok(stream)) => {
                    let (answers, broken) = self.talk(stream).await;
                    if matches!(broken, Broken::Forbidden(_)) && !self.told {
                        self.told = true;
                        warn!(address = self.address, error = %broken, "a peer cannot be asked");
                    }
                    debug!(address = self.address, error = %broken, "the connection to a peer broke");
                    match broken {
                        Broken::Stranger(_) => LATER,
                        // It may have ended, of which others depend on hearing: look at once.
                        _ if answers > 0 => {
                            failures = 0;
                            continue;
                        }
                        _ => pause(&mut failures),
                    }
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // Who never answered may only be unreachable: a firewall refuses, too.
                    if let Some(id) = &self.last {
                        self.fleet.tell(Event::ConnectionRefused(id.clone()));
                    }
                    pause(&mut failures)
                }
                Ok(Err(error)) => {
                    debug!(address = self.address, %error, "a peer cannot be reached");
                    pause(&mut failures)
                }
                Err(_) => pause(&mut failures),
            };
            sleep(pause).await;
        }
    }

    /// Exchanges heartbeats until the connection breaks; how many, and why.
    async fn talk(&mut self, wire: Box<dyn Wire>) -> (u64, Broken) {
        let mut answers = 0;
        let (mut sender, mut connection) = match timeout(PATIENCE, door::handshake(wire)).await {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return (0, Broken::Ended(error.to_string())),
            Err(_) => return (0, Broken::Silent),
        };
        let mut notified = self.fleet.notified();
        loop {
            notified.mark_unchanged();
            let sent = clock::boot();
            let Some(heartbeat) = self.fleet.current_heartbeat() else {
                return (answers, Broken::NotYet("we have nothing to say".to_owned()));
            };
            let exchange = timeout(PATIENCE, exchange(&*self.door, &mut sender, &self.address, &heartbeat));
            let heartbeat = match exchange.await {
                Ok(Ok(heartbeat)) => heartbeat,
                Ok(Err(broken)) => return (answers, broken),
                Err(_) => return (answers, Broken::Silent),
            };
            if heartbeat.member.id == self.own {
                return (answers, Broken::Stranger("this is ourselves".to_owned()));
            }
            if !self.fleet.is_of(&heartbeat) {
                return (answers, Broken::Stranger(heartbeat.fleet));
            }
            answers += 1;
            self.told = false;
            self.last = Some(heartbeat.member.id.clone());
            self.fleet.tell(Event::HeartbeatAnswered(heartbeat, sent));
            tokio::select! {
                () = sleep(PERIOD) => {}
                _ = notified.changed() => {}
                // Also while nothing is asked: this is how the end of a peer is noticed.
                result = &mut connection => {
                    let why = result.map_or_else(|e| e.to_string(), |r| r.err().map_or_else(|| "closed".to_owned(), |e| e.to_string()));
                    return (answers, Broken::Ended(why));
                }
            }
        }
    }
}

fn pause(failures: &mut usize) -> Duration {
    let pause = PAUSES.get(*failures).or(PAUSES.last()).copied().unwrap_or(PERIOD);
    *failures += 1;
    jittered(pause)
}

async fn exchange(
    door: &dyn Door,
    sender: &mut SendRequest<Full<Bytes>>,
    address: &str,
    heartbeat: &Heartbeat,
) -> Result<Heartbeat, Broken> {
    let body = serde_json::to_vec(heartbeat).unwrap_or_default();
    let answer = door::send(door, sender, (address, door::HEARTBEAT), Some(body), MAX_HEARTBEAT_BYTES as usize).await;
    let (status, body) = answer.map_err(Broken::Ended)?;
    if status != StatusCode::OK {
        let text = format!("{status}: {}", String::from_utf8_lossy(&body).trim());
        return Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Broken::Forbidden(text),
            status if status.is_server_error() => Broken::NotYet(text),
            _ => Broken::Stranger(text),
        });
    }
    serde_json::from_slice(&body).map_err(|error| Broken::Stranger(error.to_string()))
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
    use crate::fleet::run::Message;
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

    /// Answers all heartbeats with its own, until it is aborted.
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

    /// Member 0 of a fleet, with a line to `address`.
    fn line(address: SocketAddr) -> (AbortOnDropHandle<Infallible>, UnboundedReceiver<Message>) {
        let (fleet, told) = FleetHandle::new();
        fleet.publish(heartbeat(&id(0, 1), "ops/fleet"));
        let line = Line::new(fleet, id(0, 1), Arc::new(door::Plain), address.to_string());
        (AbortOnDropHandle::new(tokio::spawn(line.run())), told)
    }

    async fn next(told: &mut UnboundedReceiver<Message>) -> Event {
        match timeout(LONG, told.recv()).await.expect("in time").expect("it runs") {
            Message::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn who_answered_and_then_refuses_is_gone_and_may_come_back_as_another() {
        let (listener, address) = listen("127.0.0.1:0").await;
        let peer = answer(listener, heartbeat(&id(1, 7), "ops/fleet"));
        let (_line, mut told) = line(address);
        let before = clock::boot();
        assert!(
            matches!(next(&mut told).await, Event::HeartbeatAnswered(heartbeat, sent) if heartbeat.member.id == id(1, 7) && sent <= clock::boot() && sent + LONG > before)
        );
        peer.abort();
        let gone = loop {
            match next(&mut told).await {
                Event::HeartbeatAnswered(..) => {}
                Event::ConnectionRefused(id) => break id,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(gone, id(1, 7));
        let (listener, _) = listen(&address.to_string()).await;
        let _peer = answer(listener, heartbeat(&id(1, 8), "ops/fleet"));
        let back = loop {
            if let Event::HeartbeatAnswered(heartbeat, _) = next(&mut told).await {
                break heartbeat.member.id;
            }
        };
        assert_eq!(back, id(1, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_or_never_answered_is_not_called_gone() {
        // The system takes connections for a process that does not run.
        let (_silent, address) = listen("127.0.0.1:0").await;
        let (_line, mut told) = line(address);
        let (refusing, at) = listen("127.0.0.1:0").await;
        drop(refusing);
        let (_other, mut told_of_other) = line(at);
        sleep(4 * PATIENCE).await;
        assert!(told.try_recv().is_err());
        assert!(told_of_other.try_recv().is_err());
    }

    #[tokio::test]
    async fn another_fleet_and_ourselves_are_no_peers() {
        for heartbeat in [heartbeat(&id(1, 7), "ops/other"), heartbeat(&id(0, 1), "ops/fleet")] {
            let (listener, address) = listen("127.0.0.1:0").await;
            let peer = answer(listener, heartbeat);
            let (_line, mut told) = line(address);
            sleep(Duration::from_millis(300)).await;
            peer.abort();
            assert!(told.try_recv().is_err());
        }
    }

    #[tokio::test]
    async fn news_are_told_at_once() {
        let (fleet, _told) = FleetHandle::new();
        let own = heartbeat(&id(0, 1), "ops/fleet");
        fleet.publish(own.clone());
        let mut notified = fleet.notified();
        notified.mark_unchanged();
        fleet.publish(Heartbeat { now: own.now + 5, ..own.clone() });
        assert!(!notified.has_changed().expect("it lives"), "another time is no news");
        let member = Member { follows: 3, ..own.member.clone() };
        fleet.publish(Heartbeat { member, ..own });
        assert!(notified.has_changed().expect("it lives"));
        assert_eq!(fleet.current_heartbeat().expect("a heartbeat").member.follows, 3);
    }
}
