//! ReplicationControllers, `v1`.
//!
//! Upstream:
//! <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/replicationcontroller-metrics.md>

use super::common::{integer_if_set, integer_or_zero, name, namespace};
use super::objects::{ReplicationController, ReplicationControllerStatus};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `replicationcontrollers`.
pub struct ReplicationControllers;

impl Resource for ReplicationControllers {
    type Object<'a> = ReplicationController<'a>;
    const API: Api = Api::namespaced("v1", "ReplicationController", "replicationcontrollers");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_replicationcontroller_created").stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_status_replicas",
            "Number of Pods of the ReplicationController.",
            status_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_status_fully_labeled_replicas",
            "Number of Pods with all labels of the template.",
            status_fully_labeled_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_status_ready_replicas",
            "Number of ready Pods of the ReplicationController.",
            status_ready_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_status_available_replicas",
            "Number of available Pods of the ReplicationController.",
            status_available_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_status_observed_generation",
            "Latest generation that the controller manager has observed.",
            status_observed_generation,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_replicationcontroller_spec_replicas",
            "Number of Pods that the ReplicationController should have.",
            spec_replicas,
        )
        .stable(),
        Family::generation("kube_replicationcontroller_metadata_generation").stable(),
        Family::owner("kube_replicationcontroller_owner"),
    ];

    fn identity<'o>(controller: &'o ReplicationController<'_>) -> Identity<'o> {
        vec![("namespace", namespace(controller)), ("replicationcontroller", name(controller))]
    }
}

fn status<T>(
    controller: &ReplicationController,
    field: impl FnOnce(&ReplicationControllerStatus) -> Option<T>,
) -> Option<T> {
    controller.status.as_ref().and_then(field)
}

fn status_replicas(controller: &ReplicationController, samples: &mut Samples) {
    integer_or_zero(status(controller, |s| Some(s.replicas)), samples);
}

fn status_fully_labeled_replicas(controller: &ReplicationController, samples: &mut Samples) {
    integer_or_zero(status(controller, |s| s.fully_labeled_replicas), samples);
}

fn status_ready_replicas(controller: &ReplicationController, samples: &mut Samples) {
    integer_or_zero(status(controller, |s| s.ready_replicas), samples);
}

fn status_available_replicas(controller: &ReplicationController, samples: &mut Samples) {
    integer_or_zero(status(controller, |s| s.available_replicas), samples);
}

fn status_observed_generation(controller: &ReplicationController, samples: &mut Samples) {
    integer_or_zero(status(controller, |s| s.observed_generation), samples);
}

fn spec_replicas(controller: &ReplicationController, samples: &mut Samples) {
    integer_if_set(controller.spec.as_ref().and_then(|spec| spec.replicas), samples);
}
