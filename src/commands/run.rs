//! `run`: one replica until it is told to stop.

use std::io;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::fleet::Unfit;
use crate::replica::{ClientError, Replica, StartError, StopReason, client_config};
use crate::settings::Settings;
use crate::telemetry::log_to_stderr;

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
    Client(#[from] ClientError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Unfit(Unfit),
}

/// Runs one replica until SIGTERM or SIGINT. The exit code is 0 then, 2 if it could not start, and 1 if a part of it broke.
pub fn run(settings: Settings) -> ExitCode {
    log_to_stderr(settings.log);
    let served = runtime().map_err(RunError::Threads).and_then(|runtime| {
        let served = runtime.block_on(serve(settings));
        // A name that is being looked up cannot be interrupted, and need not be waited for.
        runtime.shutdown_timeout(LAST_WAIT);
        served
    });
    match served {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kube-state-fleet: {error}");
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// What everything runs on.
///
/// NB: the number of threads is set, since tokio would else look for it in the environment too.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

async fn serve(settings: Settings) -> Result<ExitCode, RunError> {
    // Before anything takes time, so that a signal is not missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let config = client_config(&settings).await?;
    let mut replica = Replica::connect(settings, config).await?;
    let code = tokio::select! {
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
        ended = replica.stopped() => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(StopReason { unfit: Some(unfit), .. }) if !matches!(unfit, Unfit::Renumbered { .. }) => {
                return Err(RunError::Unfit(unfit));
            }
            Err(reason) => {
                // What is served would be frozen from now on; whoever started us shall start us anew.
                error!(%reason, "stopping");
                ExitCode::from(BROKEN)
            }
        },
    };
    info!("stopping");
    tokio::select! {
        () = replica.leave() => {}
        // Who asks twice does not want to wait for answers to end, nor for other replicas.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(code)
}
