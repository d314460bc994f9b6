//! Roles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/role-metrics.md>

use k8s_openapi::api::rbac::v1::Role;

use super::common::{created, exists, metadata_resource_version, name, namespace};
use super::{Family, Identity, Resource};

/// The resource `roles`.
pub struct Roles;

impl Resource for Roles {
    type Object = Role;
    const FAMILIES: &'static [Family<Role>] = &[
        Family::annotations("kube_role_annotations", "Annotations of a Role, as far as they are allowed."),
        Family::labels("kube_role_labels", "Labels of a Role, as far as they are allowed."),
        Family::gauge("kube_role_info", "A Role exists.", exists),
        Family::gauge("kube_role_created", "When the Role was created, in Unix seconds.", created),
        Family::gauge(
            "kube_role_metadata_resource_version",
            "The resourceVersion of the Role.",
            metadata_resource_version,
        ),
    ];

    fn identity(role: &Role) -> Identity<'_> {
        vec![("namespace", namespace(role)), ("role", name(role))]
    }
}
