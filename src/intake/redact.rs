//! What of an object is kept when it is read from JSON, before its type is: a seed of the tree that remains.
//!
//! What is left out is handed to `IgnoredAny`, so it is stepped over and never becomes a value of this process. The types
//! of k8s-openapi are then read from the tree alone, whatever the text was: each of them is compiled once for each
//! deserializer that it is read from.
//!
//! Null is what Go makes of it, the zero value: of an entry that is to leave the entry out. API servers do send such nulls
//! (a list that was never set, a time that is zero), and the types take them for their optional fields alone.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::protobuf::LAST_APPLIED;
use crate::collectors::Form;

/// The part of the object at which a seed stands.
#[derive(Clone, Copy)]
enum Part {
    /// The whole, of which `type` is replaced by a printed one if there is one.
    Object(Form, bool),
    Metadata(Form),
    Annotations,
    /// Anything else, of which all is kept.
    Rest,
}

impl Part {
    /// What stands under `key`; nothing if it is not to be kept.
    fn under(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Object(form, _), "metadata") => Some(Self::Metadata(form)),
            (Self::Object(Form::Object, _) | Self::Object(Form::Table, false), _) if key == "type" => Some(Self::Rest),
            (Self::Object(Form::Object, _), _) => Some(Self::Rest),
            (Self::Object(Form::Metadata | Form::Table, _), _) => None,
            (Self::Metadata(_), "managedFields") => None,
            (Self::Metadata(Form::Metadata | Form::Table), "annotations") => Some(Self::Annotations),
            (Self::Annotations, LAST_APPLIED) => None,
            (Self::Metadata(_) | Self::Annotations | Self::Rest, _) => Some(Self::Rest),
        }
    }
}

/// The tree of an object that comes in `form`, or that would: only what that form holds is kept. `table_type` takes the
/// place of its own `type`.
pub(super) fn kept<'de, D: Deserializer<'de>>(
    object: D,
    form: Form,
    table_type: Option<&str>,
) -> Result<Value, D::Error> {
    let mut tree = Part::Object(form, table_type.is_some()).deserialize(object)?;
    if let (Some(printed), Form::Table, Value::Object(fields)) = (table_type, form, &mut tree) {
        fields.insert("type".to_owned(), printed.into());
    }
    Ok(tree)
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        self.deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::with_capacity(list.size_hint().unwrap_or_default().min(1024));
        while let Some(element) = list.next_element_seed(Self::Rest)? {
            elements.push(element);
        }
        // An element that is null is the zero of its siblings' type; with none to tell, there is nothing to be read of it.
        if let Some(zero) = elements.iter().find_map(zero_of) {
            elements.iter_mut().filter(|element| element.is_null()).for_each(|element| *element = zero.clone());
        } else {
            elements.clear();
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(part) = self.under(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value_seed(part)?;
            if !value.is_null() {
                fields.insert(key, value);
            }
        }
        Ok(Value::Object(fields))
    }
}

fn zero_of(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(false.into()),
        Value::Number(_) => Some(0.into()),
        Value::String(_) => Some("".into()),
        Value::Array(_) => Some(Value::Array(Vec::new())),
        Value::Object(_) => Some(Value::Object(Map::new())),
    }
}
