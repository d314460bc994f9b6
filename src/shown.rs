//! Shows text from outside: control characters are escaped, and long text is cut.
//!
//! A terminal obeys control characters, and a log reader takes a line break for the start of another line. So a name, a message or
//! a value that another program chose appears only in this form.

use std::fmt::Write;

/// The maximum number of bytes of a line of the log or on stderr.
pub const LINE_BYTES: usize = 2048;
/// The maximum number of bytes of a single value in a message.
pub const VALUE_BYTES: usize = 200;

/// Marks where text was cut.
const CUT: &str = "...";

/// Returns `text` with control characters escaped, cut to [`VALUE_BYTES`].
pub fn value(text: &str) -> String {
    within(text, VALUE_BYTES)
}

/// Returns the start of a text that another program sent, as [`value`].
pub fn bytes(text: &[u8]) -> String {
    // One byte more, so that `value` marks the cut.
    value(String::from_utf8_lossy(&text[..text.len().min(VALUE_BYTES + 1)]).trim())
}

/// Returns `text` as one line, with control characters escaped, cut to [`LINE_BYTES`].
pub fn line(text: &str) -> String {
    within(text, LINE_BYTES)
}

/// Returns `text` with control characters escaped, cut to `maximum` bytes.
pub fn within(text: &str, maximum: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(maximum));
    // The length up to which another character and the mark still fit.
    let mut fits = 0;
    for c in text.chars() {
        if is_hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
        if shown.len() > maximum {
            shown.truncate(fits);
            shown.push_str(CUT);
            break;
        }
        if shown.len() + CUT.len() <= maximum {
            fits = shown.len();
        }
    }
    shown
}

/// Returns the names of the first few items, and how many more there are.
pub fn few<T>(items: &[T], most: usize, separator: &str, name: impl FnMut(&T) -> String) -> String {
    let mut named: Vec<_> = items.iter().take(most).map(name).collect();
    if let Some(more) = items.len().checked_sub(most).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    named.join(separator)
}

/// Returns a message of a parser as one line, without the values that it quotes.
pub fn without_values(message: &impl ToString) -> String {
    let text = message.to_string();
    // A value may contain the quotation mark itself, so everything up to the last one goes.
    let text = match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}{CUT}{}", &text[..first], &text[last + 1..]),
        _ => text,
    };
    let text = match (text.find('`'), text.rfind('`')) {
        (Some(first), Some(last)) if first < last && !text[..first].ends_with("missing field ") => {
            format!("{}{CUT}{}", &text[..first], &text[last + 1..])
        }
        _ => text,
    };
    line(&text)
}

/// Whether a character does not appear as itself: control characters, line separators, and invisible marks that change how the
/// text around them looks (<https://trojansource.codes>).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_others_stay() {
        assert_eq!(value("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
        assert_eq!(value("é \"quoted\" \\ text"), "é \"quoted\" \\ text");
    }

    #[test]
    fn the_answer_of_a_peer_is_shown_escaped_and_short() {
        assert_eq!(bytes(b" not found\n"), "not found");
        assert_eq!(bytes(b"a\nb\x1b[31m\xff"), "a\\nb\\u{1b}[31m\u{fffd}");
        assert_eq!(bytes(&[b'x'; VALUE_BYTES]).len(), VALUE_BYTES);
        for long in [[b'x'; 9999], [b'\n'; 9999], [0xff; 9999]] {
            assert!(bytes(&long).len() <= VALUE_BYTES);
        }
        assert!(bytes(&[b'x'; 9999]).ends_with("x..."));
    }

    #[test]
    fn quoted_values_are_left_out() {
        for (message, shown) in [
            (
                "spec.a: invalid type: string \"se\\\"cret\", expected i32",
                "spec.a: invalid type: string ..., expected i32",
            ),
            ("invalid type: integer `5`, expected a string", "invalid type: integer ..., expected a string"),
            ("missing field `name`", "missing field `name`"),
            ("a: truncated", "a: truncated"),
        ] {
            assert_eq!(without_values(&message), shown);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(within("abcdef", 6), "abcdef");
        assert_eq!(within("abcdefg", 6), "abc...");
        assert_eq!(within("ééééé", 6), "é...");
        assert_eq!(within("\n\n\n\n", 6), "\\n...");
        for maximum in 3..40 {
            assert!(within(&"aé\n\u{202e}".repeat(99), maximum).len() <= maximum, "{maximum}");
        }
        assert!(line(&"x".repeat(9999)).len() == LINE_BYTES);
    }
}
