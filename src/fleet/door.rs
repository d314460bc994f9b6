//! How members reach each other: the way to an address, and what shows there that one is a member.

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
use tokio_util::task::AbortOnDropHandle;

/// Where members tell each other of themselves, on the telemetry port: `POST`, a heartbeat for a heartbeat.
pub const HEARTBEAT: &str = "/fleet/heartbeat";

/// Where they are asked what they serve.
pub const COVER: &str = "/fleet/cover";

/// Where they are asked how they are: `GET`.
pub const REPLICA: &str = "/fleet/replica";

/// A connection.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The way to other members. Those of a fleet are configured alike, so each goes the way by which it would be reached.
pub trait Door: Send + Sync {
    /// A connection to `address`.
    ///
    /// # Errors
    /// Nobody is there, or not one of us. A refused connection is told as such.
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Wire>>>;

    /// What requests carry to be let in.
    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>>;
}

/// The way without TLS, to who asks for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Door for Plain {
    fn open<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Wire>>> {
        Box::pin(async move { Ok(Box::new(connect(address).await?) as _) })
    }

    fn credentials(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        Box::pin(std::future::ready(None))
    }
}

/// A connection to `address` without TLS.
///
/// # Errors
/// Nobody is there.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The connection of an open door, as something that is driven while it is kept.
pub(super) type Driven = AbortOnDropHandle<Result<(), hyper::Error>>;

/// Speaks HTTP on a connection.
pub(super) async fn handshake(wire: Box<dyn Wire>) -> Result<(SendRequest<Full<Bytes>>, Driven), hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
    Ok((sender, AbortOnDropHandle::new(tokio::spawn(connection))))
}

/// Sends `body`, as JSON, or asks for what is there without one, and reads the answer of at most `longest` bytes.
pub(super) async fn send(
    door: &dyn Door,
    sender: &mut SendRequest<Full<Bytes>>,
    (address, path): (&str, &str),
    body: Option<Vec<u8>>,
    longest: usize,
) -> Result<(StatusCode, Bytes), String> {
    let mut request = match body {
        Some(_) => Request::post(path).header(CONTENT_TYPE, "application/json"),
        None => Request::get(path),
    };
    request = request.header(HOST, address);
    if let Some(credentials) = door.credentials().await {
        request = request.header(AUTHORIZATION, credentials);
    }
    let request = request.body(Full::from(body.unwrap_or_default())).map_err(|e| e.to_string())?;
    sender.ready().await.map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), longest).collect().await.map_err(|e| e.to_string())?;
    Ok((status, body.to_bytes()))
}

/// The answer to one question, read from its JSON; one that is no success is an error.
///
/// # Errors
/// As [`ask`], or the answer is another one.
pub async fn ask_for<T: DeserializeOwned>(
    door: &dyn Door,
    address: &str,
    path: &str,
    body: Option<Vec<u8>>,
    limits: (usize, Duration),
) -> Result<T, String> {
    let (status, body) = ask(door, address, path, body, limits).await?;
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body).trim()));
    }
    serde_json::from_slice(&body).map_err(|e| e.to_string())
}

/// Opens the door for one question, and closes it with the answer.
///
/// # Errors
/// Nobody is there, or there is no answer within `patience`.
pub async fn ask(
    door: &dyn Door,
    address: &str,
    path: &str,
    body: Option<Vec<u8>>,
    (longest, patience): (usize, Duration),
) -> Result<(StatusCode, Bytes), String> {
    let asked = async {
        let wire = door.open(address).await.map_err(|e| e.to_string())?;
        let (mut sender, _driven) = handshake(wire).await.map_err(|e| e.to_string())?;
        send(door, &mut sender, (address, path), body, longest).await
    };
    let answer = tokio::time::timeout(patience, asked).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
}
