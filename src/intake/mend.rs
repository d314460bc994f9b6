//! Rewrites JSON that Go reads and a strict parser refuses, so that one text or number does not cost an object.
//!
//! Half of a surrogate pair and a byte that is not UTF-8 become U+FFFD each, as in Go's `encoding/json`. A number beyond the range of
//! a double becomes a text with its digits, which a field of another type then refuses by itself. Knows nothing of Kubernetes.

use std::borrow::Cow;

/// JSON text after its repair.
#[derive(Debug, PartialEq, Eq)]
pub struct Mended {
    /// The text, with as many lines as before.
    pub text: Vec<u8>,
    /// Number of characters that were replaced by U+FFFD.
    pub replaced: u64,
}

/// Returns `bytes` as text, with U+FFFD for each byte that is not UTF-8. The API server does the same in JSON.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            text
        })),
    }
}

/// Repairs the strings and numbers of JSON text. Returns `None` if there is nothing to repair. Other faults stay.
pub fn mended(bytes: &[u8]) -> Option<Mended> {
    let mut mend = Mend { bytes, kept: 0, text: Vec::new(), replaced: 0 };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'"' => mend.string(at + 1),
            b'-' | b'0'..=b'9' => mend.number(at),
            _ => at + 1,
        };
    }
    if mend.kept == 0 {
        return None;
    }
    mend.keep(bytes.len());
    Some(Mended { text: mend.text, replaced: mend.replaced })
}

struct Mend<'a> {
    bytes: &'a [u8],
    /// Length of the part of `bytes` that is in `text`. 0 if nothing was repaired.
    kept: usize,
    text: Vec<u8>,
    replaced: u64,
}

impl Mend<'_> {
    /// Copies the text up to `end`.
    fn keep(&mut self, end: usize) {
        self.text.extend_from_slice(self.bytes.get(self.kept..end).unwrap_or_default());
        self.kept = end;
    }

    /// Replaces the text between `start` and `end` by a character.
    fn replace(&mut self, start: usize, end: usize) {
        self.keep(start);
        self.text.extend_from_slice("\u{fffd}".as_bytes());
        self.replaced += 1;
        self.kept = end;
    }

    /// Repairs the string from `at`, after its quote. Returns the place after it.
    fn string(&mut self, mut at: usize) -> usize {
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            self.characters(at, at + end);
            at += end;
            at = match self.bytes.get(at) {
                Some(b'\\') => self.escape(at),
                Some(_) => return at + 1,
                None => return at,
            };
        }
    }

    fn characters(&mut self, start: usize, end: usize) {
        let part = self.bytes.get(start..end).unwrap_or_default();
        let mut at = start;
        for chunk in part.utf8_chunks() {
            at += chunk.valid().len();
            for _ in chunk.invalid() {
                self.replace(at, at + 1);
                at += 1;
            }
        }
    }

    /// Repairs the escape at `at`. Returns the place after it.
    fn escape(&mut self, at: usize) -> usize {
        match (self.unit(at), self.unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at + 12,
            (Some(0xd800..=0xdfff), _) => {
                self.replace(at, at + 6);
                at + 6
            }
            _ => at + 2,
        }
    }

    /// The UTF-16 unit of the escape `\u1234` at `at`, if there is one.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    }

    /// Repairs the number at `at`. Returns the place after it.
    fn number(&mut self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let digits = rest.get(..length).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        if digits.parse().is_ok_and(f64::is_infinite) {
            self.keep(at);
            self.text.push(b'"');
            self.keep(at + length);
            self.text.push(b'"');
        }
        at + length.max(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::super::json::tests::any_json;
    use super::*;

    /// Parts of strings.
    const PARTS: &[&[u8]] =
        &[b"\\ud800", b"\\uDC00", b"\\u0041", b"\\\\", b"\\\"", b"\xff", b"\xe2\x82", b"u", b"d800"];

    fn mend(text: &[u8]) -> (String, u64) {
        let mended = mended(text).unwrap();
        (String::from_utf8(mended.text).unwrap(), mended.replaced)
    }

    #[test]
    fn texts_and_numbers_are_repaired_as_go_reads_them() {
        assert_eq!(mend(br#"{"a\ud800":"\udc00x\uD83D\uDE00\ud83d\\ude00"}"#).0, r#"{"a�":"�x\uD83D\uDE00�\\ude00"}"#);
        assert_eq!(mend(br#"["\ud800\ud83d\ude00"]"#), (r#"["�\ud83d\ude00"]"#.to_owned(), 1));
        assert_eq!(mend(b"[\"\xff\xe2\x82|\xc3\xa9\"]"), ("[\"\u{fffd}\u{fffd}\u{fffd}|\u{e9}\"]".to_owned(), 3));
        assert_eq!(
            mend(br#"{"a":1e999,"b":[-2E+400 , 1e9]}"#),
            (r#"{"a":"1e999","b":["-2E+400" , 1e9]}"#.to_owned(), 0)
        );
        for whole in [
            &br#"{"1e999":"-1e999\"1e999","a":1e308}"#[..],
            b"{",
            b"\"",
            b"\"\\",
            b"\"\\u",
            b"\"\\ud8",
            b"\"\\u+123\"",
            b"-",
        ] {
            assert_eq!(mended(whole), None);
        }
    }

    proptest! {
        #[test]
        fn sound_text_stays(value in any_json()) {
            prop_assert_eq!(mended(value.to_string().as_bytes()), None);
        }

        #[test]
        fn a_repaired_text_parses(parts in prop::collection::vec(prop::sample::select(PARTS), 0..9)) {
            let text = [&b"[\""[..], &parts.concat(), b"\",1e999]"].concat();
            let once = mended(&text).unwrap().text;
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&once).is_ok());
            prop_assert_eq!(mended(&once), None);
        }
    }
}
