//! Deciding about held messages. Everything that a decision rests on is durable by then.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::core::arrival::Arrival;
use crate::core::cell::{Facts, Kind, State};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::mail::{Disposition, disposition};
use crate::core::plan::Messages;
use crate::core::progress::Progress;
use crate::core::queue::{Delivery, Ticket};
use crate::core::signal::{self, Signal};
use crate::core::time::Timestamp;

use super::call::effect_id;
use super::context::{Common, Context};
use super::drive::{Drive, Error};
use super::mail::Held;
use super::prepare::subject;

impl Drive {
    /// Decides about the messages whose items moved. Everything the decision rests on is durable.
    /// Returns whether something was recorded that wants a commit.
    pub(super) fn review_mail(&mut self, now: Timestamp) -> Result<bool, Error> {
        let mut heard = false;
        let (mut delete, mut release) = (BTreeMap::new(), BTreeMap::new());
        for unit in std::mem::take(&mut self.mail.review) {
            let held: Vec<usize> =
                self.mail.held.range((unit, 0)..=(unit, usize::MAX)).map(|((_, step), _)| *step).collect();
            for step in held {
                let decided = match (self.desk.progress(unit), self.mail.rest.get(&unit)) {
                    (Some(progress), _) | (None, Some(progress)) if self.is_stale(unit, step, progress) => {
                        Disposition::Delete
                    }
                    (Some(progress), _) | (None, Some(progress)) => {
                        disposition(&self.desk.plan().items, step, progress)
                    }
                    (None, None) => {
                        self.desk.want(unit);
                        heard = true;
                        continue;
                    }
                };
                match decided {
                    Disposition::Keep => {}
                    Disposition::Delete => put(&mut delete, step, self.mail.let_go_of(unit, step)),
                    Disposition::Release => put(&mut release, step, self.mail.let_go_of(unit, step)),
                    Disposition::Take => {
                        heard = true;
                        self.take(unit, step, now)?;
                    }
                    Disposition::Proves(need) => {
                        heard = true;
                        self.prove(unit, step, need, now)?;
                    }
                }
            }
            self.mail.rest.remove(&unit);
        }
        for (step, tickets) in delete {
            self.mail.delete(step, tickets, &self.sender);
        }
        for (step, tickets) in release {
            self.mail.hide(step, tickets, Duration::ZERO, &self.sender);
        }
        Ok(heard)
    }

    /// Whether a held message is of an effect that was carried out anew since, under a later
    /// revision of its step: that has a message of its own.
    fn is_stale(&self, unit: Unit, step: usize, progress: &Progress) -> bool {
        let Some(held) = self.mail.held.get(&(unit, step)) else { return false };
        if self.desk.plan().items.steps[step].messages == Messages::Signals {
            return self.is_out_of_date(unit, step, progress, &held.delivery);
        }
        let (event_id, run) = (held.delivery.message.event_id, self.run.id.to_string());
        let track = &self.desk.plan().items;
        track.steps[..step].iter().enumerate().any(|(at, known)| {
            let present = match progress.state(track, at) {
                State::Pending | State::Backoff(_) => known.revision,
                _ => progress.cells[at].revision,
            };
            (0..present).any(|revision| effect_id(&run, &known.name, unit, revision) == event_id)
        })
    }

    /// Whether a signal is older than the effect that the item, which waits, has had since; or about
    /// something that it waited for before its definition was edited.
    fn is_out_of_date(&self, unit: Unit, step: usize, progress: &Progress, delivery: &Delivery) -> bool {
        let track = &self.desk.plan().items;
        let waits = matches!(progress.state(track, step), State::Waiting(_));
        let (Some(context), Some(signal)) =
            (self.contexts.get(&unit).filter(|_| waits), Signal::carried(delivery.carried.as_ref()))
        else {
            return false;
        };
        let Ok(scope) = context.scope(&self.common, step, progress) else { return false };
        let Ok(subject) = subject(&self.common.assembly.items[step], &scope) else { return false };
        let since = signal::since(track, progress, step).unwrap_or(self.run.started_at);
        signal.topic() != subject.topic() || !signal.counts_for(&subject, since)
    }

    fn take(&mut self, unit: Unit, step: usize, now: Timestamp) -> Result<(), Error> {
        let Some(held) = self.mail.held.get_mut(&(unit, step)) else { return Ok(()) };
        let first_time = !std::mem::replace(&mut held.taken, true);
        self.mail.give_back(step, usize::from(first_time));
        let Some(Held { delivery, .. }) = self.mail.held.get(&(unit, step)) else { return Ok(()) };
        let message = &delivery.message;
        let expected = match (self.contexts.get(&unit), self.desk.progress(unit)) {
            (Some(context), Some(progress)) => expected_digest(&self.common, context, step, progress),
            _ => None,
        };
        let content = match expected {
            Some(expected) if expected != message.digest => Err(Fault::new(
                name::PAYLOAD_MISMATCH,
                format!("the message is about content {}, the pinned item is {expected}", message.digest),
            )),
            _ => Ok(facts_of(delivery)),
        };
        Ok(self.desk.hear(Arrival::Delivered { step, unit, content }, now, 0.0)?)
    }

    fn prove(&mut self, unit: Unit, step: usize, need: usize, now: Timestamp) -> Result<(), Error> {
        let Some(Held { delivery, .. }) = self.mail.held.get(&(unit, step)) else { return Ok(()) };
        let facts = facts_of(delivery);
        if self.desk.progress(unit).is_some() {
            return Ok(self.desk.hear(Arrival::Proven { step: need, unit, facts }, now, 0.0)?);
        }
        // A doubt that only a person could settle had put the item to rest; it is read in again
        // after the commit.
        let Some(mut progress) = self.mail.rest.remove(&unit) else { return Ok(()) };
        progress.apply(&self.desk.plan().items, need, Kind::Done { facts }, now)?;
        self.mail.proven.push((unit, progress));
        self.desk.want(unit);
        Ok(())
    }
}

fn put(all: &mut BTreeMap<usize, Vec<Ticket>>, step: usize, tickets: Vec<Ticket>) {
    all.entry(step).or_default().extend(tickets);
}

fn facts_of(delivery: &Delivery) -> Facts {
    if let Some(signal) = Signal::carried(delivery.carried.as_ref()) {
        return signal.facts();
    }
    let event_id = uuid::Uuid::from_u128(delivery.message.event_id).to_string();
    Facts::from([("event_id".to_owned(), Value::from(event_id))])
}

/// Made when the step was prepared; made here only for an item that waited before the engine began.
fn expected_digest(common: &Common, context: &Context, step: usize, progress: &Progress) -> Option<String> {
    context.output(common, step, progress).ok()?.get("digest")?.as_str().map(str::to_owned)
}
