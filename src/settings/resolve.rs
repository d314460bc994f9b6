//! From the flags and the environment to settings: [`Settings::resolve`] is the only way.

use std::collections::BTreeMap;
use std::path::Path;

use super::address::Listen;
use super::custom::{CustomResources, Kinds};
use super::flags::Combined;
use super::log::{Log, LogFormat};
use super::values::{self, is_true, items, non_empty};
use super::{Environment, FamilyFilter, Flags, Settings, SettingsError, Shard, Timeouts, Warning};
use super::{fleet, keys, names, resources, selection, shard};
use crate::collectors::labels::KeyFilter;

/// The default of `--port`.
const METRICS_PORT: u16 = 8080;
/// The default of `--telemetry-port`.
const TELEMETRY_PORT: u16 = 8081;
/// The default of `--fleet-port`.
const FLEET_PORT: u16 = 8082;

/// The only resource whose objects are selected by node.
const PODS: &str = "pods";

const INLINE: &str = "--custom-resource-state-config";

impl Settings {
    /// Validates `flags` over `environment` over the defaults. `host_name` is called only if an ordinal has no other source.
    /// The warnings name values that are accepted but have no effect.
    ///
    /// # Errors
    /// A value is not valid, or two values contradict each other. The error names the flag or variable.
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
        let fleet = fleet::fleet(flags.pod.as_deref(), flags.pod_namespace.as_deref(), environment)?;
        let Ports { metrics, telemetry, fleet_port } = ports(flags, fleet.is_some())?;
        let shard = match fleet {
            Some(_) => Shard { ordinal: 0, total: 1 },
            None => shard::shard(flags.shard, flags.total_shards, environment, host_name)?,
        };
        let unscheduled = is_true(flags.track_unscheduled_pods);
        let nodes = if unscheduled { Vec::new() } else { items(&flags.node) };
        let by_node = match (unscheduled, nodes.is_empty()) {
            (true, _) => Some("--track-unscheduled-pods"),
            (false, false) => Some("--node"),
            (false, true) => None,
        };
        let custom = custom_resources(flags, &mut warnings)?;
        let resources = match is_true(flags.custom_resource_state_only) {
            true => Vec::new(),
            false => enabled_resources(flags, by_node, &mut warnings)?,
        };
        if let Some(flag) = by_node.filter(|_| !custom.is_empty()) {
            warnings.push(Warning::Excluded { flag, resources: vec!["all custom resources".to_owned()] });
        }
        names::namespaces("--namespaces", &items(&flags.namespaces))?;
        names::namespaces("--namespaces-denylist", &items(&flags.namespaces_denylist))?;
        let (namespaces, denied_namespaces) = namespaces(items(&flags.namespaces), items(&flags.namespaces_denylist));
        let selections = selection::selections(&flags.resource_selector, &flags.resource_field_selector, &custom)?;
        let keys = |flag, given: &Option<values::KeyLists>| -> Result<BTreeMap<String, KeyFilter>, SettingsError> {
            keys::by_resource(flag, given.as_ref().map_or("", |lists| &lists.0), &resources)
        };
        let combined = Combined {
            metrics,
            telemetry,
            fleet_port,
            timeouts: timeouts(flags)?,
            shard,
            fleet,
            namespaces,
            denied_namespaces,
            selected_namespaces: None,
            nodes,
            selections,
            families: FamilyFilter::new(
                &items(&flags.metric_allowlist),
                &items(&flags.metric_denylist),
                &items(&flags.metric_opt_in_list),
                &custom.metric_names().collect::<Vec<_>>(),
            )?,
            labels: keys("--metric-labels-allowlist", &flags.metric_labels_allowlist)?,
            annotations: keys("--metric-annotations-allowlist", &flags.metric_annotations_allowlist)?,
            promoted: keys("--promote-labels", &flags.promote_labels)?,
            resources,
            custom,
            custom_file: custom_file(flags).map(Path::to_owned),
            log: Log {
                json: flags.log_format == Some(LogFormat::Json),
                verbosity: u8::try_from(flags.klog.verbosity.unwrap_or_default().clamp(0, 255)).unwrap_or(u8::MAX),
            },
        };
        let settings = Self::new(flags, combined)?;
        if settings.fixed.seamless_handover && !settings.fixed.handover_overlap.is_zero() {
            return Err(SettingsError::SeamlessOverlap);
        }
        Ok((settings, warnings))
    }
}

/// The addresses that a replica listens on.
struct Ports {
    metrics: Listen,
    telemetry: Listen,
    fleet_port: Listen,
}

/// Returns the addresses. The fleet port counts only in a fleet.
fn ports(flags: &Flags, in_fleet: bool) -> Result<Ports, SettingsError> {
    let metrics = Listen::new("--host", flags.host.as_deref(), flags.port.unwrap_or(METRICS_PORT))?;
    let telemetry_host = flags.telemetry_host.as_deref();
    let telemetry = Listen::new("--telemetry-host", telemetry_host, flags.telemetry_port.unwrap_or(TELEMETRY_PORT))?;
    let fleet_host = flags.fleet_host.as_deref().filter(|host| !host.is_empty()).or(telemetry_host);
    let fleet_port = Listen::new("--fleet-host", fleet_host, flags.fleet_port.unwrap_or(FLEET_PORT))?;
    let same = |one: Listen, other: Listen| one == other && one.port != 0;
    let error = |flags| Err(SettingsError::SameAddress { flags, host: telemetry.host, port: telemetry.port });
    if same(metrics, telemetry) {
        return error("--port and --telemetry-port");
    }
    if in_fleet && same(fleet_port, telemetry) {
        return error("--telemetry-port and --fleet-port");
    }
    if in_fleet && same(fleet_port, metrics) {
        let flags = "--port and --fleet-port";
        return Err(SettingsError::SameAddress { flags, host: metrics.host, port: metrics.port });
    }
    Ok(Ports { metrics, telemetry, fleet_port })
}

fn timeouts(flags: &Flags) -> Result<Timeouts, SettingsError> {
    let Timeouts { read, read_header, write, idle } = Timeouts::default();
    Ok(Timeouts {
        read: Timeouts::timeout("--server-read-timeout", &flags.server_read_timeout, read)?,
        read_header: Timeouts::timeout("--server-read-header-timeout", &flags.server_read_header_timeout, read_header)?,
        write: Timeouts::timeout("--server-write-timeout", &flags.server_write_timeout, write)?,
        idle: Timeouts::timeout("--server-idle-timeout", &flags.server_idle_timeout, idle)?,
    })
}

/// The allowed namespaces without the denied ones, and the denied ones that remain to be excluded. If no namespace remains, both
/// lists stay as they are, so that nothing is selected.
fn namespaces(allowed: Vec<String>, denied: Vec<String>) -> (Vec<String>, Vec<String>) {
    if allowed.is_empty() {
        return (allowed, denied);
    }
    let left: Vec<_> = allowed.iter().filter(|n| !denied.contains(n)).cloned().collect();
    if left.is_empty() { (allowed, denied) } else { (left, Vec::new()) }
}

/// The enabled resources. If `by_node`, a flag, selects pods by node, other resources that `--resources` names are served whole, as
/// in kube-state-metrics. If it names none, other namespaced resources are excluded: kube-state-metrics sends the selector for
/// them too, and the API server rejects it.
fn enabled_resources(
    flags: &Flags,
    by_node: Option<&'static str>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, SettingsError> {
    let given = items(&flags.resources);
    let mut enabled = resources::enabled(&given)?;
    if let Some(flag) = by_node.filter(|_| given.is_empty()) {
        let excluded: Vec<_> =
            enabled.extract_if(.., |k| k.namespaced && k.plural != PODS).map(|k| k.plural.to_owned()).collect();
        warnings.push(Warning::Excluded { flag, resources: excluded });
    }
    // `--track-unscheduled-pods` belongs to the one Deployment beside a DaemonSet, which repeats nothing.
    if by_node == Some("--node") {
        let repeated: Vec<_> =
            enabled.iter().map(|k| k.plural).filter(|name| *name != PODS).map(str::to_owned).collect();
        if !repeated.is_empty() {
            warnings.push(Warning::Repeated(repeated));
        }
    }
    Ok(enabled.into_iter().map(|k| k.plural.to_owned()).collect())
}

/// The inline configuration of custom resources, if there is one.
fn custom_text(flags: &Flags) -> Option<&str> {
    flags.custom_resource_state_config.as_deref().filter(|text| !text.is_empty())
}

/// The file of custom resources, if it counts: an inline configuration overrides it.
pub(super) fn custom_file(flags: &Flags) -> Option<&Path> {
    non_empty(&flags.custom_resource_state_config_file).filter(|_| custom_text(flags).is_none())
}

/// The custom resources of the inline configuration or of the file.
pub(super) fn custom_resources(flags: &Flags, warnings: &mut Vec<Warning>) -> Result<CustomResources, SettingsError> {
    let is_optional = is_true(flags.continue_without_custom_resource_state_config_file);
    let kinds = Kinds::all(is_true(flags.custom_resource_state_all_kinds));
    let (origin, custom) = match (custom_text(flags), custom_file(flags)) {
        (Some(text), _) => (INLINE.to_owned(), CustomResources::parse_for(kinds, INLINE, text)?),
        (None, Some(file)) if is_optional && !file.exists() => {
            warnings.push(Warning::WithoutFile { file: file.to_owned() });
            Default::default()
        }
        (None, Some(file)) => (file.display().to_string(), CustomResources::read(file, kinds)?),
        (None, None) => Default::default(),
    };
    let unknown = custom.unknown_keys().iter().cloned().map(Warning::UnknownCustomKey);
    Warning::add_unknown_keys(warnings, &origin, unknown);
    warnings.extend(custom.hidden().map(|(line, later)| Warning::Hidden { origin: origin.clone(), line, later }));
    warnings.extend(custom.reserved().iter().cloned().map(Warning::ReservedLabel));
    warnings.extend(custom.repeated().iter().cloned().map(Warning::RepeatedName));
    if custom.is_empty() && is_true(flags.custom_resource_state_only) {
        warnings.push(Warning::NothingCustom);
    }
    Ok(custom)
}
