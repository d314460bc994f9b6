//! Deployments, `apps/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/deployment-metrics.md>

use super::common::{
    bool_value, condition_states, integer_if_set, integer_or_zero, name, namespace, owners, scaled, text,
};
use super::objects::{Deployment, DeploymentSpec, DeploymentStatus, IntOrString, RollingUpdateDeployment};
use super::parts::{Cut, DESIRED, STATUS};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `deployments`.
pub struct Deployments;

impl Resource for Deployments {
    type Object<'a> = Deployment<'a>;
    const API: Api = Api::namespaced("apps/v1", "Deployment", "deployments");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge("kube_deployment_owner", "Owners of the Deployment, one series per owner; labels are empty without an owner.", owner).reads(DESIRED),
        Family::created("kube_deployment_created").stable(),
        Family::<Self>::gauge("kube_deployment_status_replicas", "Number of Pods of the Deployment.", status_replicas).reads(STATUS).stable(),
        Family::<Self>::gauge("kube_deployment_status_replicas_ready", "Number of ready Pods of the Deployment.", status_replicas_ready).reads(STATUS).stable(),
        Family::<Self>::gauge("kube_deployment_status_replicas_available", "Number of available Pods of the Deployment.", status_replicas_available).reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_deployment_status_replicas_unavailable", "Number of Pods that the Deployment lacks to be fully available.", status_replicas_unavailable).reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_deployment_status_replicas_updated", "Number of Pods that match the current template.", status_replicas_updated).reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_deployment_status_terminating_replicas", "Number of Pods of the Deployment that are being deleted.", status_terminating_replicas).reads(STATUS),
        Family::<Self>::gauge("kube_deployment_status_observed_generation", "Latest generation that the Deployment controller has observed.", status_observed_generation).reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_deployment_status_condition", "Whether a condition of the Deployment has this status; a reason that the controller does not define shows as `unknown`.", status_condition).reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_deployment_spec_replicas", "Number of Pods that the Deployment should have.", spec_replicas).reads(DESIRED).stable(),
        Family::<Self>::gauge("kube_deployment_spec_paused", "Whether the Deployment is paused.", spec_paused).reads(DESIRED).stable(),
        Family::<Self>::gauge("kube_deployment_spec_strategy_rollingupdate_max_unavailable", "Number of Pods that may be unavailable during a rollout.", spec_strategy_rollingupdate_max_unavailable).reads(DESIRED)
        .stable(),
        Family::<Self>::gauge("kube_deployment_spec_strategy_rollingupdate_max_surge", "Number of Pods that a rollout may add to the desired number.", spec_strategy_rollingupdate_max_surge).reads(DESIRED)
        .stable(),
        Family::generation("kube_deployment_metadata_generation")
        .stable(),
        Family::deletion_timestamp("kube_deployment_deletion_timestamp"),
        Family::annotations("kube_deployment_annotations"),
        Family::labels("kube_deployment_labels").stable(),
    ];

    const CUT: Cut = Cut::STATUS;

    fn identity<'o>(deployment: &'o Deployment<'_>) -> Identity<'o> {
        vec![("namespace", namespace(deployment)), ("deployment", name(deployment))]
    }
}

/// The reasons of the Deployment controller. Others show as `unknown`, so that their texts do not become labels.
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/controller/deployment/util/deployment_util.go>
const REASONS: [&str; 11] = [
    "",
    "DeploymentPaused",
    "DeploymentResumed",
    "FoundNewReplicaSet",
    "MinimumReplicasAvailable",
    "MinimumReplicasUnavailable",
    "NewReplicaSetAvailable",
    "NewReplicaSetCreated",
    "ProgressDeadlineExceeded",
    "ReplicaSetCreateError",
    "ReplicaSetUpdated",
];

fn owner(deployment: &Deployment, samples: &mut Samples) {
    for (kind, name, _) in owners(deployment) {
        samples.sample(&[("owner_kind", kind), ("owner_name", name)], 1.0);
    }
}

fn status_replicas(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.replicas), samples);
}

fn status_replicas_ready(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.ready_replicas), samples);
}

fn status_replicas_available(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.available_replicas), samples);
}

fn status_replicas_unavailable(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.unavailable_replicas), samples);
}

fn status_replicas_updated(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.updated_replicas), samples);
}

fn status_terminating_replicas(deployment: &Deployment, samples: &mut Samples) {
    integer_if_set(status(deployment, |s| s.terminating_replicas), samples);
}

fn status_observed_generation(deployment: &Deployment, samples: &mut Samples) {
    integer_or_zero(status(deployment, |s| s.observed_generation), samples);
}

fn status_condition(deployment: &Deployment, samples: &mut Samples) {
    for condition in deployment.status.iter().filter_map(|s| s.conditions.as_ref()).flatten() {
        let reason = Some(text(&condition.reason)).filter(|reason| REASONS.contains(reason)).unwrap_or("unknown");
        for (status, value) in condition_states(&condition.status) {
            samples.sample(&[("reason", reason), ("condition", &condition.type_), ("status", status)], value);
        }
    }
}

fn spec_replicas(deployment: &Deployment, samples: &mut Samples) {
    integer_if_set(spec(deployment, |s| s.replicas), samples);
}

fn spec_paused(deployment: &Deployment, samples: &mut Samples) {
    samples.sample(&[], bool_value(spec(deployment, |s| s.paused) == Some(true)));
}

fn spec_strategy_rollingupdate_max_unavailable(deployment: &Deployment, samples: &mut Samples) {
    rolling_update(deployment, |r| r.max_unavailable.as_ref(), false, samples);
}

fn spec_strategy_rollingupdate_max_surge(deployment: &Deployment, samples: &mut Samples) {
    rolling_update(deployment, |r| r.max_surge.as_ref(), true, samples);
}

fn rolling_update(
    deployment: &Deployment,
    field: for<'a> fn(&'a RollingUpdateDeployment<'a>) -> Option<&'a IntOrString<'a>>,
    round_up: bool,
    samples: &mut Samples,
) {
    let Some(spec) = &deployment.spec else { return };
    // NB: without a number of replicas, upstream prints neither, even if they are absolute numbers.
    let Some(replicas) = spec.replicas else { return };
    let limit = spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref()).and_then(field);
    if let Some(limit) = limit.and_then(|limit| scaled(limit, replicas, round_up)) {
        samples.sample(&[], limit);
    }
}

fn spec<T>(deployment: &Deployment, field: fn(&DeploymentSpec) -> Option<T>) -> Option<T> {
    deployment.spec.as_ref().and_then(field)
}

fn status<T>(deployment: &Deployment, field: fn(&DeploymentStatus) -> Option<T>) -> Option<T> {
    deployment.status.as_ref().and_then(field)
}
