//! The replaceable connection to the API server.

use tracing::info;

use super::error::StartError;
use super::url::without_password;
use crate::intake::{self, SwappableClient};
use crate::sync::watch;

/// The connection to the API server, which a reload may replace.
#[derive(Debug)]
pub(super) struct ApiConnection {
    client: SwappableClient,
    config: watch::Sender<kube::Config>,
    /// Number of the cluster. It grows with each change to another cluster.
    cluster: u32,
}

impl ApiConnection {
    /// Returns the connection and a client that follows its changes.
    ///
    /// # Errors
    /// No client can be made of `config`.
    pub fn new(config: kube::Config) -> Result<(Self, kube::Client), StartError> {
        let (swappable, client) = SwappableClient::new(shared_client(&config)?);
        Ok((Self { client: swappable, config: watch::Sender::new(config), cluster: 0 }, client))
    }

    /// Uses `config` from the next request on. Another server address or CA counts as another cluster.
    ///
    /// # Errors
    /// No client can be made of `config`. Nothing changes then.
    pub fn replace(&mut self, config: kube::Config) -> Result<(), StartError> {
        let client = shared_client(&config)?;
        let is_same_cluster = {
            let before = self.config.borrow();
            (&before.cluster_url, &before.root_cert) == (&config.cluster_url, &config.root_cert)
        };
        if !is_same_cluster {
            self.cluster += 1;
            info!(server = without_password(&config.cluster_url), "API server changed: reloading all resources");
        }
        self.client.set(client);
        self.config.send_replace(config);
        Ok(())
    }

    pub fn cluster(&self) -> u32 {
        self.cluster
    }

    /// Returns the current configuration, and changes to it.
    pub fn config(&self) -> watch::Receiver<kube::Config> {
        self.config.subscribe()
    }
}

fn shared_client(config: &kube::Config) -> Result<kube::Client, StartError> {
    intake::shared_client(config.clone())
        .map_err(|source| StartError::Client { server: Box::new(config.cluster_url.clone()), source: Box::new(source) })
}
