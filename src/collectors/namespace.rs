//! Namespaces, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/namespace-metrics.md>

use super::common::{bool_value, name, text};
use super::objects::Namespace;
use super::states::conditions;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `namespaces`.
pub struct Namespaces;

impl Resource for Namespaces {
    type Object<'a> = Namespace<'a>;
    const API: Api = Api::cluster("v1", "Namespace", "namespaces");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_namespace_created").stable(),
        Family::annotations("kube_namespace_annotations"),
        Family::labels("kube_namespace_labels").stable(),
        Family::<Self>::gauge("kube_namespace_status_phase", "Whether the namespace is in this phase.", status_phase)
            .stable(),
        Family::<Self>::gauge(
            "kube_namespace_status_condition",
            "Whether a condition of the namespace has this status.",
            status_condition,
        ),
    ];

    fn identity<'o>(namespace: &'o Namespace<'_>) -> Identity<'o> {
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
    conditions(list.map(|c| (&*c.type_, &*c.status)), samples);
}
