//! Namespaces, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/namespace-metrics.md>

use k8s_openapi::api::core::v1::Namespace;

use super::common::{created, name, text};
use super::states::{conditions, one_of};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `namespaces`.
pub struct Namespaces;

impl Resource for Namespaces {
    type Object = Namespace;
    const FAMILIES: &'static [Family<Namespace>] = &[
        Family::gauge("kube_namespace_created", "When the namespace was created, in Unix seconds.", created).stable(),
        Family::annotations("kube_namespace_annotations", "Annotations of a namespace, as far as they are allowed."),
        Family::labels("kube_namespace_labels", "Labels of a namespace, as far as they are allowed.").stable(),
        Family::gauge("kube_namespace_status_phase", "1 for the phase that the namespace is in.", status_phase)
            .stable(),
        Family::gauge(
            "kube_namespace_status_condition",
            "1 for the status that a condition of the namespace has.",
            status_condition,
        ),
    ];

    fn identity(namespace: &Namespace) -> Identity<'_> {
        vec![("namespace", name(namespace))]
    }
}

const PHASES: [&str; 2] = ["Active", "Terminating"];

fn status_phase(namespace: &Namespace, samples: &mut Samples) {
    one_of("phase", &PHASES, namespace.status.as_ref().map_or("", |s| text(&s.phase)), samples);
}

fn status_condition(namespace: &Namespace, samples: &mut Samples) {
    let list = namespace.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions(list.map(|c| (c.type_.as_str(), c.status.as_str())), samples);
}
