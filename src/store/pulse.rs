//! Tells what was committed: which runs, to whoever listens, and how it went, as counts.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::id::RunId;
use crate::core::measures::Measures;
use crate::core::time::Timestamp;

/// Commits that a slow listener may be behind; one that is further behind is told so.
const BEHIND_MAX: usize = 4_096;
/// Events that whoever writes them down may be behind; more are not told.
const UNWRITTEN_MAX: usize = 4_096;

/// What was committed.
#[derive(Clone)]
pub(super) struct Pulse {
    touched: broadcast::Sender<RunId>,
    measures: Arc<Mutex<Measures>>,
    scribe: Arc<Mutex<Option<SyncSender<Told>>>>,
}

/// An event that is durable, with its run.
pub type Told = (RunId, Event);

/// What is to be told of a commit, once it is durable.
pub(super) struct Beat {
    runs: Vec<RunId>,
    events: Vec<Told>,
    delta: Measures,
    /// Whether something of a run is among it.
    is_progress: bool,
}

impl Pulse {
    /// The pulse of an engine that begins now.
    pub(super) fn begun(now: Timestamp) -> Self {
        let measures = Measures { progressed_at: now, ..Measures::default() };
        Self {
            touched: broadcast::Sender::new(BEHIND_MAX),
            measures: Arc::new(Mutex::new(measures)),
            scribe: Arc::default(),
        }
    }

    /// Looks at what is to be committed.
    pub(super) fn of(&self, changes: &[Change]) -> Beat {
        let mut beat = Beat {
            runs: Vec::new(),
            events: Vec::new(),
            delta: Measures::default(),
            is_progress: changes.iter().any(|change| touched(change).is_some()),
        };
        let is_heard = self.touched.receiver_count() > 0;
        let is_written_down = self.scribe().is_some();
        for change in changes {
            if is_heard
                && let Some(run) = touched(change)
                && beat.runs.last() != Some(&run)
                && !beat.runs.contains(&run)
            {
                beat.runs.push(run);
            }
            match change {
                Change::Calls(_, _, _, calls) => {
                    beat.delta.calls.batches += calls.batches;
                    beat.delta.calls.calls += calls.calls;
                    beat.delta.calls.accepted += calls.accepted;
                    beat.delta.calls.refused += calls.refused;
                }
                Change::Event(run, event) => {
                    beat.delta.setbacks += u64::from(matches!(event.what, RunEvent::Setback { .. }));
                    let alerts = &mut beat.delta.alerts;
                    alerts.delivered += u64::from(matches!(event.what, RunEvent::Delivered { .. }));
                    alerts.given_up += u64::from(matches!(event.what, RunEvent::Undelivered { .. }));
                    if is_written_down {
                        beat.events.push((*run, event.clone()));
                    }
                }
                Change::Alert { alert: Some(alert), .. } => {
                    let is_later = alert.attempts > 0 && alert.next.is_some();
                    beat.delta.alerts.failed += u64::from(is_later);
                }
                _ => {}
            }
        }
        for change in changes {
            if let Change::Event(id, Event { what: RunEvent::Closed { status, .. }, .. }) = change {
                let workflow = changes.iter().find_map(|change| match change {
                    Change::Run(run) if run.id == *id => Some(run.workflow.clone()),
                    _ => None,
                });
                *beat.delta.ended.entry((workflow.unwrap_or_default(), status.word())).or_default() += 1;
            }
        }
        beat
    }

    /// It is durable.
    pub(super) fn beat(&self, beat: Beat, took: Duration, now: Timestamp) {
        let mut measures = self.lock();
        measures.committed(took.as_secs_f64());
        if beat.is_progress {
            measures.progressed_at = now;
        }
        for (ending, count) in beat.delta.ended {
            *measures.ended.entry(ending).or_default() += count;
        }
        let (calls, more) = (&mut measures.calls, beat.delta.calls);
        calls.batches += more.batches;
        calls.calls += more.calls;
        calls.accepted += more.accepted;
        calls.refused += more.refused;
        measures.setbacks += beat.delta.setbacks;
        measures.alerts.add(beat.delta.alerts);
        drop(measures);
        for run in beat.runs {
            // Nobody listening is the usual case.
            let _ = self.touched.send(run);
        }
        if beat.events.is_empty() {
            return;
        }
        let mut scribe = self.scribe();
        for told in beat.events {
            // Whoever writes too slowly misses some: nobody waits for it.
            let Some(to) = scribe.as_ref() else { return };
            if let Err(TrySendError::Disconnected(_)) = to.try_send(told) {
                *scribe = None;
            }
        }
    }

    /// Every event from now on, once it is durable; ends with [`Pulse::dismiss`]. For one at a time: the
    /// one before hears of nothing more.
    pub(super) fn write_down(&self) -> Receiver<Told> {
        let (sender, receiver) = sync_channel(UNWRITTEN_MAX);
        *self.scribe() = Some(sender);
        receiver
    }

    /// Nobody writes events down any more.
    pub(super) fn dismiss(&self) {
        *self.scribe() = None;
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<RunId> {
        self.touched.subscribe()
    }

    pub(super) fn measures(&self) -> Measures {
        self.lock().clone()
    }

    fn scribe(&self) -> MutexGuard<'_, Option<SyncSender<Told>>> {
        self.scribe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Measures> {
        self.measures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn touched(change: &Change) -> Option<RunId> {
    match change {
        Change::Run(run) => Some(run.id),
        Change::Event(run, _)
        | Change::Progress(run, ..)
        | Change::Calls(run, ..)
        | Change::Watermark(run, _)
        | Change::Alert { run, .. }
        | Change::Entrant(run, ..) => Some(*run),
        _ => None,
    }
}
