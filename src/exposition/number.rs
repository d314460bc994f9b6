//! Prints sample values as kube-state-metrics does, like Go's `strconv.FormatFloat(v, 'g', -1, 64)`.

use std::io::Write;

/// Appends `value` with the fewest digits that read back the same: `1.5e+09`, `123456`, `0.25`, `+Inf`, `NaN`.
///
/// Prints an exponent below -4 and from 6 on, as Go does (`strconv/ftoa.go`, `formatDigits`).
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value == 1.0 {
        out.push(b'1');
    } else if value.abs() < 1e6 && value.trunc() == value {
        write_integer(out, value);
    } else if value.abs() < MOST_EXACT && value.trunc() == value {
        write_large_integer(out, value);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write_finite(out, value);
    }
}

/// Below this, every whole number is a value of its own. So no shorter text reads back the same, but for zeros at the end.
const MOST_EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// Most values are small whole numbers.
fn write_integer(out: &mut Vec<u8>, value: f64) {
    write_sign(out, value);
    let mut room = [0; DIGITS];
    out.extend_from_slice(digits(value, &mut room));
}

/// Most other values are times in seconds, and bytes.
fn write_large_integer(out: &mut Vec<u8>, value: f64) {
    write_sign(out, value);
    let mut room = [0; DIGITS];
    let digits = digits(value, &mut room);
    let exponent = digits.len() - 1;
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    if let [first, rest @ ..] = &digits[..digits.len() - zeros] {
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
    out.extend_from_slice(&[b'e', b'+', b'0' + (exponent / 10) as u8, b'0' + (exponent % 10) as u8]);
}

fn write_sign(out: &mut Vec<u8>, value: f64) {
    if value < 0.0 {
        out.push(b'-');
    }
}

/// Number of digits of [`MOST_EXACT`].
const DIGITS: usize = 16;

/// Returns the decimal digits of a whole number below [`MOST_EXACT`], without its sign.
fn digits(value: f64, room: &mut [u8; DIGITS]) -> &[u8] {
    let mut rest = value.abs() as u64;
    let mut at = room.len();
    while rest > 0 {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    &room[at..]
}

fn write_finite(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value:e}");
    let e = out[start..].iter().rposition(|b| *b == b'e').map_or(out.len(), |i| start + i);
    let exponent: i32 =
        std::str::from_utf8(&out[(e + 1).min(out.len())..]).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    if (-4..6).contains(&exponent) {
        out.truncate(start);
        let _ = write!(out, "{value}");
    } else {
        out.truncate(e);
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::{write_finite, write_number};

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).expect("numbers are ASCII")
    }

    #[test]
    fn numbers_look_as_go_prints_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.25, "0.25"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
            (1_644_657_393.0, "1.644657393e+09"),
            (-62_135_596_800.0, "-6.21355968e+10"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (2e18, "2e+18"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_number_reads_back_as_itself(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            proptest::prop_assert_eq!(text(value).parse::<f64>(), Ok(value));
        }

        #[test]
        fn a_whole_number_looks_like_any_other(number in -(1_i64 << 53)..1 << 53, zeros in 0_u32..12) {
            let value = (number / 10_i64.pow(zeros) * 10_i64.pow(zeros)) as f64;
            let mut general = Vec::new();
            if value != 0.0 {
                write_finite(&mut general, value);
                proptest::prop_assert_eq!(text(value).into_bytes(), general);
            }
        }
    }
}
