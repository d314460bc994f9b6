//! Edits protobuf messages.

#![allow(dead_code, reason = "each bench and test uses a part")]

use std::borrow::Cow;

use kube_state_fleet::intake::protobuf::wire::{Fields, Value};

/// A value to write.
#[derive(Clone, Debug)]
pub enum New<'a> {
    Number(u64),
    Bytes(Cow<'a, [u8]>),
}

impl<'a> From<&'a str> for New<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes().into())
    }
}

/// Appends a field to a message.
pub fn put(out: &mut Vec<u8>, number: u32, value: &New<'_>) {
    let tag = u64::from(number) << 3;
    match value {
        New::Number(value) => {
            varint(out, tag);
            varint(out, *value);
        }
        New::Bytes(value) => {
            varint(out, tag | 2);
            varint(out, value.len() as u64);
            out.extend_from_slice(value);
        }
    }
}

/// Returns a field as a message of its own.
pub fn field(number: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, number, &New::Bytes(value.into()));
    out
}

/// Returns `message` with the field at the end of a path of field numbers set. Of a repeated field, it sets the first element.
pub fn set(message: &[u8], path: &[u32], new: &New<'_>) -> Vec<u8> {
    let (number, inner) = path.split_first().expect("a path is not empty");
    let value = |old: &[u8]| match inner {
        [] => new.clone(),
        _ => New::Bytes(set(old, inner, new).into()),
    };
    let (mut out, mut is_set) = (Vec::new(), false);
    let mut fields = Fields::new(message);
    loop {
        let before = fields.rest();
        let (found, old) = match fields.next() {
            Some(field) => field.expect("the message is sound"),
            None => break,
        };
        // Encoders write fields in ascending order.
        if found >= *number && !is_set {
            is_set = true;
            let old = if let Value::Bytes(old) = old { old } else { &[] };
            put(&mut out, *number, &value(if found == *number { old } else { &[] }));
            if found == *number {
                continue;
            }
        }
        out.extend_from_slice(&before[..before.len() - fields.rest().len()]);
    }
    if !is_set {
        put(&mut out, *number, &value(&[]));
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
