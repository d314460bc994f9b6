//! ResourceQuotas, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/resourcequota-metrics.md>

use super::common::{name, namespace};
use super::objects::ResourceQuota;
use super::quantity;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `resourcequotas`.
pub struct ResourceQuotas;

impl Resource for ResourceQuotas {
    type Object<'a> = ResourceQuota<'a>;
    const API: Api = Api::namespaced("v1", "ResourceQuota", "resourcequotas");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::created("kube_resourcequota_created").stable(),
        Family::<Self>::gauge(
            "kube_resourcequota",
            "Limit and current use of each resource of the ResourceQuota.",
            amounts,
        )
        .stable(),
        Family::annotations("kube_resourcequota_annotations"),
        Family::labels("kube_resourcequota_labels").stable(),
    ];

    fn identity<'o>(quota: &'o ResourceQuota<'_>) -> Identity<'o> {
        vec![("namespace", namespace(quota)), ("resourcequota", name(quota))]
    }
}

fn amounts(quota: &ResourceQuota, samples: &mut Samples) {
    if let Some(status) = &quota.status {
        for (kind, list) in [("hard", &status.hard), ("used", &status.used)] {
            for (resource, amount) in list.iter().flatten() {
                if let Some(number) = quantity::to_f64(&amount.0) {
                    samples.sample(&[("resource", resource), ("type", kind)], number);
                }
            }
        }
    }
}
