//! Errors of starting a replica.

use std::net::SocketAddr;

use super::url::without_password;
use crate::fleet::tls::KeyError;
use crate::settings::yaml::FileError;
use crate::sharding::AssignmentError;

/// Why a replica did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Binding a port failed.
    #[error("{flags}: cannot listen on {address}: {source}")]
    Listen {
        /// The flags that give the address.
        flags: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// Certificates or credentials are unusable.
    #[error("cannot set up a client for {}: {source}", without_password(server))]
    Client {
        /// The API server.
        server: Box<http::Uri>,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// The file of `--tls-config` is unusable.
    #[error("--tls-config: {0}")]
    WebConfig(#[from] FileError),
    /// The fleet port cannot be secured.
    #[error("--fleet-port: {0}")]
    Key(#[from] KeyError),
    /// The thread that reads Secrets did not start.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The shard is invalid.
    #[error("--total-shards: {0}")]
    Shards(#[from] AssignmentError),
}
