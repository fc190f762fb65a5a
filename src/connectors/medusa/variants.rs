//! Variants: what must be written so that a product has those that are wanted, and whether what
//! is there is what is wanted. Variants are never part of a product update, because that deletes
//! every variant that it does not list.

use serde_json::{Value, json};

use super::request::text;

/// What brings the variants of a product to what is wanted: bodies for the variants batch route,
/// in order; empty when nothing is to be done. Variants that are not wanted are left alone.
pub(super) fn writes(held: &Value, wanted: &Value) -> Vec<Value> {
    let (mut create, mut update, mut delete) = (Vec::new(), Vec::new(), Vec::new());
    for variant in wanted["variants"].as_array().into_iter().flatten() {
        match counterpart(held, variant) {
            None => create.push(variant.clone()),
            Some(there) if is_same(there, variant) => {}
            // A create that died left it without prices, and prices cannot be set then: it is
            // taken away and made again.
            Some(there) if is_empty(&there["prices"]) && !is_empty(&variant["prices"]) => {
                delete.push(there["id"].clone());
                create.push(variant.clone());
            }
            Some(there) => {
                let mut changed = variant.clone();
                changed["id"] = there["id"].clone();
                update.push(changed);
            }
        }
    }
    let mut bodies = Vec::new();
    if !delete.is_empty() {
        // On its own and first: the SKU must be free before it is used again.
        bodies.push(json!({ "delete": delete }));
    }
    if !create.is_empty() || !update.is_empty() {
        bodies.push(json!({ "create": create, "update": update }));
    }
    bodies
}

/// Whether what is there is all that is wanted, as far as it can be compared.
pub(super) fn is_complete(held: &Value, wanted: &Value) -> bool {
    let wanted_variants = wanted["variants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_any = !is_empty(&held["variants"]) || wanted_variants.is_empty();
    has_any
        && members_same(held, wanted)
        && wanted_variants
            .iter()
            .all(|variant| counterpart(held, variant).is_some_and(|there| is_same(there, variant)))
}

/// The names for `fields` that a comparison with these products needs.
pub(super) fn fields<'a>(wanted: impl Iterator<Item = &'a Value>) -> String {
    let mut names = vec!["id".to_owned(), "handle".to_owned(), "external_id".to_owned()];
    for fixed in ["variants.id", "variants.sku", "variants.prices.currency_code", "variants.prices.amount"] {
        names.push(fixed.to_owned());
    }
    for product in wanted {
        names.extend(comparable(product).map(ToOwned::to_owned));
        for variant in product["variants"].as_array().into_iter().flatten() {
            names.extend(comparable(variant).map(|name| format!("variants.{name}")));
        }
    }
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// The variant there that is the wanted one: the one with its SKU, or for one without SKU the one
/// with its title.
fn counterpart<'a>(held: &'a Value, wanted: &Value) -> Option<&'a Value> {
    let key = if text(wanted, "sku").is_empty() { "title" } else { "sku" };
    let mut there = held["variants"].as_array().into_iter().flatten();
    there.find(|variant| text(variant, key) == text(wanted, key))
}

fn is_same(held: &Value, wanted: &Value) -> bool {
    members_same(held, wanted) && prices_same(&held["prices"], &wanted["prices"])
}

/// Prices as a set: each wanted currency has its amount, and there are no others.
fn prices_same(held: &Value, wanted: &Value) -> bool {
    let prices = |of: &Value| {
        let mut prices: Vec<(String, Option<f64>)> = of
            .as_array()
            .into_iter()
            .flatten()
            .map(|price| (text(price, "currency_code").to_owned(), price["amount"].as_f64()))
            .collect();
        prices.sort_by(|one, other| one.0.cmp(&other.0));
        prices
    };
    prices(held) == prices(wanted)
}

/// Compares what both sides have and what is compared by value.
fn members_same(held: &Value, wanted: &Value) -> bool {
    comparable(wanted).all(|name| held.get(name).is_none_or(|there| contains(there, &wanted[name])))
}

/// The members that come back as they were sent: plain values and metadata. Lists come back as
/// objects with ids.
fn comparable(wanted: &Value) -> impl Iterator<Item = &str> {
    wanted
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !value.is_array() && !matches!(name.as_str(), "options" | "additional_data"))
        .map(|(name, _)| name.as_str())
}

fn contains(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Object(held), Value::Object(wanted)) => wanted.iter().all(|(name, value)| {
            // An empty text removes the key.
            held.get(name).map_or(value == "", |there| contains(there, value))
        }),
        (Value::Null, Value::Object(wanted)) => wanted.is_empty(),
        (Value::Number(held), Value::Number(wanted)) => held.as_f64() == wanted.as_f64(),
        (held, wanted) => held == wanted,
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(sku: &str, amount: f64) -> Value {
        json!({ "title": sku, "sku": sku, "prices": [{ "currency_code": "eur", "amount": amount }] })
    }

    #[test]
    fn only_what_differs_is_written_and_nothing_is_dropped() {
        let mut there = [variant("A", 1.0), variant("B", 2.0), variant("C", 3.0), variant("D", 4.0)];
        for (position, variant) in there.iter_mut().enumerate() {
            variant["id"] = json!(format!("v{position}"));
        }
        there[2]["prices"] = json!([]);
        let held = json!({ "variants": there });
        let wanted = json!({ "variants": [variant("A", 1.0), variant("B", 2.5), variant("C", 3.0), variant("E", 5.0)] });
        let bodies = writes(&held, &wanted);
        assert_eq!(bodies[0], json!({ "delete": ["v2"] }));
        let update: Vec<_> = bodies[1]["update"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        let create: Vec<_> = bodies[1]["create"].as_array().unwrap().iter().map(|one| &one["sku"]).collect();
        assert_eq!((update, create), (vec![&json!("v1")], vec![&json!("C"), &json!("E")]));
        assert!(!is_complete(&held, &wanted));
        assert_eq!(
            writes(&json!({ "variants": [variant("A", 1.0)] }), &json!({ "variants": [variant("A", 1.0)] })),
            [] as [Value; 0]
        );
    }

    #[test]
    fn a_product_without_variants_or_with_other_content_is_not_complete() {
        let wanted = json!({ "title": "t", "metadata": { "hash": "x" }, "variants": [variant("A", 1.0)] });
        let mut held =
            json!({ "title": "t", "metadata": { "hash": "x", "other": 1 }, "variants": [variant("A", 1.0)] });
        assert!(is_complete(&held, &wanted));
        held["metadata"]["hash"] = json!("old");
        assert!(!is_complete(&held, &wanted));
        held["metadata"]["hash"] = json!("x");
        held["variants"] = json!([]);
        assert!(!is_complete(&held, &wanted));
    }
}
