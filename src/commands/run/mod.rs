//! `run`: runs one replica until a signal stops it, and reloads its settings when their files change.

mod files;
mod reload;
mod start_pages;

use std::io;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::output::print_line;
use crate::fleet::FleetError;
use crate::replica::{ClientError, Replica, StartError, StopReason, client_config, serve_unconfigured};
use crate::settings::{Layers, LayersError, SettingsError, Warning};
use crate::telemetry::{ConfigKind, Reloads, log_to_stderr};
use reload::Reloader;
use start_pages::StartPages;

/// The exit code if the replica could not start, because the settings do not work here.
const NOT_STARTED: u8 = 2;
/// The exit code if a part of the running replica failed.
const BROKEN: u8 = 1;

/// How long to wait at the end for tasks that cannot be interrupted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the replica could not start.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("starting threads failed: {0}")]
    Threads(#[source] io::Error),
    #[error("installing signal handlers failed: {0}")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Layers(#[from] LayersError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Unfit(FleetError),
}

/// Runs one replica until SIGTERM or SIGINT. Returns 0 then, 2 if it could not start, and 1 if a part of it failed.
///
/// If the config file is not valid at the start, it waits until the file is fixed, as kube-state-metrics does. Meanwhile it
/// serves only the telemetry port of the flags, where `/readyz` reports the problem. A missing config file is an error.
///
/// # Errors
/// The settings are not valid.
pub fn run(layers: Layers) -> Result<ExitCode, LayersError> {
    let first = match Reloader::start(layers.clone()) {
        Ok(started) => Some(started),
        Err(error) => match layers.read_all(None) {
            // Also if the file of custom resources, which is an error by itself, is not valid either.
            Err(errors) if !layers.continue_without_config() && errors.iter().any(can_be_fixed) => None,
            _ => return Err(error),
        },
    };
    log_to_stderr(match &first {
        Some((reloader, _)) => reloader.settings().live.log,
        None => layers.without_files()?.live.log,
    });
    raise_file_limit();
    let served = runtime().map_err(RunError::Threads).and_then(|runtime| {
        let served = runtime.block_on(start(layers, first));
        // A DNS lookup in progress cannot be interrupted, so do not wait for it.
        runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        served
    });
    Ok(served.unwrap_or_else(|error| {
        print_line(&mut io::stderr(), &error.to_string());
        ExitCode::from(NOT_STARTED)
    }))
}

/// Raises the limit of open files to the hard limit. A member of the largest fleet has 2,046 connections to others, and the usual
/// soft limit is 1,024. A failure changes nothing.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised) {
            warn!(%error, "cannot raise the limit of open files");
        }
    }
}

/// Whether the error may be fixed while the program runs: a config file that is not valid, but exists.
const fn can_be_fixed(error: &LayersError) -> bool {
    matches!(error, LayersError::Config(error) if !error.is_missing)
}

/// Creates the runtime.
///
/// NB: sets the number of threads, because tokio would otherwise also read it from the environment.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// Starts a replica. `first` is the loaded configuration, or `None` if the config file must be fixed first.
async fn start(layers: Layers, first: Option<(Reloader, Vec<Warning>)>) -> Result<ExitCode, RunError> {
    // First of all, so that no signal is missed.
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let (reloader, warnings) = match first {
        Some(first) => first,
        None => {
            tokio::select! {
                fixed = wait_for_config(&layers) => fixed?,
                () = signals.received() => return Ok(ExitCode::SUCCESS),
            }
            Reloader::start(layers)?
        }
    };
    for warning in warnings {
        warn!("{warning}");
    }
    serve(reloader, signals).await
}

/// The signals that stop the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits until the config file is valid, and the file of custom resources with it.
async fn wait_for_config(layers: &Layers) -> Result<(), RunError> {
    let settings = layers.without_files()?;
    let reloads = Arc::new(Reloads::default());
    if let Some(file) = layers.config() {
        reloads.failed(ConfigKind::Config, file);
    }
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve_unconfigured(&settings, Arc::clone(&reloads), stop.clone()).await?);
    reload::config_fixed(layers, &reloads).await;
    stop.cancel();
    // The next configuration may use the same port.
    let _ = server.await;
    Ok(())
}

async fn serve(mut reloader: Reloader, mut signals: Signals) -> Result<ExitCode, RunError> {
    let settings = reloader.settings().clone();
    let started = async {
        let client = client_config(&settings).await?;
        reloader.renew_in(client.renew_in);
        Ok::<_, RunError>(Replica::connect(settings, client.config, reloader.reloads()).await?)
    };
    let mut replica = tokio::select! {
        started = started => started?,
        // A plugin of the kubeconfig may take a while.
        () = signals.received() => return Ok(ExitCode::SUCCESS),
    };
    let mut pages = StartPages::new();
    let code = loop {
        let changed = tokio::select! {
            () = signals.received() => break ExitCode::SUCCESS,
            changed = reloader.changed() => changed,
            () = pages.due() => {
                pages.look(replica.missing().is_empty());
                continue;
            }
            ended = replica.stopped() => match ended {
                Ok(()) => break ExitCode::SUCCESS,
                Err(StopReason { unfit: Some(unfit), .. }) if !matches!(unfit, FleetError::Renumbered { .. }) => {
                    return Err(RunError::Unfit(unfit));
                }
                Err(reason) => {
                    // The served metrics would be frozen from now on, so exit and let the kubelet restart the process.
                    error!(%reason, "stopping");
                    break ExitCode::from(BROKEN);
                }
            },
        };
        tokio::select! {
            // Whatever is in the files, the replica keeps running.
            reloaded = AssertUnwindSafe(reloader.reload(&changed, &mut replica)).catch_unwind() => {
                if reloaded.is_err() {
                    error!("reloading the configuration failed by a defect of this program; please report it");
                }
            }
            () = signals.received() => break ExitCode::SUCCESS,
        }
    };
    info!("stopping");
    tokio::select! {
        () = replica.leave() => {}
        // A second signal skips waiting for answers in progress and for other replicas.
        () = signals.received() => {}
    }
    Ok(code)
}
