//! Alerts on a real bus: a rule finds them by what they say, and repeats by their ID.

use std::fs;

use serde_json::{Value, json};

use crate::aws::{Aws, environment, unique};
use crate::site::Site;

const WORKFLOW: &str = "workflows/told.yaml";
/// Seconds that a message may take to arrive on a busy machine.
const ARRIVES: i32 = 20;

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_rule_chooses_alerts_by_their_type_and_a_bus_without_a_rule_takes_them_all_the_same() {
    let aws = Aws::shared();
    let wiring = aws.wiring("NothingOfOurs", 60, 3);
    let queue = aws.queue(&unique("alerts"), &[]);
    aws.rule(
        &wiring.bus,
        &json!({ "detail-type": ["RunAlert"], "detail": { "data": { "type": ["run.failed"] } } }),
        &queue,
    );
    let mut site = Site::new();
    site.env.extend(environment(aws.endpoint()));
    let text = format!(
        "workflow: told
connections: {{ bus: {{ use: aws, event_bus: {} }} }}
alerts: [{{ on: [failed, alert], to: bus }}]
steps:
  say: {{ uses: alert, with: {{ message: the doors are open }} }}
  break: {{ needs: [say], uses: fail, with: {{ message: the shelf fell over }} }}
",
        wiring.bus
    );
    fs::write(site.path(WORKFLOW), text).unwrap();
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let run = told.stdout.lines().next().unwrap();
    let bodies = aws.take(&queue, ARRIVES);
    let events: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(events.len(), 1, "the other one is not what the rule wants: {events:#?}");
    let (event, data) = (&events[0], &events[0]["detail"]["data"]["data"]);
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("milepost"), &json!("RunAlert")));
    assert_eq!((&data["run"], &data["status"]), (&json!(run), &json!("failed")));
    let delivered: Vec<Value> = site
        .json(&["events", run, "--json"])
        .into_iter()
        .filter(|event| event["kind"] == "delivered")
        .collect();
    assert_eq!(delivered.len(), 2, "{delivered:#?}");
    let id = event["detail"]["milepost"]["event_id"].as_str().unwrap().replace('-', "");
    assert!(delivered.iter().any(|it| it["message_id"] == format!("msg_{id}")), "{delivered:#?}");
}
