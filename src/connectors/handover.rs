//! What a function gets as its event, for one item or for several, and what its answer says about each of
//! them. The same for functions of AWS Lambda and for local ones.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{BuildFault, settings};
use crate::core::catalog::Kind;
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::Call;

/// The field of a step that says what its function gets.
pub(crate) const EVENT: Kind = Kind::OneOf(&["item", "items", "records"]);
/// Longest result that is kept, as JSON, in bytes. It lives with the item in records of at most 4 KB.
pub(crate) const RESULT_BYTES_MAX: usize = 2048;
/// What a function that reports failures by item answers with, as AWS defines it for event sources.
const FAILURES: &str = "batchItemFailures";
/// What one answers with that returns something for each item.
const RESULTS: &str = "results";

/// What a function gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// One item, as it is.
    Item,
    /// A batch: `{items: […], ids: […]}`.
    Items,
    /// A batch as SQS hands it to a function: `{Records: [{messageId, body, …}]}`.
    Records,
}

impl Event {
    /// What a step says; one item when it does not.
    pub(crate) fn read(with: &Map<String, Value>) -> Result<Self, BuildFault> {
        match settings::text(with, "event")?.unwrap_or("item") {
            "item" => Ok(Self::Item),
            "items" => Ok(Self::Items),
            "records" => Ok(Self::Records),
            other => Err(BuildFault::field("event", format!("'{other}' is no kind of event"))),
        }
    }

    /// The calls that one event is about, each with its event.
    pub(crate) fn split(self, calls: &[Call]) -> Vec<(&[Call], Value)> {
        match self {
            Self::Item => calls.chunks(1).map(|one| (one, one[0].request.clone())).collect(),
            Self::Items => vec![(calls, items(calls))],
            Self::Records => vec![(calls, json!({ "Records": calls.iter().map(record).collect::<Value>() }))],
        }
    }

    /// What an answer says about the calls of its event, in their order.
    pub(crate) fn verdicts(self, calls: &[Call], answer: Value) -> Vec<Outcome> {
        match self {
            Self::Item => vec![done(answer)],
            Self::Items | Self::Records => of_batch(calls, answer),
        }
    }
}

/// How an event names an item, and a function names it back: the same in every attempt.
pub(crate) fn id(call: &Call) -> String {
    Uuid::from_u128(call.effect_id).to_string()
}

fn items(calls: &[Call]) -> Value {
    let ids: Value = calls.iter().map(id).collect();
    json!({ "items": calls.iter().map(|call| call.request.clone()).collect::<Value>(), "ids": ids })
}

/// The members that AWS documents for a message of a standard queue and that say something here.
fn record(call: &Call) -> Value {
    json!({
        "messageId": id(call),
        "receiptHandle": id(call),
        "body": call.request.to_string(),
        "attributes": { "ApproximateReceiveCount": call.attempt.to_string() },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    })
}

/// What is handed over for a unit: what the step says, else the item.
///
/// # Errors
/// What the step says cannot be made of this item.
pub(crate) fn body(said: Option<&Template>, scope: &Scope) -> Result<Value, Fault> {
    said.map_or_else(|| Ok(Value::clone(&scope.item)), |body| body.render(scope))
}

/// What an error says about the calls of the event that it ended. About one: it was not done. About several it does
/// not say how far the function had come, as AWS takes it for a batch.
pub(crate) fn broken_off(calls: &[Call], outcome: Outcome) -> Vec<Outcome> {
    match outcome {
        Outcome::Refused { fault, .. } if calls.len() > 1 => {
            let message = format!("it ended in the middle of a batch: {}", fault.message);
            vec![Outcome::Unclear(Fault::new(fault.name, message)); calls.len()]
        }
        outcome => vec![outcome; calls.len()],
    }
}

/// It is done; what it returned is kept.
pub(crate) fn done(result: Value) -> Outcome {
    match facts(result) {
        Ok(facts) => Outcome::Done(facts),
        // That it was done is likely, and what it returned is lost: nobody may rely on it.
        Err(fault) => Outcome::Unclear(fault),
    }
}

/// What is kept of a result.
///
/// # Errors
/// It is too long.
pub(crate) fn facts(result: Value) -> Result<Facts, Fault> {
    let bytes = result.to_string().len();
    if bytes > RESULT_BYTES_MAX {
        let message = format!(
            "its result has {bytes} bytes, and at most {RESULT_BYTES_MAX} are kept: let it return an ID, and read the rest where it is needed"
        );
        return Err(Fault::new(name::NO_ANSWER, message));
    }
    Ok(Facts::from([("result".to_owned(), result)]))
}

fn of_batch(calls: &[Call], answer: Value) -> Vec<Outcome> {
    let all = |why: String| {
        let outcome = Outcome::Unclear(Fault::new(name::NO_ANSWER, why));
        vec![outcome; calls.len()]
    };
    let failed = match failed(calls, answer.get(FAILURES)) {
        Ok(failed) => failed,
        Err(why) => return all(why),
    };
    let results = match answer {
        Value::Array(results) => Some(results),
        Value::Object(mut members) => match members.shift_remove(RESULTS) {
            Some(Value::Array(results)) => Some(results),
            Some(_) => return all(format!("'{RESULTS}' in its answer is no list")),
            None => None,
        },
        _ => None,
    };
    let results = match results {
        Some(results) if results.len() != calls.len() => {
            return all(format!("its answer has {} results for {} items", results.len(), calls.len()));
        }
        Some(results) => results,
        None => vec![Value::Null; calls.len()],
    };
    let verdict = |(call, result)| {
        if !failed.contains(&id(call)) {
            return done(result);
        }
        let fault = Fault::new("BatchItemFailure", "the function names it among those that failed");
        Outcome::Refused { fault, again: Again::Later }
    };
    calls.iter().zip(results).map(verdict).collect()
}

/// The IDs of the items that failed. None when the answer names none; an answer that cannot be understood
/// means, as AWS has it, that nothing is known to have succeeded.
fn failed(calls: &[Call], named: Option<&Value>) -> Result<BTreeSet<String>, String> {
    let named = match named {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(Value::Array(named)) => named,
        Some(_) => return Err(format!("'{FAILURES}' in its answer is no list")),
    };
    let known: BTreeSet<String> = calls.iter().map(id).collect();
    named
        .iter()
        .map(|entry| match entry["itemIdentifier"].as_str() {
            Some(id) if known.contains(id) => Ok(id.to_owned()),
            Some(id) => Err(format!("its answer names '{id}' as failed, which is none of the batch")),
            None => Err(format!("an entry of '{FAILURES}' in its answer has no 'itemIdentifier'")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{RunId, Unit};
    use crate::core::version::Version;

    fn calls(count: u64) -> Vec<Call> {
        let call = |position: u64| Call {
            run: RunId(1),
            unit: Unit::Item(position),
            attempt: 2,
            key: format!("k{position}"),
            effect_id: u128::from(position),
            request: json!({ "sku": position }),
            version: Version("1".to_owned()),
        };
        (1..=count).map(call).collect()
    }

    fn words(outcomes: &[Outcome]) -> Vec<String> {
        let word = |outcome: &Outcome| match outcome {
            Outcome::Done(facts) => format!("done {}", facts["result"]),
            Outcome::Refused { fault, again: Again::Later } => format!("later {}", fault.name),
            Outcome::Unclear(fault) => format!("unclear: {}", fault.message),
            other => format!("{other:?}"),
        };
        outcomes.iter().map(word).collect()
    }

    #[test]
    fn a_batch_names_each_item_and_is_answered_by_those_names() {
        let calls = calls(3);
        for (event, place) in [(Event::Items, "/ids/1"), (Event::Records, "/Records/1/messageId")] {
            let split = event.split(&calls);
            let [(of, whole)] = split.as_slice() else { panic!("one event for all") };
            assert_eq!(of.len(), 3);
            let second = whole.pointer(place).unwrap().clone();
            let answer = json!({ "batchItemFailures": [{ "itemIdentifier": second }] });
            let told = words(&event.verdicts(of, answer));
            assert_eq!(told, ["done null", "later BatchItemFailure", "done null"]);
        }
        let record = &Event::Records.split(&calls)[0].1["Records"][0];
        assert_eq!(record["body"], r#"{"sku":1}"#);
        assert_eq!(record["attributes"]["ApproximateReceiveCount"], "2");
        assert_eq!(Event::Item.split(&calls).len(), 3);
    }

    #[test]
    fn results_come_back_in_order_and_failures_go_before_them() {
        let calls = calls(2);
        let told = |answer| words(&Event::Items.verdicts(&calls, answer));
        assert_eq!(told(json!({ "results": [7, { "a": 1 }] })), ["done 7", r#"done {"a":1}"#]);
        assert_eq!(told(json!([7, 8])), ["done 7", "done 8"]);
        let failed = json!([{ "itemIdentifier": id(&calls[0]) }]);
        let both = json!({ "results": [null, 8], "batchItemFailures": failed });
        assert_eq!(told(both), ["later BatchItemFailure", "done 8"]);
        for nothing in [json!(null), json!({}), json!({ "batchItemFailures": null }), json!("fine")] {
            assert_eq!(told(nothing), ["done null", "done null"], "all succeeded, as AWS has it");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_understood_leaves_the_whole_batch_in_doubt() {
        let calls = calls(2);
        for (answer, why) in [
            (json!({ "results": [1] }), "1 results for 2 items"),
            (json!({ "results": 1 }), "no list"),
            (json!({ "batchItemFailures": {} }), "no list"),
            (json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }), "names '' as failed"),
            (json!({ "batchItemFailures": [{}] }), "no 'itemIdentifier'"),
        ] {
            for told in words(&Event::Records.verdicts(&calls, answer)) {
                assert!(told.starts_with("unclear: ") && told.contains(why), "{told}");
            }
        }
        let long = Value::from("x".repeat(RESULT_BYTES_MAX));
        let told = words(&[done(long)]);
        assert!(told[0].contains("has 2050 bytes, and at most 2048"), "{told:?}");
    }
}
