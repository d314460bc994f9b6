//! All flags, each declared once, and the settings that follow from them. CONTRIBUTING.md says how to add one.
//!
//! The names and forms are those of kube-state-metrics, whose flags are parsed by pflag: `--flag value` and `--flag=value`; a bare
//! `--flag` or `--flag=false` for booleans. Lists are comma-separated and add up if a flag is repeated; of any other flag the last
//! one counts. The config keys are those of `pkg/options/options.go` of kube-state-metrics, and the flag's name for our own flags.

// The help of a flag is its doc comment, and shows lists in brackets as a user writes them.
#![allow(rustdoc::broken_intra_doc_links)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;

use super::address::{Listen, apiserver};
use super::custom::CustomResources;
use super::declare::{Differing as _, declare_flags};
use super::features::{self, Feature};
use super::fleet::OnLostQuorum;
use super::keys;
use super::log::{Log, LogFormat};
use super::selection::{LabelSelector, Selections, namespace_selector};
use super::values::{Given, GoBool, GoDuration, KeyLists, SelectorLists, duration, items, path, switch, value_or};
use super::{FamilyFilter, FleetSettings, Klog, SettingsError, Shard, Timeouts};
use crate::collectors::labels::KeyFilter;

/// A flag, for the command line, the config file and the pages of the reference.
pub(super) struct Flag {
    /// With its dashes: `--object-limit`.
    pub name: &'static str,
    /// The field of [`Flags`].
    id: &'static str,
    heading: &'static str,
    value_name: &'static str,
    /// The lines of its doc comment.
    help: &'static [&'static str],
    is_hidden: bool,
    /// Its keys in the config file, the preferred one first.
    pub keys: &'static [&'static str],
    /// How it differs from kube-state-metrics' flag of the same name; at most one text.
    pub differences: &'static [&'static str],
    arg: fn(Arg) -> Arg,
    /// Replaces the value in the flags by that of a config key.
    ///
    /// # Errors
    /// The value has another type. The error names the expected one.
    pub set: fn(&mut Flags, &Value) -> Result<(), String>,
}

impl Flag {
    fn definition(&self) -> Arg {
        let help = self.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let arg = Arg::new(self.id)
            .long(self.name.trim_start_matches('-'))
            .value_name(self.value_name)
            .help_heading(self.heading)
            .hide(self.is_hidden)
            .help(help.strip_suffix('.').unwrap_or(&help).to_owned());
        (self.arg)(arg)
    }
}

/// All settings of a replica, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Those that need a restart.
    pub fixed: Fixed,
    /// Those that a reload can change.
    pub live: Live,
}

impl Settings {
    /// The settings after a reload of `later`: these, with the live ones of `later`.
    pub fn with_live_of(&self, later: &Self) -> Self {
        Self { fixed: self.fixed.clone(), live: later.live.clone() }
    }

    /// The config keys that differ in `later` and have no effect before a restart.
    pub fn keys_that_need_restart(&self, later: &Self) -> Vec<&'static str> {
        self.fixed.differing_keys(&later.fixed)
    }
}

/// The preferred config key of a flag; the flag itself if it has none.
fn key_of(flag: &'static str) -> &'static str {
    let keys = FLAGS.iter().find(|known| known.name == flag).map(|flag| flag.keys);
    keys.and_then(|keys| keys.first()).copied().unwrap_or(flag)
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        Klog::augment_args(command.args(FLAGS.iter().map(Flag::definition)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Flags {
    /// The flags without those that make the replica a shard or a member of a fleet.
    pub fn unsharded(self) -> Self {
        Self { shard: None, total_shards: None, pod: None, pod_namespace: None, ..self }
    }
}

/// Lower than any scrape interval, and long enough to save most wake-ups of a busy watch.
const EVENT_BATCH_DELAY: Duration = Duration::from_millis(100);
/// API servers end watches whose events are not read.
const MAX_EVENT_BATCH_DELAY: Duration = Duration::from_secs(5);
/// Shorter audits would keep all members busy.
const MIN_AUDIT_INTERVAL: Duration = Duration::from_secs(1);
/// Three audits fit into the time after which a result expires (`fleet::coverage`).
const MAX_AUDIT_INTERVAL: Duration = Duration::from_secs(60);

/// The setting of `--audit-interval`: at least [`MIN_AUDIT_INTERVAL`].
fn audit_interval(flag: &'static str, given: &Option<GoDuration>) -> Result<Duration, SettingsError> {
    let interval = duration(MAX_AUDIT_INTERVAL, MAX_AUDIT_INTERVAL)(flag, given)?;
    Ok(interval.max(MIN_AUDIT_INTERVAL))
}

/// Longer than any scrape interval. Serving an object twice for longer is no handover.
const MAX_OVERLAP: Duration = Duration::from_secs(600);
/// Older samples are history, which Prometheus keeps.
const MAX_LINGER: Duration = Duration::from_secs(24 * 60 * 60);

declare_flags! {
    "Configuration" {
        /// Configuration file. Its values override flags. It is reloaded when it changes.
        "--config" config: Option<PathBuf> = "FILE" {}

        /// Start with the flags alone if the file of --config is missing or invalid.
        "--continue-without-config" continue_without_config: Option<GoBool> = "BOOL" {
            key: "continue_without_config";
        }
    }

    "Cluster" {
        /// Kubeconfig file. Default: the service account of the pod that this program runs in.
        "--kubeconfig" kubeconfig: Option<PathBuf> = "FILE" {
            key: "kubeconfig";
            live: Option<PathBuf> = path;
        }

        /// URL of the API server. Overrides the one in the kubeconfig.
        "--apiserver" apiserver: Option<String> = "URL" {
            key: "apiserver";
            live: Option<String> = apiserver;
        }

        /// Read lists from the API server's cache instead of etcd: cheaper, but slightly stale at the start.
        "--use-apiserver-cache" use_apiserver_cache: Option<GoBool> = "BOOL" {
            key: "use_api_server_cache";
            live: bool = switch(false);
            feature: |settings| features::on(settings.live.use_apiserver_cache);
        }

        /// How long the events of a watch are collected before they are processed together, which saves CPU. The first event
        /// after a quiet period is processed at once. Default: 100ms.
        "--event-batch-delay" event_batch_delay: Option<GoDuration> = "DURATION" {
            key: "event_batch_delay";
            live: Duration = duration(EVENT_BATCH_DELAY, MAX_EVENT_BATCH_DELAY);
        }
    }

    "Which objects" {
        /// Resources to serve, by plural name. Default: all except clusterrolebindings, clusterroles, endpoints,
        /// ingressclasses, rolebindings, roles and serviceaccounts.
        "--resources" resources: Vec<String> = "LIST" {
            key: "resources";
        }

        /// Namespaces to serve. Default: all. Cluster-scoped objects are always served.
        "--namespaces" namespaces: Vec<String> = "LIST" {
            key: "namespaces";
            feature: |settings| features::names(&settings.live.namespaces);
            differs: "a namespace that is listed twice is served once";
        }

        /// Namespaces to exclude.
        "--namespaces-denylist" namespaces_denylist: Vec<String> = "LIST" {
            key: "namespaces_denylist";
            feature: |settings| features::names(&settings.live.denied_namespaces);
        }

        /// Serve only the namespaces whose Namespace has matching labels: 'team in (a,b)'. Follows changes of the labels. With
        /// --namespaces, those of the listed ones. See docs/selecting.md.
        "--namespace-selector" namespace_selector: Option<String> = "SELECTOR" {
            key: "namespace_selector";
            live: Option<LabelSelector> = namespace_selector;
            feature: |settings| settings.live.namespace_selector.as_ref().map(ToString::to_string);
        }

        /// Of all pods, serve only those on this node, or on several nodes, comma-separated. For a DaemonSet, with
        /// --resources=pods: each replica repeats the other resources.
        "--node" node: Option<String> = "NAME" {
            key: "node";
            feature: |settings| features::names(&settings.live.nodes);
            differs: "accepts several nodes, comma-separated; serves other resources that --resources names whole, with a warning";
        }

        /// Of all pods, serve only those that are not assigned to a node yet, which --node excludes. Overrides --node.
        "--track-unscheduled-pods" track_unscheduled_pods: Option<GoBool> = "BOOL" {
            key: "track_unscheduled_pods";
            live: bool = switch(false);
            feature: |settings| features::on(settings.live.track_unscheduled_pods);
            differs: "serves other resources that --resources names whole; without --resources, excludes namespaced ones with a warning; \
                      in kube-state-metrics their lists fail";
        }

        /// Of a resource, serve only the objects whose labels match: 'pods=app!=ci,secrets=type=x'. The API server applies the
        /// selectors, in the syntax of kubectl. Repeat the flag for custom resources: 'things.example.com=tier in (a,b)'. See
        /// docs/selecting.md.
        "--resource-selector" resource_selector: SelectorLists = "LIST" {
            key: "resource_selector";
            feature: |settings| features::names(settings.live.selections.resources());
        }

        /// Of a resource, serve only the objects whose fields match, where the API server can select by the field:
        /// 'pods=spec.nodeName!=x,secrets=type=Opaque'.
        "--resource-field-selector" resource_field_selector: SelectorLists = "LIST" {
            key: "resource_field_selector";
            feature: |settings| features::names(settings.live.selections.resources_by_field());
        }

        /// Maximum number of objects per resource, counted before sharding. Default: 0, no limit.
        "--object-limit" object_limit: Option<u64> = "N" {
            key: "object_limit";
            live: u64 = value_or(0);
            feature: |settings| features::limit(settings.live.object_limit);
        }
    }

    "Which metrics and labels" {
        /// Serve only the families whose names match one of these ECMAScript patterns, which are not anchored.
        "--metric-allowlist" metric_allowlist: Vec<String> = "LIST" {
            key: "metric_allowlist";
            feature: |settings| features::count(settings.live.families.counts().allowed, "pattern");
        }

        /// Exclude the families whose names match one of these ECMAScript patterns, which are not anchored. Cannot be combined
        /// with --metric-allowlist.
        "--metric-denylist" metric_denylist: Vec<String> = "LIST" {
            key: "metric_denylist";
            feature: |settings| features::count(settings.live.families.counts().denied, "pattern");
        }

        /// Also serve the opt-in families whose names match one of these RE2 patterns.
        "--metric-opt-in-list" metric_opt_in_list: Vec<String> = "LIST" {
            key: "metric_opt_in_list";
            feature: |settings| features::count(settings.live.families.counts().opted_in, "pattern");
        }

        /// Kubernetes labels to expose in kube_*_labels, by resource: pods=[app,team],nodes=[*],*=[example.com/*].
        "--metric-labels-allowlist" metric_labels_allowlist: Option<KeyLists> = "LIST" {
            key: "labels_allow_list";
            feature: |settings| features::names(settings.live.labels.keys());
        }

        /// Kubernetes annotations to expose in kube_*_annotations. The format is that of --metric-labels-allowlist.
        "--metric-annotations-allowlist" metric_annotations_allowlist: Option<KeyLists> = "LIST" {
            key: "annotations_allow_list";
            feature: |settings| features::names(settings.live.annotations.keys());
        }

        /// Kubernetes labels to add to every series of the object, so that alerts need no join. The format, and the names
        /// of the labels in the series, are those of --metric-labels-allowlist.
        "--promote-labels" promote_labels: Option<KeyLists> = "LIST" {
            key: "promote_labels";
            feature: |settings| features::names(settings.live.promoted.keys());
        }

        /// Labels of Namespaces to add to every series of their objects, as namespace_label_team: team,example.com/*. Follows changes of the
        /// labels. See docs/tenants.md.
        "--promote-namespace-labels" promote_namespace_labels: Vec<String> = "LIST" {
            key: "promote_namespace_labels";
            live: KeyFilter = |flag: &'static str, given: &Vec<String>| keys::of_namespaces(flag, given);
            feature: |settings| settings.live.promote_namespace_labels.to_text();
        }

        /// How long the series of a deleted object stay, with their last values. Default: 0s, not at all.
        "--deleted-linger" deleted_linger: Option<GoDuration> = "DURATION" {
            key: "deleted_linger";
            fixed: Duration = duration(Duration::ZERO, MAX_LINGER);
            feature: |settings| features::seconds(settings.fixed.deleted_linger);
        }
    }

    "Custom resources" {
        /// Custom resources to serve and their metrics, as YAML (CustomResourceStateMetrics). Overrides
        /// --custom-resource-state-config-file.
        "--custom-resource-state-config" custom_resource_state_config: Option<String> = "YAML" {
            key: "custom_resource_config";
            feature: |settings| features::count(settings.live.custom.entries().len(), "custom resource");
        }

        /// File with the configuration of custom resources. It is reloaded when it changes.
        "--custom-resource-state-config-file" custom_resource_state_config_file: Option<PathBuf> = "FILE" {
            key: "custom_resource_state_config_file";
            key: "custom_resource_config_file";
        }

        /// Start without custom resources if that file is missing. They are served as soon as it exists.
        "--continue-without-custom-resource-state-config-file" continue_without_custom_resource_state_config_file: Option<GoBool> = "BOOL" {
            key: "continue_without_custom_resource_state_config_file";
        }

        /// Also take entries for kinds without a CustomResourceDefinition: built-in kinds (group "" for the core group), whose
        /// metrics share the watch of their resource, and kinds of aggregated API servers. Default: false.
        "--custom-resource-state-all-kinds" custom_resource_state_all_kinds: Option<GoBool> = "BOOL" {
            key: "custom_resource_state_all_kinds";
            feature: |settings| features::on(settings.live.custom.takes_all_kinds() && !settings.live.custom.is_empty());
        }

        /// Serve only custom resources.
        "--custom-resource-state-only" custom_resource_state_only: Option<GoBool> = "BOOL" {
            key: "custom_resources_only";
        }
    }

    "Sharding" {
        /// Index of this shard, from 0. Default: $SHARD; else, if $TOTAL_SHARDS is set, the ordinal in the pod's name; else 0.
        "--shard" shard: Option<u32> = "N" {
            key: "shard";
            differs: "also read from the environment; an error if it is not lower than the number of shards";
        }

        /// Number of shards. Default: $TOTAL_SHARDS, else $SHARD_COUNT, else 1.
        "--total-shards" total_shards: Option<u32> = "N" {
            key: "total_shards";
            differs: "also read from the environment; at most 1,024";
        }

        /// Name of the pod that this program runs in. The replicas of its StatefulSet then form a fleet: they share the objects, and
        /// hand them over when the StatefulSet is scaled. Overrides --shard and --total-shards.
        "--pod" pod: Option<String> = "NAME" {
            key: "pod";
            differs: "the replicas of its StatefulSet hand objects over, which needs permission to use Leases (without it, they \
                shard as kube-state-metrics does); the pod must belong to a StatefulSet";
        }

        /// Namespace of that pod. Default: $POD_NAMESPACE.
        "--pod-namespace" pod_namespace: Option<String> = "NAME" {
            key: "namespace";
            differs: "defaults to `POD_NAMESPACE`; an error without `--pod`";
        }

        /// Ask the API server to send only the objects of this shard (KEP-5866). A server without support sends all objects,
        /// and this program filters them. In a running fleet, a change of this flag is a handover.
        "--server-side-sharding" server_side_sharding: Option<GoBool> = "BOOL" {
            key: "server_side_sharding";
            fixed: bool = switch(false);
            feature: |settings| features::on(settings.fixed.server_side_sharding);
        }

        /// How long an object that moves to another replica also stays on the old one, if you prefer duplicates to a gap of one
        /// scrape: 30s, 1m30s. Default: 0s.
        "--handover-overlap" handover_overlap: Option<GoDuration> = "DURATION" {
            key: "handover_overlap";
            fixed: Duration = duration(Duration::ZERO, MAX_OVERLAP);
            feature: |settings| features::seconds(settings.fixed.handover_overlap);
        }

        /// Print objects that are about to move to another replica, or that a terminating replica serves, with a timestamp. A
        /// Prometheus that drops the labels of the replica then sees one series per object, without a gap. See docs/scaling.md.
        "--seamless-handover" seamless_handover: Option<GoBool> = "BOOL" {
            key: "seamless_handover";
            fixed: bool = switch(false);
            feature: |settings| features::on(settings.fixed.seamless_handover);
        }

        /// What a replica of a fleet does when for 15 seconds neither the API server nor all other replicas confirmed its view: it
        /// serves its objects, which another replica may serve too (serve), or it answers 503 (refuse). Default: serve.
        "--on-lost-quorum" on_lost_quorum: Option<OnLostQuorum> = "CHOICE" {
            key: "on_lost_quorum";
            fixed: OnLostQuorum = value_or(OnLostQuorum::Serve);
            feature: |settings| settings.fixed.on_lost_quorum.feature();
        }

        /// Post Kubernetes Events about handovers and the state of the fleet, which "kubectl describe statefulset" shows.
        /// Default: true.
        "--fleet-events" fleet_events: Option<GoBool> = "BOOL" {
            key: "fleet_events";
            fixed: bool = switch(true);
            feature: |settings| features::off(settings.fixed.fleet_events);
        }

        /// Watch the metadata of all objects on one replica, to prove that the fleet serves each object once even if the API
        /// server sends no replica all objects.
        "--coverage-watch" coverage_watch: Option<GoBool> = "BOOL" {
            key: "coverage_watch";
            fixed: bool = switch(false);
            feature: |settings| features::on(settings.fixed.coverage_watch);
        }

        /// Time between the checks that the fleet serves each object once. Tests shorten it. Default: 1m0s.
        "--audit-interval" audit_interval: Option<GoDuration> = "DURATION" {
            hidden: true;
            fixed: Duration = audit_interval;
        }
    }

    "Serving" {
        /// IP address that /metrics is served on. Default: ::, all addresses.
        "--host" host: Option<String> = "IP" {
            key: "host";
            differs: "an IP address or `localhost`, no other name";
        }

        /// Port that /metrics is served on; 0 takes a free one. Default: 8080.
        "--port" port: Option<u16> = "PORT" {
            key: "port";
        }

        /// IP address that self-metrics and /readyz are served on. Default: ::, all addresses.
        "--telemetry-host" telemetry_host: Option<String> = "IP" {
            key: "telemetry_host";
            differs: "an IP address or `localhost`, no other name";
        }

        /// Port that self-metrics and /readyz are served on; 0 takes a free one. Default: 8081.
        "--telemetry-port" telemetry_port: Option<u16> = "PORT" {
            key: "telemetry_port";
        }

        /// IP address that the fleet port is served on. Default: that of --telemetry-host.
        "--fleet-host" fleet_host: Option<String> = "IP" {
            key: "fleet_host";
        }

        /// Port that the other members of the fleet connect to, with TLS and keys from the fleet's Leases; 0 takes a free one.
        /// Without --pod there is none. Default: 8082.
        "--fleet-port" fleet_port: Option<u16> = "PORT" {
            key: "fleet_port";
        }

        /// Compress responses for clients that accept gzip. Default: true.
        "--enable-gzip-encoding" enable_gzip_encoding: Option<GoBool> = "BOOL" {
            key: "enable_gzip_encoding";
            live: bool = switch(true);
            feature: |settings| features::off(settings.live.enable_gzip_encoding);
            differs: "on by default; `--enable-gzip-encoding=false` turns it off";
        }

        /// Maximum time for a client to send a request; 0s for no limit. Default: 1m0s.
        "--server-read-timeout" server_read_timeout: Option<GoDuration> = "DURATION" {
            key: "server_read_timeout";
        }

        /// Maximum time for a client to send the headers of a request; 0s for that of --server-read-timeout. Default: 5s.
        "--server-read-header-timeout" server_read_header_timeout: Option<GoDuration> = "DURATION" {
            key: "server_read_header_timeout";
        }

        /// Maximum time for a client to receive a response; 0s for no limit. Default: 1m0s.
        "--server-write-timeout" server_write_timeout: Option<GoDuration> = "DURATION" {
            key: "server_write_timeout";
        }

        /// Maximum time that a connection stays idle between requests; 0s for that of --server-read-timeout. Default: 5m0s.
        "--server-idle-timeout" server_idle_timeout: Option<GoDuration> = "DURATION" {
            key: "server_idle_timeout";
        }

        /// File that secures the ports of --host and --telemetry-host, in the format of the Prometheus exporter toolkit: certificates, client certificates,
        /// users, headers, request limits. It is reloaded when it changes.
        "--tls-config" tls_config: Option<PathBuf> = "FILE" {
            key: "tls_config";
            fixed: Option<PathBuf> = path;
            feature: |settings| features::on(settings.fixed.tls_config.is_some());
            differs: "accepts every key; rejects values that rustls does not support, by name; see [security.md](security.md)";
        }

        /// Authenticate and authorize requests with the API server: TokenReview, and SubjectAccessReview for the verb get on
        /// /metrics.
        "--auth-filter" auth_filter: Option<GoBool> = "BOOL" {
            key: "auth_filter";
            fixed: bool = switch(false);
            feature: |settings| features::on(settings.fixed.auth_filter);
            differs: "responds to an invalid token with 401; see [security.md](security.md)";
        }

        /// Let a scrape name namespaces, as in /metrics?namespace=a&namespace=b: it shows only their objects. With --auth-filter, a client
        /// may then scrape the namespaces in which it may get namespaces/metrics, without the permission for all. Default: false.
        "--namespaced-scrapes" namespaced_scrapes: Option<GoBool> = "BOOL" {
            key: "namespaced_scrapes";
            fixed: bool = switch(false);
            feature: |settings| features::on(settings.fixed.namespaced_scrapes);
        }

        /// Host names under which browsers may open the pages without TLS and authentication, for example that of an Ingress;
        /// .example.com for all names below, * for any. IP addresses, localhost and names of Services are always allowed.
        "--allowed-hosts" allowed_hosts: Vec<String> = "LIST" {
            key: "allowed_hosts";
            fixed: Vec<String> = |_: &'static str, given: &Vec<String>| -> Result<Vec<String>, SettingsError> { Ok(items(given)) };
        }

        /// Specific to Go; no effect.
        "--auto-gomemlimit" auto_gomemlimit: Option<GoBool> = "BOOL" {
            hidden: true;
            key: "auto-gomemlimit";
        }

        /// Specific to Go; no effect.
        "--auto-gomemlimit-ratio" auto_gomemlimit_ratio: Option<f64> = "RATIO" {
            hidden: true;
            key: "auto-gomemlimit-ratio";
        }
    }

    "Logging" {
        /// Format of the log, on stderr. Default: text.
        "--log-format" log_format: Option<LogFormat> = "FORMAT" {}
    }

    combined fixed {
        /// `--host`, `--port`: where `/metrics` is served.
        metrics: Listen = "host, port";
        /// `--telemetry-host`, `--telemetry-port`: where self-metrics and readiness are served.
        telemetry: Listen = "telemetry_host, telemetry_port";
        /// `--fleet-host`, `--fleet-port`: where the other members of the fleet connect to.
        fleet_port: Listen = "fleet_host, fleet_port";
        /// `--server-read-timeout` and the like.
        timeouts: Timeouts = "server_*_timeout";
        /// `--shard`, `--total-shards`, or their replacements in the environment. In a fleet, the only shard: its members
        /// find out their ranges from each other.
        shard: Shard = "shard, total_shards";
        /// `--pod`, `--pod-namespace`, if the replica is a member of a fleet.
        fleet: Option<FleetSettings> = "pod, namespace";
    }

    combined live {
        /// `--resources`: plurals of known resources, in the order of the registry; none with `--custom-resource-state-only`.
        resources: Vec<String>;
        /// `--namespaces` without the denied ones; empty for all.
        namespaces: Vec<String>;
        /// `--namespaces-denylist`, if `namespaces` is empty, or if it denies all of them.
        denied_namespaces: Vec<String>;
        /// The namespaces that `--namespace-selector` selects, once they are known: set by whoever reads the Namespaces.
        selected_namespaces: Option<Vec<String>>;
        /// `--node`; empty with `--track-unscheduled-pods`.
        nodes: Vec<String>;
        /// `--resource-selector`, `--resource-field-selector`, by resource.
        selections: Selections;
        /// `--metric-allowlist`, `--metric-denylist`, `--metric-opt-in-list`.
        families: FamilyFilter;
        /// `--metric-labels-allowlist`, by resource.
        labels: BTreeMap<String, KeyFilter>;
        /// `--metric-annotations-allowlist`, by resource.
        annotations: BTreeMap<String, KeyFilter>;
        /// `--promote-labels`, by resource.
        promoted: BTreeMap<String, KeyFilter>;
        /// `--custom-resource-state-config`, or the content of `--custom-resource-state-config-file`.
        custom: CustomResources;
        /// `--custom-resource-state-config-file`, if it counts.
        custom_file: Option<PathBuf>;
        /// `--log-format` and `-v`.
        log: Log;
    }
}
