//! What is retried, how often, after which pauses.

use serde_json::{Value, json};

use crate::core::execution::{AGAIN, AWAY};
use crate::core::retry::{Jitter, Retry};
use crate::core::workflow::Step;

/// The errors by which a task tells that its engine is gone. A crash costs no attempt.
const GONE: [&str; 2] = ["States.HeartbeatTimeout", "States.Timeout"];
/// How often a task is ordered anew when the engine was gone, or away, in a graph that is not large.
const ANEW_MAX: usize = 100;
/// However large the graph is, an engine may be restarted so often during one step.
const ANEW_MIN: usize = 5;
/// Events of a history that being ordered anew may take, of the 25,000 that AWS allows.
const ANEW_EVENTS: usize = 20_000;
/// Each of them: scheduled, started, failed.
pub(super) const EVENTS_OF_ATTEMPT: usize = 3;
/// How the pauses before a task is ordered anew grow, and the longest one. While an engine is gone the order only
/// lies there and takes nothing of the history; when it is back, a pause is all that it waits for.
const GONE_PAUSES: (f64, u32) = (1.5, 15);
/// The same where an engine is there and says that it does not drive the run.
const AWAY_PAUSES: (f64, u32) = (2.0, 300);
/// AWS takes no longer pause, in seconds.
const PAUSE_SECS_MAX: u64 = 31_622_399;

/// How often each of so many tasks is ordered anew, for each of the two reasons.
pub(super) fn anew(tasks: usize) -> usize {
    (ANEW_EVENTS / (2 * EVENTS_OF_ATTEMPT * tasks.max(1))).clamp(ANEW_MIN, ANEW_MAX)
}

/// The retriers of a task; `own` is the policy whose attempts are tasks of their own.
pub(super) fn retriers(own: Option<&Step>, tasks: usize) -> Value {
    let anew = anew(tasks);
    let again = own.filter(|step| step.retry.attempts > 1).map(|step| attempts(&step.retry));
    let ordered_anew = |errors: &[&str], (rate, longest): (f64, u32)| {
        json!({
            "ErrorEquals": errors, "IntervalSeconds": 1, "MaxAttempts": anew,
            "BackoffRate": rate, "MaxDelaySeconds": longest,
        })
    };
    let others = [ordered_anew(&GONE, GONE_PAUSES), ordered_anew(&[AWAY], AWAY_PAUSES)];
    Value::Array(again.into_iter().chain(others).collect())
}

fn attempts(retry: &Retry) -> Value {
    let initial = seconds(retry.initial.as_millis());
    let mut made = json!({
        "ErrorEquals": [AGAIN], "IntervalSeconds": initial, "MaxAttempts": retry.attempts - 1,
        "BackoffRate": retry.factor.max(1.0),
    });
    let most = seconds(retry.max.as_millis());
    if most > initial {
        made["MaxDelaySeconds"] = json!(most);
    } else {
        // No pause is longer than the first one.
        made["BackoffRate"] = json!(1.0);
    }
    if retry.jitter == Jitter::Full {
        made["JitterStrategy"] = json!("FULL");
    }
    made
}

/// Whole seconds, rounded up; at least one: AWS knows no shorter pause.
fn seconds(millis: u128) -> u64 {
    u64::try_from(millis.div_ceil(1000)).unwrap_or(u64::MAX).clamp(1, PAUSE_SECS_MAX)
}

/// Whether the pauses of a policy are longer in Step Functions than they are written.
pub(super) fn is_rounded(retry: &Retry) -> bool {
    let whole = |millis: u128| millis > 0 && millis.is_multiple_of(1000);
    retry.attempts > 1 && !(whole(retry.initial.as_millis()) && whole(retry.max.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pauses_are_whole_seconds_and_never_shorter_than_written() {
        let made = |initial, max| {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(max));
            attempts(&Retry { attempts: 4, initial, max, ..Retry::default() })
        };
        let long = made(1500, 30_000);
        assert_eq!((&long["IntervalSeconds"], &long["MaxDelaySeconds"]), (&json!(2), &json!(30)));
        assert_eq!(long["MaxAttempts"], 3, "the first attempt is none of them");
        let short = made(10, 40);
        assert_eq!((&short["IntervalSeconds"], &short["BackoffRate"]), (&json!(1), &json!(1.0)));
        assert_eq!(short.get("MaxDelaySeconds"), None);
    }

    #[test]
    fn the_larger_the_graph_the_less_often_a_task_is_ordered_anew() {
        assert_eq!((anew(5), anew(100), anew(10_000)), (ANEW_MAX, 33, ANEW_MIN));
    }
}
