//! Times as Unix seconds, also those that lie outside the range of jiff.
//!
//! The types of k8s-openapi hold a time as a jiff `Timestamp`, which ends on 9999-12-30. Objects have later times: people write
//! 9999-12-31T23:59:59Z for "never", and protobuf has 64 bits of seconds. So a `Timestamp` before the year -9000, which no object has,
//! stands for a time outside the range: its nanoseconds within that age are the seconds. Collectors print seconds only.

use jiff::Timestamp;

/// The seconds that a `Timestamp` holds as they are: from the year -9121.
const PLAIN: std::ops::RangeInclusive<i64> = -350_000_000_000..=253_402_207_200;

/// The `Timestamp` that stands for 0 outside that range, in Unix nanoseconds: in the year -9597. An `i64` of nanoseconds around it,
/// 292 years in each direction, stays below [`PLAIN`] and in the range of jiff.
const OUTSIDE: i128 = -365_000_000_000 * 1_000_000_000;

/// Seconds in 400 years, after which dates repeat.
const CYCLE: i64 = 146_097 * 86_400;

/// Returns the `Timestamp` for a time. Outside the range of jiff the nanoseconds are lost.
pub fn timestamp(seconds: i64, nanoseconds: i32) -> Timestamp {
    let time = if PLAIN.contains(&seconds) {
        Timestamp::new(seconds, nanoseconds)
    } else {
        Timestamp::from_nanosecond(OUTSIDE + i128::from(seconds))
    };
    // Only nanoseconds beyond a second, which callers do not pass, are an error.
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Returns the Unix seconds of a time, rounded down.
pub fn seconds(time: Timestamp) -> i64 {
    let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
    if seconds < *PLAIN.start() { (time.as_nanosecond() - OUTSIDE) as i64 } else { seconds }
}

/// Reads a time of JSON, RFC 3339. Like Go's printer, it allows years below 0 and above 9999. `None` if it is invalid.
pub fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(if PLAIN.contains(&time.as_second()) { time } else { timestamp(time.as_second(), 0) });
    }
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (year, rest) = rest.split_once('-')?;
    if year.len() < 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let year = sign * year.parse::<i64>().ok()?;
    let near: Timestamp = format!("{}-{rest}", 2000 + year.rem_euclid(400)).parse().ok()?;
    let cycles = year.div_euclid(400) - 5;
    Some(timestamp(seconds(near).checked_add(cycles.checked_mul(CYCLE)?)?, 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_beyond_the_range_of_jiff_are_read_as_seconds() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.9Z", Some(1)),
            ("1969-12-31T23:59:58.1Z", Some(-2)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200)),
            ("-0001-01-01T00:00:00Z", Some(-62_198_755_200)),
            ("-9999-06-01T00:00:00Z", Some(-377_692_070_400)),
            ("9999-12-30T22:00:00Z", Some(253_402_207_200)),
            ("9999-12-30T22:00:01Z", Some(253_402_207_201)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("9999-12-31T23:59:59.999999Z", Some(253_402_300_799)),
            ("9999-12-31T23:59:59-14:00", Some(253_402_351_199)),
            ("10000-01-01T00:00:00Z", Some(253_402_300_800)),
            ("2026-01-01T00:00:00+23:59", Some(1_767_139_260)),
            ("292277026596-12-04T15:30:07Z", Some(i64::MAX)),
            ("292277026596-12-04T15:30:08Z", None),
            ("99999999999999999999-01-01T00:00:00Z", None),
            ("10000-13-01T00:00:00Z", None),
            ("10001-02-29T00:00:00Z", None),
            ("never", None),
            ("", None),
            ("-", None),
            ("é-", None),
        ] {
            assert_eq!(parse(text).map(seconds), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_seconds_survive(second in any::<i64>(), near in -400_000_000_000..300_000_000_000_i64, nano in 0..1_000_000_000) {
            prop_assert_eq!(seconds(timestamp(second, nano)), second);
            prop_assert_eq!(seconds(timestamp(near, nano)), near);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", year in "-?[0-9]{0,22}", rest in "[-0-9TZ:+.]{0,25}") {
            let _ = parse(&text);
            let _ = parse(&format!("{year}-{rest}"));
        }
    }
}
