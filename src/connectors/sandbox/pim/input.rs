//! The input of a mutation, written into an object field by field.

use serde_json::{Map, Value, json};

use super::class::{self, Kind};
use super::graphql::Field;
use super::object::{Object, valid_key};
use super::profile::iso;
use super::{argument, site};

/// Sets what the input names, and nothing else. Localized fields are set in `language`.
///
/// The error is the message of the mutation. For an image that is not there it is that of a
/// relation: what Data Hub says to that is not known.
pub(super) fn fill(object: &mut Object, field: &Field, language: &str) -> Result<(), String> {
    for (name, value) in argument(field, "input").and_then(Value::as_object).into_iter().flatten() {
        let Some(kind) = class::kind(name) else { continue };
        match (kind, value) {
            (Kind::Column(_), value) if name == "published" => object.published = value == &Value::Bool(true),
            (Kind::Column(_), value) => object.key = valid_key(value.as_str().unwrap_or_default()),
            (Kind::Tags, _) => {}
            (Kind::Localized, value) => object.set_text(name, language, value.clone()),
            (Kind::Collector(of), value) => {
                for (language, text) in value.as_object().into_iter().flatten() {
                    object.set_text(of, language, text.clone());
                }
            }
            (_, Value::Null) => {
                object.fields.remove(name);
            }
            (kind, value) => {
                let stored = stored(object, name, kind, value)?;
                object.fields.insert(name.clone(), stored);
            }
        }
    }
    Ok(())
}

fn stored(object: &Object, name: &str, kind: Kind, value: &Value) -> Result<Value, String> {
    Ok(match kind {
        Kind::Date => date(value.as_str().unwrap_or_default()),
        Kind::Image => Value::from(image(value)?),
        Kind::Relation => Value::from(category(value)?),
        Kind::Relations => listed(value).map(category).collect::<Result<Vec<_>, _>>()?.into(),
        Kind::Gallery => {
            let given = value.get("images").into_iter().flat_map(listed).map(image);
            let given = given.collect::<Result<Vec<_>, _>>()?;
            let replaces = value.get("replace") == Some(&Value::Bool(true));
            let held = object.fields.get(name).filter(|_| !replaces);
            let held = held.and_then(Value::as_array).into_iter().flatten().cloned();
            held.chain(given.into_iter().map(Value::from)).collect()
        }
        _ => value.clone(),
    })
}

/// One value stands for a list of one.
fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    let many = value.as_array().map(Vec::as_slice);
    many.unwrap_or_else(|| std::slice::from_ref(value)).iter()
}

fn image(value: &Value) -> Result<u64, String> {
    site::image(value.get("id").and_then(Value::as_u64), None).ok_or_else(|| not_found(value))
}

fn category(value: &Value) -> Result<u64, String> {
    let path = value.get("fullpath").and_then(Value::as_str);
    let is_object = value.get("type").and_then(Value::as_str).is_none_or(|of| of == "object");
    let found = site::category(value.get("id").and_then(Value::as_u64), path);
    found.filter(|_| is_object).ok_or_else(|| not_found(value))
}

fn not_found(wanted: &Value) -> String {
    let empty = Map::new();
    let wanted = wanted.as_object().unwrap_or(&empty);
    let text = |name: &str| match wanted.get(name) {
        Some(Value::String(text)) => text.clone(),
        other => other.unwrap_or(&json!("")).to_string().trim_matches('"').to_owned(),
    };
    format!("Element with id {} or fullpath {} not found", text("id"), text("fullpath"))
}

/// A date as it is shown: as time of day in UTC, whether it was written as one or in seconds.
fn date(written: &str) -> Value {
    let seconds = written.parse::<u64>().ok();
    let date = || written.parse::<jiff::civil::Date>().ok();
    Value::from(match (seconds, date()) {
        (Some(seconds), _) => iso(seconds),
        (None, Some(date)) => format!("{date}T00:00:00Z"),
        (None, None) => written.to_owned(),
    })
}
