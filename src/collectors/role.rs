//! Roles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/role-metrics.md>

use super::common::{name, namespace};
use super::objects::Role;
use super::table::{Api, Family, Identity, Resource, exists};

/// The resource `roles`.
pub struct Roles;

impl Resource for Roles {
    type Object<'a> = Role<'a>;
    const API: Api = Api::namespaced("rbac.authorization.k8s.io/v1", "Role", "roles");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_role_annotations"),
        Family::labels("kube_role_labels"),
        Family::<Self>::gauge("kube_role_info", "Whether the Role exists; always 1.", exists::<Self>),
        Family::created("kube_role_created"),
        Family::resource_version("kube_role_metadata_resource_version"),
    ];

    fn identity<'o>(role: &'o Role<'_>) -> Identity<'o> {
        vec![("namespace", namespace(role)), ("role", name(role))]
    }
}
