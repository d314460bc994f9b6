//! Why a text of another process cannot be read.

/// Why a message or an annotation is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It was written in a format that this program does not know.
    #[error(
        "unknown {what} {found} (version {writer} of kube-state-fleet wrote it; this version knows {known}); \
         run a version that knows it"
    )]
    Unknown {
        /// Which part of the format.
        what: &'static str,
        /// Its value.
        found: String,
        /// The known value or values.
        known: String,
        /// The version of the program that wrote it.
        writer: String,
    },
    /// It is no JSON of the expected form.
    #[error("not a valid {what}: {reason}")]
    Malformed {
        /// The expected text.
        what: &'static str,
        /// The parser's message.
        reason: String,
    },
    /// A field is larger than a member makes it.
    #[error("{field} is larger than {limit}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// The limit: a number, or a size in bytes or elements.
        limit: u64,
    },
    /// The values of a record contradict each other.
    #[error("the record of revision {0} contradicts itself")]
    Contradiction(u64),
}
