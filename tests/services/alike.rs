//! What two runs of one workflow have in common, whoever drove them: how they ended, how every item stands and
//! why, what is known of every effect, and what the outside holds afterwards. Left out is what is of one run
//! only: IDs, times, how its calls were put together.

use std::collections::BTreeMap;

use milepost::connectors::sandbox::Entry;
use serde_json::{Map, Value, json};

use crate::site::Site;
use crate::site::outside::Outside;

/// How a run ended, item by item and step by step.
#[derive(Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) status: Value,
    /// The name of the error with which the run failed.
    pub(crate) error: Value,
    pub(crate) steps: BTreeMap<String, Value>,
    pub(crate) items: BTreeMap<String, Value>,
    pub(crate) effects: BTreeMap<(String, String), Value>,
}

impl Picture {
    /// Of the last run of a site.
    pub(crate) fn of(site: &Site) -> Self {
        let shown = site.json(&["show", "@latest", "--json"]).remove(0);
        let run = text(&shown["run"]);
        let said = |value: Value| serde_json::from_str(&value.to_string().replace(&run, "RUN")).unwrap();
        let steps = shown["steps"].as_array().unwrap().iter().map(|step| {
            let seen = json!({
                "status": step["status"], "items": step["items"], "blocked": step["blocked"],
                "attempts": step["attempts"], "accepted": step["accepted"], "refused": step["refused"],
            });
            (text(&step["step"]), said(seen))
        });
        let items = lines(site, &["items", "@latest", "--json", "--limit", "100000"]).into_iter().map(|item| {
            let seen = json!({
                "status": item["status"], "reason": item["reason"], "step": item["step"],
                "attempts": item["attempts"], "error": item["error"]["name"], "facts": lasting(&item["facts"]),
            });
            (text(&item["item"]), said(seen))
        });
        let effects = lines(site, &["effects", "@latest", "--json", "--limit", "100000"]).into_iter().map(|effect| {
            let seen = json!({
                "effect": effect["effect"], "attempt": effect["attempt"], "error": effect["error"]["name"],
                "facts": lasting(&effect["facts"]),
            });
            ((text(&effect["step"]), text(&effect["item"])), said(seen))
        });
        Self {
            status: shown["status"].clone(),
            error: shown["error"]["name"].clone(),
            steps: steps.collect(),
            items: items.collect(),
            effects: effects.collect(),
        }
    }

    /// Every difference to another one, in words.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if (&self.status, &self.error) != (&other.status, &other.error) {
            found.push(format!("run: {} {} / {} {}", self.status, self.error, other.status, other.error));
        }
        compare("step", &self.steps, &other.steps, &mut found);
        compare("item", &self.items, &other.items, &mut found);
        compare("effect", &self.effects, &other.effects, &mut found);
        found
    }
}

fn compare<K: Ord + std::fmt::Debug>(
    what: &str,
    left: &BTreeMap<K, Value>,
    right: &BTreeMap<K, Value>,
    found: &mut Vec<String>,
) {
    for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(key))) {
        if left.get(key) != right.get(key) {
            found.push(format!("{what} {key:?}: {:?} / {:?}", left.get(key), right.get(key)));
        }
    }
}

/// A list that may be empty.
fn lines(site: &Site, line: &[&str]) -> Vec<Value> {
    let told = site.milepost(line);
    assert_eq!(told.code, Some(0), "{line:?}: {told:?}");
    told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Facts without what is another one in every run: IDs and times that the other side gave.
fn lasting(facts: &Value) -> Value {
    const OF_ONE_RUN: [&str; 7] = ["id", "event_id", "modified", "version", "at", "digest", "queues"];
    match facts {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !OF_ONE_RUN.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), lasting(value))).collect())
        }
        other => other.clone(),
    }
}

/// What the PIM and the shop hold, by the key of each object: IDs that they gave are replaced by the name of what
/// they stand for, times and versions are left out.
pub(crate) fn contents(outside: &Outside) -> [BTreeMap<String, Value>; 2] {
    let (pim, shop) = outside.calls();
    [pim, shop].map(|calls| {
        let put: Vec<Map<String, Value>> = calls.iter().flat_map(puts).collect();
        let names: BTreeMap<String, String> = put.iter().filter_map(named).collect();
        put.iter().map(|object| (key(object), normal(&Value::Object(object.clone()), &names))).collect()
    })
}

fn puts(entry: &Entry) -> Vec<Map<String, Value>> {
    entry.changes.iter().filter_map(|change| change["put"].as_object().cloned()).collect()
}

fn key(object: &Map<String, Value>) -> String {
    let of = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    ["external_id", "key", "handle", "name", "title", "value"].into_iter().find_map(of).unwrap_or_default()
}

fn named(object: &Map<String, Value>) -> Option<(String, String)> {
    Some((object.get("id")?.as_str()?.to_owned(), key(object)))
}

fn normal(value: &Value, names: &BTreeMap<String, String>) -> Value {
    const CHANGING: [&str; 7] =
        ["created", "modified", "version", "created_at", "updated_at", "at", "published_at"];
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !CHANGING.contains(&name.as_str()));
            let kept = kept.filter(|(name, value)| {
                name.as_str() != "id" || value.as_str().is_some_and(|id| names.contains_key(id))
            });
            Value::Object(kept.map(|(name, value)| (name.clone(), normal(value, names))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| normal(value, names)).collect()),
        Value::String(text) => Value::String(names.get(text).unwrap_or(text).clone()),
        other => other.clone(),
    }
}
