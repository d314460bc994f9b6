//! A store filled from a live cluster: by a replica of its own, which serves nobody and ends when it has loaded.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep, timeout};

use crate::commands::{run::runtime, say};
use crate::exposition::Store;
use crate::intake;
use crate::replica::{ClientError, Replica, StartError, StopReason, client_config};
use crate::settings::{Listen, Settings};

/// How long the API server may take to say its version.
const GREETING: Duration = Duration::from_secs(10);
/// How often it is looked whether all is loaded.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is said what is missing.
const TELL: Duration = Duration::from_secs(2);
/// After so long without a resource more, something is wrong.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a cluster was not loaded.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum LoadError {
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot set up a client: {0}")]
    SetUp(Box<kube::Error>),
    #[error("{server}: the API server does not answer: {reason}")]
    Silent { server: Box<Uri>, reason: String },
    #[error(transparent)]
    Replica(#[from] StartError),
    #[error("stopped: {0}")]
    Stopped(#[from] StopReason),
    #[error("not loaded within {} s: {missing}", PATIENCE.as_secs())]
    Slow { missing: String },
}

/// What `weigh` makes of the cluster's objects, and whether all of them could be read.
pub(super) fn with_cluster<T>(
    settings: &Settings,
    err: &mut dyn Write,
    weigh: impl FnOnce(Arc<Store>) -> T,
) -> Result<(T, bool), LoadError> {
    let runtime = runtime().map_err(LoadError::Start)?;
    let outcome = runtime.block_on(async {
        let mut replica = start(settings).await?;
        wait(&mut replica, err).await?;
        let refused = replica.refused();
        for (resource, status) in &refused {
            say(err, &format!("left out: {resource}: the API server refuses them ({status})"));
        }
        let weighed = weigh(replica.store());
        replica.stop().await;
        Ok((weighed, refused.is_empty()))
    });
    // Nothing is left that would have to end well.
    runtime.shutdown_background();
    outcome
}

async fn start(settings: &Settings) -> Result<Replica, LoadError> {
    let config = client_config(settings).await?;
    let client = intake::shared_client(config.clone()).map_err(|error| LoadError::SetUp(Box::new(error)))?;
    let silent = |reason: String| LoadError::Silent { server: Box::new(config.cluster_url.clone()), reason };
    match timeout(GREETING, client.apiserver_version()).await {
        // It may keep its version to itself.
        Ok(Ok(_) | Err(kube::Error::Api(_))) => {}
        Ok(Err(error)) => return Err(silent(error.to_string())),
        Err(_) => return Err(silent(format!("nothing within {} s", GREETING.as_secs()))),
    }
    let anywhere = Listen { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };
    let mut settings = settings.clone();
    (settings.fixed.metrics, settings.fixed.telemetry) = (anywhere, anywhere);
    Ok(Replica::connect(settings, config, Arc::default()).await?)
}

/// Until all is loaded; says what is missing if that takes long.
async fn wait(replica: &mut Replica, err: &mut dyn Write) -> Result<(), LoadError> {
    let (mut told, mut moved, mut before) = (Instant::now(), Instant::now(), usize::MAX);
    loop {
        let missing = replica.missing();
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() < before {
            (before, moved) = (missing.len(), Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            return Err(LoadError::Slow { missing: missing.join(", ") });
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            say(err, &format!("loading: {}", missing.join(", ")));
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            ended = replica.stopped() => ended?,
        }
    }
}
