//! Roles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/role-metrics.md>

use k8s_openapi::api::rbac::v1::Role;

use super::common::{exists, name, namespace};
use super::table::{Family, Identity, Resource};

/// The resource `roles`.
pub struct Roles;

impl Resource for Roles {
    type Object = Role;
    const FAMILIES: &'static [Family<Role>] = &[
        Family::annotations("kube_role_annotations"),
        Family::labels("kube_role_labels"),
        Family::gauge("kube_role_info", "Whether the Role exists; always 1.", exists),
        Family::created("kube_role_created"),
        Family::resource_version("kube_role_metadata_resource_version"),
    ];

    fn identity(role: &Role) -> Identity<'_> {
        vec![("namespace", namespace(role)), ("role", name(role))]
    }
}
