//! Sockets: binding, accepting, serving connections, and ending them in order.

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

use super::{AuthLayer, http1, http2};
use crate::settings::{Listen, Timeouts};
use crate::sync::lock;

/// Connections at a time; further ones wait to be accepted. Prometheus holds one or two to an exporter.
const MAX_CONNECTIONS: usize = 512;
/// Of these, so many from one address: nobody can take them all. Of more, each is closed at once.
const MAX_PER_ADDRESS: usize = MAX_CONNECTIONS / 2;
/// How long it may take to secure a connection, however long clients may take for a request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long answers that have begun may take after the server was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait when no connection can be accepted, for example because file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Listens at an address. `::` is every address of both families, as upstream's default wants it, or all of IPv4 where
/// the system has no IPv6.
///
/// # Errors
/// The address is taken or not ours.
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
    // A replica that restarts need not wait for the connections of the one before; two at once are still refused.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves by `layer` until `stop`, then lets answers that have begun end, for a few seconds.
pub async fn serve(listener: TcpListener, layer: AuthLayer, timeouts: Timeouts, stop: CancellationToken) {
    // Dropping the set ends its connections.
    let mut connections = JoinSet::new();
    let counts = ConnectionCounts::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, remote)) => {
                    let Some(permit) = counts.admit(remote.ip()) else {
                        debug!(%remote, "too many connections from one address");
                        continue;
                    };
                    // Answers are written in large pieces; waiting to fill packets would only delay the last one.
                    let _ = stream.set_nodelay(true);
                    let server = ConnectionServer { layer: layer.clone(), timeouts, stop: stop.clone() };
                    connections.spawn(async move { server.serve(stream, &permit).await });
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, all).await.is_err() {
        warn!(seconds = DRAIN_TIMEOUT.as_secs(), "connections were cut while answers were being sent");
    }
}

/// Who serves a connection.
struct ConnectionServer {
    layer: AuthLayer,
    timeouts: Timeouts,
    stop: CancellationToken,
}

impl ConnectionServer {
    /// Secures the connection, if that is asked for, and answers.
    async fn serve(self, stream: TcpStream, permit: &ConnectionPermit) {
        let Self { layer, timeouts, stop } = self;
        let remote = permit.address;
        let Some(config) = layer.web().and_then(super::WebConfig::tls) else {
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
            Some(Ok(Err(error))) => debug!(%remote, %error, "no handshake"),
            Some(Err(_)) => debug!(%remote, "the handshake takes too long"),
            None => {}
        }
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct ConnectionCounts(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl ConnectionCounts {
    /// One more of an address, unless it has too many.
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

/// One of them.
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

/// Whether an error of accepting concerns a client that has left already.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
