//! Cron schedules, as the CronJob controller reads them: `ParseStandard` and `Next` of robfig/cron v3.
//!
//! A schedule has five fields or a descriptor (`@daily`, `@every 90m`), after an optional `TZ=` or `CRON_TZ=`. A field is a
//! list of numbers, names, ranges and steps; `?` means `*`. A day needs to match only one of the day fields if neither is `*`.
//! The search for the next time follows the library step by step, because clock changes make its steps visible. For
//! example, a skipped hour is not due on that day, and a skipped midnight can delay a time by a day.
//! Crates for cron expressions differ in each of these points, hence this module. kube-state-metrics reads another dialect since
//! 2.20 (netresearch/go-cron), in which a series can differ from the start of the Job.
//! Time zones come from the database in the binary, or from another one that the process installs at its start; "local" is UTC, as
//! in the controller's image.
//! Sources: <https://pkg.go.dev/github.com/robfig/cron/v3>, and `formatSchedule` and `syncCronJob` in `pkg/controller/cronjob`.

use std::sync::OnceLock;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// The database that [`set_time_zones`] installed, or that of the binary.
static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();

/// Number of years after the start year in which to search for the next time.
const YEARS: i16 = 5;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Seconds in 400 years, after which dates, weekdays and the rules of clock changes repeat.
const CYCLE: i64 = 146_097 * DAY;

/// The Unix times for which jiff has dates, with room for a search.
const NEAR: std::ops::Range<i64> = -370_000_000_000..250_000_000_000;

/// The times at which something is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Each minute whose civil time matches.
    Civil(Civil),
    /// The number of seconds after the last time.
    Every(i64),
}

/// Civil times: one bit per minute of the hour, hour, day of the month, month and day of the week (Sunday is 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Civil {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    zone: TimeZone,
}

/// The bit of a day field that is `*`. Source: `starBit`.
const STAR: u64 = 1 << 63;

/// Installs the database of time zones for all schedules of this process. Only the first call counts.
///
/// The controller reads the files of its machine or image first (`time.LoadLocation`), and the rules of a zone change every year
/// somewhere. A process that reads the same files therefore finds the same times.
pub fn set_time_zones(zones: TimeZoneDatabase) {
    let _ = ZONES.set(zones);
}

impl Schedule {
    /// Parses a schedule. `None` if it is invalid, if a time zone is unknown, or if both `time_zone` and `text` set one.
    ///
    /// API servers reject two zones, as kube-state-metrics does. The controller would use that of the schedule.
    pub fn parse(text: &str, time_zone: Option<&str>) -> Option<Self> {
        Self::parse_with(ZONES.get_or_init(TimeZoneDatabase::bundled), text, time_zone)
    }

    fn parse_with(zones: &TimeZoneDatabase, text: &str, time_zone: Option<&str>) -> Option<Self> {
        match time_zone {
            // NB: the controller writes the zone before the text, and the library removes the blanks after a zone.
            Some(name) => Self::parse_fields(text.trim(), zone(zones, name)?),
            None => Self::parse_standard(zones, text),
        }
    }

    /// `ParseStandard`.
    fn parse_standard(zones: &TimeZoneDatabase, text: &str) -> Option<Self> {
        match text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            Some(rest) => {
                let (name, rest) = rest.split_once(' ')?;
                Self::parse_fields(rest.trim(), zone(zones, name)?)
            }
            None => Self::parse_fields(text, TimeZone::UTC),
        }
    }

    fn parse_fields(text: &str, zone: TimeZone) -> Option<Self> {
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => match other.strip_prefix("@every ") {
                // Shorter times count as one second.
                Some(duration) => return Some(Self::Every((nanoseconds(duration)? / 1_000_000_000).max(1))),
                None => other,
            },
        };
        let mut fields = fields.split_whitespace();
        let mut next = |bounds| field(fields.next()?, bounds);
        let civil = Civil {
            minutes: next(&MINUTES)?,
            hours: next(&HOURS)?,
            days: next(&DAYS)?,
            months: next(&MONTHS)?,
            weekdays: next(&WEEKDAYS)?,
            zone,
        };
        fields.next().is_none().then_some(Self::Civil(civil))
    }

    /// Returns the first due time after `start`, both in Unix seconds. `None` if nothing is due within five years (`0 0 30 2 *`).
    pub fn next(&self, start: i64) -> Option<i64> {
        match self {
            Self::Every(delay) => start.checked_add(*delay),
            Self::Civil(civil) if NEAR.contains(&start) => civil.next(start),
            Self::Civil(civil) => {
                // NB: the nearest cycle would not do: some zones list their clock changes far into the future.
                let place = if start > 0 { 19 } else { -23 };
                let shift = (start.div_euclid(CYCLE) - place).checked_mul(CYCLE)?;
                civil.next(start.checked_sub(shift)?)?.checked_add(shift)
            }
        }
    }
}

/// A time: Unix seconds, and what a clock shows.
#[derive(Clone, Copy)]
struct Time {
    unix: i64,
    clock: DateTime,
}

impl Civil {
    /// `SpecSchedule.Next`. Returns the first due time after `start`.
    ///
    /// As there, the first change resets all smaller units to their start, and a unit that wraps around starts from the top.
    fn next(&self, start: i64) -> Option<i64> {
        if self.minutes == 0 || self.hours == 0 {
            return None;
        }
        let mut time = self.at(start + 1)?;
        let last_year = time.clock.year().saturating_add(YEARS);
        let mut reset = false;
        'wrap: while time.clock.year() <= last_year {
            while !has(self.months, time.clock.month()) {
                if !std::mem::replace(&mut reset, true) {
                    time = self.on(time.clock.first_of_month().date().to_datetime(jiff::civil::Time::midnight()))?;
                }
                time = self.add_month(time)?;
                if time.clock.month() == 1 {
                    continue 'wrap;
                }
            }
            while !self.is_due_on(time.clock) {
                if !std::mem::replace(&mut reset, true) {
                    time = self.on(time.clock.date().to_datetime(jiff::civil::Time::midnight()))?;
                }
                time = self.add_day(time)?;
                if time.clock.day() == 1 {
                    continue 'wrap;
                }
            }
            while !has(self.hours, time.clock.hour()) {
                if !std::mem::replace(&mut reset, true) {
                    time = self.on(time.clock.date().at(time.clock.hour(), 0, 0, 0))?;
                }
                time = self.at(time.unix + HOUR)?;
                if time.clock.hour() == 0 {
                    continue 'wrap;
                }
            }
            while !has(self.minutes, time.clock.minute()) {
                if !std::mem::replace(&mut reset, true) {
                    time = self.at(time.unix - time.unix.rem_euclid(60))?;
                }
                time = self.at(time.unix + 60)?;
                if time.clock.minute() == 0 {
                    continue 'wrap;
                }
            }
            while time.clock.second() != 0 {
                reset = true;
                time = self.at(time.unix + 1)?;
                if time.clock.second() == 0 {
                    continue 'wrap;
                }
            }
            return Some(time.unix);
        }
        None
    }

    fn add_month(&self, time: Time) -> Option<Time> {
        let first = time.clock.date().first_of_month().checked_add(1.month()).ok()?;
        let days = i32::from(time.clock.day()) - 1;
        self.on(first.checked_add(days.days()).ok()?.to_datetime(time.clock.time()))
    }

    fn add_day(&self, time: Time) -> Option<Time> {
        let mut next = self.on(time.clock.checked_add(1.day()).ok()?)?;
        // A zone has skipped a whole day: the library would search that day for ever.
        if next.unix <= time.unix {
            next = self.on(time.clock.checked_add(2.days()).ok()?)?;
        }
        // Midnight may be skipped.
        match i64::from(next.clock.hour()) {
            0 => Some(next),
            hour if hour > 12 => self.at(next.unix + (24 - hour) * HOUR),
            hour => self.at(next.unix - hour * HOUR),
        }
    }

    /// `dayMatches`.
    fn is_due_on(&self, clock: DateTime) -> bool {
        let day = has(self.days, clock.day());
        let weekday = has(self.weekdays, clock.weekday().to_sunday_zero_offset());
        if (self.days | self.weekdays) & STAR != 0 { day && weekday } else { day || weekday }
    }

    /// The time with these Unix seconds.
    fn at(&self, unix: i64) -> Option<Time> {
        let instant = Timestamp::from_second(unix).ok()?;
        Some(Time { unix, clock: self.zone.to_offset(instant).to_datetime(instant) })
    }

    /// The time at which a clock shows `clock`. Of two times, or around a skipped one, it is the time that Go's `time.Date` chooses.
    fn on(&self, clock: DateTime) -> Option<Time> {
        let as_utc = Offset::UTC.to_timestamp(clock).ok()?.as_second();
        let guess = as_utc - self.offset(as_utc)?;
        self.at(as_utc - self.offset(guess)?)
    }

    /// Seconds to add to Unix seconds.
    fn offset(&self, unix: i64) -> Option<i64> {
        Some(self.zone.to_offset(Timestamp::from_second(unix).ok()?).seconds().into())
    }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

/// `time.LoadLocation`: returns a time zone by its exact name. An empty name and `Local` are UTC.
fn zone(zones: &TimeZoneDatabase, name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC" | "Local") {
        return Some(TimeZone::UTC);
    }
    // The database ignores case, unlike the file names that Go uses.
    zones.get(name).ok().filter(|zone| zone.iana_name() == Some(name))
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
const WEEKDAYS: Bounds = Bounds { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// `getField`: a bit per value, and [`STAR`].
fn field(text: &str, bounds: &Bounds) -> Option<u64> {
    // NB: like the library, ignore empty items. A field without others is never due.
    text.split(',').filter(|item| !item.is_empty()).try_fold(0, |bits, item| Some(bits | range(item, bounds)?))
}

/// `getRange`: `*`, `A` or `A-B`, with an optional `/STEP`. `A/STEP` extends to the last value.
fn range(text: &str, bounds: &Bounds) -> Option<u64> {
    let (ends, step) = match text.split_once('/') {
        None => (text, None),
        Some((ends, step)) => (ends, Some(number(step)?)),
    };
    let mut ends = ends.split('-');
    let (low, high) = (ends.next()?, ends.next());
    let star = low == "*" || low == "?";
    let (first, last) = match high {
        // NB: like the library, ignore the text after `*-`.
        _ if star => (bounds.first, bounds.last),
        _ if ends.next().is_some() => return None,
        Some(high) => (value(low, bounds)?, value(high, bounds)?),
        None if step.is_some() => (value(low, bounds)?, bounds.last),
        None => (value(low, bounds)?, value(low, bounds)?),
    };
    let step = step.unwrap_or(1);
    if first < bounds.first || last > bounds.last || first > last || step == 0 {
        return None;
    }
    let values = (first..=last).step_by(usize::try_from(step).ok()?);
    Some(values.fold(if star && step == 1 { STAR } else { 0 }, |bits, value| bits | 1 << value))
}

/// `parseIntOrName`.
fn value(text: &str, bounds: &Bounds) -> Option<u64> {
    // Go maps each character to one of lower case.
    let lower = || text.chars().map(|c| c.to_lowercase().next().unwrap_or(c));
    let named = (bounds.first..).zip(bounds.names).find(|(_, name)| name.chars().eq(lower()));
    named.map_or_else(|| number(text), |(value, _)| Some(value))
}

fn number(text: &str) -> Option<u64> {
    text.parse::<i64>().ok()?.try_into().ok()
}

/// `time.ParseDuration`: `1h30m`, `1.5h`, `-2ms`. `None` if it is invalid or overflows an `i64` of nanoseconds.
fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: u64 = 0;
    loop {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        // Go's order of operations: the digits times the value of the last digit.
        let (digits, scale) = leading(fraction);
        let part = (digits as f64 * (unit as f64 / scale)) as u64;
        total = total.checked_add(whole.checked_mul(unit)?.checked_add(part)?).filter(|total| *total <= 1 << 63)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if negative { Some(0_i64.wrapping_sub_unsigned(total)) } else { total.try_into().ok() }
}

/// `leadingFraction`: as many digits as fit, and the power of ten that divides them.
fn leading(fraction: &str) -> (u64, f64) {
    let (mut number, mut scale) = (0_u64, 1.0);
    for digit in fraction.bytes() {
        match number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0'))) {
            Some(next) if number <= i64::MAX as u64 / 10 && next <= 1 << 63 => number = next,
            _ => break,
        }
        scale *= 10.0;
    }
    (number, scale)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a failed test may panic")]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn seconds(time: &str) -> i64 {
        let time: Timestamp = time.parse().expect("the text is a time");
        time.as_second()
    }

    fn next(text: &str, zone: Option<&str>, start: &str) -> Option<String> {
        let schedule = Schedule::parse(text, zone).unwrap_or_else(|| panic!("{text:?} is not a schedule"));
        schedule.next(seconds(start)).map(|time| Timestamp::from_second(time).expect("a time").to_string())
    }

    #[test]
    fn recorded_schedules_are_read_as_the_controller_reads_them() {
        // The files that the library read.
        let zones = TimeZoneDatabase::from_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/zoneinfo"))
            .expect("the zones can be read");
        let mut rows = String::new();
        GzDecoder::new(&include_bytes!("../../tests/data/cron.tsv.gz")[..])
            .read_to_string(&mut rows)
            .expect("readable");
        let mut checked = 0;
        for row in rows.lines().skip(1) {
            let mut columns = row.split('\t');
            let mut column = || columns.next().expect("a column");
            let (text, zone, start, expected) = (column(), column(), column(), column());
            let found = match Schedule::parse_with(&zones, text, Some(zone).filter(|zone| !zone.is_empty())) {
                None => "invalid".to_owned(),
                Some(schedule) => schedule
                    .next(seconds(start))
                    .map_or("never".to_owned(), |time| Timestamp::from_second(time).expect("a time").to_string()),
            };
            assert_eq!(found, expected, "{row}");
            checked += 1;
        }
        assert_eq!(checked, 454);
    }

    #[test]
    fn fields_and_descriptors_are_read_as_the_library_does() {
        for (text, start, expected) in [
            ("0 9 * * MON-FRI", "2026-10-02T09:00:00Z", "2026-10-05T09:00:00Z"),
            ("*/15 * * * *", "2026-10-02T09:00:00Z", "2026-10-02T09:15:00Z"),
            ("5/20 * ? * ?", "2026-10-02T09:45:00Z", "2026-10-02T10:05:00Z"),
            ("30 4 1,15 * 5", "2019-08-03T10:45:45Z", "2019-08-09T04:30:00Z"),
            ("30 4 1,15 * 5", "2019-08-09T10:45:45Z", "2019-08-15T04:30:00Z"),
            ("30 4 */1 * 5", "2019-08-03T10:45:45Z", "2019-08-09T04:30:00Z"),
            ("30 4 */2 * 5", "2019-08-03T10:45:45Z", "2019-08-05T04:30:00Z"),
            ("30 4 10 * *", "2026-10-10T04:29:59Z", "2026-10-10T04:30:00Z"),
            ("0 0 29 feb *", "2026-10-02T00:00:00Z", "2028-02-29T00:00:00Z"),
            (",,0 0 1 JAN-MAR/2 *", "2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("0 0 *-x * *", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
            ("0 0 * * */7", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("0 0 * * fr\u{130}", "2026-10-03T00:00:00Z", "2026-10-09T00:00:00Z"),
            // A step may be longer than the range.
            ("*/60 * * * *", "2026-10-02T09:00:00Z", "2026-10-02T10:00:00Z"),
            ("5/55 * * * *", "2026-10-02T09:00:00Z", "2026-10-02T09:05:00Z"),
            ("1-4/9223372036854775807 * * * *", "2026-10-02T09:01:00Z", "2026-10-02T10:01:00Z"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("@weekly", "2026-10-02T00:00:00Z", "2026-10-04T00:00:00Z"),
            ("@midnight", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
            ("@hourly", "2026-10-02T00:59:59Z", "2026-10-02T01:00:00Z"),
            ("@every 1h30m1.9s", "2026-10-02T00:00:00Z", "2026-10-02T01:30:01Z"),
            ("@every 1000000µs", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            // Less than a second is a second.
            ("@every 0", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("@every 999ms", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("@every -2562047h47m16.854775808s", "2026-10-02T00:00:00Z", "2026-10-02T00:00:01Z"),
            ("@every 2562047h47m16.854775807s", "2026-10-02T00:00:00Z", "2319-01-11T23:47:16Z"),
            ("TZ=Asia/Kolkata  0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T03:30:00Z"),
            ("TZ= 0 9 * * *", "2026-10-02T00:00:00Z", "2026-10-02T09:00:00Z"),
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
            "60/5 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * L * *",
            "* * * 13 *",
            "* * * * 7",
            "* * * * FRI#3",
            "* * * * SAT-MON",
            "H * * * *",
            "1-2-3 * * * *",
            "58-2 * * * *",
            "*/0 * * * *",
            "*/-1 * * * *",
            "*/1/2 * * * *",
            "*/9223372036854775808 * * * *",
            "a * * * *",
            "* * mon * *",
            "-1 * * * *",
            "@reboot",
            "@manual",
            "@hourly ",
            " @hourly",
            "@every",
            "@every ",
            "@every 5",
            "@every 1x",
            "@every  1h",
            "@every .s",
            "@every 2562047h47m16.854775808s",
            "TZ=UTC",
            "TZ=UTC ",
            "TZ=UTC\t* * * * *",
            "TZ='UTC' * * * * *",
            "TZ=Nowhere/City * * * * *",
            "TZ=europe/berlin * * * * *",
            "TZ=../etc/localtime * * * * *",
        ] {
            assert_eq!(Schedule::parse(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_zone_comes_from_the_schedule_or_from_the_field_and_must_exist() {
        let start = "2026-10-02T00:00:00Z";
        assert_eq!(next("0 9 * * *", Some("Asia/Tokyo"), start).as_deref(), Some("2026-10-03T00:00:00Z"));
        assert_eq!(next("TZ=Asia/Tokyo 0 9 * * *", None, start).as_deref(), Some("2026-10-03T00:00:00Z"));
        assert_eq!(Schedule::parse("TZ=UTC 0 9 * * *", Some("UTC")), None);
        assert_eq!(Schedule::parse("0 9 * * * TZ", Some("UTC")), None);
        assert_eq!(Schedule::parse("* * * * *", Some("Nowhere")), None);
        assert_eq!(Schedule::parse("* * * * *", Some("UTC ")), None);
        // Blanks around a schedule do not matter behind a zone.
        assert_eq!(next(" @daily ", Some(""), start).as_deref(), Some("2026-10-03T00:00:00Z"));
        for old in ["Asia/Calcutta", "US/Pacific", "EST5EDT", "GMT", "Etc/GMT+5"] {
            assert!(zone(&TimeZoneDatabase::bundled(), old).is_some(), "{old}");
        }
    }

    #[test]
    fn a_day_that_never_comes_is_not_waited_for() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 , * * *", ", 0 * * *", "0 0 1 , *", "0 0 , * ,"] {
            assert_eq!(next(text, None, "2026-10-02T00:00:00Z"), None, "{text}");
        }
        // Six years and more apart.
        assert_eq!(next("0 0 29 2 *", None, "2096-03-01T00:00:00Z"), None);
    }

    #[test]
    fn times_outside_the_range_of_dates_have_a_next_time_too() {
        let daily = Schedule::parse("30 4 * * *", Some("America/New_York")).expect("a schedule");
        // 10000-01-01T00:00:00Z, and 2020-01-01T00:00:00Z a million times 400 years later.
        assert_eq!(daily.next(253_402_300_800), Some(253_402_300_800 + 9 * HOUR + HOUR / 2));
        assert_eq!(
            daily.next(1_577_836_800 + 1_000_000 * CYCLE),
            Some(1_577_836_800 + 1_000_000 * CYCLE + 9 * HOUR + HOUR / 2)
        );
        assert!(daily.next(-400_000_000_000).is_some_and(|next| next > -400_000_000_000));
        let every = Schedule::parse("@every 1h", None).expect("a schedule");
        for start in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            assert!(daily.next(start).is_none_or(|next| next > start));
            assert!(every.next(start).is_none_or(|next| next > start));
        }
    }

    #[test]
    fn clock_changes_skip_a_time_or_give_it_twice() {
        let berlin = Some("Europe/Berlin");
        // The skipped hour is due on the next day.
        assert_eq!(next("30 2 * * *", berlin, "2026-03-28T12:00:00Z").as_deref(), Some("2026-03-30T00:30:00Z"));
        assert_eq!(next("30 1,2 * * *", berlin, "2026-03-29T00:30:00Z").as_deref(), Some("2026-03-29T23:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-24T12:00:00Z").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(next("30 2 * * *", berlin, "2026-10-25T00:30:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
        // Midnight of that day does not exist.
        let cairo = Some("Africa/Cairo");
        assert_eq!(next("0 5 24 4 *", cairo, "2026-04-01T00:00:00Z").as_deref(), Some("2027-04-24T03:00:00Z"));
        // A day of that year does not exist. The library would search for ever.
        let apia = Some("Pacific/Apia");
        assert_eq!(next("0 0 31 12 *", apia, "2011-12-01T00:00:00Z").as_deref(), Some("2011-12-30T10:00:00Z"));
    }

    const ZONES_TRIED: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Beirut",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Africa/Casablanca",
    ];

    /// A field of small numbers in several notations.
    fn any_field(first: u8, last: u8) -> impl Strategy<Value = String> {
        let value = first..=last;
        let item = prop_oneof![
            Just("*".to_owned()),
            value.clone().prop_map(|a| a.to_string()),
            (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (value, 1..100_u8).prop_map(|(a, step)| format!("{a}/{step}")),
            (1..100_u8).prop_map(|step| format!("*/{step}")),
        ];
        prop::collection::vec(item, 1..3).prop_map(|items| items.join(","))
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_due_and_nothing_is_due_before_it(
            minute in any_field(0, 59),
            hour in any_field(0, 23),
            day in any_field(1, 31),
            month in any_field(1, 12),
            weekday in any_field(0, 6),
            zone in prop::sample::select(ZONES_TRIED.to_vec()),
            start in 1_500_000_000..4_000_000_000_i64,
        ) {
            let schedule = Schedule::parse(&format!("{minute} {hour} {day} {month} {weekday}"), Some(zone));
            let Some(Schedule::Civil(civil)) = schedule else { return Err(TestCaseError::fail("invalid")) };
            let next = civil.next(start);
            let at = |unix| civil.at(unix).expect("a time").clock;
            if let Some(next) = next {
                prop_assert!(next > start && at(next).second() == 0);
                prop_assert!(has(civil.minutes, at(next).minute()) && has(civil.hours, at(next).hour()));
                // NB: where midnight is skipped, the library does not look at the new day.
                let skipped = civil.offset(next) > civil.offset(next - DAY);
                prop_assert!(skipped || (has(civil.months, at(next).month()) && civil.is_due_on(at(next))));
            }
            // A slow search over a few days without clock changes finds the same time.
            let days = 4;
            if civil.zone.following(Timestamp::from_second(start).expect("a time")).next().is_none_or(|change| {
                change.timestamp().as_second() > start + (days + 1) * DAY
            }) {
                let due = (start.div_euclid(60) + 1..).take(days as usize * 24 * 60).map(|m| m * 60).find(|unix| {
                    let clock = at(*unix);
                    has(civil.minutes, clock.minute())
                        && has(civil.hours, clock.hour())
                        && has(civil.months, clock.month())
                        && civil.is_due_on(clock)
                });
                prop_assert!(due.is_none() || due == next);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", zone in proptest::option::of(".*"), start in any::<i64>()) {
            let _ = Schedule::parse(&text, zone.as_deref()).map(|schedule| schedule.next(start));
        }

        #[test]
        fn no_odd_field_makes_it_panic(
            fields in "[-*/?,0-9a-z ]{0,30}",
            five in prop::collection::vec("[*?,0-9/-]{1,5}", 5),
            zone in prop::sample::select(TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect::<Vec<_>>()),
            start in any::<i64>(),
        ) {
            for text in [&fields, &format!("@every {fields}"), &five.join(" ")] {
                if let Some(schedule) = Schedule::parse(text, Some(&zone)) {
                    for start in [start, start % 10_000_000_000] {
                        prop_assert!(schedule.next(start).is_none_or(|next| next > start));
                    }
                }
            }
        }
    }
}
