//! The client of a command that asks the API server.

use kube::{Client, Config};

use crate::intake;
use crate::replica::{ClientError, client_config};
use crate::settings::Settings;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Config(#[from] ClientError),
    #[error("creating a client for the API server failed: {0}")]
    SetUp(#[from] Box<kube::Error>),
}

/// Returns a client with the credentials of the flags, of the kubeconfig, or of the Pod, and its configuration.
pub(super) async fn connect(settings: &Settings) -> Result<(Client, Config), ConnectError> {
    let config = client_config(settings).await?.config;
    let client = intake::shared_client(config.clone()).map_err(Box::new)?;
    Ok((client, config))
}
