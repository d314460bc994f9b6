//! The network of a simulated cluster: connections between members, and to the API server. It can be cut in one direction, and
//! a suspended process neither reads nor answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::trace::Trace;
use crate::fleet::peer_client::{Dial, PeerStream};
use crate::fleet::record::{Endpoint, KeyDigest};
use crate::server::{self, Members};
use crate::sync::lock;

/// Bytes that a connection takes before its writer waits.
const BUFFER: usize = 256 << 10;

/// What happens to packets on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// They vanish.
    Silent,
    /// They are answered with RST.
    Refused,
}

#[derive(Default)]
struct State {
    /// The addresses of pods that exist. Others are silent.
    pods: BTreeSet<IpAddr>,
    ports: BTreeMap<IpAddr, Port>,
    cuts: BTreeMap<(IpAddr, IpAddr), Cut>,
    suspended: BTreeSet<IpAddr>,
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

/// The fleet port of a process.
struct Port {
    key: KeyDigest,
    members: Members,
    connections: JoinSet<()>,
}

impl State {
    fn cut(&self, from: IpAddr, to: IpAddr) -> Option<Cut> {
        if self.suspended.contains(&from) || self.suspended.contains(&to) {
            return Some(Cut::Silent);
        }
        self.cuts.get(&(from, to)).copied()
    }
}

/// The network.
#[derive(Clone, Default)]
pub struct Network {
    state: Arc<Mutex<State>>,
    pub trace: Trace,
}

impl Network {
    pub fn new(trace: Trace) -> Self {
        Self { trace, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the network, and wakes everyone who waits for it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.state();
            change(&mut state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    pub fn add_pod(&self, ip: IpAddr) {
        self.change(|state| {
            state.pods.insert(ip);
        });
    }

    pub fn remove_pod(&self, ip: IpAddr) {
        self.change(|state| {
            state.pods.remove(&ip);
        });
    }

    /// Serves `members` at `ip`, until [`Self::close`].
    pub fn listen(&self, ip: IpAddr, key: KeyDigest, members: Members) {
        self.change(|state| drop(state.ports.insert(ip, Port { key, members, connections: JoinSet::new() })));
    }

    pub fn close(&self, ip: IpAddr) {
        let closed = self.state().ports.remove(&ip);
        drop(closed);
    }

    pub fn suspend(&self, ip: IpAddr, suspended: bool) {
        self.change(|state| {
            if suspended {
                state.suspended.insert(ip);
            } else {
                state.suspended.remove(&ip);
            }
        });
    }

    /// Replaces what is cut.
    pub fn set_cuts(&self, cuts: BTreeMap<(IpAddr, IpAddr), Cut>) {
        if self.state().cuts != cuts {
            self.change(|state| state.cuts = cuts);
        }
    }

    /// Whether packets pass.
    pub fn is_open(&self, from: IpAddr, to: IpAddr) -> bool {
        self.state().cut(from, to).is_none()
    }

    /// Returns the connections of the process that has `key`, at `ip`.
    pub fn dialer(&self, ip: IpAddr, key: KeyDigest) -> Dialer {
        Dialer { network: self.clone(), ip, key }
    }

    fn connect(&self, from: IpAddr, key: KeyDigest, to: &Endpoint) -> Option<io::Result<Wire>> {
        let refused = || Some(Err(io::ErrorKind::ConnectionRefused.into()));
        let address: SocketAddr = to.address.parse().expect("members publish addresses");
        let ip = address.ip();
        let mut state = self.state();
        match state.cut(from, ip).or(state.cut(ip, from)) {
            Some(Cut::Silent) => return None,
            Some(Cut::Refused) => return refused(),
            None => {}
        }
        if !state.pods.contains(&ip) {
            return None;
        }
        let (one, other) = tokio::io::duplex(BUFFER);
        let id = state.next;
        state.next += 2;
        let Some(port) = state.ports.get_mut(&ip) else { return refused() };
        // As in the handshakes of TLS.
        if port.key != to.key {
            return Some(Err(io::Error::other("another key")));
        }
        if port.members.roster.identify(&key).is_none() {
            port.members.roster.note_unknown(&key);
            return Some(Err(io::Error::other("the peer does not know the key")));
        }
        let wire = |stream, id, from, to| Wire { network: self.clone(), stream, id, from, to };
        let there = wire(other, id + 1, from, ip);
        port.connections.spawn(server::serve_member(there, key, port.members.clone()));
        Some(Ok(wire(one, id, ip, from)))
    }
}

/// Connects as the process at an address.
pub struct Dialer {
    network: Network,
    ip: IpAddr,
    key: KeyDigest,
}

impl Dial for Dialer {
    fn key(&self) -> KeyDigest {
        self.key
    }

    fn dial<'a>(&'a self, to: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        Box::pin(async move {
            sleep(latency()).await;
            let connected = self.network.connect(self.ip, self.key, to);
            self.network.trace.add(|| {
                let result = connected.as_ref().map(|connected| connected.as_ref().map(|wire| wire.id));
                format!("{} connects to {}: {result:?}", self.ip, to.address)
            });
            match connected {
                Some(connected) => Ok(Box::new(connected?) as _),
                None => std::future::pending().await,
            }
        })
    }
}

/// Returns the time that a packet takes.
pub fn latency() -> Duration {
    Duration::from_micros(fastrand::u64(200..5_000))
}

/// One end of a connection, which reads what comes `from` an address.
struct Wire {
    network: Network,
    stream: DuplexStream,
    id: u64,
    from: IpAddr,
    to: IpAddr,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.network.state().waiting.remove(&self.id);
    }
}

impl Wire {
    /// Returns whether data passes, or else waits for a change.
    fn passes(&self, context: &Context<'_>, from: IpAddr, to: IpAddr) -> Poll<io::Result<()>> {
        let mut state = self.network.state();
        state.waiting.insert(self.id, context.waker().clone());
        match state.cut(from, to) {
            None => Poll::Ready(Ok(())),
            Some(Cut::Silent) => Poll::Pending,
            Some(Cut::Refused) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.passes(context, self.from, self.to))?;
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.network.trace.add(|| format!("wire {} reads {}", self.id, buffer.filled().len()));
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
