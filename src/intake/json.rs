//! Slices JSON text without parsing it: finds the end of a value, and the members of an object in turn.
//!
//! It respects strings and nesting. It does not validate the rest; the decoder of a value does.
//! Allocates only for a string with escapes or without UTF-8. No input makes it panic. Knows nothing of Kubernetes.

use std::borrow::Cow;

use super::mend::{lossy, mended};

/// The text is not JSON, as far as slicing can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON")]
pub struct Malformed;

/// Finds the end of one value, piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    depth: u32,
    within: Within,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    /// Before the value.
    #[default]
    Start,
    /// Between the tokens of an object or an array.
    Nested,
    /// In a string.
    String,
    /// In a string, after a backslash.
    Escape,
    /// In a number, `true`, `false` or `null` that is not nested.
    Scalar,
}

impl Scan {
    /// Reads `bytes`. Returns how many of them belong to the value if it ends there; `None` if it continues.
    /// A number ends only at the delimiter after it.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.within {
                Within::String => {
                    at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
                    match bytes.get(at) {
                        Some(b'\\') => self.within = Within::Escape,
                        _ if self.depth == 0 => return Some(at + 1),
                        _ => self.within = Within::Nested,
                    }
                }
                Within::Escape => self.within = Within::String,
                Within::Scalar => {
                    if matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') {
                        return Some(at);
                    }
                }
                Within::Start | Within::Nested => match byte {
                    b'"' => self.within = Within::String,
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.within = Within::Nested;
                    }
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ if self.within == Within::Start => self.within = Within::Scalar,
                    _ => {}
                },
            }
            at += 1;
        }
        None
    }
}

/// Removes leading white space.
pub fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_start()
}

/// Splits `bytes` after the value at its start.
///
/// # Errors
/// There is no value, or it does not end.
pub fn split_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let bytes = trim(bytes);
    match Scan::default().advance(bytes) {
        Some(end) => bytes.split_at_checked(end).ok_or(Malformed),
        // A number, `true`, `false` or `null` may end with the text.
        None if bytes.first().is_some_and(|b| !matches!(b, b'"' | b'{' | b'[' | b']' | b'}')) => Ok((bytes, &[])),
        None => Err(Malformed),
    }
}

/// Returns the string whose JSON text, with its quotes, is `raw`. Replaces everything that is not Unicode, as Go does.
///
/// # Errors
/// `raw` is not a string.
pub fn string(raw: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    let text = raw.strip_prefix(b"\"").and_then(|r| r.strip_suffix(b"\"")).ok_or(Malformed)?;
    if memchr::memchr(b'\\', text).is_none() {
        return Ok(lossy(text));
    }
    let read = serde_json::from_slice(raw).ok();
    let read = read.or_else(|| serde_json::from_slice(&mended(raw)?.text).ok());
    read.map(Cow::Owned).ok_or(Malformed)
}

/// The members of an object, in the order of the text. A value is skipped only when the next key is requested, so a
/// caller that stops early does not pay for the rest.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a [u8],
    at_value: bool,
}

impl<'a> Members<'a> {
    /// The members of the object at the start of `bytes`.
    ///
    /// # Errors
    /// The text is not an object.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let rest = trim(bytes).strip_prefix(b"{").ok_or(Malformed)?;
        Ok(Self { rest, at_value: false })
    }

    /// Returns the next key; [`Members::ahead`] starts with its value.
    ///
    /// # Errors
    /// The text is malformed.
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        if self.at_value {
            self.value()?;
        }
        self.rest = trim(self.rest);
        if let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = trim(rest);
        }
        if self.rest.first() == Some(&b'}') {
            return Ok(None);
        }
        let (key, rest) = split_value(self.rest)?;
        let key = string(key)?;
        self.rest = trim(trim(rest).strip_prefix(b":").ok_or(Malformed)?);
        self.at_value = true;
        Ok(Some(key))
    }

    /// Returns the text from the value of the last key to the end.
    pub fn ahead(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns the text of the last key's value.
    ///
    /// # Errors
    /// The value does not end.
    pub fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let (value, rest) = split_value(self.rest)?;
        self.rest = rest;
        self.at_value = false;
        Ok(value)
    }

    /// Returns the last key's value as a string; empty for `null` and other types.
    ///
    /// # Errors
    /// The value does not end.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.value().map(|raw| string(raw).unwrap_or_default())
    }
}

/// The elements of an array, in the order of the text. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The elements of the array at the start of `bytes`; none if it is not an array.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(trim(bytes).strip_prefix(b"[").unwrap_or_default())
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = trim(self.0);
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = trim(behind);
        }
        self.0 = &[];
        if rest.is_empty() || rest.starts_with(b"]") {
            return None;
        }
        Some(split_value(rest).map(|(element, behind)| {
            self.0 = behind;
            element
        }))
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    pub fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
            r#"["\\{}\[\],:\n a]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(r#"["\\{}a-c]{0,3}"#, inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_ends_where_it_ends(value in any_json(), tail in "[,\\]} \n][ -~]{0,9}", pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let whole = format!("{text}{tail}");
            let (found, rest) = split_value(whole.as_bytes()).unwrap();
            prop_assert_eq!(found, text.as_bytes());
            prop_assert_eq!(rest, tail.as_bytes());
        }

        #[test]
        fn a_value_in_pieces_ends_at_the_same_place(value in any_json(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let text = format!("{value},");
            let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut scan = Scan::default();
            let end = cuts.windows(2).find_map(|w| scan.advance(&text.as_bytes()[w[0]..w[1]]).map(|n| w[0] + n));
            prop_assert_eq!(end, Some(text.len() - 1));
        }

        #[test]
        fn members_are_those_of_a_parser(map in prop::collection::btree_map(r#"["\\{}a-cé]{0,4}"#, any_json(), 0..6)) {
            let text = serde_json::to_string_pretty(&map).unwrap();
            let mut members = Members::of(text.as_bytes()).unwrap();
            for (key, value) in &map {
                prop_assert_eq!(members.next_key().unwrap().unwrap(), key.as_str());
                // Half of the values are left to be skipped.
                if key.len() % 2 == 0 {
                    prop_assert_eq!(&serde_json::from_slice::<Value>(members.value().unwrap()).unwrap(), value);
                }
            }
            prop_assert_eq!(members.next_key(), Ok(None));
        }

        #[test]
        fn elements_are_those_of_a_parser(values in prop::collection::vec(any_json(), 0..6)) {
            let text = serde_json::to_string_pretty(&values).unwrap();
            let found: Vec<Value> = Elements::of(text.as_bytes()).map(|e| serde_json::from_slice(e.unwrap()).unwrap()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn arbitrary_text_panics_nowhere(text in r#"["\\{}\[\],:a1 \n]{0,40}"#) {
            let bytes = text.as_bytes();
            let _ = split_value(bytes);
            let _ = string(bytes);
            prop_assert!(Elements::of(bytes).count() <= bytes.len());
            if let Ok(mut members) = Members::of(bytes) {
                let mut keys = 0;
                while let Ok(Some(_)) = members.next_key() {
                    keys += 1;
                    prop_assert!(keys <= bytes.len());
                }
            }
        }
    }

    #[test]
    fn a_string_is_unescaped() {
        assert_eq!(string(br#""a\"b""#).unwrap(), "a\"b");
        assert!(matches!(string(br#""ab""#), Ok(Cow::Borrowed("ab"))));
        assert_eq!(string(json!(1).to_string().as_bytes()), Err(Malformed));
        assert_eq!(string(b"\""), Err(Malformed));
        assert_eq!(string(b"\"\xff\"").unwrap(), "\u{fffd}");
        assert_eq!(string(br#""\n\ud800""#).unwrap(), "\n\u{fffd}");
    }
}
