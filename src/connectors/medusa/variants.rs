//! Variants: what must be written so that a product has those that are wanted. Variants are never
//! part of a product update, because that deletes every variant that it does not list; they go, by
//! SKU, through a route of their own that touches nothing else.

use serde_json::{Map, Value, json};

use super::compare;
use super::request::text;

/// What becomes of variants that the shop has and nobody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Surplus {
    /// They stay: perhaps somebody made them by hand.
    #[default]
    Keep,
    /// They are deleted: the shop has exactly what is wanted.
    Delete,
}

/// What has to be done about one wanted variant.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It is not there.
    Make,
    /// A create that died left it without prices, or without the inventory item that its stock is
    /// counted on. Neither can be given to it any more (the one is ignored, the other has no place in
    /// an update), so it is taken away and made again.
    Remake,
    /// It is there, and other than wanted.
    Change(Map<String, Value>),
    /// It is as wanted.
    Keep,
}

/// What brings the variants of a product to what is wanted: bodies for the variants batch route,
/// in order; empty when nothing is to be done.
pub(super) fn writes(held: &Value, wanted: &Value, surplus: Surplus) -> Vec<Value> {
    let (mut create, mut update, mut delete) = (Vec::new(), Vec::new(), Vec::new());
    for variant in all(wanted) {
        let there = counterpart(held, variant);
        match fate(there, variant) {
            Fate::Make => create.push(variant.clone()),
            Fate::Remake => {
                delete.extend(there.map(|there| there["id"].clone()));
                create.push(variant.clone());
            }
            Fate::Change(mut changes) => {
                changes.insert("id".to_owned(), there.map(|there| there["id"].clone()).unwrap_or_default());
                update.push(Value::Object(changes));
            }
            Fate::Keep => {}
        }
    }
    if surplus == Surplus::Delete {
        let unwanted = |there: &&Value| !all(wanted).any(|variant| is_counterpart(there, variant));
        delete.extend(all(held).filter(unwanted).map(|there| there["id"].clone()));
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

/// Whether this is what a create leaves that did not come to its end: by its server's death, or
/// because it is still at work.
pub(super) fn is_torn(held: &Value, wanted: &Value) -> bool {
    let has_none = all(held).next().is_none() && all(wanted).next().is_some();
    has_none || all(wanted).any(|variant| fate(counterpart(held, variant), variant) == Fate::Remake)
}

/// The SKUs of a product.
pub(super) fn skus(product: &Value) -> impl Iterator<Item = &str> {
    all(product).map(|variant| text(variant, "sku")).filter(|sku| !sku.is_empty())
}

/// The state of a variant decides; what is not whole cannot be mended.
fn fate(there: Option<&Value>, wanted: &Value) -> Fate {
    let Some(there) = there else { return Fate::Make };
    let lacks_prices = is_empty(&there["prices"]) && !is_empty(&wanted["prices"]);
    // Where stock was not counted before, Medusa makes the item when it is told to count.
    let is_counted = there["manage_inventory"] == true && wanted["manage_inventory"] != false;
    let lacks_item = is_counted && is_empty(&there["inventory_items"]);
    match (lacks_prices, lacks_item, compare::variant(there, wanted)) {
        (true, ..) | (_, true, _) => Fate::Remake,
        (false, false, changes) if changes.is_empty() => Fate::Keep,
        (false, false, changes) => Fate::Change(changes),
    }
}

/// The variant there that is the wanted one.
fn counterpart<'a>(held: &'a Value, wanted: &Value) -> Option<&'a Value> {
    all(held).find(|there| is_counterpart(there, wanted))
}

/// Variants have no other name of their own than the SKU; those without one go by their title.
fn is_counterpart(there: &Value, wanted: &Value) -> bool {
    let key = if text(wanted, "sku").is_empty() { "title" } else { "sku" };
    text(there, key) == text(wanted, key)
}

fn all(product: &Value) -> impl Iterator<Item = &Value> {
    product["variants"].as_array().into_iter().flatten()
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

    fn there(sku: &str, amount: f64) -> Value {
        let mut there = variant(sku, amount);
        there["id"] = json!(format!("id-{sku}"));
        there["manage_inventory"] = json!(true);
        there["inventory_items"] = json!([{ "inventory_item_id": "iitem" }]);
        there
    }

    #[test]
    fn the_state_of_a_variant_decides_what_is_done() {
        let (wanted, whole) = (variant("A", 1.0), there("A", 1.0));
        assert_eq!(fate(None, &wanted), Fate::Make);
        assert_eq!(fate(Some(&whole), &wanted), Fate::Keep);
        let mut bare = whole.clone();
        bare["prices"] = json!([]);
        assert_eq!(fate(Some(&bare), &wanted), Fate::Remake);
        let mut unlinked = whole.clone();
        unlinked["inventory_items"] = json!([]);
        assert_eq!(fate(Some(&unlinked), &wanted), Fate::Remake);
        bare["inventory_items"] = json!([]);
        assert_eq!(fate(Some(&bare), &wanted), Fate::Remake);
        let dearer = variant("A", 2.0);
        let Fate::Change(changes) = fate(Some(&whole), &dearer) else { panic!("not changed") };
        assert_eq!(Value::Object(changes), json!({ "prices": dearer["prices"] }));

        // Not counted there: no item is missing; and counting begins by an update.
        unlinked["manage_inventory"] = json!(false);
        assert_eq!(fate(Some(&unlinked), &wanted), Fate::Keep);
        let mut counted = wanted;
        counted["manage_inventory"] = json!(true);
        assert!(matches!(fate(Some(&unlinked), &counted), Fate::Change(_)));
    }

    #[test]
    fn only_what_differs_is_written_and_nothing_is_dropped() {
        let mut held =
            json!({ "variants": [there("A", 1.0), there("B", 2.0), there("C", 3.0), there("D", 4.0)] });
        held["variants"][2]["prices"] = json!([]);
        let wanted = json!({ "variants": [variant("E", 5.0), variant("C", 3.0), variant("B", 2.5), variant("A", 1.0)] });
        let changed = json!({ "prices": [{ "currency_code": "eur", "amount": 2.5 }], "id": "id-B" });
        let write = json!({ "create": [variant("E", 5.0), variant("C", 3.0)], "update": [changed] });
        assert_eq!(writes(&held, &wanted, Surplus::Keep), [json!({ "delete": ["id-C"] }), write.clone()]);
        assert_eq!(writes(&held, &wanted, Surplus::Delete), [json!({ "delete": ["id-C", "id-D"] }), write]);
        let same = json!({ "variants": [variant("A", 1.0)] });
        assert_eq!(writes(&held, &same, Surplus::Keep), [] as [Value; 0]);
    }

    #[test]
    fn what_a_create_leaves_behind_is_told_from_what_is_only_other() {
        let wanted = json!({ "variants": [variant("A", 1.0), variant("B", 1.0)] });
        assert!(is_torn(&json!({ "variants": [] }), &wanted));
        assert!(
            !is_torn(&json!({ "variants": [there("A", 2.0)] }), &wanted),
            "a new variant and a new price"
        );
        let mut bare = there("B", 1.0);
        bare["prices"] = json!([]);
        assert!(is_torn(&json!({ "variants": [there("A", 1.0), bare] }), &wanted));
    }
}
