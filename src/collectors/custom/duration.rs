//! Durations in the texts of objects: as Go's `time.ParseDuration` reads them, and as Kubernetes prints ages.

/// The units with their seconds, as a factor and a divisor. Go has those up to hours; `duration.HumanDuration` of apimachinery also
/// prints days and years, and Prometheus weeks.
const UNITS: [(&str, f64, f64); 11] = [
    ("ns", 1.0, 1e9),
    ("us", 1.0, 1e6),
    // The micro sign and the Greek letter.
    ("\u{b5}s", 1.0, 1e6),
    ("\u{3bc}s", 1.0, 1e6),
    ("ms", 1.0, 1e3),
    ("s", 1.0, 1.0),
    ("m", 60.0, 1.0),
    ("h", 3600.0, 1.0),
    ("d", 86_400.0, 1.0),
    ("w", 604_800.0, 1.0),
    ("y", 31_536_000.0, 1.0),
];

/// Returns the seconds of a duration such as `2160h`, `1h30m`, `-0.5s`, `5d2h` or `2y147d`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        // Go and Rust both read "1." and ".5", and neither "." nor "1.2.3".
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, factor, divisor) = UNITS.into_iter().find(|(unit, ..)| *unit == &rest[..end])?;
        sum += number * factor / divisor;
        rest = &rest[end..];
    }
    Some(sign * sum).filter(|seconds| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::seconds;

    #[test]
    fn durations_are_read_as_go_reads_them_and_kubernetes_prints_them() {
        for (text, expected) in [
            ("2160h", Some(7_776_000.0)),
            ("2160h0m0s", Some(7_776_000.0)),
            ("1h30m", Some(5400.0)),
            ("-1.5h", Some(-5400.0)),
            ("+.5s", Some(0.5)),
            ("1.s", Some(1.0)),
            ("100ms", Some(0.1)),
            ("1us1\u{b5}s1\u{3bc}s", Some(3e-6)),
            ("3ns", Some(3e-9)),
            ("0", Some(0.0)),
            ("-0", Some(0.0)),
            ("5d2h", Some(439_200.0)),
            ("2y147d", Some(75_772_800.0)),
            ("1w", Some(604_800.0)),
            ("", None),
            ("-", None),
            ("5", None),
            (".s", None),
            ("1.2.3s", None),
            ("1 h", None),
            ("h", None),
            ("1e3s", None),
            ("<invalid>", None),
            ("--1s", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
        assert_eq!(seconds(&format!("{}h", "9".repeat(400))), None, "too large");
    }

    proptest! {
        #[test]
        fn no_text_panics_as_a_duration(text in "\\PC{0,12}|[0-9.+-]{0,3}[a-z\u{b5}]{0,2}[0-9.]{0,3}[a-z]{0,2}") {
            prop_assert!(seconds(&text).is_none_or(f64::is_finite));
        }
    }
}
