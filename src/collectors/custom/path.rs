//! Paths into an object: fields, indices and lookups, in the notation of a CustomResourceStateMetrics config.
//!
//! The rules are those of kube-state-metrics (`docs/metrics/extend/customresourcestate-metrics.md`, "Path Syntax").

use std::fmt;

use super::number;
use super::value::Value;
use crate::go::parse_bool;

/// A part of a path is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid path element {0:?}: write a lookup in a list as [key=value]")]
pub struct PathError(String);

/// A path. The empty path is its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(Vec<Step>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The field of a map, or the item of a list if the name is a number.
    Field {
        name: String,
        /// For `key=value`: use the field `key` if it equals this string.
        equals: Option<(String, String)>,
    },
    /// `[key=value]`: the first map in a list whose field `key` equals this string, number or boolean.
    Find { key: String, text: String, number: Option<f64>, boolean: Option<bool> },
}

impl Path {
    /// Parses a path from its parts.
    ///
    /// # Errors
    /// A part is in brackets but has no `=`.
    pub fn new<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> Result<Self, PathError> {
        parts.into_iter().map(|part| Step::new(part.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns the value at the path. `None` if it is `null`, or if a step is missing or has another type.
    pub fn get<'v, 'a>(&self, from: Option<&'v Value<'a>>) -> Option<&'v Value<'a>> {
        self.0.iter().try_fold(from?.present()?, |value, step| step.get(value))
    }

    /// Returns the path of the first `steps` steps.
    pub(super) fn beginning(&self, steps: usize) -> Self {
        Self(self.0.iter().take(steps).cloned().collect())
    }

    /// Returns the name of the field if the path is only this field, and if the name cannot stand for a longer path.
    pub(super) fn only_field(&self) -> Option<String> {
        match self.0.as_slice() {
            [step] => Some(step.to_string()).filter(|name| !name.is_empty() && !name.contains(',')),
            _ => None,
        }
    }
}

impl Step {
    pub(super) fn new(part: &str) -> Result<Self, PathError> {
        let Some(inner) = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            let equals = part.split_once('=').filter(|(_, value)| !value.contains('='));
            let equals = equals.map(|(key, value)| (key.to_owned(), value.to_owned()));
            return Ok(Self::Field { name: part.to_owned(), equals });
        };
        let (key, text) = inner.split_once('=').ok_or_else(|| PathError(part.to_owned()))?;
        Ok(Self::Find {
            key: key.to_owned(),
            // NaN equals nothing, and would make equal paths differ.
            number: number::of_text(text).filter(|number| !number.is_nan()),
            boolean: parse_bool(text).ok(),
            text: text.to_owned(),
        })
    }

    /// Whether it can only be a field of a map.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Self::Field { name, .. } if name.parse::<i64>().is_err())
    }

    /// Returns the value at the step.
    pub(super) fn get<'v, 'a>(&self, value: &'v Value<'a>) -> Option<&'v Value<'a>> {
        match (self, value) {
            (Self::Field { name, equals }, Value::Map(_)) => {
                let equal = equals.as_ref().and_then(|(key, text)| value.get(key).filter(|v| is_text(v, text)));
                equal.or_else(|| value.get(name))
            }
            (Self::Field { name, .. }, Value::List(items)) => {
                let index: i64 = name.parse().ok()?;
                // Negative indices count from the end.
                let index = if index < 0 { index.checked_add(i64::try_from(items.len()).ok()?)? } else { index };
                items.get(usize::try_from(index).ok()?)?.present()
            }
            (Self::Find { key, .. }, Value::List(items)) => {
                items.iter().find(|item| item.get(key).is_some_and(|candidate| self.finds(candidate)))
            }
            _ => None,
        }
    }

    /// Returns whether a lookup matches a map with this field.
    fn finds(&self, candidate: &Value<'_>) -> bool {
        let Self::Find { text, number, boolean, .. } = self else { return false };
        is_text(candidate, text)
            || number.is_some_and(|number| number::of(candidate).is_ok_and(|value| value == number))
            || boolean.is_some_and(|boolean| *candidate == Value::Bool(boolean))
    }
}

fn is_text(value: &Value<'_>, text: &str) -> bool {
    matches!(value, Value::Text(value) if value == text)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { name, .. } => f.write_str(name),
            Self::Find { key, text, .. } => write!(f, "[{key}={text}]"),
        }
    }
}

/// In the notation of a config.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, step) in self.0.iter().enumerate() {
            write!(f, "{}{step}", if index > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}
