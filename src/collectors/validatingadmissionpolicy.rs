//! ValidatingAdmissionPolicies, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/validatingadmissionpolicy-metrics.md>

use super::common::{name, namespace, text};
use super::objects::ValidatingAdmissionPolicy;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `validatingadmissionpolicies`.
pub struct ValidatingAdmissionPolicies;

impl Resource for ValidatingAdmissionPolicies {
    type Object<'a> = ValidatingAdmissionPolicy<'a>;
    const API: Api =
        Api::cluster("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_validatingadmissionpolicy_info",
            "Parameter kind and failure policy of the ValidatingAdmissionPolicy, as labels.",
            info,
        ),
        Family::created("kube_validatingadmissionpolicy_created"),
    ];

    fn identity<'o>(policy: &'o ValidatingAdmissionPolicy<'_>) -> Identity<'o> {
        vec![("namespace", namespace(policy)), ("validatingadmissionpolicy", name(policy))]
    }
}

fn info(policy: &ValidatingAdmissionPolicy, samples: &mut Samples) {
    let spec = policy.spec.as_ref();
    let param = spec.and_then(|s| s.param_kind.as_ref());
    let labels = [
        ("param_api_version", param.map_or("", |p| text(&p.api_version))),
        ("param_kind", param.map_or("", |p| text(&p.kind))),
        ("failure_policy", spec.map_or("", |s| text(&s.failure_policy))),
    ];
    samples.sample(&labels, 1.0);
}
