//! ValidatingAdmissionPolicyBindings, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingadmissionpolicybinding-metrics.md>

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;

use super::common::{name, namespace, text};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `validatingadmissionpolicybindings`.
pub struct ValidatingAdmissionPolicyBindings;

impl Resource for ValidatingAdmissionPolicyBindings {
    type Object = ValidatingAdmissionPolicyBinding;
    const FAMILIES: &'static [Family<ValidatingAdmissionPolicyBinding>] = &[
        Family::gauge(
            "kube_validatingadmissionpolicybinding_info",
            "Policy and parameter of the ValidatingAdmissionPolicyBinding, as labels.",
            info,
        ),
        Family::created("kube_validatingadmissionpolicybinding_created"),
        Family::gauge(
            "kube_validatingadmissionpolicybinding_validation_action",
            "Actions after a failed validation, one series per action.",
            validation_action,
        ),
    ];

    fn identity(binding: &ValidatingAdmissionPolicyBinding) -> Identity<'_> {
        vec![("namespace", namespace(binding)), ("validatingadmissionpolicybinding", name(binding))]
    }
}

fn info(binding: &ValidatingAdmissionPolicyBinding, samples: &mut Samples) {
    let param = binding.spec.param_ref.as_ref();
    let labels = [
        ("policy_name", binding.spec.policy_name.as_str()),
        ("param_name", param.map_or("", |p| text(&p.name))),
        ("param_namespace", param.map_or("", |p| text(&p.namespace))),
        ("param_not_found_action", param.map_or("", |p| text(&p.parameter_not_found_action))),
    ];
    samples.sample(&labels, 1.0);
}

fn validation_action(binding: &ValidatingAdmissionPolicyBinding, samples: &mut Samples) {
    for action in &binding.spec.validation_actions {
        samples.sample(&[("action", action)], 1.0);
    }
}
