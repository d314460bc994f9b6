//! Protobuf of Kubernetes objects, read as the k8s-openapi types that JSON is read as.
//!
//! [`read`] hands a `serde::Deserializer` over the wire bytes to the type's own `Deserialize`. `tables.rs`, generated
//! from `fields.txt`, says which fields exist for it: exactly those that the collectors read. All others (managedFields
//! above all) are stepped over. Nothing is allocated here but what the object keeps, with two exceptions that are rare:
//! text that is not UTF-8, and bytes, which JSON writes in base64.
//! The tables are finite trees, so no input can make the decoder recurse deeper than they are.

mod decoder;
mod error;
mod table;
mod tables;
pub mod wire;

use serde::de::DeserializeOwned;
use wire::Value;

pub(super) use decoder::LAST_APPLIED;
use decoder::Node;
pub use error::Error;
pub(super) use table::{Kind, Shape, Table};

use super::form::Form;

/// Reads the protobuf message of a `T`, without its `k8s\0` envelope. In forms other than the whole object kubectl's
/// last-applied annotation is stepped over.
///
/// # Errors
/// No collector reads that kind, so there is no table for it; or the bytes are not its message.
pub fn read<T: k8s_openapi::Resource + DeserializeOwned>(bytes: &[u8], form: Form) -> Result<T, Error> {
    let table = table::<T>()?;
    T::deserialize(match form {
        Form::Object => Node::One(Kind::Message(table), Value::Bytes(bytes)),
        Form::Metadata | Form::Table => Node::Partial(table, bytes),
    })
}

/// Reads a tree of JSON as a `T`, by the same code as the messages.
///
/// # Errors
/// It is no `T`; the text says where.
pub(super) fn of_tree<T: DeserializeOwned>(tree: serde_json::Value) -> Result<T, Error> {
    T::deserialize(Node::Tree(tree))
}

/// What is read of a `T`.
///
/// # Errors
/// No collector reads that kind.
pub(super) fn table<T: k8s_openapi::Resource>() -> Result<&'static Table, Error> {
    tables::root(T::GROUP, T::VERSION, T::KIND).ok_or(Error::UnknownKind { api_version: T::API_VERSION, kind: T::KIND })
}

#[cfg(test)]
mod tests;
