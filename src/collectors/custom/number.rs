//! Converts fields to the numbers of gauges, in the order of kube-state-metrics.

use std::borrow::Cow;

use jiff::civil::DateTime;

use super::value::Value;
use crate::collectors::quantity::Amount;

/// The start of Unix time.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Returns the number of a field: a number, a boolean, or the number in a string.
///
/// # Errors
/// The field is not a number, for the reason in the text.
pub fn of(value: &Value<'_>) -> Result<f64, String> {
    match value {
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        Value::Int(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Text(text) => of_text(text).ok_or_else(|| format!("{text:?} is not a number")),
        Value::Null | Value::List(_) | Value::Map(_) => Err(format!("{} is not a number", value.kind())),
    }
}

/// Returns the number in a string: a condition, a time (RFC 3339, as Unix seconds), a quantity, a percentage, or a number.
pub fn of_text(text: &str) -> Option<f64> {
    condition(text)
        .or_else(|| unix_seconds(text))
        .or_else(|| quantity(text))
        .or_else(|| percent(text))
        .or_else(|| float(text))
}

fn condition(text: &str) -> Option<f64> {
    // The longest word has seven letters, which other characters of up to three bytes may fold to.
    if text.len() > 21 {
        return None;
    }
    match text.to_lowercase().as_str() {
        "true" | "yes" => Some(1.0),
        "false" | "no" | "unknown" => Some(0.0),
        _ => None,
    }
}

/// Parses RFC 3339 as Go's `time.Parse` does: also with an hour of one digit, and with any fraction after a point or comma.
/// Libraries accept either more (other separators, missing parts) or less.
fn unix_seconds(text: &str) -> Option<f64> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, b'-')?;
    let month = digits(&mut rest, 2)?;
    literal(&mut rest, b'-')?;
    let day = digits(&mut rest, 2)?;
    literal(&mut rest, b'T')?;
    let hour = digits(&mut rest, 2).or_else(|| digits(&mut rest, 1))?;
    literal(&mut rest, b':')?;
    let minute = digits(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let second = digits(&mut rest, 2)?;
    if let [b'.' | b',', digit, ..] = rest
        && digit.is_ascii_digit()
    {
        let fraction = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
        rest = &rest[1 + fraction..];
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            rest = zone;
            let hours = i64::from(digits(&mut rest, 2)?);
            literal(&mut rest, b':')?;
            let minutes = i64::from(digits(&mut rest, 2)?);
            if !rest.is_empty() || hours > 24 || minutes > 60 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    let small = |number: i16| i8::try_from(number).ok();
    let time = DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    Some((time.duration_since(EPOCH).as_secs() - offset) as f64)
}

/// Parses exactly `count` digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<i16> {
    let (number, behind) = rest.split_at_checked(count)?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    *rest = behind;
    Some(number.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')))
}

fn literal(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

/// Parses a quantity as Go's `AsApproximateFloat64` does: digits times a power of ten, each rounded before.
fn quantity(text: &str) -> Option<f64> {
    if text.is_empty() || text.contains(|c: char| c.is_ascii_whitespace()) {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        // NB: Go treats a suffix or a sign without a number as zero, unless it exceeds the short form.
        let zero = Amount::parse(&format!("0{unsigned}"))?;
        return matches!(zero, Amount::Short { .. }).then_some(0.0);
    }
    Amount::parse(text).map(Amount::approximate)
}

fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))?;
    number.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n / 100.0)
}

/// Parses a number like Go's `strconv.ParseFloat`, without hexadecimal numbers.
fn float(text: &str) -> Option<f64> {
    let number: f64 = without_underscores(text)?.parse().ok()?;
    let word = text.trim_start_matches(['+', '-']);
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
    // Go rejects numbers that are too large, and NaN with a sign.
    let taken = if number.is_nan() { word.len() == text.len() } else { number.is_finite() || is_word };
    taken.then_some(number)
}

/// Removes underscores between two digits, which Go allows.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let stands = |at: usize| at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1));
    text.match_indices('_').all(|(at, _)| stands(at)).then(|| Cow::Owned(text.replace('_', "")))
}
