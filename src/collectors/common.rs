//! Series that many kinds have: creation, deletion, versions, owners, conditions.
//!
//! kube-state-metrics reads Go structs, in which a missing number is 0 and a missing text is empty, while a missing pointer
//! prints nothing. Hence the helpers `*_or_zero` and `*_if_set`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::objects::{IntOrString, Object, OwnerReference, WebhookClientConfig};
use super::time::seconds;
use crate::exposition::Samples;

/// Go's zero time, in year 1. Upstream prints it for a missing time that it does not check for.
pub const ZERO_TIME: i64 = -62_135_596_800;

/// Returns the name of the object, or an empty text.
pub fn name<'o, 'a: 'o>(object: &'o impl Object<'a>) -> &'o str {
    object.metadata().name.as_deref().unwrap_or_default()
}

/// Returns the namespace of the object, or an empty text.
pub fn namespace<'o, 'a: 'o>(object: &'o impl Object<'a>) -> &'o str {
    object.metadata().namespace.as_deref().unwrap_or_default()
}

/// Returns a text, or an empty one.
pub fn text<'o>(value: &'o Option<Cow<'_, str>>) -> &'o str {
    value.as_deref().unwrap_or_default()
}

/// Emits the creation time, if it is set.
pub fn created<'a>(object: &impl Object<'a>, samples: &mut Samples) {
    time_if_set(object.metadata().creation_timestamp.as_ref().map(|t| t.0), samples);
}

/// Emits the time of the request to delete the object, if there was one.
pub fn deletion_timestamp<'a>(object: &impl Object<'a>, samples: &mut Samples) {
    time_if_set(object.metadata().deletion_timestamp.as_ref().map(|t| t.0), samples);
}

/// Emits the resourceVersion, if it is a number.
pub fn metadata_resource_version<'a>(object: &impl Object<'a>, samples: &mut Samples) {
    if let Some(version) = object.metadata().resource_version.as_deref().and_then(|v| v.parse().ok()) {
        samples.sample(&[], version);
    }
}

/// Emits the generation of the desired state, or 0.
pub fn metadata_generation<'a>(object: &impl Object<'a>, samples: &mut Samples) {
    integer_or_zero(object.metadata().generation, samples);
}

/// Emits one series per owner, with its kind, its name and whether it is the controller. Without owners: one series with empty labels.
pub fn owner<'a>(object: &impl Object<'a>, samples: &mut Samples) {
    for (owner_kind, owner_name, owner_is_controller) in owners(object) {
        let labels =
            [("owner_kind", owner_kind), ("owner_name", owner_name), ("owner_is_controller", owner_is_controller)];
        samples.sample(&labels, 1.0);
    }
}

/// Returns kind, name and `true` or `false` for controller of each owner. Without owners: three empty texts.
pub fn owners<'o, 'a: 'o>(object: &'o impl Object<'a>) -> impl Iterator<Item = (&'o str, &'o str, &'static str)> {
    let owners: &[OwnerReference<'_>] = object.metadata().owner_references.as_deref().unwrap_or_default();
    let nobody = owners.is_empty().then_some(("", "", ""));
    owners.iter().map(|o| (&*o.kind, &*o.name, boolean(o.controller == Some(true)))).chain(nobody)
}

/// Returns `true` or `false`.
pub fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Returns Unix seconds, rounded down.
pub fn unix(time: Timestamp) -> f64 {
    seconds(time) as f64
}

/// Returns whether this is Go's zero time, which upstream treats as missing in metadata and Leases.
pub fn is_zero(time: Timestamp) -> bool {
    time.as_second() == ZERO_TIME && time.subsec_nanosecond() == 0
}

/// Emits a time that upstream compares with nil only, so that the zero time is printed.
pub fn time_if_present(time: Option<Timestamp>, samples: &mut Samples) {
    if let Some(time) = time {
        samples.sample(&[], unix(time));
    }
}

/// Emits a time, unless it is missing or the zero time.
pub fn time_if_set(time: Option<Timestamp>, samples: &mut Samples) {
    if let Some(time) = time.filter(|time| !is_zero(*time)) {
        samples.sample(&[], unix(time));
    }
}

/// Emits a number, if it is set.
pub fn integer_if_set(value: Option<impl Into<i64>>, samples: &mut Samples) {
    if let Some(value) = value {
        samples.sample(&[], value.into() as f64);
    }
}

/// Emits a number, or 0.
pub fn integer_or_zero(value: Option<impl Into<i64>>, samples: &mut Samples) {
    samples.sample(&[], value.map_or(0, Into::into) as f64);
}

/// Emits 1 or 0, if the value is set.
pub fn bool_if_set(value: Option<bool>, samples: &mut Samples) {
    if let Some(value) = value {
        samples.sample(&[], bool_value(value));
    }
}

/// Returns 1 or 0.
pub fn bool_value(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The statuses of a condition, in the spelling of objects and of series.
const CONDITION_STATUSES: [(&str, &str); 3] = [("True", "true"), ("False", "false"), ("Unknown", "unknown")];

/// Returns the three states of a condition: the label value, and 1 for the state that equals `status`, otherwise 0.
pub fn condition_states(status: &str) -> impl Iterator<Item = (&'static str, f64)> {
    CONDITION_STATUSES.into_iter().map(move |(spelled, label)| (label, bool_value(spelled == status)))
}

/// Returns a number or a percentage of `total`, rounded to a whole number. `None` if it is invalid.
///
/// Follows `GetScaledValueFromIntOrPercent` of apimachinery: a percentage is a whole number and `%`.
pub fn scaled(value: &IntOrString<'_>, total: i32, round_up: bool) -> Option<f64> {
    match value {
        IntOrString::Int(value) => Some(f64::from(*value)),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let exact = percent as f64 * f64::from(total) / 100.0;
            // Adding zero turns a negative zero into a positive one, because the result is an integer in Go.
            Some(if round_up { exact.ceil() } else { exact.floor() } + 0.0)
        }
    }
}

/// Returns the Service that a webhook of an admission configuration calls; empty labels if it calls a URL.
pub fn webhook_service(webhook: &str, client: &WebhookClientConfig<'_>, samples: &mut Samples) {
    let (name, namespace) = client.service.as_ref().map_or(("", ""), |s| (&*s.name, &*s.namespace));
    samples.sample(&[("webhook_name", webhook), ("service_name", name), ("service_namespace", namespace)], 1.0);
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_as_asked() {
        let percent = |text: &'static str| IntOrString::String(text.into());
        assert_eq!(scaled(&percent("25%"), 3, true), Some(1.0));
        assert_eq!(scaled(&percent("25%"), 3, false), Some(0.0));
        assert_eq!(scaled(&percent("-25%"), 3, true).map(f64::to_bits), Some(0));
        assert_eq!(scaled(&IntOrString::Int(7), 3, false), Some(7.0));
        for text in ["", "%", "25", "2.5%", "http", " 5%"] {
            assert_eq!(scaled(&percent(text), 3, true), None);
        }
    }

    #[test]
    fn seconds_are_rounded_down_before_1970_too() {
        let time = |text: &str| unix(text.parse().expect("the text is a time"));
        assert_eq!(time("1970-01-01T00:00:01.9Z"), 1.0);
        assert_eq!(time("1969-12-31T23:59:58.1Z"), -2.0);
        assert_eq!(time("0001-01-01T00:00:00Z"), ZERO_TIME as f64);
    }
}
