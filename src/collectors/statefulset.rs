//! StatefulSets, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/statefulset-metrics.md>

use super::common::{integer_if_set, integer_or_zero, name, namespace, text};
use super::objects::{StatefulSet, StatefulSetSpec, StatefulSetStatus};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `statefulsets`.
pub struct StatefulSets;

impl Resource for StatefulSets {
    type Object<'a> = StatefulSet<'a>;
    const API: Api = Api::namespaced("apps/v1", "StatefulSet", "statefulsets");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_statefulset_created").stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_replicas",
            "Number of Pods of the StatefulSet.",
            status_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_replicas_available",
            "Number of available Pods of the StatefulSet.",
            status_replicas_available,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_replicas_current",
            "Number of Pods of the current revision.",
            status_replicas_current,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_replicas_ready",
            "Number of ready Pods of the StatefulSet.",
            status_replicas_ready,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_replicas_updated",
            "Number of Pods of the update revision.",
            status_replicas_updated,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_observed_generation",
            "Latest generation that the StatefulSet controller has observed.",
            status_observed_generation,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_replicas",
            "Number of Pods that the StatefulSet should have.",
            replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_ordinals_start",
            "Ordinal of the first Pod, if the StatefulSet sets one.",
            ordinals_start,
        )
        .stable(),
        Family::generation("kube_statefulset_metadata_generation").stable(),
        Family::<Self>::gauge(
            "kube_statefulset_persistentvolumeclaim_retention_policy",
            "Policies for the PersistentVolumeClaims when the StatefulSet is deleted or scaled down, as labels.",
            persistentvolumeclaim_retention_policy,
        )
        .stable(),
        Family::annotations("kube_statefulset_annotations").stable(),
        Family::labels("kube_statefulset_labels").stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_current_revision",
            "Revision that Pods have before the rollout reaches them, as a label.",
            status_current_revision,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_statefulset_status_update_revision",
            "Revision that the rollout gives to Pods, as a label.",
            status_update_revision,
        )
        .stable(),
        Family::deletion_timestamp("kube_statefulset_deletion_timestamp").stable(),
    ];

    fn identity<'o>(set: &'o StatefulSet<'_>) -> Identity<'o> {
        vec![("namespace", namespace(set)), ("statefulset", name(set))]
    }
}

fn status_replicas(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.replicas)), samples);
}

fn status_replicas_available(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| Some(s.available_replicas)), samples);
}

fn status_replicas_current(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.current_replicas), samples);
}

fn status_replicas_ready(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.ready_replicas), samples);
}

fn status_replicas_updated(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.updated_replicas), samples);
}

fn status_observed_generation(set: &StatefulSet, samples: &mut Samples) {
    integer_or_zero(status(set, |s| s.observed_generation), samples);
}

fn replicas(set: &StatefulSet, samples: &mut Samples) {
    integer_if_set(spec(set, |s| s.replicas), samples);
}

fn ordinals_start(set: &StatefulSet, samples: &mut Samples) {
    integer_if_set(spec(set, |s| s.ordinals.as_ref()).map(|ordinals| ordinals.start), samples);
}

fn persistentvolumeclaim_retention_policy(set: &StatefulSet, samples: &mut Samples) {
    let Some(policy) = spec(set, |s| s.persistent_volume_claim_retention_policy.as_ref()) else { return };
    let (deleted, scaled) = (text(&policy.when_deleted), text(&policy.when_scaled));
    if !(deleted.is_empty() && scaled.is_empty()) {
        samples.sample(&[("when_deleted", deleted), ("when_scaled", scaled)], 1.0);
    }
}

fn status_current_revision(set: &StatefulSet, samples: &mut Samples) {
    let revision = status(set, |s| s.current_revision.as_deref()).unwrap_or_default();
    samples.sample(&[("revision", revision)], 1.0);
}

fn status_update_revision(set: &StatefulSet, samples: &mut Samples) {
    let revision = status(set, |s| s.update_revision.as_deref()).unwrap_or_default();
    samples.sample(&[("revision", revision)], 1.0);
}

fn spec<'a, T>(set: &'a StatefulSet<'a>, field: fn(&'a StatefulSetSpec<'a>) -> Option<T>) -> Option<T> {
    set.spec.as_ref().and_then(field)
}

fn status<'a, T>(set: &'a StatefulSet<'a>, field: fn(&'a StatefulSetStatus<'a>) -> Option<T>) -> Option<T> {
    set.status.as_ref().and_then(field)
}
