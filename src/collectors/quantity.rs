//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as numbers.
//!
//! kube-state-metrics converts a Go `resource.Quantity` to an `int64` of units or thousandths. Samples must equal the result,
//! even on overflow. So this module has the same two representations: a short number is an `i64` and a power of ten, a long
//! number a decimal with nine places. The rules: <https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity>

use std::cmp::Ordering;

/// The largest number of units whose thousandths fit into an `i64`.
const MAX_WITH_MILLI: i64 = i64::MAX / 1000;

/// Decimal places of a long number.
const NANO: i32 = -9;

/// A parsed quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// `value * 10^scale`, the usual form.
    Short {
        /// The digits.
        value: i64,
        /// The power of ten, -9 or more.
        scale: i32,
    },
    /// A number of billionths, for more digits than an `i64` safely holds.
    Long(i128),
}

/// Returns the number that upstream prints for a quantity: precise to thousandths, or whole units if thousandths would
/// overflow. `None` if it is invalid.
pub fn to_f64(text: &str) -> Option<f64> {
    Amount::parse(text).map(Amount::to_f64)
}

impl Amount {
    /// Parses a quantity. `None` if it is invalid or needs more than 128 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let (whole, rest) = split_digits(unsigned.trim_start_matches('0'));
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let (unit, exponent) = unit(suffix)?;
        let number = Number { negative, whole, fraction };
        number.short(unit, exponent).or_else(|| number.long(unit, exponent))
    }

    /// Returns the number that upstream prints: precise to thousandths, or whole units if thousandths would overflow.
    pub fn to_f64(self) -> f64 {
        let units = self.value();
        if units > MAX_WITH_MILLI { units as f64 } else { self.scaled(-3) as f64 / 1000.0 }
    }

    /// Returns the result of Go's `AsApproximateFloat64`: the digits as a float times a power of ten as a float. It may differ
    /// from the nearest float (`333u`), and differs from [`Amount::to_f64`] below thousandths.
    pub fn approximate(self) -> f64 {
        let (digits, exponent) = match self {
            Self::Short { value, scale } => (value as f64, scale),
            Self::Long(nanos) => (nanos as f64, NANO),
        };
        if exponent == 0 { digits } else { digits * power_of_ten(exponent) }
    }

    /// Returns the exact sum, as Go's `Quantity.Add` computes it. NB: a sum beyond 128 bits is capped.
    pub fn plus(self, other: Self) -> Self {
        self.short_sum(other).unwrap_or_else(|| Self::Long(self.nanos().saturating_add(other.nanos())))
    }

    /// Returns the sum of short numbers, if it is one.
    fn short_sum(self, other: Self) -> Option<Self> {
        let (Self::Short { value: a, scale: of_a }, Self::Short { value: b, scale: of_b }) = (self, other) else {
            return None;
        };
        match (a, b) {
            (_, 0) => return Some(self),
            (0, _) => return Some(other),
            _ => {}
        }
        let scale = of_a.min(of_b);
        let scaled = |value: i64, of: i32| value.checked_mul(10_i64.checked_pow(of.abs_diff(scale))?);
        Some(Self::Short { value: scaled(a, of_a)?.checked_add(scaled(b, of_b)?)?, scale })
    }

    /// Returns the larger quantity.
    pub fn max(self, other: Self) -> Self {
        if self.compare(other) == Ordering::Less { other } else { self }
    }

    /// Returns whether this is zero.
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Short { value: 0, .. } | Self::Long(0))
    }

    /// Compares by size. (Equality compares representations: 1 is not 1000m.)
    pub fn compare(self, other: Self) -> Ordering {
        let parts = |amount| match amount {
            Self::Short { value, scale } => (i128::from(value), scale),
            Self::Long(nanos) => (nanos, NANO),
        };
        let ((a, of_a), (b, of_b)) = (parts(self), parts(other));
        let scale = of_a.min(of_b);
        // A number that overflows is larger than every number that does not, and only one of the two is scaled.
        let scaled = |value: i128, of: i32| {
            let power = 10_i128.checked_pow(of.abs_diff(scale)).unwrap_or(i128::MAX);
            value.saturating_mul(power)
        };
        scaled(a, of_a).cmp(&scaled(b, of_b))
    }

    /// Returns billionths, capped at 128 bits.
    fn nanos(self) -> i128 {
        match self {
            Self::Short { value, scale } => {
                let power = 10_i128.checked_pow(scale.abs_diff(NANO)).unwrap_or(i128::MAX);
                i128::from(value).saturating_mul(power)
            }
            Self::Long(nanos) => nanos,
        }
    }

    /// Returns whole units, rounded up.
    pub fn value(self) -> i64 {
        self.scaled(0)
    }

    /// Returns the number of steps of `10^to`. `to` is 0 or -3.
    fn scaled(self, to: i32) -> i64 {
        match self {
            Self::Short { value, scale } if scale < to => divide_away_from_zero(value, to.abs_diff(scale)),
            Self::Short { value, scale } => multiply(value, scale.abs_diff(to)),
            Self::Long(nanos) => {
                let step = 10_i128.pow(to.abs_diff(NANO));
                // NB: a long number below the range of an i64 wraps, and its remainder rounds up regardless of the sign.
                let nanos = if nanos < 0 { i128::from(nanos as i64) } else { nanos };
                ((nanos / step) as i64).wrapping_add(i64::from(nanos % step != 0))
            }
        }
    }
}

/// Returns the result of Go's `math.Pow10`, which combines two table entries outside the range of one table.
fn power_of_ten(exponent: i32) -> f64 {
    let (high, low) = (exponent / 32 * 32, (exponent % 32).unsigned_abs());
    let power = |exponent: i32| format!("1e{exponent}").parse().unwrap_or(f64::INFINITY);
    let low: f64 = power(low as i32);
    if exponent < 0 { power(high) / low } else { power(high) * low }
}

/// The base of a suffix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Two,
    Ten,
}

/// The digits of a number, without leading zeros.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl Number<'_> {
    /// Returns the number as an `i64` and a power of ten, if it is short enough.
    fn short(&self, base: Base, exponent: i32) -> Option<Amount> {
        // A bare zero counts as a digit.
        let whole_digits = self.whole.len().max(1) as i64;
        let (factor, scale) = match base {
            Base::Ten if whole_digits + self.fraction.len() as i64 <= 18 => {
                (1, exponent.checked_sub(self.fraction.len() as i32)?)
            }
            // A power of two takes three digits per ten bits; one of the fifteen digits stays free.
            Base::Two if self.fraction.is_empty() && whole_digits + i64::from(exponent) * 3 / 10 <= 14 => {
                (1_i64 << exponent, 0)
            }
            _ => return None,
        };
        if scale < NANO {
            return None;
        }
        let mut digits: i64 = 0;
        for digit in self.whole.bytes().chain(self.fraction.bytes()) {
            digits = digits * 10 + i64::from(digit - b'0');
        }
        let value = digits.checked_mul(factor)?;
        Some(Amount::Short { value: if self.negative { -value } else { value }, scale })
    }

    /// Returns the number in billionths, rounded away from zero. Numbers with a binary suffix are capped at `i64::MAX`.
    fn long(&self, base: Base, exponent: i32) -> Option<Amount> {
        let sign = if self.negative { -1 } else { 1 };
        let nanos = match base {
            Base::Ten => self.times_ten_to(i64::from(exponent) - i64::from(NANO), 1)?,
            Base::Two => match self.times_ten_to(-i64::from(NANO), 1 << exponent) {
                Some(nanos) if nanos <= i128::from(i64::MAX) * 1_000_000_000 => nanos,
                _ => return Some(Amount::Short { value: sign * i64::MAX, scale: 0 }),
            },
        };
        Some(Amount::Long(i128::from(sign) * nanos))
    }

    /// Returns `number * factor * 10^exponent` without its sign, rounded up. `None` on overflow.
    fn times_ten_to(&self, exponent: i64, factor: i128) -> Option<i128> {
        let mut value: i128 = 0;
        for digit in self.whole.bytes().chain(self.fraction.bytes()) {
            value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        value = value.checked_mul(factor)?;
        let shift = exponent - self.fraction.len() as i64;
        let power = u32::try_from(shift.unsigned_abs()).ok().and_then(|places| 10_i128.checked_pow(places));
        match power {
            _ if value == 0 => Some(0),
            Some(power) if shift >= 0 => value.checked_mul(power),
            Some(power) => Some(value / power + i128::from(value % power != 0)),
            None if shift < 0 => Some(1),
            None => None,
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

/// The factor of a suffix: a power of two or of ten.
fn unit(suffix: &str) -> Option<(Base, i32)> {
    Some(match suffix {
        "" => (Base::Ten, 0),
        "n" => (Base::Ten, -9),
        "u" => (Base::Ten, -6),
        "m" => (Base::Ten, -3),
        "k" => (Base::Ten, 3),
        "M" => (Base::Ten, 6),
        "G" => (Base::Ten, 9),
        "T" => (Base::Ten, 12),
        "P" => (Base::Ten, 15),
        "E" => (Base::Ten, 18),
        "Ki" => (Base::Two, 10),
        "Mi" => (Base::Two, 20),
        "Gi" => (Base::Two, 30),
        "Ti" => (Base::Two, 40),
        "Pi" => (Base::Two, 50),
        "Ei" => (Base::Two, 60),
        // NB: Go truncates an exponent to 32 bits.
        exponent => (Base::Ten, exponent.strip_prefix(['e', 'E'])?.parse::<i64>().ok()? as i32),
    })
}

/// Returns `value / 10^places`, rounded away from zero.
fn divide_away_from_zero(value: i64, places: u32) -> i64 {
    match 10_i64.checked_pow(places) {
        Some(power) => value / power + (value % power).signum(),
        None => value.signum(),
    }
}

/// Returns `value * 10^places`. NB: on overflow, Go wraps for powers with a constant and returns 0 for others.
fn multiply(value: i64, places: u32) -> i64 {
    match places {
        0 | 1 | 2 | 3 | 6 | 9 => value.wrapping_mul(10_i64.pow(places)),
        _ if value == 0 => 0,
        _ => 10_i64.checked_pow(places).and_then(|power| value.checked_mul(power)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_equal_those_of_upstream() {
        for (text, expected) in [
            ("0", 0.0),
            ("100m", 0.1),
            ("1500m", 1.5),
            ("-5", -5.0),
            ("+5", 5.0),
            (" 5 ", 5.0),
            ("1.5Gi", 1_610_612_736.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("1E", 1e18),
            ("2E", 2e18),
            ("1Ei", 1_152_921_504_606_846_976.0),
            // Thousandths are rounded up.
            ("333u", 0.001),
            ("10n", 0.001),
            ("1e-12", 0.001),
            ("-1n", -0.001),
            // Above 2^63 / 1000 only whole units remain.
            ("12345678901234567", 12_345_678_901_234_567.0),
            ("9223372036854775807", 9_223_372_036_854_775_807.0),
            // An overflow is capped or lost.
            ("16Ei", 9_223_372_036_854_775_807.0),
            ("100E", 0.0),
            ("-100Ti", -8_568_098_291.071),
        ] {
            assert_eq!(to_f64(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_quantity_has_no_value() {
        for text in
            ["", " ", "-", "m", "Ei", "5 m", "1Zi", "1ki", "e3", "1e", "1e3k", "1e1.5", "--1", "1_000", "½", "1µ"]
        {
            assert_eq!(to_f64(text), None, "{text}");
        }
    }

    #[test]
    fn whole_units_are_rounded_up() {
        for (text, expected) in [("1m", 1), ("1001m", 2), ("-1001m", -2), ("1.5Ki", 1536), ("0", 0)] {
            assert_eq!(Amount::parse(text).map(Amount::value), Some(expected), "{text}");
        }
    }

    #[test]
    fn quantities_compare_and_add_up_by_size() {
        let amount = |text| Amount::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"));
        for (small, large) in
            [("999m", "1"), ("1", "1001m"), ("-1", "0"), ("1Mi", "1.1Mi"), ("1n", "1e30"), ("-1e30", "-1n")]
        {
            let (small, large) = (amount(small), amount(large));
            assert_eq!((small.compare(large), large.compare(small)), (Ordering::Less, Ordering::Greater));
            assert_eq!((small.max(large), large.max(small)), (large, large));
        }
        assert_eq!(amount("1000m").compare(amount("1")), Ordering::Equal);
        assert_eq!(amount("9223372036854775807").compare(amount("9223372036854775806.5")), Ordering::Greater);
        for (a, b, sum) in [
            ("100m", "0.25", "350m"),
            ("1Gi", "1M", "1074741824"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("1.000000001", "9e17", "900000000000000001.000000001"),
            ("-1", "1", "0"),
            ("1n", "12345678901234567890", "12345678901234567890.000000001"),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                assert_eq!(amount(a).plus(amount(b)).compare(amount(sum)), Ordering::Equal, "{a} + {b}");
            }
        }
        assert!(amount("0.000").is_zero() && !amount("1n").is_zero());
    }

    proptest! {
        #[test]
        fn sums_of_billionths_are_exact(a in any::<i64>(), b in any::<i64>()) {
            let amount = |number: i128| Amount::parse(&format!("{number}n"));
            let sum = amount(a.into()).zip(amount(b.into())).map(|(a, b)| a.plus(b));
            let expected = amount(i128::from(a) + i128::from(b));
            prop_assert_eq!(sum.zip(expected).map(|(sum, expected)| sum.compare(expected)), Some(Ordering::Equal));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[+-]?[0-9.]{0,45}[eEinumkKMGTP]{0,2}[+-]?[0-9]{0,12}") {
            let _ = to_f64(&text);
        }

        #[test]
        fn integers_are_themselves(number in -9_000_000_000_000_i64..9_000_000_000_000) {
            prop_assert_eq!(to_f64(&number.to_string()), Some(number as f64));
        }

        #[test]
        fn a_suffix_and_an_exponent_say_the_same(number in 0_u32..1_000_000, unit in 0_usize..7) {
            let (suffix, exponent) = [("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12)][unit];
            prop_assert_eq!(Amount::parse(&format!("{number}{suffix}")), Amount::parse(&format!("{number}e{exponent}")));
        }

        #[test]
        fn a_binary_suffix_multiplies(number in 0_u32..1_000_000, unit in 0_usize..3) {
            let (suffix, factor) = [("Ki", 1_u64 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)][unit];
            prop_assert_eq!(to_f64(&format!("{number}{suffix}")), Some((u64::from(number) * factor) as f64));
        }

        #[test]
        fn thousandths_are_rounded_up_and_never_by_more_than_one(billionths in 0_i64..1_000_000_000_000) {
            let amount = Amount::parse(&format!("{billionths}n"));
            let thousandths = billionths / 1_000_000 + i64::from(billionths % 1_000_000 != 0);
            prop_assert_eq!(amount.map(Amount::to_f64), Some(thousandths as f64 / 1000.0));
        }
    }
}
