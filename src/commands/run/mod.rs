//! `run`: one replica until it is told to stop. Its settings are laid anew when the files change of which they are made.

mod files;
mod reload;

use std::io;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::fleet::Unfit;
use crate::replica::{ClientError, Replica, StartError, StopReason, client_config, serve_unconfigured};
use crate::settings::{Layers, LayersError, SettingsError, Warning};
use crate::telemetry::{ConfigKind, Reloads, log_to_stderr};
use reload::Reloader;

/// Nothing was served: the settings do not work here.
const NOT_STARTED: u8 = 2;
/// Something broke that was served before.
const BROKEN: u8 = 1;

/// How long what cannot be interrupted is waited for at the end.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Why nothing was served.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    #[error("cannot listen for signals: {0}")]
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
    Unfit(Unfit),
}

/// Runs one replica until SIGTERM or SIGINT. The exit code is 0 then, 2 if it could not start, and 1 if a part of it broke.
///
/// A config file that is broken at the start is waited for, as kube-state-metrics does: nothing is served then but the telemetry
/// port of the flags, which says so. One that is missing ends the start.
///
/// # Errors
/// The settings are not valid.
pub fn run(layers: Layers) -> Result<ExitCode, LayersError> {
    let first = match Reloader::start(layers.clone()) {
        Err(LayersError::Config(error)) if !error.is_missing => None,
        started => Some(started?),
    };
    log_to_stderr(match &first {
        Some((reloader, _)) => reloader.settings().live.log,
        None => layers.without_config()?.0.live.log,
    });
    let served = runtime().map_err(RunError::Threads).and_then(|runtime| {
        let served = runtime.block_on(start(layers, first));
        // A name that is being looked up cannot be interrupted, and need not be waited for.
        runtime.shutdown_timeout(LAST_WAIT);
        served
    });
    Ok(served.unwrap_or_else(|error| {
        eprintln!("kube-state-fleet: {error}");
        ExitCode::from(NOT_STARTED)
    }))
}

/// What everything runs on.
///
/// NB: the number of threads is set, since tokio would else look for it in the environment too.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// `first` is what the files said; nothing if the config file has to be mended first.
async fn start(layers: Layers, first: Option<(Reloader, Vec<Warning>)>) -> Result<ExitCode, RunError> {
    // Before anything takes time, so that a signal is not missed.
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let (reloader, warnings) = match first {
        Some(first) => first,
        None => {
            tokio::select! {
                mended = wait(&layers) => mended?,
                () = signals.told() => return Ok(ExitCode::SUCCESS),
            }
            Reloader::start(layers)?
        }
    };
    for warning in warnings {
        warn!("{warning}");
    }
    serve(reloader, signals).await
}

/// What tells the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Until the config file is mended.
async fn wait(layers: &Layers) -> Result<(), RunError> {
    let (settings, _) = layers.without_config()?;
    let reloads = Arc::new(Reloads::default());
    if let Some(file) = layers.config() {
        reloads.failed(ConfigKind::Config, file);
    }
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve_unconfigured(&settings, reloads, stop.clone()).await?);
    reload::mended(layers).await;
    stop.cancel();
    // The port may be needed again.
    let _ = server.await;
    Ok(())
}

async fn serve(mut reloader: Reloader, mut signals: Signals) -> Result<ExitCode, RunError> {
    let settings = reloader.settings().clone();
    let config = client_config(&settings).await?;
    let mut replica = Replica::connect(settings, config, reloader.reloads()).await?;
    let code = loop {
        let changed = tokio::select! {
            () = signals.told() => break ExitCode::SUCCESS,
            changed = reloader.changed() => changed,
            ended = replica.stopped() => match ended {
                Ok(()) => break ExitCode::SUCCESS,
                Err(StopReason { unfit: Some(unfit), .. }) if !matches!(unfit, Unfit::Renumbered { .. }) => {
                    return Err(RunError::Unfit(unfit));
                }
                Err(reason) => {
                    // What is served would be frozen from now on; whoever started us shall start us anew.
                    error!(%reason, "stopping");
                    break ExitCode::from(BROKEN);
                }
            },
        };
        reloader.reload(&changed, &mut replica).await;
    };
    info!("stopping");
    tokio::select! {
        () = replica.leave() => {}
        // Who asks twice does not want to wait for answers to end, nor for other replicas.
        () = signals.told() => {}
    }
    Ok(code)
}
