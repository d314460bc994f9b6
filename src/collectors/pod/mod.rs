//! Pods, `v1`.
//!
//! This file holds the table; [`containers`] what a container prints, for ordinary and init containers alike; [`spec`]
//! what the desired state says, [`status`] how the pod is, [`resources`] what it
//! has and needs of resources, and [`terminations`] how its containers have ended.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md>

mod containers;
mod parts;
mod resources;
mod spec;
mod status;
mod terminations;

use self::containers::{Init, Main};
use super::common::{name, namespace, text};
use super::objects::Pod;
use super::parts::{CONTAINERS, Cut, DESIRED, STATUS};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::{Memo, Past};

/// The resource `pods`.
pub struct Pods;

impl Resource for Pods {
    type Object<'a> = Pod<'a>;
    const API: Api = Api::namespaced("v1", "Pod", "pods");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_pod_completion_time",
            "Unix timestamp at which the last container of the Pod ended.",
            status::completion_time,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge("kube_pod_container_info", "Image and ID of the container, as labels.", containers::info)
            .reads(DESIRED.and(CONTAINERS))
            .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_resource_limits",
            "Limit of the container for a resource.",
            containers::limits::<Main>,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_resource_requests",
            "Amount of a resource that the container requests.",
            containers::requests::<Main>,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_state_started",
            "Unix timestamp of the start of the container.",
            containers::state_started::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_status_last_terminated_reason",
            "Reason of the previous termination of the container, as a label.",
            containers::last_terminated_reason::<Main>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_container_status_last_terminated_exitcode",
            "Exit code of the previous termination of the container.",
            containers::last_terminated_exitcode::<Main>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_container_status_last_terminated_timestamp",
            "Unix timestamp of the previous termination of the container.",
            containers::last_terminated_timestamp::<Main>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge("kube_pod_container_status_ready", "Whether the container is ready.", containers::ready::<Main>)
            .reads(CONTAINERS)
            .stable(),
        Family::<Self>::counter(
            "kube_pod_container_status_restarts_total",
            "Number of restarts of the container.",
            containers::restarts_total::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_status_running",
            "Whether the container is running.",
            containers::running::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_status_terminated",
            "Whether the container has terminated.",
            containers::terminated::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_status_terminated_reason",
            "Reason why the container has terminated, as a label.",
            containers::terminated_reason::<Main>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_container_status_waiting",
            "Whether the container is waiting.",
            containers::waiting::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_container_status_waiting_reason",
            "Reason why the container is waiting, as a label.",
            containers::waiting_reason::<Main>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::created("kube_pod_created").stable(),
        Family::deletion_timestamp("kube_pod_deletion_timestamp"),
        Family::<Self>::gauge(
            "kube_pod_info",
            "Addresses, node, controller and priority class of the Pod, as labels.",
            status::info,
        )
        .reads(DESIRED.and(STATUS))
        .stable(),
        Family::<Self>::gauge("kube_pod_ips", "IP addresses of the Pod, one series per address.", status::ips).reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_init_container_info",
            "Image and ID of the init container, as labels.",
            containers::init_info,
        )
        .reads(DESIRED.and(CONTAINERS))
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_init_container_resource_limits",
            "Limit of the init container for a resource.",
            containers::limits::<Init>,
        )
        .reads(DESIRED),
        Family::<Self>::gauge(
            "kube_pod_init_container_resource_requests",
            "Amount of a resource that the init container requests.",
            containers::requests::<Init>,
        )
        .reads(DESIRED),
        Family::<Self>::gauge(
            "kube_pod_init_container_state_started",
            "Unix timestamp of the start of the init container.",
            containers::state_started::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_last_terminated_reason",
            "Reason of the previous termination of the init container, as a label.",
            containers::last_terminated_reason::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_last_terminated_exitcode",
            "Exit code of the previous termination of the init container.",
            containers::last_terminated_exitcode::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_last_terminated_timestamp",
            "Unix timestamp of the previous termination of the init container.",
            containers::last_terminated_timestamp::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_ready",
            "Whether the init container is ready.",
            containers::ready::<Init>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::counter(
            "kube_pod_init_container_status_restarts_total",
            "Number of restarts of the init container.",
            containers::restarts_total::<Init>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_running",
            "Whether the init container is running.",
            containers::running::<Init>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_terminated",
            "Whether the init container has terminated.",
            containers::terminated::<Init>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_terminated_reason",
            "Reason why the init container has terminated, as a label.",
            containers::terminated_reason::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_waiting",
            "Whether the init container is waiting.",
            containers::waiting::<Init>,
        )
        .reads(CONTAINERS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_init_container_status_waiting_reason",
            "Reason why the init container is waiting, as a label.",
            containers::waiting_reason::<Init>,
        )
        .reads(CONTAINERS),
        Family::annotations("kube_pod_annotations"),
        Family::labels("kube_pod_labels").stable(),
        Family::<Self>::gauge(
            "kube_pod_overhead_cpu_cores",
            "Number of CPU cores that the Pod needs in addition to its containers.",
            spec::overhead_cpu_cores,
        )
        .reads(DESIRED),
        Family::<Self>::gauge(
            "kube_pod_overhead_memory_bytes",
            "Memory that the Pod needs in addition to its containers, in bytes.",
            spec::overhead_memory_bytes,
        )
        .reads(DESIRED),
        Family::owner("kube_pod_owner").stable(),
        Family::<Self>::gauge(
            "kube_pod_resourceclaim_info",
            "Resource claims of the Pod, one series per claim.",
            spec::resourceclaim_info,
        )
        .reads(DESIRED.and(STATUS)),
        Family::<Self>::gauge("kube_pod_restart_policy", "Restart policy of the Pod, as a label.", spec::restart_policy)
            .reads(DESIRED)
            .stable(),
        Family::<Self>::gauge(
            "kube_pod_runtimeclass_name_info",
            "Runtime class of the Pod, as a label.",
            spec::runtimeclass_name_info,
        )
        .reads(DESIRED),
        Family::<Self>::gauge(
            "kube_pod_spec_volumes_persistentvolumeclaims_info",
            "Claims that the volumes of the Pod use, one series per volume.",
            spec::claims_info,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_spec_volumes_persistentvolumeclaims_readonly",
            "Whether the Pod mounts the claim of a volume read-only.",
            spec::claims_readonly,
        )
        .reads(DESIRED)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_start_time",
            "Unix timestamp at which the kubelet accepted the Pod.",
            status::start_time,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_pod_status_phase", "Whether the Pod is in this phase.", status::phase)
            .reads(STATUS)
            .stable(),
        Family::<Self>::gauge(
            "kube_pod_status_qos_class",
            "Whether the Pod has this quality of service class.",
            status::qos_class,
        )
        .reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_status_ready",
            "Whether the condition Ready of the Pod has this status.",
            status::ready,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_pod_status_ready_time", "Unix timestamp since which the Pod is ready.", status::ready_time)
            .reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_status_initialized_time",
            "Unix timestamp since which all init containers are done.",
            status::initialized_time,
        )
        .reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_status_container_ready_time",
            "Unix timestamp since which all containers are ready.",
            status::container_ready_time,
        )
        .reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_status_reason",
            "Known reasons for the state of the Pod, one series per reason; `Other` stands for all others.",
            status::reason,
        )
        .reads(STATUS.and(CONTAINERS)),
        Family::<Self>::gauge(
            "kube_pod_status_disruption_reason",
            "Known reason for the coming disruption of the Pod, as a label; `Other` stands for all others.",
            status::disruption_reason,
        )
        .reads(STATUS),
        Family::<Self>::gauge(
            "kube_pod_status_scheduled",
            "Whether the condition PodScheduled of the Pod has this status.",
            status::scheduled,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge(
            "kube_pod_status_scheduled_time",
            "Unix timestamp at which the Pod was assigned to a node.",
            status::scheduled_time,
        )
        .reads(STATUS)
        .stable(),
        Family::<Self>::gauge("kube_pod_status_unschedulable", "Whether the Pod is unscheduled.", status::unschedulable)
            .reads(STATUS)
            .stable(),
        Family::<Self>::gauge(
            "kube_pod_status_unscheduled_time",
            "Unix timestamp since which the Pod is unscheduled.",
            status::unscheduled_time,
        )
        .reads(STATUS),
        Family::<Self>::gauge("kube_pod_tolerations", "Tolerations of the Pod, one series per toleration.", spec::tolerations)
            .reads(DESIRED),
        Family::<Self>::gauge("kube_pod_nodeselectors", "Node labels that the Pod requires.", spec::nodeselectors)
            .reads(DESIRED)
            .opt_in(),
        Family::<Self>::gauge("kube_pod_service_account", "ServiceAccount of the Pod, as a label.", spec::service_account)
            .reads(DESIRED),
        Family::<Self>::gauge("kube_pod_scheduler", "Scheduler of the Pod, as a label.", spec::scheduler).reads(DESIRED),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_container_status_resource_requests",
            "Amount of a resource that the running container requests, which differs from its spec during a resize.",
            resources::status_requests::<Main>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_container_status_resource_limits",
            "Limit of the running container for a resource, which differs from its spec during a resize.",
            resources::status_limits::<Main>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_container_status_allocated_resources",
            "Amount of a resource that the node has allocated to the container.",
            resources::allocated::<Main>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_init_container_status_resource_requests",
            "Amount of a resource that the running init container requests, which differs from its spec during a resize.",
            resources::status_requests::<Init>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_init_container_status_resource_limits",
            "Limit of the running init container for a resource, which differs from its spec during a resize.",
            resources::status_limits::<Init>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_init_container_status_allocated_resources",
            "Amount of a resource that the node has allocated to the init container.",
            resources::allocated::<Init>,
        )
        .reads(DESIRED.and(CONTAINERS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_resource_requests",
            "Amount of a resource that the spec requests for the Pod as a whole.",
            resources::pod_requests,
        )
        .reads(DESIRED)
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_resource_limits",
            "Limit for a resource that the spec sets for the Pod as a whole.",
            resources::pod_limits,
        )
        .reads(DESIRED)
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_status_resource_requests",
            "Amount of a resource that the running Pod requests as a whole, which differs from its spec during a resize.",
            resources::pod_status_requests,
        )
        .reads(DESIRED.and(STATUS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_status_resource_limits",
            "Limit of the running Pod as a whole for a resource, which differs from its spec during a resize.",
            resources::pod_status_limits,
        )
        .reads(DESIRED.and(STATUS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_status_allocated_resources",
            "Amount of a resource that the node has allocated to the Pod as a whole.",
            resources::pod_allocated,
        )
        .reads(DESIRED.and(STATUS))
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_effective_resource_requests",
            "Amount of a resource that the scheduler counts for the Pod.",
            resources::effective_requests,
        )
        .reads_more(),
        Family::<Self>::gauge(
            "kube_state_fleet_pod_effective_resource_limits",
            "Limit of the Pod for a resource, computed from all of its containers as the scheduler computes the request.",
            resources::effective_limits,
        )
        .reads_more(),
        Family::<Self>::counted(
            "kube_state_fleet_pod_container_terminations_total",
            "Number of terminations of the container by reason, since this replica exposes the Pod.",
            terminations::terminations::<Main>,
        )
        .reads(CONTAINERS),
        Family::<Self>::counted(
            "kube_state_fleet_pod_init_container_terminations_total",
            "Number of terminations of the init container by reason, since this replica exposes the Pod.",
            terminations::terminations::<Init>,
        )
        .reads(CONTAINERS),
        Family::<Self>::counter(
            "kube_state_fleet_pod_evictions_total",
            "Number of evictions of the Pod by reason, 0 or 1.",
            status::evictions,
        )
        .reads(STATUS)
        .opt_in(),
    ];

    const REMEMBER: Option<fn(&Pod, &Past) -> Memo> = Some(terminations::remember);

    const CUT: Cut = Cut {
        parts: &[
            ("status", STATUS),
            ("status.containerStatuses", CONTAINERS),
            ("status.initContainerStatuses", CONTAINERS),
        ],
        views: &[("containers", CONTAINERS), ("status", STATUS.and(CONTAINERS))],
        more_views: &[("+status", STATUS.and(CONTAINERS))],
    };

    fn identity<'o>(pod: &'o Pod<'_>) -> Identity<'o> {
        vec![("namespace", namespace(pod)), ("pod", name(pod)), ("uid", text(&pod.metadata.uid))]
    }
}
