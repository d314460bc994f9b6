//! Binds sockets, accepts connections, and drains them on shutdown.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::auth_layer::AuthLayer;
use super::connection::{Connection, MAX_CONNECTIONS, Port};
use super::web::WebConfig;
use super::{http1, http2};
use crate::settings::{Listen, Timeouts};

/// How long a TLS handshake may take, even if the limits for requests are longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long answers in progress may take after shutdown begins.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after accepting fails, for example because the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that were closed to make room for others and have not ended yet. More have to wait.
const MAX_CLOSING: usize = 64;
/// How long a client may take no part of an answer, unless the write timeout is shorter. Prometheus waits for less.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often stalled answers are searched.
const STALL_PERIOD: Duration = Duration::from_secs(5);
/// Unsent bytes that the kernel buffers per connection, so that it does not hold megabytes for a client that does not read.
const MAX_UNSENT: u32 = 64 << 10;
/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on an address. `::` stands for all addresses of both families, as in kube-state-metrics, or all IPv4 addresses if
/// the system has no IPv6.
///
/// # Errors
/// The address is in use, or does not belong to this host.
pub fn bind(listen: Listen) -> io::Result<TcpListener> {
    let unspecified = listen.host == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    listen_at(SocketAddr::new(listen.host, listen.port)).or_else(|error| {
        if unspecified && matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable) {
            listen_at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listen.port))
        } else {
            Err(error)
        }
    })
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A restarted replica does not wait for closed connections of its predecessor. A second listener is still refused.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves `layer` until `stop`, then drains: answers in progress have a few seconds to complete.
pub async fn serve(listener: TcpListener, layer: AuthLayer, timeouts: Timeouts, stop: CancellationToken) {
    let port = Port::new(layer, timeouts, stop.clone());
    // Dropping the set closes its connections.
    let mut connections = JoinSet::new();
    let stall_timeout = timeouts.write.map(|limit| limit.min(STALL_TIMEOUT));
    let mut stall_checks = interval(STALL_PERIOD);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            _ = stall_checks.tick() => {
                if let Some(limit) = stall_timeout {
                    port.requests.close_stalled(limit);
                }
            }
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS + MAX_CLOSING => {
                let Some((stream, remote)) = accepted_or_pause(accepted).await else { continue };
                let connection = Connection::open(port.clone(), remote.ip());
                let close = connection.close();
                connections.spawn(async move { close.run_until_cancelled(answer(stream, connection)).await });
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
        warn!(seconds = DRAIN_TIMEOUT.as_secs(), "drain timed out; answers in progress were cut off");
    }
}

/// Returns an accepted connection. After an error that concerns more than one client, warns and pauses.
pub(super) async fn accepted_or_pause(
    accepted: io::Result<(TcpStream, SocketAddr)>,
) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok(accepted) => return Some(accepted),
        Err(error) if concerns_one_connection(&error) => {}
        Err(error) => {
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    None
}

/// Performs the TLS handshake, if TLS is configured, and answers requests.
async fn answer(stream: TcpStream, connection: Connection) {
    // Answers are written in large chunks, so Nagle's algorithm would only delay the last one.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT);
    let Port { layer, timeouts, stop, .. } = &connection.port;
    let Some(config) = layer.web().and_then(WebConfig::tls) else {
        return http1::serve_connection(stream, connection).await;
    };
    let remote = connection.remote;
    let limit = timeouts.read_header.or(timeouts.read).map_or(HANDSHAKE_TIMEOUT, |limit| limit.min(HANDSHAKE_TIMEOUT));
    let secured = timeout(limit, TlsAcceptor::from(config).accept(stream));
    match stop.run_until_cancelled(secured).await {
        Some(Ok(Ok(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2::serve_connection(stream, connection).await;
        }
        Some(Ok(Ok(stream))) => http1::serve_connection(stream, connection).await,
        Some(Ok(Err(error))) => debug!(%remote, %error, "TLS handshake failed"),
        Some(Err(_)) => debug!(%remote, "TLS handshake timed out"),
        None => {}
    }
}

/// Whether an accept error concerns only one client, which has already disconnected.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
