//! How much of AWS's limits an execution takes, told before it is begun.

use serde_json::Value;

use super::conditions::Conditions;
use super::patience::{self, EVENTS_OF_ATTEMPT};
use super::shape::{Part, Shape};
use crate::core::workflow::Workflow;

/// What a state may be given, or give, in bytes.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Entries of the history of one execution.
const EVENTS_MAX: usize = 25_000;
/// What a value is taken for whose size is not known before the run, in bytes.
const ASSUMED_BYTES: usize = 1024;
/// Run, epoch and the names of the four parts.
const FRAME_BYTES: usize = 96;
/// Name and message of a fault, twice: of the executor, and of the judgement.
const FAULT_BYTES: usize = 2 * 700;
/// Of a task: entered, scheduled, started, succeeded, exited.
const TASK_EVENTS: usize = 5;
/// Of a Choice, a Pass or the end: entered, exited.
const STATE_EVENTS: usize = 2;
/// Of a Parallel: entered, started, succeeded, exited.
const PARALLEL_EVENTS: usize = 4;
/// Of the execution: started, ended.
const EXECUTION_EVENTS: usize = 2;

/// What an execution takes of what AWS allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes of data.
    pub payload: Sizes,
    /// Bytes of the definition.
    pub definition_bytes: usize,
    /// Entries of the history when nothing fails.
    pub events: usize,
    /// The same when everything is retried as often as it may be, and the run fails.
    pub events_most: usize,
    /// How many entries AWS allows.
    pub events_max: usize,
    /// States entered when nothing fails: what AWS charges for.
    pub transitions: usize,
    /// The same with the most retries.
    pub transitions_most: usize,
}

/// Bytes of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the execution's input.
    pub input: usize,
    /// Of the largest data that a state is given or gives.
    pub largest: usize,
    /// What AWS allows for one.
    pub most: usize,
    /// Values in there whose size is not known before the run.
    pub unknown: usize,
    /// What each of them was taken for.
    pub assumed: usize,
}

impl Forecast {
    /// Whether an execution stays within the limits, whatever fails.
    pub fn fits(&self) -> bool {
        self.payload.largest <= self.payload.most && self.events_most <= self.events_max
    }
}

/// The forecast for a workflow.
pub(super) fn of(
    workflow: &Workflow,
    shape: &Shape,
    conditions: &Conditions,
    definition_bytes: usize,
) -> Forecast {
    let count = Count::of(&shape.part, conditions);
    let closing = workflow.on_failure.len();
    let tasks = workflow.steps.len() + closing + 1;
    let own = |step: &crate::core::workflow::Step| step.retry.attempts.saturating_sub(1) as usize;
    let on_run = workflow.steps.iter().enumerate().filter(|(at, _)| shape.places[*at].attempts_are_tasks());
    let again: usize =
        on_run.map(|(_, step)| own(step)).sum::<usize>() + workflow.on_failure.iter().map(own).sum::<usize>();
    let retries = again + 2 * patience::anew(tasks) * tasks;
    // Nothing fails: the judgement and the end. The run fails: the steps of 'on_failure' besides.
    let events = EXECUTION_EVENTS + count.events + TASK_EVENTS + STATE_EVENTS;
    let transitions = count.states + 2;
    Forecast {
        payload: payload(workflow, conditions, count.widest),
        definition_bytes,
        events,
        events_most: events + closing * TASK_EVENTS + retries * EVENTS_OF_ATTEMPT,
        events_max: EVENTS_MAX,
        transitions,
        transitions_most: transitions + closing + retries,
    }
}

fn payload(workflow: &Workflow, conditions: &Conditions, widest: usize) -> Sizes {
    let all = workflow
        .input
        .iter()
        .map(|(name, input)| (name.clone(), input.default.clone().unwrap_or(Value::Null)));
    let seen = conditions.input(&Value::Object(all.collect()));
    let without = |name: &str| workflow.input.get(name).is_some_and(|input| input.default.is_none());
    let unknown = seen.as_object().map_or(0, |seen| seen.keys().filter(|name| without(name)).count());
    let input = FRAME_BYTES + seen.to_string().len() + unknown * ASSUMED_BYTES;
    let facts = conditions.facts_wanted();
    let data = input + facts * ASSUMED_BYTES + FAULT_BYTES;
    Sizes {
        input,
        // A Parallel is given what all its branches end with.
        largest: data * widest,
        most: PAYLOAD_BYTES_MAX,
        unknown: unknown + facts,
        assumed: ASSUMED_BYTES,
    }
}

/// What a part comes to when nothing fails.
struct Count {
    events: usize,
    states: usize,
    /// The most branches of one Parallel; at least 1.
    widest: usize,
}

impl Count {
    fn of(part: &Part, conditions: &Conditions) -> Self {
        match part {
            Part::Step(at) => {
                let choices = usize::from(conditions.exported(*at).is_some());
                Self { events: TASK_EVENTS + choices * STATE_EVENTS, states: 1 + choices, widest: 1 }
            }
            Part::Sequence(parts) => Self::sum(parts, conditions),
            Part::Parallel(branches) => {
                let inner = Self::sum(branches, conditions);
                Self {
                    events: inner.events + PARALLEL_EVENTS + branches.len() * STATE_EVENTS,
                    states: inner.states + 1 + branches.len(),
                    widest: inner.widest.max(branches.len()),
                }
            }
        }
    }

    fn sum(parts: &[Part], conditions: &Conditions) -> Self {
        parts.iter().map(|part| Self::of(part, conditions)).fold(
            Self { events: 0, states: 0, widest: 1 },
            |sum, one| Self {
                events: sum.events + one.events,
                states: sum.states + one.states,
                widest: sum.widest.max(one.widest),
            },
        )
    }
}
