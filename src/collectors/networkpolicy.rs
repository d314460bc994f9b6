//! NetworkPolicies, `networking.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/networkpolicy-metrics.md>

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::common::{ZERO_TIME, name, namespace, unix};
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `networkpolicies`.
pub struct NetworkPolicies;

impl Resource for NetworkPolicies {
    type Object = NetworkPolicy;
    const FAMILIES: &'static [Family<NetworkPolicy>] = &[
        Family::gauge("kube_networkpolicy_created", "When the NetworkPolicy was created, in Unix seconds.", created),
        Family::annotations(
            "kube_networkpolicy_annotations",
            "Annotations of a NetworkPolicy, as far as they are allowed.",
        ),
        Family::labels("kube_networkpolicy_labels", "Labels of a NetworkPolicy, as far as they are allowed."),
        Family::gauge("kube_networkpolicy_spec_ingress_rules", "Rules for what may come in.", spec_ingress_rules),
        Family::gauge("kube_networkpolicy_spec_egress_rules", "Rules for what may go out.", spec_egress_rules),
    ];

    fn identity(policy: &NetworkPolicy) -> Identity<'_> {
        vec![("namespace", namespace(policy)), ("networkpolicy", name(policy))]
    }
}

/// NB: unlike for other kinds, upstream prints a time where there is none.
fn created(policy: &NetworkPolicy, samples: &mut Samples) {
    let time = policy.metadata.creation_timestamp.as_ref();
    samples.sample(&[], time.map_or(ZERO_TIME as f64, |t| unix(t.0)));
}

fn spec_ingress_rules(policy: &NetworkPolicy, samples: &mut Samples) {
    let rules = policy.spec.as_ref().and_then(|s| s.ingress.as_ref());
    samples.sample(&[], rules.map_or(0, Vec::len) as f64);
}

fn spec_egress_rules(policy: &NetworkPolicy, samples: &mut Samples) {
    let rules = policy.spec.as_ref().and_then(|s| s.egress.as_ref());
    samples.sample(&[], rules.map_or(0, Vec::len) as f64);
}
