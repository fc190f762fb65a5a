//! The filter of a listing: a JSON document in a text, with Data Hub's operators.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// What a text of the filter says, if it can be read. The error is the text of a GraphQL error.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(filter)) => Ok(filter),
        _ => Err("unable to decode filter".to_owned()),
    }
}

/// Whether an object fits; `held` gives the value of one of its columns.
pub(super) fn fits(filter: &Map<String, Value>, held: &dyn Fn(&str) -> Value) -> bool {
    filter.iter().all(|(name, wanted)| match name.as_str() {
        "$and" => all(wanted).all(|one| fits(one, held)),
        "$or" => all(wanted).any(|one| fits(one, held)),
        column => of_column(&held(column), wanted),
    })
}

/// The SKUs of which each object that fits has one, as far as the filter names them: by itself, or as
/// alternatives.
pub(super) fn skus(filter: &Map<String, Value>) -> Option<Vec<String>> {
    let sku = |filter: &Map<String, Value>| filter.get("sku").and_then(Value::as_str).map(str::to_owned);
    match (sku(filter), filter.get("$or")) {
        (Some(sku), _) => Some(vec![sku]),
        (None, Some(branches)) => all(branches).map(sku).collect(),
        (None, None) => None,
    }
}

fn all(wanted: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    wanted.as_array().into_iter().flatten().filter_map(Value::as_object)
}

fn of_column(held: &Value, wanted: &Value) -> bool {
    let Value::Object(operators) = wanted else { return same(held, wanted) };
    operators.iter().all(|(operator, wanted)| match operator.as_str() {
        "$gt" => order(held, wanted) == Some(Ordering::Greater),
        "$gte" => order(held, wanted).is_some_and(Ordering::is_ge),
        "$lt" => order(held, wanted) == Some(Ordering::Less),
        "$lte" => order(held, wanted).is_some_and(Ordering::is_le),
        "$like" => like(&text(held), &text(wanted)),
        "$notlike" => !like(&text(held), &text(wanted)),
        "$not" => !same(held, wanted),
        "$notnull" => held.is_null() != (wanted == &Value::Bool(true) || text(wanted) == "1"),
        // The stand-in knows no others, and says so by finding nothing.
        _ => false,
    })
}

/// Texts are compared as the database's collation does: without case.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        Value::Bool(value) => u8::from(*value).to_string(),
        other => other.to_string(),
    }
}

fn same(held: &Value, wanted: &Value) -> bool {
    held.is_null() == wanted.is_null() && text(held) == text(wanted)
}

/// Numbers by size, also when they are written as texts; nothing compares with null.
pub(super) fn order(held: &Value, wanted: &Value) -> Option<Ordering> {
    let number = |value: &Value| text(value).parse::<f64>().ok();
    match (held, number(held), number(wanted)) {
        (Value::Null, ..) => None,
        (_, Some(held), Some(wanted)) => held.partial_cmp(&wanted),
        _ => Some(text(held).cmp(&text(wanted))),
    }
}

/// SQL's LIKE, with `%` only.
fn like(held: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('%').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return held == pattern };
    let Some(rest) = held.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    middle.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_filters() {
        let object = json!({ "sku": "Abc", "modificationDate": 50, "ean": null, "published": true });
        let held = |name: &str| object[name].clone();
        for (filter, expected) in [
            (json!({ "sku": "aBC" }), true),
            (json!({ "sku": "ab" }), false),
            (json!({ "modificationDate": { "$gt": "49" } }), true),
            (json!({ "modificationDate": { "$gt": 50 } }), false),
            (json!({ "modificationDate": { "$gte": 50, "$lte": 50 } }), true),
            (json!({ "modificationDate": { "$lt": 50 } }), false),
            (json!({ "sku": { "$like": "a%c" } }), true),
            (json!({ "sku": { "$like": "b%" } }), false),
            (json!({ "sku": { "$notlike": "%b%" } }), false),
            (json!({ "sku": { "$not": "x" } }), true),
            (json!({ "ean": { "$notnull": true } }), false),
            (json!({ "sku": { "$notnull": true } }), true),
            (json!({ "$or": [{ "sku": "x" }, { "published": true }] }), true),
            (json!({ "$and": [{ "sku": "x" }, { "published": true }] }), false),
            (json!({ "sku": "abc", "published": false }), false),
        ] {
            assert_eq!(fits(filter.as_object().unwrap(), &held), expected, "{filter}");
        }
        assert_eq!(read("{").unwrap_err(), "unable to decode filter");
    }

    #[test]
    fn skus_are_known_only_when_every_alternative_names_one() {
        let of = |filter: Value| skus(filter.as_object().unwrap());
        assert_eq!(of(json!({ "$or": [{ "sku": "a" }, { "sku": "b" }] })).unwrap(), ["a", "b"]);
        assert_eq!(of(json!({ "sku": "a", "$or": [{ "ean": "1" }] })).unwrap(), ["a"]);
        assert_eq!(of(json!({ "$or": [{ "sku": "a" }, { "ean": "1" }] })), None);
        assert_eq!(of(json!({ "ean": "1" })), None);
    }
}
