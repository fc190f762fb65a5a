//! `schedule`: the time has come. What is remembered is the last time that was dealt with, so that times
//! which pass while nobody listens are made up for, or passed over, as the file says.

mod cron;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use self::cron::Cron;
use crate::connectors::{BuildFault, Diagnosis, Post, settings};
use crate::core::catalog::{Field, Kind, TriggerKind};
use crate::core::fault::{Fault, name};
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::trigger::{Heard, Notice, Occasion, WhenBusy};
use crate::ports::{Clock, Marks, StoreError, Trigger};

/// Longest wait in one go: clocks are set, and machines sleep, meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// What is told so late is not late: a loop that begins a run takes its time.
const ON_TIME: Duration = Duration::from_mins(1);
/// Most times that are made up for.
const MISSED_MAX: usize = 100;
/// Most times that are counted: after them it is only said that there were many.
const COUNTED_MAX: usize = 100_000;
/// Times that a look at a schedule names.
const NEXT_SHOWN: usize = 3;
/// What the mark is about: there is one.
const LAST: &str = "last";

/// What `schedule` is.
pub const SCHEDULE: TriggerKind = TriggerKind {
    uses: "schedule",
    summary: "the time has come, as cron says it",
    connections: &[],
    needs_input: false,
    fields: &[
        Field { name: "cron", kind: Kind::Plain, required: true },
        Field { name: "time_zone", kind: Kind::Plain, required: false },
        Field { name: "catch_up", kind: Kind::OneOf(&["latest", "all", "none"]), required: false },
        Field { name: "overlap", kind: Kind::OneOf(&["wait", "skip"]), required: false },
    ],
};

/// Makes what waits for the time.
///
/// # Errors
/// A field is wrong, or the time never comes.
pub fn build(post: &Post<'_>) -> Result<Arc<dyn Trigger>, Vec<BuildFault>> {
    let read = || {
        let (cron, zone) = when(&post.trigger.with)?;
        let catch_up = match settings::text(&post.trigger.with, "catch_up")? {
            None | Some("latest") => CatchUp::Latest,
            Some("all") => CatchUp::All,
            Some("none") => CatchUp::Nothing,
            Some(other) => return Err(BuildFault::field("catch_up", format!("'{other}' is no catch-up"))),
        };
        let busy = match settings::text(&post.trigger.with, "overlap")? {
            None | Some("wait") => WhenBusy::Waits,
            Some("skip") => WhenBusy::Skips,
            Some(other) => return Err(BuildFault::field("overlap", format!("'{other}' is no overlap"))),
        };
        let (of, clock, marks) = (post.of.clone(), Arc::clone(&post.clock), Arc::clone(&post.marks));
        Ok(Schedule { times: Times { cron, zone, catch_up }, busy, of, clock, marks })
    };
    read().map(|schedule| Arc::new(schedule) as Arc<dyn Trigger>).map_err(|fault| vec![fault])
}

fn when(with: &Map<String, Value>) -> Result<(Cron, TimeZone), BuildFault> {
    let text = settings::required(with, "cron")?;
    let hint = "for example '30 2 * * *': every day at half past two".to_owned();
    let wrong = |why: String| BuildFault {
        hint: Some(hint),
        ..BuildFault::field("cron", format!("'{text}' says no time: {why}"))
    };
    let cron = Cron::parse(text).map_err(wrong)?;
    let zone = match settings::text(with, "time_zone")? {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| BuildFault {
            hint: Some("for example Europe/Berlin, or UTC".to_owned()),
            ..BuildFault::field("time_zone", format!("there is no time zone '{name}'"))
        })?,
    };
    if cron.next(jiff::Timestamp::UNIX_EPOCH, &zone).is_none() {
        return Err(BuildFault::field("cron", format!("'{text}' never comes")));
    }
    Ok((cron, zone))
}

/// When the time comes next, as people there read it.
pub(crate) fn examine(with: &Map<String, Value>, now: Timestamp) -> Diagnosis {
    let (cron, zone) = match when(with) {
        Ok(known) => known,
        Err(fault) => return Diagnosis::wrong(fault.message, fault.hint.unwrap_or_default()),
    };
    let name = zone.iana_name().unwrap_or("UTC").to_owned();
    let times = Times { cron, zone, catch_up: CatchUp::Latest };
    let next = std::iter::successors(times.next(now), |time| times.next(*time)).take(NEXT_SHOWN);
    let next: Vec<String> = next.map(|time| times.words(time)).collect();
    Diagnosis::good(format!("time zone {name}; next: {}", next.join(", ")))
}

/// What becomes of times that passed while nobody listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CatchUp {
    /// The last of them is made up for.
    Latest,
    /// All of them are, up to [`MISSED_MAX`].
    All,
    /// None is.
    Nothing,
}

/// The times that are meant, and which of those that have passed still count.
struct Times {
    cron: Cron,
    zone: TimeZone,
    catch_up: CatchUp,
}

impl Times {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.cron.next(instant(after)?, &self.zone)?;
        u64::try_from(next.as_millisecond()).ok().map(Timestamp)
    }

    /// What has come since the last time that was dealt with; `None`: nothing has.
    fn due(&self, last: Timestamp, now: Timestamp) -> Option<Notice> {
        let mut due: Vec<Timestamp> = std::iter::successors(self.next(last), |time| self.next(*time))
            .take_while(|time| *time <= now)
            .take(COUNTED_MAX)
            .collect();
        let latest = *due.last()?;
        let is_late = |time: &Timestamp| now.since(*time) > ON_TIME;
        let kept = match self.catch_up {
            CatchUp::All => MISSED_MAX,
            CatchUp::Latest => 1,
            CatchUp::Nothing => due.iter().rev().take_while(|time| !is_late(time)).count().min(1),
        };
        let counted = due.split_off(due.len().saturating_sub(kept));
        let passed_over = match (due.first(), due.last()) {
            (Some(first), Some(last)) if first == last => vec![format!("{} has passed", self.words(*first))],
            (Some(first), Some(last)) => {
                let count = due.len();
                vec![format!("{count} times have passed, {} to {}", self.words(*first), self.words(*last))]
            }
            _ => Vec::new(),
        };
        let occasions = counted.into_iter().map(|time| self.occasion(time)).collect();
        Some(Notice { occasions, passed_over, ticket: Ticket::Given(latest.0.to_string().into()) })
    }

    fn occasion(&self, time: Timestamp) -> Occasion {
        Occasion { subject: self.words(time), identity: time.0.to_string(), version: None }
    }

    /// As people there read it: `2026-11-23T02:30:00+01:00`.
    fn words(&self, time: Timestamp) -> String {
        let local = instant(time).map(|time| time.to_zoned(self.zone.clone()));
        local.map_or_else(|| time.0.to_string(), |local| local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(time.0).ok()?).ok()
}

struct Schedule {
    times: Times,
    busy: WhenBusy,
    /// The name under which it remembers.
    of: String,
    clock: Arc<dyn Clock>,
    marks: Arc<dyn Marks>,
}

impl Schedule {
    /// The last time that was dealt with. A schedule that is served for the first time begins now.
    async fn last(&self) -> Result<Timestamp, Fault> {
        let marks = self.marks.marks(&self.of).map_err(|error| unremembered(&error))?;
        if let Some(last) = marks.get(LAST).and_then(|last| last.parse().ok()) {
            return Ok(Timestamp(last));
        }
        let now = self.clock.now();
        self.remember(now.0.to_string()).await?;
        Ok(now)
    }

    async fn remember(&self, last: String) -> Result<(), Fault> {
        self.marks
            .mark(&self.of, BTreeMap::from([(LAST.to_owned(), Some(last))]))
            .await
            .map_err(|error| unremembered(&error))
    }
}

#[async_trait]
impl Trigger for Schedule {
    async fn next(&self) -> Result<Heard, Fault> {
        let last = self.last().await?;
        let begun = self.clock.now();
        if let Some(notice) = self.times.due(last, begun) {
            return Ok(Heard::Notice(notice));
        }
        let Some(next) = self.times.next(last) else { return Ok(Heard::Nothing) };
        self.clock.sleep_until(next.min(begun.after(WAIT_MAX))).await;
        Ok(self.times.due(last, self.clock.now()).map_or(Heard::Nothing, Heard::Notice))
    }

    async fn done(&self, ticket: &Ticket) -> Result<(), Fault> {
        match ticket {
            Ticket::Given(last) => self.remember(last.to_string()).await,
            Ticket::Own(_) => Ok(()),
        }
    }

    fn when_busy(&self) -> WhenBusy {
        self.busy
    }
}

fn unremembered(error: &StoreError) -> Fault {
    Fault::new(name::NO_ANSWER, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::MemoryStore;

    const MINUTE: u64 = 60_000;

    fn times(catch_up: CatchUp) -> Times {
        Times { cron: Cron::parse("*/10 * * * *").unwrap(), zone: TimeZone::UTC, catch_up }
    }

    /// Which minutes are made up for, and what is said of the others.
    fn due(catch_up: CatchUp, last: u64, now: u64) -> Option<(Vec<u64>, Vec<String>, Ticket)> {
        let notice = times(catch_up).due(Timestamp(last * MINUTE), Timestamp(now * MINUTE))?;
        let minutes =
            notice.occasions.iter().map(|occasion| occasion.identity.parse::<u64>().unwrap() / MINUTE);
        Some((minutes.collect(), notice.passed_over, notice.ticket))
    }

    #[test]
    fn what_passed_meanwhile_is_made_up_for_as_the_file_says() {
        let dealt_with = |minute: u64| Ticket::Given((minute * MINUTE).to_string().into());
        assert_eq!(due(CatchUp::All, 10, 19), None);
        for catch_up in [CatchUp::All, CatchUp::Latest, CatchUp::Nothing] {
            assert_eq!(due(catch_up, 10, 20), Some((vec![20], vec![], dealt_with(20))), "{catch_up:?}");
        }
        let (all, said, ticket) = due(CatchUp::All, 10, 45).unwrap();
        assert_eq!((all, said, ticket), (vec![20, 30, 40], vec![], dealt_with(40)));
        let (latest, said, ticket) = due(CatchUp::Latest, 10, 45).unwrap();
        assert_eq!((latest, ticket), (vec![40], dealt_with(40)));
        assert_eq!(said, ["2 times have passed, 1970-01-01T00:20:00+00:00 to 1970-01-01T00:30:00+00:00"]);
        let (nothing, said, ticket) = due(CatchUp::Nothing, 10, 25).unwrap();
        assert_eq!((nothing, ticket), (vec![], dealt_with(20)));
        assert_eq!(said, ["1970-01-01T00:20:00+00:00 has passed"]);
        let (now, said, _) = due(CatchUp::Nothing, 10, 40).unwrap();
        assert_eq!((now, said.len()), (vec![40], 1), "what comes now is not late");
    }

    #[test]
    fn a_long_absence_is_not_made_up_for_without_end() {
        let (all, said, _) = due(CatchUp::All, 0, 10 * 500).unwrap();
        assert_eq!((all.len(), all[0]), (MISSED_MAX, 10 * 401));
        assert!(said[0].starts_with("400 times have passed"), "{said:?}");
    }

    /// Time goes by only when somebody waits for it.
    struct Waited(AtomicU64);

    #[async_trait]
    impl Clock for Waited {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.0.fetch_max(until.0, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn it_begins_when_it_is_first_served_and_each_time_comes_once() {
        let clock = Arc::new(Waited(AtomicU64::new(15 * MINUTE)));
        let marks = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let schedule = || Schedule {
            times: times(CatchUp::Latest),
            busy: WhenBusy::Waits,
            of: "often".to_owned(),
            clock: Arc::clone(&clock) as _,
            marks: Arc::clone(&marks) as _,
        };
        let mut told = Vec::new();
        for _ in 0..120 {
            // Each in a life of its own.
            if let Heard::Notice(notice) = schedule().next().await.unwrap() {
                let again = schedule().next().await.unwrap();
                assert_eq!(again, Heard::Notice(notice.clone()), "until it is done it is told again");
                schedule().done(&notice.ticket).await.unwrap();
                told.push((clock.now().0 / MINUTE, notice.occasions[0].subject.clone()));
            }
        }
        let expected = [20, 30, 40, 50].map(|minute| (minute, format!("1970-01-01T00:{minute}:00+00:00")));
        assert_eq!(told[..4], expected);
    }
}
