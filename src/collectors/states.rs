//! What is one of several states: a series each, 1 for the one that it is.

use super::common::{bool_value, condition_states};
use crate::exposition::Samples;

/// One series a state, with the state as the value of `label`: 1 for the `current` one, else 0. Nothing without one.
pub fn one_of(label: &str, states: &[&str], current: &str, samples: &mut Samples) {
    if current.is_empty() {
        return;
    }
    for state in states {
        samples.sample(&[(label, state)], bool_value(*state == current));
    }
}

/// Three series a condition, of which types and statuses are given.
pub fn conditions<'a>(conditions: impl IntoIterator<Item = (&'a str, &'a str)>, samples: &mut Samples) {
    for (condition, status) in conditions {
        for (state, value) in condition_states(status) {
            samples.sample(&[("condition", condition), ("status", state)], value);
        }
    }
}
