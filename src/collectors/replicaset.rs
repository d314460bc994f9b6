//! ReplicaSets, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/replicaset-metrics.md>

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};

use super::common::{created, integer_if_set, integer_or_zero, metadata_generation, name, namespace, owner};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `replicasets`.
pub struct ReplicaSets;

impl Resource for ReplicaSets {
    type Object = ReplicaSet;
    const FAMILIES: &'static [Family<ReplicaSet>] = &[
        Family::gauge("kube_replicaset_created", "When the ReplicaSet was created, in Unix seconds.", created).stable(),
        Family::gauge("kube_replicaset_status_replicas", "Pods of the ReplicaSet.", status_replicas).stable(),
        Family::gauge(
            "kube_replicaset_status_fully_labeled_replicas",
            "Pods that have all labels of the template.",
            status_fully_labeled_replicas,
        )
        .stable(),
        Family::gauge("kube_replicaset_status_ready_replicas", "Pods that are ready.", status_ready_replicas).stable(),
        Family::gauge(
            "kube_replicaset_status_terminating_replicas",
            "Pods that are being deleted.",
            status_terminating_replicas,
        ),
        Family::gauge(
            "kube_replicaset_status_observed_generation",
            "The newest generation that the controller has seen.",
            status_observed_generation,
        )
        .stable(),
        Family::gauge("kube_replicaset_spec_replicas", "Pods that the ReplicaSet should have.", spec_replicas).stable(),
        Family::gauge(
            "kube_replicaset_metadata_generation",
            "The generation of the desired state.",
            metadata_generation,
        )
        .stable(),
        Family::gauge("kube_replicaset_owner", "An owner of the ReplicaSet; empty if it has none.", owner).stable(),
        Family::annotations("kube_replicaset_annotations", "Annotations of a ReplicaSet, as far as they are allowed."),
        Family::labels("kube_replicaset_labels", "Labels of a ReplicaSet, as far as they are allowed.").stable(),
    ];

    fn identity(set: &ReplicaSet) -> Identity<'_> {
        vec![("namespace", namespace(set)), ("replicaset", name(set))]
    }
}

fn status_replicas(set: &ReplicaSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.replicas)), samples);
}

fn status_fully_labeled_replicas(set: &ReplicaSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.fully_labeled_replicas), samples);
}

fn status_ready_replicas(set: &ReplicaSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.ready_replicas), samples);
}

fn status_terminating_replicas(set: &ReplicaSet, samples: &mut Samples) {
    integer_if_set(status(set, |s| s.terminating_replicas), samples);
}

fn status_observed_generation(set: &ReplicaSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.observed_generation), samples);
}

fn spec_replicas(set: &ReplicaSet, samples: &mut Samples) {
    integer_if_set(set.spec.as_ref().and_then(|s| s.replicas), samples);
}

fn status<T>(set: &ReplicaSet, field: fn(&ReplicaSetStatus) -> Option<T>) -> Option<T> {
    set.status.as_ref().and_then(field)
}
