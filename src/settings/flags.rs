//! The flags of an exporter, as clap reads them: kube-state-metrics' own names and forms, and help in our words.
//!
//! Every field is what was given, or nothing: defaults belong to [`super::Settings::resolve`]. The forms are pflag's:
//! `--flag value` and `--flag=value`; a bare `--flag` or `--flag=false` for booleans. Lists are comma-separated and add
//! up when a flag is repeated; of any other flag the last one counts.

// The help of a flag is its doc comment, and shows lists in brackets as a user writes them.
#![allow(rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Klog;
use crate::go::parse_bool;

const CONFIG: &str = "Configuration";
const CLUSTER: &str = "Cluster";
const OBJECTS: &str = "Which objects";
const FAMILIES: &str = "Which metrics and labels";
const CUSTOM: &str = "Custom resources";
const SHARDING: &str = "Sharding";
const SERVING: &str = "Serving";
const LOGGING: &str = "Logging";

/// What was given on the command line.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Flags {
    /// File with settings, which count over flags. It is read again when it changes.
    #[arg(long, value_name = "FILE", help_heading = CONFIG)]
    pub config: Option<PathBuf>,
    /// Go on with the flags alone where the file of --config is missing or broken at the start.
    #[arg(long, value_name = "BOOL", help_heading = CONFIG, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub continue_without_config: Option<bool>,

    /// Kubeconfig file. Default: the service account of the pod in which this runs.
    #[arg(long, value_name = "FILE", help_heading = CLUSTER)]
    pub kubeconfig: Option<PathBuf>,
    /// URL of the API server, instead of the one in the kubeconfig.
    #[arg(long, value_name = "URL", help_heading = CLUSTER)]
    pub apiserver: Option<String>,
    /// Let lists come from the API server's cache instead of etcd: cheaper, may start a moment behind.
    #[arg(long, value_name = "BOOL", help_heading = CLUSTER, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub use_apiserver_cache: Option<bool>,
    /// How long the events of a watch may gather before they are read together, which costs less CPU; the first after a
    /// quiet moment is read at once. Default: 100ms.
    #[arg(long, value_name = "DURATION", help_heading = CLUSTER)]
    pub event_batch_delay: Option<String>,

    /// Resources to serve, by their plurals. Default: all but clusterrolebindings, clusterroles, endpoints,
    /// ingressclasses, rolebindings, roles and serviceaccounts.
    #[arg(long, value_name = "LIST", help_heading = OBJECTS)]
    pub resources: Vec<String>,
    /// Namespaces to serve. Default: all. Objects that live in no namespace are served in any case.
    #[arg(long, value_name = "LIST", help_heading = OBJECTS)]
    pub namespaces: Vec<String>,
    /// Namespaces to leave out.
    #[arg(long, value_name = "LIST", help_heading = OBJECTS)]
    pub namespaces_denylist: Vec<String>,
    /// Serve only the pods of this node (or nodes, comma-separated); for a DaemonSet, with --resources=pods.
    #[arg(long, value_name = "NAME", help_heading = OBJECTS)]
    pub node: Option<String>,
    /// Serve only the pods that have no node yet; what --node leaves out. It overrides --node.
    #[arg(long, value_name = "BOOL", help_heading = OBJECTS, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub track_unscheduled_pods: Option<bool>,
    /// Objects of a resource to take at most, counted before sharding. Default: 0, no limit.
    #[arg(long, value_name = "N", help_heading = OBJECTS)]
    pub object_limit: Option<u64>,

    /// Serve only families whose name matches one of these ECMAScript patterns, anywhere in the name.
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub metric_allowlist: Vec<String>,
    /// Leave out families whose name matches one of these ECMAScript patterns. Excludes --metric-allowlist.
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub metric_denylist: Vec<String>,
    /// Serve families too that are off by default, where their name matches one of these RE2 patterns.
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub metric_opt_in_list: Vec<String>,
    /// Labels of objects to show in kube_*_labels, by resource: pods=[app,team],nodes=[*],*=[example.com/*].
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub metric_labels_allowlist: Option<String>,
    /// Annotations of objects to show in kube_*_annotations; written as --metric-labels-allowlist is.
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub metric_annotations_allowlist: Option<String>,
    /// Labels of objects to show on every series of the object, so that alerts need no join; written, and named in the
    /// series, as --metric-labels-allowlist is.
    #[arg(long, value_name = "LIST", help_heading = FAMILIES)]
    pub promote_labels: Option<String>,
    /// How long the series of a deleted object stay, at their last values; 0s for not at all. Default: 0s.
    #[arg(long, value_name = "DURATION", help_heading = FAMILIES)]
    pub deleted_linger: Option<String>,

    /// Custom resources to serve and their metrics, as YAML (CustomResourceStateMetrics); it overrides
    /// --custom-resource-state-config-file.
    #[arg(long, value_name = "YAML", help_heading = CUSTOM)]
    pub custom_resource_state_config: Option<String>,
    /// The same in a file.
    #[arg(long, value_name = "FILE", help_heading = CUSTOM)]
    pub custom_resource_state_config_file: Option<PathBuf>,
    /// Go on without custom resources where that file is missing; they are served once it is there.
    #[arg(long, value_name = "BOOL", help_heading = CUSTOM, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub continue_without_custom_resource_state_config_file: Option<bool>,
    /// Serve these custom resources and nothing else.
    #[arg(long, value_name = "BOOL", help_heading = CUSTOM, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub custom_resource_state_only: Option<bool>,

    /// Which shard this is, from 0. Default: $SHARD, else with $TOTAL_SHARDS the ordinal in the pod's name, else 0.
    #[arg(long, value_name = "N", help_heading = SHARDING)]
    pub shard: Option<u32>,
    /// How many shards there are. Default: $TOTAL_SHARDS, $SHARD_COUNT, else 1.
    #[arg(long, value_name = "N", help_heading = SHARDING)]
    pub total_shards: Option<u32>,
    /// The pod in which this runs. Its StatefulSet says how many shards there are, and the replicas hand objects over when
    /// that changes. It overrides what else says so.
    #[arg(long, value_name = "NAME", help_heading = SHARDING)]
    pub pod: Option<String>,
    /// The namespace of that pod. Default: $POD_NAMESPACE.
    #[arg(long, value_name = "NAME", help_heading = SHARDING)]
    pub pod_namespace: Option<String>,
    /// Ask the API server to send only the objects of this shard; one that cannot (KEP-5866) sends all, which are
    /// filtered here. In a running fleet the change is a handover.
    #[arg(long, value_name = "BOOL", help_heading = SHARDING, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub server_side_sharding: Option<bool>,
    /// How long objects that moved to another replica stay on the old one too, for those who prefer doubles to gaps of
    /// one scrape: 30s, 1m30s. Default: 0s.
    #[arg(long, value_name = "DURATION", help_heading = SHARDING)]
    pub handover_overlap: Option<String>,
    /// Watch the metadata of all objects on one replica, to prove that the fleet serves each once where the API server
    /// sends no replica all of them.
    #[arg(long, value_name = "BOOL", help_heading = SHARDING, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub coverage_watch: Option<bool>,

    /// IP address on which /metrics is served. Default: ::, all of this machine.
    #[arg(long, value_name = "IP", help_heading = SERVING)]
    pub host: Option<String>,
    /// Port on which /metrics is served; 0 takes a free one. Default: 8080.
    #[arg(long, value_name = "PORT", help_heading = SERVING)]
    pub port: Option<u16>,
    /// IP address on which the exporter's own metrics and /readyz are served. Default: ::.
    #[arg(long, value_name = "IP", help_heading = SERVING)]
    pub telemetry_host: Option<String>,
    /// Port on which the exporter's own metrics and /readyz are served; 0 takes a free one. Default: 8081.
    #[arg(long, value_name = "PORT", help_heading = SERVING)]
    pub telemetry_port: Option<u16>,
    /// Compress answers for who accepts gzip. Default: true.
    #[arg(long, value_name = "BOOL", help_heading = SERVING, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub enable_gzip_encoding: Option<bool>,

    /// How long a client may take to send a request; 0s for no limit. Default: 1m0s.
    #[arg(long, value_name = "DURATION", help_heading = SERVING)]
    pub server_read_timeout: Option<String>,
    /// How long a client may take to send the head of a request; 0s for no more than --server-read-timeout. Default: 5s.
    #[arg(long, value_name = "DURATION", help_heading = SERVING)]
    pub server_read_header_timeout: Option<String>,
    /// How long an answer may take until the client has all of it; 0s for no limit. Default: 1m0s.
    #[arg(long, value_name = "DURATION", help_heading = SERVING)]
    pub server_write_timeout: Option<String>,
    /// How long a connection may be idle between requests; 0s for no more than --server-read-timeout. Default: 5m0s.
    #[arg(long, value_name = "DURATION", help_heading = SERVING)]
    pub server_idle_timeout: Option<String>,

    /// File that says how both ports are secured, in the format of the Prometheus exporter toolkit: certificates, client
    /// certificates, users, headers, a limit of requests. It is read again when it changes.
    #[arg(long, value_name = "FILE", help_heading = SERVING)]
    pub tls_config: Option<PathBuf>,
    /// Ask the API server whether who asks may: by TokenReview and SubjectAccessReview, for the verb get on /metrics.
    #[arg(long, value_name = "BOOL", help_heading = SERVING, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub auth_filter: Option<bool>,

    /// Go's; no effect.
    #[arg(long, value_name = "BOOL", help_heading = SERVING, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool)]
    pub auto_gomemlimit: Option<bool>,
    /// Go's; no effect.
    #[arg(long, value_name = "RATIO", help_heading = SERVING, hide = true)]
    pub auto_gomemlimit_ratio: Option<f64>,

    /// Form of the log, on stderr. Default: text.
    #[arg(long, value_name = "FORM", help_heading = LOGGING)]
    pub log_format: Option<LogFormat>,
    /// klog's flags.
    #[command(flatten)]
    pub klog: Klog,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl Flags {
    /// The same, without what says which shard this is.
    pub fn unsharded(self) -> Self {
        Self { shard: None, total_shards: None, pod: None, pod_namespace: None, ..self }
    }
}
