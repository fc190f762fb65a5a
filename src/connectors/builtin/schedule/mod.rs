//! `schedule`: the time has come. What is remembered is the last time that was dealt with, so that times
//! which pass while nobody listens are made up for, or passed over, as the file says.

mod cron;
mod times;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use self::cron::Cron;
use self::times::{CatchUp, Times};
use crate::connectors::listening::{Remembered, aside};
use crate::connectors::{BuildFault, Diagnosis, Post, settings};
use crate::core::catalog::{Field, Kind, TriggerKind};
use crate::core::fault::Fault;
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::trigger::{Heard, Notice, WhenBusy};
use crate::ports::{Clock, Trigger};

/// Longest wait in one go: clocks are set, and machines sleep, meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Times that a look at a schedule names.
const NEXT_SHOWN: usize = 3;
/// The last time that was dealt with may be so much later than it is now: clocks are trimmed.
const AHEAD_MAX: Duration = Duration::from_mins(1);
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
        let remembered = Remembered::new(&post.of, &post.marks);
        let times = Arc::new(Times { cron, zone, catch_up });
        Ok(Schedule { times, busy, clock: Arc::clone(&post.clock), remembered })
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

struct Schedule {
    times: Arc<Times>,
    busy: WhenBusy,
    clock: Arc<dyn Clock>,
    remembered: Remembered,
}

impl Schedule {
    /// The last time that was dealt with. A schedule that is served for the first time begins now.
    async fn last(&self) -> Result<Timestamp, Fault> {
        let last = self.remembered.look(|marks| marks.get(LAST).and_then(|last| last.parse().ok())).await?;
        if let Some(last) = last {
            return Ok(Timestamp(last));
        }
        let now = self.clock.now();
        self.remember(now.0.to_string()).await?;
        Ok(now)
    }

    async fn remember(&self, last: String) -> Result<(), Fault> {
        self.remembered.remember(BTreeMap::from([(LAST.to_owned(), Some(last))])).await
    }

    async fn due(&self, last: Timestamp) -> Result<Option<Notice>, Fault> {
        let (times, now) = (Arc::clone(&self.times), self.clock.now());
        aside(move || times.due(last, now)).await
    }

    /// The clock was ahead when the last time was dealt with, and was put back: it goes on from now.
    /// Times that come again have their keys, and start nothing.
    fn put_back(&self, last: Timestamp, now: Timestamp) -> Notice {
        let (last, from) = (self.times.words(last), self.times.words(now));
        let what = format!("the time up to {last}: the clock was put back; it goes on from {from}");
        let ticket = Ticket::Given(now.0.to_string().into());
        Notice { occasions: Vec::new(), passed_over: vec![what], ticket }
    }
}

#[async_trait]
impl Trigger for Schedule {
    async fn next(&self) -> Result<Heard, Fault> {
        let last = self.last().await?;
        let begun = self.clock.now();
        if last > begun.after(AHEAD_MAX) {
            return Ok(Heard::Notice(self.put_back(last, begun)));
        }
        if let Some(notice) = self.due(last).await? {
            return Ok(Heard::Notice(notice));
        }
        let Some(next) = self.times.next(last) else { return Ok(Heard::Nothing) };
        self.clock.sleep_until(next.min(begun.after(WAIT_MAX))).await;
        Ok(self.due(last).await?.map_or(Heard::Nothing, Heard::Notice))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::connectors::listening::tests::Waited;
    use crate::store::MemoryStore;

    const MINUTE: u64 = 60_000;

    /// One life of it.
    fn schedule(clock: &Arc<Waited>, marks: &Arc<MemoryStore>) -> Schedule {
        let times = Arc::new(Times {
            cron: Cron::parse("*/10 * * * *").unwrap(),
            zone: TimeZone::UTC,
            catch_up: CatchUp::Latest,
        });
        let remembered = Remembered::new("often", &(Arc::clone(marks) as _));
        Schedule { times, busy: WhenBusy::Waits, clock: Arc::clone(clock) as _, remembered }
    }

    #[tokio::test]
    async fn a_clock_that_was_ahead_and_is_put_back_is_said_and_it_goes_on_from_now() {
        let clock = Arc::new(Waited(AtomicU64::new(15 * MINUTE)));
        let marks = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let schedule = schedule(&clock, &marks);
        let mut told = Vec::new();
        for minute in [15, 1_000_000, 16, 20] {
            clock.0.store(minute * MINUTE, Ordering::SeqCst);
            while let Heard::Notice(notice) = schedule.next().await.unwrap() {
                schedule.done(&notice.ticket).await.unwrap();
                let occasions = notice.occasions.into_iter().map(|occasion| occasion.subject);
                told.extend(occasions.chain(notice.passed_over));
                clock.0.store(minute * MINUTE, Ordering::SeqCst);
            }
        }
        let put_back = "the time up to 1971-11-26T10:40:00+00:00: the clock was put back; it goes on from \
                        1970-01-01T00:16:00+00:00";
        assert_eq!(told[0], "1971-11-26T10:40:00+00:00");
        assert!(told[1].contains(" times have passed, "), "{told:?}");
        assert_eq!(told[2..], [put_back, "1970-01-01T00:20:00+00:00"]);
        // A clock that is trimmed is no news.
        clock.0.store(20 * MINUTE - 30_000, Ordering::SeqCst);
        assert_eq!(schedule.next().await.unwrap(), Heard::Nothing);
    }

    #[tokio::test]
    async fn it_begins_when_it_is_first_served_and_each_time_comes_once() {
        let clock = Arc::new(Waited(AtomicU64::new(15 * MINUTE)));
        let marks = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
        let schedule = || schedule(&clock, &marks);
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
