//! The shape of the generated tables.

/// The fields of a message that are read.
#[derive(Debug)]
pub(in crate::intake) struct Table {
    /// Ascending by number, at most 64.
    pub(in crate::intake) fields: &'static [Field],
}

impl Table {
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
