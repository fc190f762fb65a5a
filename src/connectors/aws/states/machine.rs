//! The state machine of a workflow, and the activities that it orders from. Whoever compiled it knows neither account
//! nor region, so it comes without them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

/// What stands before the name of an activity in its ARN.
const ACTIVITY: &str = ":activity:";

/// A definition, and what is read from it.
pub(super) struct Machine {
    /// It says which definition it is.
    pub(super) name: String,
    pub(super) definition: Value,
}

impl Machine {
    /// The names of the activities that it orders from.
    pub(super) fn activities(&self) -> BTreeSet<String> {
        tasks(&self.definition).into_iter().filter_map(activity).map(str::to_owned).collect()
    }

    /// How long an order lives without a sign of life: the shortest time that any of its Tasks says.
    pub(super) fn heartbeat(&self) -> Option<Duration> {
        let seconds =
            tasks(&self.definition).into_iter().filter_map(|task| task["HeartbeatSeconds"].as_u64());
        seconds.min().map(Duration::from_secs)
    }

    /// The definition with the activities where they are.
    pub(super) fn placed(&self, arns: &BTreeMap<String, String>) -> String {
        let mut definition = self.definition.clone();
        place(&mut definition, arns);
        definition.to_string()
    }
}

/// The ARN of something else beside an activity.
pub(super) fn beside(activity: &str, kind: &str, name: &str) -> String {
    let place = activity.split_once(ACTIVITY).map_or(activity, |(place, _)| place);
    format!("{place}:{kind}:{name}")
}

/// Every Task of a machine, also those in branches.
fn tasks(machine: &Value) -> Vec<&Value> {
    let states = machine["States"].as_object().into_iter().flat_map(|states| states.values());
    let mut tasks = Vec::new();
    for state in states {
        if state["Type"] == "Task" {
            tasks.push(state);
        }
        tasks.extend(state["Branches"].as_array().into_iter().flatten().flat_map(tasks_of));
    }
    tasks
}

fn tasks_of(branch: &Value) -> Vec<&Value> {
    tasks(branch)
}

/// The name of the activity of a Task.
fn activity(task: &Value) -> Option<&str> {
    task["Resource"].as_str()?.split_once(ACTIVITY).map(|(_, name)| name)
}

fn place(machine: &mut Value, arns: &BTreeMap<String, String>) {
    let states = machine.get_mut("States").and_then(Value::as_object_mut);
    for (_, state) in states.into_iter().flatten() {
        if let Some(arn) = activity(state).and_then(|name| arns.get(name)) {
            state["Resource"] = Value::from(arn.as_str());
        }
        let branches = state.get_mut("Branches").and_then(Value::as_array_mut);
        branches.into_iter().flatten().for_each(|branch| place(branch, arns));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Value {
        let task = |name: &str, heartbeat: u64| json!({ "Type": "Task", "Resource": format!("arn:aws:states:R:A:activity:{name}"), "HeartbeatSeconds": heartbeat });
        json!({
            "StartAt": "both",
            "States": {
                "both": { "Type": "Parallel", "Branches": [
                    { "States": { "a": task("m-a", 60), "a?": { "Type": "Choice" } } },
                    { "States": { "deep": { "Type": "Parallel", "Branches": [{ "States": { "b": task("m-b", 30) } }] } } },
                ] },
                "close": task("m-close", 90),
                "again": task("m-close", 90),
            },
        })
    }

    #[test]
    fn activities_are_found_and_placed_wherever_they_are() {
        let machine = Machine { name: "m".to_owned(), definition: definition() };
        assert_eq!(machine.activities(), ["m-a", "m-b", "m-close"].map(str::to_owned).into());
        assert_eq!(machine.heartbeat(), Some(Duration::from_secs(30)));
        let arns = machine
            .activities()
            .into_iter()
            .map(|name| (name.clone(), format!("arn:aws:states:eu:7:activity:{name}")));
        let placed: Value = serde_json::from_str(&machine.placed(&arns.collect())).unwrap();
        let expected = definition().to_string().replace(":states:R:A:", ":states:eu:7:");
        assert_eq!(placed, serde_json::from_str::<Value>(&expected).unwrap());
        assert_eq!(
            beside("arn:aws:states:eu:7:activity:m-a", "execution", "m:run-1"),
            "arn:aws:states:eu:7:execution:m:run-1"
        );
    }
}
