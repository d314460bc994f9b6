//! Namespaces, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/namespace-metrics.md>

use k8s_openapi::api::core::v1::Namespace;

use super::common::{bool_value, name, text};
use super::states::conditions;
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `namespaces`.
pub struct Namespaces;

impl Resource for Namespaces {
    type Object = Namespace;
    const FAMILIES: &'static [Family<Namespace>] = &[
        Family::created("kube_namespace_created").stable(),
        Family::annotations("kube_namespace_annotations"),
        Family::labels("kube_namespace_labels").stable(),
        Family::gauge("kube_namespace_status_phase", "Whether the namespace is in this phase.", status_phase).stable(),
        Family::gauge(
            "kube_namespace_status_condition",
            "Whether a condition of the namespace has this status.",
            status_condition,
        ),
    ];

    fn identity(namespace: &Namespace) -> Identity<'_> {
        vec![("namespace", name(namespace))]
    }
}

const PHASES: [&str; 2] = ["Active", "Terminating"];

fn status_phase(namespace: &Namespace, samples: &mut Samples) {
    let current = namespace.status.as_ref().map_or("", |s| text(&s.phase));
    // Without a phase, a namespace is in none of them.
    for phase in PHASES {
        samples.sample(&[("phase", phase)], bool_value(phase == current));
    }
}

fn status_condition(namespace: &Namespace, samples: &mut Samples) {
    let list = namespace.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions(list.map(|c| (c.type_.as_str(), c.status.as_str())), samples);
}
