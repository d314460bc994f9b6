//! The rest of a chunk, until its frame is complete.

/// A buffer that grew beyond this for a rare large frame is given back.
pub(super) const KEEP: usize = 1 << 20;

/// What is left of a chunk and belongs to a frame that the next ones complete.
#[derive(Debug, Default)]
pub(super) struct Carry {
    bytes: Vec<u8>,
    /// The bytes were handed out: they go before anything else happens.
    spent: bool,
}

impl Carry {
    /// Forgets what was handed out.
    pub fn tidy(&mut self) {
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

    /// Keeps `bytes` of a frame that will have `whole` at least.
    pub fn keep(&mut self, bytes: &[u8], whole: usize) {
        // A length is only a claim until the bytes are there: no more is reserved at once than is usual.
        if self.bytes.is_empty() {
            self.bytes.reserve(whole.min(KEEP));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All that is kept; it is forgotten with the next call.
    pub fn hand_out(&mut self) -> &[u8] {
        self.spent = true;
        &self.bytes
    }

    pub fn len(&self) -> usize {
        if self.spent { 0 } else { self.bytes.len() }
    }
}
