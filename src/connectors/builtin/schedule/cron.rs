//! Times of day as cron writes them: five fields, of which each is `*`, numbers, names, ranges and steps.
//!
//! As in Vixie's cron and in cronie, a day is meant when either its number or its weekday is, if both are
//! given. A field that begins with `*` is none that is given: then both have to fit, so that
//! `0 9 */100,1-7 * mon` is the first Monday of the month. Where clocks are put forward, a time that does
//! not exist comes right after the gap; where they are put back, a time that comes twice is meant once.
//! Where every hour is meant, it is every hour that passes.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Unit};

/// Longest search for the next time: a 29th of February that is a Sunday is at most forty years away, as
/// from 2088 to 2128.
const YEARS_MAX: i16 = 40;
/// Every hour of the day, as bits.
const EVERY_HOUR: u64 = (1 << 24) - 1;

/// One field: which of its values are meant.
struct Part {
    /// What it is called in messages.
    name: &'static str,
    least: u8,
    most: u8,
    /// Names of values, beginning with the least.
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const PARTS: [Part; 5] = [
    Part { name: "minute", least: 0, most: 59, names: &[] },
    Part { name: "hour", least: 0, most: 23, names: &[] },
    Part { name: "day of the month", least: 1, most: 31, names: &[] },
    Part { name: "month", least: 1, most: 12, names: MONTHS },
    // Both 0 and 7 are Sunday.
    Part { name: "day of the week", least: 0, most: 7, names: WEEKDAYS },
];

/// What may be written in the place of five fields.
const SHORT: &[(&str, &str)] = &[
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// Values of a field, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Values {
    bits: u64,
    /// Written with a `*` in front: of the two fields for days it is none that is given.
    is_starred: bool,
}

impl Values {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1 << value) != 0)
    }
}

/// When something is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
}

impl Cron {
    /// Reads five fields, or a word such as `@daily`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let written = match SHORT.iter().find(|(word, _)| *word == text) {
            Some((_, fields)) => fields,
            None if text.starts_with('@') => {
                let words: Vec<&str> = SHORT.iter().map(|(word, _)| *word).collect();
                return Err(format!("'{text}' is none of {}", words.join(", ")));
            }
            None => text,
        };
        let fields: Vec<&str> = written.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let count = fields.len();
            return Err(format!(
                "it has {count} fields, not 5: minute, hour, day of the month, month, day of the week"
            ));
        };
        let [minute, hour, day, month, weekday] = &PARTS;
        let mut cron = Self {
            minutes: minute.values(minutes)?,
            hours: hour.values(hours)?,
            days: day.values(days)?,
            months: month.values(months)?,
            weekdays: weekday.values(weekdays)?,
        };
        cron.weekdays.bits |= (cron.weekdays.bits >> 7) & 1;
        Ok(cron)
    }

    /// The first instant after `after`; `None` when there is none, as for a 30th of February.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = after.round(Unit::Minute).ok()?;
        if at <= after {
            at = at.checked_add(1.minute()).ok()?;
        }
        let last_year = zone.to_datetime(after).year().checked_add(YEARS_MAX)?;
        let mut before = zone.to_datetime(at.checked_sub(1.minute()).ok()?);
        loop {
            let local = zone.to_datetime(at);
            if local.year() > last_year {
                return None;
            }
            if self.comes_at(at, local, before, zone) {
                return Some(at);
            }
            if self.is_day(local) {
                at = at.checked_add(1.minute()).ok()?;
                before = local;
                continue;
            }
            // Nothing on this day: the last minute of it comes next, so that a gap at midnight is seen.
            let evening = zone.to_timestamp(local.date().at(23, 59, 0, 0)).ok()?;
            at = evening.max(at.checked_add(1.minute()).ok()?);
            before = zone.to_datetime(at.checked_sub(1.minute()).ok()?);
        }
    }

    /// Whether it comes at this minute; `before` is the local time one minute earlier.
    fn comes_at(&self, at: Timestamp, local: DateTime, before: DateTime, zone: &TimeZone) -> bool {
        if self.hours.bits == EVERY_HOUR {
            return self.is_time(local);
        }
        self.is_skipped_between(before, local) || self.is_time(local) && is_first(at, local, zone)
    }

    /// Whether a time that is meant lies in a gap that clocks have just jumped over.
    fn is_skipped_between(&self, before: DateTime, local: DateTime) -> bool {
        let mut skipped = before;
        loop {
            let Ok(next) = skipped.checked_add(1.minute()) else { return false };
            if next >= local {
                return false;
            }
            if self.is_time(next) {
                return true;
            }
            skipped = next;
        }
    }

    fn is_time(&self, local: DateTime) -> bool {
        self.minutes.has(local.minute()) && self.hours.has(local.hour()) && self.is_day(local)
    }

    fn is_day(&self, local: DateTime) -> bool {
        let by_number = self.days.has(local.day());
        let by_weekday = self.weekdays.has(local.date().weekday().to_sunday_zero_offset());
        let is_meant = match (self.days.is_starred, self.weekdays.is_starred) {
            (false, false) => by_number || by_weekday,
            (_, _) => by_number && by_weekday,
        };
        is_meant && self.months.has(local.month())
    }
}

/// Whether this is the first of two instants with this local time.
fn is_first(at: Timestamp, local: DateTime, zone: &TimeZone) -> bool {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).is_ok_and(|first| first == at),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => true,
    }
}

impl Part {
    fn values(&self, text: &str) -> Result<Values, String> {
        let mut bits = 0;
        for range in text.split(',') {
            bits |= self.range(range)?;
        }
        Ok(Values { bits, is_starred: text.starts_with('*') })
    }

    /// `*`, `5`, `1-5`, each with `/2` behind it.
    fn range(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if range == "*" => (self.least, self.most),
            // `5/10` begins at 5 and goes on to the end.
            None if step.is_some() => (self.value(range)?, self.most),
            None => (self.value(range)?, self.value(range)?),
        };
        if first > last {
            return Err(format!("{}: the range '{range}' goes backwards", self.name));
        }
        let step = match step.map(str::parse::<u8>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err(format!("{}: the step in '{text}' is no number above 0", self.name)),
        };
        Ok((first..=last).step_by(step.into()).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(self.least.saturating_add(u8::try_from(at).unwrap_or(u8::MAX)));
        }
        match text.parse() {
            Ok(value) if (self.least..=self.most).contains(&value) => Ok(value),
            _ => Err(format!("{}: '{text}' is none of {} to {}", self.name, self.least, self.most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next `count` times after an instant, as local time with its offset.
    fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(cron).unwrap(), TimeZone::get(zone).unwrap());
        let first = after.parse().unwrap();
        let next = |at: &Timestamp| cron.next(*at, &zone);
        let all = std::iter::successors(next(&first), next).take(count);
        all.map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M%:z").to_string()).collect()
    }

    #[test]
    fn fields_have_values_names_ranges_and_steps() {
        let after = "2026-11-23T10:07:30Z";
        let utc = |cron, count| times(cron, "UTC", after, count);
        assert_eq!(
            utc("*/20 * * * *", 3),
            ["2026-11-23T10:20+00:00", "2026-11-23T10:40+00:00", "2026-11-23T11:00+00:00"]
        );
        assert_eq!(
            utc("5/25 9-11 * * *", 3),
            ["2026-11-23T10:30+00:00", "2026-11-23T10:55+00:00", "2026-11-23T11:05+00:00"]
        );
        assert_eq!(utc("0 2 * jan,MAR *", 1), ["2027-01-01T02:00+00:00"]);
        assert_eq!(utc("0 2 * * mon-fri", 2), ["2026-11-24T02:00+00:00", "2026-11-25T02:00+00:00"]);
        assert_eq!(utc("0 0 * * 7", 1), utc("0 0 * * 0", 1));
        assert_eq!(utc("@daily", 1), ["2026-11-24T00:00+00:00"]);
        assert_eq!(utc("0 0 29 2 *", 1), ["2028-02-29T00:00+00:00"]);
        // As in every cron: the 1st, and every Friday.
        assert_eq!(utc("0 0 1 * fri", 2), ["2026-11-27T00:00+00:00", "2026-12-01T00:00+00:00"]);
    }

    #[test]
    fn a_field_for_days_that_begins_with_a_star_narrows_the_other_one() {
        let utc = |cron, count| times(cron, "UTC", "2026-11-23T10:07:30Z", count);
        // Mondays with an odd number, and the other way round.
        assert_eq!(utc("0 0 */2 * mon", 2), ["2026-12-07T00:00+00:00", "2026-12-21T00:00+00:00"]);
        assert_eq!(utc("0 0 1-7 * */100", 2), ["2026-12-06T00:00+00:00", "2027-01-03T00:00+00:00"]);
        // The first Monday of the month, as people write it.
        assert_eq!(utc("0 9 */100,1-7 * mon", 2), ["2026-12-07T09:00+00:00", "2027-01-04T09:00+00:00"]);
        assert_eq!(utc("0 9 1-7,*/100 * mon", 2), ["2026-11-30T09:00+00:00", "2026-12-01T09:00+00:00"]);
        assert_eq!(
            times("0 0 29 2 */100", "UTC", "2088-02-29T00:00:00Z", 1),
            ["2128-02-29T00:00+00:00"],
            "the longest that a time lets wait"
        );
    }

    #[test]
    fn an_instant_is_never_its_own_next_one() {
        assert_eq!(times("0 * * * *", "UTC", "2026-11-23T10:00:00Z", 1), ["2026-11-23T11:00+00:00"]);
        assert_eq!(times("0 * * * *", "UTC", "2026-11-23T10:59:59.999Z", 1), ["2026-11-23T11:00+00:00"]);
        assert_eq!(times("* * * * *", "UTC", "2026-11-23T10:00:29Z", 1), ["2026-11-23T10:01+00:00"]);
    }

    #[test]
    fn a_time_that_clocks_jump_over_comes_right_after_the_gap() {
        // In Berlin there is no 02:00 to 02:59 on 29 March 2026.
        let after = "2026-03-28T12:00:00Z";
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", after, 2),
            ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]
        );
        assert_eq!(
            times("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"]
        );
        // In Havana the gap is at midnight: there is no 00:00 to 00:59 on 8 March 2026.
        assert_eq!(
            times("0 0 8 3 *", "America/Havana", "2026-03-01T12:00:00Z", 2),
            ["2026-03-08T01:00-04:00", "2027-03-08T00:00-05:00"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_meant_once_unless_every_hour_is() {
        // In Berlin 02:00 to 02:59 comes twice on 25 October 2026.
        let after = "2026-10-24T22:00:00Z";
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", after, 2),
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
        );
        assert_eq!(
            times("30 * * * *", "Europe/Berlin", after, 4),
            [
                "2026-10-25T00:30+02:00",
                "2026-10-25T01:30+02:00",
                "2026-10-25T02:30+02:00",
                "2026-10-25T02:30+01:00"
            ]
        );
        for every_hour in ["30 */1 * * *", "30 0-23 * * *"] {
            let hourly = times("30 * * * *", "Europe/Berlin", after, 6);
            assert_eq!(times(every_hour, "Europe/Berlin", after, 6), hourly, "{every_hour}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_in_words() {
        let wrong = |text: &str| Cron::parse(text).unwrap_err();
        for (text, said) in [
            ("0 0 * *", "it has 4 fields, not 5"),
            ("0 0 0 * * *", "it has 6 fields, not 5"),
            ("60 0 * * *", "minute: '60' is none of 0 to 59"),
            ("0 24 * * *", "hour: '24' is none of 0 to 23"),
            ("0 0 * * mo", "day of the week: 'mo' is none of 0 to 7"),
            ("0 0 * 5-2 *", "month: the range '5-2' goes backwards"),
            ("*/0 * * * *", "minute: the step in '*/0' is no number above 0"),
            ("@nightly", "'@nightly' is none of @hourly"),
        ] {
            assert!(wrong(text).starts_with(said), "{text}: {}", wrong(text));
        }
        let never = Cron::parse("0 0 30 2 *").unwrap();
        assert_eq!(never.next("2026-11-23T10:00:00Z".parse().unwrap(), &TimeZone::UTC), None);
    }
}
