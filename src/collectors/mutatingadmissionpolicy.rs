//! MutatingAdmissionPolicies, `admissionregistration.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/mutatingadmissionpolicy-metrics.md>

use super::common::{name, namespace, text};
use super::objects::MutatingAdmissionPolicy;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `mutatingadmissionpolicies`.
pub struct MutatingAdmissionPolicies;

impl Resource for MutatingAdmissionPolicies {
    type Object<'a> = MutatingAdmissionPolicy<'a>;
    const API: Api =
        Api::cluster("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_mutatingadmissionpolicy_info",
            "Parameter kind, failure policy and reinvocation policy of the MutatingAdmissionPolicy, as labels.",
            info,
        ),
        Family::created("kube_mutatingadmissionpolicy_created"),
    ];

    fn identity<'o>(policy: &'o MutatingAdmissionPolicy<'_>) -> Identity<'o> {
        vec![("namespace", namespace(policy)), ("mutatingadmissionpolicy", name(policy))]
    }
}

fn info(policy: &MutatingAdmissionPolicy, samples: &mut Samples) {
    let spec = policy.spec.as_ref();
    let param = spec.and_then(|s| s.param_kind.as_ref());
    let labels = [
        ("param_api_version", param.map_or("", |p| text(&p.api_version))),
        ("param_kind", param.map_or("", |p| text(&p.kind))),
        ("failure_policy", spec.map_or("", |s| text(&s.failure_policy))),
        ("reinvocation_policy", spec.map_or("", |s| text(&s.reinvocation_policy))),
    ];
    samples.sample(&labels, 1.0);
}
