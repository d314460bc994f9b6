//! Fingerprints of the parts of an object, from the bytes that arrive.
//!
//! A fingerprint covers exactly the listed fields of a part, as they are on the wire, because nothing else can reach a series. So
//! other changes leave it as it is: managedFields, the resourceVersion, the heartbeats of a node's conditions. If the wire
//! bytes differ in any other way, for example in the order of fields, the part counts as changed. A custom resource is one
//! part: its text without managedFields and resourceVersion, unless a family reads these.
//!
//! Objects in reduced forms have none: their families show the resourceVersion, so no event would end here, and Secret data
//! stays out of [`Room`].
//!
//! Fingerprints are XXH3 hashes of 128 bits under a secret of this process, so that a collision cannot be prepared. It could
//! hide a change of one object from its own series, and from nothing else.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use twox_hash::xxhash3_128::Hasher;

use super::json::{Malformed, Members, trim};
use super::protobuf::wire::{Fields, Value};
use super::protobuf::{Field, Kind, Shape, Table, table};
use crate::collectors::Resource;
use crate::collectors::parts::{DESIRED, FieldSet};

/// Length of the secret: the longest that XXH3 uses.
const SECRET: usize = 192;

/// Differs in each process. `RandomState` has random keys.
static SECRET_BYTES: LazyLock<[u8; SECRET]> = LazyLock::new(|| {
    let random = RandomState::new();
    let mut secret = [0; SECRET];
    for (number, bytes) in secret.chunks_exact_mut(size_of::<u64>()).enumerate() {
        bytes.copy_from_slice(&random.hash_one(number).to_ne_bytes());
    }
    secret
});

/// The number of parts of an object, at most.
const MOST_PARTS: usize = 3;

/// Room for the listed bytes of each part, to be used again.
#[derive(Debug, Default)]
pub struct Room([Vec<u8>; MOST_PARTS]);

/// Where the fields of an object or of a field belong, by the index in their table.
#[derive(Debug)]
enum Place {
    /// To no part: no family shows the field.
    Nowhere,
    /// All to this part.
    Part(usize),
    /// Each to its own place.
    Fields(Vec<Self>),
}

/// Computes the fingerprints of objects of one kind.
#[derive(Debug)]
pub struct Fingerprinter {
    table: &'static Table,
    places: Vec<Place>,
    parts: usize,
}

impl Fingerprinter {
    /// Returns `None` if every change is visible, because a family shows the resourceVersion. `fields`: those that families read.
    /// `annotations`: families show annotations.
    #[must_use]
    pub fn new<R: Resource>(fields: FieldSet, annotations: bool) -> Option<Self> {
        let table = table(&R::API, fields).ok()?;
        let is_hidden = |path: &str| path == "metadata.annotations" && !annotations && !R::READS_ANNOTATIONS;
        let part = |path: &str, outer: usize| {
            R::CUT.parts.iter().rfind(|(of, _)| *of == path).map_or(outer, |(_, part)| part.index())
        };
        let place = |path: &str, outer| if is_hidden(path) { Place::Nowhere } else { Place::Part(part(path, outer)) };
        let mut places = Vec::new();
        for field in table.fields {
            let own = part(field.name, DESIRED.index());
            places.push(match (field.kind, field.shape) {
                (Kind::Message(inner), Shape::One | Shape::UnlessEmpty) => {
                    let names = inner.fields.iter().map(|field| field.name);
                    if field.name == "metadata" && names.clone().any(|name| name == "resourceVersion") {
                        return None;
                    }
                    Place::Fields(names.map(|name| place(&format!("{}.{name}", field.name), own)).collect())
                }
                _ => Place::Part(own),
            });
        }
        let parts = R::CUT.count();
        (parts <= MOST_PARTS).then_some(Self { table, places, parts })
    }

    /// Returns the fingerprints of the object in `message`. `None` if it is malformed.
    pub(super) fn of(&self, message: &[u8], room: &mut Room) -> Option<Box<[u128]>> {
        room.0.iter_mut().for_each(Vec::clear);
        divide(self.table, &self.places, message, room)?;
        room.0.iter().take(self.parts).map(|part| hash(part)).collect()
    }
}

fn hash(bytes: &[u8]) -> Option<u128> {
    // Only a short secret is an error.
    Hasher::oneshot_with_secret(&*SECRET_BYTES, bytes).ok()
}

/// Returns the fingerprint of a custom resource without the fields that change with every write. `None` if the text is malformed.
pub(super) fn of_json(text: &[u8], room: &mut Room) -> Option<Box<[u128]>> {
    let [part, ..] = &mut room.0;
    part.clear();
    text_of(text, true, part).ok()?;
    Some([hash(part)?].into())
}

/// Copies the members of the object `text`, and of its metadata all but those that change with every write.
fn text_of(text: &[u8], is_object: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut members = Members::of(text)?;
    while let Some(key) = members.next_key()? {
        if !is_object && matches!(&*key, "managedFields" | "resourceVersion") {
            continue;
        }
        // Neither a key nor a value contains the byte 0.
        out.extend_from_slice(key.as_bytes());
        out.push(0);
        if is_object && key == "metadata" && trim(members.ahead()).starts_with(b"{") {
            text_of(members.ahead(), false, out)?;
        } else {
            out.extend_from_slice(members.value()?);
        }
        out.push(0);
    }
    Ok(())
}

/// Copies the fields of `message` to the parts that `places` names. `None` if it is malformed.
fn divide(table: &'static Table, places: &[Place], message: &[u8], room: &mut Room) -> Option<()> {
    for found in Listed::new(table, message) {
        let Found { index, field, raw, value } = found?;
        match (places.get(index)?, field.kind, value) {
            (Place::Nowhere, ..) => {}
            (Place::Part(part), ..) => copy(field, raw, value, room.0.get_mut(*part)?)?,
            (Place::Fields(inner), Kind::Message(table), Value::Bytes(bytes)) => {
                // A field without contents is not the same as none, for any part.
                room.0.iter_mut().for_each(|part| mark(part, field.number, START));
                divide(table, inner, bytes, room)?;
            }
            (Place::Fields(_), ..) => return None,
        }
    }
    Some(())
}

/// Wire types of groups, which Kubernetes does not use. They mark messages, because the length of a message also depends on
/// fields that are not listed.
const START: u32 = 3;
const END: u32 = 4;

fn mark(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    let mut tag = number << 3 | wire_type;
    while tag >= 0x80 {
        out.push(tag as u8 | 0x80);
        tag >>= 7;
    }
    out.push(tag as u8);
}

/// Copies the listed fields of a field. `None` if it is malformed.
fn copy(field: &Field, raw: &[u8], value: Value<'_>, out: &mut Vec<u8>) -> Option<()> {
    match (field.kind, field.shape, value) {
        (
            Kind::Message(table),
            Shape::One | Shape::UnlessEmpty | Shape::Repeated | Shape::Inline,
            Value::Bytes(bytes),
        ) => {
            if field.shape == Shape::Repeated && !table.takes(bytes) {
                return Some(());
            }
            mark(out, field.number, START);
            for found in Listed::new(table, bytes) {
                let Found { field, raw, value, .. } = found?;
                copy(field, raw, value, out)?;
            }
            mark(out, field.number, END);
        }
        _ => out.extend_from_slice(raw),
    }
    Some(())
}

/// A listed field of a message.
struct Found<'a> {
    /// The index in the table.
    index: usize,
    field: &'static Field,
    /// The field with its tag.
    raw: &'a [u8],
    value: Value<'a>,
}

/// The listed fields of a message, in the order of the wire.
struct Listed<'a> {
    table: &'static Table,
    place: usize,
    fields: Fields<'a>,
}

impl<'a> Listed<'a> {
    fn new(table: &'static Table, message: &'a [u8]) -> Self {
        Self { table, place: 0, fields: Fields::new(message) }
    }
}

/// An item is `None` if the message is malformed.
impl<'a> Iterator for Listed<'a> {
    type Item = Option<Found<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let before = self.fields.rest();
            let Ok((number, value)) = self.fields.next()? else { return Some(None) };
            if let Some((index, field)) = self.table.find(&mut self.place, number) {
                let raw = &before[..before.len() - self.fields.rest().len()];
                return Some(Some(Found { index, field, raw, value }));
            }
        }
    }
}
