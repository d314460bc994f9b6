//! Texts of other processes, for messages, logs and pages.

use crate::shown::is_hidden;

/// Maximum number of characters of another process' text.
const MAX_SHOWN: usize = 200;

/// Returns a text of another process for a message: on one line, escaped, and at most 200 characters long.
pub fn shown(text: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(&text[..text.len().min(4 * MAX_SHOWN)]))
}

/// As [`shown`], of a string.
pub fn escaped(text: &str) -> String {
    let text = text.trim();
    let mut shown: String = text.chars().flat_map(escape).take(MAX_SHOWN).collect();
    if text.chars().flat_map(escape).nth(MAX_SHOWN).is_some() {
        shown.extend(std::iter::repeat_n('.', 3));
    }
    shown
}

/// Escapes invisible characters, and blanks other than a space.
fn escape(character: char) -> impl Iterator<Item = char> {
    let visible = character == ' ' || (!character.is_whitespace() && !is_hidden(character));
    let escaped = (!visible).then(|| character.escape_unicode());
    visible.then_some(character).into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_peer_is_shown_escaped_and_short() {
        assert_eq!(shown(b" not found\n"), "not found");
        assert_eq!(shown(b"a\nb\x1b[31m\xff"), "a\\u{a}b\\u{1b}[31m\u{fffd}");
        assert_eq!(escaped("\u{202e}x"), "\\u{202e}x");
        let long = escaped(&"x".repeat(1 << 20));
        assert_eq!(long.len(), MAX_SHOWN + 3);
        assert!(long.ends_with("x..."));
        assert_eq!(escaped(&"x".repeat(MAX_SHOWN)).len(), MAX_SHOWN);
    }
}
