//! A small state machine.

use serde_json::{Value, json};

/// A machine of the form that `milepost compile` gives: two steps beside each other, then one, then the close.
pub(crate) fn definition(name: &str, heartbeat: u64) -> Value {
    let fault = r#"{ "name": $states.errorOutput.Error & "", "message": $states.errorOutput.Cause & "" }"#;
    let caught = format!("{{% $merge([$states.input, {{ \"fault\": {fault} }}]) %}}");
    let task = |act: &str, step: &str, next: Value| {
        let mut task = json!({
            "Type": "Task",
            "Resource": format!("arn:aws:states:us-east-1:000000000000:activity:{name}.{step}"),
            "Arguments": {
                "run": "{% $states.input.run %}", "epoch": "{% $states.input.epoch %}", "do": act, "step": step,
            },
            "HeartbeatSeconds": heartbeat,
            "Retry": [
                { "ErrorEquals": ["Milepost.Again"], "IntervalSeconds": 1, "MaxAttempts": 2 },
                {
                    "ErrorEquals": ["States.HeartbeatTimeout", "States.Timeout", "Milepost.Away"],
                    "IntervalSeconds": 1, "MaxAttempts": 50, "MaxDelaySeconds": 2,
                },
            ],
            "Output": format!(
                "{{% $merge([$states.input, {{ 'steps': $merge([$states.input.steps, {{ '{step}': $states.result.facts }}]) }}]) %}}"
            ),
        });
        task.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
        task
    };
    let branch = |step: &str| json!({ "StartAt": step, "States": { (step): task("step", step, json!({ "End": true })) } });
    let catch = json!([{ "ErrorEquals": ["States.ALL"], "Output": caught, "Next": "close" }]);
    let mut close = task("close", "close", json!({ "Next": "succeeded", "Output": "{% $states.input %}" }));
    close["Arguments"]["fault"] = json!("{% $exists($states.input.fault) ? $states.input.fault : null %}");
    close["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Output": caught, "Next": "failed" }]);
    json!({
        "QueryLanguage": "JSONata",
        "StartAt": "both",
        "States": {
            "both": {
                "Type": "Parallel", "Branches": [branch("left"), branch("right")], "Catch": catch, "Next": "after",
                "Output": "{% $merge([$states.input, { 'steps': $merge($states.result.steps) }]) %}",
            },
            "after": task("step", "after", json!({ "Catch": catch, "Next": "close" })),
            "close": close,
            "succeeded": { "Type": "Succeed" },
            "failed": {
                "Type": "Fail", "Error": "{% $states.input.fault.name %}", "Cause": "{% $states.input.fault.message %}",
            },
        },
    })
}
