//! The shape of the generated tables.

use super::wire::{Fields, Value};

/// The fields of a message that are read.
#[derive(Debug)]
pub(in crate::intake) struct Table {
    /// A bit per field, by its index. An element of a list is read only if it has one of these fields; all are read if this is 0.
    pub(in crate::intake) needs: u64,
    /// Ascending by number, at most 64.
    pub(in crate::intake) fields: &'static [Field],
}

impl Table {
    /// Returns whether an element of a list is read. A malformed one is, so that it is noted.
    pub(in crate::intake) fn takes(&self, element: &[u8]) -> bool {
        let mut place = 0;
        let is_needed = |field| {
            let Ok((number, value)) = field else { return true };
            let found = self.find(&mut place, number).filter(|(index, _)| self.needs >> index & 1 == 1);
            found.is_some_and(|(_, field)| match (field.shape, field.kind, value) {
                (Shape::Inline, Kind::Message(inner), Value::Bytes(bytes)) => inner.takes(bytes),
                _ => true,
            })
        };
        self.needs == 0 || Fields::new(element).any(is_needed)
    }

    /// Returns whether an element of a list is read that has the JSON fields for which `has` returns true.
    pub(in crate::intake) fn takes_named(&self, has: &impl Fn(&str) -> bool) -> bool {
        let needed = self.fields.iter().enumerate().filter(|(index, _)| self.needs >> index & 1 == 1);
        let mut needed = needed.map(|(_, field)| match (field.shape, field.kind) {
            (Shape::Inline, Kind::Message(inner)) => inner.takes_named(has),
            _ => has(field.name),
        });
        self.needs == 0 || needed.any(|is_there| is_there)
    }

    /// Returns the field with a JSON name, also if it is inlined.
    pub(in crate::intake) fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find_map(|field| match (field.shape, field.kind) {
            (Shape::Inline, Kind::Message(inner)) => inner.named(name),
            _ => (field.name == name).then_some(field),
        })
    }

    /// Returns the field with a number, and its index. Moves `place`, the index below which all numbers are less than the last
    /// one: encoders write fields in ascending order, so the next field is near.
    pub(in crate::intake) fn find(&self, place: &mut usize, number: u32) -> Option<(usize, &'static Field)> {
        let fields = self.fields;
        while *place > 0 && fields.get(*place - 1).is_some_and(|field| field.number >= number) {
            *place -= 1;
        }
        while fields.get(*place).is_some_and(|field| field.number < number) {
            *place += 1;
        }
        fields.get(*place).filter(|field| field.number == number).map(|field| (*place, field))
    }
}

/// One field of a message.
#[derive(Debug)]
pub(in crate::intake) struct Field {
    /// The field's number on the wire.
    pub(in crate::intake) number: u32,
    /// The field's JSON name; for [`Shape::Inline`] the name of the Go type.
    pub(in crate::intake) name: &'static str,
    /// The kind of its value, or of each element.
    pub(in crate::intake) kind: Kind,
    /// How often the field may occur, and how JSON represents it.
    pub(in crate::intake) shape: Shape,
    /// The slot of the field in its type ([`crate::collectors::objects`]). Unused for [`Shape::Inline`].
    pub(in crate::intake) slot: u8,
}

/// The kinds of values.
#[derive(Clone, Copy, Debug)]
pub(in crate::intake) enum Kind {
    /// A varint, 0 or 1.
    Bool,
    /// An int64: a varint, two's complement.
    Int,
    /// An int32: the same, of which Go keeps the low half.
    Int32,
    /// Text.
    String,
    /// Bytes, which JSON writes in base64.
    Bytes,
    /// `{seconds = 1, nanos = 2}`. The nanos are ignored, and an empty message is `null`. JSON writes RFC 3339.
    Time,
    /// The same, with nanos rounded down to microseconds.
    MicroTime,
    /// `{string = 1}`, which JSON writes as that string.
    Quantity,
    /// `{type = 1, intVal = 2, strVal = 3}`, of which JSON writes the value that `type` selects.
    IntOrString,
    /// Another message.
    Message(&'static Table),
}

/// How often a field may occur, and how JSON represents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum Shape {
    /// At most once. JSON has the field if the message has it.
    One,
    /// At most once. The wire always has the field; JSON omits it when it is zero or empty.
    UnlessEmpty,
    /// Any number of times: an array.
    Repeated,
    /// Any number of times, each a message `{key = 1, value = 2}`: an object.
    Map,
    /// A message whose fields JSON writes into the parent. Never within another inline message.
    Inline,
}
