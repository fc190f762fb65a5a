//! `milepost signal`: telling items that wait, beside a running engine and while nobody runs.

use std::fs;

use serde_json::Value;

use super::Site;

const FILE: &str = "workflows/wait.yaml";
/// Nobody is asked: signals alone count.
const WORKFLOW: &str = "workflow: wait
connections: { files: { use: local } }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: three.json, schema: three.schema.json, item_key: \"${{ item.id }}\" }
  word:
    needs: [read]
    uses: signal.wait
    with: { signal: go, key: \"${{ item.group }}\" }
  went:
    needs: [word]
    uses: alert
    with: { message: went on }
";
const ITEMS: &str = r#"[{"id":"a","group":"A"},{"id":"b","group":"B"},{"id":"c","group":"A"}]"#;

fn prepared() -> Site {
    let site = Site::new();
    fs::write(site.path(FILE), WORKFLOW).unwrap();
    fs::write(site.path("workflows/three.json"), ITEMS).unwrap();
    fs::write(site.path("workflows/three.schema.json"), r#"{"type":"object"}"#).unwrap();
    site
}

fn count(site: &Site, run: &str, status: &str) -> u64 {
    let shown: Value = site.json(&["show", run, "--json"]).remove(0);
    shown["items"][status].as_u64().unwrap_or(0)
}

fn until(site: &Site, run: &str, status: &str, items: u64) {
    let found = (0..300).any(|_| count(site, run, status) == items);
    assert!(found, "{items} items never were {status}");
}

#[test]
fn items_without_anybody_to_ask_wait_until_they_are_told_whoever_runs_then() {
    let site = prepared();
    let working = site.start(&["run", FILE]);
    let run = working.run.clone();
    until(&site, &run, "waiting", 3);
    let items = site.milepost(&["items", &run]).stdout;
    assert!(items.contains("waits for go A until") && items.contains("waits for go B until"), "{items}");
    let told = site.json(&["signal", "go", "--key", "A", "--id", "1", "--json"]).remove(0);
    assert_eq!((&told["woke"], &told["known"]), (&2.into(), &false.into()));
    until(&site, &run, "succeeded", 2);
    let again = site.json(&["signal", "go", "--key", "A", "--id", "1", "--json"]).remove(0);
    assert_eq!((&again["woke"], &again["known"]), (&2.into(), &true.into()));
    working.signal("KILL");
    working.wait();
    let told = site.json(&["signal", "go", "--key", "B", "--json"]).remove(0);
    assert_eq!(told["woke"], 1, "nobody runs, and it is durable all the same");
    let resumed = site.milepost(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(count(&site, &run, "succeeded"), 3);
    let listed = site.json(&["signal", "--list", "--json"]).remove(0);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}
