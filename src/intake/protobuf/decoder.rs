//! The deserializers: a value, the fields of a message, the elements of a repeated field, the entries of a map.
//!
//! A field of one value that comes twice is shown twice, and the types of k8s-openapi keep the last, as Go does for
//! scalars. (Go would merge two messages; no encoder in the wild writes them.)

use std::io::Write;
use std::str;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::table::{Field, Kind, Shape, Table};
use super::wire::{Fields, Value};
use super::{Error, LAST_APPLIED};

/// Long enough for any instant that jiff can print.
const LONGEST_TIME: usize = 64;

/// A value of an object: one, or all of a repeated field.
///
/// One type for both, and [`Map`] one for messages and maps: every type of k8s-openapi is compiled once for each
/// deserializer that it is read from.
pub(super) enum Node<'de> {
    One(Kind, Value<'de>),
    Many(Many<'de>),
    /// A message of which not all may be kept: an object in another form than whole, or its metadata.
    Partial(&'static Table, &'de [u8]),
    /// The name of a field.
    Name(&'static str),
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (kind, value) = match self {
            Self::One(kind, value) => (kind, value),
            Self::Many(many) if many.field.shape == Shape::Map => return visitor.visit_map(Map::Entries(many)),
            Self::Many(many) => return visitor.visit_seq(many),
            Self::Partial(table, bytes) => {
                return visitor.visit_map(Map::Message(Message { partial: true, ..Message::new(table, bytes) }));
            }
            Self::Name(name) => return visitor.visit_borrowed_str(name),
        };
        match (kind, value) {
            (Kind::Bool, Value::Varint(value)) => visitor.visit_bool(value != 0),
            (Kind::Int, Value::Varint(value)) => visitor.visit_i64(value.cast_signed()),
            (Kind::String, Value::Bytes(bytes)) => text(bytes, visitor),
            (Kind::Bytes, Value::Bytes(bytes)) => visitor.visit_string(STANDARD.encode(bytes)),
            (Kind::Time, Value::Bytes(bytes)) => time(bytes, visitor, |_| 0),
            (Kind::MicroTime, Value::Bytes(bytes)) => time(bytes, visitor, |nanos| nanos / 1000 * 1000),
            (Kind::Quantity, Value::Bytes(bytes)) => quantity(bytes, visitor),
            (Kind::IntOrString, Value::Bytes(bytes)) => int_or_string(bytes, visitor),
            (Kind::Message(table), Value::Bytes(bytes)) => visitor.visit_map(Map::Message(Message::new(table, bytes))),
            (kind, _) => Err(Error::custom(format_args!("the wire type does not fit a {kind:?}"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::One(Kind::Time | Kind::MicroTime, Value::Bytes([])) => visitor.visit_none(),
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
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key = match self {
            Self::Message(message) => message.next_name()?.map(Node::Name),
            Self::Entries(many) => many.next_key()?.map(|key| Node::One(Kind::String, key)),
        };
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let early = || Error::custom("a value was asked for before its key");
        match self {
            Self::Message(message) => {
                let (field, value) = message.value().ok_or_else(early)?;
                seed.deserialize(value).map_err(|error| Error::Within { field: field.name, source: Box::new(error) })
            }
            Self::Entries(many) => {
                let value = many.value.take().ok_or_else(early)?;
                seed.deserialize(Node::One(many.field.kind, value))
            }
        }
    }
}

/// Text, with U+FFFD for each byte that is not UTF-8: so the API server writes it in JSON, where an error here would
/// cost the whole object its series.
fn text<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V) -> Result<V::Value, Error> {
    match str::from_utf8(bytes) {
        Ok(text) => visitor.visit_borrowed_str(text),
        Err(_) => visitor.visit_string(bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            text
        })),
    }
}

fn time<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V, nanos: fn(i32) -> i32) -> Result<V::Value, Error> {
    if bytes.is_empty() {
        return visitor.visit_unit();
    }
    let (mut second, mut nano) = (0, 0);
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Varint(value)) => second = value.cast_signed(),
            // An int32, of which Go keeps the low half too.
            (2, Value::Varint(value)) => nano = value as i32,
            _ => {}
        }
    }
    let instant = Timestamp::new(second, nanos(nano)).map_err(Error::custom)?;
    let mut buffer = [0; LONGEST_TIME];
    let mut unused = &mut buffer[..];
    write!(unused, "{instant}").map_err(Error::custom)?;
    let length = LONGEST_TIME - unused.len();
    visitor.visit_str(str::from_utf8(&buffer[..length]).map_err(Error::custom)?)
}

fn quantity<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V) -> Result<V::Value, Error> {
    let mut string: &[u8] = b"0";
    for field in Fields::new(bytes) {
        if let (1, Value::Bytes(value)) = field? {
            string = value;
        }
    }
    text(string, visitor)
}

fn int_or_string<'de, V: Visitor<'de>>(bytes: &'de [u8], visitor: V) -> Result<V::Value, Error> {
    let (mut is_string, mut int, mut string): (_, _, &[u8]) = (false, 0, &[]);
    for field in Fields::new(bytes) {
        match field? {
            (1, Value::Varint(value)) => is_string = value != 0,
            (2, Value::Varint(value)) => int = value.cast_signed(),
            (3, Value::Bytes(value)) => string = value,
            _ => {}
        }
    }
    if is_string { text(string, visitor) } else { visitor.visit_i64(int) }
}

/// The fields of a message, in the order of the wire.
struct Message<'de> {
    level: Level<'de>,
    /// The message into which `level` is inlined.
    outer: Option<Level<'de>>,
    /// Whether this is a [`Node::Partial`].
    partial: bool,
    /// The field whose name was shown last.
    current: Option<(&'static Field, Value<'de>)>,
}

struct Level<'de> {
    table: &'static Table,
    fields: Fields<'de>,
    /// A bit for each repeated field that was shown: as soon as its first element came, with all others.
    shown: u64,
    /// The place in the table up to which all numbers are below that of the last field.
    place: usize,
}

impl<'de> Level<'de> {
    fn new(table: &'static Table, bytes: &'de [u8]) -> Self {
        Self { table, fields: Fields::new(bytes), shown: 0, place: 0 }
    }

    /// The field of a number, and its place in the table. Encoders write fields by rising numbers, so it is never far.
    fn find(&mut self, number: u32) -> Option<(usize, &'static Field)> {
        let fields = self.table.fields;
        while self.place > 0 && fields.get(self.place - 1).is_some_and(|field| field.number >= number) {
            self.place -= 1;
        }
        while fields.get(self.place).is_some_and(|field| field.number < number) {
            self.place += 1;
        }
        fields.get(self.place).filter(|field| field.number == number).map(|field| (self.place, field))
    }

    /// Whether a repeated field has not been shown yet.
    fn first(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let first = self.shown & bit == 0;
        self.shown |= bit;
        first
    }
}

impl<'de> Message<'de> {
    fn new(table: &'static Table, bytes: &'de [u8]) -> Self {
        Self { level: Level::new(table, bytes), outer: None, partial: false, current: None }
    }

    fn next_field(&mut self) -> Result<Option<(&'static Field, Value<'de>)>, Error> {
        loop {
            let Some(field) = self.level.fields.next() else {
                match self.outer.take() {
                    Some(outer) => self.level = outer,
                    None => return Ok(None),
                }
                continue;
            };
            let (number, value) = field?;
            let Some((index, field)) = self.level.find(number) else { continue };
            let shown = match field.shape {
                Shape::One => true,
                Shape::UnlessEmpty => !matches!(value, Value::Varint(0) | Value::Bytes([])),
                Shape::Repeated | Shape::Map => self.level.first(index),
                Shape::Inline => {
                    let (Kind::Message(table), Value::Bytes(bytes)) = (field.kind, value) else {
                        return Err(Error::custom(format_args!("{}: not a message", field.name)));
                    };
                    self.outer = Some(std::mem::replace(&mut self.level, Level::new(table, bytes)));
                    false
                }
            };
            if shown {
                return Ok(Some((field, value)));
            }
        }
    }
}

impl<'de> Message<'de> {
    /// Moves on to the next field; its name.
    fn next_name(&mut self) -> Result<Option<&'static str>, Error> {
        self.current = self.next_field()?;
        Ok(self.current.map(|(field, _)| field.name))
    }

    /// The value of the field whose name was shown last.
    fn value(&mut self) -> Option<(&'static Field, Node<'de>)> {
        let (field, value) = self.current.take()?;
        let node = match field.shape {
            Shape::One | Shape::UnlessEmpty if self.partial && field.name == "metadata" => match (field.kind, value) {
                (Kind::Message(table), Value::Bytes(bytes)) => Node::Partial(table, bytes),
                (kind, value) => Node::One(kind, value),
            },
            Shape::One | Shape::UnlessEmpty | Shape::Inline => Node::One(field.kind, value),
            Shape::Repeated | Shape::Map => {
                let redacted = self.partial && field.name == "annotations";
                Node::Many(Many { field, redacted, first: Some(value), rest: self.level.fields.clone(), value: None })
            }
        };
        Some((field, node))
    }
}

/// All elements of a repeated field, or all entries of a map, wherever in the message they are.
pub(super) struct Many<'de> {
    field: &'static Field,
    /// Whether [`LAST_APPLIED`] is stepped over.
    redacted: bool,
    first: Option<Value<'de>>,
    rest: Fields<'de>,
    /// Of the entry whose key was shown last.
    value: Option<Value<'de>>,
}

impl<'de> Many<'de> {
    fn next(&mut self) -> Result<Option<Value<'de>>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        for field in &mut self.rest {
            let (number, value) = field?;
            if number == self.field.number {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// What a map's value is if its entry does not say.
    fn zero(&self) -> Value<'de> {
        match self.field.kind {
            Kind::Bool | Kind::Int => Value::Varint(0),
            _ => Value::Bytes(&[]),
        }
    }

    /// Moves on to the next entry of a map; its key.
    fn next_key(&mut self) -> Result<Option<Value<'de>>, Error> {
        while let Some(entry) = self.next()? {
            let Value::Bytes(entry) = entry else { return Err(Error::custom("an entry of a map is not a message")) };
            let (mut key, mut value) = (Value::Bytes(&[]), self.zero());
            for field in Fields::new(entry) {
                match field? {
                    (1, found) => key = found,
                    (2, found) => value = found,
                    _ => {}
                }
            }
            if self.redacted && matches!(key, Value::Bytes(key) if key == LAST_APPLIED.as_bytes()) {
                continue;
            }
            self.value = Some(value);
            return Ok(Some(key));
        }
        Ok(None)
    }
}

impl<'de> SeqAccess<'de> for Many<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let kind = self.field.kind;
        self.next()?.map(|value| seed.deserialize(Node::One(kind, value))).transpose()
    }
}
