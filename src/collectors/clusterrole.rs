//! ClusterRoles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/clusterrole-metrics.md>

use k8s_openapi::api::rbac::v1::ClusterRole;

use super::common::{exists, name};
use super::table::{Family, Identity, Resource};

/// The resource `clusterroles`.
pub struct ClusterRoles;

impl Resource for ClusterRoles {
    type Object = ClusterRole;
    const FAMILIES: &'static [Family<ClusterRole>] = &[
        Family::annotations("kube_clusterrole_annotations"),
        Family::labels("kube_clusterrole_labels"),
        Family::gauge("kube_clusterrole_info", "Whether the ClusterRole exists; always 1.", exists),
        Family::created("kube_clusterrole_created"),
        Family::resource_version("kube_clusterrole_metadata_resource_version"),
    ];

    fn identity(role: &ClusterRole) -> Identity<'_> {
        vec![("clusterrole", name(role))]
    }
}
