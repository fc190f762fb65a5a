//! Variants: their options, SKUs and stock.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Reasons, prices, shown};
use crate::connectors::medusa::request::text;

/// Largest quantity of a stock: beyond it JSON numbers lose count in the shop.
const QUANTITY_MAX: u64 = 9_007_199_254_740_991;

pub(super) fn check(product: &Value, reasons: &mut Reasons) {
    let variants = product["variants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut skus: HashMap<&str, usize> = HashMap::new();
    for (at, variant) in variants.iter().enumerate() {
        let place = format!("variants[{at}]");
        let sku = text(variant, "sku");
        if !sku.is_empty()
            && let Some(first) = skus.insert(sku, at)
        {
            reasons.say(format!("{place}.sku"), format!("'{sku}' is the SKU of variants[{first}] too"));
        }
        prices::check(variant, &place, reasons);
        check_stock(variant, &place, reasons);
    }
    check_options(product, variants, reasons);
}

/// Each variant is one combination of the product's options. Medusa makes a product with less, and
/// fails at every later update of it.
fn check_options(product: &Value, variants: &[Value], reasons: &mut Reasons) {
    let Some(options) = product["options"].as_array().filter(|options| !options.is_empty()) else { return };
    let titles: Vec<&str> = options.iter().map(|option| text(option, "title")).collect();
    let mut seen: HashMap<Vec<&str>, usize> = HashMap::new();
    for (at, variant) in variants.iter().enumerate() {
        let place = format!("variants[{at}].options");
        let missing = titles.iter().find(|title| text(&variant["options"], title).is_empty());
        if let Some(title) = missing {
            reasons.say(place, format!("the option '{title}' of the product has no value here"));
            continue;
        }
        let chosen: Vec<&str> = titles.iter().map(|title| text(&variant["options"], title)).collect();
        for (option, value) in options.iter().zip(&chosen) {
            let is_declared =
                option["values"].as_array().is_some_and(|values| values.iter().any(|one| one == value));
            if !is_declared {
                let title = text(option, "title");
                reasons.say(
                    &place,
                    format!("'{value}' is none of the values of the product's option '{title}'"),
                );
            }
        }
        let combination = chosen.join(" / ");
        if let Some(first) = seen.insert(chosen, at) {
            reasons.say(place, format!("'{combination}' is the combination of variants[{first}] too"));
        }
    }
}

fn check_stock(variant: &Value, place: &str, reasons: &mut Reasons) {
    let place = format!("{place}.stock");
    let stock = match variant.get("stock") {
        None | Some(Value::Null) => return,
        Some(stock) => stock,
    };
    if text(variant, "sku").is_empty() {
        reasons.say(&place, "stock is held by SKU, and the variant has none");
    }
    if variant["manage_inventory"] == Value::Bool(false) {
        reasons.say(
            &place,
            "the variant says 'manage_inventory: false', so the shop would hold no stock for it",
        );
    }
    match stock {
        Value::Array(levels) => {
            let mut seen = HashSet::new();
            for (at, level) in levels.iter().enumerate() {
                let place = format!("{place}[{at}]");
                check_quantity(&level["quantity"], &format!("{place}.quantity"), reasons);
                match level.get("location") {
                    None | Some(Value::Null) => {}
                    Some(Value::String(name)) if !name.is_empty() => {}
                    Some(other) => {
                        reasons
                            .say(format!("{place}.location"), format!("{} names no location", shown(other)));
                    }
                }
                let location = text(level, "location");
                if !seen.insert(location) {
                    reasons.say(place, format!("the location '{location}' is named twice"));
                }
            }
        }
        quantity => check_quantity(quantity, &place, reasons),
    }
}

fn check_quantity(quantity: &Value, place: &str, reasons: &mut Reasons) {
    if quantity.as_u64().is_none_or(|quantity| quantity > QUANTITY_MAX) {
        reasons.say(place, format!("{} is no quantity: a whole number from 0", shown(quantity)));
    }
}
