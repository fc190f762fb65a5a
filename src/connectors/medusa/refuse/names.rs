//! The form of what `references` looks up.

use serde_json::Value;

use super::{Reasons, shown};
use crate::connectors::medusa::references;

/// What one member names, and how it is written.
const LISTS: &[(&str, &str, &str)] =
    &[("tags", "value", "{ value: … } or { id: … }"), ("sales_channels", "name", "{ name: … } or { id: … }")];
const SINGLE: &[(&str, &str, &str)] = &[
    ("type", "value", "its value, or { id: … }"),
    ("collection", "title", "{ title: …, handle: … } or { id: … }"),
    ("shipping_profile", "name", "its name or id"),
];

pub(super) fn check(product: &Value, reasons: &mut Reasons) {
    for (list, member, form) in LISTS {
        each(product, list, reasons, |entry| {
            let fits =
                is_id(entry) || references::name(entry, member).is_some_and(|name| !name.trim().is_empty());
            (!fits).then(|| format!("write {form}"))
        });
    }
    each(product, "categories", reasons, |entry| {
        let fits = is_id(entry) || references::is_path(entry);
        (!fits).then(|| "write { path: A > B }, a list of names as path, or { id: … }".to_owned())
    });
    for (single, member, form) in SINGLE {
        let Some(entry) = product.get(*single).filter(|entry| !entry.is_null()) else { continue };
        let is_named = references::name(entry, member).is_some_and(|name| !name.trim().is_empty());
        if !is_named && !is_id(entry) {
            reasons.say(single, format!("{} names nothing: write {form}", shown(entry)));
        }
    }
    // An empty list takes the product out of every shop window.
    if product["sales_channels"].as_array().is_some_and(Vec::is_empty) {
        reasons.say(
            "sales_channels",
            "it is empty, so nobody could see the product: name a channel, or leave it out",
        );
    }
}

fn each(product: &Value, list: &str, reasons: &mut Reasons, wrong: impl Fn(&Value) -> Option<String>) {
    match product.get(list) {
        None | Some(Value::Null) => {}
        Some(Value::Array(members)) => {
            for (at, entry) in members.iter().enumerate() {
                if let Some(form) = wrong(entry) {
                    reasons.say(format!("{list}[{at}]"), format!("{} names nothing: {form}", shown(entry)));
                }
            }
        }
        Some(other) => reasons.say(list, format!("{} is no list", shown(other))),
    }
}

fn is_id(entry: &Value) -> bool {
    entry["id"].as_str().is_some_and(|id| !id.is_empty())
}
