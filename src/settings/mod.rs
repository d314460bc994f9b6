//! What this process was asked to do: defaults, under environment, under flags, under the config file, as one validated value.
//!
//! [`Flags`] is a layer of raw values: what was given, and nothing for what was not; a [`ConfigFile`] puts its own in their
//! place. [`Settings::resolve`] lays the layers over each other, checks them, and is the only way from a layer to a
//! [`Settings`]. [`selectors`] says what follows from
//! the settings for the lists of a resource.
//! May not know anything that runs.

mod config;
pub mod custom;
mod environment;
mod error;
mod families;
mod features;
mod flags;
mod fleet;
mod keys;
mod klog;
mod layers;
pub mod resources;
pub mod selectors;
mod shard;
mod time;
pub mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collectors::custom::{CustomCollector, GroupVersionKind};
use crate::collectors::labels::KeyFilter;
use crate::collectors::{self, Collector, Family, Resource};
use crate::sharding::Hasher;

pub use config::{ConfigError, ConfigFile};
use custom::CustomResources;
pub use environment::Environment;
pub use error::{SettingsError, Warning};
pub use families::FamilyFilter;
pub use features::Feature;
pub use flags::{Flags, LogFormat};
pub use fleet::FleetSettings;
pub use klog::{Klog, ignored as ignored_flags};
pub use layers::{Layers, LayersError};

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
    /// `--resources`: plurals, each with a collector, in the order of the registry; none under `--custom-resource-state-only`.
    pub resources: Vec<String>,
    /// `--namespaces`, without the denied ones; empty means all.
    pub namespaces: Vec<String>,
    /// `--namespaces-denylist`, where `namespaces` is empty, or where it denies all of them.
    pub denied_namespaces: Vec<String>,
    /// `--metric-allowlist`, `--metric-denylist`, `--metric-opt-in-list`.
    pub families: FamilyFilter,
    /// `--metric-labels-allowlist`, by resource.
    pub labels: BTreeMap<String, KeyFilter>,
    /// `--metric-annotations-allowlist`, by resource.
    pub annotations: BTreeMap<String, KeyFilter>,
    /// `--promote-labels`, by resource.
    pub promoted: BTreeMap<String, KeyFilter>,
    /// `--custom-resource-state-config`, or the file that `--custom-resource-state-config-file` names.
    pub custom: CustomResources,
    /// The file from which they come, if they do.
    pub custom_file: Option<PathBuf>,
    /// `--shard`, `--total-shards` or where else they come from; the one and only shard in a fleet, which finds out
    /// by itself.
    pub shard: Shard,
    /// `--pod`, `--pod-namespace`: the replica is a member of a fleet.
    pub fleet: Option<FleetSettings>,
    /// `--server-side-sharding`.
    pub server_side_sharding: bool,
    /// `--handover-overlap`.
    pub handover_overlap: Duration,
    /// `--coverage-watch`.
    pub coverage_watch: bool,
    /// `--enable-gzip-encoding`.
    pub gzip: bool,
    /// `--server-read-timeout` and the like.
    pub timeouts: Timeouts,
    /// `--tls-config`: the web configuration of both ports.
    pub tls_config: Option<PathBuf>,
    /// `--auth-filter`.
    pub auth_filter: bool,
    /// `--use-apiserver-cache`.
    pub use_apiserver_cache: bool,
    /// `--node`: only pods of these nodes.
    pub nodes: Vec<String>,
    /// `--track-unscheduled-pods`: only pods without a node.
    pub track_unscheduled_pods: bool,
    /// `--object-limit`: objects a resource at most, 0 for no limit.
    pub object_limit: u64,
    /// `--event-batch-delay`.
    pub event_batch_delay: Duration,
    /// `--deleted-linger`.
    pub deleted_linger: Duration,
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

/// How long the servers wait for a client, as Go's `http.Server` does; `None` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `--server-read-timeout`: from the first byte of a request to its last.
    pub read: Option<Duration>,
    /// `--server-read-header-timeout`: from there to the end of its head; as `read` without one.
    pub read_header: Option<Duration>,
    /// `--server-write-timeout`: from the end of a request to that of its answer.
    pub write: Option<Duration>,
    /// `--server-idle-timeout`: between requests; as `read` without one.
    pub idle: Option<Duration>,
}

impl Default for Timeouts {
    /// As in kube-state-metrics.
    fn default() -> Self {
        Self {
            read: Some(Duration::from_secs(60)),
            read_header: Some(Duration::from_secs(5)),
            write: Some(Duration::from_secs(60)),
            idle: Some(IDLE),
        }
    }
}

impl Timeouts {
    /// The same where peers ask each other, who take a connection that is cut off for a sign that its other end is gone.
    pub fn with_peers(self) -> Self {
        Self { idle: self.idle.map(|idle| idle.max(IDLE)), ..self }
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// `-v`: 0 is info, 4 and more debug, 8 and more trace.
    pub verbosity: u8,
}

/// Port of `/metrics` unless `--port` says otherwise.
const METRICS_PORT: u16 = 8080;
/// Port of self-metrics unless `--telemetry-port` says otherwise.
const TELEMETRY_PORT: u16 = 8081;
/// Longer than anyone scrapes: what is served twice for minutes is no handover.
const LONGEST_OVERLAP: Duration = Duration::from_secs(600);
/// Far below what a scrape interval blurs, and long enough that a busy watch costs few wake-ups.
const BATCH_DELAY: Duration = Duration::from_millis(100);
/// An API server gives up watches whose events nobody reads.
const LONGEST_BATCH_DELAY: Duration = Duration::from_secs(5);
/// Longer is history, which is Prometheus' own trade.
const LONGEST_LINGER: Duration = Duration::from_secs(24 * 60 * 60);
/// As in kube-state-metrics, and at least for peers.
const IDLE: Duration = Duration::from_secs(300);
/// Longer than any connection lives.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// Lays `flags` over `environment` over the defaults. `host_name` is asked only where a shard's ordinal has no other
    /// source. What is accepted but has no effect is told in the warnings.
    ///
    /// # Errors
    /// A value is not valid, or two contradict each other; the error names the flag or variable.
    pub fn resolve(
        flags: &Flags,
        environment: &Environment,
        host_name: impl FnOnce() -> Option<String>,
    ) -> Result<(Self, Vec<Warning>), SettingsError> {
        let mut warnings = Vec::new();
        if !flags.klog.ignored.is_empty() {
            warnings.push(Warning::IgnoredFlags(flags.klog.ignored.iter().map(|f| (*f).to_owned()).collect()));
        }
        if flags.auto_gomemlimit.is_some() || flags.auto_gomemlimit_ratio.is_some() {
            warnings.push(Warning::GoMemory);
        }
        let metrics = Listen { host: host("--host", flags.host.as_deref())?, port: flags.port.unwrap_or(METRICS_PORT) };
        let telemetry = Listen {
            host: host("--telemetry-host", flags.telemetry_host.as_deref())?,
            port: flags.telemetry_port.unwrap_or(TELEMETRY_PORT),
        };
        if metrics == telemetry && metrics.port != 0 {
            return Err(SettingsError::OneAddress(metrics.host, metrics.port));
        }
        let track_unscheduled_pods = flags.track_unscheduled_pods.unwrap_or_default();
        let nodes = if track_unscheduled_pods { Vec::new() } else { items(&flags.node) };
        let custom = custom::of_flags(flags, &mut warnings)?;
        let resources = match flags.custom_resource_state_only {
            Some(true) => Vec::new(),
            _ => resources(flags, &nodes, track_unscheduled_pods, &mut warnings)?,
        };
        let (namespaces, denied_namespaces) = namespaces(items(&flags.namespaces), items(&flags.namespaces_denylist));
        let fleet = fleet::fleet(flags.pod.as_deref(), flags.pod_namespace.as_deref(), environment)?;
        let shard = match fleet {
            Some(_) => Shard { ordinal: 0, total: 1 },
            None => shard::shard(flags.shard, flags.total_shards, environment, host_name)?,
        };
        if !custom.is_empty() && (!nodes.is_empty() || track_unscheduled_pods) {
            let flag = if track_unscheduled_pods { "--track-unscheduled-pods" } else { "--node" };
            warnings.push(Warning::LeftOut { flag, resources: vec!["all custom resources".to_owned()] });
        }
        let settings = Self {
            kubeconfig: named(&flags.kubeconfig).map(Path::to_owned),
            apiserver: apiserver(flags.apiserver.as_deref())?,
            metrics,
            telemetry,
            labels: keys::by_resource(
                "--metric-labels-allowlist",
                flags.metric_labels_allowlist.as_deref(),
                &resources,
            )?,
            annotations: keys::by_resource(
                "--metric-annotations-allowlist",
                flags.metric_annotations_allowlist.as_deref(),
                &resources,
            )?,
            promoted: keys::by_resource("--promote-labels", flags.promote_labels.as_deref(), &resources)?,
            resources,
            custom,
            custom_file: custom::file_of(flags).map(Path::to_owned),
            namespaces,
            denied_namespaces,
            families: FamilyFilter::new(
                &items(&flags.metric_allowlist),
                &items(&flags.metric_denylist),
                &items(&flags.metric_opt_in_list),
            )?,
            shard,
            fleet,
            server_side_sharding: flags.server_side_sharding.unwrap_or_default(),
            handover_overlap: time::time(
                "--handover-overlap",
                flags.handover_overlap.as_deref(),
                Duration::ZERO,
                LONGEST_OVERLAP,
            )?,
            coverage_watch: flags.coverage_watch.unwrap_or_default(),
            gzip: flags.enable_gzip_encoding.unwrap_or(true),
            timeouts: timeouts(flags)?,
            tls_config: named(&flags.tls_config).map(Path::to_owned),
            auth_filter: flags.auth_filter.unwrap_or_default(),
            use_apiserver_cache: flags.use_apiserver_cache.unwrap_or_default(),
            nodes,
            track_unscheduled_pods,
            object_limit: flags.object_limit.unwrap_or_default(),
            event_batch_delay: time::time(
                "--event-batch-delay",
                flags.event_batch_delay.as_deref(),
                BATCH_DELAY,
                LONGEST_BATCH_DELAY,
            )?,
            deleted_linger: time::time(
                "--deleted-linger",
                flags.deleted_linger.as_deref(),
                Duration::ZERO,
                LONGEST_LINGER,
            )?,
            log: Log {
                json: flags.log_format == Some(LogFormat::Json),
                verbosity: u8::try_from(flags.klog.verbosity.unwrap_or_default().clamp(0, 255)).unwrap_or(u8::MAX),
            },
        };
        Ok((settings, warnings))
    }

    /// Whether pods are selected by their node (`--node`, `--track-unscheduled-pods`), as nothing else can be.
    pub fn selects_by_node(&self) -> bool {
        self.track_unscheduled_pods || !self.nodes.is_empty()
    }
}

impl Settings {
    /// What holds of `later` for who was started with these: all but what takes another start.
    pub fn with_what_can_change_of(&self, later: &Self) -> Self {
        let Self { metrics, telemetry, timeouts, deleted_linger, shard, .. } = *self;
        let Self { auth_filter, server_side_sharding, handover_overlap, coverage_watch, .. } = *self;
        Self {
            metrics,
            telemetry,
            timeouts,
            tls_config: self.tls_config.clone(),
            auth_filter,
            deleted_linger,
            shard,
            fleet: self.fleet.clone(),
            server_side_sharding,
            handover_overlap,
            coverage_watch,
            ..later.clone()
        }
    }

    /// Which of the config file's keys say something else in `later`, and can have no effect on who was started with these.
    pub fn fixed(&self, later: &Self) -> Vec<&'static str> {
        let pairs = [
            ("host, port", self.metrics == later.metrics),
            ("telemetry_host, telemetry_port", self.telemetry == later.telemetry),
            ("server_*_timeout", self.timeouts == later.timeouts),
            ("tls_config", self.tls_config == later.tls_config),
            ("auth_filter", self.auth_filter == later.auth_filter),
            ("deleted_linger", self.deleted_linger == later.deleted_linger),
            ("shard, total_shards", self.shard == later.shard),
            ("pod, namespace", self.fleet == later.fleet),
            ("server_side_sharding", self.server_side_sharding == later.server_side_sharding),
            ("handover_overlap", self.handover_overlap == later.handover_overlap),
            ("coverage_watch", self.coverage_watch == later.coverage_watch),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(keys, _)| keys).collect()
    }

    /// The collector of a built-in resource, with the families, labels and annotations that are asked for.
    pub fn collector<R: Resource>(&self) -> Collector<R> {
        let name = collectors::name::<R>();
        let keys = |lists: &BTreeMap<String, KeyFilter>| lists.get(name).cloned().unwrap_or_default();
        let enabled = |family: &Family<R::Object>| self.families.is_enabled(family.name, family.opt_in);
        Collector::new(enabled, keys(&self.labels), keys(&self.annotations)).promoting(keys(&self.promoted))
    }

    /// The collector of a custom resource that `entry` is about.
    pub fn custom_collector(&self, entry: &custom::Entry, of: &GroupVersionKind) -> CustomCollector {
        let enabled = |name: &str| self.families.is_enabled(name, false);
        CustomCollector::new(&entry.definition, of, enabled, self.log.verbosity)
    }

    /// The hash by which objects fall to shards: server-side sharding knows one, elsewhere the better one is free.
    pub fn hasher(&self) -> Hasher {
        if self.server_side_sharding { Hasher::Fnv1a64 } else { Hasher::XxHash64 }
    }

    /// Whether all objects of what is served are read, by one replica or another.
    pub fn reads_all(&self) -> bool {
        !self.selects_by_node() && self.object_limit == 0
    }
}

/// A path that was given; the empty one says nothing.
fn named(path: &Option<PathBuf>) -> Option<&Path> {
    path.as_deref().filter(|path| !path.as_os_str().is_empty())
}

/// The items of comma-separated lists, trimmed, without empty and repeated ones, in the order in which they were given.
fn items<'a>(lists: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lists
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty() && seen.insert(*item))
        .map(str::to_owned)
        .collect()
}

/// Nothing and the empty text are all addresses, as in kube-state-metrics.
fn host(flag: &'static str, value: Option<&str>) -> Result<IpAddr, SettingsError> {
    let value = value.unwrap_or_default();
    match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(value) {
        "" => Ok(Ipv6Addr::UNSPECIFIED.into()),
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        address => address.parse().map_err(|_| SettingsError::Host { flag, value: value.to_owned() }),
    }
}

/// As in Go, a time of zero is no limit; a negative one is not taken.
fn timeouts(flags: &Flags) -> Result<Timeouts, SettingsError> {
    let Timeouts { read, read_header, write, idle } = Timeouts::default();
    let limit = |flag, value: &Option<String>, default: Option<Duration>| {
        let time = time::time(flag, value.as_deref(), default.unwrap_or_default(), LONGEST_TIMEOUT)?;
        Ok::<_, SettingsError>(Some(time).filter(|time| !time.is_zero()))
    };
    Ok(Timeouts {
        read: limit("--server-read-timeout", &flags.server_read_timeout, read)?,
        read_header: limit("--server-read-header-timeout", &flags.server_read_header_timeout, read_header)?,
        write: limit("--server-write-timeout", &flags.server_write_timeout, write)?,
        idle: limit("--server-idle-timeout", &flags.server_idle_timeout, idle)?,
    })
}

/// A URL; as in client-go, one without a scheme is `http`.
fn apiserver(value: Option<&str>) -> Result<Option<String>, SettingsError> {
    let Some(value) = value.filter(|v| !v.is_empty()) else { return Ok(None) };
    let error = |reason: String| SettingsError::Apiserver { value: value.to_owned(), reason };
    let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let parsed: http::Uri = url.parse().map_err(|e: http::uri::InvalidUri| error(e.to_string()))?;
    match parsed.scheme_str() {
        Some("http" | "https") => Ok(Some(url)),
        _ => Err(error("the scheme must be http or https".to_owned())),
    }
}

/// What is allowed without what is denied, and what is left to deny. Where nothing is left, both stay as they are, so
/// that nothing is selected.
fn namespaces(allowed: Vec<String>, denied: Vec<String>) -> (Vec<String>, Vec<String>) {
    if allowed.is_empty() {
        return (allowed, denied);
    }
    let left: Vec<_> = allowed.iter().filter(|n| !denied.contains(n)).cloned().collect();
    if left.is_empty() { (allowed, denied) } else { (left, Vec::new()) }
}

/// The enabled resources. Where pods are selected by their node, no other namespaced resource can be: the API server
/// refuses such a selector.
fn resources(
    flags: &Flags,
    nodes: &[String],
    unscheduled: bool,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, SettingsError> {
    let given = items(&flags.resources);
    let mut enabled = resources::enabled(&given)?;
    if !nodes.is_empty()
        && let Some(other) = given.iter().find(|name| *name != "pods")
    {
        return Err(SettingsError::NotByNode(other.clone()));
    }
    if !nodes.is_empty() || unscheduled {
        let left_out: Vec<_> =
            enabled.extract_if(.., |k| k.namespaced && k.plural != "pods").map(|k| k.plural.to_owned()).collect();
        if !left_out.is_empty() {
            let flag = if unscheduled { "--track-unscheduled-pods" } else { "--node" };
            warnings.push(Warning::LeftOut { flag, resources: left_out });
        }
    }
    Ok(enabled.into_iter().map(|k| k.plural.to_owned()).collect())
}

#[cfg(test)]
mod tests;
