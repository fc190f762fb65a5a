//! Reading units in: their records from the store, their content from the pinned source.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::arrival::Arrival;
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::Failure;
use crate::core::time::Timestamp;
use crate::ports::{Journal, Record, Records, StoreError};

use super::context::{Common, Context};
use super::drive::{Drive, Error};
use super::note::{Fetched, Note};
use super::prepare::{Work, first_steps, prepare};

impl Drive {
    /// Reads units in on a computing thread.
    pub(super) fn fetch(&self, units: Vec<Unit>) {
        let common = Arc::clone(&self.common);
        let (journal, records) = (Arc::clone(&self.ports.journal), self.records.clone());
        let failure = self.failure.clone();
        let plan = Arc::clone(self.desk.plan());
        self.compute(move || {
            let found = match progress_of(journal.as_ref(), &common, &units) {
                Ok(found) => found,
                Err(error) => return Note::Failed(error),
            };
            let record = |unit| content(&common, unit, records.as_deref(), failure.as_ref());
            let fetched = fetched(&common, &plan, units.into_iter().zip(found), record);
            Note::Fetched { plan, fetched }
        });
    }

    /// Takes in units that were read under this plan.
    pub(super) fn read_in(
        &mut self,
        plan: &Arc<Plan>,
        fetched: Vec<Fetched>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !Arc::ptr_eq(plan, self.desk.plan()) {
            // What is ready, or at rest, may be something else by now.
            self.desk.fetch_again(fetched.into_iter().map(|fetched| fetched.unit));
            return Ok(());
        }
        for Fetched { unit, progress, ready, context } in fetched {
            match context {
                Some(context) => drop(self.contexts.insert(unit, context)),
                None => self.mail.note_found(unit, progress.as_ref()),
            }
            self.arrived(Arrival::Fetched { unit, progress, ready }, now)?;
            if self.desk.progress(unit).is_none() {
                self.contexts.remove(&unit);
            }
            // A message may have come before its item.
            self.mail.note_change(unit);
        }
        Ok(())
    }
}

fn fetched(
    common: &Common,
    plan: &Plan,
    units: impl Iterator<Item = (Unit, Option<Progress>)>,
    record: impl Fn(Unit) -> Record,
) -> Vec<Fetched> {
    let mut fetched = Vec::new();
    let (mut begun, mut works) = (Vec::new(), Vec::new());
    for (unit, progress) in units {
        let track = plan.track(unit);
        let progress = progress.map(|progress| progress.fitted(track));
        let at_rest = progress.as_ref().is_some_and(|progress| progress.is_at_rest(track));
        let context = (!at_rest).then(|| Arc::new(Context::new(common, unit, record(unit))));
        if let (None, Some(context)) = (&progress, &context) {
            let (fresh, steps) = first_steps(plan, unit);
            begun.push(fetched.len());
            works.push(Work::new(Arc::clone(context), fresh, steps));
        }
        fetched.push(Fetched { unit, progress, ready: Vec::new(), context });
    }
    for (at, ready) in begun.into_iter().zip(prepare(common, plan, works)) {
        fetched[at].ready = ready;
    }
    fetched
}

/// What a unit is about, before any step.
pub(super) fn content(
    common: &Common,
    unit: Unit,
    records: Option<&dyn Records>,
    failure: Option<&Failure>,
) -> Record {
    let plain = |value| Record { key: None, value, version: None };
    match unit {
        Unit::Run => plain(Ok(Arc::new(Value::Null))),
        Unit::Closing(number) => plain(Ok(Arc::new(closing(common, number, failure)))),
        Unit::Item(position) => match records {
            Some(records) => records.record(position),
            None => plain(Err(Fault::new(name::VALIDATION, "the source is not pinned"))),
        },
    }
}

/// What a step of `on_failure` tells when the file does not say more: which run failed, why, and how
/// its items stood. The same however often the closing is begun.
fn closing(common: &Common, number: u32, failure: Option<&Failure>) -> Value {
    let counts = failure.and_then(|failure| failure.items).map(|items| {
        json!({
            "total": items.total(),
            "pending": items.pending,
            "running": items.running,
            "backoff": items.backoff,
            "waiting": items.waiting,
            "in_doubt": items.in_doubt,
            "succeeded": items.succeeded,
            "skipped": items.skipped,
            "dead_lettered": items.dead_lettered,
            "cancelled": items.cancelled,
        })
    });
    json!({
        "workflow": common.run.workflow,
        "closing": number,
        "error": failure.map(|failure| &failure.fault.name),
        "reason": failure.map(|failure| &failure.fault.message),
        "counts": counts,
    })
}

/// The progress of each unit, in order. A row of items is read in one go.
fn progress_of(
    journal: &dyn Journal,
    common: &Common,
    units: &[Unit],
) -> Result<Vec<Option<Progress>>, StoreError> {
    let run = common.run.id;
    let (Some(Unit::Item(first)), Some(Unit::Item(last))) = (units.first(), units.last()) else {
        return units.iter().map(|unit| journal.progress(run, *unit)).collect();
    };
    let in_a_row = last.checked_sub(*first) == Some(units.len() as u64 - 1);
    if !in_a_row {
        return units.iter().map(|unit| journal.progress(run, *unit)).collect();
    }
    let mut row: Vec<Option<Progress>> = vec![None; units.len()];
    for (position, progress) in journal.items(run, *first, units.len())? {
        if let Some(place) =
            position.checked_sub(*first).and_then(|at| row.get_mut(usize::try_from(at).ok()?))
        {
            *place = Some(progress);
        }
    }
    Ok(row)
}
