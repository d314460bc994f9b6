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
}
