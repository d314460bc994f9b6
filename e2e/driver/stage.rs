//! The stage of a case: its directory, its loopback addresses, the programs, the size.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cluster::Shared;

/// The size of the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Small: minutes for all cases together.
    Ci,
    /// The sizes that the project promises.
    Long,
}

/// The stage of one case. Stages that exist at the same time share no address, and in one clone no directory.
pub struct Stage {
    /// The name of the case, and of its namespace.
    pub case: String,
    /// The case's directory, empty at the start.
    pub directory: PathBuf,
    pub size: Size,
    /// The control plane that most cases share.
    pub shared: Arc<Shared>,
    network: [u8; 3],
    /// Reserves the network: other runs cannot listen here.
    _claim: TcpListener,
}

impl Stage {
    pub fn new(case: &str, size: Size, shared: &Arc<Shared>) -> Result<Self> {
        let directory = Self::directory(case);
        if directory.exists() {
            std::fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
        }
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let (network, claim) = claim_network()?;
        Ok(Self { case: case.to_owned(), directory, size, shared: Arc::clone(shared), network, _claim: claim })
    }

    /// The directory of a case.
    pub fn directory(case: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/run").join(case)
    }

    /// One of the stage's loopback addresses.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, host)
    }

    /// A free port of one of the stage's addresses.
    pub fn free_port(&self, host: u8) -> Result<u16> {
        let listener = TcpListener::bind((self.address(host), 0)).context("no free port")?;
        Ok(listener.local_addr()?.port())
    }

    /// A program that `scripts/e2e` has built.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        existing(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/.cache/bin").join(name))
    }

    /// The tested binary: KUBE_STATE_FLEET, or the one that Cargo built together with this program.
    pub fn exporter(&self) -> Result<PathBuf> {
        let given = std::env::var_os("KUBE_STATE_FLEET").map(PathBuf::from);
        existing(given.unwrap_or_else(|| env!("CARGO_BIN_EXE_kube-state-fleet").into()))
    }

    /// A file of the repository.
    pub fn repository(&self, path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// A file of `manifests/base`.
    pub fn manifest(&self, name: &str) -> Result<Value> {
        let file = self.repository("manifests/base").join(name);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_saphyr::from_str(&text)?)
    }

    /// Pods for the loader.
    pub fn pods(&self) -> usize {
        match self.size {
            Size::Ci => 600,
            Size::Long => 10_000,
        }
    }
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{} is missing; scripts/e2e builds it", path.display());
    }
    Ok(path)
}

/// Reserves a /24 below 127.0.0.0/9 by listening on a port of it, so that other runs skip it. Each run starts with a different
/// one. The pods of the loader have addresses in the other half.
fn claim_network() -> Result<([u8; 3], TcpListener)> {
    const CLAIM_PORT: u16 = 20_009;
    let start = std::process::id();
    for step in 0..1000 {
        let [_, high, middle, low] = start.wrapping_add(step).to_be_bytes();
        let network = [127, 1 + (high ^ middle) % 126, low];
        if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, network[1], network[2], 1), CLAIM_PORT)) {
            return Ok((network, claim));
        }
    }
    bail!("no loopback network is free: another run may be hanging")
}
