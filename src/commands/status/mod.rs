//! `status` and `forget`: shows the stored state of a fleet, and declares a member gone.
//!
//! Both use only the API server, so they work while replicas do not answer. [`report`] judges and prints without I/O.

mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use super::cli::{FleetName, Forget, Output, Status};
use super::connect::{ConnectError, connect};
use super::run::runtime;
use crate::fleet::{InspectError, Inspector};
use crate::settings::Settings;
use report::Report;

/// The exit code if the fleet is not settled, or has a problem.
const NOT_SETTLED: u8 = 1;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatusError {
    #[error("starting failed: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("no StatefulSet and no Leases of {0}: set --statefulset and --fleet-namespace")]
    NotFound(String),
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Prints the state of the fleet. Returns 0 if it is settled, else 1.
pub(super) fn run(settings: &Settings, arguments: &Status, out: &mut dyn Write) -> Result<ExitCode, StatusError> {
    let report = runtime().map_err(StatusError::Start)?.block_on(async {
        let inspector = inspector(settings, &arguments.fleet).await?;
        let stored = inspector.read().await?;
        if stored.statefulset.is_none() && stored.record.is_none() && stored.members.is_empty() {
            return Err(StatusError::NotFound(inspector.fleet()));
        }
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
        Ok(Report::new(inspector.fleet(), &stored, now))
    })?;
    match arguments.output {
        Output::Table => report.print(out)?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?,
    }
    Ok(if report.settled { ExitCode::SUCCESS } else { NOT_SETTLED.into() })
}

/// Declares a member gone.
pub(super) fn forget(settings: &Settings, arguments: &Forget, out: &mut dyn Write) -> Result<(), StatusError> {
    let ordinal = arguments.ordinal;
    let fleet = runtime().map_err(StatusError::Start)?.block_on(async {
        let inspector = inspector(settings, &arguments.fleet).await?;
        inspector.forget(ordinal, arguments.force).await?;
        Ok::<_, StatusError>(inspector.fleet())
    })?;
    writeln!(out, "member {ordinal} of {fleet} is declared gone; the others take over its objects")?;
    Ok(())
}

async fn inspector(settings: &Settings, fleet: &FleetName) -> Result<Inspector, StatusError> {
    let (client, config) = connect(settings).await?;
    let namespace = fleet.fleet_namespace.clone().unwrap_or(config.default_namespace);
    Ok(Inspector::new(&client, namespace, fleet.statefulset.clone()))
}
