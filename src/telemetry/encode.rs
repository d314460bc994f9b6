//! Writes one family of numbers.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Labels of one sample.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes a gauge; nothing if it has no samples.
pub(super) fn gauge<'a, N: EncodeGaugeValue>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, N)>,
) -> Result<(), Error> {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    samples.try_for_each(|(labels, value)| match labels.is_empty() {
        true => family.encode_gauge(&value),
        false => family.encode_family(&labels)?.encode_gauge(&value),
    })
}

/// Writes a counter. NB: the encoder appends `_total` to the name.
pub(super) fn counter<'a>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    samples.into_iter().try_for_each(|(labels, value)| match labels.is_empty() {
        true => family.encode_counter::<NoLabelSet, _, u64>(&value, None),
        false => family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None),
    })
}
