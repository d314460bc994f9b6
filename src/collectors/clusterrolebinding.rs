//! ClusterRoleBindings, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/clusterrolebinding-metrics.md>

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;

use super::common::{created, metadata_resource_version, name};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `clusterrolebindings`.
pub struct ClusterRoleBindings;

impl Resource for ClusterRoleBindings {
    type Object = ClusterRoleBinding;
    const FAMILIES: &'static [Family<ClusterRoleBinding>] = &[
        Family::annotations(
            "kube_clusterrolebinding_annotations",
            "Annotations of a ClusterRoleBinding, as far as they are allowed.",
        ),
        Family::labels("kube_clusterrolebinding_labels", "Labels of a ClusterRoleBinding, as far as they are allowed."),
        Family::gauge("kube_clusterrolebinding_info", "The role that a ClusterRoleBinding grants.", info),
        Family::gauge(
            "kube_clusterrolebinding_created",
            "When the ClusterRoleBinding was created, in Unix seconds.",
            created,
        ),
        Family::gauge(
            "kube_clusterrolebinding_metadata_resource_version",
            "The resourceVersion of the ClusterRoleBinding.",
            metadata_resource_version,
        ),
    ];

    fn identity(binding: &ClusterRoleBinding) -> Identity<'_> {
        vec![("clusterrolebinding", name(binding))]
    }
}

fn info(binding: &ClusterRoleBinding, samples: &mut Samples) {
    let role = &binding.role_ref;
    samples.sample(&[("roleref_kind", &role.kind), ("roleref_name", &role.name)], 1.0);
}
