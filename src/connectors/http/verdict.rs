//! What an answer means for the step.

use serde_json::Value;

use super::request::Request;
use crate::connectors::wire::{Answer, Broken};
use crate::core::cell::Facts;
use crate::core::retry::Outcome;

/// Longest body kept as a fact. Facts live with the item in records of at most 4 KB; whoever
/// needs more of an answer asks again.
const BODY_BYTES_MAX: usize = 2048;

/// The outcome of one request.
pub(super) fn of(request: &Request, answer: Result<Answer, Broken>) -> Outcome {
    match answer {
        Ok(answer) if request.expects(answer.status) => Outcome::Done(facts(&answer)),
        Ok(answer) if request.reads_only() => {
            Outcome::Refused { fault: answer.fault(), again: answer.again_of_read() }
        }
        Ok(answer) => answer.of_write(),
        Err(broken) if request.reads_only() => broken.of_read(),
        Err(broken) => broken.of_write(),
    }
}

/// `status`, `body_bytes`, and `body`: JSON, else text, else (too long) null.
fn facts(answer: &Answer) -> Facts {
    let body = if answer.body.len() > BODY_BYTES_MAX {
        Value::Null
    } else {
        answer.json().unwrap_or_else(|| Value::from(String::from_utf8_lossy(&answer.body)))
    };
    Facts::from([
        ("status".to_owned(), Value::from(answer.status)),
        ("body".to_owned(), body),
        ("body_bytes".to_owned(), Value::from(answer.body.len())),
    ])
}
