//! The idempotent upsert of one object, and the look whether it was done.

use serde_json::Value;

use super::client::{Found, Hub};
use super::verdict::Trouble;
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::retry::{Outcome, Probed};

/// Carries out one attempt; returns how many requests it took.
pub(super) async fn one(hub: &Hub, wanted: &Value) -> (Outcome, u64) {
    let mut sent = 0;
    let result = write(hub, wanted, &mut sent).await;
    (result.map_or_else(Trouble::outcome, Outcome::Done), sent)
}

async fn write(hub: &Hub, wanted: &Value, sent: &mut u64) -> Result<Facts, Trouble> {
    *sent += 2;
    let first = match hub.find(sku(wanted), &[]).await {
        Ok(Found::One(id, _)) => hub.update(id, wanted).await,
        Ok(Found::Nothing) => hub.create(wanted).await,
        Err(trouble) => {
            *sent -= 1;
            return Err(trouble);
        }
    };
    match first {
        // Somebody was faster, or the object went away in between: look once more. What is wrong
        // still after that, is wrong for this attempt.
        Err(Trouble::Conflict(fault)) => {
            let id = holder(hub, wanted, &fault, sent).await?;
            *sent += 1;
            hub.update(id, wanted).await
        }
        Err(Trouble::Stale(_)) => {
            *sent += 2;
            match hub.find(sku(wanted), &[]).await? {
                Found::One(id, _) => hub.update(id, wanted).await,
                Found::Nothing => hub.create(wanted).await,
            }
        }
        other => other,
    }
}

/// Who stands in the way of a create: the object with our SKU, wherever it is. An object with
/// another SKU at our path is a mistake that only people can mend.
async fn holder(hub: &Hub, wanted: &Value, conflict: &Fault, sent: &mut u64) -> Result<i64, Trouble> {
    *sent += 1;
    if let Found::One(id, _) = hub.find(sku(wanted), &[]).await? {
        return Ok(id);
    }
    *sent += 1;
    match hub.at_key(wanted["key"].as_str().unwrap_or_default()).await? {
        Found::One(id, node) if node["sku"] == wanted["sku"] => Ok(id),
        Found::One(_, node) => Err(Trouble::never(format!(
            "the key '{}' belongs to the object with SKU {}",
            wanted["key"].as_str().unwrap_or_default(),
            node["sku"],
        ))),
        Found::Nothing => Err(Trouble::Conflict(conflict.clone())),
    }
}

/// Looks whether an earlier attempt was carried out.
pub(super) async fn probe(hub: &Hub, wanted: &Value) -> Probed {
    let plain: Vec<&str> = wanted["input"]
        .as_object()
        .into_iter()
        .flatten()
        // Objects need a selection that only the site's schema tells; `sku` is asked for anyway.
        .filter(|(name, value)| !value.is_object() && !has_objects(value) && *name != "sku")
        .map(|(name, _)| name.as_str())
        .collect();
    let asked: Vec<&str> = plain.iter().copied().chain(["version", "modificationDate"]).collect();
    match hub.find(sku(wanted), &asked).await {
        Ok(Found::Nothing) => Probed::Absent,
        Ok(Found::One(id, node)) if plain.iter().all(|name| same(&node[*name], &wanted["input"][*name])) => {
            Probed::Done(Facts::from([
                ("id".to_owned(), Value::from(id.to_string())),
                ("version".to_owned(), node["version"].clone()),
                ("modified".to_owned(), node["modificationDate"].clone()),
                ("action".to_owned(), Value::from("found")),
            ]))
        }
        Ok(Found::One(..)) => Probed::Absent,
        Err(trouble) => Probed::Unknown(trouble.fault()),
    }
}

fn has_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|members| members.iter().any(Value::is_object))
}

/// 5 and 5.0 are the same number to a server that has only one kind; nothing and an empty text
/// are the same to one that stores no empty texts.
fn same(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Number(held), Value::Number(wanted)) => held.as_f64() == wanted.as_f64(),
        (Value::Null, Value::String(wanted)) => wanted.is_empty(),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (held, wanted) => held == wanted,
    }
}

fn sku(wanted: &Value) -> &str {
    wanted["sku"].as_str().unwrap_or_default()
}
