//! A way to the API server that can be cut.

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

/// What a way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It carries what comes.
    Open,
    /// It carries nothing and says nothing: connections stay, new ones are taken.
    Silent,
    /// It closes the connections that there are, and each new one.
    Closed,
}

/// Forwards connections to the API server; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on the stage's address `host`.
    pub async fn start(stage: &Stage, host: u8, cluster: &Cluster) -> Result<Self> {
        let listener = TcpListener::bind((stage.address(host), 0)).await?;
        let address = listener.local_addr()?;
        let (way, watched) = watch::channel(Way::Open);
        let server = cluster.server.trim_start_matches("https://").parse().context("an odd address of a server")?;
        let task = tokio::spawn(async move {
            // Ends with this task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, server, watched.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, way, task })
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Writes a kubeconfig that leads through here.
    pub fn write_kubeconfig(&self, path: &Path, cluster: &Cluster) -> Result<()> {
        let server = json!({
            "server": format!("https://{}", self.address),
            "certificate-authority": cluster.ca_file,
            // What the certificate says besides the server's own address.
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

/// Carries one connection, while the way lets it.
async fn carry(mut client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    let mut upstream = None;
    loop {
        let now = *way.borrow_and_update();
        match (now, &mut upstream) {
            (Way::Closed, _) => return,
            (Way::Open, None) => match TcpStream::connect(server).await {
                Ok(connected) => upstream = Some(connected),
                Err(_) => return,
            },
            (Way::Open, Some(connected)) => {
                tokio::select! {
                    // Either end closed; a half-closed connection is of no use to HTTP.
                    _ = copy_bidirectional(&mut client, connected) => return,
                    changed = way.changed() => if changed.is_err() { return },
                }
            }
            (Way::Silent, carried) => {
                // What was under way is lost, as when a firewall has forgotten a flow.
                if way.changed().await.is_err() || carried.is_some() {
                    return;
                }
            }
        }
    }
}
