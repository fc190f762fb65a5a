//! Runs whose turn came and that could not go on: why not, and when it is tried again. Nobody else waits
//! for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::app::error::ResumeError;
use crate::core::id::RunId;
use crate::core::time::Timestamp;
use crate::view::{StuckView, When};

use super::roster::Next;

/// How long a run is left alone after the first time; the wait doubles with each that follows…
const PATIENCE_MIN: Duration = Duration::from_secs(10);
/// …up to this.
const PATIENCE_MAX: Duration = Duration::from_mins(10);

/// One of them.
struct Hitch {
    workflow: String,
    since: Timestamp,
    why: String,
    next: Vec<String>,
    patience: Duration,
    again: Timestamp,
    /// What is to be put in line again; `None`: it is.
    waits: Option<Next>,
}

/// The runs that could not go on. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::app) struct Stuck(Arc<Mutex<BTreeMap<RunId, Hitch>>>);

impl Stuck {
    /// A run could not go on. `false`: that was known, for the same reason.
    pub(super) fn note(&self, workflow: &str, next: Next, error: &ResumeError, now: Timestamp) -> bool {
        let run = next.run;
        let (why, commands) = match error {
            ResumeError::Problem(problem) => (problem.detail.clone(), problem.next.clone()),
            other => (other.to_string(), vec![format!("milepost resume {run} --plan")]),
        };
        let mut runs = self.lock();
        let before = runs.remove(&run);
        let is_news = before.as_ref().is_none_or(|known| known.why != why);
        let patience = before.as_ref().map_or(PATIENCE_MIN, |known| (known.patience * 2).min(PATIENCE_MAX));
        let hitch = Hitch {
            workflow: workflow.to_owned(),
            since: before.map_or(now, |known| known.since),
            why,
            next: commands,
            patience,
            again: now.after(patience),
            waits: Some(next),
        };
        runs.insert(run, hitch);
        is_news
    }

    /// When the next one is tried again.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.lock().values().filter(|hitch| hitch.waits.is_some()).map(|hitch| hitch.again).min()
    }

    /// Those that are tried again now, with their workflows.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(String, Next)> {
        let mut runs = self.lock();
        let due = runs.values_mut().filter(|hitch| hitch.again <= now);
        due.filter_map(|hitch| Some((hitch.workflow.clone(), hitch.waits.take()?))).collect()
    }

    /// Whether it could not go on when its turn came last.
    pub(super) fn has(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// It goes on, or is wanted no more. `false`: it was not stuck.
    pub(in crate::app) fn forget(&self, run: RunId) -> bool {
        self.lock().remove(&run).is_some()
    }

    /// Those of one workflow.
    pub(super) fn view(&self, workflow: &str) -> Vec<StuckView> {
        let runs = self.lock();
        let of = runs.iter().filter(|(_, hitch)| hitch.workflow == workflow);
        let view = of.map(|(run, hitch)| StuckView {
            run: *run,
            since: When(hitch.since),
            why: hitch.why.clone(),
            again: When(hitch.again),
            next: hitch.next.clone(),
        });
        view.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Hitch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::news::News;
    use super::*;

    #[test]
    fn a_stuck_run_is_tried_again_with_growing_waits_and_its_reason_is_news_once() {
        let stuck = Stuck::default();
        let (run, at) = (RunId(1), |seconds: u64| Timestamp(0).after(Duration::from_secs(seconds)));
        let note = |why: &str, now| {
            let next = Next { run, since: at(0), news: News::GoesOn { run } };
            stuck.note("w", next, &ResumeError::Broken(why.to_owned()), now)
        };
        assert!(note("no key", at(0)));
        assert_eq!((stuck.due_at(), stuck.due(at(9)).len()), (Some(at(10)), 0));
        assert_eq!(stuck.due(at(10)).len(), 1);
        assert!(stuck.due_at().is_none() && stuck.has(run), "it is in line");
        assert!(!note("no key", at(11)));
        assert_eq!(stuck.due_at(), Some(at(31)));
        assert!(stuck.due(at(30)).is_empty() && stuck.due(at(31)).len() == 1);
        assert!(note("no disk", at(32)), "another reason is news");
        let view = &stuck.view("w")[0];
        assert_eq!((view.run, view.since, view.why.as_str()), (run, When(at(0)), "no disk"));
        assert!(stuck.view("other").is_empty());
        for _ in 0..20 {
            note("no disk", at(100));
        }
        assert_eq!(stuck.due_at(), Some(at(700)), "ten minutes at most");
        assert!(stuck.forget(run) && !stuck.forget(run) && !stuck.has(run));
    }
}
