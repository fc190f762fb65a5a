//! One item's way: look up, write, and on a conflict look again.

use serde_json::Value;

use super::super::connection::Link;
use super::answers::{Trouble, Write};
use super::lookup::{Found, Lookup};
use super::operation::Operation;
use super::plan::Plan;
use crate::connectors::wire::Answer;
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};

/// An `http.upsert` step, ready to work.
pub(super) struct Upsert {
    pub(super) plan: Plan,
    pub(super) link: Link,
}

impl Upsert {
    /// Carries out one attempt; returns how many requests it took.
    pub(super) async fn one(&self, wanted: &Value) -> (Outcome, u64) {
        let mut sent = 0;
        let done = match &self.plan.lookup {
            None => self.create(wanted, "written", &mut sent).await,
            Some(lookup) => self.upsert(lookup, wanted, &mut sent).await,
        };
        (done.map_or_else(Trouble::outcome, Outcome::Done), sent)
    }

    /// Looks whether an earlier attempt was carried out.
    pub(super) async fn look(&self, wanted: &Value) -> Probed {
        let Some(lookup) = &self.plan.lookup else {
            return Probed::Unknown(Fault::new(name::REFUSED, "the step has no 'lookup'"));
        };
        match self.find(lookup, wanted, &mut 0).await {
            Ok(Found::One(held)) if self.plan.compare.holds(&wanted["body"], &held) => {
                Probed::Done(self.facts("found", &held, None))
            }
            Ok(Found::One(_) | Found::Nothing) => Probed::Absent,
            Err(trouble) => Probed::Unknown(trouble.told().0),
        }
    }

    async fn upsert(&self, lookup: &Lookup, wanted: &Value, sent: &mut u64) -> Result<Facts, Trouble> {
        let found = self.find(lookup, wanted, sent).await?;
        match self.write(found, wanted, sent).await {
            // Somebody was faster: what is there now is updated.
            Err(Trouble::Conflict(fault)) => match self.find(lookup, wanted, sent).await? {
                Found::Nothing => Err(hidden(&fault)),
                found @ Found::One(_) => self.write(found, wanted, sent).await,
            },
            // It went away in between.
            Err(Trouble::Gone(_)) => {
                let found = self.find(lookup, wanted, sent).await?;
                self.write(found, wanted, sent).await
            }
            other => other,
        }
    }

    async fn write(&self, found: Found, wanted: &Value, sent: &mut u64) -> Result<Facts, Trouble> {
        match (found, &self.plan.update) {
            (Found::One(held), _) if self.plan.compare.holds(&wanted["body"], &held) => {
                Ok(self.facts("unchanged", &held, None))
            }
            (Found::One(held), Some(update)) => {
                let answer = self.send(update, &wanted["update"], &held, &wanted["body"], sent).await?;
                let answer = self.plan.answers.of_write(answer, Write::Update)?;
                Ok(self.facts("updated", &held, Some(&answer)))
            }
            (Found::One(_), None) => self.create(wanted, "updated", sent).await,
            (Found::Nothing, _) => self.create(wanted, "created", sent).await,
        }
    }

    async fn create(&self, wanted: &Value, action: &str, sent: &mut u64) -> Result<Facts, Trouble> {
        let sending = self.send(&self.plan.create, &wanted["create"], &Value::Null, &wanted["body"], sent);
        let answer = self.plan.answers.of_write(sending.await?, Write::Create)?;
        Ok(self.facts(action, &Value::Null, Some(&answer)))
    }

    async fn find(&self, lookup: &Lookup, wanted: &Value, sent: &mut u64) -> Result<Found, Trouble> {
        let sending = self.send(&lookup.operation, &wanted["lookup"], &Value::Null, &Value::Null, sent);
        let answer = sending.await.map_err(Trouble::of_read)?;
        match answer.status {
            status if lookup.absent.contains(&status) => Ok(Found::Nothing),
            200..300 => lookup.found(&answer, wanted["key"].as_str().unwrap_or_default()),
            _ => Err(self.plan.answers.of_read(&answer)),
        }
    }

    async fn send(
        &self,
        operation: &Operation,
        prepared: &Value,
        found: &Value,
        body: &Value,
        sent: &mut u64,
    ) -> Result<Answer, Trouble> {
        let request = operation
            .request(prepared, found, body)
            .map_err(|fault| Trouble::Sure { fault, again: Again::Never })?;
        *sent += 1;
        self.link.send(&request).await.map_err(Trouble::of_broken)
    }

    /// `action`, `status` of the write, and `id`: as the answer says, else as it was found.
    fn facts(&self, action: &str, held: &Value, answer: Option<&Answer>) -> Facts {
        let mut facts = Facts::from([("action".to_owned(), Value::from(action))]);
        facts.extend(answer.map(|answer| ("status".to_owned(), Value::from(answer.status))));
        if let Some(pointer) = &self.plan.id {
            let told = answer.and_then(Answer::json);
            let lookup_at = self.plan.lookup.as_ref().map_or("", Lookup::at);
            let at = |whole: &Value, pointer: &str| whole.pointer(pointer).filter(|id| is_id(id)).cloned();
            let told = told.and_then(|told| {
                // Writes answer with the object alone, or inside what lookups put it into.
                at(&told, pointer).or_else(|| at(told.pointer(lookup_at)?, pointer))
            });
            facts.extend(told.or_else(|| at(held, pointer)).map(|id| ("id".to_owned(), id)));
        }
        facts
    }
}

fn is_id(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_))
}

/// Something stands in the way that the lookup does not find: perhaps it will, once what it asks is
/// up to date.
fn hidden(conflict: &Fault) -> Trouble {
    let message = format!("{}, but the lookup finds nothing with this key", conflict.message);
    Trouble::Sure { fault: Fault::new(&conflict.name, message), again: Again::Later }
}
