//! Cron schedules, read as the CronJob controller (and so upstream) reads them: the rules of robfig/cron's `ParseStandard`.
//!
//! Five fields or a descriptor (`@daily`, `@every 90m`), after an optional `TZ=` or `CRON_TZ=`. A field is a list of numbers,
//! names, ranges and steps; `?` is `*`. Where neither day of month nor day of week has a star, one of them is enough.
//! Crates for cron expressions differ in each of these points, hence a module of our own.
//! Time zones come from the database in the binary; "local" is UTC. The rules: <https://pkg.go.dev/github.com/robfig/cron/v3>

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// No files are read: what is served must not depend on the machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The years in which a next time is looked for, after the one of the start.
const YEARS: i16 = 5;

const SECOND: i64 = 1_000_000_000;

/// When something is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// At each minute whose civil time has all these.
    Civil {
        /// Minutes of the hour, a bit each; so are the others.
        minutes: u64,
        /// Hours of the day.
        hours: u64,
        /// Days of the month.
        days: u64,
        /// Months of the year.
        months: u64,
        /// Days of the week, Sunday is 0.
        weekdays: u64,
        /// Whether a day must be in both `days` and `weekdays`, or in one of them.
        both: bool,
        /// Where the civil time is read.
        zone: TimeZone,
    },
    /// That many seconds after the last time.
    Every(i64),
}

impl Schedule {
    /// Reads a schedule; none if it is not one, or if there is no such time zone. A `time_zone` and one within `text` are
    /// one too many.
    pub fn parse(text: &str, time_zone: Option<&str>) -> Option<Self> {
        match time_zone {
            // NB: upstream puts it in front of the text, so blanks in a name count as they would there.
            Some(name) => Self::parse_text(&format!("CRON_TZ={name} {text}")),
            None => Self::parse_text(text),
        }
    }

    fn parse_text(text: &str) -> Option<Self> {
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
            other => match other.strip_prefix("@every ") {
                Some(duration) => return Some(Self::Every((nanoseconds(duration)? / SECOND).max(1))),
                None => other,
            },
        };
        let mut fields = fields.split_whitespace();
        let mut next = |bounds| field(fields.next()?, bounds);
        let minutes = next(&MINUTES)?;
        let hours = next(&HOURS)?;
        let days = next(&DAYS)?;
        let months = next(&MONTHS)?;
        let weekdays = next(&WEEKDAYS)?;
        if fields.next().is_some() {
            return None;
        }
        Some(Self::Civil {
            minutes: minutes.bits,
            hours: hours.bits,
            days: days.bits,
            months: months.bits,
            weekdays: weekdays.bits,
            both: days.star || weekdays.star,
            zone,
        })
    }

    /// The first time after `start`; none if there is none in the next years (`0 0 30 2 *`).
    ///
    /// A civil time that a clock change skips is not due that day; one that comes twice is due twice.
    pub fn next(&self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(seconds) => whole_second(start)?.checked_add(SignedDuration::from_secs(*seconds)).ok(),
            Self::Civil { minutes: 0, .. } | Self::Civil { hours: 0, .. } => None,
            Self::Civil { zone, .. } => {
                let start = whole_second(start)?.checked_add(SignedDuration::from_secs(1)).ok()?.to_zoned(zone.clone());
                let last_year = start.year().saturating_add(YEARS);
                let seconds = i64::from(start.second());
                let mut time = if seconds == 0 { start } else { later(&start, 60 - seconds)? };
                while time.year() <= last_year {
                    match self.skip(&time)? {
                        None => return Some(time.timestamp()),
                        Some(skipped) => time = skipped,
                    }
                }
                None
            }
        }
    }

    /// Where to look next if nothing is due at `time`: the start of the next month, day, hour or minute. The outer `None`
    /// is the end of time.
    fn skip(&self, time: &Zoned) -> Option<Option<Zoned>> {
        let Self::Civil { minutes, hours, days, months, weekdays, both, zone } = self else { return Some(None) };
        let has = |bits: u64, value: i8| bits >> value & 1 == 1;
        let date = time.date();
        let at_midnight = |date: jiff::civil::Date| date.to_zoned(zone.clone()).ok();
        if !has(*months, date.month()) {
            return at_midnight(date.first_of_month().checked_add(1.month()).ok()?).map(Some);
        }
        let day = has(*days, date.day());
        let weekday = has(*weekdays, date.weekday().to_sunday_zero_offset());
        if !(if *both { day && weekday } else { day || weekday }) {
            return at_midnight(date.tomorrow().ok()?).map(Some);
        }
        if !has(*hours, time.hour()) {
            return later(time, (60 - i64::from(time.minute())) * 60).map(Some);
        }
        if !has(*minutes, time.minute()) {
            return later(time, 60).map(Some);
        }
        Some(None)
    }
}

fn later(time: &Zoned, seconds: i64) -> Option<Zoned> {
    time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn whole_second(time: Timestamp) -> Option<Timestamp> {
    let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
    Timestamp::from_second(seconds).ok()
}

/// A time zone by its exact name; Go's names for UTC are an empty one and, without a local zone, `Local`.
fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC" | "Local") {
        return Some(TimeZone::UTC);
    }
    // The database ignores case, file names do not.
    ZONES.get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// The values that a field may have, and names for some of them.
struct Bounds {
    first: u64,
    last: u64,
    /// The names of `first` and those after it.
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
const WEEKDAYS: Bounds = Bounds { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// A field: its values, and whether it has a star (in steps of 1).
#[derive(Default)]
struct Field {
    bits: u64,
    star: bool,
}

fn field(text: &str, bounds: &Bounds) -> Option<Field> {
    let mut all = Field::default();
    // NB: empty items are ignored, as upstream does; a field of nothing else is never due.
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let Field { bits, star } = range(item, bounds)?;
        all.bits |= bits;
        all.star |= star;
    }
    Some(all)
}

/// `*`, `A`, `A-B`, each with `/STEP` or without. `A/STEP` goes on to the last value.
fn range(text: &str, bounds: &Bounds) -> Option<Field> {
    let (ends, step) = match text.split_once('/') {
        None => (text, None),
        Some((ends, step)) => (ends, Some(number(step)?)),
    };
    let mut ends = ends.split('-');
    let low = ends.next()?;
    let high = ends.next();
    let star = low == "*" || low == "?";
    let (first, last) = match high {
        // NB: what follows `*-` is not looked at.
        _ if star => (bounds.first, bounds.last),
        None if step.is_some() => (value(low, bounds)?, bounds.last),
        None => (value(low, bounds)?, value(low, bounds)?),
        Some(high) => (value(low, bounds)?, value(high, bounds)?),
    };
    if (ends.next().is_some() && !star) || first < bounds.first || last > bounds.last || first > last {
        return None;
    }
    let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
    let bits = (first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value);
    Some(Field { bits, star: star && step == 1 })
}

fn value(text: &str, bounds: &Bounds) -> Option<u64> {
    let named = (bounds.first..).zip(bounds.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| number(text), |(value, _)| Some(value))
}

fn number(text: &str) -> Option<u64> {
    text.parse::<i64>().ok()?.try_into().ok()
}

/// A duration as Go writes it: `1h30m`, `1.5h`, `-2ms`. None if it is not one, or if an `i64` of nanoseconds overflows.
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
        let part = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().ok()? * unit as f64 };
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(text: &str, zone: Option<&str>, start: &str) -> Option<String> {
        let schedule = Schedule::parse(text, zone).expect("the text is a schedule");
        schedule.next(start.parse().expect("the start is a time")).map(|time| time.to_string())
    }

    #[test]
    fn fields_and_descriptors_are_read_as_cron_does() {
        for (text, start, expected) in [
            ("0 9 * * MON-FRI", "2026-10-02T09:00:00Z", "2026-10-05T09:00:00Z"),
            ("*/15 * * * *", "2026-10-02T09:00:00.5Z", "2026-10-02T09:15:00Z"),
            ("5/20 * ? * ?", "2026-10-02T09:45:00Z", "2026-10-02T10:05:00Z"),
            ("30 4 1,15 * 5", "2026-10-02T04:30:00Z", "2026-10-09T04:30:00Z"),
            ("30 4 */10 * 5", "2026-10-02T04:30:00Z", "2026-10-09T04:30:00Z"),
            ("30 4 */1 * 5", "2026-10-02T04:30:00Z", "2026-10-09T04:30:00Z"),
            ("30 4 10 * *", "2026-10-10T04:29:59Z", "2026-10-10T04:30:00Z"),
            ("0 0 29 feb *", "2026-10-02T00:00:00Z", "2028-02-29T00:00:00Z"),
            (",,0 0 1 JAN-MAR/2 *", "2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("0 0 *-x * *", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("@weekly", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("@midnight", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
            ("@hourly", "2026-10-02T00:59:59Z", "2026-10-02T01:00:00Z"),
            ("@every 1h30m1.9s", "2026-10-02T00:00:00.7Z", "2026-10-02T01:30:01Z"),
            ("@every -5m", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("@every 1µs", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("TZ=Asia/Kolkata  0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T03:30:00Z"),
            ("CRON_TZ= 0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T09:00:00Z"),
            ("CRON_TZ=Local @daily ", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
        ] {
            assert_eq!(next(text, None, start).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "1-2-3 * * * *",
            "*/0 * * * *",
            "*/-1 * * * *",
            "*/1/2 * * * *",
            "a * * * *",
            "* * mon * *",
            "-1 * * * *",
            "@reboot",
            "@hourly ",
            "@every",
            "@every ",
            "@every 5",
            "@every 1x",
            "@every  1h",
            "@every .s",
            "@every 99999999h",
            "TZ=UTC",
            "TZ=Nowhere/City * * * * *",
            "TZ=europe/berlin * * * * *",
            "TZ=../etc/localtime * * * * *",
        ] {
            assert_eq!(Schedule::parse(text, None), None, "{text}");
        }
        assert_eq!(Schedule::parse("TZ=UTC * * * * *", Some("UTC")), None);
        assert_eq!(Schedule::parse("* * * * *", Some("Nowhere")), None);
    }

    #[test]
    fn a_day_that_never_comes_is_not_waited_for() {
        assert_eq!(next("0 0 30 2 *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next("0 , * * *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next(", 0 * * *", None, "2026-10-02T00:00:00Z"), None);
        assert_eq!(next("0 0 1 , *", None, "9998-10-02T00:00:00Z"), None);
        assert_eq!(next("@every 24h", None, "9999-12-30T00:00:00Z"), None);
    }

    #[test]
    fn clock_changes_skip_a_time_or_give_it_twice() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(next("30 2 * * *", berlin, "2026-03-28T12:00:00Z").as_deref(), Some("2026-03-30T00:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-24T12:00:00Z").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-25T00:30:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
        // Midnight of that day does not exist.
        let cairo = Some("Africa/Cairo");
        assert_eq!(next("0 5 24 4 *", cairo, "2026-04-01T00:00:00Z").as_deref(), Some("2026-04-24T02:00:00Z"));
    }

    /// A field of small numbers, in several ways of writing.
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
            zone in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo"]),
            start in 1_500_000_000..1_900_000_000_i64,
        ) {
            let schedule = Schedule::parse(&format!("{minute} {hour} {day} * {weekday}"), Some(zone)).expect("a schedule");
            let start = Timestamp::from_second(start).expect("a time");
            let due = |time: Timestamp| schedule.skip(&time.to_zoned(super::zone(zone).expect("a zone"))) == Some(None);
            let next = schedule.next(start);
            prop_assert!(next.is_none_or(|next| next > start && next.as_second() % 60 == 0 && due(next)));
            // A few days by single minutes: the slow way finds the same.
            let minutes = (start.as_second() / 60 + 1..).take(4 * 24 * 60).filter_map(|m| Timestamp::from_second(m * 60).ok());
            if let Some(first) = minutes.into_iter().find(|time| due(*time)) {
                prop_assert_eq!(next, Some(first));
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
