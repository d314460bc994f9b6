//! RoleBindings, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/rolebinding-metrics.md>

use super::common::{name, namespace};
use super::objects::RoleBinding;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `rolebindings`.
pub struct RoleBindings;

impl Resource for RoleBindings {
    type Object<'a> = RoleBinding<'a>;
    const API: Api = Api::namespaced("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_rolebinding_annotations"),
        Family::labels("kube_rolebinding_labels"),
        Family::<Self>::gauge("kube_rolebinding_info", "Role that the RoleBinding grants, as labels.", info),
        Family::created("kube_rolebinding_created"),
        Family::resource_version("kube_rolebinding_metadata_resource_version"),
    ];

    fn identity<'o>(binding: &'o RoleBinding<'_>) -> Identity<'o> {
        vec![("namespace", namespace(binding)), ("rolebinding", name(binding))]
    }
}

fn info(binding: &RoleBinding, samples: &mut Samples) {
    let role = &binding.role_ref;
    samples.sample(&[("roleref_kind", &role.kind), ("roleref_name", &role.name)], 1.0);
}
