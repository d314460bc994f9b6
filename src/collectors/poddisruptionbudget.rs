//! PodDisruptionBudgets, `policy/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/poddisruptionbudget-metrics.md>

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};

use super::common::{integer_or_zero, name, namespace};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `poddisruptionbudgets`.
pub struct PodDisruptionBudgets;

impl Resource for PodDisruptionBudgets {
    type Object = PodDisruptionBudget;
    const FAMILIES: &'static [Family<PodDisruptionBudget>] = &[
        Family::annotations("kube_poddisruptionbudget_annotations"),
        Family::labels("kube_poddisruptionbudget_labels"),
        Family::created("kube_poddisruptionbudget_created").stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_current_healthy",
            "Number of healthy Pods.",
            status_current_healthy,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_desired_healthy",
            "Number of Pods that must stay healthy.",
            status_desired_healthy,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_pod_disruptions_allowed",
            "Number of Pods that may be disrupted now.",
            status_pod_disruptions_allowed,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_expected_pods",
            "Number of Pods that the budget covers.",
            status_expected_pods,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_observed_generation",
            "Latest generation that the disruption controller has observed.",
            status_observed_generation,
        )
        .stable(),
        Family::deletion_timestamp("kube_poddisruptionbudget_deletion_timestamp"),
    ];

    fn identity(budget: &PodDisruptionBudget) -> Identity<'_> {
        vec![("namespace", namespace(budget)), ("poddisruptionbudget", name(budget))]
    }
}

fn status_current_healthy(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.current_healthy), samples);
}

fn status_desired_healthy(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.desired_healthy), samples);
}

fn status_pod_disruptions_allowed(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.disruptions_allowed), samples);
}

fn status_expected_pods(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.expected_pods), samples);
}

fn status_observed_generation(budget: &PodDisruptionBudget, samples: &mut Samples) {
    integer_or_zero(status(budget, |s| s.observed_generation), samples);
}

fn status<T>(budget: &PodDisruptionBudget, field: fn(&PodDisruptionBudgetStatus) -> Option<T>) -> Option<T> {
    budget.status.as_ref().and_then(field)
}
