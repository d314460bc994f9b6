//! DaemonSets, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/daemonset-metrics.md>

use super::common::{integer_or_zero, name, namespace};
use super::objects::{DaemonSet, DaemonSetStatus};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `daemonsets`.
pub struct DaemonSets;

impl Resource for DaemonSets {
    type Object<'a> = DaemonSet<'a>;
    const API: Api = Api::namespaced("apps/v1", "DaemonSet", "daemonsets");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_daemonset_created").stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_current_number_scheduled",
            "Number of nodes that run a Pod of the DaemonSet and should run one.",
            status_current_number_scheduled,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_desired_number_scheduled",
            "Number of nodes that should run a Pod of the DaemonSet.",
            status_desired_number_scheduled,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_number_available",
            "Number of nodes that should run a Pod and have an available one.",
            status_number_available,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_number_misscheduled",
            "Number of nodes that run a Pod of the DaemonSet but should not.",
            status_number_misscheduled,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_number_ready",
            "Number of nodes that should run a Pod and have a ready one.",
            status_number_ready,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_number_unavailable",
            "Number of nodes that should run a Pod but have no available one.",
            status_number_unavailable,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_observed_generation",
            "Latest generation that the DaemonSet controller has observed.",
            status_observed_generation,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_daemonset_status_updated_number_scheduled",
            "Number of nodes that run a Pod of the latest revision.",
            status_updated_number_scheduled,
        )
        .stable(),
        Family::generation("kube_daemonset_metadata_generation").stable(),
        Family::deletion_timestamp("kube_daemonset_deletion_timestamp"),
        Family::annotations("kube_daemonset_annotations"),
        Family::labels("kube_daemonset_labels").stable(),
    ];

    fn identity<'o>(set: &'o DaemonSet<'_>) -> Identity<'o> {
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
