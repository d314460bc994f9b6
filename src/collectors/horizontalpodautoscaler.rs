//! HorizontalPodAutoscalers, `autoscaling/v2`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/horizontalpodautoscaler-metrics.md>

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerStatus,
    MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::common::{condition_states, integer_or_zero, name, namespace};
use super::quantity::{self, Amount};
use super::table::{Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `horizontalpodautoscalers`.
pub struct HorizontalPodAutoscalers;

impl Resource for HorizontalPodAutoscalers {
    type Object = HorizontalPodAutoscaler;
    const FAMILIES: &'static [Family<HorizontalPodAutoscaler>] = &[
        Family::gauge(
            "kube_horizontalpodautoscaler_info",
            "Target that the HorizontalPodAutoscaler scales, as labels.",
            info,
        ),
        Family::generation("kube_horizontalpodautoscaler_metadata_generation").stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_spec_max_replicas",
            "Upper limit for the number of Pods.",
            spec_max_replicas,
        )
        .stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_spec_min_replicas",
            "Lower limit for the number of Pods.",
            spec_min_replicas,
        )
        .stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_spec_target_metric",
            "Target value of a metric.",
            spec_target_metric,
        ),
        Family::gauge(
            "kube_horizontalpodautoscaler_spec_behavior_scale_down_tolerance",
            "Relative deviation from the target below which no Pods are removed.",
            spec_behavior_scale_down_tolerance,
        ),
        Family::gauge(
            "kube_horizontalpodautoscaler_spec_behavior_scale_up_tolerance",
            "Relative deviation from the target below which no Pods are added.",
            spec_behavior_scale_up_tolerance,
        ),
        Family::gauge(
            "kube_horizontalpodautoscaler_status_target_metric",
            "Current value of a metric.",
            status_target_metric,
        )
        .stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_status_current_replicas",
            "Number of Pods that the target has.",
            status_current_replicas,
        )
        .stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_status_desired_replicas",
            "Number of Pods that the autoscaler last computed for the target.",
            status_desired_replicas,
        )
        .stable(),
        Family::annotations("kube_horizontalpodautoscaler_annotations"),
        Family::labels("kube_horizontalpodautoscaler_labels").stable(),
        Family::gauge(
            "kube_horizontalpodautoscaler_status_condition",
            "Whether a condition of the HorizontalPodAutoscaler has this status.",
            status_condition,
        )
        .stable(),
        Family::created("kube_horizontalpodautoscaler_created"),
        Family::deletion_timestamp("kube_horizontalpodautoscaler_deletion_timestamp"),
    ];

    fn identity(autoscaler: &HorizontalPodAutoscaler) -> Identity<'_> {
        vec![("namespace", namespace(autoscaler)), ("horizontalpodautoscaler", name(autoscaler))]
    }
}

fn info(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    let target = &autoscaler.spec.scale_target_ref;
    let labels = [
        ("scaletargetref_api_version", target.api_version.as_deref().unwrap_or_default()),
        ("scaletargetref_kind", &target.kind),
        ("scaletargetref_name", &target.name),
    ];
    let from = usize::from(labels[0].1.is_empty());
    samples.sample(&labels[from..], 1.0);
}

fn spec_max_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(Some(autoscaler.spec.max_replicas), samples);
}

fn spec_min_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(Some(autoscaler.spec.min_replicas.unwrap_or(1)), samples);
}

fn spec_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    for metric in autoscaler.spec.metrics.iter().flatten().filter_map(target) {
        metric.emit(samples);
    }
}

fn spec_behavior_scale_down_tolerance(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    tolerance(autoscaler, |b| b.scale_down.as_ref(), samples);
}

fn spec_behavior_scale_up_tolerance(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    tolerance(autoscaler, |b| b.scale_up.as_ref(), samples);
}

fn status_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    for metric in status(autoscaler, |s| s.current_metrics.as_deref()).unwrap_or_default().iter().filter_map(current) {
        metric.emit(samples);
    }
}

fn status_current_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(status(autoscaler, |s| s.current_replicas), samples);
}

fn status_desired_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(status(autoscaler, |s| Some(s.desired_replicas)), samples);
}

fn status_condition(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    for condition in status(autoscaler, |s| s.conditions.as_deref()).unwrap_or_default() {
        for (status, value) in condition_states(&condition.status) {
            samples.sample(&[("condition", &condition.type_), ("status", status)], value);
        }
    }
}

fn status<'a, T>(
    autoscaler: &'a HorizontalPodAutoscaler,
    field: fn(&'a HorizontalPodAutoscalerStatus) -> Option<T>,
) -> Option<T> {
    autoscaler.status.as_ref().and_then(field)
}

fn tolerance(
    autoscaler: &HorizontalPodAutoscaler,
    direction: fn(&HorizontalPodAutoscalerBehavior) -> Option<&HPAScalingRules>,
    samples: &mut Samples,
) {
    let rules = autoscaler.spec.behavior.as_ref().and_then(direction);
    if let Some(tolerance) = rules.and_then(|r| r.tolerance.as_ref()).and_then(|q| Amount::parse(&q.0)) {
        samples.sample(&[], tolerance.approximate());
    }
}

/// A metric with its current or target values.
struct Metric<'a> {
    name: &'a str,
    container: &'a str,
    value: Option<&'a Quantity>,
    utilization: Option<i32>,
    average: Option<&'a Quantity>,
}

impl<'a> Metric<'a> {
    fn target(name: &'a str, container: &'a str, target: &'a MetricTarget) -> Self {
        let MetricTarget { value, average_utilization, average_value, .. } = target;
        Self {
            name,
            container,
            value: value.as_ref(),
            utilization: *average_utilization,
            average: average_value.as_ref(),
        }
    }

    fn current(name: &'a str, container: &'a str, current: &'a MetricValueStatus) -> Self {
        let MetricValueStatus { value, average_utilization, average_value } = current;
        Self {
            name,
            container,
            value: value.as_ref(),
            utilization: *average_utilization,
            average: average_value.as_ref(),
        }
    }

    fn emit(&self, samples: &mut Samples) {
        let number = |quantity: Option<&Quantity>| quantity.and_then(|q| quantity::to_f64(&q.0));
        let values = [
            ("value", number(self.value)),
            ("utilization", self.utilization.map(f64::from)),
            ("average", number(self.average)),
        ];
        for (kind, value) in values {
            if let Some(value) = value {
                let labels = [("metric_name", self.name), ("metric_target_type", kind), ("container", self.container)];
                samples.sample(&labels, value);
            }
        }
    }
}

/// Returns the target of a metric in the spec. `None` if the type is unknown, or if its field is missing.
fn target(metric: &MetricSpec) -> Option<Metric<'_>> {
    match metric.type_.as_str() {
        "Object" => metric.object.as_ref().map(|m| Metric::target(&m.metric.name, "", &m.target)),
        "Pods" => metric.pods.as_ref().map(|m| Metric::target(&m.metric.name, "", &m.target)),
        "External" => metric.external.as_ref().map(|m| Metric::target(&m.metric.name, "", &m.target)),
        "Resource" => metric.resource.as_ref().map(|m| Metric::target(&m.name, "", &m.target)),
        "ContainerResource" => {
            metric.container_resource.as_ref().map(|m| Metric::target(&m.name, &m.container, &m.target))
        }
        _ => None,
    }
}

/// Returns the current state of a metric, in the same way.
fn current(metric: &MetricStatus) -> Option<Metric<'_>> {
    match metric.type_.as_str() {
        "Object" => metric.object.as_ref().map(|m| Metric::current(&m.metric.name, "", &m.current)),
        "Pods" => metric.pods.as_ref().map(|m| Metric::current(&m.metric.name, "", &m.current)),
        "External" => metric.external.as_ref().map(|m| Metric::current(&m.metric.name, "", &m.current)),
        "Resource" => metric.resource.as_ref().map(|m| Metric::current(&m.name, "", &m.current)),
        "ContainerResource" => {
            metric.container_resource.as_ref().map(|m| Metric::current(&m.name, &m.container, &m.current))
        }
        _ => None,
    }
}
