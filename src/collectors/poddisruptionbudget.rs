//! PodDisruptionBudgets, `policy/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/poddisruptionbudget-metrics.md>

use super::common::{integer_or_zero, name, namespace};
use super::objects::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `poddisruptionbudgets`.
pub struct PodDisruptionBudgets;

impl Resource for PodDisruptionBudgets {
    type Object<'a> = PodDisruptionBudget<'a>;
    const API: Api = Api::namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_poddisruptionbudget_annotations"),
        Family::labels("kube_poddisruptionbudget_labels"),
        Family::created("kube_poddisruptionbudget_created").stable(),
        Family::<Self>::gauge(
            "kube_poddisruptionbudget_status_current_healthy",
            "Number of healthy Pods.",
            status_current_healthy,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_poddisruptionbudget_status_desired_healthy",
            "Number of Pods that must stay healthy.",
            status_desired_healthy,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_poddisruptionbudget_status_pod_disruptions_allowed",
            "Number of Pods that may be disrupted now.",
            status_pod_disruptions_allowed,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_poddisruptionbudget_status_expected_pods",
            "Number of Pods that the budget covers.",
            status_expected_pods,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_poddisruptionbudget_status_observed_generation",
            "Latest generation that the disruption controller has observed.",
            status_observed_generation,
        )
        .stable(),
        Family::deletion_timestamp("kube_poddisruptionbudget_deletion_timestamp"),
    ];

    fn identity<'o>(budget: &'o PodDisruptionBudget<'_>) -> Identity<'o> {
        vec![("namespace", namespace(budget)), ("poddisruptionbudget", name(budget))]
    }
}

fn status_current_healthy(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| Some(s.current_healthy)), samples);
}

fn status_desired_healthy(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| Some(s.desired_healthy)), samples);
}

fn status_pod_disruptions_allowed(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| Some(s.disruptions_allowed)), samples);
}

fn status_expected_pods(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| Some(s.expected_pods)), samples);
}

fn status_observed_generation(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.observed_generation), samples);
}

fn status<T>(budget: &PodDisruptionBudget, field: fn(&PodDisruptionBudgetStatus) -> Option<T>) -> Option<T> {
    budget.status.as_ref().and_then(field)
}
