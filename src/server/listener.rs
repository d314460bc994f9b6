//! Binds sockets, accepts connections, and drains them on shutdown.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::auth_layer::AuthLayer;
use super::web::WebConfig;
use super::{http1, http2};
use crate::settings::{Listen, Timeouts};
use crate::sync::lock;

/// Maximum number of open connections; further ones wait in the backlog. Prometheus keeps one or two per target.
const MAX_CONNECTIONS: usize = 512;
/// Maximum number of open connections per client address, so that no client can use them all. Further ones are closed at once.
const MAX_PER_ADDRESS: usize = MAX_CONNECTIONS / 2;
/// How long a TLS handshake may take, even if the limits for requests are longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long answers in progress may take after shutdown begins.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after accepting fails, for example because the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
    // Dropping the set closes its connections.
    let mut connections = JoinSet::new();
    let counts = ConnectionCounts::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, remote)) => {
                    let Some(permit) = counts.admit(remote.ip()) else {
                        debug!(%remote, "connection refused: too many from one address");
                        continue;
                    };
                    // Answers are written in large chunks, so Nagle's algorithm would only delay the last one.
                    let _ = stream.set_nodelay(true);
                    let server = ConnectionServer { layer: layer.clone(), timeouts, stop: stop.clone() };
                    connections.spawn(async move { server.serve(stream, &permit).await });
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
        warn!(seconds = DRAIN_TIMEOUT.as_secs(), "drain timed out; answers in progress were cut off");
    }
}

/// Serves one connection.
struct ConnectionServer {
    layer: AuthLayer,
    timeouts: Timeouts,
    stop: CancellationToken,
}

impl ConnectionServer {
    /// Performs the TLS handshake, if TLS is configured, and answers requests.
    async fn serve(self, stream: TcpStream, permit: &ConnectionPermit) {
        let Self { layer, timeouts, stop } = self;
        let remote = permit.address;
        let Some(config) = layer.web().and_then(WebConfig::tls) else {
            return http1::serve_connection(stream, remote, layer, timeouts, stop).await;
        };
        let limit =
            timeouts.read_header.or(timeouts.read).map_or(HANDSHAKE_TIMEOUT, |limit| limit.min(HANDSHAKE_TIMEOUT));
        let secured = timeout(limit, TlsAcceptor::from(config).accept(stream));
        match stop.run_until_cancelled(secured).await {
            Some(Ok(Ok(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                http2::serve_connection(stream, remote, layer, timeouts, stop).await;
            }
            Some(Ok(Ok(stream))) => http1::serve_connection(stream, remote, layer, timeouts, stop).await,
            Some(Ok(Err(error))) => debug!(%remote, %error, "TLS handshake failed"),
            Some(Err(_)) => debug!(%remote, "TLS handshake timed out"),
            None => {}
        }
    }
}

/// The number of open connections per client address.
#[derive(Clone, Default)]
struct ConnectionCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl ConnectionCounts {
    /// Counts a connection from `address`, unless the address has too many.
    fn admit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let mut counts = lock(&self.0);
        let count = counts.entry(address).or_default();
        if *count >= MAX_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { address, counts: self.clone() })
    }
}

/// One counted connection, until it is dropped.
struct ConnectionPermit {
    address: IpAddr,
    counts: ConnectionCounts,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts.0);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Whether an accept error concerns only one client, which has already disconnected.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
