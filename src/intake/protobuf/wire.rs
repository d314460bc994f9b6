//! The protobuf wire format: the fields of one message, as slices of its bytes.
//!
//! Knows nothing of messages' shapes. Allocates nothing. No input makes it panic.

use std::iter::FusedIterator;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end within a field.
    #[error("the message is cut off within a field")]
    Truncated,
    /// A varint has more than 64 bits.
    #[error("a varint is longer than 64 bits")]
    LongVarint,
    /// A field number is 0 or above 2^29 - 1.
    #[error("a field number is out of range")]
    FieldNumber,
    /// A wire type that the messages of Kubernetes never use, for example groups.
    #[error("unknown wire type {0}")]
    WireType(u8),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0: integers, booleans, enums. A negative int32 or int64 is the two's complement in 64 bits.
    Varint(u64),
    /// Wire type 1: a double, or 64 bits of fixed width.
    Fixed64(u64),
    /// Wire type 5: a float, or 32 bits of fixed width.
    Fixed32(u32),
    /// Wire type 2: strings, bytes, messages.
    Bytes(&'a [u8]),
}

/// The fields of a message in the order of the wire. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads the fields of the message in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the unread bytes.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), WireError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::FieldNumber)?;
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::FieldNumber);
        }
        let value = match (tag & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(other)),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        // Nearly every tag and length is one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0;
        for (index, byte) in self.rest.iter().enumerate() {
            // Nine bytes carry 63 bits; the tenth has room for one.
            if index == 9 && *byte > 1 {
                return Err(WireError::LongVarint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(WireError::Truncated)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl FusedIterator for Fields<'_> {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    #[derive(Clone, Debug)]
    enum Owned {
        Varint(u64),
        Fixed64(u64),
        Fixed32(u32),
        Bytes(Vec<u8>),
    }

    fn encode(fields: &[(u32, Owned)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, value) in fields {
            let tag = u64::from(*number) << 3;
            match value {
                Owned::Varint(value) => {
                    put_varint(&mut out, tag);
                    put_varint(&mut out, *value);
                }
                Owned::Fixed64(value) => {
                    put_varint(&mut out, tag | 1);
                    out.extend(value.to_le_bytes());
                }
                Owned::Bytes(value) => {
                    put_varint(&mut out, tag | 2);
                    put_varint(&mut out, value.len() as u64);
                    out.extend(value);
                }
                Owned::Fixed32(value) => {
                    put_varint(&mut out, tag | 5);
                    out.extend(value.to_le_bytes());
                }
            }
        }
        out
    }

    fn value() -> impl Strategy<Value = Owned> {
        prop_oneof![
            any::<u64>().prop_map(Owned::Varint),
            any::<u64>().prop_map(Owned::Fixed64),
            any::<u32>().prop_map(Owned::Fixed32),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Owned::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn written_fields_are_read_back(fields in prop::collection::vec((1u32..1 << 29, value()), 0..20)) {
            let bytes = encode(&fields);
            let read: Vec<_> = Fields::new(&bytes).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), fields.len());
            for ((number, read), (expected_number, expected)) in read.iter().zip(&fields) {
                prop_assert_eq!(number, expected_number);
                prop_assert_eq!(*read, match expected {
                    Owned::Varint(value) => Value::Varint(*value),
                    Owned::Fixed64(value) => Value::Fixed64(*value),
                    Owned::Fixed32(value) => Value::Fixed32(*value),
                    Owned::Bytes(value) => Value::Bytes(value),
                });
            }
        }

        #[test]
        fn a_cut_message_gives_its_whole_fields_and_one_error(
            fields in prop::collection::vec((1u32..1 << 29, value()), 1..10),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = encode(&fields);
            let cut = cut.index(bytes.len());
            let read: Vec<_> = Fields::new(&bytes[..cut]).collect();
            let whole: Vec<_> = Fields::new(&bytes).take(read.iter().filter(|f| f.is_ok()).count()).collect();
            prop_assert_eq!(&read[..whole.len()], &whole[..]);
            prop_assert!(read[whole.len()..].iter().all(|f| *f == Err(WireError::Truncated)));
            prop_assert!(read.len() - whole.len() <= 1);
        }

        #[test]
        fn arbitrary_bytes_end_in_at_most_one_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let read: Vec<_> = Fields::new(&bytes).collect();
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    #[test]
    fn impossible_tags_and_varints_are_errors() {
        fn first(bytes: &[u8]) -> Option<Result<(u32, Value<'_>), WireError>> {
            Fields::new(bytes).next()
        }
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[0x00, 0x01]), Some(Err(WireError::FieldNumber)));
        assert_eq!(first(&[0x0b]), Some(Err(WireError::WireType(3))));
        assert_eq!(first(&[0x0f]), Some(Err(WireError::WireType(7))));
        assert_eq!(first(&[0x80, 0x80, 0x80, 0x80, 0x10, 0x00]), Some(Err(WireError::FieldNumber)));
        let mut long = vec![0x08];
        long.extend([0xff; 9]);
        assert_eq!(first(&[&long[..], &[0x01]].concat()), Some(Ok((1, Value::Varint(u64::MAX)))));
        assert_eq!(first(&[&long[..], &[0x02]].concat()), Some(Err(WireError::LongVarint)));
        assert_eq!(first(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some(Err(WireError::Truncated)));
    }
}
