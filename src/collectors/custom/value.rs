//! The fields of an object without a known type, borrowed from its text if possible.

use std::borrow::Cow;
use std::fmt::Write;

use crate::exposition::write_number;

/// A JSON value. Like Go's client, it treats numbers that fit into an `i64` as integers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object, sorted by its keys.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Returns the field of this name. `None` if it is `null`, or if this is not a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        let at = fields.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
        fields[at].1.present()
    }

    /// Returns the value, unless it is `null`.
    pub fn present(&self) -> Option<&Self> {
        (*self != Self::Null).then_some(self)
    }

    /// Returns the type of the value, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// Returns the value for a label: a string unchanged, others as Go prints them with `%v`.
    pub fn label(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            other => {
                let mut out = String::new();
                other.print(&mut out);
                Cow::Owned(out)
            }
        }
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("<nil>"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            // Writing to a String cannot fail.
            Self::Int(value) => drop(write!(out, "{value}")),
            Self::Float(value) => {
                let mut digits = Vec::new();
                write_number(&mut digits, *value);
                out.extend(digits.into_iter().map(char::from));
            }
            Self::Text(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    item.print(out);
                }
                out.push(']');
            }
            Self::Map(fields) => {
                out.push_str("map[");
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    out.push_str(key);
                    out.push(':');
                    value.print(out);
                }
                out.push(']');
            }
        }
    }

    /// Returns the map with these fields in place of its own ones of the same names. Other values have no fields.
    pub(super) fn with(self, fields: &[(&'static str, &'a str)]) -> Self {
        match self {
            Self::Map(mut own) if !fields.is_empty() => {
                own.extend(
                    fields.iter().map(|(name, value)| (Cow::Borrowed(*name), Self::Text(Cow::Borrowed(*value)))),
                );
                Self::map(own)
            }
            value => value,
        }
    }

    /// Returns a map of `fields`, in any order.
    pub(super) fn map(mut fields: Vec<(Cow<'a, str>, Self)>) -> Self {
        // The sort is stable: of fields with the same name the last counts, as in Go.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.reverse();
        fields.dedup_by(|(a, _), (b, _)| a == b);
        fields.reverse();
        Self::Map(fields)
    }
}
