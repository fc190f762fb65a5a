//! Resuming a run: what it would do, and doing exactly that.

use std::sync::Arc;
use std::time::Duration;

use crate::connectors;
use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::resume::ResumePlan;
use crate::core::run::{Run, Status};
use crate::core::selection::{Positions, Selection};
use crate::engine::assembly::Assembly;
use crate::engine::{self, Beginning, Resumption, recover};
use crate::ports::Journal;
use crate::view::{ITEMS_DEAD_LETTERED, ITEMS_FAILED, Problem, ProblemKind, ResumeTerms, code};

use super::error::ResumeError;
use super::ground::{Ground, not_accepted};
use super::{Engine, Running};

/// Longest time between the record of an end and the end of its driver, that is waited for.
pub(super) const LETTING_GO: Duration = Duration::from_secs(1);

/// How a resume is asked for, beside its terms. By default nobody asks: an engine goes on with what
/// was interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Only if the hash of the plan begins with that.
    pub expected: Option<&'a str>,
    /// Who asks, as the events of the run will name them.
    pub by: Option<&'a str>,
}

impl Engine {
    /// Waits for a moment until a run whose end is recorded is let go by its driver: whoever saw the end
    /// may go on with it.
    pub async fn let_go(&self, run: RunId) {
        if matches!(self.store.run(run), Ok(Some(run)) if run.status.is_ended()) {
            self.live.at_rest_soon(run, LETTING_GO).await;
        }
    }

    /// What a resume on these terms would do. Changes nothing.
    ///
    /// # Errors
    /// [`ResumeError`].
    pub async fn plan(&self, run: RunId, terms: &ResumeTerms) -> Result<ResumePlan, ResumeError> {
        let run = self.at_rest(run, terms)?;
        // By the keys of the pinned definition: the edited one is not pinned before it is accepted.
        let selection = self.selection(&run, terms)?;
        let Ground { run, definition, changes, .. } = self.ground(run, terms)?;
        let plan = definition.plan(&connectors::catalog());
        let store = self.store.clone();
        let planned =
            tokio::task::spawn_blocking(move || recover::plan(&store, &plan, &run, &selection)).await;
        let planned =
            planned.map_err(|error| ResumeError::Broken(format!("a defect of Milepost: {error}")))?;
        let plan = planned.map_err(|error| ResumeError::Broken(error.to_string()))?;
        Ok(ResumePlan { changes, ..plan })
    }

    /// Goes on with a run, exactly as [`Engine::plan`] says for these terms, and as is asked for.
    ///
    /// When it returns, its driver has begun to work; what it begins with is durable soon.
    ///
    /// # Errors
    /// [`ResumeError`]; nothing was changed then, unless the store failed.
    pub async fn resume(
        &self,
        run: RunId,
        terms: &ResumeTerms,
        asked: Asked<'_>,
    ) -> Result<Running, ResumeError> {
        let taken = self.live.take(run).ok_or(ResumeError::Busy(run))?;
        let run = self.resumable(run, terms)?;
        let selection = self.selection(&run, terms)?;
        let Ground { run, events, definition, changes } = self.ground(run, terms)?;
        if !changes.connections.is_empty() && terms.accept.is_none() {
            return Err(not_accepted(&run, terms, &changes.connections).into());
        }
        let driven_by = changes.driven_by;
        let executor = self.executor(&definition, &run, driven_by).await?;
        let assembly = Arc::new(Assembly { executor, ..self.assemble(&definition).await? });
        let broken = |error: &dyn std::fmt::Display| ResumeError::Broken(error.to_string());
        let plan =
            recover::plan(&self.store, &assembly.plan, &run, &selection).map_err(|error| broken(&error))?;
        if let Some(expected) = asked.expected.filter(|expected| !plan.hash.starts_with(*expected)) {
            return Err(another_plan(run.id, terms, expected, &plan.hash));
        }
        if !selection.is_all() && plan.execute.is_empty() {
            return Err(nothing_to_do(run.id, terms));
        }
        // The one it had is named by its record already, and was durable before that.
        if events.iter().any(|event| matches!(event.what, RunEvent::Redefined { .. })) {
            self.keep(&definition)?;
        }
        let changed = !events.is_empty();
        self.record(&run, events).await?;
        // A run that was recorded, but whose engine died before it began, simply begins.
        if run.status == Status::Queued {
            return Ok(self.drive(run, Beginning::Anew(Vec::new()), assembly, taken));
        }
        let mut told = engine::redrive(&self.store, &assembly, &run, &selection)
            .await
            .map_err(|error| broken(&error))?;
        if driven_by.is_embedded() {
            let why = Fault::new(name::SUPERSEDED, "the engine drives the run itself from here on");
            told.extend(self.halt(&run, why).await);
        }
        let now = self.ports.clock.now();
        let revived = recover::revive(&self.store, &assembly.plan, &run, now, &selection)
            .await
            .map_err(|error| broken(&error))?;
        let resumption = Resumption {
            plan: plan.hash,
            by: asked.by.map(str::to_owned),
            chosen: revived.chosen.map(Arc::new),
            told,
            anew: revived.anew || changed,
        };
        Ok(self.drive(run, Beginning::Resumed(resumption), assembly, taken))
    }

    /// Makes durable, in one commit, that a run goes on under another definition or over other
    /// connections: from then on every resume does.
    async fn record(&self, run: &Run, events: Vec<Event>) -> Result<(), ResumeError> {
        if events.is_empty() {
            return Ok(());
        }
        // Items that were at rest may have something to do again.
        let mut changes = vec![Change::Run(Box::new(run.clone())), Change::Watermark(run.id, 0)];
        changes.extend(events.into_iter().map(|event| Change::Event(run.id, event)));
        self.store.commit(changes).await.map_err(|error| ResumeError::Broken(error.to_string()))
    }

    /// A run that could be resumed, and that nobody works on.
    fn at_rest(&self, id: RunId, terms: &ResumeTerms) -> Result<Run, ResumeError> {
        let run = self.resumable(id, terms)?;
        if self.live.handle(id).is_some() { Err(ResumeError::Busy(id)) } else { Ok(run) }
    }

    /// Whether a run that succeeded has work again: an engine died while it began to redrive dead
    /// letters, or a person said that an effect was not done.
    fn has_begun_again(&self, id: RunId) -> Result<bool, ResumeError> {
        let tally = self.store.tally(id, Unit::Item(0));
        let units = tally.map_err(|error| ResumeError::Broken(error.to_string()))?.units;
        Ok(units.pending + units.running + units.backoff + units.waiting > 0)
    }

    /// A run that may be resumed as far as its record says.
    pub(super) fn resumable(&self, id: RunId, terms: &ResumeTerms) -> Result<Run, ResumeError> {
        let run = self.store.run(id).map_err(|error| ResumeError::Broken(error.to_string()))?;
        let run = run.ok_or(ResumeError::Unknown(id))?;
        if run.released.is_some() {
            let why = format!("{id} was closed for good: it can be read, and is not resumed any more");
            return Err(ResumeError::Over { why, next: format!("milepost run {}", run.file) });
        }
        if run.is_given_up() {
            let why = format!("{id} was cancelled: it can be read, and is not resumed any more");
            return Err(ResumeError::Over { why, next: format!("milepost run {}", run.file) });
        }
        match run.status {
            Status::Succeeded if terms.items.is_empty() && !self.has_begun_again(id)? => {
                let detail = format!("{id} succeeded: there is nothing to resume");
                let mut problem = refused(code::RESUME_REFUSED, detail).next("milepost list");
                let tally = self.store.tally(id, Unit::Item(0));
                if tally.is_ok_and(|tally| tally.units.dead_lettered > 0) {
                    let again = format!("milepost resume {id} --items {ITEMS_DEAD_LETTERED} --plan");
                    problem = problem.next(again);
                }
                Err(problem.into())
            }
            Status::Cancelled => Err(ResumeError::Refused(format!("{id} was cancelled"))),
            Status::Queued
            | Status::Running
            | Status::Waiting
            | Status::Paused
            | Status::Interrupted
            | Status::Succeeded
            | Status::Failed => Ok(run),
        }
    }

    /// The items that the terms name.
    fn selection(&self, run: &Run, terms: &ResumeTerms) -> Result<Selection, ResumeError> {
        let words: Vec<&str> = terms.items.iter().map(String::as_str).collect();
        if words.is_empty() {
            return Ok(Selection::All);
        }
        let id = run.id;
        if run.source.is_none() {
            let detail = format!("{id} has no items yet: its steps before the source come first");
            let plan = format!("milepost resume {id} --plan");
            return Err(refused(code::NO_ITEMS_YET, detail).next(plan).into());
        }
        match words.as_slice() {
            [ITEMS_FAILED] => return Ok(Selection::Failed),
            [ITEMS_DEAD_LETTERED] => return Ok(Selection::DeadLettered(terms.letters.clone())),
            _ => {}
        }
        let archive = self.archive();
        let found: Vec<(&str, Option<u64>)> =
            words.iter().map(|word| (*word, archive.position_of(run, word))).collect();
        let unknown: Vec<String> =
            found.iter().filter(|(_, at)| at.is_none()).map(|(word, _)| format!("'{word}'")).collect();
        if unknown.is_empty() {
            let positions: Positions = found.into_iter().filter_map(|(_, at)| at).collect();
            return Ok(Selection::Items(positions));
        }
        let what =
            if unknown.len() == 1 { "no item of it has the key" } else { "no items of it have the keys" };
        let detail = format!("{id}: {what} {}", unknown.join(", "));
        let mut problem = Problem::new(ProblemKind::NotFound, code::ITEM_UNKNOWN, detail);
        if words.iter().any(|word| [ITEMS_FAILED, ITEMS_DEAD_LETTERED].contains(word)) {
            let hint = format!("'{ITEMS_FAILED}' and '{ITEMS_DEAD_LETTERED}' stand alone, not among keys");
            problem = problem.candidates([hint]);
        }
        Err(problem.next(format!("milepost items {id}")).into())
    }
}

pub(super) fn refused(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Refused, code, detail)
}

fn nothing_to_do(id: RunId, terms: &ResumeTerms) -> ResumeError {
    let detail = format!("{id}: the selected items have nothing left that a resume would do");
    let plan = format!("{} --plan", terms.command(id));
    refused(code::NOTHING_TO_DO, detail).next(plan).next(format!("milepost items {id}")).into()
}

fn another_plan(id: RunId, terms: &ResumeTerms, expected: &str, found: &str) -> ResumeError {
    let detail = format!("{id}: the plan is {found} now, and {expected} was expected; nothing was changed");
    let plan = format!("{} --plan", terms.command(id));
    refused(code::PLAN_CHANGED, detail).next(plan).into()
}
