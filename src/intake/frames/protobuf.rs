//! Lists and watches in protobuf: the wire format around the objects.
//!
//! A list is read field by field as it arrives, since its envelope alone is as long as the list.

use super::carry::Carry;
use super::part::{FrameError, ListPart, MAX_FRAME};
use crate::intake::discard::MAGIC;
use crate::intake::protobuf::wire::{Fields, Value};

/// The position in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Magic,
    Tag,
    Length {
        field: u64,
    },
    /// A number that is skipped.
    Varint,
    /// The content of a field, which is passed on as a whole.
    Body {
        field: u64,
        length: usize,
    },
    /// The rest of a field that is skipped.
    Skip {
        left: u64,
    },
}

/// A varint that may span chunks.
#[derive(Debug, Default)]
struct Varint {
    value: u64,
    shift: u32,
}

impl Varint {
    /// Takes the bytes of the varint from `chunk`; `None` while it is not complete.
    fn take(&mut self, chunk: &mut &[u8]) -> Result<Option<u64>, FrameError> {
        while let Some(byte) = chunk.split_off_first() {
            if self.shift > 63 {
                return Err(FrameError::Protobuf("a varint is longer than 64 bits"));
            }
            self.value |= u64::from(byte & 0x7f) << self.shift;
            self.shift += 7;
            if *byte < 0x80 {
                return Ok(Some(std::mem::take(self).value));
            }
        }
        Ok(None)
    }
}

/// A list: `k8s\0`, then `Unknown{typeMeta=1{kind=2}, raw=2}`, where raw is `List{metadata=1, items=2}`.
#[derive(Debug, Default)]
pub struct List {
    at: At,
    varint: Varint,
    /// Number of remaining bytes of the list; `None` outside the list, in the envelope.
    left: Option<u64>,
    /// Whether the list was read to its end.
    whole: bool,
    carry: Carry,
}

impl List {
    pub(super) fn is_whole(&self) -> bool {
        self.whole && self.at == At::Tag && self.varint.shift == 0
    }

    pub(super) fn feed<E: From<FrameError>>(
        &mut self,
        mut chunk: &[u8],
        mut on: impl FnMut(ListPart<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            if self.left == Some(0) && self.at == At::Tag && self.varint.shift == 0 {
                self.left = None;
                self.whole = true;
            }
            let (inside, before) = (self.left.is_some(), chunk.len());
            let more = self.step(&mut chunk, &mut on)?;
            if inside {
                self.spend((before - chunk.len()) as u64)?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Subtracts `bytes` from the rest of the list.
    fn spend(&mut self, bytes: u64) -> Result<(), FrameError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or(FrameError::Protobuf("an item is longer than its list"))?;
        }
        Ok(())
    }

    /// Reads one token. Returns whether the chunk may hold more.
    fn step<E: From<FrameError>>(
        &mut self,
        chunk: &mut &[u8],
        on: &mut impl FnMut(ListPart<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        match self.at {
            At::Magic => {
                let Some(magic) = self.carry.take(MAGIC.len(), chunk) else { return Ok(false) };
                if magic != MAGIC {
                    return Err(FrameError::Magic.into());
                }
                self.at = At::Tag;
            }
            At::Tag => {
                let Some(tag) = self.varint.take(chunk)? else { return Ok(false) };
                self.at = match tag & 7 {
                    0 => At::Varint,
                    1 => At::Skip { left: 8 },
                    2 => At::Length { field: tag >> 3 },
                    5 => At::Skip { left: 4 },
                    _ => return Err(FrameError::Protobuf("an unknown wire type").into()),
                };
            }
            At::Varint => {
                if self.varint.take(chunk)?.is_none() {
                    return Ok(false);
                }
                self.at = At::Tag;
            }
            At::Length { field } => {
                let Some(length) = self.varint.take(chunk)? else { return Ok(false) };
                self.at = self.content(field, length)?;
            }
            At::Skip { left } => {
                let skipped = left.min(chunk.len() as u64);
                *chunk = chunk.get(skipped as usize..).unwrap_or_default();
                if skipped < left {
                    self.at = At::Skip { left: left - skipped };
                    return Ok(false);
                }
                self.at = At::Tag;
            }
            At::Body { field, length } => {
                let inside = self.left.is_some();
                let Some(body) = self.carry.take(length, chunk) else { return Ok(false) };
                self.at = At::Tag;
                match (inside, field) {
                    (false, _) => on(ListPart::Kind(texts(body, [2])?[0]))?,
                    // ListMeta{selfLink=1, resourceVersion=2, continue=3, remainingItemCount=4}
                    (true, 1) => {
                        let [version, next] = texts(body, [2, 3])?;
                        on(ListPart::Metadata { version, next })?;
                    }
                    (true, _) => on(ListPart::Item(body))?,
                }
            }
        }
        Ok(true)
    }

    /// Returns how to read the content of `field`.
    fn content(&mut self, field: u64, length: u64) -> Result<At, FrameError> {
        if self.left.is_some_and(|left| length > left) {
            return Err(FrameError::Protobuf("an item is longer than its list"));
        }
        match (self.left, field) {
            (None, 2) if !self.whole => {
                self.left = Some(length);
                Ok(At::Tag)
            }
            (None, 1) | (Some(_), 1 | 2) => match usize::try_from(length) {
                Ok(length) if length <= MAX_FRAME => Ok(At::Body { field, length }),
                _ => Err(FrameError::TooLarge(length)),
            },
            _ => Ok(At::Skip { left: length }),
        }
    }
}

/// Returns the texts of some fields of a message.
fn texts<const N: usize>(bytes: &[u8], fields: [u32; N]) -> Result<[&str; N], FrameError> {
    let mut found = [""; N];
    for field in Fields::new(bytes) {
        let (number, value) = field.map_err(|_| FrameError::Protobuf("the metadata of the list is malformed"))?;
        if let (Some(index), Value::Bytes(value)) = (fields.iter().position(|f| *f == number), value) {
            found[index] = std::str::from_utf8(value).map_err(|_| FrameError::Protobuf("a text is not UTF-8"))?;
        }
    }
    Ok(found)
}

/// A watch: each frame has a length and that many bytes.
#[derive(Debug, Default)]
pub struct Watch {
    /// The length of the current frame; `None` before it is known.
    length: Option<usize>,
    carry: Carry,
}

impl Watch {
    pub(super) fn feed<E: From<FrameError>>(
        &mut self,
        mut chunk: &[u8],
        mut on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            match self.length {
                None => {
                    let Some(length) = self.carry.take(4, &mut chunk) else { return Ok(()) };
                    let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
                    if length > MAX_FRAME {
                        return Err(FrameError::TooLarge(length as u64).into());
                    }
                    self.length = Some(length);
                }
                Some(length) => {
                    let Some(frame) = self.carry.take(length, &mut chunk) else { return Ok(()) };
                    self.length = None;
                    on(frame)?;
                }
            }
        }
    }
}
