//! ClusterRoles, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/cluster/clusterrole-metrics.md>

use super::common::name;
use super::objects::ClusterRole;
use super::table::{Api, Family, Identity, Resource, exists};

/// The resource `clusterroles`.
pub struct ClusterRoles;

impl Resource for ClusterRoles {
    type Object<'a> = ClusterRole<'a>;
    const API: Api = Api::cluster("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::annotations("kube_clusterrole_annotations"),
        Family::labels("kube_clusterrole_labels"),
        Family::<Self>::gauge("kube_clusterrole_info", "Whether the ClusterRole exists; always 1.", exists::<Self>),
        Family::created("kube_clusterrole_created"),
        Family::resource_version("kube_clusterrole_metadata_resource_version"),
    ];

    fn identity<'o>(role: &'o ClusterRole<'_>) -> Identity<'o> {
        vec![("clusterrole", name(role))]
    }
}
