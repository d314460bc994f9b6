//! Plain texts of YAML that look like numbers beyond the range of a double: a Git hash such as `7e5396`. Go, and so kubectl, reads and
//! writes them as texts.

use std::borrow::Cow;
use std::sync::LazyLock;

use granit_parser::{Event, Parser, ScalarStyle};
use regex::Regex;

/// What each such number has: an exponent above 99, or more digits than a double can have before its point. A dump without them, which is
/// nearly every one, is parsed once only.
static CANDIDATE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9.][eE]\+?[0-9]{3}|[0-9]{300}").ok());

/// Returns a YAML document with such texts in quotation marks. Text that is not YAML stays.
pub(super) fn quoted(document: &str) -> Cow<'_, str> {
    if !CANDIDATE.as_ref().is_none_or(|candidate| candidate.is_match(document)) {
        return Cow::Borrowed(document);
    }
    let mut quoted = String::new();
    let mut kept = 0;
    for event in Parser::new_from_str(document) {
        let Ok((event, span)) = event else { return Cow::Borrowed(document) };
        let Event::Scalar(text, ScalarStyle::Plain, _, None) = event else { continue };
        let is_number = text.contains(|c: char| c.is_ascii_digit()) && text.parse().is_ok_and(f64::is_infinite);
        let Some(range) = span.byte_range().filter(|_| is_number) else { continue };
        quoted += document.get(kept..range.start).unwrap_or_default();
        quoted.extend(["'", &text, "'"]);
        kept = range.end;
    }
    quoted += document.get(kept..).unwrap_or_default();
    Cow::Owned(quoted)
}
