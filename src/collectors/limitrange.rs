//! LimitRanges, `v1`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/policy/limitrange-metrics.md>

use k8s_openapi::api::core::v1::LimitRange;

use super::common::{created, name, namespace};
use super::quantity;
use super::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `limitranges`.
pub struct LimitRanges;

impl Resource for LimitRanges {
    type Object = LimitRange;
    const FAMILIES: &'static [Family<LimitRange>] = &[
        Family::gauge("kube_limitrange", "Limits and defaults of a LimitRange, a series each.", limits).stable(),
        Family::gauge("kube_limitrange_created", "When the LimitRange was created, in Unix seconds.", created).stable(),
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
