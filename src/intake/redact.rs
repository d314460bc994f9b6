//! Reads an object from JSON into a tree that contains only the fields which collectors read.
//!
//! The tables of the protobuf decoder drive this one too, so both encodings yield the same objects. `IgnoredAny` skips all other
//! fields, which never become values of this process. The k8s-openapi types are then read from the tree, whatever the
//! input format, because each type is compiled once per deserializer.
//!
//! Null becomes the zero value, as in Go. API servers do send nulls (for a list that was never set, for a zero time), but
//! the types accept them only for optional fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::form::Form;
use super::protobuf::{Kind, LAST_APPLIED, Shape, Table};

/// The part of the object that a seed reads.
#[derive(Clone, Copy)]
enum Part {
    /// The whole object; the flag says whether to keep its own `type`.
    Object(&'static Table, Form, bool),
    /// A message of which all known fields are kept.
    Message(&'static Table),
    /// The metadata of an object in a reduced form.
    PartialMetadata(&'static Table),
    /// Annotations without [`LAST_APPLIED`].
    PartialAnnotations,
    /// Entries of a map.
    Entries(Kind),
    /// Elements of a list.
    Elements(Kind),
    /// A value without fields.
    Leaf(Kind),
}

impl Part {
    /// The part under `key`; `None` to skip it.
    fn under(self, key: &str) -> Option<Self> {
        match self {
            Self::Object(_, Form::Object, _) if matches!(key, "apiVersion" | "kind") => Some(Self::Leaf(Kind::String)),
            Self::Object(table, Form::Object, _) | Self::Message(table) => field(table, key),
            Self::Object(table, _, _) if key == "metadata" => match field(table, key) {
                Some(Self::Message(table)) => Some(Self::PartialMetadata(table)),
                other => other,
            },
            Self::Object(_, Form::Table, true) if key == "type" => Some(Self::Leaf(Kind::String)),
            Self::Object(..) => None,
            Self::PartialMetadata(_) if key == "annotations" => Some(Self::PartialAnnotations),
            Self::PartialMetadata(table) => field(table, key),
            Self::PartialAnnotations => (key != LAST_APPLIED).then_some(Self::Leaf(Kind::String)),
            Self::Entries(kind) => Some(Self::of(kind)),
            Self::Elements(_) | Self::Leaf(_) => None,
        }
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Message(table) => Self::Message(table),
            leaf => Self::Leaf(leaf),
        }
    }

    /// The value for a null element.
    fn zero(self) -> Value {
        match self {
            Self::Leaf(Kind::Bool) => false.into(),
            Self::Leaf(Kind::Int) => 0.into(),
            Self::Leaf(_) => "".into(),
            _ => Value::Object(Map::new()),
        }
    }
}

/// The field of a message with the JSON name `name`.
fn field(table: &'static Table, name: &str) -> Option<Part> {
    table.fields.iter().find_map(|field| match (field.shape, field.kind) {
        (Shape::Inline, Kind::Message(inner)) => self::field(inner, name),
        _ if field.name != name => None,
        (Shape::Map, kind) => Some(Part::Entries(kind)),
        (Shape::Repeated, kind) => Some(Part::Elements(kind)),
        (Shape::One | Shape::UnlessEmpty | Shape::Inline, kind) => Some(Part::of(kind)),
    })
}

/// Reads the tree of an object and keeps only the fields that `form` holds. `table_type` replaces the object's own
/// `type`.
pub(super) fn kept<'de, D: Deserializer<'de>>(
    object: D,
    table: &'static Table,
    form: Form,
    table_type: Option<&str>,
) -> Result<Value, D::Error> {
    let mut tree = Part::Object(table, form, table_type.is_none()).deserialize(object)?;
    if let (Some(printed), Form::Table, Value::Object(fields)) = (table_type, form, &mut tree) {
        fields.insert("type".to_owned(), printed.into());
    }
    Ok(tree)
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        let value = inner.deserialize_any(self)?;
        Ok(match (self, value) {
            // In YAML, and in JSON written by hand, a quantity may be a number.
            (Self::Leaf(Kind::Quantity), Value::Number(number)) => number.to_string().into(),
            (_, value) => value,
        })
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
        let element = match self {
            Self::Elements(kind) => Self::of(kind),
            other => other,
        };
        let mut elements = Vec::new();
        while let Some(value) = list.next_element_seed(element)? {
            elements.push(if value.is_null() { element.zero() } else { value });
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
