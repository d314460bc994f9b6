//! What can be wrong with the settings, and what is accepted without effect.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::custom::CustomConfigError;

/// Why the settings cannot be used. None is worth a retry: what was given has to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A resource without a collector.
    #[error("{flag}: there is no resource {name:?}{}", hint(similar))]
    UnknownResource {
        /// Where it was named.
        flag: &'static str,
        /// Its name.
        name: String,
        /// Names that are much like it.
        similar: Vec<String>,
    },
    /// A resource was asked for that cannot be selected by node.
    #[error("--node: only pods can be selected by their node, and --resources names {0:?}")]
    NotByNode(String),
    /// A pattern that is not a regular expression.
    #[error("{flag}: {pattern:?} is not a valid pattern: {reason}")]
    Pattern {
        /// The flag.
        flag: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two lists that exclude each other.
    #[error("--metric-allowlist and --metric-denylist exclude each other: give one of them")]
    AllowAndDeny,
    /// A list of keys by resource that does not have the right form.
    #[error("{flag}: {reason} in {value:?}; the form is pods=[key,key],nodes=[*]")]
    Keys {
        /// The flag.
        flag: &'static str,
        /// The list.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not an address to listen on.
    #[error("{flag}: {value:?} is not an IP address")]
    Host {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
    },
    /// A config of custom resources that cannot be used.
    #[error(transparent)]
    Custom(#[from] CustomConfigError),
    /// A config that cannot be read.
    #[error("{flag}: {}: {reason}", file.display())]
    File {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Both servers on one address.
    #[error("--port and --telemetry-port: both are {1} on {0}; they need different ports")]
    OneAddress(IpAddr, u16),
    /// Not the URL of an API server.
    #[error("--apiserver: {value:?} is not a URL: {reason}")]
    Apiserver {
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable that is not a number.
    #[error("environment variable {variable}: {value:?} is not a whole number from 0 to 4294967295")]
    NotANumber {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A variable that is not an IP address.
    #[error("environment variable {variable}: {value:?} is not an IP address")]
    NotAnAddress {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A pod without its namespace.
    #[error("--pod needs --pod-namespace: give both, or set POD_NAMESPACE")]
    PodAlone,
    /// A namespace without its pod.
    #[error("--pod-namespace needs --pod: give both, or neither")]
    PodNamespaceAlone,
    /// A time that is none, or is too long.
    #[error("{flag}: {value:?} is not a time from 0s to {}m; it is written as 30s or 1m30s", maximum.as_secs() / 60)]
    Time {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// The longest that is possible.
        maximum: Duration,
    },
    /// A number of shards that cannot be.
    #[error("{source_name}: the number of shards must be from 1 to {maximum}, and it is {total}")]
    Total {
        /// The flag or variable.
        source_name: &'static str,
        /// Its value.
        total: u32,
        /// The largest that is possible.
        maximum: u32,
    },
    /// A shard that is not below the number of shards.
    #[error(
        "{source_name}: shard {ordinal} is not below the number of shards, which is {total} ({total_source}); shards count from 0"
    )]
    Ordinal {
        /// Where the shard comes from.
        source_name: String,
        /// The shard.
        ordinal: u32,
        /// The number of shards.
        total: u32,
        /// Where that comes from.
        total_source: &'static str,
    },
    /// The number of shards is known, but not which one this is.
    #[error(
        "{total_source} gives the number of shards, but {source_name} gives no ordinal; set SHARD, or let the name end in -0, -1 and so on"
    )]
    NoOrdinal {
        /// Where the number of shards comes from.
        total_source: &'static str,
        /// Where the ordinal was looked for.
        source_name: String,
    },
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}

/// Something that was given and has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// klog's flags that say nothing to us.
    #[error("accepted for compatibility, without effect: {}", .0.join(", "))]
    IgnoredFlags(Vec<String>),
    /// A file that may be missing, and is.
    #[error("{flag}: {} is not there; going on without it", file.display())]
    WithoutFile {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// Only custom resources, and none of them.
    #[error("--custom-resource-state-only: no custom resources are asked for, so nothing is served")]
    NothingCustom,
    /// An entry of a config that another one hides.
    #[error("{origin}: line {line} is about the same resource as line {later}, which counts")]
    Hidden {
        /// The file, or the flag that holds the config.
        origin: String,
        /// Where the entry stands.
        line: u64,
        /// Where the other one stands.
        later: u64,
    },
    /// Flags of Go's runtime.
    #[error("--auto-gomemlimit and its ratio have no effect: they steer Go's garbage collector, and here is none")]
    GoMemory,
    /// The config file says nothing, since it is missing or broken.
    #[error("--config: {0}; going on with the flags alone")]
    WithoutConfig(ConfigError),
    /// Keys of the config file that mean nothing.
    #[error("{}: no such keys, ignored: {}", file.display(), keys.join(", "))]
    UnknownKeys {
        /// The file.
        file: PathBuf,
        /// Their names, with what they may be meant to be.
        keys: Vec<String>,
    },
    /// Resources that are not served since pods are selected by node.
    #[error("{flag} selects pods; namespaced resources that have no node are left out: {}", resources.join(", "))]
    LeftOut {
        /// The flag that selects.
        flag: &'static str,
        /// What is left out.
        resources: Vec<String>,
    },
}
