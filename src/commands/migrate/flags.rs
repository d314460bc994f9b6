//! What changes for the flags of a container: which are ignored, rejected or extended, and what the resolved settings show. Knows the
//! objects of a manifest only as the files that they mount.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;

use clap::Arg;

use super::manifest::{Deployed, Manifest};
use crate::commands::cli;
use crate::commands::upstream::{self, UpstreamFlag};
use crate::settings::{ConfigFile, Environment, Flags, GoBool, Layers, LayersError, Warning};

/// The flags of the configuration of custom resources: inline, and in a file.
pub(super) const CUSTOM: &str = "--custom-resource-state-config";
pub(super) const CUSTOM_FILE: &str = "--custom-resource-state-config-file";
/// The flag whose default differs.
pub(super) const GZIP: &str = "--enable-gzip-encoding";

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether the program does not start, or does not do something that the arguments ask for.
    pub is_problem: bool,
    /// The subject: a flag or a variable.
    pub about: String,
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

pub(super) fn note(about: impl Into<String>, text: impl Into<String>) -> Change {
    Change { is_problem: false, about: about.into(), text: text.into() }
}

pub(super) fn problem(about: impl Into<String>, text: impl Into<String>) -> Change {
    Change { is_problem: true, about: about.into(), text: text.into() }
}

/// Reports the changes of single flags, as in `extraArgs` of the chart: not those of defaults.
pub(super) fn flag_changes(deployed: &Deployed) -> Vec<Change> {
    let mut changes = changes(deployed, &Manifest::default());
    changes.retain(|change| change.about != GZIP || deployed.arguments.iter().any(|word| word.starts_with(GZIP)));
    changes
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

/// Reports the changes for a container. The manifest has the files that are mounted into it.
pub(super) fn changes(deployed: &Deployed, manifest: &Manifest) -> Vec<Change> {
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
                        Some(there) => differs(there, flag.value.as_deref(), manifest.has_leases()),
                        None => Some("works here, but kube-state-metrics v2.20.0 does not have it"),
                    };
                    text.map(|text| note(&about, text))
                }
            },
        };
        changes.extend(change.filter(|_| reported.insert(about)));
    }
    if let Ok(flags) = alone(&kept) {
        changes.extend(settings(deployed, flags, manifest));
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

/// Why a sharded set must not be rolled.
macro_rules! another_hash {
    () => {
        "Another hash assigns objects to shards: do not roll a new image over a sharded set of kube-state-metrics (docs/migration.md)"
    };
}

/// How a flag works differently here. `may_coordinate`: whether the replicas have the permission to use Leases, as far as known.
fn differs(flag: UpstreamFlag, value: Option<&str>, may_coordinate: bool) -> Option<&'static str> {
    match flag.name {
        "pod" if may_coordinate => {
            Some(concat!("the replicas of the StatefulSet hand objects over to each other. ", another_hash!()))
        }
        "pod" => Some(concat!(
            "the replicas of the StatefulSet hand objects over to each other, which needs permission to use Leases ",
            "(manifests/base/role.yaml); without it they assign objects only by their ordinals, with a warning. ",
            another_hash!(),
        )),
        "total-shards" if value.is_some_and(|value| value.trim() != "1") => Some(
            "another hash assigns objects to shards: migrate all replicas of a sharded set together (docs/migration.md)",
        ),
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

/// Reports changes that only the resolved settings show: contradictions, the config files, the environment.
fn settings(deployed: &Deployed, flags: Flags, manifest: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    let variables = deployed.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let environment = Environment::from_variables(variables);
    let is_gzip_given = flags.enable_gzip_encoding.is_some();
    let mut layers = Layers { flags: with_names(flags), environment, host_name: Some("host-0".to_owned()) };
    let file = layers.config().and_then(|path| {
        // The manifest's file is the mounted one. A local file is only used if the manifest has none.
        match manifest.file(deployed, path) {
            Some(text) => Some(ConfigFile::parse(path, text)),
            None => path.exists().then(|| ConfigFile::read(path)),
        }
    });
    let custom = match &file {
        Some(Ok(file)) => file.over(&layers.flags).custom_resource_state_config_file,
        _ => layers.flags.custom_resource_state_config_file.clone(),
    };
    let custom = custom.filter(|path| !path.as_os_str().is_empty());
    // The inline configuration overrides that of the file, also that which the config file names.
    if let Some(path) = &custom
        && layers.flags.custom_resource_state_config.as_ref().is_none_or(String::is_empty)
    {
        match manifest.file(deployed, path) {
            Some(text) => layers.flags.custom_resource_state_config = Some(text.to_owned()),
            None if !path.exists() => {
                // Nothing is known of it.
                layers.flags.continue_without_custom_resource_state_config_file = Some(GoBool(true));
                let text = format!("not checked: neither the manifest nor this machine has {}", path.display());
                changes.push(note(CUSTOM_FILE, text));
            }
            None => {}
        }
    }
    let gzip_in_file = matches!(&file, Some(Ok(file)) if file.overrides().contains("--enable-gzip-encoding"));
    let resolved = match file {
        Some(file) => file.map_err(LayersError::from).and_then(|file| layers.with(&file)).map_err(|error| {
            let text = error.to_string();
            ("--config".to_owned(), text.strip_prefix("--config: ").unwrap_or(&text).to_owned())
        }),
        None => layers.without_config().map_err(|error| {
            let text = error.to_string();
            // The content of the file is resolved as if it were inline.
            let text = if custom.is_some() { text.replace(CUSTOM, CUSTOM_FILE) } else { text };
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
        changes.push(note(GZIP, "on by default: responses are compressed for clients that accept gzip"));
    }
    changes
}
