//! The deserializers of values, of the fields of a message, of the elements of a repeated field, and of the entries of a map.
//! They also read a tree of JSON: the code of the k8s-openapi types is most of the program, so it is compiled only once.
//!
//! A value that does not fit its field is left out and noted, as is the rest of a message within the object that is malformed.
//! Only a malformed object itself is an error.
//!
//! A singular field that occurs twice is passed on twice, and the types of k8s-openapi keep the last value, as Go does for
//! scalars. (Go would merge two messages, but no known encoder writes them.)

use std::borrow::Cow;
use std::io::Write;
use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::super::mend::lossy;
use super::super::unreadable::{NOT_UNICODE, Unreadable};
use super::error::Error;
use super::table::{Field, Kind, Shape, Table};
use super::wire::{Fields, Value};
pub(in crate::intake) use crate::collectors::custom::LAST_APPLIED;
use crate::collectors::quantity::Amount;
use crate::collectors::time;

/// Nanoseconds in a second.
const SECOND: i32 = 1_000_000_000;

/// Length of the longest time that jiff prints.
const LONGEST_TIME: usize = 64;

/// A value of an object, or all values of a repeated field.
///
/// There is one type for both, and one type [`Map`] for messages and maps, because every type of k8s-openapi is compiled once per
/// deserializer.
pub(super) enum Node<'de> {
    One(Kind, Value<'de>, &'de Unreadable),
    Many(Many<'de>),
    /// An object in a reduced form or its metadata, of which some fields are skipped.
    Partial(&'static Table, &'de [u8], &'de Unreadable),
    /// The name of a field.
    Name(&'static str),
    /// A value of JSON.
    Tree(serde_json::Value),
    /// The key of a value of JSON.
    Key(String),
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (kind, value, unreadable) = match self {
            Self::One(kind, value, unreadable) => (kind, value, unreadable),
            Self::Many(many) if many.field.shape == Shape::Map => return visitor.visit_map(Map::Entries(many)),
            Self::Many(many) => return visitor.visit_seq(Elements::Repeated(many)),
            Self::Partial(table, bytes, unreadable) => {
                let message = Message { partial: true, ..Message::new(table, bytes, unreadable) };
                return visitor.visit_map(Map::Message(message));
            }
            Self::Name(name) => return visitor.visit_borrowed_str(name),
            Self::Tree(serde_json::Value::Array(array)) => {
                return visitor.visit_seq(Elements::Array(array.into_iter()));
            }
            Self::Tree(serde_json::Value::Object(object)) => {
                return visitor.visit_map(Map::Object { entries: object.into_iter(), key: String::new(), value: None });
            }
            Self::Tree(value) => return Scalar::of_tree(value).show(visitor),
            Self::Key(key) => return visitor.visit_string(key),
        };
        if let (Kind::Message(table), Value::Bytes(bytes)) = (kind, value) {
            return visitor.visit_map(Map::Message(Message::new(table, bytes, unreadable)));
        }
        let scalar = Scalar::read(kind, value)?;
        if matches!((kind, &scalar), (Kind::String | Kind::IntOrString, Scalar::Text(Cow::Owned(_)))) {
            unreadable.note(NOT_UNICODE);
        }
        scalar.show(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::One(Kind::Time | Kind::MicroTime, Value::Bytes([]), _) | Self::Tree(serde_json::Value::Null) => {
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

/// The fields of a message, or the entries of a map.
enum Map<'de> {
    Message(Message<'de>),
    Entries(Many<'de>),
    /// An object of a tree, with the key and the value of the current entry. Errors name the key.
    Object {
        entries: serde_json::map::IntoIter,
        key: String,
        value: Option<serde_json::Value>,
    },
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key = match self {
            Self::Message(message) => message.next_name().map(Node::Name),
            Self::Entries(many) => many.next_key().map(|key| Node::One(Kind::String, key, many.unreadable)),
            Self::Object { entries, key, value } => entries.next().map(|(name, found)| {
                *value = Some(found);
                key.clone_from(&name);
                Node::Key(name)
            }),
        };
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let early = || Error::custom("a value was requested before its key");
        match self {
            Self::Message(message) => {
                let (field, value) = message.value().ok_or_else(early)?;
                seed.deserialize(value).map_err(|error| error.within(field.name))
            }
            Self::Entries(many) => {
                let value = many.value.take().ok_or_else(early)?;
                seed.deserialize(Node::One(many.field.kind, value, many.unreadable))
            }
            Self::Object { key, value, .. } => {
                let value = value.take().ok_or_else(early)?;
                seed.deserialize(Node::Tree(value)).map_err(|error| error.within(&*key))
            }
        }
    }
}

/// A decoded scalar value. Decoding does not depend on the visitor, of which there are many, so it is compiled once.
enum Scalar<'de> {
    Unit,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'de, str>),
    Time(TimeText),
}

impl<'de> Scalar<'de> {
    fn show<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Unit => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Int(value) => visitor.visit_i64(value),
            Self::Uint(value) => visitor.visit_u64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Self::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Self::Time(text) => visitor.visit_str(text.as_str()?),
        }
    }

    fn of_tree(value: serde_json::Value) -> Self {
        use serde_json::Value as Tree;
        match value {
            Tree::Bool(value) => Self::Bool(value),
            Tree::String(text) => Self::Text(Cow::Owned(text)),
            Tree::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Self::Uint(number),
                (None, Some(number)) => Self::Int(number),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Tree::Null | Tree::Array(_) | Tree::Object(_) => Self::Unit,
        }
    }

    fn read(kind: Kind, value: Value<'de>) -> Result<Self, Error> {
        Ok(match (kind, value) {
            (Kind::Bool, Value::Varint(value)) => Self::Bool(value != 0),
            (Kind::Int, Value::Varint(value)) => Self::Int(value.cast_signed()),
            (Kind::Int32, Value::Varint(value)) => Self::Int((value as i32).into()),
            (Kind::String, Value::Bytes(bytes)) => Self::text(bytes),
            (Kind::Bytes, Value::Bytes(bytes)) => Self::Text(Cow::Owned(STANDARD.encode(bytes))),
            (Kind::Time | Kind::MicroTime, Value::Bytes([])) => Self::Unit,
            (Kind::Time, Value::Bytes(bytes)) => Self::time(bytes, |second, _| time::timestamp(second, 0))?,
            (Kind::MicroTime, Value::Bytes(bytes)) => Self::time(bytes, |second, nano| {
                let (carried, nano) = (nano.div_euclid(SECOND), nano.rem_euclid(SECOND));
                time::timestamp(second.saturating_add(carried.into()), nano / 1000 * 1000)
            })?,
            (Kind::Quantity, Value::Bytes(bytes)) => Self::quantity(bytes)?,
            (Kind::IntOrString, Value::Bytes(bytes)) => Self::int_or_string(bytes)?,
            (kind, _) => return Err(Error::custom(format_args!("the wire type does not fit a {kind:?}"))),
        })
    }

    /// Text, whatever the bytes: an error would cost the object all its series.
    fn text(bytes: &'de [u8]) -> Self {
        Self::Text(lossy(bytes))
    }

    fn time(bytes: &[u8], timestamp: fn(i64, i32) -> Timestamp) -> Result<Self, Error> {
        let (mut second, mut nano) = (0, 0);
        for field in Fields::new(bytes) {
            match field? {
                (1, Value::Varint(value)) => second = value.cast_signed(),
                // An int32: Go also keeps only the low half.
                (2, Value::Varint(value)) => nano = value as i32,
                _ => {}
            }
        }
        TimeText::of(timestamp(second, nano)).map(Self::Time)
    }

    fn quantity(bytes: &'de [u8]) -> Result<Self, Error> {
        let mut string: &[u8] = b"0";
        for field in Fields::new(bytes) {
            if let (1, Value::Bytes(value)) = field? {
                string = value;
            }
        }
        Ok(Self::text(string))
    }

    fn int_or_string(bytes: &'de [u8]) -> Result<Self, Error> {
        let (mut is_string, mut int, mut string): (_, _, &[u8]) = (false, 0, &[]);
        for field in Fields::new(bytes) {
            match field? {
                (1, Value::Varint(value)) => is_string = value != 0,
                (2, Value::Varint(value)) => int = (value as i32).into(),
                (3, Value::Bytes(value)) => string = value,
                _ => {}
            }
        }
        Ok(if is_string { Self::text(string) } else { Self::Int(int) })
    }
}

/// A time as in JSON, without an allocation.
struct TimeText {
    buffer: [u8; LONGEST_TIME],
    length: usize,
}

impl TimeText {
    fn of(instant: Timestamp) -> Result<Self, Error> {
        let mut buffer = [0; LONGEST_TIME];
        let mut unused = &mut buffer[..];
        write!(unused, "{instant}").map_err(Error::custom)?;
        let length = LONGEST_TIME - unused.len();
        Ok(Self { buffer, length })
    }

    fn as_str(&self) -> Result<&str, Error> {
        str::from_utf8(&self.buffer[..self.length]).map_err(Error::custom)
    }
}

/// The fields of a message, in the order of the wire.
struct Message<'de> {
    level: Level<'de>,
    /// The message into which `level` is inlined.
    outer: Option<Level<'de>>,
    /// Whether this is a [`Node::Partial`].
    partial: bool,
    /// The field whose name was passed on last.
    current: Option<(&'static Field, Value<'de>)>,
    unreadable: &'de Unreadable,
}

struct Level<'de> {
    table: &'static Table,
    fields: Fields<'de>,
    /// A bit per repeated field that was passed on. A field is passed on with all elements when its first element occurs.
    shown: u64,
    /// The index in the table below which all numbers are less than that of the last field.
    place: usize,
}

impl<'de> Level<'de> {
    fn new(table: &'static Table, bytes: &'de [u8]) -> Self {
        Self { table, fields: Fields::new(bytes), shown: 0, place: 0 }
    }

    /// Whether a repeated field was not passed on yet.
    fn first(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let first = self.shown & bit == 0;
        self.shown |= bit;
        first
    }
}

impl<'de> Message<'de> {
    fn new(table: &'static Table, bytes: &'de [u8], unreadable: &'de Unreadable) -> Self {
        Self { level: Level::new(table, bytes), outer: None, partial: false, current: None, unreadable }
    }

    fn next_field(&mut self) -> Option<(&'static Field, Value<'de>)> {
        loop {
            let Some(field) = self.level.fields.next() else {
                self.level = self.outer.take()?;
                continue;
            };
            // After an error there are no more fields.
            let Ok((number, value)) = field else {
                self.unreadable.note("the rest of a message");
                continue;
            };
            let Some((index, field)) = self.level.table.find(&mut self.level.place, number) else { continue };
            let shown = match field.shape {
                Shape::One => readable(field, value, self.unreadable),
                Shape::UnlessEmpty => {
                    !matches!(value, Value::Varint(0) | Value::Bytes([])) && readable(field, value, self.unreadable)
                }
                Shape::Repeated | Shape::Map => self.level.first(index),
                Shape::Inline => {
                    if let (Kind::Message(table), Value::Bytes(bytes)) = (field.kind, value) {
                        self.outer = Some(std::mem::replace(&mut self.level, Level::new(table, bytes)));
                    } else {
                        self.unreadable.note(field.name);
                    }
                    false
                }
            };
            if shown {
                return Some((field, value));
            }
        }
    }

    /// Moves on to the next field and returns its name.
    fn next_name(&mut self) -> Option<&'static str> {
        self.current = self.next_field();
        self.current.map(|(field, _)| field.name)
    }

    /// Returns the value of the field whose name was passed on last.
    fn value(&mut self) -> Option<(&'static Field, Node<'de>)> {
        let (field, value) = self.current.take()?;
        let node = match field.shape {
            Shape::One | Shape::UnlessEmpty if self.partial && field.name == "metadata" => match (field.kind, value) {
                (Kind::Message(table), Value::Bytes(bytes)) => Node::Partial(table, bytes, self.unreadable),
                (kind, value) => Node::One(kind, value, self.unreadable),
            },
            Shape::One | Shape::UnlessEmpty | Shape::Inline => Node::One(field.kind, value, self.unreadable),
            Shape::Repeated | Shape::Map => {
                let redacted = self.partial && field.name == "annotations";
                let rest = self.level.fields.clone();
                Node::Many(Many { field, redacted, first: Some(value), rest, value: None, unreadable: self.unreadable })
            }
        };
        Some((field, node))
    }
}

/// Whether a value fits its field. Notes the field if not.
fn readable(field: &Field, value: Value<'_>, unreadable: &Unreadable) -> bool {
    let is_message = |bytes| Fields::new(bytes).all(|field| field.is_ok());
    let fits = match (field.kind, value) {
        (Kind::Bool | Kind::Int | Kind::Int32, Value::Varint(_))
        | (Kind::String | Kind::Bytes | Kind::Message(_), Value::Bytes(_)) => true,
        (Kind::Time | Kind::MicroTime | Kind::IntOrString, Value::Bytes(bytes)) => is_message(bytes),
        (Kind::Quantity, Value::Bytes(bytes)) => {
            matches!(Scalar::quantity(bytes), Ok(Scalar::Text(text)) if Amount::parse(&text).is_some())
        }
        _ => false,
    };
    if !fits {
        unreadable.note(field.name);
    }
    fits
}

/// All elements of a repeated field, or all entries of a map, wherever they are in the message.
pub(super) struct Many<'de> {
    field: &'static Field,
    /// Whether to skip [`LAST_APPLIED`].
    redacted: bool,
    first: Option<Value<'de>>,
    rest: Fields<'de>,
    /// The value of the entry whose key was passed on last.
    value: Option<Value<'de>>,
    unreadable: &'de Unreadable,
}

impl<'de> Many<'de> {
    fn next(&mut self) -> Option<Value<'de>> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        // The message notes an error when it comes to it.
        let same = |field| match field {
            Ok((number, value)) if number == self.field.number => Some(value),
            _ => None,
        };
        self.rest.find_map(same)
    }

    /// Moves on to the next element that can be read.
    fn next_element(&mut self) -> Option<Value<'de>> {
        loop {
            let value = self.next()?;
            if self.takes(value) && readable(self.field, value, self.unreadable) {
                return Some(value);
            }
        }
    }

    fn takes(&self, element: Value<'de>) -> bool {
        match (self.field.kind, element) {
            (Kind::Message(table), Value::Bytes(bytes)) => table.takes(bytes),
            _ => true,
        }
    }

    /// Returns the number of elements that are left, some of which may be unreadable. So a vector of them never grows: that
    /// would copy elements of up to 2 KB.
    fn count(&self) -> usize {
        let mut left = Self {
            field: self.field,
            redacted: false,
            first: self.first,
            rest: self.rest.clone(),
            value: None,
            unreadable: self.unreadable,
        };
        std::iter::from_fn(|| left.next()).filter(|element| self.takes(*element)).count()
    }

    /// The value of a map's entry without one.
    fn zero(&self) -> Value<'de> {
        match self.field.kind {
            Kind::Bool | Kind::Int | Kind::Int32 => Value::Varint(0),
            _ => Value::Bytes(&[]),
        }
    }

    /// Splits an entry of a map. `None` if it is malformed.
    fn entry(&self, entry: Value<'de>) -> Option<(Value<'de>, Value<'de>)> {
        let Value::Bytes(entry) = entry else { return None };
        let (mut key, mut value) = (Value::Bytes(&[]), self.zero());
        for field in Fields::new(entry) {
            match field.ok()? {
                (1, found) => key = found,
                (2, found) => value = found,
                _ => {}
            }
        }
        matches!(key, Value::Bytes(_)).then_some((key, value))
    }

    /// Moves on to the next entry of a map that can be read, and returns its key.
    fn next_key(&mut self) -> Option<Value<'de>> {
        loop {
            let entry = self.next()?;
            let Some((key, value)) = self.entry(entry) else {
                self.unreadable.note(self.field.name);
                continue;
            };
            if self.redacted && matches!(key, Value::Bytes(key) if key == LAST_APPLIED.as_bytes()) {
                continue;
            }
            if readable(self.field, value, self.unreadable) {
                self.value = Some(value);
                return Some(key);
            }
        }
    }
}

/// The elements of a repeated field, or of an array of a tree.
enum Elements<'de> {
    Repeated(Many<'de>),
    Array(std::vec::IntoIter<serde_json::Value>),
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let node = match self {
            Self::Repeated(many) => {
                let kind = many.field.kind;
                let unreadable = many.unreadable;
                many.next_element().map(|value| Node::One(kind, value, unreadable))
            }
            Self::Array(values) => values.next().map(Node::Tree),
        };
        node.map(|node| seed.deserialize(node)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        match self {
            Self::Repeated(many) => Some(many.count()),
            Self::Array(values) => Some(values.len()),
        }
    }
}
