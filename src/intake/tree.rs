//! Hands a tree of JSON to an object, field by field: the same tables as for protobuf say which fields there are.
//!
//! [`super::redact`] has left out whatever does not fit.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::protobuf::{Field, Kind, Shape, Table};
use crate::collectors::objects::{Entries, Message, Value, View};
use crate::collectors::time;

/// An object of JSON.
pub(super) struct Tree {
    table: &'static Table,
    fields: Map<String, Json>,
}

impl Tree {
    /// Reads `fields` as the message of a table.
    pub(super) const fn new(table: &'static Table, fields: Map<String, Json>) -> Self {
        Self { table, fields }
    }
}

impl<'a> Message<'a> for Tree {
    fn fill(&mut self, view: &mut dyn View<'a>) {
        for (name, json) in std::mem::take(&mut self.fields) {
            let Some(Field { kind, shape, slot, .. }) = self.table.named(&name) else { continue };
            match (shape, json) {
                (Shape::Repeated, Json::Array(elements)) => {
                    elements.into_iter().for_each(|element| value(*kind, element, |value| view.set(*slot, value)));
                }
                (Shape::Map, Json::Object(entries)) => {
                    view.set(*slot, Value::Map(&mut Pairs { kind: *kind, entries }));
                }
                (Shape::Repeated | Shape::Map, _) => {}
                (_, json) => value(*kind, json, |value| view.set(*slot, value)),
            }
        }
    }
}

/// The entries of a map.
struct Pairs {
    kind: Kind,
    entries: Map<String, Json>,
}

impl<'a> Entries<'a> for Pairs {
    fn each(&mut self, take: &mut dyn FnMut(Cow<'a, str>, Value<'a, '_>)) {
        for (key, json) in std::mem::take(&mut self.entries) {
            value(self.kind, json, |value| take(Cow::Owned(key), value));
        }
    }
}

/// Passes a value to `take`. Leaves out one that is not of this kind.
fn value<'a>(kind: Kind, json: Json, take: impl FnOnce(Value<'a, '_>)) {
    match (kind, json) {
        (Kind::Message(table), Json::Object(fields)) => take(Value::Message(&mut Tree { table, fields })),
        (Kind::Bool, Json::Bool(value)) => take(Value::Bool(value)),
        (Kind::Int | Kind::Int32 | Kind::IntOrString, Json::Number(number)) => {
            if let Some(number) = number.as_i64() {
                take(Value::Int(number));
            }
        }
        (Kind::String | Kind::Quantity | Kind::IntOrString, Json::String(text)) => take(Value::Text(Cow::Owned(text))),
        (Kind::Bytes, Json::String(text)) => {
            if let Ok(bytes) = STANDARD.decode(text) {
                take(Value::Bytes(Cow::Owned(bytes)));
            }
        }
        (Kind::Time | Kind::MicroTime, Json::String(text)) => {
            if let Some(time) = time::parse(&text) {
                take(Value::Time(time));
            }
        }
        _ => {}
    }
}
