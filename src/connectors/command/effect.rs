//! `command`: a local process changes something outside.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;

use super::pool::{Answer, Errand, Pool, Reply};
use super::protocol::{Ask, Refusal, Wish, tail};
use crate::connectors::handover::{self, Event};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Verdicts};

/// The worker of a `command` step.
pub(super) struct Doer {
    pub(super) pool: Pool,
    /// What is handed over; `None`: the item.
    pub(super) body: Option<Template>,
    pub(super) event: Event,
}

impl Prepare for Doer {
    /// What is handed over.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        handover::body(self.body.as_ref(), scope)
    }
}

#[async_trait]
impl Effect for Doer {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let events = self.event.split(calls);
        let sent = events.len() as u64;
        let asked: Vec<_> =
            events.into_iter().map(|(of, body)| (of, self.ask(Wish::Item, of, &body))).collect();
        let mut outcomes = Vec::with_capacity(calls.len());
        for (of, answer) in asked {
            match answer.await.unwrap_or_else(|_| Answer::Lost(unanswered())) {
                Answer::Done(result) => match serde_json::from_str(result.get()) {
                    Ok(result) => outcomes.extend(self.event.verdicts(of, result)),
                    Err(error) => {
                        let fault =
                            Fault::new(name::NO_ANSWER, format!("its result cannot be read: {error}"));
                        outcomes.extend(of.iter().map(|_| Outcome::Unclear(fault.clone())));
                    }
                },
                Answer::Refused(refusal) => outcomes.extend(handover::broken_off(of, refused(refusal))),
                Answer::Late(fault) | Answer::Lost(fault) => {
                    outcomes.extend(of.iter().map(|_| Outcome::Unclear(fault.clone())));
                }
                Answer::Unsent(fault) => {
                    let unsent = |_| Outcome::Refused { fault: fault.clone(), again: Again::Later };
                    outcomes.extend(of.iter().map(unsent));
                }
            }
        }
        Verdicts { outcomes, calls: sent }
    }

    async fn probe(&self, call: &Call) -> Probed {
        let asked = self.ask(Wish::Probe, std::slice::from_ref(call), &call.request);
        match asked.await.unwrap_or_else(|_| Answer::Lost(unanswered())) {
            Answer::Done(result) => match serde_json::from_str(result.get()) {
                Ok(Value::Null) => Probed::Absent,
                Ok(found) => handover::facts(found).map_or_else(Probed::Unknown, Probed::Done),
                Err(error) => Probed::Unknown(Fault::new(name::NO_ANSWER, error.to_string())),
            },
            Answer::Refused(refusal) => Probed::Unknown(Fault::new(refusal.name, refusal.message)),
            Answer::Late(fault) | Answer::Lost(fault) | Answer::Unsent(fault) => Probed::Unknown(fault),
        }
    }
}

impl Doer {
    /// Asks a process. What waits for it can be dropped: then it is not begun any more.
    fn ask(&self, wish: Wish, of: &[Call], body: &Value) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let reply = Reply::One(reply);
        let attempt = of.iter().map(|call| call.attempt).max().unwrap_or(1);
        let run = of.first().map(|call| call.run.to_string()).unwrap_or_default();
        // An event about several items names each of them in its body.
        let one = match of {
            [one] => Some(one),
            _ => None,
        };
        let item = one.and_then(|call| match call.unit {
            Unit::Item(position) => Some(position),
            Unit::Run | Unit::Closing(_) => None,
        });
        let key = one.map(|call| call.key.as_str());
        let effect = of.first().map(handover::id);
        match tail(&Ask { run, item, key, effect, body }) {
            // Attempts are the engine's business: each of them is recorded.
            Ok(tail) => self.pool.ask(vec![Errand { wish, tail, attempt, attempts_max: attempt, reply }]),
            Err(error) => {
                let fault = Fault::new(name::MAPPING, error.to_string());
                Errand { wish, tail: Vec::new(), attempt, attempts_max: attempt, reply }
                    .answer(Answer::Unsent(fault));
            }
        }
        answer
    }
}

/// A process that says why does not leave it open whether it was done.
fn refused(refusal: Refusal) -> Outcome {
    let Refusal { name, message, again } = refusal;
    let again = if again { Again::Later } else { Again::Never };
    Outcome::Refused { fault: Fault::new(name, message), again }
}

fn unanswered() -> Fault {
    Fault::new(name::DEFECT, "a defect of this connector: it gave no answer on this item")
}
