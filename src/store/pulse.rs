//! Tells what was committed: which runs, to whoever listens, and how it went, as counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

use crate::core::change::Change;
use crate::core::event::RunEvent;
use crate::core::id::RunId;
use crate::core::measures::Measures;

/// Commits that a slow listener may be behind; one that is further behind is told so.
const BEHIND_MAX: usize = 4_096;

/// What was committed.
#[derive(Clone)]
pub(super) struct Pulse {
    touched: broadcast::Sender<RunId>,
    measures: Arc<Mutex<Measures>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { touched: broadcast::Sender::new(BEHIND_MAX), measures: Arc::default() }
    }
}

/// What is to be told of a commit, once it is durable.
pub(super) struct Beat {
    runs: Vec<RunId>,
    delta: Measures,
}

impl Pulse {
    /// Looks at what is to be committed.
    pub(super) fn of(&self, changes: &[Change]) -> Beat {
        let mut beat = Beat { runs: Vec::new(), delta: Measures::default() };
        let is_heard = self.touched.receiver_count() > 0;
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
                Change::Event(_, event) => {
                    beat.delta.setbacks += u64::from(matches!(event.what, RunEvent::Setback { .. }));
                    let alerts = &mut beat.delta.alerts;
                    alerts.delivered += u64::from(matches!(event.what, RunEvent::Delivered { .. }));
                    alerts.given_up += u64::from(matches!(event.what, RunEvent::Undelivered { .. }));
                }
                Change::Alert { alert: Some(alert), .. } => {
                    let is_later = alert.attempts > 0 && alert.next.is_some();
                    beat.delta.alerts.failed += u64::from(is_later);
                }
                _ => {}
            }
        }
        beat
    }

    /// It is durable.
    pub(super) fn beat(&self, beat: Beat, took: Duration) {
        let mut measures = self.lock();
        measures.committed(took.as_secs_f64());
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
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<RunId> {
        self.touched.subscribe()
    }

    pub(super) fn measures(&self) -> Measures {
        self.lock().clone()
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
