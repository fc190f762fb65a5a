//! Queries of the PIM stand-in: one object, and listings.

use serde_json::{Map, Value, json};

use super::class::{self, Kind};
use super::graphql::Field;
use super::object::{Object, Objects};
use super::{Done, argument, check_arguments};

/// Validates a field of `Query`.
pub(super) fn validate(field: &Field) -> Result<(), String> {
    match field.name.as_str() {
        "getProduct" => {
            let known = [("id", "Int"), ("fullpath", "String"), ("defaultLanguage", "String")];
            check_arguments(field, "Query", &known)?;
            selects_object(&field.fields)
        }
        "getProductListing" => {
            let known = [
                ("ids", "String"),
                ("fullpaths", "String"),
                ("tags", "String"),
                ("defaultLanguage", "String"),
                ("first", "Int"),
                ("after", "Int"),
                ("sortBy", "[String]"),
                ("sortOrder", "[String]"),
                ("filter", "String"),
                ("published", "Boolean"),
            ];
            check_arguments(field, "Query", &known)?;
            selects_connection(&field.fields)
        }
        other => Err(format!("Cannot query field \"{other}\" on type \"Query\".")),
    }
}

fn selects_connection(fields: &[Field]) -> Result<(), String> {
    fields.iter().try_for_each(|field| match field.name.as_str() {
        "totalCount" => Ok(()),
        "edges" => field.fields.iter().try_for_each(|inner| match inner.name.as_str() {
            "cursor" => Ok(()),
            "node" => selects_object(&inner.fields),
            other => Err(format!("Cannot query field \"{other}\" on type \"ProductEdge\".")),
        }),
        other => Err(format!("Cannot query field \"{other}\" on type \"ProductConnection\".")),
    })
}

/// Validates what is asked of `object_Product`.
pub(super) fn selects_object(fields: &[Field]) -> Result<(), String> {
    fields.iter().try_for_each(|field| {
        let name = field.name.as_str();
        let kind = class::kind(name);
        let nested = matches!(kind, Some(Kind::Quantity | Kind::Reference | Kind::References));
        if !class::SYSTEM.contains(&name) && (kind.is_none() || kind == Some(Kind::Ignored)) {
            Err(format!("Cannot query field \"{name}\" on type \"object_Product\"."))
        } else if nested && field.fields.is_empty() {
            Err(format!("Field \"{name}\" must have a selection of subfields."))
        } else {
            Ok(())
        }
    })
}

/// `getProduct`. Finds drafts.
pub(super) fn one(objects: &Objects, field: &Field) -> Done {
    let id = argument(field, "id").and_then(Value::as_u64);
    let path = argument(field, "fullpath").and_then(Value::as_str);
    let found = match (id, path) {
        (Some(id), _) => objects.get(id).ok_or_else(|| format!("object with id:'{id}' not found")),
        (None, Some(path)) => {
            objects.at(path).ok_or_else(|| format!("object with fullpath:'{path}' not found"))
        }
        (None, None) => Err("either id or fullpath expected".to_owned()),
    };
    match found {
        Ok(object) => {
            Done { value: show(object, &field.fields), keys: vec![object.name()], ..Done::default() }
        }
        Err(message) => Done { error: Some(message), ..Done::default() },
    }
}

/// `getProductListing`. Hides drafts unless `published: false` is given.
pub(super) fn listing(objects: &Objects, field: &Field) -> Done {
    let filter = match argument(field, "filter").and_then(Value::as_str) {
        None => Map::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(filter)) => filter,
            _ => return Done { error: Some("unable to decode filter".to_owned()), ..Done::default() },
        },
    };
    let branches = match branches(filter) {
        Ok(branches) => branches,
        Err(message) => return Done { error: Some(message), ..Done::default() },
    };
    let drafts_too = argument(field, "published") == Some(&Value::Bool(false));
    let mut found: Vec<&Object> = Vec::new();
    for filter in &branches {
        let fits = |object: &&Object| (drafts_too || object.published) && matches(object, filter);
        // The SKU has an index; anything else is looked for one by one.
        match filter.get("sku").and_then(Value::as_str) {
            Some(sku) => found.extend(objects.with_sku(sku).into_iter().filter(fits)),
            None => found.extend(objects.iter().filter(fits)),
        }
    }
    found.sort_unstable_by_key(|object| object.id);
    found.dedup_by_key(|object| object.id);
    let skipped = argument(field, "after").and_then(Value::as_u64).unwrap_or(0);
    let most = argument(field, "first").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let page: Vec<&Object> = found.iter().copied().skip(number(skipped)).take(number(most)).collect();
    let mut value = Map::new();
    for asked in &field.fields {
        let answer = match asked.name.as_str() {
            "totalCount" => Value::from(found.len()),
            _ => page.iter().map(|object| edge(object, &asked.fields)).collect(),
        };
        value.insert(asked.alias.clone(), answer);
    }
    let asked = branches.iter().filter_map(|filter| filter.get("sku").and_then(Value::as_str));
    Done { value: Value::Object(value), keys: asked.map(ToOwned::to_owned).collect(), ..Done::default() }
}

/// The alternatives of a filter: one, or those of `$or`.
fn branches(filter: Map<String, Value>) -> Result<Vec<Map<String, Value>>, String> {
    let branches = match (filter.get("$or"), filter.len()) {
        (Some(Value::Array(branches)), 1) => {
            branches.iter().map(|branch| branch.as_object().cloned().unwrap_or_default()).collect()
        }
        _ => vec![filter],
    };
    let unknown = branches.iter().flatten().find(|(name, value)| name.starts_with('$') || value.is_object());
    match unknown {
        Some((_, value)) => Err(format!("the stand-in only filters by equality and '$or', not by {value}")),
        None => Ok(branches),
    }
}

fn edge(object: &Object, fields: &[Field]) -> Value {
    let mut edge = Map::new();
    for asked in fields {
        let answer = match asked.name.as_str() {
            "cursor" => Value::from(format!("object-{}", object.id)),
            _ => show(object, &asked.fields),
        };
        edge.insert(asked.alias.clone(), answer);
    }
    Value::Object(edge)
}

/// Texts are compared as the database's collation does: without case.
fn matches(object: &Object, filter: &Map<String, Value>) -> bool {
    filter.iter().all(|(name, wanted)| {
        let held = system(object, name).or_else(|| object.fields.get(name).cloned());
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
        text(&held.unwrap_or_default()) == text(wanted)
    })
}

/// What is asked of one object.
pub(super) fn show(object: &Object, fields: &[Field]) -> Value {
    let mut shown = Map::new();
    for asked in fields {
        let held = || object.fields.get(&asked.name).cloned().unwrap_or_default();
        let translated = || {
            let language = argument(asked, "language")?.as_str()?;
            let translations = object.fields.get(&format!("{}_translated", asked.name))?;
            translations.get(language).cloned()
        };
        let value = match (system(object, &asked.name), class::kind(&asked.name)) {
            (Some(value), _) => value,
            (None, Some(Kind::Quantity)) => quantity(&held(), &asked.fields),
            (None, _) => translated().unwrap_or_else(held),
        };
        shown.insert(asked.alias.clone(), value);
    }
    Value::Object(shown)
}

fn quantity(held: &Value, fields: &[Field]) -> Value {
    if held.is_null() {
        return Value::Null;
    }
    let unit = held.get("unit").or_else(|| held.get("unitId")).cloned().unwrap_or_default();
    let mut shown = Map::new();
    for asked in fields {
        let value = match asked.name.as_str() {
            "value" => held.get("value").cloned().unwrap_or_default(),
            "unit" => json!({ "id": unit, "abbreviation": unit, "longname": unit }),
            _ => Value::from(format!("{} {}", held["value"], unit.as_str().unwrap_or_default())),
        };
        shown.insert(asked.alias.clone(), value);
    }
    Value::Object(shown)
}

/// A system field. The id is a text, though arguments take a number.
fn system(object: &Object, name: &str) -> Option<Value> {
    Some(match name {
        "id" => Value::from(object.id.to_string()),
        "creationDate" => Value::from(object.created),
        "modificationDate" => Value::from(object.modified),
        "version" => Value::from(object.version),
        "objectType" => Value::from(if object.variant { "variant" } else { "object" }),
        "classname" => Value::from("Product"),
        "index" => Value::from(0),
        "key" => Value::from(object.key.as_str()),
        "fullpath" => Value::from(object.fullpath()),
        "published" => Value::from(object.published),
        _ => return None,
    })
}
