//! Protobuf of Kubernetes objects, read as the k8s-openapi types that JSON is read as.
//!
//! [`read`] hands a `serde::Deserializer` over the wire bytes to the type's own `Deserialize`. `tables.rs`, generated
//! from `fields.txt`, says which fields exist for it: exactly those that the collectors read. All others (managedFields
//! above all) are stepped over. Nothing is allocated here but what the object keeps, with two exceptions that are rare:
//! text that is not UTF-8, and bytes, which JSON writes in base64.
//! The tables are finite trees, so no input can make the decoder recurse deeper than they are.

mod decoder;
mod table;
mod tables;
pub mod wire;

use serde::Deserializer;
use wire::{Value, WireError};

use decoder::Node;
use table::Kind;

/// Why bytes are not an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No table describes the kind.
    #[error("{kind} of {api_version} is not among the known messages")]
    UnknownKind {
        /// Its apiVersion.
        api_version: &'static str,
        /// Its kind.
        kind: &'static str,
    },
    /// The bytes are not a message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The object's type refuses a value.
    #[error("{0}")]
    Value(String),
    /// What is wrong is wrong within a field.
    #[error("{field}: {source}")]
    Within {
        /// Its JSON name.
        field: &'static str,
        /// What is wrong.
        source: Box<Error>,
    },
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}

/// A deserializer over the protobuf message of a `T`, without its `k8s\0` envelope. It shows no apiVersion and no kind.
///
/// # Errors
/// No collector reads that kind, so there is no table for it.
pub fn read<T: k8s_openapi::Resource>(bytes: &[u8]) -> Result<impl Deserializer<'_, Error = Error>, Error> {
    let table = tables::root(T::GROUP, T::VERSION, T::KIND)
        .ok_or(Error::UnknownKind { api_version: T::API_VERSION, kind: T::KIND })?;
    Ok(Node { kind: Kind::Message(table), value: Value::Bytes(bytes) })
}

#[cfg(test)]
mod tests;
