//! Selectors of the API server, by resource: `--resource-selector`, `--resource-field-selector`, `--namespace-selector`.
//!
//! The API server applies them. This module parses them first, so that a mistake is found at the start, and evaluates them only
//! for objects that come from files.

mod fields;
mod labels;
mod lists;

pub use fields::FieldSelector;
pub use labels::LabelSelector;
pub use lists::Selections;

pub(super) use fields::escaped;
pub(super) use lists::{namespace_selector, selections};

/// Why a selector is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The byte of the text where it is.
    pub at: usize,
    /// The mistake.
    pub reason: String,
}

impl Problem {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}

/// The values of an object that selectors look at.
pub trait Selectable {
    /// Returns the value of a label.
    fn label(&self, key: &str) -> Option<&str>;

    /// Returns the value of a field as text, by its path: `spec.nodeName`. Empty if it is not set.
    fn field(&self, path: &str) -> String;
}
