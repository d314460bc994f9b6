//! Hands the fields of a protobuf message to an object, field by field.
//!
//! A value that does not fit its field is left out and noted, as is the rest of a message within the object that is malformed.
//! Only a malformed object itself is an error.
//!
//! A singular field that occurs twice is passed on twice, and the object keeps the last value, as Go does for
//! scalars. (Go would merge two messages, but no known encoder writes them.)

use std::borrow::Cow;

use super::super::mend::lossy;
use super::super::unreadable::{NOT_UNICODE, Unreadable};
use super::table::{Field, Kind, Shape, Table};
use super::wire::{self, Fields};
pub(in crate::intake) use crate::collectors::custom::LAST_APPLIED;
use crate::collectors::objects::{self, Value, View};
use crate::collectors::quantity::Amount;
use crate::collectors::time;

/// Nanoseconds in a second.
const SECOND: i32 = 1_000_000_000;

/// An encoded message.
#[derive(Clone, Copy)]
pub(super) struct Message<'a, 'u> {
    pub table: &'static Table,
    pub bytes: &'a [u8],
    /// Whether this is an object in a reduced form, or its metadata, of which [`LAST_APPLIED`] is skipped.
    pub partial: bool,
    pub unreadable: &'u Unreadable,
}

impl<'a> objects::Message<'a> for Message<'a, '_> {
    fn fill(&mut self, view: &mut dyn View<'a>) {
        let mut level = Level::new(self.table, self.bytes);
        // The message into which `level` is inlined.
        let mut outer: Option<Level<'a>> = None;
        loop {
            let Some(field) = level.fields.next() else {
                let Some(next) = outer.take() else { return };
                level = next;
                continue;
            };
            // After an error there are no more fields.
            let Ok((number, value)) = field else {
                self.unreadable.note("the rest of a message");
                continue;
            };
            let Some((index, field)) = level.table.find(&mut level.place, number) else { continue };
            match field.shape {
                Shape::UnlessEmpty if matches!(value, wire::Value::Varint(0) | wire::Value::Bytes([])) => {}
                Shape::One | Shape::UnlessEmpty => {
                    let partial = self.partial && field.name == "metadata";
                    self.value(field, value, partial, |value| view.set(field.slot, value));
                }
                Shape::Repeated => {
                    let is_taken = match (field.kind, value) {
                        (Kind::Message(table), wire::Value::Bytes(bytes)) => table.takes(bytes),
                        _ => true,
                    };
                    if is_taken {
                        self.value(field, value, false, |value| view.set(field.slot, value));
                    }
                }
                Shape::Map => {
                    if level.first(index) {
                        let rest = level.fields.clone();
                        let mut entries = Entries { message: *self, field, first: Some(value), rest };
                        view.set(field.slot, Value::Map(&mut entries));
                    }
                }
                Shape::Inline => match (field.kind, value) {
                    (Kind::Message(table), wire::Value::Bytes(bytes)) => {
                        outer = Some(std::mem::replace(&mut level, Level::new(table, bytes)));
                    }
                    _ => self.unreadable.note(field.name),
                },
            }
        }
    }
}

/// The fields of a message, in the order of the wire.
struct Level<'a> {
    table: &'static Table,
    fields: Fields<'a>,
    /// A bit per map that was passed on. A map is passed on with all entries when its first entry occurs.
    shown: u64,
    /// The index in the table below which all numbers are less than that of the last field.
    place: usize,
}

impl<'a> Level<'a> {
    fn new(table: &'static Table, bytes: &'a [u8]) -> Self {
        Self { table, fields: Fields::new(bytes), shown: 0, place: 0 }
    }

    /// Whether a map was not passed on yet.
    fn first(&mut self, index: usize) -> bool {
        let bit = 1 << index;
        let first = self.shown & bit == 0;
        self.shown |= bit;
        first
    }
}

impl<'a> Message<'a, '_> {
    /// Passes a value to `take`, unless it is a missing time. Notes the field if the value does not fit it.
    fn value(&self, field: &'static Field, value: wire::Value<'a>, partial: bool, take: impl FnOnce(Value<'a, '_>)) {
        match (field.kind, value) {
            (Kind::Message(table), wire::Value::Bytes(bytes)) => {
                take(Value::Message(&mut Self { table, bytes, partial, unreadable: self.unreadable }));
            }
            (Kind::Time | Kind::MicroTime, wire::Value::Bytes([])) => {}
            (kind, value) => match scalar(kind, value) {
                Some(value) => {
                    if let Value::Text(Cow::Owned(_)) = value {
                        self.unreadable.note(NOT_UNICODE);
                    }
                    take(value);
                }
                None => self.unreadable.note(field.name),
            },
        }
    }
}

/// Decodes a value that is no message. `None` if it is not of this kind.
fn scalar<'a>(kind: Kind, value: wire::Value<'a>) -> Option<Value<'a, 'a>> {
    use wire::Value::{Bytes, Varint};
    Some(match (kind, value) {
        (Kind::String, Bytes(bytes)) => text(bytes),
        (Kind::Bool, Varint(value)) => Value::Bool(value != 0),
        (Kind::Int, Varint(value)) => Value::Int(value.cast_signed()),
        (Kind::Int32, Varint(value)) => Value::Int((value as i32).into()),
        (Kind::Bytes, Bytes(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
        (Kind::Time | Kind::MicroTime, Bytes(bytes)) => Value::Time(read_time(kind, bytes)?),
        (Kind::Quantity, Bytes(bytes)) => quantity(bytes)?,
        (Kind::IntOrString, Bytes(bytes)) => int_or_string(bytes)?,
        _ => return None,
    })
}

/// Text, whatever the bytes: an error would cost the object all its series.
fn text(bytes: &[u8]) -> Value<'_, '_> {
    Value::Text(lossy(bytes))
}

fn read_time(kind: Kind, bytes: &[u8]) -> Option<jiff::Timestamp> {
    let (mut second, mut nano) = (0_i64, 0_i32);
    for field in Fields::new(bytes) {
        match field.ok()? {
            (1, wire::Value::Varint(value)) => second = value.cast_signed(),
            // An int32: Go also keeps only the low half.
            (2, wire::Value::Varint(value)) => nano = value as i32,
            _ => {}
        }
    }
    Some(match kind {
        Kind::MicroTime => {
            let (carried, nano) = (nano.div_euclid(SECOND), nano.rem_euclid(SECOND));
            time::timestamp(second.saturating_add(carried.into()), nano / 1000 * 1000)
        }
        _ => time::timestamp(second, 0),
    })
}

fn quantity(bytes: &[u8]) -> Option<Value<'_, '_>> {
    let mut string: &[u8] = b"0";
    for field in Fields::new(bytes) {
        if let (1, wire::Value::Bytes(value)) = field.ok()? {
            string = value;
        }
    }
    // A quantity that is no text is not valid.
    let string = std::str::from_utf8(string).ok().filter(|string| Amount::parse(string).is_some())?;
    Some(Value::Text(Cow::Borrowed(string)))
}

fn int_or_string(bytes: &[u8]) -> Option<Value<'_, '_>> {
    let (mut is_string, mut int, mut string): (_, _, &[u8]) = (false, 0, &[]);
    for field in Fields::new(bytes) {
        match field.ok()? {
            (1, wire::Value::Varint(value)) => is_string = value != 0,
            (2, wire::Value::Varint(value)) => int = (value as i32).into(),
            (3, wire::Value::Bytes(value)) => string = value,
            _ => {}
        }
    }
    Some(if is_string { text(string) } else { Value::Int(int) })
}

/// All entries of a map, wherever they are in the message.
struct Entries<'a, 'u> {
    message: Message<'a, 'u>,
    field: &'static Field,
    first: Option<wire::Value<'a>>,
    rest: Fields<'a>,
}

impl<'a> objects::Entries<'a> for Entries<'a, '_> {
    fn each(&mut self, take: &mut dyn FnMut(Cow<'a, str>, Value<'a, '_>)) {
        let unreadable = self.message.unreadable;
        let redacted = self.message.partial && self.field.name == "annotations";
        while let Some(entry) = self.next() {
            let Some((key, value)) = self.split(entry) else {
                unreadable.note(self.field.name);
                continue;
            };
            if redacted && key == LAST_APPLIED.as_bytes() {
                continue;
            }
            self.message.value(self.field, value, false, |value| {
                let key = lossy(key);
                if let Cow::Owned(_) = key {
                    unreadable.note(NOT_UNICODE);
                }
                take(key, value);
            });
        }
    }
}

impl<'a> Entries<'a, '_> {
    fn next(&mut self) -> Option<wire::Value<'a>> {
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

    /// Returns the key and the value of an entry. `None` if it is malformed.
    fn split(&self, entry: wire::Value<'a>) -> Option<(&'a [u8], wire::Value<'a>)> {
        let wire::Value::Bytes(entry) = entry else { return None };
        let zero = match self.field.kind {
            Kind::Bool | Kind::Int | Kind::Int32 => wire::Value::Varint(0),
            _ => wire::Value::Bytes(&[]),
        };
        let (mut key, mut value) = (wire::Value::Bytes(&[]), zero);
        for field in Fields::new(entry) {
            match field.ok()? {
                (1, found) => key = found,
                (2, found) => value = found,
                _ => {}
            }
        }
        match key {
            wire::Value::Bytes(key) => Some((key, value)),
            _ => None,
        }
    }
}
