//! Reads the protobuf of Kubernetes objects as the types of [`crate::collectors::objects`].
//!
//! It knows exactly the fields that the collectors read: `tables.rs`, generated from `fields.txt`, lists them. It skips all others,
//! mainly managedFields. An object borrows its texts from the wire bytes, with one rare exception: text that is not UTF-8. The
//! decoder walks over the wire once, and is compiled once for all types: it hands each value to the object, which knows the field.
//! The tables are finite trees, so no input can make the decoder recurse deeper than they are.

mod decoder;
mod error;
mod table;
mod tables;
pub mod wire;

use wire::Fields;

pub(super) use decoder::LAST_APPLIED;
use decoder::Message;
pub use error::Error;
pub(super) use table::{Field, Kind, Shape, Table};

use super::form::Form;
use super::unreadable::Unreadable;
use crate::collectors::objects::Message as _;
use crate::collectors::parts::FieldSet;
use crate::collectors::{Api, Resource};

/// The list of `fields.txt` with the fields of all families.
const MORE: &str = "+";

/// Reads the protobuf message of an object, without its `k8s\0` envelope. In reduced forms kubectl's last-applied annotation is
/// skipped. Notes the fields that cannot be read, and leaves them out.
///
/// # Errors
/// No collector reads the kind, so it has no table; or the bytes are no message.
pub fn read<'a, R: Resource>(
    bytes: &'a [u8],
    form: Form,
    fields: FieldSet,
    unreadable: &Unreadable,
) -> Result<R::Object<'a>, Error> {
    let table = table(&R::API, fields)?;
    // The rest of a message that breaks off would look like an object without a status.
    if let Some(Err(error)) = Fields::new(bytes).find(Result::is_err) {
        return Err(error.into());
    }
    let mut object = R::Object::default();
    Message { table, bytes, partial: form != Form::Object, unreadable }.fill(&mut object);
    Ok(object)
}

/// Reads the fields of an object that a view of `fields.txt` lists, if there is such a view. Notes the fields that cannot be read.
pub(super) fn read_view<'a, R: Resource>(
    bytes: &'a [u8],
    view: &str,
    unreadable: &Unreadable,
) -> Option<R::Object<'a>> {
    let table = tables::view(R::API.group(), R::API.version(), R::API.kind, view)?;
    let mut object = R::Object::default();
    Message { table, bytes, partial: false, unreadable }.fill(&mut object);
    Some(object)
}

/// The fields of a kind that collectors read.
///
/// # Errors
/// No collector reads the kind.
pub(super) fn table(api: &Api, fields: FieldSet) -> Result<&'static Table, Error> {
    let (group, version, kind) = (api.group(), api.version(), api.kind);
    if fields == FieldSet::More
        && let Some(table) = tables::view(group, version, kind, MORE)
    {
        return Ok(table);
    }
    tables::root(group, version, kind).ok_or(Error::UnknownKind { api_version: api.api_version, kind })
}

#[cfg(test)]
mod tests;
