//! The category tree of the shop stand-in: who stands under whom, and in which order.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Refusal;
use super::shelf::text;

/// Puts a new category at the end of its siblings, hidden unless it says otherwise.
pub(super) fn placed(entries: &BTreeMap<String, Value>, category: &mut Value) -> Result<(), Refusal> {
    let parent = category.get("parent_category_id").cloned().unwrap_or_default();
    if let Some(id) = parent.as_str()
        && !entries.contains_key(id)
    {
        // As the real one: a 500 that says what it is.
        let message = format!("Parent category with id: '{id}' does not exist");
        return Err(Refusal { status: 500, kind: "invalid_argument", message });
    }
    category["rank"] = json!(siblings(entries, &parent).len());
    if category.get("is_active").is_none() {
        category["is_active"] = Value::Bool(false);
    }
    category["parent_category_id"] = parent;
    Ok(())
}

/// Moves a category among its siblings, and those between by one. Returns whose rank changed.
pub(super) fn reranked(
    entries: &mut BTreeMap<String, Value>,
    id: &str,
    wanted: u64,
) -> Result<Vec<String>, Refusal> {
    let Some(category) = entries.get(id).filter(|entry| entry.get("rank").is_some()) else {
        return Err(Refusal::not_found(format!("ProductCategory with id: {id} was not found")));
    };
    let (parent, from) = (category["parent_category_id"].clone(), rank(category));
    let others = siblings(entries, &parent);
    let to = wanted.min(others.len().saturating_sub(1) as u64);
    let mut touched = Vec::new();
    for other in others {
        let Some(entry) = entries.get_mut(&other) else { continue };
        let before = rank(entry);
        let after = match before {
            _ if other == id => to,
            before if from < before && before <= to => before - 1,
            before if to <= before && before < from => before + 1,
            before => before,
        };
        if after != before {
            entry["rank"] = json!(after);
            touched.push(other);
        }
    }
    Ok(touched)
}

fn siblings(entries: &BTreeMap<String, Value>, parent: &Value) -> Vec<String> {
    let of_parent = |entry: &&Value| {
        entry.get("rank").is_some() && entry.get("parent_category_id").unwrap_or(&Value::Null) == parent
    };
    entries.values().filter(of_parent).map(|entry| text(entry, "id").to_owned()).collect()
}

fn rank(category: &Value) -> u64 {
    category["rank"].as_u64().unwrap_or(0)
}
