//! `migrate`: reports what changes when this program replaces kube-state-metrics, given its arguments or its manifest, and turns the values
//! of its chart into those of this project's chart ([`values`]).

mod flags;
mod manifest;
mod schema;
mod values;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::cli::Migrate;
use super::render::{self, input::InputError};
use crate::file::{CONFIG_BYTES, ReadError};
use flags::{Change, changes, note, problem};
use manifest::{Deployed, Manifest};
use values::ValuesError;

/// The grace period that a handover may need, as in the manifests.
const GRACE_SECONDS: u64 = 180;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    /// The manifest cannot be read.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: ReadError,
    },
    /// The manifest contains no Kubernetes objects.
    #[error("{}: {reason}", file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// The document, and the reason.
        reason: InputError,
    },
    /// The manifest does not contain kube-state-metrics.
    #[error("{}: no workload with a kube-state-metrics container found", .0.display())]
    NothingThere(PathBuf),
    /// The values cannot be read.
    #[error("{}: {reason}", file.display())]
    Values {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: ValuesError,
    },
    /// The report cannot be printed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Prints a line per change, and nothing if nothing changes. Returns whether everything that the arguments ask for is done.
pub(super) fn run(arguments: &Migrate, out: &mut dyn Write) -> Result<bool, MigrateError> {
    if let Some(file) = &arguments.values {
        return migrate_values(file, out);
    }
    let mut is_complete = true;
    let mut print = |out: &mut dyn Write, heading: Option<&str>, changes: Vec<Change>| -> io::Result<()> {
        is_complete &= changes.iter().all(|change| !change.is_problem);
        for change in changes {
            match heading {
                Some(heading) => writeln!(out, "{heading}: {change}")?,
                None => writeln!(out, "{change}")?,
            }
        }
        Ok(())
    };
    let Some(file) = &arguments.manifest else {
        // Arguments copied from a process list begin with the program.
        let given = &arguments.arguments;
        let is_program =
            given.first().is_some_and(|first| !first.starts_with('-') && first.contains("kube-state-metrics"));
        let deployed = Deployed { arguments: given[usize::from(is_program)..].to_vec(), ..Deployed::default() };
        print(out, None, changes(&deployed, &Manifest::default()))?;
        return Ok(is_complete);
    };
    let text = render::read(file).map_err(|reason| MigrateError::File { file: file.clone(), reason })?;
    let manifest = Manifest::read(&text).map_err(|reason| MigrateError::Input { file: file.clone(), reason })?;
    if manifest.deployed.is_empty() {
        return Err(MigrateError::NothingThere(file.clone()));
    }
    let several = manifest.deployed.len() > 1;
    for deployed in &manifest.deployed {
        let mut changes = changes(deployed, &manifest);
        changes.extend(around(deployed, &manifest));
        print(out, several.then_some(deployed.workload.as_str()), changes)?;
    }
    Ok(is_complete)
}

/// Prints the values of this chart for those in a file. Returns whether everything that they ask for is done.
fn migrate_values(file: &Path, out: &mut dyn Write) -> Result<bool, MigrateError> {
    let text = render::read_within(file, CONFIG_BYTES);
    let text = text.map_err(|reason| MigrateError::File { file: file.to_owned(), reason })?;
    let migrated = values::migrate(&text);
    let migrated = migrated.map_err(|reason| MigrateError::Values { file: file.to_owned(), reason })?;
    out.write_all(migrated.print(&render::name(file)).as_bytes())?;
    Ok(migrated.is_complete())
}

/// Reports changes that the manifest around the container shows.
fn around(deployed: &Deployed, manifest: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    if deployed.first_ordinal > 0 {
        let text = "supported here; kube-state-metrics ignores it, so its shard indexes are too high";
        changes.push(note(format!("spec.ordinals.start: {}", deployed.first_ordinal), text));
    }
    let is_member = deployed.arguments.iter().any(|word| word.starts_with("--pod=") || word == "--pod");
    if is_member && !deployed.is_statefulset {
        let text = format!("the pod must belong to a StatefulSet, but belongs to {}", deployed.workload);
        changes.push(problem("--pod", text));
    }
    if !is_member || !deployed.is_statefulset {
        return changes;
    }
    if !manifest.has_leases() {
        changes.push(note(
            "Role",
            "no rule grants leases; without it the replicas do not hand objects over, see manifests/base/role.yaml",
        ));
    }
    if !deployed.environment.contains_key("POD_IP") {
        changes.push(note(
            "env: POD_IP",
            "not set: a replica then takes its address from the status of its Pod; set it from the field status.podIP",
        ));
    }
    if deployed.grace_seconds < GRACE_SECONDS {
        let text = format!(
            "limits a handover, after which a replica exits by itself; {GRACE_SECONDS} is enough, see docs/fleet.md"
        );
        changes.push(note(format!("terminationGracePeriodSeconds: {}", deployed.grace_seconds), text));
    }
    let services: Vec<_> = manifest.services(deployed).collect();
    match &services[..] {
        [] => changes.push(note(
            "Service",
            "none in the manifest selects the pods; if Prometheus finds the replicas by one, it needs publishNotReadyAddresses: \
             true, see manifests/base/service.yaml",
        )),
        [first, ..] if !services.iter().any(|service| service.publishes_not_ready) => changes.push(note(
            format!("Service {}", first.name),
            "set publishNotReadyAddresses: true; a terminating replica is not Ready, and still serves its objects",
        )),
        // Another Service may hide them.
        _ => {}
    }
    changes
}

#[cfg(test)]
mod tests;
