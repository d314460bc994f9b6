//! State sets: one series per state, 1 for the current state.

use super::common::{bool_value, condition_states};
use crate::exposition::Samples;

/// Emits one series per state, with the state as the value of `label`: 1 for the `current` state, otherwise 0. Emits nothing if
/// `current` is empty.
pub fn one_of(label: &str, states: &[&str], current: &str, samples: &mut Samples) {
    if current.is_empty() {
        return;
    }
    for state in states {
        samples.sample(&[(label, state)], bool_value(*state == current));
    }
}

/// Emits three series per condition, given as pairs of type and status.
pub fn conditions<'a>(conditions: impl IntoIterator<Item = (&'a str, &'a str)>, samples: &mut Samples) {
    for (condition, status) in conditions {
        for (state, value) in condition_states(status) {
            samples.sample(&[("condition", condition), ("status", state)], value);
        }
    }
}
