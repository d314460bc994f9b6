//! Why an object cannot be read.

use super::wire::WireError;

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
        field: String,
        /// What is wrong.
        source: Box<Error>,
    },
}

impl Error {
    /// The same, within a field.
    pub(super) fn within(self, field: impl Into<String>) -> Self {
        Self::Within { field: field.into(), source: Box::new(self) }
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }
}
