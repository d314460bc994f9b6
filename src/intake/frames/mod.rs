//! From the bytes of an answer to its frames: the items of a list, the events of a watch.
//!
//! Fed chunk by chunk as they arrive; a frame that lies whole within a chunk is handed over where it lies, one that spans
//! chunks is gathered in a buffer that is used again. At most one frame is held, and none above [`part::MAX_FRAME`].
//! Pure: no I/O, no clocks; panics on no input. Does not look into objects.

mod carry;
mod json;
mod part;
mod protobuf;
#[cfg(test)]
mod tests;

use super::encoding::Encoding;
pub use part::{FrameError, ListPart};

/// The parts of a list, in the order in which the server sends them: kind and metadata may come behind the items.
#[derive(Debug)]
pub enum ListFrames {
    /// `k8s\0` and `runtime.Unknown{raw: List}`.
    Protobuf(protobuf::List),
    /// An object with `items` or `rows`.
    Json(json::List),
}

impl ListFrames {
    /// For an answer in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Protobuf => Self::Protobuf(protobuf::List::default()),
            Encoding::Json => Self::Json(json::List::default()),
        }
    }

    /// Hands `on` each part that `chunk` completes.
    ///
    /// # Errors
    /// The answer is malformed, or `on` failed: no more may be fed then.
    pub fn feed<E: From<FrameError>>(
        &mut self,
        chunk: &[u8],
        on: impl FnMut(ListPart<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Protobuf(list) => list.feed(chunk, on),
            Self::Json(list) => list.feed(chunk, on),
        }
    }

    /// The answer is over.
    ///
    /// # Errors
    /// The list is not whole.
    pub fn finish(&self) -> Result<(), FrameError> {
        let whole = match self {
            Self::Protobuf(list) => list.is_whole(),
            Self::Json(list) => list.is_whole(),
        };
        whole.then_some(()).ok_or(FrameError::Truncated)
    }
}

/// The frames of a watch: an event each.
#[derive(Debug)]
pub enum WatchFrames {
    /// 4 bytes of length, most significant first, then that many of a `WatchEvent`.
    Protobuf(protobuf::Watch),
    /// A line each.
    Json(json::Lines),
}

impl WatchFrames {
    /// For an answer in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Protobuf => Self::Protobuf(protobuf::Watch::default()),
            Encoding::Json => Self::Json(json::Lines::default()),
        }
    }

    /// Hands `on` each frame that `chunk` completes.
    ///
    /// # Errors
    /// A frame is too large, or `on` failed: no more may be fed then.
    pub fn feed<E: From<FrameError>>(&mut self, chunk: &[u8], on: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Protobuf(watch) => watch.feed(chunk, on),
            Self::Json(lines) => lines.feed(chunk, on),
        }
    }
}
