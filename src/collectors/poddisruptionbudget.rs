//! PodDisruptionBudgets, `policy/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/poddisruptionbudget-metrics.md>

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};

use super::common::{created, deletion_timestamp, integer_or_zero, name, namespace};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `poddisruptionbudgets`.
pub struct PodDisruptionBudgets;

impl Resource for PodDisruptionBudgets {
    type Object = PodDisruptionBudget;
    const FAMILIES: &'static [Family<PodDisruptionBudget>] = &[
        Family::annotations(
            "kube_poddisruptionbudget_annotations",
            "Annotations of a PodDisruptionBudget, as far as they are allowed.",
        ),
        Family::labels(
            "kube_poddisruptionbudget_labels",
            "Labels of a PodDisruptionBudget, as far as they are allowed.",
        ),
        Family::gauge(
            "kube_poddisruptionbudget_created",
            "When the PodDisruptionBudget was created, in Unix seconds.",
            created,
        )
        .stable(),
        Family::gauge("kube_poddisruptionbudget_status_current_healthy", "Healthy pods.", status_current_healthy)
            .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_desired_healthy",
            "Healthy pods that there must be at least.",
            status_desired_healthy,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_pod_disruptions_allowed",
            "Pods that may be disrupted now.",
            status_pod_disruptions_allowed,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_expected_pods",
            "Pods that the budget counts.",
            status_expected_pods,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_status_observed_generation",
            "The newest generation that the controller has seen.",
            status_observed_generation,
        )
        .stable(),
        Family::gauge(
            "kube_poddisruptionbudget_deletion_timestamp",
            "When the PodDisruptionBudget's deletion was asked for, in Unix seconds.",
            deletion_timestamp,
        ),
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
