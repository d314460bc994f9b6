//! LimitRanges, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/limitrange-metrics.md>

use super::common::{name, namespace};
use super::objects::LimitRange;
use super::quantity;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `limitranges`.
pub struct LimitRanges;

impl Resource for LimitRanges {
    type Object<'a> = LimitRange<'a>;
    const API: Api = Api::namespaced("v1", "LimitRange", "limitranges");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_limitrange",
            "Limits and defaults of the LimitRange, one series per resource and constraint.",
            limits,
        )
        .stable(),
        Family::created("kube_limitrange_created").stable(),
    ];

    fn identity<'o>(range: &'o LimitRange<'_>) -> Identity<'o> {
        vec![("namespace", namespace(range)), ("limitrange", name(range))]
    }
}

fn limits(range: &LimitRange, samples: &mut Samples) {
    for limit in range.spec.iter().flat_map(|spec| &spec.limits) {
        let constraints = [
            ("min", &limit.min),
            ("max", &limit.max),
            ("default", &limit.default),
            ("defaultRequest", &limit.default_request),
            ("maxLimitRequestRatio", &limit.max_limit_request_ratio),
        ];
        for (constraint, list) in constraints {
            for (resource, amount) in list.iter().flatten() {
                if let Some(number) = quantity::to_f64(&amount.0) {
                    let labels = [("resource", resource), ("type", &limit.type_), ("constraint", constraint)];
                    samples.sample(&labels, number);
                }
            }
        }
    }
}
