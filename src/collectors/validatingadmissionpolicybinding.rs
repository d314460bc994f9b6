//! ValidatingAdmissionPolicyBindings, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingadmissionpolicybinding-metrics.md>

use std::sync::LazyLock;

use super::common::{name, namespace, text};
use super::objects::{ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec};
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `validatingadmissionpolicybindings`.
pub struct ValidatingAdmissionPolicyBindings;

impl Resource for ValidatingAdmissionPolicyBindings {
    type Object<'a> = ValidatingAdmissionPolicyBinding<'a>;
    const API: Api = Api::cluster(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    );
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_validatingadmissionpolicybinding_info",
            "Policy and parameter of the ValidatingAdmissionPolicyBinding, as labels.",
            info,
        ),
        Family::created("kube_validatingadmissionpolicybinding_created"),
        Family::<Self>::gauge(
            "kube_validatingadmissionpolicybinding_validation_action",
            "Actions after a failed validation, one series per action.",
            validation_action,
        ),
    ];

    fn identity<'o>(binding: &'o ValidatingAdmissionPolicyBinding<'_>) -> Identity<'o> {
        vec![("namespace", namespace(binding)), ("validatingadmissionpolicybinding", name(binding))]
    }
}

static NO_SPEC: LazyLock<ValidatingAdmissionPolicyBindingSpec<'static>> =
    LazyLock::new(ValidatingAdmissionPolicyBindingSpec::default);

fn spec<'a>(binding: &'a ValidatingAdmissionPolicyBinding<'a>) -> &'a ValidatingAdmissionPolicyBindingSpec<'a> {
    binding.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn info(binding: &ValidatingAdmissionPolicyBinding, samples: &mut Samples) {
    let param = spec(binding).param_ref.as_ref();
    let labels = [
        ("policy_name", text(&spec(binding).policy_name)),
        ("param_name", param.map_or("", |p| text(&p.name))),
        ("param_namespace", param.map_or("", |p| text(&p.namespace))),
        ("param_not_found_action", param.map_or("", |p| text(&p.parameter_not_found_action))),
    ];
    samples.sample(&labels, 1.0);
}

fn validation_action(binding: &ValidatingAdmissionPolicyBinding, samples: &mut Samples) {
    for action in spec(binding).validation_actions.iter().flatten() {
        samples.sample(&[("action", action)], 1.0);
    }
}
