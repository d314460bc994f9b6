//! RoleBindings, `rbac.authorization.k8s.io/v1`. Not watched by default.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/auth/rolebinding-metrics.md>

use k8s_openapi::api::rbac::v1::RoleBinding;

use super::common::{created, metadata_resource_version, name, namespace};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `rolebindings`.
pub struct RoleBindings;

impl Resource for RoleBindings {
    type Object = RoleBinding;
    const FAMILIES: &'static [Family<RoleBinding>] = &[
        Family::annotations(
            "kube_rolebinding_annotations",
            "Annotations of a RoleBinding, as far as they are allowed.",
        ),
        Family::labels("kube_rolebinding_labels", "Labels of a RoleBinding, as far as they are allowed."),
        Family::gauge("kube_rolebinding_info", "The role that a RoleBinding grants.", info),
        Family::gauge("kube_rolebinding_created", "When the RoleBinding was created, in Unix seconds.", created),
        Family::gauge(
            "kube_rolebinding_metadata_resource_version",
            "The resourceVersion of the RoleBinding.",
            metadata_resource_version,
        ),
    ];

    fn identity(binding: &RoleBinding) -> Identity<'_> {
        vec![("namespace", namespace(binding)), ("rolebinding", name(binding))]
    }
}

fn info(binding: &RoleBinding, samples: &mut Samples) {
    let role = &binding.role_ref;
    samples.sample(&[("roleref_kind", &role.kind), ("roleref_name", &role.name)], 1.0);
}
