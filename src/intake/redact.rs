//! Reads an object from JSON into a tree that contains only the fields which collectors read.
//!
//! The tables of the protobuf decoder drive this one too, so both encodings yield the same objects. `IgnoredAny` skips all other
//! fields, which never become values of this process. [`super::tree`] then reads the object from the tree, whatever the
//! input format.
//!
//! A value that does not fit its field is left out and noted, because it must not cost the object its other series.
//! Null becomes the zero value, as in Go. API servers do send nulls, for a list that was never set, or for a zero time.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::form::Form;
use super::protobuf::{Kind, LAST_APPLIED, Shape, Table};
use super::unreadable::Unreadable;
use crate::collectors::quantity::Amount;
use crate::collectors::time;

/// The part of the object that a seed reads.
#[derive(Clone, Copy)]
enum Part {
    /// The whole object; the flag says whether to keep its own `type`.
    Object(&'static Table, Form, bool),
    /// The metadata of a whole object.
    Metadata(&'static Table),
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
            Self::Object(table, Form::Object, _) if key == "metadata" => match field(table, key) {
                Some(Self::Message(table)) => Some(Self::Metadata(table)),
                other => other,
            },
            Self::Object(table, Form::Object, _) | Self::Metadata(table) | Self::Message(table) => field(table, key),
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

    /// Whether an element of a list is read.
    fn takes(self, element: &Value) -> bool {
        let Self::Message(table) = self else { return true };
        table.takes_named(&|name| element.get(name).is_some())
    }

    /// The value for a null element or entry.
    fn zero(self) -> Value {
        match self {
            Self::Leaf(Kind::Bool) => false.into(),
            Self::Leaf(Kind::Int | Kind::Int32 | Kind::IntOrString) => 0.into(),
            Self::Leaf(Kind::Quantity) => "0".into(),
            Self::Leaf(_) => "".into(),
            _ => Value::Object(Map::new()),
        }
    }

    /// Returns a value that the types can hold. `None` if it is not one of this part.
    fn fit(self, value: Value) -> Option<Value> {
        match (self, value) {
            (_, Value::Null) => Some(Value::Null),
            (Self::Elements(_), value @ Value::Array(_)) => Some(value),
            (Self::Elements(_), _) => None,
            (Self::Leaf(kind), value) => leaf(kind, value),
            (_, value @ Value::Object(_)) => Some(value),
            (_, _) => None,
        }
    }
}

/// Returns a value without fields as the types hold it. `None` if it is not one of this kind.
fn leaf(kind: Kind, value: Value) -> Option<Value> {
    match (kind, value) {
        (Kind::Bool, value @ Value::Bool(_)) | (Kind::String | Kind::IntOrString, value @ Value::String(_)) => {
            Some(value)
        }
        (Kind::Int, Value::Number(number)) => integer(&number).map(Value::from),
        (Kind::Int32 | Kind::IntOrString, Value::Number(number)) => {
            integer(&number).and_then(|number| i32::try_from(number).ok()).map(Value::from)
        }
        (Kind::Bytes, Value::String(text)) => {
            // Go's decoder ignores ends of lines.
            let text = text.replace(['\r', '\n'], "");
            STANDARD.decode(&text).is_ok().then_some(Value::String(text))
        }
        (Kind::Time | Kind::MicroTime, Value::String(text)) => time::parse(&text).map(|_| Value::String(text)),
        (Kind::Quantity, Value::String(text)) => Amount::parse(&text).map(|_| Value::String(text)),
        // In YAML, and in JSON written by hand, a quantity may be a number.
        (Kind::Quantity, Value::Number(number)) => leaf(kind, number.to_string().into()),
        _ => None,
    }
}

/// Returns a whole number, however it is written.
fn integer(number: &Number) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && (-LIMIT..LIMIT).contains(float));
        // A number above the range may round to its limit.
        float.filter(|_| !number.is_u64()).map(|float| float as i64)
    })
}

/// The field of a message with the JSON name `name`.
fn field(table: &'static Table, name: &str) -> Option<Part> {
    table.named(name).map(|field| match (field.shape, field.kind) {
        (Shape::Map, kind) => Part::Entries(kind),
        (Shape::Repeated, kind) => Part::Elements(kind),
        (Shape::One | Shape::UnlessEmpty | Shape::Inline, kind) => Part::of(kind),
    })
}

/// Reads the tree of an object and keeps only the fields that `form` holds. `table_type` replaces the object's own
/// `type`. Notes the fields that cannot be read, and leaves them out.
pub(super) fn kept<'de, D: Deserializer<'de>>(
    object: D,
    table: &'static Table,
    form: Form,
    table_type: Option<&str>,
    unreadable: &Unreadable,
) -> Result<Map<String, Value>, D::Error> {
    let part = Part::Object(table, form, table_type.is_none());
    let reader = Reader { part, unreadable };
    let Some(Value::Object(mut fields)) = reader.deserialize(object)? else {
        return Err(D::Error::custom("not an object"));
    };
    if let (Some(printed), Form::Table) = (table_type, form) {
        fields.insert("type".to_owned(), printed.into());
    }
    Ok(fields)
}

/// Reads one part.
#[derive(Clone, Copy)]
struct Reader<'a> {
    part: Part,
    unreadable: &'a Unreadable,
}

/// The value is `None` if it cannot be read.
impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<Option<Value>, D::Error> {
        Ok(self.part.fit(inner.deserialize_any(self)?))
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
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
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        let Part::Elements(kind) = self.part else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Array(elements));
        };
        let part = Part::of(kind);
        while let Some(value) = list.next_element_seed(Reader { part, ..self })? {
            match value {
                Some(Value::Null) if part.takes(&Value::Null) => elements.push(part.zero()),
                Some(value) if part.takes(&value) => elements.push(value),
                Some(_) => {}
                None => self.unreadable.note("an element of a list"),
            }
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(part) = self.part.under(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match map.next_value_seed(Reader { part, ..self })? {
                // In a map, null is a value, the zero value. A field that is null keeps its zero value, as if it were not there.
                Some(Value::Null) if matches!(self.part, Part::Entries(_) | Part::PartialAnnotations) => {
                    fields.insert(key, part.zero());
                }
                Some(Value::Null) => {}
                Some(value) => {
                    fields.insert(key, value);
                }
                // Without them, nothing tells whose series these are.
                None if key == "metadata" && matches!(self.part, Part::Object(..)) => {
                    return Err(A::Error::custom("metadata: not an object"));
                }
                None if matches!(
                    (self.part, &*key),
                    (Part::Metadata(_) | Part::PartialMetadata(_), "name" | "namespace")
                ) =>
                {
                    return Err(A::Error::custom(format_args!("metadata.{key}: not a text")));
                }
                None => self.unreadable.note(&key),
            }
        }
        Ok(Value::Object(fields))
    }
}
