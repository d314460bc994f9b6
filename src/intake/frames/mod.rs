//! Splits the bytes of a response into frames: the items of a list, the events of a watch.
//!
//! Chunks are fed as they arrive. A frame within one chunk is passed on in place. A frame that spans chunks is collected in a
//! buffer, which is reused. At most one frame is buffered, and none above [`part::MAX_FRAME`].
//! Pure: no I/O and no clocks. No input makes it panic. Does not read objects.

mod carry;
mod json;
mod part;
mod protobuf;
#[cfg(test)]
mod tests;

use super::encoding::Encoding;
pub use part::{FrameError, ListPart};

/// Splits a list into parts, in the order of the server: kind and metadata may come after the items.
#[derive(Debug)]
pub enum ListFrames {
    /// `k8s\0` and `runtime.Unknown{raw: List}`.
    Protobuf(protobuf::List),
    /// An object with `items` or `rows`.
    Json(json::List),
}

impl ListFrames {
    /// For a response in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Protobuf => Self::Protobuf(protobuf::List::default()),
            Encoding::Json => Self::Json(json::List::default()),
        }
    }

    /// Calls `on` with each part that `chunk` completes.
    ///
    /// # Errors
    /// The response is malformed, or `on` failed. Do not feed more then.
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

    /// The response ended.
    ///
    /// # Errors
    /// The list is not complete, or has no items.
    pub fn finish(&self) -> Result<(), FrameError> {
        let whole = match self {
            Self::Protobuf(list) => list.is_whole(),
            Self::Json(list) => list.is_whole(),
        };
        if !whole {
            return Err(FrameError::Truncated);
        }
        match self {
            Self::Json(list) if !list.has_items() => Err(FrameError::NoItems),
            _ => Ok(()),
        }
    }
}

/// Splits a watch into frames of one event each.
#[derive(Debug)]
pub enum WatchFrames {
    /// 4 bytes of length, most significant first, then a `WatchEvent` of that length.
    Protobuf(protobuf::Watch),
    /// One line per event.
    Json(json::Lines),
}

impl WatchFrames {
    /// For a response in `encoding`.
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Protobuf => Self::Protobuf(protobuf::Watch::default()),
            Encoding::Json => Self::Json(json::Lines::default()),
        }
    }

    /// Calls `on` with each frame that `chunk` completes.
    ///
    /// # Errors
    /// A frame is too large, or `on` failed. Do not feed more then.
    pub fn feed<E: From<FrameError>>(&mut self, chunk: &[u8], on: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Protobuf(watch) => watch.feed(chunk, on),
            Self::Json(lines) => lines.feed(chunk, on),
        }
    }
}
