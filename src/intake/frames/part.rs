//! The parts of a list, and the errors of frames.

/// The size limit of a frame. Objects are at most a few MiB, because etcd refuses more, so a larger frame is not an object.
pub const MAX_FRAME: usize = 64 << 20;

/// Why a response cannot be split into frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A protobuf list does not start with its magic bytes.
    #[error("the response does not start like a protobuf message of Kubernetes")]
    Magic,
    /// A protobuf response is malformed.
    #[error("malformed protobuf around the objects: {0}")]
    Protobuf(&'static str),
    /// A JSON response is malformed.
    #[error("malformed JSON around the objects")]
    Json,
    /// `items` or `rows` is neither a list nor null.
    #[error("the items of the list are not a list")]
    Items,
    /// The list has no `items` or `rows`.
    #[error("the list has no items")]
    NoItems,
    /// A frame is larger than [`MAX_FRAME`].
    #[error("a frame is too large: {0} bytes")]
    TooLarge(u64),
    /// The response ended within a frame or within the list.
    #[error("the response was cut off")]
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
