//! Which chart a values file is for: that of kube-state-metrics, or kube-prometheus-stack, whose sub-chart it is.

use std::fmt;

use serde_json::{Map, Value};

use crate::commands::migrate::schema;

/// The key of kube-state-metrics' values in those of kube-prometheus-stack.
pub(super) const IN_STACK: &str = "kube-state-metrics";
/// Keys that both charts have, also older versions of them.
const OF_BOTH: [&str; 8] = [
    "extraManifests",
    "fullnameOverride",
    "global",
    "kubeTargetVersionOverride",
    "kubeVersionOverride",
    "nameOverride",
    "namespaceOverride",
    "prometheus",
];
/// Keys that the values of kube-prometheus-stack (88.5.3) have, and those of kube-state-metrics do not.
const OF_STACK: [&str; 24] = [
    "additionalPrometheusRulesMap",
    "alertmanager",
    "cleanPrometheusOperatorObjectNames",
    "commonLabels",
    "coreDns",
    "crds",
    "customRules",
    "defaultRules",
    "grafana",
    "kubeApiServer",
    "kubeControllerManager",
    "kubeDns",
    "kubeEtcd",
    "kubeProxy",
    "kubeScheduler",
    "kubeStateMetrics",
    "kubelet",
    "kubernetesServiceMonitors",
    "nodeExporter",
    "prometheus-node-exporter",
    "prometheus-windows-exporter",
    "prometheusOperator",
    "thanosRuler",
    "windowsMonitoring",
];

/// The chart that a values file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// kube-state-metrics' chart: with the key that shows it, or no key that shows anything.
    Own(Option<String>),
    /// kube-prometheus-stack, with the key that shows it.
    Stack(String),
}

impl Origin {
    pub fn of(root: &Map<String, Value>) -> Self {
        // NB: a file with keys of both charts is one of kube-state-metrics' chart. Its own keys must not get lost.
        if root.contains_key(IN_STACK) {
            return Self::Stack(IN_STACK.to_owned());
        }
        if let Some(key) = root.keys().find(|key| is_of_sub_chart(key)) {
            return Self::Own(Some(key.clone()));
        }
        if root.get("prometheus").is_some_and(|prometheus| prometheus.get("prometheusSpec").is_some()) {
            return Self::Stack("prometheus.prometheusSpec".to_owned());
        }
        let of_stack = OF_STACK.into_iter().find(|key| root.contains_key(*key));
        of_stack.map_or(Self::Own(None), |key| Self::Stack(key.to_owned()))
    }

    pub fn is_stack(&self) -> bool {
        matches!(self, Self::Stack(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(Some(key)) => write!(f, "Read as values of kube-state-metrics' chart: they have {key}."),
            Self::Own(None) => f.write_str("Read as values of kube-state-metrics' chart."),
            Self::Stack(key) => write!(f, "Read as values of kube-prometheus-stack: they have {key}."),
        }
    }
}

/// Whether only kube-state-metrics' chart has the key at top level.
pub(super) fn is_of_sub_chart(key: &str) -> bool {
    !OF_BOTH.contains(&key) && schema::is_known(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_the_stack_alone_show_the_stack() {
        let of = |values: Value| Origin::of(values.as_object().expect("a map"));
        let own = |key: &str| Origin::Own(Some(key.to_owned()));
        let stack = |key: &str| Origin::Stack(key.to_owned());
        assert_eq!(of(json!({})), Origin::Own(None));
        assert_eq!(of(json!({ "kubeTargetVersionOverride": "", "nameOverride": "a" })), Origin::Own(None));
        assert_eq!(of(json!({ "grafana": {}, "replicas": 2 })), own("replicas"));
        assert_eq!(of(json!({ "prometheus": { "prometheusSpec": {} }, "replicas": 2 })), own("replicas"));
        assert_eq!(of(json!({ "prometheus": { "prometheusSpec": {} } })), stack("prometheus.prometheusSpec"));
        assert_eq!(of(json!({ "grafana": {}, "global": {} })), stack("grafana"));
        assert_eq!(of(json!({ "kube-state-metrics": {}, "replicas": 2 })), stack(IN_STACK));
    }

    #[test]
    fn no_key_of_the_stack_is_one_of_this_chart() {
        assert!(OF_STACK.iter().all(|key| !schema::is_known(key) && !OF_BOTH.contains(key)));
    }
}
