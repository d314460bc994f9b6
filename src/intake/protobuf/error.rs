//! The errors of decoding.

use super::wire::WireError;

/// Why bytes are not an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No table describes the kind.
    #[error("no collector reads {kind} of {api_version}")]
    UnknownKind {
        /// Group and version, for example `apps/v1`.
        api_version: &'static str,
        /// The kind, for example `Deployment`.
        kind: &'static str,
    },
    /// The bytes are not a message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A value does not fit the object's type.
    #[error("{0}")]
    Value(String),
    /// An error within a field.
    #[error("{field}: {source}")]
    Within {
        /// The field's JSON name.
        field: String,
        /// The error.
        source: Box<Error>,
    },
}

impl Error {
    /// Adds the name of the field around the error.
    pub(super) fn within(self, field: impl Into<String>) -> Self {
        Self::Within { field: field.into(), source: Box::new(self) }
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}
