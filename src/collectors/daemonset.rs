//! DaemonSets, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/daemonset-metrics.md>

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

use super::common::{created, deletion_timestamp, integer_or_zero, metadata_generation, name, namespace};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `daemonsets`.
pub struct DaemonSets;

impl Resource for DaemonSets {
    type Object = DaemonSet;
    const FAMILIES: &'static [Family<DaemonSet>] = &[
        Family::gauge("kube_daemonset_created", "When the DaemonSet was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_daemonset_status_current_number_scheduled",
            "Nodes that run a pod of the DaemonSet and should.",
            status_current_number_scheduled,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_desired_number_scheduled",
            "Nodes that should run a pod of the DaemonSet.",
            status_desired_number_scheduled,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_number_available",
            "Nodes that should run a pod and have an available one.",
            status_number_available,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_number_misscheduled",
            "Nodes that run a pod of the DaemonSet and should not.",
            status_number_misscheduled,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_number_ready",
            "Nodes that should run a pod and have a ready one.",
            status_number_ready,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_number_unavailable",
            "Nodes that should run a pod and have no available one.",
            status_number_unavailable,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_observed_generation",
            "The newest generation that the controller has seen.",
            status_observed_generation,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_status_updated_number_scheduled",
            "Nodes that run a pod of the newest revision.",
            status_updated_number_scheduled,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_metadata_generation",
            "The generation of the desired state.",
            metadata_generation,
        )
        .stable(),
        Family::gauge(
            "kube_daemonset_deletion_timestamp",
            "When the DaemonSet's deletion was asked for, in Unix seconds.",
            deletion_timestamp,
        ),
        Family::annotations("kube_daemonset_annotations", "Annotations of a DaemonSet, as far as they are allowed."),
        Family::labels("kube_daemonset_labels", "Labels of a DaemonSet, as far as they are allowed.").stable(),
    ];

    fn identity(set: &DaemonSet) -> Identity<'_> {
        vec![("namespace", namespace(set)), ("daemonset", name(set))]
    }
}

fn status_current_number_scheduled(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.current_number_scheduled)), samples);
}

fn status_desired_number_scheduled(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.desired_number_scheduled)), samples);
}

fn status_number_available(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.number_available), samples);
}

fn status_number_misscheduled(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.number_misscheduled)), samples);
}

fn status_number_ready(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.number_ready)), samples);
}

fn status_number_unavailable(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.number_unavailable), samples);
}

fn status_observed_generation(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.observed_generation), samples);
}

fn status_updated_number_scheduled(set: &DaemonSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.updated_number_scheduled), samples);
}

fn status<T>(set: &DaemonSet, field: fn(&DaemonSetStatus) -> Option<T>) -> Option<T> {
    set.status.as_ref().and_then(field)
}
