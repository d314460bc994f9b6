//! HorizontalPodAutoscalers, `autoscaling/v2`.
//!
//! Upstream: <https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/horizontalpodautoscaler-metrics.md>

use std::sync::LazyLock;

use super::common::{condition_states, integer_or_zero, name, namespace, text};
use super::objects::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, LabelSelector, MetricIdentifier, MetricSpec,
    MetricStatus, MetricTarget, MetricValueStatus, Quantity,
};
use super::quantity::{self, Amount};
use super::selector;
use super::table::{Api, Family, Identity, Resource};
use crate::exposition::Samples;

/// The resource `horizontalpodautoscalers`.
pub struct HorizontalPodAutoscalers;

impl Resource for HorizontalPodAutoscalers {
    type Object<'a> = HorizontalPodAutoscaler<'a>;
    const API: Api = Api::namespaced("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers");
    const FAMILIES: &'static [Family<Self>] = &[
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_info",
            "Target that the HorizontalPodAutoscaler scales, as labels.",
            info,
        ),
        Family::generation("kube_horizontalpodautoscaler_metadata_generation").stable(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_spec_max_replicas",
            "Upper limit for the number of Pods.",
            spec_max_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_spec_min_replicas",
            "Lower limit for the number of Pods.",
            spec_min_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_spec_target_metric",
            "Target value of a metric.",
            spec_target_metric,
        ),
        Family::<Self>::gauge(
            "kube_state_fleet_horizontalpodautoscaler_spec_target_metric",
            "Target value of a metric, with labels that tell apart metrics of one name.",
            exact_spec_target_metric,
        )
        .opt_in(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_spec_behavior_scale_down_tolerance",
            "Relative deviation from the target below which no Pods are removed.",
            spec_behavior_scale_down_tolerance,
        ),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_spec_behavior_scale_up_tolerance",
            "Relative deviation from the target below which no Pods are added.",
            spec_behavior_scale_up_tolerance,
        ),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_status_target_metric",
            "Current value of a metric.",
            status_target_metric,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_state_fleet_horizontalpodautoscaler_status_target_metric",
            "Current value of a metric, with labels that tell apart metrics of one name.",
            exact_status_target_metric,
        )
        .opt_in(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_status_current_replicas",
            "Number of Pods that the target has.",
            status_current_replicas,
        )
        .stable(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_status_desired_replicas",
            "Number of Pods that the autoscaler last computed for the target.",
            status_desired_replicas,
        )
        .stable(),
        Family::annotations("kube_horizontalpodautoscaler_annotations"),
        Family::labels("kube_horizontalpodautoscaler_labels").stable(),
        Family::<Self>::gauge(
            "kube_horizontalpodautoscaler_status_condition",
            "Whether a condition of the HorizontalPodAutoscaler has this status.",
            status_condition,
        )
        .stable(),
        Family::created("kube_horizontalpodautoscaler_created"),
        Family::deletion_timestamp("kube_horizontalpodautoscaler_deletion_timestamp"),
    ];

    fn identity<'o>(autoscaler: &'o HorizontalPodAutoscaler<'_>) -> Identity<'o> {
        vec![("namespace", namespace(autoscaler)), ("horizontalpodautoscaler", name(autoscaler))]
    }
}

fn info(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    let target = &spec(autoscaler).scale_target_ref;
    let labels = [
        ("scaletargetref_api_version", target.api_version.as_deref().unwrap_or_default()),
        ("scaletargetref_kind", &target.kind),
        ("scaletargetref_name", &target.name),
    ];
    let from = usize::from(labels[0].1.is_empty());
    samples.sample(&labels[from..], 1.0);
}

fn spec_max_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(Some(spec(autoscaler).max_replicas), samples);
}

fn spec_min_replicas(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    integer_or_zero(Some(spec(autoscaler).min_replicas.unwrap_or(1)), samples);
}

fn spec_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    targets(autoscaler).for_each(|metric| metric.emit(samples));
}

fn exact_spec_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    targets(autoscaler).for_each(|metric| metric.emit_exact(samples));
}

fn spec_behavior_scale_down_tolerance(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    tolerance(autoscaler, |b| b.scale_down.as_ref(), samples);
}

fn spec_behavior_scale_up_tolerance(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    tolerance(autoscaler, |b| b.scale_up.as_ref(), samples);
}

fn status_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    currents(autoscaler).for_each(|metric| metric.emit(samples));
}

fn exact_status_target_metric(autoscaler: &HorizontalPodAutoscaler, samples: &mut Samples) {
    currents(autoscaler).for_each(|metric| metric.emit_exact(samples));
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

static NO_SPEC: LazyLock<HorizontalPodAutoscalerSpec<'static>> = LazyLock::new(HorizontalPodAutoscalerSpec::default);

fn spec<'a>(autoscaler: &'a HorizontalPodAutoscaler<'a>) -> &'a HorizontalPodAutoscalerSpec<'a> {
    autoscaler.spec.as_ref().unwrap_or_else(|| &NO_SPEC)
}

fn status<'a, T>(
    autoscaler: &'a HorizontalPodAutoscaler<'a>,
    field: fn(&'a HorizontalPodAutoscalerStatus<'a>) -> Option<T>,
) -> Option<T> {
    autoscaler.status.as_ref().and_then(field)
}

fn tolerance(
    autoscaler: &HorizontalPodAutoscaler,
    direction: for<'a> fn(&'a HorizontalPodAutoscalerBehavior<'a>) -> Option<&'a HPAScalingRules<'a>>,
    samples: &mut Samples,
) {
    let rules = spec(autoscaler).behavior.as_ref().and_then(direction);
    if let Some(tolerance) = rules.and_then(|r| r.tolerance.as_ref()).and_then(|q| Amount::parse(&q.0)) {
        samples.sample(&[], tolerance.approximate());
    }
}

/// A metric with its current or target values.
struct Metric<'a> {
    /// The type of the source: `Object`, `Pods`, `External`, `Resource` or `ContainerResource`.
    source: &'a str,
    name: &'a str,
    selector: Option<&'a LabelSelector<'a>>,
    container: &'a str,
    /// The object that the metric describes.
    object: Option<&'a CrossVersionObjectReference<'a>>,
    values: Values<'a>,
}

struct Values<'a> {
    value: Option<&'a Quantity<'a>>,
    utilization: Option<i32>,
    average: Option<&'a Quantity<'a>>,
}

impl<'a> From<&'a MetricTarget<'a>> for Values<'a> {
    fn from(MetricTarget { value, average_utilization, average_value, .. }: &'a MetricTarget<'a>) -> Self {
        Self { value: value.as_ref(), utilization: *average_utilization, average: average_value.as_ref() }
    }
}

impl<'a> From<&'a MetricValueStatus<'a>> for Values<'a> {
    fn from(MetricValueStatus { value, average_utilization, average_value }: &'a MetricValueStatus<'a>) -> Self {
        Self { value: value.as_ref(), utilization: *average_utilization, average: average_value.as_ref() }
    }
}

impl<'a> Metric<'a> {
    /// A metric of the resources of Pods.
    fn resource(source: &'a str, name: &'a str, container: &'a str, values: impl Into<Values<'a>>) -> Self {
        Self { source, name, selector: None, container, object: None, values: values.into() }
    }

    /// A metric of a metrics API.
    fn custom(source: &'a str, metric: &'a MetricIdentifier<'a>, values: impl Into<Values<'a>>) -> Self {
        let MetricIdentifier { name, selector } = metric;
        Self { source, name, selector: selector.as_ref(), container: "", object: None, values: values.into() }
    }

    fn of(self, object: &'a CrossVersionObjectReference<'a>) -> Self {
        Self { object: Some(object), ..self }
    }

    /// The values that are set, each with its kind.
    fn values(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let number = |quantity: Option<&Quantity<'_>>| quantity.and_then(|q| quantity::to_f64(&q.0));
        let Values { value, utilization, average } = self.values;
        [("value", number(value)), ("utilization", utilization.map(f64::from)), ("average", number(average))]
            .into_iter()
            .filter_map(|(kind, value)| Some((kind, value?)))
    }

    fn emit(&self, samples: &mut Samples) {
        for (kind, value) in self.values() {
            let labels = [("metric_name", self.name), ("metric_target_type", kind), ("container", self.container)];
            samples.sample(&labels, value);
        }
    }

    /// As [`Metric::emit`], with labels that tell apart metrics of one name.
    fn emit_exact(&self, samples: &mut Samples) {
        let selector = selector::to_text(self.selector);
        let (api_version, object_kind, object_name) =
            self.object.map_or(("", "", ""), |object| (text(&object.api_version), &object.kind, &object.name));
        for (kind, value) in self.values() {
            let labels = [
                ("metric_source_type", self.source),
                ("metric_name", self.name),
                ("metric_selector", &selector),
                ("metric_target_type", kind),
                ("container", self.container),
                ("describedobject_api_version", api_version),
                ("describedobject_kind", object_kind),
                ("describedobject_name", object_name),
            ];
            samples.sample(&labels, value);
        }
    }
}

/// Returns the metrics of the spec with their targets, without those of an unknown type or without the field of their type.
fn targets<'a>(autoscaler: &'a HorizontalPodAutoscaler<'a>) -> impl Iterator<Item = Metric<'a>> {
    spec(autoscaler).metrics.iter().flatten().filter_map(target)
}

fn target<'a>(metric: &'a MetricSpec<'a>) -> Option<Metric<'a>> {
    let source = &*metric.type_;
    match source {
        "Object" => {
            metric.object.as_ref().map(|m| Metric::custom(source, &m.metric, &m.target).of(&m.described_object))
        }
        "Pods" => metric.pods.as_ref().map(|m| Metric::custom(source, &m.metric, &m.target)),
        "External" => metric.external.as_ref().map(|m| Metric::custom(source, &m.metric, &m.target)),
        "Resource" => metric.resource.as_ref().map(|m| Metric::resource(source, &m.name, "", &m.target)),
        "ContainerResource" => {
            metric.container_resource.as_ref().map(|m| Metric::resource(source, &m.name, &m.container, &m.target))
        }
        _ => None,
    }
}

/// Returns the metrics of the status with their current values, in the same way.
fn currents<'a>(autoscaler: &'a HorizontalPodAutoscaler<'a>) -> impl Iterator<Item = Metric<'a>> {
    autoscaler.status.iter().flat_map(|status| &status.current_metrics).filter_map(current)
}

fn current<'a>(metric: &'a MetricStatus<'a>) -> Option<Metric<'a>> {
    let source = &*metric.type_;
    match source {
        "Object" => {
            metric.object.as_ref().map(|m| Metric::custom(source, &m.metric, &m.current).of(&m.described_object))
        }
        "Pods" => metric.pods.as_ref().map(|m| Metric::custom(source, &m.metric, &m.current)),
        "External" => metric.external.as_ref().map(|m| Metric::custom(source, &m.metric, &m.current)),
        "Resource" => metric.resource.as_ref().map(|m| Metric::resource(source, &m.name, "", &m.current)),
        "ContainerResource" => {
            metric.container_resource.as_ref().map(|m| Metric::resource(source, &m.name, &m.container, &m.current))
        }
        _ => None,
    }
}
