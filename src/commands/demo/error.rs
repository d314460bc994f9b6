//! Errors of the demo.

use std::time::Duration;

use super::replicas::RequestError;
use crate::replica::{StartError, StopReason};
use crate::settings::SettingsError;
use crate::simulator::ApiError;

/// Timeout for loading.
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The error that ended the demo.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum DemoError {
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot set up a client: {0}")]
    Client(#[from] Box<kube::Error>),
    #[error(transparent)]
    Replica(#[from] StartError),
    #[error("the simulated cluster: {0}")]
    Cluster(#[from] ApiError),
    #[error("shard {0}: {1}")]
    Stopped(u32, StopReason),
    #[error("shard {0}: {1}")]
    Asked(u32, RequestError),
    #[error("shard {0} was not ready within {time} s: {1}", time = LOAD_TIMEOUT.as_secs())]
    NotReady(u32, String),
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}
