//! ClusterRoleBindings, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/clusterrolebinding-metrics.md>

use super::common::name;
use super::objects::ClusterRoleBinding;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `clusterrolebindings`.
pub struct ClusterRoleBindings;

impl Resource for ClusterRoleBindings {
    type Object<'a> = ClusterRoleBinding<'a>;
    const API: Api = Api::cluster("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_clusterrolebinding_annotations"),
        Family::labels("kube_clusterrolebinding_labels"),
        Family::<Self>::gauge(
            "kube_clusterrolebinding_info",
            "Role that the ClusterRoleBinding grants, as labels.",
            info,
        ),
        Family::created("kube_clusterrolebinding_created"),
        Family::resource_version("kube_clusterrolebinding_metadata_resource_version"),
    ];

    fn identity<'o>(binding: &'o ClusterRoleBinding<'_>) -> Identity<'o> {
        vec![("clusterrolebinding", name(binding))]
    }
}

fn info(binding: &ClusterRoleBinding, samples: &mut Samples) {
    let role = &binding.role_ref;
    samples.sample(&[("roleref_kind", &role.kind), ("roleref_name", &role.name)], 1.0);
}
