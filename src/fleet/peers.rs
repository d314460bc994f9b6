//! Connections to the other members: one to each address, kept open, a beat a second on it.
//!
//! Such a connection tells two things that the API server cannot: what a member knows now, and that it has ended, as soon
//! as its system closes the connection and refuses a new one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::Fleet;
use super::clock;
use super::handover::Event;
use super::record::{Beat, Incarnation, Member};

/// How often a beat is sent when nothing happens.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a connection, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between tries to reach an address, from the first to all later ones.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// Before who is no member of this fleet, or is ourselves, is asked again.
const LATER: Duration = Duration::from_secs(10);
/// An answer is a record and a member; both have bounds far below this.
pub const LARGEST_BEAT: u64 = 1 << 20;

/// Keeps a connection to each of `contacts`, and tells the fleet what comes of it. `own` is who we are.
pub(super) async fn run(
    fleet: &Arc<Fleet>,
    own: &Incarnation,
    mut contacts: watch::Receiver<Vec<Member>>,
) -> Infallible {
    let mut lines: HashMap<String, AbortOnDropHandle<Infallible>> = HashMap::new();
    loop {
        let addresses: Vec<String> = contacts.borrow_and_update().iter().map(|m| m.address.clone()).collect();
        lines.retain(|address, _| addresses.contains(address));
        for address in addresses {
            lines.entry(address.clone()).or_insert_with(|| {
                let line = Line { fleet: Arc::clone(fleet), own: own.clone(), address, last: None };
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
    fleet: Arc<Fleet>,
    own: Incarnation,
    address: String,
    /// Who answered last.
    last: Option<Incarnation>,
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
    #[error("it is no member of this fleet: {0}")]
    Stranger(String),
}

impl Line {
    async fn run(mut self) -> Infallible {
        let mut failures = 0;
        loop {
            let pause = match timeout(PATIENCE, TcpStream::connect(&self.address)).await {
                Ok(Ok(stream)) => {
                    let (answers, broken) = self.talk(stream).await;
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
                        self.fleet.tell(Event::Refused(id.clone()));
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

    /// Exchanges beats until the connection breaks; how many, and why.
    async fn talk(&mut self, stream: TcpStream) -> (u64, Broken) {
        let mut answers = 0;
        let _ = stream.set_nodelay(true);
        let ended = |error: hyper::Error| Broken::Ended(error.to_string());
        let (mut sender, connection) = match timeout(PATIENCE, handshake(TokioIo::new(stream))).await {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return (0, ended(error)),
            Err(_) => return (0, Broken::Silent),
        };
        let mut connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut stirred = self.fleet.stirred();
        loop {
            stirred.mark_unchanged();
            let sent = clock::boot();
            let Some(beat) = self.fleet.newest_beat() else {
                return (answers, Broken::NotYet("we have nothing to say".to_owned()));
            };
            let exchange = timeout(PATIENCE, exchange(&mut sender, &self.address, &beat));
            let beat = match exchange.await {
                Ok(Ok(beat)) => beat,
                Ok(Err(broken)) => return (answers, broken),
                Err(_) => return (answers, Broken::Silent),
            };
            if beat.member.id == self.own {
                return (answers, Broken::Stranger("this is ourselves".to_owned()));
            }
            if !self.fleet.is_of(&beat) {
                return (answers, Broken::Stranger(beat.fleet));
            }
            answers += 1;
            self.last = Some(beat.member.id.clone());
            self.fleet.tell(Event::Answered(beat, sent));
            tokio::select! {
                () = sleep(PERIOD) => {}
                _ = stirred.changed() => {}
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
    pause.mul_f64(fastrand::f64().mul_add(0.2, 1.0))
}

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, address: &str, beat: &Beat) -> Result<Beat, Broken> {
    let failed = |error: hyper::Error| Broken::Ended(error.to_string());
    let body = serde_json::to_vec(beat).unwrap_or_default();
    let request = Request::post("/fleet/beat")
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Broken::Stranger(error.to_string()))?;
    sender.ready().await.map_err(failed)?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST_BEAT as usize).collect().await;
    let body = body.map_err(|error| Broken::Ended(error.to_string()))?.to_bytes();
    if status != StatusCode::OK {
        let text = format!("{status}: {}", String::from_utf8_lossy(&body).trim());
        return Err(if status.is_server_error() { Broken::NotYet(text) } else { Broken::Stranger(text) });
    }
    serde_json::from_slice(&body).map_err(|error| Broken::Stranger(error.to_string()))
}
