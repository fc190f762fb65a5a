//! What a person decides about single steps of a run that nobody works on: what became of an effect
//! in doubt, and which dead letters are given up.

use std::collections::BTreeMap;

use crate::core::cell::{Cell, Facts, IllegalTransition, Kind, State};
use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::id::Unit;
use crate::core::ledger::{entry, is_left_to_a_person};
use crate::core::letter::LetterFilter;
use crate::core::plan::{Plan, PlanStep};
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::time::Timestamp;
use crate::ports::{Journal, StoreError};

use super::recover::position;

/// Items read from the store, and changed, in one go.
const SCAN: usize = 400;

/// A decision.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// What is decided.
    pub what: Decision,
    /// By whom, as the events of the run will name them.
    pub by: String,
}

/// What is decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// What became of effects in doubt.
    Settled {
        /// What they returned; `None`: they were not done.
        done: Option<Facts>,
        /// Only those of this step.
        step: Option<String>,
    },
    /// Dead letters are given up.
    Dropped {
        /// Which.
        letters: LetterFilter,
        /// Why, for the record.
        reason: Option<String>,
    },
}

/// What was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// How many effects, or dead letters.
    pub steps: u64,
    /// Of how many units.
    pub units: u64,
}

/// A decision cannot be recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to decide about this item.
    #[error("there is nothing to decide about item {0}")]
    Moot(u64),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The records contradict each other.
    #[error("the records contradict each other: {0}")]
    Transition(#[from] IllegalTransition),
}

/// How many effects, or dead letters, a decision is about, by step. Changes nothing.
///
/// # Errors
/// As [`rule`].
pub fn concerned(
    journal: &dyn Journal,
    plan: &Plan,
    run: &Run,
    ruling: &Ruling,
    items: &[u64],
) -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    let mut docket = Docket::new(run, items);
    while let Some(units) = docket.next(journal)? {
        for (unit, progress) in units {
            let progress = progress.fitted(plan.track(unit));
            let steps = ruling.steps(plan, unit, &progress, docket.named());
            docket.insist(unit, &steps)?;
            for step in steps {
                *counts.entry(plan.track(unit).steps[step].name.clone()).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

/// Records a decision about these items; about everything in the run that it can be about, when none
/// is named. When it returns, it is durable, with an event for each step; a crash in the middle of a
/// long list leaves the rest of it undecided. The run must not be worked on.
///
/// # Errors
/// [`Error::Moot`] names the first item that the decision is not about; nothing is changed then.
pub async fn rule(
    journal: &dyn Journal,
    plan: &Plan,
    run: &Run,
    ruling: &Ruling,
    items: &[u64],
    now: Timestamp,
) -> Result<Ruled, Error> {
    let mut docket = Docket::new(run, items);
    let mut watermark = journal.watermark(run.id)?;
    let mut ruled = Ruled::default();
    let mut left = run.clone();
    while let Some(units) = docket.next(journal)? {
        let mut changes: Vec<Change> = Vec::new();
        for (unit, progress) in units {
            let track = plan.track(unit);
            let mut progress = progress.fitted(track);
            let steps = ruling.steps(plan, unit, &progress, docket.named());
            docket.insist(unit, &steps)?;
            if steps.is_empty() {
                continue;
            }
            for step in &steps {
                // Its engine is gone, and nobody has said so yet.
                if progress.cells[*step].state == State::Running {
                    progress.apply(track, *step, Kind::Lost { until: None }, now)?;
                }
                progress.apply(track, *step, ruling.kind(), now)?;
                let what = ruling.event(&track.steps[*step].name, position(unit));
                changes.push(Change::Event(run.id, Event { at: now, what }));
            }
            // With the item that is not at rest any more: never after it.
            if let Unit::Item(item) = unit
                && item < watermark
                && !progress.is_at_rest(track)
            {
                watermark = item;
                changes.push(Change::Watermark(run.id, item));
            }
            changes.push(Change::Progress(run.id, unit, progress));
            ruled.steps += steps.len() as u64;
            ruled.units += 1;
        }
        if !changes.is_empty() {
            if left.leave_execution() {
                changes.push(Change::Run(Box::new(left.clone())));
            }
            journal.commit(changes).await?;
        }
    }
    Ok(ruled)
}

/// The units that a decision may be about, some hundreds at a time: those that were named, all at
/// once, or every one of the run.
struct Docket<'a> {
    run: &'a Run,
    named: &'a [u64],
    /// The item that comes next; `None` before the first units.
    from: Option<u64>,
}

impl<'a> Docket<'a> {
    fn new(run: &'a Run, named: &'a [u64]) -> Self {
        Self { run, named, from: None }
    }

    fn named(&self) -> Named {
        if self.named.is_empty() { Named::No } else { Named::Yes }
    }

    /// The next units with a record, `None` after the last.
    fn next(&mut self, journal: &dyn Journal) -> Result<Option<Vec<(Unit, Progress)>>, StoreError> {
        let Some(from) = self.from else {
            self.from = Some(if self.named.is_empty() { 0 } else { u64::MAX });
            let of_run = std::iter::once(Unit::Run).chain((1..=self.run.closings).map(Unit::Closing));
            let units: Vec<Unit> = match self.named() {
                Named::Yes => self.named.iter().map(|item| Unit::Item(*item)).collect(),
                Named::No => of_run.collect(),
            };
            let read = |unit| Ok((unit, journal.progress(self.run.id, unit)?.unwrap_or_default()));
            return units.into_iter().map(read).collect::<Result<_, _>>().map(Some);
        };
        let records = journal.items(self.run.id, from, SCAN)?;
        let Some((last, _)) = records.last() else { return Ok(None) };
        self.from = Some(last + 1);
        Ok(Some(records.into_iter().map(|(item, progress)| (Unit::Item(item), progress)).collect()))
    }

    /// Whoever names an item means something about it.
    fn insist(&self, unit: Unit, steps: &[usize]) -> Result<(), Error> {
        match unit {
            Unit::Item(item) if steps.is_empty() && self.named() == Named::Yes => Err(Error::Moot(item)),
            _ => Ok(()),
        }
    }
}

/// Whether a person named the unit, and so means whatever is in doubt there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

impl Ruling {
    /// The steps of a unit that it is about.
    fn steps(&self, plan: &Plan, unit: Unit, progress: &Progress, named: Named) -> Vec<usize> {
        let cells = plan.track(unit).steps.iter().zip(progress.cells.iter()).enumerate();
        cells.filter(|(_, (step, cell))| self.concerns(step, cell, unit, named)).map(|(at, _)| at).collect()
    }

    fn concerns(&self, step: &PlanStep, cell: &Cell, unit: Unit, named: Named) -> bool {
        match &self.what {
            Decision::Settled { step: wanted, .. } => {
                let meant = match named {
                    Named::Yes => entry(step, cell, false).is_some_and(|entry| entry.is_doubtful()),
                    Named::No => is_left_to_a_person(step, cell, false),
                };
                meant && wanted.as_ref().is_none_or(|name| *name == step.name)
            }
            Decision::Dropped { letters, .. } => position(unit).is_some() && letters.picks(step, cell),
        }
    }

    fn kind(&self) -> Kind {
        match &self.what {
            Decision::Settled { done, .. } => Kind::Settled { done: done.clone() },
            Decision::Dropped { .. } => Kind::Cancelled,
        }
    }

    fn event(&self, step: &str, item: Option<u64>) -> RunEvent {
        let (step, by) = (step.to_owned(), self.by.clone());
        match &self.what {
            Decision::Settled { done, .. } => RunEvent::Settled { step, item, done: done.is_some(), by },
            Decision::Dropped { reason, .. } => RunEvent::Dropped { step, item, reason: reason.clone(), by },
        }
    }
}
