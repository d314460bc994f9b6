//! NetworkPolicies, `networking.k8s.io/v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/networkpolicy-metrics.md>

use super::common::{ZERO_TIME, name, namespace, unix};
use super::objects::NetworkPolicy;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `networkpolicies`.
pub struct NetworkPolicies;

impl Resource for NetworkPolicies {
    type Object<'a> = NetworkPolicy<'a>;
    const API: Api = Api::namespaced("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_networkpolicy_created",
            "Unix timestamp of the creation of the object; -62135596800 if it is not set.",
            created,
        ),
        Family::annotations("kube_networkpolicy_annotations"),
        Family::labels("kube_networkpolicy_labels"),
        Family::<Self>::gauge(
            "kube_networkpolicy_spec_ingress_rules",
            "Number of ingress rules of the NetworkPolicy.",
            spec_ingress_rules,
        ),
        Family::<Self>::gauge(
            "kube_networkpolicy_spec_egress_rules",
            "Number of egress rules of the NetworkPolicy.",
            spec_egress_rules,
        ),
    ];

    fn identity<'o>(policy: &'o NetworkPolicy<'_>) -> Identity<'o> {
        vec![("namespace", namespace(policy)), ("networkpolicy", name(policy))]
    }
}

/// NB: unlike for other kinds, upstream prints a time even if it is not set.
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
