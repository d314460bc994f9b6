//! Features for the status page: each setting that is not at its default, with its value in a few words.

use std::time::Duration;

/// A flag without dashes, and its value in a few words: empty if it is simply on.
pub type Feature = (&'static str, String);

/// How many items of a list are named.
const NAMED: usize = 5;

/// A switch that is off by default.
pub(super) fn on(is_on: bool) -> Option<String> {
    is_on.then(String::new)
}

/// A switch that is on by default.
pub(super) fn off(is_on: bool) -> Option<String> {
    (!is_on).then(|| "off".to_owned())
}

/// A duration that is zero by default.
pub(super) fn seconds(duration: Duration) -> Option<String> {
    (!duration.is_zero()).then(|| format!("{} s", duration.as_secs_f64()))
}

/// A limit, 0 for none.
pub(super) fn limit(limit: u64) -> Option<String> {
    (limit > 0).then(|| limit.to_string())
}

/// How many there are of `noun`.
pub(super) fn count(number: usize, noun: &str) -> Option<String> {
    (number > 0).then(|| format!("{number} {noun}{}", if number == 1 { "" } else { "s" }))
}

/// The first few items, and how many more there are.
pub(super) fn names<'a>(items: impl IntoIterator<Item = &'a String, IntoIter: ExactSizeIterator>) -> Option<String> {
    let items = items.into_iter();
    let more = items.len().saturating_sub(NAMED);
    let named: Vec<_> = items.take(NAMED).map(String::as_str).collect();
    match more {
        _ if named.is_empty() => None,
        0 => Some(named.join(", ")),
        more => Some(format!("{} and {more} more", named.join(", "))),
    }
}
