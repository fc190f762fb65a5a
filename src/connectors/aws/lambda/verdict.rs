//! What an invocation came to.

use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::Value;

use super::super::trouble::trouble;
use crate::connectors::handover::{self, Event};
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};
use crate::ports::Call;

/// Error types of the runtime that say that the function was not begun; as AWS documents them. Every other
/// one of the runtime's own ended a function that was at work.
const UNBEGUN: &[&str] = &[
    "Runtime.HandlerNotFound",
    "Runtime.ImportModuleError",
    "Runtime.InvalidEntrypoint",
    "Runtime.UserCodeSyntaxError",
];

/// What became of the calls of one event, in their order.
pub(super) fn of(
    event: Event,
    calls: &[Call],
    answer: Result<InvokeOutput, SdkError<InvokeError, HttpResponse>>,
) -> Vec<Outcome> {
    let all = |outcome: Outcome| vec![outcome; calls.len()];
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return all(trouble("Invoke", error).of_write()),
    };
    let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
    // A function that returns nothing has an empty answer on some servers of the API.
    let said = if payload.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(payload) };
    match (answer.function_error(), said) {
        (Some(_), said) => {
            let error = said.unwrap_or_default();
            if is_unbegun(&error) { all(failed(&error)) } else { handover::broken_off(calls, failed(&error)) }
        }
        (None, Ok(said)) => event.verdicts(calls, said),
        (None, Err(error)) => {
            let message = format!("Invoke: the answer of the function is not JSON: {error}");
            all(Outcome::Unclear(Fault::new(name::NO_ANSWER, message)))
        }
    }
}

/// The function was not begun.
fn is_unbegun(error: &Value) -> bool {
    error["errorType"].as_str().is_some_and(|kind| UNBEGUN.contains(&kind))
}

/// The function ended with an error: its own, or one of the runtime that ended it.
fn failed(error: &Value) -> Outcome {
    let text = |member: &str| error[member].as_str().unwrap_or_default();
    let (kind, message) = (text("errorType"), text("errorMessage"));
    let timed_out = kind == "Sandbox.Timedout" || message.contains("Task timed out after");
    if timed_out {
        return Outcome::Unclear(Fault::new(name::TIMEOUT, format!("the function's own timeout: {message}")));
    }
    let of_runtime = kind.is_empty() || ["Runtime.", "Sandbox."].iter().any(|begin| kind.starts_with(begin));
    if of_runtime && !is_unbegun(error) {
        return Outcome::Unclear(Fault::new(
            name::NO_ANSWER,
            format!("the function broke off: {kind} {message}"),
        ));
    }
    Outcome::Refused { fault: Fault::new(kind, message), again: Again::Never }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_of_the_function_is_its_verdict_and_one_that_ended_it_leaves_a_doubt() {
        let Outcome::Refused { fault, again: Again::Never } =
            failed(&json!({ "errorType": "InvalidProduct", "errorMessage": "no price", "stackTrace": [] }))
        else {
            panic!("an error of its own")
        };
        assert_eq!((fault.name.as_str(), fault.message.as_str()), ("InvalidProduct", "no price"));
        let unbegun = json!({ "errorType": "Runtime.ImportModuleError", "errorMessage": "no module" });
        assert!(matches!(failed(&unbegun), Outcome::Refused { again: Again::Never, .. }));
        for (error, told) in [
            (
                json!({ "errorMessage": "2026-11-23T08:00:00Z 1f Task timed out after 3.00 seconds" }),
                name::TIMEOUT,
            ),
            (json!({ "errorType": "Sandbox.Timedout", "errorMessage": "x" }), name::TIMEOUT),
            (json!({ "errorType": "Runtime.ExitError", "errorMessage": "signal: killed" }), name::NO_ANSWER),
            (json!({ "errorType": "Runtime.OutOfMemory" }), name::NO_ANSWER),
            (json!(null), name::NO_ANSWER),
        ] {
            let Outcome::Unclear(fault) = failed(&error) else { panic!("{error}") };
            assert_eq!(fault.name, told, "{error}");
        }
    }
}
