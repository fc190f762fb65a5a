//! The times that a schedule means, and which of those that have passed are made up for.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::cron::Cron;
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::trigger::{Notice, Occasion};

/// What is told so late is not late: a loop that begins a run takes its time.
const ON_TIME: Duration = Duration::from_mins(1);
/// Most times that are made up for.
const MISSED_MAX: usize = 100;
/// Most times that are counted: of more it is only said that there were more.
const COUNTED_MAX: usize = 10_000;
/// How far back it is looked first for the newest times that have passed; the way doubles until enough are
/// found.
const BACK_MIN: Duration = Duration::from_hours(2);

/// What becomes of times that passed while nobody listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CatchUp {
    /// The last of them is made up for.
    Latest,
    /// All of them are, up to [`MISSED_MAX`].
    All,
    /// None is.
    Nothing,
}

/// The times that are meant, and which of those that have passed still count.
pub(super) struct Times {
    pub(super) cron: Cron,
    pub(super) zone: TimeZone,
    pub(super) catch_up: CatchUp,
}

impl Times {
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.next(instant(after)?, &self.zone)?;
        u64::try_from(next.as_millisecond()).ok().map(Timestamp)
    }

    /// Those that come after this one, one after the other.
    fn after(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(time), |time| self.next(*time))
    }

    /// What has come since the last time that was dealt with, and is made up for first; `None`: nothing
    /// has. What comes after it is due when this is dealt with. The work is bounded, however long ago
    /// `last` is.
    pub(super) fn due(&self, last: Timestamp, now: Timestamp) -> Option<Notice> {
        let first = self.next(last).filter(|time| *time <= now)?;
        let mut passed = self.newest(last, now, MISSED_MAX + 1);
        let latest = *passed.back()?;
        let kept = match self.catch_up {
            CatchUp::All => MISSED_MAX,
            CatchUp::Latest => 1,
            CatchUp::Nothing => usize::from(now.since(latest) <= ON_TIME),
        };
        let due = passed.split_off(passed.len().saturating_sub(kept)).pop_front();
        let passed_over = passed.back().map(|end| self.passed_over(first, *end)).into_iter().collect();
        let occasions = due.map(|time| self.occasion(time)).into_iter().collect();
        let ticket = Ticket::Given(due.unwrap_or(latest).0.to_string().into());
        Some(Notice { occasions, passed_over, ticket })
    }

    /// The newest times after `last` and up to `now`, at most so many, the oldest of them first.
    fn newest(&self, last: Timestamp, now: Timestamp, count: usize) -> VecDeque<Timestamp> {
        let mut back = BACK_MIN;
        loop {
            let back_millis = u64::try_from(back.as_millis()).unwrap_or(u64::MAX);
            let from = last.max(Timestamp(now.0.saturating_sub(back_millis)));
            let mut newest = VecDeque::with_capacity(count);
            for time in self.after(from).take_while(|time| *time <= now) {
                if newest.len() == count {
                    newest.pop_front();
                }
                newest.push_back(time);
            }
            if newest.len() == count || from == last {
                return newest;
            }
            back = back.saturating_mul(2);
        }
    }

    /// What is said of the times from the one to the other.
    fn passed_over(&self, first: Timestamp, end: Timestamp) -> String {
        let (from, until) = (self.words(first), self.words(end));
        let more = self.after(first).take_while(|time| *time <= end).take(COUNTED_MAX).count();
        match more {
            0 => format!("{from} has passed"),
            COUNTED_MAX.. => format!("more than {COUNTED_MAX} times have passed, {from} to {until}"),
            _ => format!("{} times have passed, {from} to {until}", more + 1),
        }
    }

    fn occasion(&self, time: Timestamp) -> Occasion {
        Occasion { subject: self.words(time), identity: time.0.to_string(), version: None }
    }

    /// As people there read it: `2026-11-23T02:30:00+01:00`.
    pub(super) fn words(&self, time: Timestamp) -> String {
        let local = instant(time).map(|time| time.to_zoned(self.zone.clone()));
        local.map_or_else(|| time.0.to_string(), |local| local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(time.0).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn times(cron: &str, catch_up: CatchUp) -> Times {
        Times { cron: Cron::parse(cron).unwrap(), zone: TimeZone::UTC, catch_up }
    }

    /// Which minutes are made up for, one after the other, what is said of the others, and what is
    /// remembered then.
    fn made_up(times: &Times, last: u64, now: u64) -> (Vec<u64>, Vec<String>, u64) {
        let (mut last, now) = (Timestamp(last * MINUTE), Timestamp(now * MINUTE));
        let (mut minutes, mut said) = (Vec::new(), Vec::new());
        while let Some(notice) = times.due(last, now) {
            let identities = notice.occasions.iter().map(|occasion| &occasion.identity);
            minutes.extend(identities.map(|time| time.parse::<u64>().unwrap() / MINUTE));
            said.extend(notice.passed_over);
            let Ticket::Given(ticket) = notice.ticket else { panic!("{:?}", notice.ticket) };
            assert!(notice.occasions.len() < 2, "room for a run is asked for each time");
            last = Timestamp(ticket.parse().unwrap());
        }
        (minutes, said, last.0 / MINUTE)
    }

    fn due(catch_up: CatchUp, last: u64, now: u64) -> (Vec<u64>, Vec<String>, u64) {
        made_up(&times("*/10 * * * *", catch_up), last, now)
    }

    #[test]
    fn what_passed_meanwhile_is_made_up_for_as_the_file_says() {
        assert_eq!(due(CatchUp::All, 10, 19), (vec![], vec![], 10));
        for catch_up in [CatchUp::All, CatchUp::Latest, CatchUp::Nothing] {
            assert_eq!(due(catch_up, 10, 20), (vec![20], vec![], 20), "{catch_up:?}");
        }
        assert_eq!(due(CatchUp::All, 10, 45), (vec![20, 30, 40], vec![], 40));
        let (latest, said, last) = due(CatchUp::Latest, 10, 45);
        assert_eq!((latest, last), (vec![40], 40));
        assert_eq!(said, ["2 times have passed, 1970-01-01T00:20:00+00:00 to 1970-01-01T00:30:00+00:00"]);
        let (nothing, said, last) = due(CatchUp::Nothing, 10, 25);
        assert_eq!((nothing, last), (vec![], 20));
        assert_eq!(said, ["1970-01-01T00:20:00+00:00 has passed"]);
        let (now, said, _) = due(CatchUp::Nothing, 10, 40);
        assert_eq!((now, said.len()), (vec![40], 1), "what comes now is not late");
    }

    #[test]
    fn a_long_absence_is_not_made_up_for_without_end() {
        let (all, said, last) = due(CatchUp::All, 0, 10 * 500);
        assert_eq!((all.len(), all[0], last), (MISSED_MAX, 10 * 401, 5_000));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("400 times have passed"), "{said:?}");
    }

    #[test]
    fn the_newest_time_is_made_up_for_however_many_have_passed() {
        // A hundred days, and since 1970: a machine without a battery woke up then.
        for days in [100, 56 * 365] {
            let now = days * 24 * 60;
            let (latest, said, last) = made_up(&times("* * * * *", CatchUp::Latest), 0, now);
            assert_eq!((latest, last), (vec![now], now));
            assert!(said[0].starts_with("more than 10000 times have passed, 1970-01-01T00:01"), "{said:?}");
            let (all, said, last) = made_up(&times("* * * * *", CatchUp::All), 0, now);
            assert_eq!((all.len(), all[0], last, said.len()), (100, now - 99, now, 1));
            let (nothing, _, last) = made_up(&times("* * * * *", CatchUp::Nothing), 0, now);
            assert_eq!((nothing, last), (vec![now], now));
        }
        // Hardly ever, and then every minute for a day: the last such day was in 2024.
        let (latest, said, _) = made_up(&times("* * 29 2 *", CatchUp::Latest), 0, 56 * 365 * 24 * 60);
        assert_eq!(latest, [1_709_251_140 / 60]);
        assert!(said[0].ends_with(", 1972-02-29T00:00:00+00:00 to 2024-02-29T23:58:00+00:00"), "{said:?}");
    }
}
