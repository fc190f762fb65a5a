//! `command.map`: a local process makes a new item, or refuses it.

use std::sync::mpsc;

use serde_json::Value;

use super::pool::{Answer, Errand, Pool, Reply};
use super::protocol::{Ask, Wish, tail};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::Prepare;

/// The worker of a `command.map` step.
pub(super) struct Transform {
    pub(super) pool: Pool,
    /// What is handed over; `None`: the item.
    pub(super) body: Option<Template>,
    /// How often an item is tried whose process broke.
    pub(super) attempts: u32,
}

impl Prepare for Transform {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.prepare_all(std::slice::from_ref(scope)).pop().unwrap_or_else(|| Err(unanswered()))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn prepare_all(&self, scopes: &[Scope]) -> Vec<Result<Value, Fault>> {
        let (answers, told) = mpsc::channel();
        let mut made: Vec<Result<Value, Fault>> = scopes.iter().map(|_| Err(unanswered())).collect();
        let mut errands = Vec::with_capacity(scopes.len());
        for (place, scope) in scopes.iter().enumerate() {
            match self.tail(scope) {
                Ok(tail) => errands.push(Errand {
                    wish: Wish::Item,
                    tail,
                    attempt: 1,
                    attempts_max: self.attempts,
                    reply: Reply::Of(answers.clone(), place),
                }),
                Err(fault) => made[place] = Err(fault),
            }
        }
        drop(answers);
        self.pool.ask(errands);
        while let Ok((place, answer)) = told.recv() {
            made[place] = output(answer);
        }
        made
    }
}

impl Transform {
    fn tail(&self, scope: &Scope) -> Result<Vec<u8>, Fault> {
        let rendered = self.body.as_ref().map(|body| body.render(scope)).transpose()?;
        let item = match scope.unit {
            Unit::Item(position) => Some(position),
            Unit::Run | Unit::Closing(_) => None,
        };
        let body = rendered.as_ref().unwrap_or(&scope.item);
        let ask = Ask { run: scope.run.to_string(), item, key: None, effect: None, body };
        tail(&ask).map_err(|error| Fault::new(name::MAPPING, error.to_string()))
    }
}

fn output(answer: Answer) -> Result<Value, Fault> {
    match answer {
        Answer::Done(result) => match serde_json::from_str(result.get()) {
            Ok(Value::Null) => {
                Err(Fault::new(name::MAPPING, "it returned nothing: what it returns is the new item"))
            }
            Ok(value) => Ok(value),
            Err(error) => Err(Fault::new(name::MAPPING, format!("its result cannot be read: {error}"))),
        },
        Answer::Refused(refusal) => Err(Fault::new(refusal.name, refusal.message)),
        Answer::Late(fault) | Answer::Lost(fault) | Answer::Unsent(fault) => Err(fault),
    }
}

fn unanswered() -> Fault {
    Fault::new(name::DEFECT, "a defect of this connector: it gave no answer on this item")
}
