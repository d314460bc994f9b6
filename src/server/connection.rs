//! One connection of a client, for both versions of HTTP: its place, its requests, and the limits that they share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

use super::auth_layer::AuthLayer;
use super::places::{Place, Places};
use super::progress::{Phase, Progress};
use crate::settings::Timeouts;

/// The parts of a port that its connections share.
#[derive(Clone)]
pub(super) struct Port {
    /// Answers requests.
    pub layer: AuthLayer,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// Ends the port: requests in progress complete.
    pub stop: CancellationToken,
    /// The places of connections.
    pub connections: Places,
    /// The places of requests in progress. Whatever a request needs in memory, no more than these need it.
    pub requests: Places,
}

/// Maximum number of open connections. Prometheus keeps one or two per target.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// Maximum number of open connections per client address.
const MAX_CONNECTIONS_PER_ADDRESS: usize = MAX_CONNECTIONS / 2;
/// Maximum number of requests in progress on all connections: those whose answer is not yet sent.
const MAX_REQUESTS: usize = 128;
/// Maximum number of requests in progress per client address.
const MAX_REQUESTS_PER_ADDRESS: usize = 96;

impl Port {
    /// Creates a port without connections.
    pub fn new(layer: AuthLayer, timeouts: Timeouts, stop: CancellationToken) -> Self {
        let connections = Places::new("connections", MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS);
        let requests = Places::new("requests in progress", MAX_REQUESTS, MAX_REQUESTS_PER_ADDRESS);
        Self { layer, timeouts, stop, connections, requests }
    }
}

/// One connection.
#[derive(Clone)]
pub(super) struct Connection {
    /// The port that it is open on.
    pub port: Port,
    /// The client.
    pub remote: IpAddr,
    state: Arc<State>,
}

struct State {
    progress: Arc<Progress>,
    /// Requests in progress.
    busy: AtomicUsize,
    close: CancellationToken,
    _place: Place,
}

impl Connection {
    /// Takes a place for a connection from `remote`.
    pub fn open(port: Port, remote: IpAddr) -> Self {
        let (progress, close) = (Arc::<Progress>::default(), CancellationToken::new());
        let place = port.connections.take(remote, Arc::clone(&progress), close.clone());
        Self { port, remote, state: Arc::new(State { progress, busy: AtomicUsize::new(0), close, _place: place }) }
    }

    /// Is cancelled when the connection has to make room for another one.
    pub fn close(&self) -> CancellationToken {
        self.state.close.clone()
    }

    /// Takes a place for a request whose head was read.
    pub fn begin_request(&self) -> RequestInProgress {
        let progress = Arc::<Progress>::default();
        progress.set(Phase::Busy);
        self.state.busy.fetch_add(1, Relaxed);
        self.state.progress.set(Phase::Busy);
        let place = self.port.requests.take(self.remote, Arc::clone(&progress), self.close());
        RequestInProgress { progress, connection: Arc::clone(&self.state), _place: place }
    }
}

/// A request in progress, until its answer is sent and this is dropped.
pub(super) struct RequestInProgress {
    progress: Arc<Progress>,
    connection: Arc<State>,
    _place: Place,
}

impl RequestInProgress {
    /// Records that the client has taken a part of the answer.
    pub fn touch(&self) {
        self.progress.touch();
        self.connection.progress.touch();
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        if self.connection.busy.fetch_sub(1, Relaxed) == 1 {
            self.connection.progress.set(Phase::Idle);
        }
    }
}
