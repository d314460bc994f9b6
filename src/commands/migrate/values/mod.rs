//! `migrate --values`: turns values of kube-state-metrics' chart (prometheus-community/kube-state-metrics 8.4.0), or of
//! kube-prometheus-stack, into values of this project's chart that do the same.
//!
//! Most values have the same name in both charts. This module knows the others: values that this chart refuses, defaults that differ, and
//! values whose meaning depends on each other, as in `checks.yaml` of the chart. Which values there are, the chart's schema says. Nothing
//! here reads a cluster or renders a template.

mod origin;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::flags;
use super::manifest::Deployed;
use super::schema::{self, Fault};
use crate::settings::resources;
use crate::shown;
use origin::{IN_STACK, Origin};

/// Why a sharded set is not replaced in place.
const ANOTHER_HASH: &str = "another hash assigns objects to shards: install the fleet beside kube-state-metrics, and then switch the scrape \
                            job. Objects are missing and doubled while an upgrade in place runs (docs/migration.md)";

/// What a remark means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The chart cannot do what the value asks for.
    Refused,
    /// The reader has to choose.
    Decide,
    /// The value works differently, or is new in the output.
    Note,
}

/// A remark on a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Remark {
    kind: Kind,
    /// The value, with dots between its keys.
    path: String,
    text: String,
}

/// The values of this chart, and remarks on them.
#[derive(Debug, Default)]
pub(super) struct Migrated {
    /// How the file was read, and why.
    read_as: String,
    values: Map<String, Value>,
    remarks: Vec<Remark>,
}

/// Why values cannot be migrated.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum ValuesError {
    /// The text is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// It is no mapping.
    #[error("not the values of a chart: expected keys with values")]
    NoValues,
}

/// Migrates the values in `text`.
pub(super) fn migrate(text: &str) -> Result<Migrated, ValuesError> {
    let root: Value = serde_saphyr::from_str(text).map_err(|error| {
        let text = error.to_string();
        ValuesError::Yaml(text.lines().next().unwrap_or_default().to_owned())
    })?;
    let root = match root {
        Value::Null => Map::new(),
        Value::Object(root) => root,
        _ => return Err(ValuesError::NoValues),
    };
    let origin = Origin::of(&root);
    let is_stack = origin.is_stack();
    let mut migrated = Migrated { read_as: origin.to_string(), ..Migrated::default() };
    if is_stack {
        migrated.take_from_stack(root);
    } else {
        migrated.values = root;
    }
    migrated.image();
    migrated.removed();
    migrated.check();
    migrated.collectors();
    migrated.workload();
    migrated.service();
    migrated.monitors();
    migrated.permissions();
    migrated.arguments();
    migrated.defaults(is_stack);
    Ok(migrated)
}

impl Migrated {
    /// Whether everything that the values ask for is done.
    pub fn is_complete(&self) -> bool {
        self.remarks.iter().all(|remark| remark.kind != Kind::Refused)
    }

    /// The values as YAML, with the remarks as comments.
    pub fn print(&self, from: &str) -> String {
        let mut text = format!("# Values of kube-state-fleet's chart, from {}.\n", one_line(from));
        text += &format!("# {}\n", one_line(&self.read_as));
        let key = |remark: &Remark| remark.path.split('.').next().unwrap_or_default().to_owned();
        let elsewhere = self.remarks.iter().filter(|remark| !self.values.contains_key(&key(remark)));
        elsewhere.for_each(|remark| text += &remark.comment());
        for (name, value) in &self.values {
            text.push('\n');
            self.remarks.iter().filter(|remark| key(remark) == *name).for_each(|remark| text += &remark.comment());
            text += &yaml(name, value);
        }
        text
    }

    fn remark(&mut self, kind: Kind, path: &str, text: &str) {
        self.remarks.push(Remark { kind, path: path.to_owned(), text: text.to_owned() });
    }

    fn refuse(&mut self, path: &str, text: &str) {
        self.remark(Kind::Refused, path, text);
    }

    fn note(&mut self, path: &str, text: &str) {
        self.remark(Kind::Note, path, text);
    }

    fn decide(&mut self, path: &str, text: &str) {
        self.remark(Kind::Decide, path, text);
    }

    /// The value at a path; null if there is none.
    fn get(&self, path: &str) -> &Value {
        static NULL: Value = Value::Null;
        let mut keys = path.split('.');
        let first = keys.next().and_then(|key| self.values.get(key));
        keys.fold(first, |value, key| value?.get(key)).unwrap_or(&NULL)
    }

    /// Whether Helm's `if` would take the value for true.
    fn is_set(&self, path: &str) -> bool {
        is_true(self.get(path))
    }

    fn has(&self, path: &str) -> bool {
        !self.get(path).is_null()
    }

    fn set(&mut self, path: &str, value: Value) {
        let mut keys: Vec<&str> = path.split('.').collect();
        let Some(last) = keys.pop() else { return };
        let mut place = &mut self.values;
        for key in keys {
            let next = place.entry(key).or_insert_with(|| json!({}));
            if !next.is_object() {
                *next = json!({});
            }
            let Value::Object(next) = next else { return };
            place = next;
        }
        place.insert(last.to_owned(), value);
    }

    /// Sets the value unless it is set.
    fn set_default(&mut self, path: &str, value: Value) -> bool {
        let is_absent = !self.has(path);
        if is_absent {
            self.set(path, value);
        }
        is_absent
    }

    /// Removes a value, and the objects that become empty.
    fn remove(&mut self, path: &str) {
        remove(&mut self.values, path);
    }

    /// Takes the values for kube-state-metrics from those of kube-prometheus-stack.
    fn take_from_stack(&mut self, mut root: Map<String, Value>) {
        if root.get("kubeStateMetrics").is_some_and(|switch| switch["enabled"] == false) {
            self.note("kubeStateMetrics.enabled", "these values do not deploy kube-state-metrics");
        }
        match root.remove(IN_STACK) {
            Some(Value::Object(values)) => self.values = values,
            None | Some(Value::Null) => {
                self.note(
                    IN_STACK,
                    "not in these values, so the output has the stack's defaults for kube-state-metrics",
                );
            }
            Some(_) => self.refuse(IN_STACK, "must be object"),
        }
        // The rest of it is for other charts.
        let known = ["imageRegistry", "imagePullSecrets"];
        let global = root.remove("global");
        let global = global.as_ref().and_then(Value::as_object).into_iter().flatten();
        let global: Map<String, Value> = global
            .filter(|(key, _)| known.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !global.is_empty() {
            self.values.entry("global").or_insert(Value::Object(global));
        }
        for key in root.keys().filter(|key| origin::is_of_sub_chart(key)) {
            let text = format!("kube-prometheus-stack ignores it here; if it is meant, move it below {IN_STACK}");
            self.refuse(key, &text);
        }
        self.of_stack();
    }

    /// The defaults of kube-prometheus-stack for kube-state-metrics.
    fn of_stack(&mut self) {
        self.set_default("prometheusScrape", json!(false));
        self.set_default("prometheus.monitor.enabled", json!(true));
        self.note(
            "prometheus.monitor.enabled",
            "on by default in kube-prometheus-stack. Set kubeStateMetrics.enabled=false in its values when you install this chart",
        );
        self.remove("releaseLabel");
        if !self.has("prometheus.monitor.additionalLabels.release") {
            self.decide(
                "prometheus.monitor.additionalLabels",
                "the stack selects monitors by the label `release`: add {release: NAME} with the name of the stack's release",
            );
        }
    }

    fn image(&mut self) {
        // Already migrated.
        if self.get("image.repository").as_str().is_some_and(|name| name.contains("kube-state-fleet")) {
            return;
        }
        for key in ["repository", "tag", "sha"] {
            self.remove(&format!("image.{key}"));
        }
        if self.get("image.registry") == "registry.k8s.io" {
            self.remove("image.registry");
        }
        self.decide(
            "image",
            "that of kube-state-metrics is left out. Set registry, repository and tag to where you pushed the image of kube-state-fleet",
        );
    }

    /// Parts of kube-state-metrics' chart that this chart does not have.
    fn removed(&mut self) {
        for (name, text) in [
            (
                "kubeRBACProxy",
                "there is no proxy here; set authFilter.enabled, with which the exporter itself asks the API server who may scrape, and \
                 tls.secretName for HTTPS",
            ),
            ("podSecurityPolicy", "Kubernetes has none since 1.25"),
            (
                "verticalPodAutoscaler",
                "the chart makes no VerticalPodAutoscaler; put one into extraManifests (a restart of a replica is a handover)",
            ),
        ] {
            if self.is_set(&format!("{name}.enabled")) {
                self.refuse(&format!("{name}.enabled"), text);
            }
            self.values.remove(name);
        }
        for name in ["kubeTargetVersionOverride", "kubeVersionOverride"] {
            if self.is_set(name) {
                self.note(name, "left out: this chart does not read it");
            }
            self.values.remove(name);
        }
    }

    /// Removes what the schema of the chart refuses.
    fn check(&mut self) {
        for Fault { path, text } in schema::faults(&Value::Object(self.values.clone())) {
            self.refuse(&path, &text);
            self.remove(&path);
        }
    }

    /// Resources that the program does not have: the chart refuses them.
    fn collectors(&mut self) {
        for name in ["collectors", "collectorsExclude", "collectorsExtra"] {
            let Some(Value::Array(given)) = self.values.get(name).cloned() else { continue };
            // NB: the chart reads lists without templates.
            let is_known = |value: &Value| resources::all().iter().any(|kind| value == kind.plural);
            let (known, unknown): (Vec<_>, Vec<_>) = given.into_iter().partition(is_known);
            if unknown.is_empty() {
                continue;
            }
            let unknown =
                shown::few(&unknown, 10, ", ", |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            self.refuse(
                name,
                &format!("no resource of this program: {unknown}. Custom resources are in customResourceState"),
            );
            match known.is_empty() {
                true => self.remove(name),
                false => self.set(name, Value::Array(known)),
            }
        }
    }

    fn workload(&mut self) {
        let is_new = self.set_default("autosharding.enabled", json!(false));
        let is_sharded = self.is_set("autosharding.enabled");
        if is_sharded {
            self.note("autosharding.enabled", ANOTHER_HASH);
        }
        let several = self.get("replicas").as_f64().is_some_and(|replicas| replicas > 1.0);
        if !is_sharded && several {
            self.refuse(
                "replicas",
                "each of several replicas would expose all objects; 1 here. Set autosharding.enabled for a fleet",
            );
            self.set("replicas", json!(1));
        }
        if !self.values.contains_key("replicas") {
            self.set("replicas", json!(1));
        }
        if is_new {
            self.decide(
                "autosharding",
                "one replica, as before. Without this and without replicas, a fleet of 3 shares the objects",
            );
        }
        let strategy = self.get("updateStrategy");
        let strategy = strategy.get("type").unwrap_or(strategy).as_str().unwrap_or_default().to_owned();
        for (refused, when, text) in [
            ("Recreate", is_sharded, "a StatefulSet has RollingUpdate and OnDelete"),
            ("OnDelete", !is_sharded, "a Deployment has RollingUpdate and Recreate"),
        ] {
            if when && strategy == refused {
                self.refuse("updateStrategy", text);
                self.remove("updateStrategy");
            }
        }
    }

    fn service(&mut self) {
        let is_sharded = self.is_set("autosharding.enabled");
        let kind = self.get("service.type").as_str().unwrap_or("ClusterIP").to_owned();
        if is_sharded && kind != "ClusterIP" {
            self.refuse("service.type", "would balance scrapes over the replicas, each of which has other objects");
            self.remove("service.type");
        }
        if is_sharded && self.is_set("service.clusterIP") && self.get("service.clusterIP") != "None" {
            self.refuse(
                "service.clusterIP",
                "with autosharding the Service is headless, so that each replica is a target",
            );
            self.remove("service.clusterIP");
        }
        for (path, types) in [
            ("service.nodePort", &["NodePort", "LoadBalancer"][..]),
            ("selfMonitor.telemetryNodePort", &["NodePort", "LoadBalancer"]),
            ("service.loadBalancerIP", &["LoadBalancer"]),
            ("service.loadBalancerSourceRanges", &["LoadBalancer"]),
        ] {
            if !self.is_set(path) {
                continue;
            }
            if is_sharded {
                self.refuse(path, "with autosharding the Service is headless, so that each replica is a target");
                self.remove(path);
            } else if !types.contains(&kind.as_str()) {
                self.note(path, "left out: it has no effect with this service.type");
                self.remove(path);
            }
        }
    }

    fn monitors(&mut self) {
        let files = ["bearerTokenFile", "tlsConfig.caFile", "tlsConfig.certFile", "tlsConfig.keyFile"];
        let parts = ["prometheus.monitor", "prometheus.monitor.http", "prometheus.monitor.metrics"];
        let reads = parts.iter().any(|part| files.iter().any(|file| self.is_set(&format!("{part}.{file}"))));
        if self.is_set("prometheus.monitor.enabled") && !self.has("prometheus.monitor.kind") {
            if reads {
                self.set("prometheus.monitor.kind", json!("ServiceMonitor"));
                self.note("prometheus.monitor.kind", "a PodMonitor, the default here, reads no files of Prometheus");
            } else {
                self.note(
                    "prometheus.monitor.kind",
                    "a PodMonitor by default; `kind: ServiceMonitor` makes what the other chart makes",
                );
            }
        }
        if self.is_set("prometheus.monitor.enabled") && self.is_set("prometheus.scrapeconfig.enabled") {
            self.refuse(
                "prometheus.scrapeconfig.enabled",
                "prometheus.monitor scrapes the same: every series would come twice",
            );
            self.set("prometheus.scrapeconfig.enabled", json!(false));
        }
    }

    /// Values that would need more permissions than the others give. They stay, because a wider permission is the reader's choice.
    fn permissions(&mut self) {
        if self.get("rbac.create") == false || self.get("rbac.useClusterRole") != false {
            return;
        }
        if !self.is_set("namespaces") && !self.is_set("releaseNamespace") {
            self.refuse(
                "rbac.useClusterRole",
                "permissions are given in each of `namespaces`, and there are none: set them",
            );
        }
        if self.is_set("rbac.clusterRoleSelectors") {
            self.refuse("rbac.clusterRoleSelectors", "needs rbac.useClusterRole: remove one of both");
        }
        if self.is_set("rbac.useExistingRole") {
            return;
        }
        for (part, text) in [
            ("customResourceState", "a Role cannot permit to list customresourcedefinitions"),
            ("authFilter", "a Role cannot permit to create token reviews"),
        ] {
            let rules = format!("rbac.{part}.createClusterRoleRules");
            if self.is_set(&format!("{part}.enabled")) && self.get(&rules) != false {
                self.refuse(&format!("{part}.enabled"), &format!("{text}: grant it yourself and set {rules}=false"));
            }
        }
    }

    /// The flags in `extraArgs`.
    fn arguments(&mut self) {
        let arguments = self.get("extraArgs").as_array().into_iter().flatten();
        let arguments: Vec<String> = arguments.filter_map(Value::as_str).map(str::to_owned).collect();
        if arguments.is_empty() {
            return;
        }
        let deployed = Deployed { arguments, ..Deployed::default() };
        for change in flags::flag_changes(&deployed) {
            let kind = if change.is_problem { Kind::Refused } else { Kind::Note };
            self.remark(kind, "extraArgs", &change.to_string());
        }
    }

    /// Defaults of kube-state-metrics' chart that differ here, and that a user would notice.
    fn defaults(&mut self, is_stack: bool) {
        if !self.is_set("nameOverride") {
            self.set("nameOverride", json!(IN_STACK));
            self.note("nameOverride", "keeps the label `job` of the series, and the names of the objects");
        }
        if !is_stack && self.set_default("prometheusScrape", json!(true)) {
            self.note("prometheusScrape", "the default of the other chart");
        }
        if self.set_default("networkPolicy.enabled", json!(false)) {
            self.decide(
                "networkPolicy",
                "off, as before. Its default here admits pods with the label app.kubernetes.io/name: prometheus as scrapers",
            );
        }
        if !self.is_set("resources") {
            self.values.remove("resources");
            self.decide(
                "resources",
                "limited to 512Mi of memory here. `kube-state-fleet estimate` says what the cluster needs",
            );
        }
        if !self.is_set("collectors") {
            self.note("collectors", "all of the other chart, and admission policies and their bindings");
        }
        if !self.has("selfMonitor.enabled") {
            self.note(
                "selfMonitor.enabled",
                "on by default here: monitors also scrape the metrics of the replicas themselves",
            );
        }
    }
}

impl Remark {
    fn comment(&self) -> String {
        let kind = match self.kind {
            Kind::Refused => "REFUSED",
            Kind::Decide => "DECIDE",
            Kind::Note => "note",
        };
        format!("# {kind}: {}: {}\n", one_line(&self.path), one_line(&self.text))
    }
}

/// Escapes what could end a comment: keys, arguments and names of files come from outside.
fn one_line(text: &str) -> String {
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().fold(String::new(), |mut line, c| {
        if ends(c) {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
        line
    })
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn remove(values: &mut Map<String, Value>, path: &str) {
    let Some((key, rest)) = path.split_once('.') else {
        values.remove(path);
        return;
    };
    if let Some(Value::Object(inner)) = values.get_mut(key) {
        remove(inner, rest);
        if inner.is_empty() {
            values.remove(key);
        }
    }
}

/// A key with its value, as YAML.
fn yaml(name: &str, value: &Value) -> String {
    serde_saphyr::to_string(&json!({ name: value })).unwrap_or_else(|_| {
        // JSON is YAML.
        let mut text = String::new();
        let _ = writeln!(text, "{}: {value}", Value::from(name));
        text
    })
}

#[cfg(test)]
mod tests;
