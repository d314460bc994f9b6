//! What frames are read into, and why they cannot be read.

/// The largest frame that is gathered. Objects are at most a few MiB (etcd refuses more), so a larger one is no object.
pub const MAX_FRAME: usize = 64 << 20;

/// Why bytes are not the frames of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A list in protobuf does not start as one.
    #[error("the answer does not start as a protobuf message of Kubernetes")]
    Magic,
    /// A protobuf answer is malformed.
    #[error("malformed protobuf around the objects: {0}")]
    Protobuf(&'static str),
    /// A JSON answer is malformed.
    #[error("malformed JSON around the objects")]
    Json,
    /// A frame is larger than [`MAX_FRAME`].
    #[error("a frame of {0} bytes")]
    TooLarge(u64),
    /// The answer ended within a frame or within the list.
    #[error("the answer was cut off")]
    Truncated,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPart<'a> {
    /// The list's kind.
    Kind(&'a str),
    /// The list's metadata.
    Metadata {
        /// `resourceVersion`.
        version: &'a str,
        /// `continue`: where the next page starts; empty on the last one.
        next: &'a str,
    },
    /// The text of a Table's `columnDefinitions`.
    Columns(&'a [u8]),
    /// An item: a protobuf message, or the JSON text of an object or of a Table's row.
    Item(&'a [u8]),
}
