//! Nodes, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/node-metrics.md>

use std::sync::LazyLock;

use super::common::{bool_value, name, text};
use super::objects::{Node, NodeSpec, NodeStatus, NodeSystemInfo};
use super::quantity;
use super::resources::{ResourceList, each_with_unit};
use super::states::conditions;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `nodes`.
pub struct Nodes;

impl Resource for Nodes {
    type Object<'a> = Node<'a>;
    const API: Api = Api::cluster("v1", "Node", "nodes");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_node_annotations"),
        Family::created("kube_node_created").stable(),
        Family::deletion_timestamp("kube_node_deletion_timestamp"),
        Family::<Self>::gauge("kube_node_info", "Versions, provider ID and addresses of the node, as labels.", info)
            .stable(),
        Family::labels("kube_node_labels").stable(),
        Family::<Self>::gauge("kube_node_role", "Roles that the labels of the node assign, one series per role.", role),
        Family::<Self>::gauge(
            "kube_node_spec_pod_cidrs",
            "CIDR ranges for the Pods of the node, one series per range.",
            pod_cidrs,
        ),
        Family::<Self>::gauge("kube_node_spec_taint", "Taints of the node, one series per taint.", taint).stable(),
        Family::<Self>::gauge("kube_node_spec_unschedulable", "Whether the node accepts no new Pods.", unschedulable)
            .stable(),
        Family::<Self>::gauge(
            "kube_node_status_allocatable",
            "Amount of a resource that Pods on the node may use.",
            allocatable,
        )
        .stable(),
        Family::<Self>::gauge("kube_node_status_capacity", "Amount of a resource that the node has.", capacity)
            .stable(),
        Family::<Self>::gauge(
            "kube_node_status_condition",
            "Whether a condition of the node has this status.",
            status_condition,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_node_status_addresses",
            "Addresses of the node, one series per address.",
            addresses,
        ),
    ];

    fn identity<'o>(node: &'o Node<'_>) -> Identity<'o> {
        vec![("node", name(node))]
    }
}

static NO_SPEC: LazyLock<NodeSpec<'static>> = LazyLock::new(NodeSpec::default);
static NO_STATUS: LazyLock<NodeStatus<'static>> = LazyLock::new(NodeStatus::default);
static NO_SYSTEM: LazyLock<NodeSystemInfo<'static>> = LazyLock::new(NodeSystemInfo::default);

fn spec<'a>(node: &'a Node<'a>) -> &'a NodeSpec<'a> {
    node.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn status<'a>(node: &'a Node<'a>) -> &'a NodeStatus<'a> {
    node.status.as_ref().unwrap_or_else(|| &NO_STATUS)
}

fn info(node: &Node, samples: &mut Samples) {
    let (spec, status) = (spec(node), status(node));
    let system = status.node_info.as_ref().unwrap_or_else(|| &NO_SYSTEM);
    // NB: a node in two IP families has two; upstream shows the last.
    let internal_ip = status.addresses.iter().flatten().rfind(|a| a.type_ == "InternalIP");
    let labels = [
        ("kernel_version", &*system.kernel_version),
        ("os_image", &system.os_image),
        ("container_runtime_version", &system.container_runtime_version),
        ("kubelet_version", &system.kubelet_version),
        // NB: Kubernetes no longer reports the version; upstream prints this word to keep the label.
        ("kubeproxy_version", "deprecated"),
        ("provider_id", text(&spec.provider_id)),
        ("pod_cidr", text(&spec.pod_cidr)),
        ("system_uuid", &system.system_uuid),
        ("internal_ip", internal_ip.map_or("", |a| &a.address)),
    ];
    samples.sample(&labels, 1.0);
}

fn role(node: &Node, samples: &mut Samples) {
    for role in
        node.metadata.labels.iter().flatten().filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
    {
        samples.sample(&[("role", role)], 1.0);
    }
}

fn pod_cidrs(node: &Node, samples: &mut Samples) {
    for range in spec(node).pod_cidrs.iter().flatten() {
        samples.sample(&[("pod_cidr", range)], 1.0);
    }
}

fn taint(node: &Node, samples: &mut Samples) {
    for taint in spec(node).taints.iter().flatten() {
        samples.sample(&[("key", &taint.key), ("value", text(&taint.value)), ("effect", &taint.effect)], 1.0);
    }
}

fn unschedulable(node: &Node, samples: &mut Samples) {
    samples.sample(&[], bool_value(spec(node).unschedulable == Some(true)));
}

fn allocatable(node: &Node, samples: &mut Samples) {
    resources(&status(node).allocatable, samples);
}

fn capacity(node: &Node, samples: &mut Samples) {
    resources(&status(node).capacity, samples);
}

fn resources(list: &ResourceList, samples: &mut Samples) {
    each_with_unit(list, |resource, unit, amount| {
        samples.sample(&[("resource", resource), ("unit", unit)], amount.to_f64());
    });
    // Only nodes have this resource, because containers cannot request pods.
    let pods = list.as_ref().and_then(|list| list.get("pods"));
    if let Some(number) = pods.and_then(|amount| quantity::to_f64(&amount.0)) {
        samples.sample(&[("resource", "pods"), ("unit", "integer")], number);
    }
}

fn status_condition(node: &Node, samples: &mut Samples) {
    let list = status(node).conditions.iter().flatten();
    conditions(list.map(|c| (&*c.type_, &*c.status)), samples);
}

fn addresses(node: &Node, samples: &mut Samples) {
    for address in status(node).addresses.iter().flatten() {
        samples.sample(&[("type", &address.type_), ("address", &address.address)], 1.0);
    }
}
