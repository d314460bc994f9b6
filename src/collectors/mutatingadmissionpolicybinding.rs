//! MutatingAdmissionPolicyBindings, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/mutatingadmissionpolicybinding-metrics.md>

use super::common::{name, namespace, text};
use super::objects::MutatingAdmissionPolicyBinding;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `mutatingadmissionpolicybindings`.
pub struct MutatingAdmissionPolicyBindings;

impl Resource for MutatingAdmissionPolicyBindings {
    type Object<'a> = MutatingAdmissionPolicyBinding<'a>;
    const API: Api = Api::cluster(
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
    );
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_mutatingadmissionpolicybinding_info",
            "Policy and parameter of the MutatingAdmissionPolicyBinding, as labels.",
            info,
        ),
        Family::created("kube_mutatingadmissionpolicybinding_created"),
    ];

    fn identity<'o>(binding: &'o MutatingAdmissionPolicyBinding<'_>) -> Identity<'o> {
        vec![("namespace", namespace(binding)), ("mutatingadmissionpolicybinding", name(binding))]
    }
}

fn info(binding: &MutatingAdmissionPolicyBinding, samples: &mut Samples) {
    let spec = binding.spec.as_ref();
    let param = spec.and_then(|s| s.param_ref.as_ref());
    let labels = [
        ("policy_name", spec.map_or("", |s| text(&s.policy_name))),
        ("param_name", param.map_or("", |p| text(&p.name))),
        ("param_namespace", param.map_or("", |p| text(&p.namespace))),
        ("param_not_found_action", param.map_or("", |p| text(&p.parameter_not_found_action))),
    ];
    samples.sample(&labels, 1.0);
}
