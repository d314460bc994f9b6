//! A proxy to the API server that can be interrupted.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cluster::{Cluster, write_kubeconfig};
use crate::stage::Stage;

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forwards them.
    Open,
    /// Forwards nothing: it keeps connections and accepts new ones.
    Silent,
    /// Closes all connections and each new one.
    Closed,
}

/// Forwards connections to the API server; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on the stage's address `host`.
    pub async fn start(stage: &Stage, host: u8, cluster: &Cluster) -> Result<Self> {
        let listener = TcpListener::bind((stage.address(host), 0)).await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Mode::Open);
        let server = cluster
            .server
            .trim_start_matches("https://")
            .parse()
            .context("the address of the API server is not IP:PORT")?;
        let task = tokio::spawn(async move {
            // Dropped with this task, which closes the connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, server, watched.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, mode, task })
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
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

/// Forwards one connection while the mode permits it.
async fn carry(mut client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let mut upstream = None;
    loop {
        let now = *mode.borrow_and_update();
        match (now, &mut upstream) {
            (Mode::Closed, _) => return,
            (Mode::Open, None) => match TcpStream::connect(server).await {
                Ok(connected) => upstream = Some(connected),
                Err(_) => return,
            },
            (Mode::Open, Some(connected)) => {
                tokio::select! {
                    // One end closed. HTTP has no use for a half-closed connection.
                    _ = copy_bidirectional(&mut client, connected) => return,
                    changed = mode.changed() => if changed.is_err() { return },
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
