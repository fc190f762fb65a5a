//! Writes down what happens to runs, as log lines. The lines are made from the events that are committed
//! anyway, once they are durable, so that the log never says what the records do not. On a thread of its
//! own: a reader of the log that stands still holds up no run, it only misses lines.
//!
//! What happens to single items is said at the first, the tenth, the hundredth … time that it happens
//! alike, so that a run of a million items that all fail takes some lines, not a million; each of them
//! is a line at `debug`.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Level;

use crate::core::event::{Event, RunEvent};
use crate::core::id::RunId;
use crate::core::run::Status;
use crate::core::steer::Halt;
use crate::store::{Store, Told};
use crate::view::{Archive, RecordedView};

/// The part of the log that tells of runs, for `--log-level`.
pub const RECORD: &str = "milepost::record";
/// How long an engine that ends waits for its last lines.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);
/// Most kinds of item events that are counted apart; then counting begins anew.
const KINDS_MAX: usize = 10_000;

/// Writes down what happens, until it is dropped.
pub(super) struct Scribe {
    store: Store,
    /// Ends with the thread; behind a lock because an engine is shared.
    ended: Mutex<Receiver<()>>,
}

impl Scribe {
    /// Begins to write, if anybody wants to read.
    pub(super) fn begin(store: &Store, archive: Archive) -> Option<Self> {
        if !tracing::enabled!(target: RECORD, Level::ERROR) {
            return None;
        }
        let (ends, ended) = channel();
        let told = store.write_down();
        let work = thread::Builder::new().name("scribe".to_owned());
        match work.spawn(move || write_all(&archive, &told, ends)) {
            Ok(_) => Some(Self { store: store.clone(), ended: Mutex::new(ended) }),
            Err(error) => {
                store.dismiss_scribe();
                tracing::warn!(%error, "what happens to runs is not logged: there is no thread for it");
                None
            }
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.store.dismiss_scribe();
        // That it has ended, or does not get rid of its lines: either way nobody waits any longer.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST_WORDS_MAX);
    }
}

/// Returns when nothing more comes. What was lent is let go before the end is told.
fn write_all(archive: &Archive, told: &Receiver<Told>, ends: Sender<()>) {
    let mut tallies = Tallies::default();
    for (run, event) in told {
        let Some(said) = tallies.said(run, &event.what) else { continue };
        write(archive, run, event, said);
    }
    drop(ends);
}

/// How an event is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    level: Level,
    /// The how many-th of its kind it is, for what happens to items.
    count: Option<u64>,
}

/// How often what happens to items has happened alike.
#[derive(Default)]
struct Tallies(BTreeMap<(RunId, Alike), u64>);

/// What makes two events of items alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    what: &'static str,
    step: String,
    state: String,
    error: String,
}

impl Tallies {
    /// How an event is said; `None`: not at all.
    fn said(&mut self, run: RunId, event: &RunEvent) -> Option<Said> {
        let level = level(event);
        if let RunEvent::Closed { .. } | RunEvent::Interrupted = event {
            self.0.retain(|(of, _), _| *of != run);
        }
        let Some(alike) = alike(event) else { return Some(Said { level, count: None }) };
        if self.0.len() >= KINDS_MAX {
            self.0.clear();
        }
        let count = self.0.entry((run, alike)).or_default();
        *count += 1;
        let level = if is_round(*count) { level } else { Level::DEBUG };
        let is_read = level <= Level::INFO || tracing::enabled!(target: RECORD, Level::DEBUG);
        is_read.then_some(Said { level, count: Some(*count) })
    }
}

/// 1, 10, 100 and so on.
fn is_round(count: u64) -> bool {
    count.checked_ilog10().is_some_and(|digits| 10_u64.pow(digits) == count)
}

/// What an item's event is counted by; `None` for those of runs.
fn alike(event: &RunEvent) -> Option<Alike> {
    let alike = |what, step: &String, state: &str, error: &str| {
        Some(Alike { what, step: step.clone(), state: state.to_owned(), error: error.to_owned() })
    };
    match event {
        RunEvent::Setback { step, state, fault, .. } => alike("setback", step, state, &fault.name),
        RunEvent::Settled { step, done, .. } => alike("settled", step, if *done { "done" } else { "" }, ""),
        RunEvent::Dropped { step, .. } => alike("dropped", step, "", ""),
        RunEvent::Stray { step, .. } => alike("stray", step, "", ""),
        _ => None,
    }
}

/// `error`: a run failed. `warn`: somebody should look. `info`: what else changes where a run stands.
fn level(event: &RunEvent) -> Level {
    match event {
        RunEvent::Closed { status: Status::Failed, .. } => Level::ERROR,
        RunEvent::Paused { halt: Halt::Connection { .. } }
        | RunEvent::Redriven { fault: Some(_), .. }
        | RunEvent::Alert { .. }
        | RunEvent::Stray { .. } => Level::WARN,
        RunEvent::Setback { state, .. } if state != "backoff" => Level::WARN,
        _ => Level::INFO,
    }
}

/// In words what happened. Nothing in them comes from outside.
fn words(kind: &str, status: Option<&str>) -> String {
    let words = match (kind, status) {
        ("started", _) => "run started",
        ("pinned", _) => "source pinned",
        ("rotated", _) => "run takes in no more items",
        ("remarked", _) => "something in the source is odd",
        ("resumed", _) => "run goes on",
        ("redefined", _) => "run goes on under another definition",
        ("reconnected", _) => "run goes on over other connections",
        ("handed", _) => "another executor drives the run",
        ("taken_back", _) => "the engine drives the run itself again",
        ("halted", _) => "execution ended",
        ("mirrored", _) => "execution went on",
        ("interrupted", _) => "run interrupted",
        ("paused", _) => "run paused",
        ("tried", _) => "connection still does not answer",
        ("unpaused", _) => "run goes on after a pause",
        ("cancelling", _) => "run is given up",
        ("closing", _) => "run is failing",
        ("closed", Some(status)) => return format!("run {status}"),
        ("released", _) => "run is not resumed any more",
        ("settled", _) => "a person settled a doubt",
        ("dropped", _) => "a person gave a dead letter up",
        ("unheld", _) => "a person let the run begin",
        ("stray", _) => "a message is none of ours, or is damaged",
        ("redriven", _) => "messages of dead letters put back",
        ("setback", Some("backoff")) => "attempt failed, and is made again",
        ("setback", Some("in_doubt")) => "effect in doubt",
        ("setback", Some("dead_lettered")) => "item given up",
        (other, _) => return other.replace('_', " "),
    };
    words.to_owned()
}

/// One line. What comes from outside (answers, records, whatever an error quotes) is in `reason`, which is
/// there at `debug` only.
fn write(archive: &Archive, run: RunId, event: Event, said: Said) {
    let is_alert = matches!(event.what, RunEvent::Alert { .. });
    let ended = matches!(event.what, RunEvent::Closed { .. }).then(|| archive.show(&run.to_string()).ok());
    let items = ended.flatten().map(|view| view.items);
    // A run that is gone meanwhile has nothing to be said about.
    let Ok(Some(RecordedView { workflow, event })) = archive.recorded(run, event) else { return };
    let is_open = tracing::enabled!(target: RECORD, Level::DEBUG);
    let fault = event.error.as_ref();
    let reason = fault.map(|fault| fault.message.as_str()).or(event.message.as_deref());
    let reason = reason.filter(|_| is_open || is_alert);
    let message = words(&event.kind, event.status.as_deref());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: RECORD,
                event = event.kind,
                %run,
                workflow,
                step = event.step,
                item = event.item,
                attempt = event.attempt,
                status = event.status,
                error = fault.map(|fault| fault.name.as_str()),
                connection = event.connection,
                by = event.by,
                count = said.count,
                rejected = event.rejected,
                items = items.map(|items| items.total).or(event.items),
                succeeded = items.map(|items| items.succeeded + items.skipped),
                dead_lettered = items.map(|items| items.dead_lettered),
                in_doubt = items.map(|items| items.in_doubt),
                reason,
                "{message}"
            )
        };
    }
    match said.level {
        Level::ERROR => line!(error),
        Level::WARN => line!(warn),
        Level::INFO => line!(info),
        _ => line!(debug),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fault::{Fault, name};

    fn setback(step: &str, state: &str) -> RunEvent {
        RunEvent::Setback {
            step: step.to_owned(),
            item: Some(7),
            state: state.to_owned(),
            attempt: 1,
            fault: Fault::new(name::STATUS, "HTTP 500"),
        }
    }

    #[test]
    fn a_million_items_that_fail_alike_are_seven_lines() {
        let mut tallies = Tallies::default();
        let said: Vec<u64> = (0..1_000_000)
            .filter_map(|_| tallies.said(RunId(1), &setback("shop", "dead_lettered")))
            .filter_map(|said| said.count)
            .collect();
        assert_eq!(said, [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]);
    }

    #[test]
    fn what_is_not_alike_is_counted_apart_and_anew_after_the_end_of_the_run() {
        let mut tallies = Tallies::default();
        let mut said = |run, event| tallies.said(RunId(run), &event).map(|said| (said.level, said.count));
        assert_eq!(said(1, setback("shop", "backoff")), Some((Level::INFO, Some(1))));
        assert_eq!(said(1, setback("shop", "backoff")), None);
        assert_eq!(said(1, setback("shop", "in_doubt")), Some((Level::WARN, Some(1))));
        assert_eq!(said(1, setback("pim", "backoff")), Some((Level::INFO, Some(1))));
        assert_eq!(said(2, setback("shop", "backoff")), Some((Level::INFO, Some(1))));
        let failed = RunEvent::Closed { status: Status::Failed, fault: None };
        assert_eq!(said(1, failed), Some((Level::ERROR, None)));
        assert_eq!(said(1, setback("shop", "backoff")), Some((Level::INFO, Some(1))));
        assert_eq!(said(2, setback("shop", "backoff")), None);
    }

    #[test]
    fn kinds_that_are_counted_apart_are_bounded() {
        let mut tallies = Tallies::default();
        for at in 0..=KINDS_MAX {
            tallies.said(RunId(1), &setback(&at.to_string(), "backoff"));
        }
        assert_eq!(tallies.0.len(), 1);
    }
}
