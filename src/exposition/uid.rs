//! The key of an object.

use std::fmt;

/// The key of an object. UUIDs, the usual UIDs, need no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uid {
    /// A UUID in its usual text form: lower-case hexadecimal digits in groups of 8, 4, 4, 4, 12. Bytes need no alignment.
    Uuid([u8; 16]),
    /// Anything else.
    Text(Box<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        parse_uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(value) => {
                let value = u128::from_be_bytes(*value);
                let group = |shift: u32, digits: u32| value >> shift & ((1 << (4 * digits)) - 1);
                let [a, b, c, d, e] = [group(96, 8), group(80, 4), group(64, 4), group(48, 4), group(0, 12)];
                write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value = 0_u128;
    for (i, &byte) in bytes.iter().enumerate() {
        let digit = match (i, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::Uid;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_uuids_are_packed() {
        assert_eq!(Uid::from("00000000-0000-0000-0000-00000000001f"), Uid::Uuid(31_u128.to_be_bytes()));
        for text in ["", "00000000-0000-0000-0000-00000000001F", "00000000000000000000000000000000001f", "node-1"] {
            assert_eq!(Uid::from(text), Uid::Text(text.into()));
        }
    }

    proptest! {
        #[test]
        fn a_uid_prints_as_it_was(uuid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", text in ".{0,40}") {
            prop_assert!(matches!(Uid::from(uuid.as_str()), Uid::Uuid(_)));
            prop_assert_eq!(Uid::from(uuid.as_str()).to_string(), uuid);
            prop_assert_eq!(Uid::from(text.as_str()).to_string(), text);
        }
    }
}
