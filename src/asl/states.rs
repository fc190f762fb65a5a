//! The states of a machine.
//!
//! The data that goes from state to state is `{run, epoch, input, steps}`; besides `fault`, when the
//! executor itself gave a step up, and `end`, when the run was judged as failed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::conditions::Conditions;
use super::naming::{Activity, Naming, Serves, fitted};
use super::patience::retriers;
use super::shape::{Part, Shape};
use crate::core::catalog::Catalog;
use crate::core::workflow::{Step, Workflow};

/// The judgement of the run. No step can be called like the states here: their names have blanks, or `?`.
pub(super) const CLOSE: &str = "close the run";
const SUCCEEDED: &str = "run succeeded";
const FAILED: &str = "run failed";
/// An execution cannot be longer than a year.
const EXECUTION_SECS_MAX: u64 = 31_536_000;
/// The data as it is.
const SAME: &str = "{% $states.input %}";
/// The data, with what went wrong under a name.
const CAUGHT: &str = r#"{% $merge([$states.input, { "NAME": { "name": $states.errorOutput.Error & "", "message": $substring($states.errorOutput.Cause & "", 0, 600) } }]) %}"#;
/// The data of all branches: what each learned of its steps, and the first fault.
const JOINED: &str = r#"{% $merge([$states.input, { "steps": $merge($states.result.steps), "fault": ($states.result.fault)[0] }]) %}"#;
/// The data, with the facts of a step where it has returned some.
const LEARNED: &str = r#"{% $merge([$states.input, { "steps": $merge([$states.input.steps, $count($keys($states.result.facts)) > 0 ? { "NAME": $states.result.facts } : {}]) }]) %}"#;
/// What only the executor knows of why the run is closed; the engine knows what failed by itself.
const OWN_FAULT: &str =
    r#"{% $substring($states.input.fault.name, 0, 7) = "States." ? $states.input.fault : null %}"#;

/// What a machine is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) catalog: &'a Catalog,
    pub(super) naming: &'a Naming,
    pub(super) heartbeat: Duration,
    pub(super) shape: &'a Shape,
    pub(super) conditions: &'a Conditions,
}

/// A machine as it is written.
pub(super) struct Made {
    pub(super) definition: Value,
    pub(super) activities: Vec<Activity>,
}

/// Writes the machine.
pub(super) fn definition(parts: &Parts<'_>) -> Made {
    let workflow = parts.workflow;
    let mut writer = Writer {
        parts: *parts,
        tasks: workflow.steps.len() + workflow.on_failure.len() + 1,
        taken: BTreeSet::new(),
        activities: Vec::new(),
    };
    let mut states = Map::new();
    let start = writer.part(&parts.shape.part, CLOSE, CLOSE, &mut states);
    writer.closing(&mut states);
    let purpose = workflow.description.as_ref().map_or(String::new(), |text| format!(": {text}"));
    let comment = format!(
        "Milepost workflow '{}'{purpose}. Step Functions says which step begins; an engine does it, and keeps \
         what is done.",
        workflow.name
    );
    let mut definition = json!({ "Comment": comment, "QueryLanguage": "JSONata", "StartAt": start });
    if let Some(seconds) = execution_secs(workflow) {
        definition["TimeoutSeconds"] = json!(seconds);
    }
    definition["States"] = Value::Object(states);
    Made { definition, activities: writer.activities }
}

/// How long an execution may be open: `timeout` is the engine's, which knows of pauses; once the run can
/// no longer be resumed after that, nobody will ever answer.
pub(super) fn execution_secs(workflow: &Workflow) -> Option<u64> {
    let open = workflow.timeout?.saturating_add(workflow.resumable_for);
    Some(open.as_secs().clamp(1, EXECUTION_SECS_MAX))
}

/// What a task orders.
struct Order<'a> {
    /// `do`.
    what: &'a str,
    /// `step`, where it is about one.
    step: Option<&'a str>,
    serves: Serves,
    /// The step whose attempts are tasks of their own.
    attempts: Option<&'a Step>,
    comment: String,
}

struct Writer<'a> {
    parts: Parts<'a>,
    tasks: usize,
    /// The names of states so far.
    taken: BTreeSet<String>,
    activities: Vec<Activity>,
}

impl Writer<'_> {
    /// Writes a part, after which the machine goes on at `next`, and after a failure at `failed`; returns
    /// where it begins.
    fn part(&mut self, part: &Part, next: &str, failed: &str, states: &mut Map<String, Value>) -> String {
        match part {
            Part::Step(at) => self.step(*at, next, failed, states),
            Part::Parallel(branches) => self.parallel(branches, next, failed, states),
            Part::Sequence(parts) => {
                // Written from the first one to the last; each has to know where the next one begins.
                let begins: Vec<String> = parts.iter().map(|part| self.begin(part)).collect();
                for (at, part) in parts.iter().enumerate() {
                    let next = begins.get(at + 1).map_or(next, String::as_str);
                    self.part(part, next, failed, states);
                }
                begins.into_iter().next().unwrap_or_else(|| next.to_owned())
            }
        }
    }

    /// Where a part begins.
    fn begin(&self, part: &Part) -> String {
        match part {
            Part::Step(at) if self.parts.conditions.exported(*at).is_some() => self.helper(*at, "?"),
            Part::Step(at) => self.name(*at).to_owned(),
            Part::Parallel(branches) => self.together(branches),
            Part::Sequence(parts) => parts.first().map_or(String::new(), |first| self.begin(first)),
        }
    }

    fn name(&self, at: usize) -> &str {
        &self.parts.workflow.steps[at].name
    }

    fn helper(&self, at: usize, what: &str) -> String {
        fitted(&format!("{}{what}", self.name(at)))
    }

    /// What branches are called together: all their steps in the order of the file, so that no other
    /// branches are called so.
    fn together(&self, branches: &[Part]) -> String {
        let mut steps = Vec::new();
        for branch in branches {
            collect(branch, &mut steps);
        }
        let names: Vec<&str> = steps.iter().map(|at| self.name(*at)).collect();
        fitted(&format!("side by side: {}", names.join(", ")))
    }

    fn step(&mut self, at: usize, next: &str, failed: &str, states: &mut Map<String, Value>) -> String {
        let workflow = self.parts.workflow;
        let step = &workflow.steps[at];
        let begin = self.begin(&Part::Step(at));
        let summary = self.parts.catalog.step(&step.uses).map_or("", |known| known.summary);
        let (place, serves) = (self.parts.shape.places[at], Serves::Step(step.name.clone()));
        let per = if place.on_items { ", for every item" } else { "" };
        let order = Order {
            what: "step",
            step: Some(&step.name),
            serves,
            attempts: place.attempts_are_tasks().then_some(step),
            comment: format!("{}: {summary}{per}", step.uses),
        };
        let output = if self.parts.conditions.wants_facts(&step.name) {
            LEARNED.replace("\"NAME\"", &quoted(&step.name))
        } else {
            SAME.to_owned()
        };
        let condition = self.parts.conditions.exported(at);
        let skip = self.helper(at, " (skipped)");
        if let Some(text) = condition {
            let choice = json!({
                "Type": "Choice",
                "Comment": format!("when: {text}"),
                "Choices": [{ "Condition": format!("{{% $states.input.({text}) = false %}}"), "Next": skip }],
                "Default": step.name,
            });
            self.put(&begin, choice, states);
        }
        let task = self.task(order, &output, next, failed);
        self.put(&step.name, task, states);
        if condition.is_some() {
            let order = Order {
                what: "skip",
                step: Some(&step.name),
                serves: Serves::Step(step.name.clone()),
                attempts: None,
                comment: format!("'when' of '{}' is not met, which the engine records", step.name),
            };
            let task = self.task(order, SAME, next, failed);
            self.put(&skip, task, states);
        }
        begin
    }

    fn parallel(
        &mut self,
        branches: &[Part],
        next: &str,
        failed: &str,
        states: &mut Map<String, Value>,
    ) -> String {
        let name = self.together(branches);
        let mut written = Vec::with_capacity(branches.len());
        for branch in branches {
            let mut inner = Map::new();
            let first = self.begin(branch);
            let end = fitted(&format!("{} (end of the branch)", first.trim_end_matches('?')));
            let start = self.part(branch, &end, &end, &mut inner);
            let comment =
                "Where the branch ends, also after a failure: the engine knows what cannot go on then";
            self.put(&end, json!({ "Type": "Pass", "Comment": comment, "End": true }), &mut inner);
            written.push(json!({ "StartAt": start, "States": inner }));
        }
        let state = json!({
            "Type": "Parallel",
            "Comment": "Steps that do not need each other",
            "Branches": written,
            "Output": JOINED,
            "Catch": [caught("fault", failed)],
            "Next": next,
        });
        self.put(&name, state, states);
        name
    }

    /// The judgement, the steps of `on_failure`, the two ends.
    fn closing(&mut self, states: &mut Map<String, Value>) {
        let steps = &self.parts.workflow.on_failure;
        let first = steps.first().map_or(FAILED.to_owned(), |step| step.name.clone());
        let order = Order {
            what: "close",
            step: None,
            serves: Serves::Close,
            attempts: None,
            comment: "The engine judges the run: dead letters against 'tolerate', doubts, failed steps"
                .to_owned(),
        };
        let mut close = self.task(order, SAME, SUCCEEDED, &first);
        close["Arguments"]["fault"] = json!(OWN_FAULT);
        close["Catch"] = json!([caught("end", &first)]);
        self.put(CLOSE, close, states);
        self.put(SUCCEEDED, json!({ "Type": "Succeed" }), states);
        for (at, step) in steps.iter().enumerate() {
            let order = Order {
                what: "closing",
                step: Some(&step.name),
                serves: Serves::Closing(at),
                attempts: Some(step),
                comment: format!("{}, because the run has failed", step.uses),
            };
            let next = steps.get(at + 1).map_or(FAILED, |next| next.name.as_str());
            let mut task = self.task(order, SAME, next, next);
            // One that fails does not silence those after it, and changes nothing of how the run ended.
            task["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Output": SAME, "Next": next }]);
            self.put(&step.name, task, states);
        }
        let comment = "The run ends with the error name that the engine judged it by";
        let (name, message) = ("{% $states.input.end.name %}", "{% $states.input.end.message %}");
        let failed = json!({ "Type": "Fail", "Comment": comment, "Error": name, "Cause": message });
        self.put(FAILED, failed, states);
    }

    fn task(&mut self, order: Order<'_>, output: &str, next: &str, failed: &str) -> Value {
        let activity = self.parts.naming.activity(&self.parts.workflow.name, order.serves);
        let arn = activity.arn.clone();
        if !self.activities.contains(&activity) {
            self.activities.push(activity);
        }
        let mut arguments = json!({
            "run": "{% $states.input.run %}", "epoch": "{% $states.input.epoch %}", "do": order.what,
        });
        if let Some(step) = order.step {
            arguments["step"] = json!(step);
        }
        json!({
            "Type": "Task",
            "Comment": order.comment,
            "Resource": arn,
            "Arguments": arguments,
            "HeartbeatSeconds": self.parts.heartbeat.as_secs().max(1),
            "Retry": retriers(order.attempts, self.tasks),
            "Catch": [caught("fault", failed)],
            "Output": output,
            "Next": next,
        })
    }

    fn put(&mut self, name: &str, state: Value, states: &mut Map<String, Value>) {
        let fresh = self.taken.insert(name.to_owned());
        debug_assert!(fresh, "two states are called {name}");
        states.insert(name.to_owned(), state);
    }
}

fn caught(under: &str, next: &str) -> Value {
    let output = CAUGHT.replace("\"NAME\"", &quoted(under));
    json!({ "ErrorEquals": ["States.ALL"], "Output": output, "Next": next })
}

/// A name as a text of JSONata.
fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

fn collect(part: &Part, steps: &mut Vec<usize>) {
    match part {
        Part::Step(at) => steps.push(*at),
        Part::Sequence(parts) | Part::Parallel(parts) => {
            for part in parts {
                collect(part, steps);
            }
        }
    }
}
