//! Proxies that can be interrupted: to the API server, and from replica to replica.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::io::{copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cluster::{Cluster, write_kubeconfig};
use crate::kubelet::Board;
use crate::stage::Stage;

/// The pause before another attempt to listen again.
const RETRY: Duration = Duration::from_millis(50);

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forwards them.
    Open,
    /// Forwards nothing: it keeps connections and accepts new ones.
    Silent,
    /// Forwards from clients to the server alone: it drops the answers.
    Unanswered,
    /// Closes all connections and each new one.
    Closed,
    /// Resets all connections and each new one.
    Reset,
    /// Resets all connections and does not listen, so that the system refuses new ones.
    Refused,
}

/// The servers that a proxy forwards to, one connection after the other.
#[derive(Debug)]
struct Servers {
    addresses: Vec<SocketAddr>,
    connections: AtomicUsize,
}

impl Servers {
    /// Connects to the next server, or to another one if that one cannot be reached, as a load balancer does.
    async fn connect(&self) -> Option<TcpStream> {
        let first = self.connections.fetch_add(1, Ordering::Relaxed);
        for turn in 0..self.addresses.len() {
            let address = self.addresses[(first + turn) % self.addresses.len()];
            if let Ok(connected) = TcpStream::connect(address).await {
                return Some(connected);
            }
        }
        None
    }
}

/// Forwards connections; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    /// The mode of new connections, unless it is [`Mode::Open`].
    new: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Forwards to the API server from the stage's address `host`.
    pub async fn start(stage: &Stage, host: u8, cluster: &Cluster) -> Result<Self> {
        Self::forward((stage.address(host), 0).into(), cluster.server_address()?).await
    }

    /// Forwards from `address` to `server`.
    pub async fn forward(address: SocketAddr, server: SocketAddr) -> Result<Self> {
        Self::balance(address, &[server]).await
    }

    /// Forwards from `address` to these servers in turn.
    pub async fn balance(address: SocketAddr, servers: &[SocketAddr]) -> Result<Self> {
        let servers = Arc::new(Servers { addresses: servers.to_vec(), connections: AtomicUsize::new(0) });
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Mode::Open);
        let (new, watched_new) = watch::channel(Mode::Open);
        let task = tokio::spawn(listen(listener, address, servers, watched, watched_new));
        Ok(Self { address, mode, new, task })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what happens to all connections.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
        self.new.send_replace(Mode::Open);
    }

    /// Sets what happens to connections that are opened from now on. Others continue until an end closes them.
    pub fn set_for_new(&self, mode: Mode) {
        self.new.send_replace(mode);
    }

    /// Lets the next containers of an ordinal reach the API server by this proxy.
    pub fn lead(&self, stage: &Stage, cluster: &Cluster, board: &Board, ordinal: u8) -> Result<()> {
        let kubeconfig = stage.directory.join("kubeconfig-proxy");
        self.write_kubeconfig(&kubeconfig, cluster)?;
        board.lock().kubeconfigs.insert(ordinal, kubeconfig);
        Ok(())
    }

    /// Writes a kubeconfig whose server is this proxy.
    pub fn write_kubeconfig(&self, path: &Path, cluster: &Cluster) -> Result<()> {
        let server = json!({
            "server": format!("https://{}", self.address),
            "certificate-authority": cluster.ca_file,
            // A name in the certificate; it does not contain the address of the proxy.
            "tls-server-name": "localhost",
        });
        write_kubeconfig(path, &server, &cluster.token)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections while the modes permit it.
async fn listen(
    listener: TcpListener,
    address: SocketAddr,
    servers: Arc<Servers>,
    mut mode: watch::Receiver<Mode>,
    mut new: watch::Receiver<Mode>,
) {
    let mut listener = Some(listener);
    // Dropped with this task, which closes the connections.
    let mut connections = JoinSet::new();
    loop {
        let (now, of_new) = (*mode.borrow_and_update(), *new.borrow_and_update());
        let refused = now == Mode::Refused || of_new == Mode::Refused;
        match &listener {
            Some(_) if refused => listener = None,
            Some(open) => {
                tokio::select! {
                    Ok((client, _)) = open.accept() => {
                        let mode = if of_new == Mode::Open { &mode } else { &new };
                        connections.spawn(carry(client, Arc::clone(&servers), mode.clone()));
                        while connections.try_join_next().is_some() {}
                    }
                    Ok(()) = mode.changed() => {}
                    Ok(()) = new.changed() => {}
                    else => return,
                }
            }
            None if refused => {
                tokio::select! {
                    Ok(()) = mode.changed() => {}
                    Ok(()) = new.changed() => {}
                    else => return,
                }
            }
            None => match TcpListener::bind(address).await {
                Ok(open) => listener = Some(open),
                Err(_) => tokio::time::sleep(RETRY).await,
            },
        }
    }
}

/// Forwards one connection while the mode permits it.
async fn carry(mut client: TcpStream, servers: Arc<Servers>, mut mode: watch::Receiver<Mode>) {
    let mut upstream: Option<TcpStream> = None;
    loop {
        let now = *mode.borrow_and_update();
        match (now, &mut upstream) {
            (Mode::Closed, _) => return,
            (Mode::Reset | Mode::Refused, upstream) => {
                // With data discarded at once, a close is a reset.
                let _ = client.set_zero_linger();
                if let Some(connected) = upstream {
                    let _ = connected.set_zero_linger();
                }
                return;
            }
            (Mode::Open | Mode::Unanswered, None) => match servers.connect().await {
                Some(connected) => upstream = Some(connected),
                None => return,
            },
            (Mode::Open, Some(connected)) => {
                tokio::select! {
                    // One end closed. HTTP has no use for a half-closed connection.
                    _ = copy_bidirectional(&mut client, connected) => return,
                    changed = mode.changed() => if changed.is_err() { return },
                }
            }
            (Mode::Unanswered, Some(connected)) => {
                // As below, a connection that lost data cannot continue.
                tokio::select! {
                    _ = copy(&mut client, connected) => return,
                    _ = mode.changed() => return,
                }
            }
            (Mode::Silent, carried) => {
                // Data in transit is lost, as when a firewall drops the state of a connection.
                if mode.changed().await.is_err() || carried.is_some() {
                    return;
                }
            }
        }
    }
}
