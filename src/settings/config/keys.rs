//! The keys of a config file, and the flag that each stands for.
//!
//! Values may have the forms that kube-state-metrics reads: lists of resources and families there are maps whose values say
//! nothing (`resources: {pods: {}}`), those of namespaces are lists. Here either may be any of both, or text with commas.

use std::path::PathBuf;

use serde_json::Value;

use super::super::Flags;

/// A key.
pub(super) struct Key {
    pub name: &'static str,
    /// The flag of the same meaning.
    pub flag: &'static str,
    /// Puts a value in the place of what the flag was given; what is expected, if the value is something else.
    pub set: fn(&mut Flags, &Value) -> Result<(), String>,
}

/// `name`, `flag`, field and the function that reads it.
macro_rules! keys {
    ($($name:literal $flag:literal $field:ident $read:expr;)*) => {
        &[$(Key {
            name: $name,
            flag: $flag,
            set: |flags, value| {
                flags.$field = $read(value)?;
                Ok(())
            },
        }),*]
    };
}

/// All keys: kube-state-metrics' own, and those of flags that there are only here.
pub(super) const KEYS: &[Key] = keys! {
    "annotations_allow_list" "--metric-annotations-allowlist" metric_annotations_allowlist keys_by_resource;
    "apiserver" "--apiserver" apiserver text;
    "auth_filter" "--auth-filter" auth_filter boolean;
    "auto-gomemlimit" "--auto-gomemlimit" auto_gomemlimit boolean;
    "auto-gomemlimit-ratio" "--auto-gomemlimit-ratio" auto_gomemlimit_ratio ratio;
    "continue_without_config" "--continue-without-config" continue_without_config boolean;
    "continue_without_custom_resource_state_config_file" "--continue-without-custom-resource-state-config-file" continue_without_custom_resource_state_config_file boolean;
    "custom_resource_config" "--custom-resource-state-config" custom_resource_state_config text;
    "custom_resource_config_file" "--custom-resource-state-config-file" custom_resource_state_config_file path;
    "custom_resource_state_config_file" "--custom-resource-state-config-file" custom_resource_state_config_file path;
    "custom_resources_only" "--custom-resource-state-only" custom_resource_state_only boolean;
    "coverage_watch" "--coverage-watch" coverage_watch boolean;
    "deleted_linger" "--deleted-linger" deleted_linger duration;
    "enable_gzip_encoding" "--enable-gzip-encoding" enable_gzip_encoding boolean;
    "event_batch_delay" "--event-batch-delay" event_batch_delay duration;
    "handover_overlap" "--handover-overlap" handover_overlap duration;
    "host" "--host" host text;
    "kubeconfig" "--kubeconfig" kubeconfig path;
    "labels_allow_list" "--metric-labels-allowlist" metric_labels_allowlist keys_by_resource;
    "metric_allowlist" "--metric-allowlist" metric_allowlist names;
    "metric_denylist" "--metric-denylist" metric_denylist names;
    "metric_opt_in_list" "--metric-opt-in-list" metric_opt_in_list names;
    "namespace" "--pod-namespace" pod_namespace text;
    "namespaces" "--namespaces" namespaces names;
    "namespaces_denylist" "--namespaces-denylist" namespaces_denylist names;
    "node" "--node" node text;
    "object_limit" "--object-limit" object_limit number;
    "pod" "--pod" pod text;
    "port" "--port" port number;
    "promote_labels" "--promote-labels" promote_labels keys_by_resource;
    "resources" "--resources" resources names;
    "server_idle_timeout" "--server-idle-timeout" server_idle_timeout duration;
    "server_read_header_timeout" "--server-read-header-timeout" server_read_header_timeout duration;
    "server_read_timeout" "--server-read-timeout" server_read_timeout duration;
    "server_side_sharding" "--server-side-sharding" server_side_sharding boolean;
    "server_write_timeout" "--server-write-timeout" server_write_timeout duration;
    "shard" "--shard" shard number;
    "telemetry_host" "--telemetry-host" telemetry_host text;
    "telemetry_port" "--telemetry-port" telemetry_port number;
    "tls_config" "--tls-config" tls_config path;
    "total_shards" "--total-shards" total_shards number;
    "track_unscheduled_pods" "--track-unscheduled-pods" track_unscheduled_pods boolean;
    "use_api_server_cache" "--use-apiserver-cache" use_apiserver_cache boolean;
};

/// Text, or what YAML takes for something else though text was meant: `node: 7`.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: &Value) -> Result<Option<String>, String> {
    scalar(value).map(Some).ok_or_else(|| "text".to_owned())
}

fn path(value: &Value) -> Result<Option<PathBuf>, String> {
    Ok(text(value)?.map(PathBuf::from))
}

/// YAML 1.1, by which kube-state-metrics reads, has more words for it than true and false.
fn boolean(value: &Value) -> Result<Option<bool>, String> {
    let word = match value {
        Value::Bool(is) => return Ok(Some(*is)),
        other => scalar(other).unwrap_or_default().to_lowercase(),
    };
    match word.as_str() {
        "y" | "yes" | "on" | "true" => Ok(Some(true)),
        "n" | "no" | "off" | "false" => Ok(Some(false)),
        _ => Err("true or false".to_owned()),
    }
}

fn number<N: TryFrom<u64> + Bounded>(value: &Value) -> Result<Option<N>, String> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let number = number.and_then(|number| N::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("a whole number from 0 to {}", N::MAXIMUM))
}

/// Of numbers.
trait Bounded {
    const MAXIMUM: u64;
}

impl Bounded for u16 {
    const MAXIMUM: u64 = u16::MAX as u64;
}

impl Bounded for u32 {
    const MAXIMUM: u64 = u32::MAX as u64;
}

impl Bounded for u64 {
    const MAXIMUM: u64 = Self::MAX;
}

fn ratio(value: &Value) -> Result<Option<f64>, String> {
    value.as_f64().map(Some).ok_or_else(|| "a number".to_owned())
}

/// As Go reads one: 1m30s, or a whole number of nanoseconds.
fn duration(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) if number.is_u64() => Ok(Some(format!("{number}ns"))),
        _ => Err("a time, written as 30s or 1m30s".to_owned()),
    }
}

/// Names: a map of them, a list, or text with commas.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Object(map) => map.iter().all(|(_, value)| is_nothing(value)).then(|| map.keys().cloned().collect()),
        Value::Array(items) => items.iter().map(scalar).collect(),
        other => Some(scalar(other)?.split(',').map(str::to_owned).collect()),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn names(value: &Value) -> Result<Vec<String>, String> {
    list(value).ok_or_else(|| "a list of names, or a map of them as in {pods: {}, nodes: {}}".to_owned())
}

/// Of each resource a list of keys; as text, it is what the flag takes.
fn keys_by_resource(value: &Value) -> Result<Option<String>, String> {
    const EXPECTED: &str = "a list of keys for each resource, as in {pods: [app, team]}";
    let Value::Object(map) = value else {
        return value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| EXPECTED.to_owned());
    };
    let mut lists = Vec::new();
    for (resource, keys) in map {
        let keys = match keys {
            Value::Null => Vec::new(),
            keys => list(keys).ok_or_else(|| format!("a list of keys for {resource:?}"))?,
        };
        if let Some(odd) = keys.iter().chain([resource]).find(|name| name.contains(['[', ']', ',', '='])) {
            return Err(format!("keys without brackets, and {odd:?} has some"));
        }
        lists.push(format!("{resource}=[{}]", keys.join(",")));
    }
    Ok(Some(lists.join(",")))
}
