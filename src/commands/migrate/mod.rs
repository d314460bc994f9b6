//! `migrate`: reports what changes when this program replaces kube-state-metrics, given its arguments.

mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Arg;

use super::cli::{self, Migrate};
use super::render::{self, input::InputError};
use super::upstream::{self, UpstreamFlag};
use crate::file::ReadError;
use crate::settings::{ConfigFile, Environment, Flags, Layers, LayersError, Warning};
use manifest::{Deployed, Manifest};

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
    /// The report cannot be printed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    /// Whether the program does not start, or does not do something that the arguments ask for.
    is_problem: bool,
    /// The subject: a flag or a variable.
    about: String,
    text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

fn note(about: impl Into<String>, text: impl Into<String>) -> Change {
    Change { is_problem: false, about: about.into(), text: text.into() }
}

fn problem(about: impl Into<String>, text: impl Into<String>) -> Change {
    Change { is_problem: true, about: about.into(), text: text.into() }
}

/// Prints a line per change, and nothing if nothing changes. Returns whether everything that the arguments ask for is done.
pub(super) fn run(arguments: &Migrate, out: &mut dyn Write) -> Result<bool, MigrateError> {
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
        print(out, None, changes(&deployed, &BTreeMap::new()))?;
        return Ok(is_complete);
    };
    let text = render::read(file).map_err(|reason| MigrateError::File { file: file.clone(), reason })?;
    let manifest = Manifest::read(&text).map_err(|reason| MigrateError::Input { file: file.clone(), reason })?;
    if manifest.deployed.is_empty() {
        return Err(MigrateError::NothingThere(file.clone()));
    }
    let several = manifest.deployed.len() > 1;
    for deployed in &manifest.deployed {
        let mut changes = changes(deployed, &manifest.files);
        changes.extend(around(deployed, &manifest));
        print(out, several.then_some(deployed.workload.as_str()), changes)?;
    }
    Ok(is_complete)
}

/// A given flag, with its words on the command line.
struct Given {
    name: String,
    value: Option<String>,
    words: Vec<String>,
}

/// Splits a command line into flags and other words, as pflag does.
fn given(arguments: &[String]) -> (Vec<Given>, Vec<String>) {
    let (mut flags, mut others) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|name| !name.is_empty());
        let Some(name) = name else {
            others.push(word.clone());
            continue;
        };
        let mut words = vec![word.clone()];
        let (name, mut value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let needs_value = upstream::flag(name).is_some_and(|flag| !flag.is_switch && name != "help");
        if value.is_none()
            && needs_value
            && let Some(next) = rest.next()
        {
            words.push(next.clone());
            value = Some(next.clone());
        }
        flags.push(Given { name: name.to_owned(), value, words });
    }
    (flags, others)
}

/// Reports the changes for a container. `files` are the files that may be mounted into it.
fn changes(deployed: &Deployed, files: &BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    let (flags, others) = given(&deployed.arguments);
    for word in others {
        changes.push(problem(word, "not a flag; kube-state-metrics starts no exporter with this argument"));
    }
    let root = cli::definition();
    let mut reported = BTreeSet::new();
    let mut kept = Vec::new();
    for flag in flags {
        let about = format!("--{}", flag.name);
        let ours = root.get_arguments().find(|arg| is_called(arg, &flag.name));
        let change = match (upstream::flag(&flag.name), ours) {
            (None, None) => Some(problem(
                &about,
                format!("unknown, also to kube-state-metrics v2.20.0{}; rejected", hint(&flag.name)),
            )),
            (Some(_), None) => Some(problem(&about, "not supported yet; rejected")),
            (_, Some(arg)) if arg.is_hide_set() => Some(note(&about, without_effect(&flag.name))),
            (there, Some(_)) => match alone(&flag.words) {
                Err(reason) => Some(problem(&about, format!("rejected: {reason}"))),
                Ok(_) => {
                    kept.extend(flag.words.clone());
                    let text = match there {
                        Some(there) => differs(there, flag.value.as_deref()),
                        None => Some("works here, but kube-state-metrics v2.20.0 does not have it"),
                    };
                    text.map(|text| note(&about, text))
                }
            },
        };
        changes.extend(change.filter(|_| reported.insert(about)));
    }
    if let Ok(flags) = alone(&kept) {
        changes.extend(settings(deployed, flags, files));
    }
    changes
}

fn is_called(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_short().is_some_and(|short| name == short.to_string())
}

fn hint(name: &str) -> String {
    let likeness = |flag: &UpstreamFlag| strsim::jaro_winkler(name, flag.name);
    let best = upstream::flags().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|flag| likeness(flag) > 0.9)
        .map_or_else(String::new, |flag| format!(" (did you mean --{}?)", flag.name))
}

fn without_effect(name: &str) -> &'static str {
    match name {
        "auto-gomemlimit" | "auto-gomemlimit-ratio" => "no effect: this program has no garbage collector",
        _ => "no effect: this program logs to stderr, without klog's files and headers",
    }
}

/// Parses `words` as flags of this program.
fn alone(words: &[String]) -> Result<Flags, String> {
    let line = std::iter::once("kube-state-fleet".to_owned()).chain(words.iter().cloned()).map(OsString::from);
    cli::read(line).map(|invocation| invocation.flags).map_err(|error| cli::one_line(&error))
}

/// How a flag works differently here.
fn differs(flag: UpstreamFlag, value: Option<&str>) -> Option<&'static str> {
    match flag.name {
        "pod" => Some(
            "the replicas of the StatefulSet hand objects over to each other, which needs permission to use Leases \
             (manifests/base/role.yaml); without it they shard as kube-state-metrics does, with a warning",
        ),
        "total-shards" if value.is_some_and(|value| value.trim() != "1") => {
            Some("another hash assigns objects to shards: migrate all replicas of a sharded set together")
        }
        "track-unscheduled-pods" => Some(
            "serves other resources only if --resources names them, or if they are cluster-scoped; in kube-state-metrics \
                 the lists of namespaced ones fail",
        ),
        _ => None,
    }
}

/// Replaces references to variables that only the kubelet knows, such as `$(POD_NAME)`, by names that are valid.
fn with_names(mut flags: Flags) -> Flags {
    let is_reference = |name: &String| name.contains("$(");
    for (name, stand_in) in [(&mut flags.pod, "pod-0"), (&mut flags.pod_namespace, "namespace")] {
        if name.as_ref().is_some_and(is_reference) {
            *name = Some(stand_in.to_owned());
        }
    }
    for list in [&mut flags.namespaces, &mut flags.namespaces_denylist] {
        list.iter_mut().filter(|names| is_reference(names)).for_each(|names| *names = "namespace".to_owned());
    }
    flags
}

/// Reports changes that only the resolved settings show: contradictions, the config file, the environment.
fn settings(deployed: &Deployed, flags: Flags, files: &BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    let variables = deployed.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let environment = Environment::from_variables(variables);
    let is_gzip_given = flags.enable_gzip_encoding.is_some();
    let layers = Layers { flags: with_names(flags), environment, host_name: Some("host-0".to_owned()) };
    let file = layers.config().and_then(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The manifest's file is the mounted one. A local file is only used if the manifest has none.
        match files.get(name) {
            Some(text) => Some(ConfigFile::parse(path, text)),
            None => path.exists().then(|| ConfigFile::read(path)),
        }
    });
    let gzip_in_file = matches!(&file, Some(Ok(file)) if file.overrides().contains("--enable-gzip-encoding"));
    let resolved = match file {
        Some(file) => file.map_err(LayersError::from).and_then(|file| layers.with(&file)).map_err(|error| {
            let text = error.to_string();
            ("--config".to_owned(), text.strip_prefix("--config: ").unwrap_or(&text).to_owned())
        }),
        None => layers.without_config().map_err(|error| {
            let text = error.to_string();
            let flag = text.split_once(": ").filter(|(flag, _)| flag.starts_with("--") && !flag.contains(' '));
            flag.map_or_else(
                || ("arguments".to_owned(), text.clone()),
                |(flag, text)| (flag.to_owned(), text.to_owned()),
            )
        }),
    };
    match resolved {
        Err((about, reason)) => changes.push(problem(about, format!("rejected: {reason}"))),
        Ok((settings, warnings)) => {
            let plain = Layers { environment: Environment::default(), ..layers.clone() }.without_config();
            if plain.is_ok_and(|(plain, _)| plain.fixed.fleet.is_none() && plain.fixed.shard != settings.fixed.shard) {
                let crate::settings::Shard { ordinal, total } = settings.fixed.shard;
                let text = format!(
                    "read here, but not by kube-state-metrics: this replica becomes shard {ordinal} of {total}"
                );
                changes.push(note("environment", text));
            }
            if let Some(repeated) = warnings.iter().find(|warning| matches!(warning, Warning::Repeated(_))) {
                let text = repeated.to_string();
                changes.push(note("--node", text.strip_prefix("--node ").unwrap_or(&text)));
            }
        }
    }
    if !is_gzip_given && !gzip_in_file {
        changes.push(note(
            "--enable-gzip-encoding",
            "on by default: responses are compressed for clients that accept gzip",
        ));
    }
    changes
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
    if is_member && deployed.is_statefulset && !manifest.has_leases {
        changes.push(note(
            "Role",
            "no rule grants leases; without it the replicas do not hand objects over, see manifests/base/role.yaml",
        ));
    }
    changes
}

#[cfg(test)]
mod tests;
