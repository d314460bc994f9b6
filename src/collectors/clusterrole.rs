//! ClusterRoles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/clusterrole-metrics.md>

use k8s_openapi::api::rbac::v1::ClusterRole;

use super::common::{created, exists, metadata_resource_version, name};
use super::{Family, Identity, Resource};

/// The resource `clusterroles`.
pub struct ClusterRoles;

impl Resource for ClusterRoles {
    type Object = ClusterRole;
    const FAMILIES: &'static [Family<ClusterRole>] = &[
        Family::annotations(
            "kube_clusterrole_annotations",
            "Annotations of a ClusterRole, as far as they are allowed.",
        ),
        Family::labels("kube_clusterrole_labels", "Labels of a ClusterRole, as far as they are allowed."),
        Family::gauge("kube_clusterrole_info", "A ClusterRole exists.", exists),
        Family::gauge("kube_clusterrole_created", "When the ClusterRole was created, in Unix seconds.", created),
        Family::gauge(
            "kube_clusterrole_metadata_resource_version",
            "The resourceVersion of the ClusterRole.",
            metadata_resource_version,
        ),
    ];

    fn identity(role: &ClusterRole) -> Identity<'_> {
        vec![("clusterrole", name(role))]
    }
}
