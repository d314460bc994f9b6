//! Keeps the start of a frame until the rest arrives.

/// A buffer that grew beyond this for a rare large frame is freed.
pub(super) const KEEP: usize = 1 << 20;

/// The start of a frame whose rest comes with the next chunks.
#[derive(Debug, Default)]
pub(super) struct Carry {
    bytes: Vec<u8>,
    /// The bytes were passed on, and are removed before the next operation.
    spent: bool,
}

impl Carry {
    /// Removes the bytes that were passed on.
    pub fn tidy(&mut self) {
        if self.spent {
            self.spent = false;
            self.bytes.clear();
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            }
        }
    }

    /// Takes `want` contiguous bytes: the kept ones and then the front of `chunk`. Returns `None` if the chunk is too short, and
    /// keeps it.
    pub fn take<'a, 'c: 'a>(&'a mut self, want: usize, chunk: &mut &'c [u8]) -> Option<&'a [u8]> {
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

    /// Keeps `bytes` of a frame of at least `whole` bytes.
    pub fn keep(&mut self, bytes: &[u8], whole: usize) {
        // A length may be wrong until the bytes arrive, so reserve no more than is usual.
        if self.bytes.is_empty() {
            self.bytes.reserve(whole.min(KEEP));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Passes on all kept bytes; the next call removes them.
    pub fn hand_out(&mut self) -> &[u8] {
        self.spent = true;
        &self.bytes
    }

    pub fn len(&self) -> usize {
        if self.spent { 0 } else { self.bytes.len() }
    }
}
