//! HTTP requests to the telemetry port of another member.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// `POST` of a heartbeat; the answer is the heartbeat of the other member.
pub const HEARTBEAT_PATH: &str = "/fleet/heartbeat";

/// `POST` of a coverage request; the answer is a coverage report.
pub const COVERAGE_PATH: &str = "/fleet/coverage";

/// `GET` of the report that the status page shows.
pub const REPLICA_PATH: &str = "/fleet/replica";

/// Maximum length of a heartbeat in bytes. A record and a member are far shorter.
pub const MAX_HEARTBEAT_BYTES: u64 = 1 << 20;

/// A connection to another member, with or without TLS.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> PeerStream for T {}

/// Connects to other members. All members of a fleet have the same configuration, so a member connects to the others as they
/// connect to it.
pub trait Connector: Send + Sync {
    /// Opens a connection to `address` (`ip:port`).
    ///
    /// # Errors
    /// The address does not answer, or the TLS handshake failed. A refused connection keeps its
    /// [`io::ErrorKind::ConnectionRefused`].
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>>;

    /// Returns the `Authorization` header of requests, if members require one.
    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>>;
}

/// Connects without TLS and without credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainConnector;

impl Connector for PlainConnector {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        Box::pin(async move { Ok(Box::new(connect(address).await?) as _) })
    }

    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        Box::pin(std::future::ready(None))
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
    /// The address or the credentials do not form a valid request.
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
    #[error("unexpected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The address now belongs to another fleet, or to a replica outside a fleet.
    #[error("the replica at this address belongs to {0}")]
    OtherFleet(String),
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

/// Sends a `POST` of `body`, which is JSON, or a `GET` without one, and reads an answer of at most `max_bytes`.
pub(super) async fn send(
    connector: &dyn Connector,
    sender: &mut SendRequest<Full<Bytes>>,
    (address, path): (&str, &str),
    body: Option<Vec<u8>>,
    max_bytes: usize,
) -> Result<(StatusCode, Bytes), PeerError> {
    let mut request = match body {
        Some(_) => Request::post(path).header(CONTENT_TYPE, "application/json"),
        None => Request::get(path),
    };
    request = request.header(HOST, address);
    if let Some(credentials) = connector.credentials().await {
        request = request.header(AUTHORIZATION, credentials);
    }
    let request = request.body(Full::from(body.unwrap_or_default())).map_err(PeerError::Request)?;
    sender.ready().await.map_err(PeerError::Connection)?;
    let answer = sender.send_request(request).await.map_err(PeerError::Connection)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), max_bytes).collect().await.map_err(PeerError::Body)?;
    Ok((status, body.to_bytes()))
}

/// Sends one request and parses the JSON of the answer. `limits` are as for [`request`].
///
/// # Errors
/// As [`request`]; also if the status is no success, or the answer has another form.
pub async fn request_json<T: DeserializeOwned>(
    connector: &dyn Connector,
    address: &str,
    path: &str,
    body: Option<Vec<u8>>,
    limits: (usize, Duration),
) -> Result<T, PeerError> {
    let (status, body) = request(connector, address, path, body, limits).await?;
    if !status.is_success() {
        return Err(PeerError::Status { status, text: String::from_utf8_lossy(&body).trim().to_owned() });
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Sends one request over a connection of its own. The limits are the length of the answer in bytes, and the time for the
/// whole exchange.
///
/// # Errors
/// The connection failed, or a limit was exceeded.
pub async fn request(
    connector: &dyn Connector,
    address: &str,
    path: &str,
    body: Option<Vec<u8>>,
    (max_bytes, limit): (usize, Duration),
) -> Result<(StatusCode, Bytes), PeerError> {
    let exchange = async {
        let stream = connector.open(address).await.map_err(PeerError::Connect)?;
        let (mut sender, _connection) = handshake(stream).await.map_err(PeerError::Connection)?;
        send(connector, &mut sender, (address, path), body, max_bytes).await
    };
    timeout(limit, exchange).await.unwrap_or(Err(PeerError::Timeout(limit)))
}
