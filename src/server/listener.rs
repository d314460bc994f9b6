//! Sockets: binding, accepting, serving connections, and ending them in order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Routes;
use super::connection::converse;
use crate::settings::{Listen, Patience};

/// Connections at a time; further ones wait to be accepted. Prometheus holds one or two to an exporter.
const CONNECTIONS: usize = 512;
/// How long answers that have begun may take after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(20);
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

/// Serves `routes` until `stop`, then lets answers that have begun end, for a few seconds.
pub async fn serve(listener: TcpListener, routes: Routes, patience: Patience, stop: CancellationToken) {
    // Dropping the set ends its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, remote)) => {
                    // Answers are written in large pieces; waiting to fill packets would only delay the last one.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(converse(stream, remote.ip(), routes.clone(), patience, stop.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        warn!(seconds = DRAIN.as_secs(), "connections were cut while answers were being sent");
    }
}

/// Whether an error of accepting concerns a client that has left already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
