//! The fields of an object whose type nobody knows beforehand, borrowed from its text where they can be.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mask::{Mask, Places};
use crate::exposition::write_number;

/// A field, as JSON has them. Whole numbers are told from others as Go's client does: what an `i64` holds is one.
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
    /// The field of this name; none if it is `null` or this is no map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        let at = fields.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
        fields[at].1.present()
    }

    /// This, unless it is `null`.
    pub fn present(&self) -> Option<&Self> {
        (*self != Self::Null).then_some(self)
    }

    /// What kind of value it is, for messages.
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

    /// The value of a label: a string as it is, anything else as Go's `fmt` prints it with `%v`.
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

    fn map(mut fields: Vec<(Cow<'a, str>, Self)>) -> Self {
        // The sort is stable: of fields with one name the last counts, as in Go.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.reverse();
        fields.dedup_by(|(a, _), (b, _)| a == b);
        fields.reverse();
        Self::Map(fields)
    }
}

/// Reads what is needed of an object; the rest is skipped.
#[derive(Clone, Copy)]
pub(super) struct Read<'m> {
    pub mask: &'m Mask,
    /// Which places of the mask this value is at; none for all of it.
    pub at: Option<&'m Places>,
}

impl Read<'_> {
    fn at<'s>(&'s self, at: &'s Option<Places>) -> Read<'s> {
        Read { mask: self.mask, at: at.as_ref() }
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // All items are at the same places.
        let places = match self.at {
            None => None,
            Some(at) => match self.mask.item(at) {
                Some(places) => places.into_narrow(),
                None => {
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Value::List(Vec::new()));
                }
            },
        };
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(64));
        while let Some(item) = items.next_element_seed(self.at(&places))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(Key(key)) = fields.next_key()? {
            let places = match self.at {
                None => None,
                Some(at) => match self.mask.field(at, &key) {
                    Some(places) => places.into_narrow(),
                    None => {
                        fields.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            let value = fields.next_value_seed(self.at(&places))?;
            map.push((key, value));
        }
        Ok(Value::map(map))
    }
}

/// A key, borrowed where it has no escapes; `Cow` by itself never borrows.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
