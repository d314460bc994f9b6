//! The shape of the generated tables.

/// What is read of a message.
#[derive(Debug)]
pub(in crate::intake) struct Table {
    /// Ascending by number, at most 64.
    pub(in crate::intake) fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
pub(in crate::intake) struct Field {
    /// Its number on the wire.
    pub(in crate::intake) number: u32,
    /// Its name in JSON; for [`Shape::Inline`] that of the Go type.
    pub(in crate::intake) name: &'static str,
    /// What it holds, or each of its elements.
    pub(in crate::intake) kind: Kind,
    /// How often it may come, and how JSON writes that.
    pub(in crate::intake) shape: Shape,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::intake) enum Kind {
    /// A varint, 0 or 1.
    Bool,
    /// An int32 or int64: a varint, two's complement.
    Int,
    /// Text.
    String,
    /// Bytes, which JSON writes in base64.
    Bytes,
    /// `{seconds = 1, nanos = 2}`, the nanos without meaning; empty is `null`. JSON writes RFC 3339.
    Time,
    /// The same, with nanos as far as they are whole microseconds.
    MicroTime,
    /// `{string = 1}`, which JSON writes as that string.
    Quantity,
    /// `{type = 1, intVal = 2, strVal = 3}`, which JSON writes as the one that `type` chooses.
    IntOrString,
    /// Another message.
    Message(&'static Table),
}

/// How often a field may come, and how JSON writes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum Shape {
    /// At most once. If it is there, JSON has it.
    One,
    /// At most once. It is always on the wire, and JSON omits it when it is zero or empty.
    UnlessEmpty,
    /// Any number of times: an array.
    Repeated,
    /// Any number of times, each a message `{key = 1, value = 2}`: an object.
    Map,
    /// A message whose fields JSON writes as fields of its parent. Never within another inline message.
    Inline,
}
