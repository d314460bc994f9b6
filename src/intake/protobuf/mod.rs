//! Reads the protobuf of Kubernetes objects as the same k8s-openapi types as JSON.
//!
//! [`read`] gives the type's own `Deserialize` a `serde::Deserializer` over the wire bytes. It knows exactly the fields that the
//! collectors read: `tables.rs`, generated from `fields.txt`, lists them. It skips all others, mainly managedFields.
//! Only the parts that the object keeps are allocated, with two rare exceptions: text that is not UTF-8, and bytes, which
//! JSON writes in base64. The tables are finite trees, so no input can make the decoder recurse deeper than they are.

mod decoder;
mod error;
mod table;
mod tables;
pub mod wire;

use serde::de::DeserializeOwned;
use wire::{Fields, Value};

pub(super) use decoder::LAST_APPLIED;
use decoder::Node;
pub use error::Error;
pub(super) use table::{Field, Kind, Shape, Table};

use super::form::Form;
use super::unreadable::Unreadable;
use crate::collectors::parts::FieldSet;

/// The list of `fields.txt` with the fields of all families.
const MORE: &str = "+";

/// Reads the protobuf message of a `T`, without its `k8s\0` envelope. In reduced forms kubectl's last-applied annotation is
/// skipped. Notes the fields that cannot be read, and leaves them out.
///
/// # Errors
/// No collector reads the kind, so it has no table; or the bytes are no message.
pub fn read<T>(bytes: &[u8], form: Form, fields: FieldSet, unreadable: &Unreadable) -> Result<T, Error>
where
    T: k8s_openapi::Resource + DeserializeOwned,
{
    let table = table::<T>(fields)?;
    // The rest of a message that breaks off would look like an object without a status.
    if let Some(Err(error)) = Fields::new(bytes).find(Result::is_err) {
        return Err(error.into());
    }
    T::deserialize(match form {
        Form::Object => Node::One(Kind::Message(table), Value::Bytes(bytes), unreadable),
        Form::Metadata | Form::Table => Node::Partial(table, bytes, unreadable),
    })
}

/// Reads the fields of a `T` that a view of `fields.txt` lists, if there is such a view. Notes the fields that cannot be read.
///
/// # Errors
/// The bytes are no message.
pub(super) fn read_view<T>(bytes: &[u8], view: &str, unreadable: &Unreadable) -> Option<Result<T, Error>>
where
    T: k8s_openapi::Resource + DeserializeOwned,
{
    let table = tables::view(T::GROUP, T::VERSION, T::KIND, view)?;
    Some(T::deserialize(Node::One(Kind::Message(table), Value::Bytes(bytes), unreadable)))
}

/// Reads a tree of JSON as a `T`, with the same code as messages.
///
/// # Errors
/// The tree is not a `T`. The error names the field.
pub(super) fn of_tree<T: DeserializeOwned>(tree: serde_json::Value) -> Result<T, Error> {
    T::deserialize(Node::Tree(tree))
}

/// The fields of a `T` that collectors read.
///
/// # Errors
/// No collector reads the kind.
pub(super) fn table<T: k8s_openapi::Resource>(fields: FieldSet) -> Result<&'static Table, Error> {
    if fields == FieldSet::More
        && let Some(table) = tables::view(T::GROUP, T::VERSION, T::KIND, MORE)
    {
        return Ok(table);
    }
    tables::root(T::GROUP, T::VERSION, T::KIND).ok_or(Error::UnknownKind { api_version: T::API_VERSION, kind: T::KIND })
}

#[cfg(test)]
mod tests;
