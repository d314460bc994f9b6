//! ReplicaSets, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/replicaset-metrics.md>

use super::common::{integer_if_set, integer_or_zero, name, namespace};
use super::objects::{ReplicaSet, ReplicaSetStatus};
use super::parts::{Cut, DESIRED, STATUS};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `replicasets`.
pub struct ReplicaSets;

impl Resource for ReplicaSets {
    type Object<'a> = ReplicaSet<'a>;
    const API: Api = Api::namespaced("apps/v1", "ReplicaSet", "replicasets");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_replicaset_created").stable(),
        Family::<Self>::gauge("kube_replicaset_status_replicas", "Number of Pods of the ReplicaSet.", status_replicas)
            .reads(STATUS)
            .stable(),
        Family::<Self>::gauge(
            "kube_replicaset_status_fully_labeled_replicas",
            "Number of Pods with all labels of the template.",
            status_fully_labeled_replicas,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_replicaset_status_ready_replicas",
            "Number of ready Pods of the ReplicaSet.",
            status_ready_replicas,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_replicaset_status_terminating_replicas",
            "Number of Pods of the ReplicaSet that are being deleted.",
            status_terminating_replicas,
        )
        .reads(STATUS),
        Family::<Self>::gauge(
            "kube_replicaset_status_observed_generation",
            "Latest generation that the ReplicaSet controller has observed.",
            status_observed_generation,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_replicaset_spec_replicas",
            "Number of Pods that the ReplicaSet should have.",
            spec_replicas,
        )
        .reads(DESIRED)
        .stable(),
        Family::generation("kube_replicaset_metadata_generation").stable(),
        Family::owner("kube_replicaset_owner").stable(),
        Family::annotations("kube_replicaset_annotations"),
        Family::labels("kube_replicaset_labels").stable(),
    ];

    const CUT: Cut = Cut::STATUS;

    fn identity<'o>(set: &'o ReplicaSet<'_>) -> Identity<'o> {
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
