//! Cron schedules, by the rules of kube-state-metrics: `ParseStandard` of netresearch/go-cron.
//!
//! A schedule has five fields or a descriptor (`@daily`, `@every 90m`), after an optional `TZ=` or `CRON_TZ=`. A field is a
//! list of numbers, names, ranges (also `FRI-MON`) and steps; `?` means `*`.
//! NB: if neither day field is `*`, a day needs to match only one of them, as for the CronJob controller (robfig/cron v3). In
//! kube-state-metrics it must match both.
//! Crates for cron expressions differ in each of these points, hence this module. It differs from upstream on one day a
//! year, in zones whose clocks change at midnight: upstream then skips some due times.
//! Time zones come from the database in the binary; "local" is UTC. The rules: <https://pkg.go.dev/github.com/netresearch/go-cron>

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// The database reads no files, so that series do not depend on the machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Maximum length of a schedule in bytes.
const MAX_LENGTH: usize = 1024;

/// Number of years after the start year in which to search for the next time.
const YEARS: i16 = 5;

const SECOND: i64 = 1_000_000_000;

/// The times at which something is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Each minute whose civil time matches.
    Civil(Civil),
    /// The number of seconds after the last time.
    Every(i64),
    /// Only on request (`@manual`).
    Never,
}

/// Civil times: one bit per minute of the hour, hour, day of the month, month and day of the week (Sunday is 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Civil {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day needs to match only one of the day fields, because neither is `*`.
    either_day: bool,
    zone: TimeZone,
}

impl Schedule {
    /// Parses a schedule. `None` if it is invalid, if the time zone is unknown, or if both `time_zone` and `text` set one.
    pub fn parse(text: &str, time_zone: Option<&str>) -> Option<Self> {
        match time_zone {
            // NB: upstream prepends the zone to the text, so blanks in its name split it here too.
            Some(name) => Self::parse_text(&format!("CRON_TZ={name} {text}")),
            None => Self::parse_text(text),
        }
    }

    fn parse_text(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let (zone, text) = match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            Some(rest) => {
                let (name, rest) = rest.split_once(' ')?;
                (zone(name)?, rest.trim())
            }
            None => (TimeZone::UTC, text),
        };
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            "@triggered" | "@manual" | "@none" => return Some(Self::Never),
            other => match other.strip_prefix("@every ") {
                Some(duration) => {
                    return nanoseconds(duration).map(|d| d / SECOND).filter(|s| *s > 0).map(Self::Every);
                }
                None => other,
            },
        };
        let every_day = |at| fields.split_whitespace().nth(at).is_some_and(is_star);
        let either_day = !every_day(2) && !every_day(4);
        let mut fields = fields.split_whitespace();
        let mut next = |bounds| field(fields.next()?, bounds);
        let civil = Civil {
            minutes: next(&MINUTES)?,
            hours: next(&HOURS)?,
            days: next(&DAYS)?,
            months: next(&MONTHS)?,
            weekdays: next(&WEEKDAYS).map(|bits| bits | bits >> 7)?,
            either_day,
            zone,
        };
        fields.next().is_none().then_some(Self::Civil(civil))
    }

    /// Returns the first time after `start`. `None` if no year in the range has one (`0 0 30 2 *`).
    pub fn next(&self, start: Timestamp) -> Option<Timestamp> {
        let seconds = start.as_second() - i64::from(start.subsec_nanosecond() < 0);
        match self {
            Self::Never => None,
            Self::Every(delay) => Timestamp::from_second(seconds.checked_add(*delay)?).ok(),
            Self::Civil(civil) => civil.next(Timestamp::from_second(seconds + 1).ok()?),
        }
    }
}

impl Civil {
    /// Returns the first due time at or after `start`.
    ///
    /// If a clock change skips an hour, its times are due in the next hour. If an hour occurs twice, its times are due twice.
    fn next(&self, start: Timestamp) -> Option<Timestamp> {
        if self.minutes == 0 || self.hours == 0 {
            return None;
        }
        let mut time = start.to_zoned(self.zone.clone());
        let last_year = time.year().saturating_add(YEARS);
        let seconds = i64::from(time.second());
        if seconds > 0 {
            time = later(&time, 60 - seconds)?;
        }
        // The hour that replaces a skipped one.
        let mut stand_in = None;
        while time.year() <= last_year {
            let date = time.date();
            time = if !has(self.months, date.month()) {
                self.midnight(date.first_of_month().checked_add(1.month()).ok()?)?
            } else if !self.is_due_on(date) {
                self.midnight(date.tomorrow().ok()?)?
            } else if !has(self.hours, time.hour()) && stand_in != Some(time.hour()) {
                let next = later(&time, (60 - i64::from(time.minute())) * 60)?;
                if next.hour() - time.hour() == 2 && has(self.hours, time.hour() + 1) {
                    stand_in = Some(next.hour());
                }
                next
            } else if !has(self.minutes, time.minute()) {
                later(&time, 60)?
            } else {
                return Some(time.timestamp());
            };
        }
        None
    }

    fn is_due_on(&self, date: jiff::civil::Date) -> bool {
        let (day, weekday) = (has(self.days, date.day()), has(self.weekdays, date.weekday().to_sunday_zero_offset()));
        if self.either_day { day || weekday } else { day && weekday }
    }

    fn midnight(&self, date: jiff::civil::Date) -> Option<Zoned> {
        date.to_zoned(self.zone.clone()).ok()
    }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

fn later(time: &Zoned, seconds: i64) -> Option<Zoned> {
    time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Returns a time zone by its exact name, which may be quoted. `Local` is UTC.
fn zone(name: &str) -> Option<TimeZone> {
    let unquoted = |quote| name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let name = unquoted('"').or_else(|| unquoted('\'')).unwrap_or(name);
    if matches!(name, "UTC" | "Local") {
        return Some(TimeZone::UTC);
    }
    // The database ignores case, unlike the file names that Go uses.
    ZONES.get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// The range of a field, and the names of its values.
struct Bounds {
    first: u64,
    last: u64,
    /// The names of the values from `first` on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { first: 0, last: 59, names: &[] };
const HOURS: Bounds = Bounds { first: 0, last: 23, names: &[] };
const DAYS: Bounds = Bounds { first: 1, last: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is both 0 and 7.
const WEEKDAYS: Bounds = Bounds { first: 0, last: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

fn field(text: &str, bounds: &Bounds) -> Option<u64> {
    // NB: like upstream, ignore empty items. A field without others is never due.
    text.split(',').filter(|item| !item.is_empty()).try_fold(0, |bits, item| Some(bits | range(item, bounds)?))
}

/// Whether a field has an item `*` or `?`, without a step above 1.
fn is_star(field: &str) -> bool {
    field.split(',').any(|item| {
        let (values, step) = item.split_once('/').unwrap_or((item, "1"));
        let first = values.split('-').next();
        matches!(first, Some("*" | "?")) && number(step) == Some(1)
    })
}

/// Parses `*`, `A` or `A-B`, with an optional `/STEP`. `A/STEP` extends to the last value; `B-A` wraps around.
fn range(text: &str, bounds: &Bounds) -> Option<u64> {
    let (ends, step) = match text.split_once('/') {
        None => (text, None),
        Some((ends, step)) => (ends, Some(number(step)?)),
    };
    let mut ends = ends.split('-');
    let (low, high) = (ends.next()?, ends.next());
    let (first, last) = match high {
        // NB: like upstream, ignore the text after `*-`.
        _ if low == "*" || low == "?" => (bounds.first, bounds.last),
        _ if ends.next().is_some() => return None,
        Some(high) => (value(low, bounds)?, value(high, bounds)?),
        None if step.is_some() => (value(low, bounds)?, bounds.last),
        None => (value(low, bounds)?, value(low, bounds)?),
    };
    if first < bounds.first || last > bounds.last {
        return None;
    }
    let cycle = bounds.last - bounds.first + 1;
    let end = if first > last { last + cycle } else { last };
    let step = step.unwrap_or(1);
    // NB: a step must lead to a second value, except if `first` is above all values, which upstream accepts.
    if step == 0 || (step > 1 && first <= end + 1 && step >= end + 1 - first) {
        return None;
    }
    let values = (first..=end).step_by(usize::try_from(step).ok()?);
    Some(values.fold(0, |bits, value| bits | 1 << ((value - bounds.first) % cycle + bounds.first)))
}

fn value(text: &str, bounds: &Bounds) -> Option<u64> {
    let named = (bounds.first..).zip(bounds.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| number(text), |(value, _)| Some(value))
}

fn number(text: &str) -> Option<u64> {
    text.parse::<i64>().ok()?.try_into().ok()
}

/// Parses a Go duration: `1h30m`, `1.5h`, `-2ms`. `None` if it is invalid or overflows an `i64` of nanoseconds.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i64 = 0;
    loop {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        // Go's order of operations: the digits times the value of the last digit.
        let fraction = &fraction[..fraction.len().min(18)];
        let worth = unit as f64 / 10_f64.powi(fraction.len() as i32);
        let part = if fraction.is_empty() { 0.0 } else { fraction.parse::<f64>().ok()? * worth };
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part as i64)?;
        rest = after;
        if rest.is_empty() {
            return Some(if negative { -total } else { total });
        }
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(text: &str, zone: Option<&str>, start: &str) -> Option<String> {
        let schedule = Schedule::parse(text, zone).expect("the text is a schedule");
        schedule.next(start.parse().expect("the start is a time")).map(|time| time.to_string())
    }

    #[test]
    fn fields_and_descriptors_are_read_as_upstream_does() {
        for (text, start, expected) in [
            ("0 9 * * MON-FRI", "2026-10-02T09:00:00Z", "2026-10-05T09:00:00Z"),
            ("*/15 * * * *", "2026-10-02T09:00:00.5Z", "2026-10-02T09:15:00Z"),
            ("5/20 * ? * ?", "2026-10-02T09:45:00Z", "2026-10-02T10:05:00Z"),
            ("30 4 1,15 * 5", "2019-08-03T10:45:45Z", "2019-08-09T04:30:00Z"),
            ("30 4 1,15 * 5", "2019-08-09T10:45:45Z", "2019-08-15T04:30:00Z"),
            ("30 4 */1 * 5", "2019-08-03T10:45:45Z", "2019-08-09T04:30:00Z"),
            ("30 4 10 * *", "2026-10-10T04:29:59Z", "2026-10-10T04:30:00Z"),
            ("0 0 29 feb *", "2026-10-02T00:00:00Z", "2028-02-29T00:00:00Z"),
            (",,0 0 1 JAN-MAR/2 *", "2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("0 0 *-x * *", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            ("0 0 * * 7", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("0 0 * * */7", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("0 0 * * SAT-MON", "2026-10-06T00:00:00Z", "2026-10-10T00:00:00Z"),
            ("0 0 1 NOV-FEB/3 *", "2026-12-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("0 22-2/2 * * *", "2026-10-02T22:00:00Z", "2026-10-03T00:00:00Z"),
            ("62-5 * * * *", "2026-10-02T22:00:00Z", "2026-10-02T22:02:00Z"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("@weekly", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("@midnight", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
            ("@hourly", "2026-10-02T00:59:59Z", "2026-10-02T01:00:00Z"),
            ("@every 1h30m1.9s", "2026-10-02T00:00:00.7Z", "2026-10-02T01:30:01Z"),
            ("@every 1000000µs", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("TZ=Asia/Kolkata  0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T03:30:00Z"),
            ("TZ='Asia/Kolkata' 0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T03:30:00Z"),
            ("CRON_TZ=Local @daily ", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
        ] {
            assert_eq!(next(text, None, start).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_schedule_is_rejected() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * L * *",
            "* * * 13 *",
            "* * * * 8",
            "* * * * FRI#3",
            "H * * * *",
            "1-2-3 * * * *",
            "*/0 * * * *",
            "*/60 * * * *",
            "5/55 * * * *",
            "1-4/4 * * * *",
            "58-2/5 * * * *",
            "*/-1 * * * *",
            "*/1/2 * * * *",
            "a * * * *",
            "* * mon * *",
            "-1 * * * *",
            "@reboot",
            "@hourly ",
            "@every",
            "@every ",
            "@every 0",
            "@every 999ms",
            "@every -5m",
            "@every 5",
            "@every 1x",
            "@every  1h",
            "@every .s",
            "@every 99999999h",
            "TZ=UTC",
            "TZ=UTC ",
            "TZ= * * * * *",
            "TZ='UTC * * * * *",
            "TZ=Nowhere/City * * * * *",
            "TZ=europe/berlin * * * * *",
            "TZ=../etc/localtime * * * * *",
        ] {
            assert_eq!(Schedule::parse(text, None), None, "{text}");
        }
        assert_eq!(Schedule::parse("TZ=UTC * * * * *", Some("UTC")), None);
        assert_eq!(Schedule::parse("* * * * *", Some("Nowhere")), None);
        assert_eq!(Schedule::parse("* * * * *", Some("")), None);
        assert_eq!(Schedule::parse(&format!("* * * * *{}", " ".repeat(1016)), None), None);
    }

    #[test]
    fn a_day_that_never_comes_is_not_waited_for() {
        assert_eq!(next("0 0 30 2 *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next("0 , * * *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next(", 0 * * *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next("70-5 * * * *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next("0 0 1 , *", None, "9998-10-02T00:00:00Z"), None);
        assert_eq!(next("@every 24h", None, "9999-12-30T00:00:00Z"), None);
        assert_eq!(next("@manual", None, "2026-10-02T00:00:00Z"), None);
    }

    #[test]
    fn clock_changes_delay_a_time_or_give_it_twice() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(next("30 2 * * *", berlin, "2026-03-28T12:00:00Z").as_deref(), Some("2026-03-29T01:30:00Z"));
        assert_eq!(next("*/30 2 * * *", berlin, "2026-03-29T01:00:00Z").as_deref(), Some("2026-03-30T00:00:00Z"));
        assert_eq!(next("30 1,2 * * *", berlin, "2026-03-29T00:30:00Z").as_deref(), Some("2026-03-29T23:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-24T12:00:00Z").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-25T00:30:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
        // Midnight of that day does not exist.
        let cairo = Some("Africa/Cairo");
        assert_eq!(next("0 5 24 4 *", cairo, "2026-04-01T00:00:00Z").as_deref(), Some("2026-04-24T02:00:00Z"));
    }

    const ZONES_TRIED: [&str; 5] = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo"];

    /// A field of small numbers in several notations.
    fn any_field(first: u8, last: u8) -> impl Strategy<Value = String> {
        let value = first..=last;
        prop_oneof![
            Just("*".to_owned()),
            value.clone().prop_map(|a| a.to_string()),
            (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (value.clone(), 1..7_u8).prop_map(|(a, step)| format!("{a}/{step}")),
            (1..9_u8).prop_map(|step| format!("*/{step}")),
            (value.clone(), value).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    }

    proptest! {
        #[test]
        fn the_next_time_is_due_and_nothing_is_due_before_it(
            minute in any_field(0, 59),
            hour in any_field(0, 23),
            day in any_field(1, 31),
            weekday in any_field(0, 6),
            zone in prop::sample::select(ZONES_TRIED.to_vec()),
            start in 1_500_000_000..1_900_000_000_i64,
        ) {
            // A step may exceed its range.
            let schedule = Schedule::parse(&format!("{minute} {hour} {day} * {weekday}"), Some(zone));
            let Some(Schedule::Civil(civil)) = schedule else { return Ok(()) };
            let start = Timestamp::from_second(start).expect("a time");
            let due = |time: &Zoned| {
                has(civil.minutes, time.minute())
                    && has(civil.hours, time.hour())
                    && civil.is_due_on(time.date())
            };
            let after_a_gap = |time: &Zoned| {
                let before = later(time, -7200).expect("a time");
                time.offset() > before.offset()
            };
            let next = civil.next(start).map(|time| time.to_zoned(civil.zone.clone()));
            if let Some(next) = &next {
                prop_assert!(next.timestamp() >= start && next.second() == 0 && (due(next) || after_a_gap(next)));
            }
            // A slow search by single minutes over a few days finds the same time.
            let minutes = ((start.as_second() + 59) / 60..).take(4 * 24 * 60);
            let time = |minute: i64| Timestamp::from_second(minute * 60).expect("a time");
            let mut times = minutes.map(|minute| time(minute).to_zoned(civil.zone.clone()));
            if let Some(first) = times.find(due) {
                let next = next.expect("something is due");
                prop_assert!(next == first || (next < first && after_a_gap(&next)), "{next} {first}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", zone in proptest::option::of(".*"), start in any::<i32>()) {
            let start = Timestamp::from_second(start.into()).expect("a time");
            let _ = Schedule::parse(&text, zone.as_deref()).map(|schedule| schedule.next(start));
        }

        #[test]
        fn no_odd_field_makes_it_panic(fields in "[-*/?,0-9a-z ]{0,30}", start in any::<i32>()) {
            let start = Timestamp::from_second(start.into()).expect("a time");
            let _ = Schedule::parse(&fields, None).map(|schedule| schedule.next(start));
            let _ = Schedule::parse(&format!("@every {fields}"), None).map(|schedule| schedule.next(start));
        }
    }
}
