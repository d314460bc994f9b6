//! From the bytes of an answer to its frames: the items of a list, the events of a watch.
//!
//! Fed chunk by chunk as they arrive; a frame that lies whole within a chunk is handed over where it lies, one that spans
//! chunks is gathered in a buffer that is used again. At most one frame is held, and none above [`MAX_FRAME`].
//! Pure: no I/O, no clocks; panics on no input. Does not look into objects.

mod json;
mod protobuf;
#[cfg(test)]
mod tests;

use super::Encoding;

/// The largest frame that is gathered. Objects are at most a few MiB (etcd refuses more), so a larger one is no object.
pub const MAX_FRAME: usize = 64 << 20;

/// A buffer that grew beyond this for a rare large frame is given back.
const KEEP: usize = 1 << 20;

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

/// What is left of a chunk and belongs to a frame that the next ones complete.
#[derive(Debug, Default)]
struct Carry {
    bytes: Vec<u8>,
    /// The bytes were handed out: they go before anything else happens.
    spent: bool,
}

impl Carry {
    /// Forgets what was handed out.
    fn tidy(&mut self) {
        if self.spent {
            self.spent = false;
            self.bytes.clear();
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            }
        }
    }

    /// `want` bytes in a row from the front of `chunk`, what was kept of earlier chunks before it; `None` when the chunk is
    /// used up before.
    fn take<'a, 'c: 'a>(&'a mut self, want: usize, chunk: &mut &'c [u8]) -> Option<&'a [u8]> {
        self.tidy();
        if self.bytes.is_empty()
            && let Some((head, tail)) = chunk.split_at_checked(want)
        {
            *chunk = tail;
            return Some(head);
        }
        let missing = want.saturating_sub(self.bytes.len()).min(chunk.len());
        self.keep(chunk.split_off(..missing).unwrap_or_default(), want);
        (self.bytes.len() >= want).then(|| self.hand_out())
    }

    /// Keeps `bytes` of a frame that will have `whole` at least.
    fn keep(&mut self, bytes: &[u8], whole: usize) {
        // A length is only a claim until the bytes are there: no more is reserved at once than is usual.
        if self.bytes.is_empty() {
            self.bytes.reserve(whole.min(KEEP));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All that is kept; it is forgotten with the next call.
    fn hand_out(&mut self) -> &[u8] {
        self.spent = true;
        &self.bytes
    }

    fn len(&self) -> usize {
        if self.spent { 0 } else { self.bytes.len() }
    }
}
