//! What the Tasks of a state machine say to their activities, and what they are answered.

use serde::Deserialize;
use serde_json::json;

use crate::core::execution::{AGAIN, Answer, Errand, Order, Receipt};
use crate::core::fault::Fault;
use crate::core::id::RunId;

/// Longest output of a Task, in bytes (Step Functions, service quotas).
const OUTPUT_MAX: usize = 256 * 1024;
/// Longest error name, in letters (Step Functions, SendTaskFailure).
const ERROR_MAX: usize = 256;
/// Longest cause, in letters (Step Functions, SendTaskFailure).
const CAUSE_MAX: usize = 32_768;
/// The error of an answer whose facts have no room in the output of a Task.
const TOO_LARGE: &str = "FactsTooLarge";
/// The error under which an order is answered that is none of ours.
pub(super) const UNREADABLE: &str = "Milepost.Unreadable";

/// The input of a Task.
#[derive(Deserialize)]
struct Written {
    run: RunId,
    epoch: u32,
    #[serde(rename = "do")]
    act: Act,
    #[serde(default)]
    step: Option<String>,
    #[serde(default)]
    fault: Option<Cause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Step,
    Skip,
    Close,
    Closing,
}

/// An error as Step Functions passes it on: it may have no words.
#[derive(Deserialize)]
struct Cause {
    name: String,
    #[serde(default)]
    message: Option<String>,
}

/// What a task wants, and for which run.
///
/// # Errors
/// Why it is no order of ours.
pub(super) fn read(token: &str, input: &str) -> Result<(RunId, Order), String> {
    let Written { run, epoch, act, step, fault } =
        serde_json::from_str(input).map_err(|error| format!("its input is no order: {error}"))?;
    let named = || step.ok_or_else(|| "its input names no step".to_owned());
    let errand = match act {
        Act::Step => Errand::Step { step: named()?, skip: false },
        Act::Skip => Errand::Step { step: named()?, skip: true },
        Act::Closing => Errand::Closing { step: named()? },
        Act::Close => Errand::Close {
            fault: fault.map(|Cause { name, message }| Fault::new(name, message.unwrap_or_default())),
        },
    };
    Ok((run, Order { receipt: Receipt(token.to_owned()), epoch, errand }))
}

/// An answer as Step Functions takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The output of the Task.
    Success(String),
    /// The error that it ends with.
    Failure {
        /// Its name.
        error: String,
        /// Its words.
        cause: String,
    },
}

/// An answer in the words of Step Functions.
pub(super) fn said(answer: Answer) -> Said {
    match answer {
        Answer::Done { facts } => {
            let output = json!({ "facts": facts }).to_string();
            if output.len() <= OUTPUT_MAX {
                return Said::Success(output);
            }
            let cause = format!("the facts take {} bytes, and the executor takes {OUTPUT_MAX}", output.len());
            Said::Failure { error: TOO_LARGE.to_owned(), cause }
        }
        Answer::Again(fault) => {
            Said::Failure { error: AGAIN.to_owned(), cause: cut(&fault.to_string(), CAUSE_MAX) }
        }
        Answer::Failed(fault) => failure(&fault),
    }
}

/// A fault as an error of its own name.
pub(super) fn failure(fault: &Fault) -> Said {
    Said::Failure { error: cut(&fault.name, ERROR_MAX), cause: cut(&fault.message, CAUSE_MAX) }
}

fn cut(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn an_order_says_what_is_to_be_done_for_which_run() {
        let errand = |rest: &str| {
            let input = format!(r#"{{ "run": "{}", "epoch": 3, {rest} }}"#, RunId(7));
            read("token", &input).map(|(run, order)| {
                assert_eq!((run, order.epoch, order.receipt.0.as_str()), (RunId(7), 3, "token"));
                order.errand
            })
        };
        let step = |skip| Ok(Errand::Step { step: "pim".to_owned(), skip });
        assert_eq!(errand(r#""do": "step", "step": "pim""#), step(false));
        assert_eq!(errand(r#""do": "skip", "step": "pim""#), step(true));
        assert_eq!(errand(r#""do": "close""#), Ok(Errand::Close { fault: None }));
        let closing = Ok(Errand::Closing { step: "on_failure[0]".to_owned() });
        assert_eq!(errand(r#""do": "closing", "step": "on_failure[0]""#), closing);
        let closed = errand(r#""do": "close", "fault": { "name": "States.Timeout", "message": null }"#);
        assert_eq!(closed, Ok(Errand::Close { fault: Some(Fault::new("States.Timeout", "")) }));
        for strange in [r#""do": "step""#, r#""do": "dance""#, r#""step": "pim""#] {
            assert!(errand(strange).is_err(), "{strange}");
        }
        for strange in ["", "{}", "[]", r#"{ "run": "r", "epoch": 1, "do": "close" }"#] {
            assert!(read("token", strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn an_answer_fits_into_what_step_functions_takes() {
        let of = |length: usize| {
            let facts = Map::from_iter([("text".to_owned(), Value::from("x".repeat(length)))]);
            said(Answer::Done { facts })
        };
        assert_eq!(of(1), Said::Success(r#"{"facts":{"text":"x"}}"#.to_owned()));
        let room = OUTPUT_MAX - r#"{"facts":{"text":""}}"#.len();
        assert!(matches!(of(room), Said::Success(output) if output.len() == OUTPUT_MAX));
        assert!(matches!(of(room + 1), Said::Failure { error, .. } if error == TOO_LARGE));
        let fault = Fault { name: "é".repeat(300), message: "ü".repeat(40_000) };
        let Said::Failure { error, cause } = said(Answer::Failed(fault.clone())) else {
            panic!("no failure")
        };
        assert_eq!((error.chars().count(), cause.chars().count()), (ERROR_MAX, CAUSE_MAX));
        let Said::Failure { error, cause } = said(Answer::Again(fault)) else { panic!("no failure") };
        assert_eq!((error.as_str(), cause.chars().count()), (AGAIN, CAUSE_MAX));
    }
}
