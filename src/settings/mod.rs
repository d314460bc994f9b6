//! What this process was asked to do: defaults, under environment, under flags, under the config file, as one validated value.
//!
//! May not know anything that runs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::collectors::labels::KeyFilter;

/// All settings of a replica, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--apiserver`: overrides the server of the kubeconfig.
    pub apiserver: Option<String>,
    /// `--host`, `--port`: where `/metrics` is served.
    pub metrics: Listen,
    /// `--telemetry-host`, `--telemetry-port`: where self-metrics and readiness are served.
    pub telemetry: Listen,
    /// `--resources`: plurals, each with a collector, in the order of the registry.
    pub resources: Vec<String>,
    /// `--namespaces`, without the denied ones; empty means all.
    pub namespaces: Vec<String>,
    /// `--namespaces-denylist`, where `namespaces` is empty.
    pub denied_namespaces: Vec<String>,
    /// `--metric-allowlist`, `--metric-denylist`, `--metric-opt-in-list`.
    pub families: FamilyFilter,
    /// `--metric-labels-allowlist`, by resource.
    pub labels: BTreeMap<String, KeyFilter>,
    /// `--metric-annotations-allowlist`, by resource.
    pub annotations: BTreeMap<String, KeyFilter>,
    /// `--shard`, `--total-shards` or where else they come from.
    pub shard: Shard,
    /// `--enable-gzip-encoding`.
    pub gzip: bool,
    /// `--use-apiserver-cache`.
    pub use_apiserver_cache: bool,
    /// `--node`: only pods of these nodes.
    pub nodes: Vec<String>,
    /// `--track-unscheduled-pods`: only pods without a node.
    pub track_unscheduled_pods: bool,
    /// `--object-limit`: objects a resource at most, 0 for no limit.
    pub object_limit: u64,
    /// `--log-format` and klog's verbosity.
    pub log: Log,
}

/// An address to listen on. Port 0 takes a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address, `::` for all of both families.
    pub host: IpAddr,
    /// Port.
    pub port: u16,
}

/// Which shard of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Below `total`.
    pub ordinal: u32,
    /// At least 1.
    pub total: u32,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// `-v`: 0 is info, 4 and more debug, 8 and more trace.
    pub verbosity: u8,
}

/// Which families are served.
#[derive(Clone, Debug, Default)]
pub struct FamilyFilter {}

impl FamilyFilter {
    /// Whether a family is served.
    pub fn is_enabled(&self, name: &str, opt_in: bool) -> bool {
        let _ = name;
        !opt_in
    }
}
