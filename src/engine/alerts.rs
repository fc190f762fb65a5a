//! Alerts: made with the events that cause them, and delivered apart from the run.
//!
//! What is to be told is decided in [`crate::core::alert`]. Here is what it needs to know of the run, and the loop
//! that delivers: it takes what is due from the outbox, has it carried, and makes durable what came of it. An alert
//! that was carried while the engine died is carried again under its ID.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::core::alert::{self, Alert, Answer, Standing};
use crate::core::cell::State;
use crate::core::change::Change;
use crate::core::event::Event;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::plan::Plan;
use crate::core::run::Run;
use crate::ports::{Clock, Couriers, Due, Journal, Outbox, StoreError};

/// Attempts under way at once: one receiver that does not answer must not keep the others waiting.
const AT_ONCE: usize = 8;

/// The alerts of an event that has happened to a run. They are to be committed with it.
///
/// # Errors
/// The journal cannot be read.
pub fn of(
    journal: &dyn Journal,
    run: &mut Run,
    plan: &Plan,
    event: &Event,
) -> Result<Vec<Alert>, StoreError> {
    if !alert::may_concern(&plan.alerts, &event.what) {
        return Ok(Vec::new());
    }
    let items = journal.tally(run.id, Unit::Item(0))?;
    let steps = journal.progress(run.id, Unit::Run)?.unwrap_or_default().cells;
    let of_run = steps.iter().filter(|cell| matches!(cell.state, State::InDoubt(_))).count() as u64;
    let of_items: u64 = items.steps.iter().map(|step| step.units.in_doubt).sum();
    let total = run.source.as_ref().map_or(0, |source| source.count);
    let standing = Standing { items: items.units.over(total), doubts: of_run + of_items };
    Ok(alert::of(run, &plan.alerts, event, &standing))
}

/// The changes that put alerts into the outbox.
pub fn put(alerts: impl Iterator<Item = Alert>) -> impl Iterator<Item = Change> {
    alerts.map(|alert| Change::Alert { run: alert.run, number: alert.number, alert: Some(Box::new(alert)) })
}

/// What delivers.
pub struct Delivery {
    /// Where the alerts are.
    pub outbox: Arc<dyn Outbox>,
    /// Who carries them.
    pub couriers: Arc<dyn Couriers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

fn due(alerts: &[Alert]) -> impl Iterator<Item = Due> {
    alerts.iter().filter_map(|alert| Some((alert.next?, alert.run, alert.number)))
}

/// An alert: its run, and which one of that run.
type Name = (RunId, u64);

impl Delivery {
    /// Delivers what is due, and what becomes due, until `ending` says `true` or nobody could say so any more; then
    /// what is due already is tried once more. What is left is still in the outbox.
    ///
    /// # Errors
    /// The store failed.
    pub async fn work(&self, mut ending: watch::Receiver<bool>, seed: u64) -> Result<(), StoreError> {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut waiting: BTreeSet<Due> = due(&self.outbox.alerts(None)?).collect();
        let mut at_work = BTreeSet::new();
        let mut attempts: JoinSet<(Name, Result<(), StoreError>)> = JoinSet::new();
        let mut is_ending = *ending.borrow();
        loop {
            let now = self.clock.now();
            while let Some(due) =
                waiting.first().copied().filter(|(at, ..)| *at <= now && at_work.len() < AT_ONCE)
            {
                waiting.remove(&due);
                let name = (due.1, due.2);
                if !at_work.insert(name) {
                    continue;
                }
                let (attempt, chance) = (self.shared(), chance.random());
                attempts.spawn(async move { (name, attempt.attempt(name, chance).await) });
            }
            if is_ending && attempts.is_empty() {
                return Ok(());
            }
            let wake_at = waiting.first().map(|(at, ..)| *at).filter(|_| at_work.len() < AT_ONCE);
            let timer = async {
                match wake_at {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(ended) = attempts.join_next() => {
                    let (name, result) = ended.map_err(|error| StoreError(error.to_string()))?;
                    at_work.remove(&name);
                    result?;
                }
                due = self.outbox.newly_due() => waiting.extend(due),
                () = timer => {}
                said = ending.changed(), if !is_ending => {
                    is_ending = said.is_err() || *ending.borrow();
                    // What was put a moment ago is not passed by.
                    waiting.extend(due(&self.outbox.alerts(None)?));
                }
            }
        }
    }

    fn shared(&self) -> Self {
        let (outbox, couriers) = (Arc::clone(&self.outbox), Arc::clone(&self.couriers));
        Self { outbox, couriers, clock: Arc::clone(&self.clock) }
    }

    /// One attempt at one alert, to the commit of what came of it.
    async fn attempt(self, (run, number): Name, chance: f64) -> Result<(), StoreError> {
        let mut alerts = self.outbox.alerts(Some(run))?.into_iter();
        let is_due =
            |alert: &Alert| alert.number == number && alert.next.is_some_and(|at| at <= self.clock.now());
        let Some(alert) = alerts.find(is_due) else { return Ok(()) };
        let (couriers, carried) = (Arc::clone(&self.couriers), alert.clone());
        // On a task of its own: whatever happens in it, something is known of the alert.
        let carrying = tokio::spawn(async move {
            match couriers.of(&carried).await {
                Ok(courier) => courier.deliver(&carried).await,
                Err(fault) => Answer::Failed { fault, pause: None },
            }
        });
        let defect = |error: tokio::task::JoinError| Answer::Failed {
            fault: Fault::new(name::DEFECT, error.to_string()),
            pause: None,
        };
        let mut carrying = AbortOnDrop(carrying);
        let answer = (&mut carrying.0).await.unwrap_or_else(defect);
        // A run that was removed meanwhile took its alerts with it.
        if self.outbox.run(run)?.is_none() {
            return Ok(());
        }
        self.outbox.commit(alert.answered(answer, self.clock.now(), chance)).await
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
