//! Fills a store from a live cluster, with a temporary replica that stops when it has loaded all objects.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep, timeout};

use crate::commands::connect::{ConnectError, connect};
use crate::commands::{output::print_line, run::runtime};
use crate::exposition::Store;
use crate::replica::{Replica, StartError, StopReason};
use crate::settings::{Listen, Settings};

/// How long the API server may take to return its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check whether all resources are loaded.
const CHECK_PERIOD: Duration = Duration::from_millis(100);
/// How often to print the resources that are still loading.
const REPORT_PERIOD: Duration = Duration::from_secs(2);
/// Gives up if no further resource was loaded within this time.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a cluster could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum LoadError {
    #[error("starting failed: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the API server at {server} does not answer: {reason}")]
    NoAnswer { server: Box<Uri>, reason: String },
    #[error(transparent)]
    Replica(#[from] StartError),
    #[error("stopped: {0}")]
    Stopped(#[from] StopReason),
    #[error("loading timed out after {} s; missing: {missing}", LOAD_TIMEOUT.as_secs())]
    TimedOut { missing: String },
}

/// Loads the objects of the cluster, stops watching, and passes the store to `weigh`. Returns its result, and whether all resources could be read.
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
            print_line(err, &format!("skipped {resource}: the API server refused access (status {status})"));
        }
        let store = replica.store();
        // NB: no watch may change the store while it is weighed. The parts of a report would be of different times.
        replica.stop().await;
        Ok((weigh(store), refused.is_empty()))
    });
    // No remaining task needs to complete.
    runtime.shutdown_background();
    outcome
}

async fn start(settings: &Settings) -> Result<Replica, LoadError> {
    let (client, config) = connect(settings).await?;
    let no_answer = |reason: String| LoadError::NoAnswer { server: Box::new(config.cluster_url.clone()), reason };
    match timeout(VERSION_TIMEOUT, client.apiserver_version()).await {
        // Access to the version may be forbidden; any answer proves that the server is up.
        Ok(Ok(_) | Err(kube::Error::Api(_))) => {}
        Ok(Err(error)) => return Err(no_answer(error.to_string())),
        Err(_) => return Err(no_answer(format!("no answer within {} s", VERSION_TIMEOUT.as_secs()))),
    }
    let anywhere = Listen { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };
    let mut settings = settings.clone();
    (settings.fixed.metrics, settings.fixed.telemetry) = (anywhere, anywhere);
    Ok(Replica::connect(settings, config, Arc::default()).await?)
}

/// Waits until all resources are loaded, and prints those that are missing from time to time.
async fn wait(replica: &mut Replica, err: &mut dyn Write) -> Result<(), LoadError> {
    let (mut reported, mut progressed, mut before) = (Instant::now(), Instant::now(), usize::MAX);
    loop {
        let missing = replica.missing();
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() < before {
            (before, progressed) = (missing.len(), Instant::now());
        }
        if progressed.elapsed() > LOAD_TIMEOUT {
            return Err(LoadError::TimedOut { missing: missing.join(", ") });
        }
        if reported.elapsed() > REPORT_PERIOD {
            reported = Instant::now();
            print_line(err, &format!("loading: {}", missing.join(", ")));
        }
        tokio::select! {
            () = sleep(CHECK_PERIOD) => {}
            ended = replica.stopped() => ended?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::commands::cli;
    use crate::simulator::{ResourceType, Simulator};

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_changes_the_store_while_it_is_weighed() {
        // Secrets are watched on a thread of their own.
        let kinds = vec![ResourceType::of::<k8s_openapi::api::core::v1::Pod>(), ResourceType::of::<Secret>()];
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), kinds).await.expect("a free port");
        simulator
            .apply(&json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "d" } }))
            .expect("applied");
        let line =
            ["kube-state-fleet", "estimate", "--resources=pods,secrets", &format!("--apiserver={}", simulator.url())];
        let invocation = cli::read(line.map(OsString::from)).expect("flags");
        let (settings, _) = crate::settings::Layers { flags: invocation.flags, ..Default::default() }
            .without_config()
            .expect("settings");
        let weighed = tokio::task::spawn_blocking(move || {
            let open = || ["pods", "secrets"].map(|resource| simulator.open_watches(resource));
            // The server notices the end of a connection a moment later.
            let weigh = |_| {
                (0..2000).any(|_| {
                    open() == [0, 0] || {
                        std::thread::sleep(Duration::from_millis(10));
                        false
                    }
                })
            };
            with_cluster(&settings, &mut io::sink(), weigh).map_err(|error| error.to_string())
        });
        assert_eq!(weighed.await.expect("no panic"), Ok((true, true)), "a watch is open");
    }
}
