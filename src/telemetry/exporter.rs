//! The registry of one replica's self-metrics.

use std::time::Duration;

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::metrics::{MetricSources, ReplicaCollector};
use super::process::ProcessCollector;
use super::text;
use crate::exposition::Format;

/// Labels of a request's duration.
type RequestLabels = [(&'static str, &'static str); 2];

/// Upper bounds of the buckets of request durations in seconds: the defaults of upstream's Go client, so that quantiles of
/// both can be compared.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug)]
struct NewHistogram;

impl MetricConstructor<Histogram> for NewHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The self-metrics of one replica.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, NewHistogram>,
}

impl Telemetry {
    /// The self-metrics read from `sources`, and those of this process.
    pub fn new(sources: MetricSources) -> Self {
        let mut registry = Registry::default();
        let requests = Family::new_with_constructor(NewHistogram);
        registry.register(
            "http_request_duration_seconds",
            "Duration of requests in seconds, until the last byte is handed to the connection",
            requests.clone(),
        );
        registry.register_collector(Box::new(ReplicaCollector(sources)));
        registry.register_collector(Box::new(ProcessCollector::new()));
        Self { registry, requests }
    }

    /// Records the duration of an answered request.
    pub fn observe_request(&self, handler: &'static str, method: &'static str, took: Duration) {
        self.requests.get_or_create(&[("handler", handler), ("method", method)]).observe(took.as_secs_f64());
    }

    /// Returns the current self-metrics as text.
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail, and the collectors only pass on errors of the writer.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Text => text::from_open_metrics(&text),
        }
    }
}
