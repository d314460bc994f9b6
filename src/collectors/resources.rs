//! Named resources with quantities (`cpu: 100m`): which ones to show, under which names and in which units.

use super::label_names::sanitise;
use super::objects::{Map, Quantity};
use super::quantity::Amount;

/// Quantities by resource name, as in specs and statuses.
pub type ResourceList<'a> = Option<Map<'a, Quantity<'a>>>;

/// The unit of `cpu`.
pub const CORE: &str = "core";
const BYTE: &str = "byte";
const INTEGER: &str = "integer";

/// Calls `emit` with the sanitized name, the unit and the amount of each resource that has a unit.
pub fn each_with_unit(list: &ResourceList<'_>, mut emit: impl FnMut(&str, &str, Amount)) {
    for (name, quantity) in list.iter().flatten() {
        let units = units(name);
        if units == [None, None] {
            continue;
        }
        let Some(amount) = Amount::parse(&quantity.0) else { continue };
        let name = sanitise(name);
        for unit in units.into_iter().flatten() {
            emit(&name, unit, amount);
        }
    }
}

/// As [`each_with_unit`], for amounts.
pub fn each_amount<'a>(amounts: impl IntoIterator<Item = (&'a str, Amount)>, mut emit: impl FnMut(&str, &str, Amount)) {
    for (name, amount) in amounts {
        for unit in units(name).into_iter().flatten() {
            emit(&sanitise(name), unit, amount);
        }
    }
}

/// Returns the number that upstream prints. NB: it shows only cores in thousandths, and rounds other amounts up to whole units.
pub fn in_unit(unit: &str, amount: Amount) -> f64 {
    if unit == CORE { amount.to_f64() } else { amount.value() as f64 }
}

/// Returns the units of a resource. NB: a name may match both huge pages and an extended resource; upstream then shows both.
fn units(name: &str) -> [Option<&'static str>; 2] {
    match name {
        "cpu" => [Some(CORE), None],
        "memory" | "storage" | "ephemeral-storage" => [Some(BYTE), None],
        _ => {
            let bytes = name.starts_with("hugepages-") || name.starts_with("attachable-volumes-");
            let extended = is_extended(name).then_some(INTEGER);
            if bytes { [Some(BYTE), extended] } else { [extended, None] }
        }
    }
}

/// Returns whether this is an extended resource: `domain/name`, added by a device plugin or an administrator.
fn is_extended(name: &str) -> bool {
    let Some((domain, rest)) = name.split_once('/') else { return false };
    // Upstream validates the name with the quota prefix `requests.`, which counts towards the length.
    !name.contains("kubernetes.io/")
        && !name.starts_with("requests.")
        && domain.len() <= 253 - "requests.".len()
        && domain.split('.').all(is_dns_label)
        && rest.len() <= 63
        && is_within(rest, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

fn is_dns_label(label: &str) -> bool {
    is_within(label, |b| b.is_ascii_lowercase() || b.is_ascii_digit(), |b| b == b'-')
}

/// Returns whether `text` has `outer` characters at both ends and `outer` or `inner` characters between.
fn is_within(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| outer(*b))
        && bytes.last().is_some_and(|b| outer(*b))
        && bytes.iter().all(|b| outer(*b) || inner(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_shown_in_its_unit() {
        for (name, expected) in [
            ("cpu", Some(CORE)),
            ("memory", Some(BYTE)),
            ("ephemeral-storage", Some(BYTE)),
            ("hugepages-2Mi", Some(BYTE)),
            ("attachable-volumes-aws-ebs", Some(BYTE)),
            ("nvidia.com/gpu", Some(INTEGER)),
            ("example.com/foo_bar", Some(INTEGER)),
            ("count/jobs.batch", Some(INTEGER)),
            ("pods", None),
            ("requests.cpu", None),
            ("requests.nvidia.com/gpu", None),
            ("x.kubernetes.io/y", None),
            ("Upper/x", None),
            ("a/b/c", None),
            ("/x", None),
            ("x/", None),
        ] {
            assert_eq!(units(name)[0], expected, "{name}");
        }
        assert_eq!(units("hugepages-a/b"), [Some(BYTE), Some(INTEGER)]);
    }
}
