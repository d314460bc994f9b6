//! A strict parser of an exposition: it accepts only what Prometheus takes without dropping a sample.

use std::collections::{BTreeMap, BTreeSet};

use kube_state_fleet::exposition::Format;

/// The names that only Prometheus sets.
const RESERVED: [&str; 3] = ["__name__", "__type__", "__unit__"];

/// A label set, and the value.
pub type Series = (BTreeMap<String, String>, f64);

/// The series of each family.
///
/// # Errors
/// The first offending line, with the reason.
pub fn parse(text: &[u8], format: Format) -> Result<BTreeMap<String, Vec<Series>>, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut lines: Vec<&str> =
        text.strip_suffix('\n').unwrap_or(text).split('\n').filter(|_| !text.is_empty()).collect();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    if format == Format::OpenMetrics && lines.pop() != Some("# EOF") {
        return Err("the last line is not # EOF".to_owned());
    }
    let mut families = BTreeMap::new();
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        let wrong = |line: &str, reason: String| format!("{reason}: {line}");
        let (name, help) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| wrong(line, "not a HELP line".to_owned()))?;
        is_name(name, true).map_err(|reason| wrong(line, reason))?;
        let quotes = if format == Format::OpenMetrics { "\"" } else { "" };
        unescape(help, quotes).map_err(|reason| wrong(line, reason))?;
        let kind = lines.next().unwrap_or_default();
        let kind = kind
            .strip_prefix(&format!("# TYPE {name} "))
            .ok_or_else(|| wrong(kind, "not the TYPE line of the family".to_owned()))?;
        let kinds: &[&str] = match format {
            Format::Text => &["gauge", "counter"],
            Format::OpenMetrics => &["gauge", "counter", "info", "stateset"],
        };
        if !kinds.contains(&kind) {
            return Err(wrong(kind, "not a type".to_owned()));
        }
        let mut series = Vec::new();
        let mut known = BTreeSet::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labels, value) = sample(line, name).map_err(|reason| wrong(line, reason))?;
            // A label with an empty value is no label.
            let identity: BTreeMap<_, _> = labels.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect();
            if !known.insert(identity) {
                return Err(wrong(line, "the series occurs twice".to_owned()));
            }
            series.push((labels, value));
        }
        if families.insert(name.to_owned(), series).is_some() {
            return Err(wrong(name, "the family occurs twice".to_owned()));
        }
    }
    Ok(families)
}

fn is_name(text: &str, colon: bool) -> Result<(), String> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colon && b == b':');
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.bytes().all(valid) {
        return Err(format!("invalid name {text:?}"));
    }
    Ok(())
}

/// The text without its escapes: `\\`, `\n`, and `\"` if `quotes` contains it.
fn unescape(text: &str, quotes: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quotes.contains(c)) {
            ('\\', _) => match chars.next() {
                Some('\\') => out.push('\\'),
                Some('n') => out.push('\n'),
                Some(quote) if quotes.contains(quote) => out.push(quote),
                other => return Err(format!("invalid escape of {other:?}")),
            },
            (_, true) => return Err("a quote without an escape".to_owned()),
            (c, false) => out.push(c),
        }
    }
    Ok(out)
}

fn sample(line: &str, family: &str) -> Result<Series, String> {
    let rest = line.strip_prefix(family).ok_or("not a series of the family above")?;
    let mut labels = BTreeMap::new();
    let value = match rest.strip_prefix('{') {
        None => rest,
        Some(mut rest) => loop {
            let (name, value) = rest.split_once("=\"").ok_or("a label without a value")?;
            is_name(name, false)?;
            if RESERVED.contains(&name) {
                return Err(format!("the label name {name} is reserved"));
            }
            let end = closing_quote(value).ok_or("a label value does not end")?;
            if labels.insert(name.to_owned(), unescape(&value[..end], "\"")?).is_some() {
                return Err(format!("the label {name} occurs twice"));
            }
            rest = &value[end + 1..];
            if let Some(value) = rest.strip_prefix('}') {
                break value;
            }
            rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
        },
    };
    let value = value.strip_prefix(' ').ok_or("no blank before the value")?;
    let number = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        // Rust also reads `inf`, `infinity` and `nan`.
        digits if digits.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)) => {
            digits.parse().map_err(|_| format!("{digits:?} is not a number"))?
        }
        other => return Err(format!("{other:?} is not a number")),
    };
    Ok((labels, number))
}

/// The place of the first quote without a backslash that escapes it.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[test]
fn the_parser_rejects_what_prometheus_rejects() {
    let parse = |text: &str| parse(text.as_bytes(), Format::Text).map(drop);
    let head = "# HELP a b\n# TYPE a gauge\n";
    for line in ["a 1", "a{b=\"c\"} NaN", "a{b=\"\\\\\\\"\\n\",_=\"\"} -1.5e+06", "a{le=\"1\"} +Inf"] {
        assert_eq!(parse(&format!("{head}{line}\n")), Ok(()), "{line}");
    }
    for line in [
        "a{b=\"1\",b=\"2\"} 1",
        "a{__name__=\"c\"} 1",
        "a{__type__=\"c\"} 1",
        "a{9=\"c\"} 1",
        "a{=\"c\"} 1",
        "a{b:c=\"c\"} 1",
        "a{b=\"\\t\"} 1",
        "a{b=\"c\",} 1",
        "a{} 1",
        "a{b=\"c\"}  1",
        "a{b=\"c\"} 1 2",
        "a inf",
        "ab 1",
        "a 1\na 2",
        "a{b=\"\"} 1\na 2",
        "# EOF",
    ] {
        assert!(parse(&format!("{head}{line}\n")).is_err(), "{line}");
    }
    assert!(parse("# HELP a \\t\n# TYPE a gauge\n").is_err());
    assert!(parse(&format!("{head}{head}")).is_err());
    assert!(parse(&format!("{head}a 1")).is_err());
}
