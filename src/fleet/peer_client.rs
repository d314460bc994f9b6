//! HTTP requests to the fleet port of another member, and the parts of them that `verify` shares.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::record::{Endpoint, KeyDigest};
use super::tls::ProcessKey;
use crate::shown;

/// `POST` of a heartbeat; the answer is the heartbeat of the other member.
pub const HEARTBEAT_PATH: &str = "/fleet/heartbeat";

/// `POST` of a coverage request; the answer is a coverage report.
pub const COVERAGE_PATH: &str = "/fleet/coverage";

/// `GET` of the report that the status page shows.
pub const REPLICA_PATH: &str = "/fleet/replica";

/// Maximum length of a heartbeat in bytes. One of a fleet with the most members, all of them absent, takes half of it.
pub const MAX_HEARTBEAT_BYTES: usize = 64 << 10;

/// A connection to a replica.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> PeerStream for T {}

/// Connects to the fleet ports of other members. [`Dialer`] does it by TCP and TLS.
pub trait Dial: Send + Sync {
    /// Returns the digest of the public key of this process.
    fn key(&self) -> KeyDigest;

    /// Opens a connection to a member, as [`Dialer::open`].
    fn dial<'a>(&'a self, to: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>>;
}

impl Dial for Dialer {
    fn key(&self) -> KeyDigest {
        self.0.digest()
    }

    fn dial<'a>(&'a self, to: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        self.open(to).boxed()
    }
}

/// Connects to the fleet ports of other members, with the key of this process.
#[derive(Clone, Debug)]
pub struct Dialer(pub Arc<ProcessKey>);

impl Dialer {
    /// Opens a connection to a member. Only the process that has the member's key can complete the handshake.
    ///
    /// # Errors
    /// The address does not answer, or another process answers there. A refused connection keeps its
    /// [`io::ErrorKind::ConnectionRefused`].
    pub async fn open(&self, to: &Endpoint) -> io::Result<Box<dyn PeerStream>> {
        let stream = connect(&to.address).await?;
        let (config, name) = self.0.client(to.key, stream.peer_addr()?.ip()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }
}

/// Opens a TCP connection to `address` (`ip:port`).
///
/// # Errors
/// The address does not answer, or refuses the connection.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Why a request to another member failed.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// No member knows the address.
    #[error("its address is unknown")]
    NoAddress,
    /// The connection could not be opened.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The address or the path does not form a valid request.
    #[error("cannot build the request: {0}")]
    Request(#[source] http::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Connection(#[source] hyper::Error),
    /// The answer broke off, or was too long.
    #[error("cannot read the answer: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The answer is an error.
    #[error("{status}: {text}")]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The body, which says why.
        text: String,
    },
    /// The question or the answer cannot be converted from or to JSON.
    #[error("unexpected JSON: {}", shown::value(&.0.to_string()))]
    Json(#[from] serde_json::Error),
}

/// An HTTP connection, which runs until this handle is dropped.
pub(super) type ConnectionTask = AbortOnDropHandle<Result<(), hyper::Error>>;

/// Starts HTTP on a connection.
pub(super) async fn handshake(
    stream: Box<dyn PeerStream>,
) -> Result<(SendRequest<Full<Bytes>>, ConnectionTask), hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    Ok((sender, AbortOnDropHandle::new(tokio::spawn(connection))))
}

/// Returns a `POST` of `body`, which is JSON, or a `GET` without one.
///
/// # Errors
/// The address or the path is malformed.
pub fn request(address: &str, path: &str, body: Option<Vec<u8>>) -> Result<Request<Full<Bytes>>, PeerError> {
    let request = match body {
        Some(_) => Request::post(path).header(CONTENT_TYPE, "application/json"),
        None => Request::get(path),
    };
    request.header(HOST, address).body(Full::from(body.unwrap_or_default())).map_err(PeerError::Request)
}

/// Sends a request, and reads an answer of at most `max_bytes`.
pub(super) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<(StatusCode, Bytes), PeerError> {
    sender.ready().await.map_err(PeerError::Connection)?;
    let answer = sender.send_request(request).await.map_err(PeerError::Connection)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), max_bytes).collect().await.map_err(PeerError::Body)?;
    Ok((status, body.to_bytes()))
}

/// Sends one request over a connection of its own, and reads an answer of at most `max_bytes`.
///
/// # Errors
/// The connection broke, or the answer is too long.
pub async fn exchange(
    stream: Box<dyn PeerStream>,
    request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<(StatusCode, Bytes), PeerError> {
    let (mut sender, _connection) = handshake(stream).await.map_err(PeerError::Connection)?;
    send(&mut sender, request, max_bytes).await
}

/// Sends one request to a member, and parses the JSON of the answer. The limits are the length of the answer in bytes, and the
/// time for the whole exchange.
///
/// # Errors
/// The connection failed, or a limit was exceeded. Also if the status is no success, or the answer has another form.
pub async fn request_json<T: DeserializeOwned>(
    dialer: &Dialer,
    to: &Endpoint,
    path: &str,
    body: Option<Vec<u8>>,
    (max_bytes, limit): (usize, Duration),
) -> Result<T, PeerError> {
    let exchanged = async {
        let stream = dialer.open(to).await.map_err(PeerError::Connect)?;
        exchange(stream, request(&to.address, path, body)?, max_bytes).await
    };
    let (status, body) = timeout(limit, exchanged).await.unwrap_or(Err(PeerError::Timeout(limit)))?;
    if !status.is_success() {
        return Err(PeerError::Status { status, text: shown::bytes(&body) });
    }
    Ok(serde_json::from_slice(&body)?)
}
