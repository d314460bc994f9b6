//! Pods, `v1`.
//!
//! This file holds the table; [`containers`] what a container prints, for ordinary and init containers alike; [`spec`]
//! what the desired state says, and [`status`] how the pod is.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md>

mod containers;
mod spec;
mod status;

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};

use self::containers::{Init, Main};
use super::common::{created, deletion_timestamp, name, namespace, owner, text};
use super::{Family, Identity, Resource};

/// The resource `pods`.
pub struct Pods;

impl Resource for Pods {
    type Object = Pod;
    const FAMILIES: &'static [Family<Pod>] = &[
        Family::gauge(
            "kube_pod_completion_time",
            "When the last container of the pod ended, in Unix seconds.",
            status::completion_time,
        )
        .stable(),
        Family::gauge("kube_pod_container_info", "Image and id of a container.", containers::info).stable(),
        Family::gauge(
            "kube_pod_container_resource_limits",
            "How much of a resource a container may use.",
            containers::limits::<Main>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_container_resource_requests",
            "How much of a resource a container asks for.",
            containers::requests::<Main>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_container_state_started",
            "When the container was started, in Unix seconds.",
            containers::state_started::<Main>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_container_status_last_terminated_reason",
            "Why the container ended the last time.",
            containers::last_terminated_reason::<Main>,
        ),
        Family::gauge(
            "kube_pod_container_status_last_terminated_exitcode",
            "With which exit code the container ended the last time.",
            containers::last_terminated_exitcode::<Main>,
        ),
        Family::gauge(
            "kube_pod_container_status_last_terminated_timestamp",
            "When the container ended the last time, in Unix seconds.",
            containers::last_terminated_timestamp::<Main>,
        ),
        Family::gauge("kube_pod_container_status_ready", "1 if the container is ready.", containers::ready::<Main>)
            .stable(),
        Family::counter(
            "kube_pod_container_status_restarts_total",
            "How often the container was restarted.",
            containers::restarts_total::<Main>,
        )
        .stable(),
        Family::gauge("kube_pod_container_status_running", "1 if the container runs.", containers::running::<Main>)
            .stable(),
        Family::gauge(
            "kube_pod_container_status_terminated",
            "1 if the container has ended.",
            containers::terminated::<Main>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_container_status_terminated_reason",
            "Why the container has ended.",
            containers::terminated_reason::<Main>,
        ),
        Family::gauge("kube_pod_container_status_waiting", "1 if the container waits.", containers::waiting::<Main>)
            .stable(),
        Family::gauge(
            "kube_pod_container_status_waiting_reason",
            "Why the container waits.",
            containers::waiting_reason::<Main>,
        )
        .stable(),
        Family::gauge("kube_pod_created", "When the pod was created, in Unix seconds.", created).stable(),
        Family::gauge(
            "kube_pod_deletion_timestamp",
            "When the pod's deletion was asked for, in Unix seconds.",
            deletion_timestamp,
        ),
        Family::gauge("kube_pod_info", "Addresses, node and controller of a pod.", status::info).stable(),
        Family::gauge("kube_pod_ips", "The addresses of a pod, a series each.", status::ips),
        Family::gauge("kube_pod_init_container_info", "Image and id of an init container.", containers::init_info)
            .stable(),
        Family::gauge(
            "kube_pod_init_container_resource_limits",
            "How much of a resource an init container may use.",
            containers::limits::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_resource_requests",
            "How much of a resource an init container asks for.",
            containers::requests::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_state_started",
            "When the init container was started, in Unix seconds.",
            containers::state_started::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_status_last_terminated_reason",
            "Why the init container ended the last time.",
            containers::last_terminated_reason::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_status_last_terminated_exitcode",
            "With which exit code the init container ended the last time.",
            containers::last_terminated_exitcode::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_status_last_terminated_timestamp",
            "When the init container ended the last time, in Unix seconds.",
            containers::last_terminated_timestamp::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_status_ready",
            "1 if the init container is ready.",
            containers::ready::<Init>,
        )
        .stable(),
        Family::counter(
            "kube_pod_init_container_status_restarts_total",
            "How often the init container was restarted.",
            containers::restarts_total::<Init>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_init_container_status_running",
            "1 if the init container runs.",
            containers::running::<Init>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_init_container_status_terminated",
            "1 if the init container has ended.",
            containers::terminated::<Init>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_init_container_status_terminated_reason",
            "Why the init container has ended.",
            containers::terminated_reason::<Init>,
        ),
        Family::gauge(
            "kube_pod_init_container_status_waiting",
            "1 if the init container waits.",
            containers::waiting::<Init>,
        )
        .stable(),
        Family::gauge(
            "kube_pod_init_container_status_waiting_reason",
            "Why the init container waits.",
            containers::waiting_reason::<Init>,
        ),
        Family::annotations("kube_pod_annotations", "Annotations of a pod, as far as they are allowed."),
        Family::labels("kube_pod_labels", "Labels of a pod, as far as they are allowed.").stable(),
        Family::gauge(
            "kube_pod_overhead_cpu_cores",
            "The cores that a pod needs besides its containers.",
            spec::overhead_cpu_cores,
        ),
        Family::gauge(
            "kube_pod_overhead_memory_bytes",
            "The memory that a pod needs besides its containers.",
            spec::overhead_memory_bytes,
        ),
        Family::gauge("kube_pod_owner", "Who owns the pod, a series an owner.", owner).stable(),
        Family::gauge(
            "kube_pod_resourceclaim_info",
            "The resource claims of a pod, a series each.",
            spec::resourceclaim_info,
        ),
        Family::gauge("kube_pod_restart_policy", "When the containers of a pod are restarted.", spec::restart_policy)
            .stable(),
        Family::gauge("kube_pod_runtimeclass_name_info", "The runtime class of a pod.", spec::runtimeclass_name_info),
        Family::gauge(
            "kube_pod_spec_volumes_persistentvolumeclaims_info",
            "The claims that the volumes of a pod come from, a series each.",
            spec::claims_info,
        )
        .stable(),
        Family::gauge(
            "kube_pod_spec_volumes_persistentvolumeclaims_readonly",
            "1 if the claim of a volume is mounted read-only.",
            spec::claims_readonly,
        )
        .stable(),
        Family::gauge("kube_pod_start_time", "When the kubelet took the pod on, in Unix seconds.", status::start_time)
            .stable(),
        Family::gauge("kube_pod_status_phase", "1 for the phase that the pod is in.", status::phase).stable(),
        Family::gauge("kube_pod_status_qos_class", "1 for the quality of service of the pod.", status::qos_class),
        Family::gauge("kube_pod_status_ready", "1 for the status of the pod's condition Ready.", status::ready)
            .stable(),
        Family::gauge(
            "kube_pod_status_ready_time",
            "Since when the pod has been ready, in Unix seconds.",
            status::ready_time,
        ),
        Family::gauge(
            "kube_pod_status_initialized_time",
            "Since when the init containers have been done, in Unix seconds.",
            status::initialized_time,
        ),
        Family::gauge(
            "kube_pod_status_container_ready_time",
            "Since when all containers have been ready, in Unix seconds.",
            status::container_ready_time,
        ),
        Family::gauge(
            "kube_pod_status_reason",
            "Why the pod is as it is: the known reasons, and Other.",
            status::reason,
        ),
        Family::gauge(
            "kube_pod_status_disruption_reason",
            "Why the pod is about to be disrupted: the known reasons, and Other.",
            status::disruption_reason,
        ),
        Family::gauge(
            "kube_pod_status_scheduled",
            "1 for the status of the pod's condition PodScheduled.",
            status::scheduled,
        )
        .stable(),
        Family::gauge(
            "kube_pod_status_scheduled_time",
            "When the pod was given a node, in Unix seconds.",
            status::scheduled_time,
        )
        .stable(),
        Family::gauge("kube_pod_status_unschedulable", "1 if the pod has found no node.", status::unschedulable)
            .stable(),
        Family::gauge(
            "kube_pod_status_unscheduled_time",
            "Since when the pod has found no node, in Unix seconds.",
            status::unscheduled_time,
        ),
        Family::gauge("kube_pod_tolerations", "The tolerations of a pod, a series each.", spec::tolerations),
        Family::gauge("kube_pod_nodeselectors", "The node labels that a pod asks for.", spec::nodeselectors).opt_in(),
        Family::gauge("kube_pod_service_account", "The ServiceAccount of a pod.", spec::service_account),
        Family::gauge("kube_pod_scheduler", "The scheduler of a pod.", spec::scheduler),
    ];

    fn identity(pod: &Pod) -> Identity<'_> {
        vec![("namespace", namespace(pod)), ("pod", name(pod)), ("uid", text(&pod.metadata.uid))]
    }
}

static NO_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);
static NO_STATUS: LazyLock<PodStatus> = LazyLock::new(PodStatus::default);

/// The desired state; an empty one if there is none.
fn spec_of(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

/// The observed state; an empty one if there is none.
fn status_of(pod: &Pod) -> &PodStatus {
    pod.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}
