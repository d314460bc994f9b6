//! Errors in the settings, and warnings about values without effect.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::custom::CustomConfigError;
use super::yaml::FileError;

/// Why the settings cannot be used. A retry does not help: the values have to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A resource without a collector.
    #[error("{flag}: unknown resource {name:?}{}{}", hint(similar), custom_hint(flag, similar))]
    UnknownResource {
        /// The flag that names it.
        flag: &'static str,
        /// The unknown name.
        name: String,
        /// Known names that are similar.
        similar: Vec<String>,
    },
    /// A pattern that is not a regular expression.
    #[error("{flag}: invalid pattern {pattern:?}: {reason}")]
    Pattern {
        /// The flag.
        flag: &'static str,
        /// The pattern.
        pattern: String,
        /// The reason.
        reason: String,
    },
    /// Two lists that exclude each other.
    #[error("--metric-allowlist and --metric-denylist cannot be combined; remove one of them")]
    AllowAndDeny,
    /// Lists of keys by resource that do not have the right format.
    #[error("{flag}: {reason} in {value:?}; the format is pods=[key,key],nodes=[*]")]
    Keys {
        /// The flag.
        flag: &'static str,
        /// The lists.
        value: String,
        /// The reason.
        reason: &'static str,
    },
    /// A text that cannot be the key of a label of a Namespace.
    #[error("{flag}: {key:?} is not the key of a label; the format is team,example.com/*")]
    NamespaceLabel {
        /// The flag.
        flag: &'static str,
        /// The text.
        key: String,
    },
    /// A selector that does not have the syntax of Kubernetes.
    #[error(
        "{flag}: {resource}: {reason} at character {position} of {value:?}{}",
        if *flag == "--namespace-selector" || !value.contains(',') { "" } else {
            "; a comma begins the next resource only before the plural of a known resource and a single ="
        }
    )]
    Selector {
        /// The flag.
        flag: &'static str,
        /// The resource that it is for.
        resource: String,
        /// The whole value of the flag, or the selector from a map of the config file.
        value: String,
        /// The number of the character in the value where the mistake is, from 1.
        position: usize,
        /// The mistake.
        reason: String,
    },
    /// A host that is not an IP address.
    #[error("{flag}: {value:?} is not an IP address or localhost")]
    Host {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
    },
    /// A configuration of custom resources that cannot be read or used.
    #[error(transparent)]
    Custom(#[from] CustomConfigError),
    /// Both prevent gaps at a handover, and exclude each other.
    #[error(
        "--handover-overlap and --seamless-handover exclude each other: the first one makes two replicas expose the same series; remove \
         one of them"
    )]
    SeamlessOverlap,
    /// Two servers on one address.
    #[error("{flags}: both are {port} on {host}; use different ports")]
    SameAddress {
        /// The flags.
        flags: &'static str,
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// Not the URL of an API server.
    #[error("--apiserver: {value:?} is not a URL: {reason}")]
    Apiserver {
        /// The value.
        value: String,
        /// The reason.
        reason: String,
    },
    /// A value that cannot be the name of an object.
    #[error("{flag}: {value:?} is not {expected}")]
    Name {
        /// The flag or variable.
        flag: &'static str,
        /// The value.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
    /// Credentials in the URL of the API server. The message does not show them.
    #[error("--apiserver: the URL contains a user name or password; give credentials in a kubeconfig")]
    ApiserverCredentials,
    /// A variable that is not a number.
    #[error("environment variable {variable}: {value:?} is not a whole number from 0 to 4294967295")]
    NotANumber {
        /// The variable.
        variable: &'static str,
        /// The value.
        value: String,
    },
    /// A variable that is not an IP address.
    #[error("environment variable {variable}: {value:?} is not an IP address")]
    NotAnAddress {
        /// The variable.
        variable: &'static str,
        /// The value.
        value: String,
    },
    /// A pod without its namespace.
    #[error("--pod needs --pod-namespace; add the flag, or set POD_NAMESPACE")]
    PodAlone,
    /// A namespace without its pod.
    #[error("--pod-namespace needs --pod; add --pod, or remove --pod-namespace")]
    PodNamespaceAlone,
    /// A value that is not a duration, or is too long.
    #[error("{flag}: {value:?} is not a duration from 0s to {}; write it as 30s or 1m30s", in_units(*maximum))]
    Duration {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
        /// The longest valid duration.
        maximum: Duration,
    },
    /// A number of shards that is not possible.
    #[error("{source_name}: {total} is not a number of shards from 1 to {maximum}")]
    Total {
        /// The flag or variable.
        source_name: &'static str,
        /// The value.
        total: u32,
        /// The highest valid number.
        maximum: u32,
    },
    /// A shard that is not lower than the number of shards.
    #[error(
        "{source_name}: shard {ordinal} is not lower than the number of shards, {total} ({total_source}); shards count from 0"
    )]
    Ordinal {
        /// The source of the shard: a flag, a variable or a name.
        source_name: String,
        /// The shard.
        ordinal: u32,
        /// The number of shards.
        total: u32,
        /// The source of the number.
        total_source: &'static str,
    },
    /// The number of shards is known, but the shard is not.
    #[error(
        "{total_source} sets the number of shards, but {source_name} contains no ordinal; set SHARD, or use a name that ends in -0, -1, ..."
    )]
    NoOrdinal {
        /// The source of the number of shards.
        total_source: &'static str,
        /// Where the ordinal was expected.
        source_name: String,
    },
}

/// Returns a duration as a flag takes it, in the largest unit.
fn in_units(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 3600 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{duration:?}"),
    }
}

/// Says how a flag for single resources names custom ones, if the name is not simply misspelled.
fn custom_hint(flag: &str, similar: &[String]) -> &'static str {
    match flag {
        "--resource-selector" | "--resource-field-selector" if similar.is_empty() => {
            "; a custom resource is named plural.group, and its group must be in the config of custom resources"
        }
        _ => "",
    }
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// Why a config file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}")]
pub struct ConfigError {
    pub(super) place: FileError,
    /// Whether the file does not exist.
    pub is_missing: bool,
}

/// How many unknown keys of a file are listed.
const LISTED: usize = 20;

impl Warning {
    /// Adds the warnings about unknown keys of a file to `warnings`: the first ones in full, and the number of the others.
    pub(super) fn add_unknown_keys(warnings: &mut Vec<Self>, origin: &str, unknown: impl IntoIterator<Item = Self>) {
        let mut unknown = unknown.into_iter();
        warnings.extend(unknown.by_ref().take(LISTED));
        match unknown.count() {
            0 => {}
            count => warnings.push(Self::MoreUnknownKeys { origin: origin.to_owned(), count }),
        }
    }
}

impl ConfigError {
    pub(super) fn new(file: &Path, line: Option<u64>, key: Option<&str>, reason: String) -> Self {
        let place = FileError { file: file.to_owned(), line, key: key.map(str::to_owned), reason };
        Self { place, is_missing: false }
    }
}

/// A value that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// klog's flags that are only accepted.
    #[error("accepted for compatibility, without effect: {}", .0.join(", "))]
    IgnoredFlags(Vec<String>),
    /// An optional file of custom resources that does not exist.
    #[error("--custom-resource-state-config-file: {} does not exist; continuing without it", file.display())]
    WithoutFile {
        /// The file.
        file: PathBuf,
    },
    /// Only custom resources, but none of them.
    #[error("--custom-resource-state-only: no custom resources are configured, so nothing is served")]
    NothingCustom,
    /// An entry of a configuration that a later one overrides.
    #[error("{origin}: line {line} has no effect: line {later} configures the same resource")]
    Hidden {
        /// The file, or the flag that contains the configuration.
        origin: String,
        /// The line of the entry.
        line: u64,
        /// The line of the later one.
        later: u64,
    },
    /// A label of a configuration that is left out.
    #[error("{0}")]
    ReservedLabel(CustomConfigError),
    /// A metric of a configuration with the name of an earlier one.
    #[error("{0}")]
    RepeatedName(CustomConfigError),
    /// Flags of Go's runtime.
    #[error("--auto-gomemlimit and --auto-gomemlimit-ratio have no effect: this program has no garbage collector")]
    GoMemory,
    /// The config file is missing or not valid, and is ignored.
    #[error("--config: {0}; continuing with the flags alone")]
    WithoutConfig(ConfigError),
    /// An unknown key of the config file.
    #[error("{0}")]
    UnknownKey(FileError),
    /// An unknown key of a configuration of custom resources.
    #[error("{0}")]
    UnknownCustomKey(CustomConfigError),
    /// Unknown keys that are not listed, because there are many.
    #[error("{origin}: {count} more unknown keys, ignored")]
    MoreUnknownKeys {
        /// The file, or the flag that contains the configuration.
        origin: String,
        /// How many.
        count: usize,
    },
    /// Resources that are not served because pods are selected by node.
    #[error("{flag} selects pods; excluded, because they have no node: {}", resources.join(", "))]
    Excluded {
        /// The flag that selects.
        flag: &'static str,
        /// The excluded resources.
        resources: Vec<String>,
    },
    /// Resources that are served whole although `--node` selects pods.
    #[error(
        "--node selects only pods; served for the whole cluster: {}. Each replica of a DaemonSet repeats them: serve them \
         from one Deployment, and pass --resources=pods here",
        .0.join(", ")
    )]
    Repeated(Vec<String>),
}
