//! LimitRanges, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/limitrange-metrics.md>

use k8s_openapi::api::core::v1::LimitRange;

use super::common::{name, namespace};
use super::quantity;
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `limitranges`.
pub struct LimitRanges;

impl Resource for LimitRanges {
    type Object = LimitRange;
    const FAMILIES: &'static [Family<LimitRange>] = &[
        Family::gauge(
            "kube_limitrange",
            "Limits and defaults of the LimitRange, one series per resource and constraint.",
            limits,
        )
        .stable(),
        Family::created("kube_limitrange_created").stable(),
    ];

    fn identity(range: &LimitRange) -> Identity<'_> {
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
                    let labels = [("resource", resource.as_str()), ("type", &limit.type_), ("constraint", constraint)];
                    samples.sample(&labels, number);
                }
            }
        }
    }
}
