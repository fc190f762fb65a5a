//! The fields that scripts rely on.

use serde_json::Value;

use super::{SAMPLE, Site, WORKFLOW, held};

fn has(value: &Value, fields: &[&str]) {
    let object = value.as_object().unwrap();
    let missing: Vec<_> = fields.iter().filter(|field| !object.contains_key(**field)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {value}");
}

#[test]
fn every_read_has_its_stable_fields() {
    let site = Site::new();
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));

    let list = site.json(&["list", "--json"]).remove(0);
    has(&list[0], &["run", "workflow", "status", "started_at", "ended_at"]);

    let show = site.json(&["show", "@latest", "--json"]).remove(0);
    has(&show, &["run", "workflow", "status", "started_at", "ended_at", "items", "steps"]);
    let counted = |items: &Value| {
        let counts = items.as_object().unwrap().iter().filter(|(name, _)| *name != "total");
        counts.map(|(_, count)| count.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(counted(&show["items"]), SAMPLE[0], "counts sum to the total");
    for step in show["steps"].as_array().unwrap() {
        has(step, &["step", "status", "items", "attempts", "batches", "calls", "accepted", "refused"]);
        assert_eq!(Value::from(counted(&step["items"])), step["items"]["total"], "{step}");
    }

    let items = site.json(&["items", "@latest", "--json"]);
    assert_eq!(items.len() as u64, SAMPLE[0]);
    for item in &items {
        has(item, &["item", "status", "reason", "step", "attempts", "error", "facts"]);
    }
    let dead = site.json(&["items", "@latest", "--json", "--status", "dead_lettered"]);
    assert_eq!(dead.len() as u64, SAMPLE[2]);
    assert_eq!(dead[0]["reason"], "InvalidRecord");
    let one = site.json(&["items", "@latest", "--json", "--item", "31000009"]).remove(0);
    has(&one["facts"], &["publish", "consume", "pim", "medusa"]);

    let events = site.json(&["events", "@latest", "--json"]);
    for event in &events {
        has(event, &["event", "at", "kind"]);
    }
    assert_eq!(events.last().unwrap()["status"], "succeeded");

    let held = held(&site);
    for system in ["pim", "shop"] {
        has(&held[system], &["products", "writes"]);
    }
}
