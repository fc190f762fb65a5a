//! What a request names. Its form was checked in `refuse`, before anything was sent.

use serde_json::Value;

use super::named::Want;
use super::path::Path;
use crate::connectors::medusa::request::text;

/// The names of one request that stand for ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    pub(super) paths: Vec<Path>,
    pub(super) tags: Vec<Want>,
    pub(super) kind: Option<Want>,
    pub(super) collection: Option<Want>,
}

/// A quantity at a place; without a place at the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stock<'a> {
    pub(super) sku: &'a str,
    pub(super) location: Option<&'a str>,
    pub(super) quantity: u64,
}

impl Wants {
    pub(super) fn of(request: &Value) -> Self {
        let collection = &request["collection"];
        let handle = Some(text(collection, "handle")).filter(|handle| !handle.is_empty());
        let title = name(collection, "title");
        Self {
            paths: members(request, "categories").filter_map(path).collect(),
            tags: members(request, "tags").filter_map(|tag| want(name(tag, "value"))).collect(),
            kind: want(name(&request["type"], "value")),
            collection: title
                .filter(|title| !title.is_empty())
                .map(|title| Want { name: title.to_owned(), handle: handle.map(ToOwned::to_owned) }),
        }
    }
}

/// The path of a category that is not given by id: `{path}` or the path alone.
pub(super) fn path(category: &Value) -> Option<Path> {
    match category {
        Value::Object(members) if members.contains_key("id") => None,
        Value::Object(members) => Path::of(members.get("path")?),
        written => Path::of(written),
    }
}

/// Whether a category is given by a path.
pub(in crate::connectors::medusa) fn is_path(category: &Value) -> bool {
    path(category).is_some()
}

/// A name: the text itself, or the member of an object that has no `id`.
pub(in crate::connectors::medusa) fn name<'a>(entry: &'a Value, member: &str) -> Option<&'a str> {
    match entry {
        Value::String(name) => Some(name),
        Value::Object(members) if members.contains_key("id") => None,
        Value::Object(members) => members.get(member).and_then(Value::as_str),
        _ => None,
    }
}

/// The stock that the variants of a request name.
pub(super) fn stock(request: &Value) -> Vec<Stock<'_>> {
    let mut stock = Vec::new();
    for variant in members(request, "variants") {
        let sku = text(variant, "sku");
        match &variant["stock"] {
            Value::Number(quantity) => {
                stock.extend(quantity.as_u64().map(|quantity| Stock { sku, location: None, quantity }));
            }
            Value::Array(places) => stock.extend(places.iter().filter_map(|place| {
                let location = place["location"].as_str();
                Some(Stock { sku, location, quantity: place["quantity"].as_u64()? })
            })),
            _ => {}
        }
    }
    stock
}

pub(super) fn members<'a>(of: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    of[list].as_array().into_iter().flatten()
}

fn want(name: Option<&str>) -> Option<Want> {
    let name = name?.trim();
    (!name.is_empty()).then(|| Want { name: name.to_owned(), handle: None })
}
