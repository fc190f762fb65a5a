//! What is there against what is wanted, part by part: the product itself, its options, one variant.
//! Every part of the request is compared, because a create that died may have left any of them out.
//! What the request does not name is nobody's business here, and is left as it is.

use serde_json::{Map, Value, json};

use super::request::text;

/// Every field of the read-back. The same for all products, so that two reads can be compared.
pub(super) const FIELDS: &str = "id,handle,external_id,title,subtitle,description,status,thumbnail,type_id,\
collection_id,weight,length,height,width,origin_country,hs_code,mid_code,material,is_giftcard,discountable,\
metadata,images.url,images.rank,categories.id,tags.id,sales_channels.id,shipping_profile.id,\
options.id,options.title,options.values.value,\
variants.id,variants.title,variants.sku,variants.ean,variants.upc,variants.barcode,variants.hs_code,\
variants.mid_code,variants.allow_backorder,variants.manage_inventory,variants.variant_rank,variants.weight,\
variants.length,variants.height,variants.width,variants.origin_country,variants.material,\
variants.thumbnail,variants.metadata,variants.options.value,variants.options.option.title,\
variants.prices.amount,variants.prices.currency_code,variants.prices.min_quantity,\
variants.prices.max_quantity,variants.inventory_items.inventory_item_id";

/// The members of a product update that bring what is there to what is wanted; empty when nothing
/// differs. Never `options` or `variants`: the one is always refused, the other deletes what it does
/// not name.
pub(super) fn product(held: &Value, wanted: &Value) -> Map<String, Value> {
    let mut changes = Map::new();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let is_same = match name.as_str() {
            // Both have routes of their own. The last is taken and never shown again.
            "options" | "variants" | "additional_data" => true,
            "metadata" => {
                if let Some(metadata) = metadata(&held["metadata"], value) {
                    changes.insert(name.clone(), metadata);
                }
                true
            }
            "images" => images(&held["images"]) == listed(value, "url"),
            "categories" | "tags" | "sales_channels" => ids(&held[name]) == ids(value),
            "shipping_profile_id" => held["shipping_profile"]["id"] == *value,
            _ => is_same(&held[name], value),
        };
        if !is_same {
            changes.insert(name.clone(), value.clone());
        }
    }
    changes
}

/// What the options of a product lack, as the options route takes it; `None`: nothing. Values that
/// are not wanted stay: other variants may have them.
pub(super) fn options(held: &Value, wanted: &Value) -> Option<Value> {
    let (mut add, mut update) = (Vec::new(), Vec::new());
    for option in wanted["options"].as_array().into_iter().flatten() {
        let mut there = held["options"].as_array().into_iter().flatten();
        let Some(there) = there.find(|there| there["title"] == option["title"]) else {
            add.push(json!({ "title": option["title"], "values": option["values"] }));
            continue;
        };
        let known = listed(&there["values"], "value");
        let values = option["values"].as_array().into_iter().flatten();
        let new: Vec<Value> = values
            .filter(|value| !value.as_str().is_some_and(|value| known.contains(&value)))
            .map(|value| json!({ "value": value }))
            .collect();
        if !new.is_empty() {
            update.push(json!({ "product_option_id": there["id"], "add": new }));
        }
    }
    let mut body = Map::new();
    for (name, list) in [("add", add), ("update", update)] {
        if !list.is_empty() {
            body.insert(name.to_owned(), Value::Array(list));
        }
    }
    (!body.is_empty()).then_some(Value::Object(body))
}

/// The members of a variant update that bring what is there to what is wanted. Prices are always
/// the whole set, because a set is what Medusa replaces.
pub(super) fn variant(held: &Value, wanted: &Value) -> Map<String, Value> {
    let mut changes = Map::new();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let is_same = match name.as_str() {
            // Items are tied to a variant when it is made.
            "inventory_items" => true,
            "metadata" => {
                if let Some(metadata) = metadata(&held["metadata"], value) {
                    changes.insert(name.clone(), metadata);
                }
                true
            }
            "prices" => prices(&held["prices"]) == prices(value),
            "options" => options_of(held) == pairs(value),
            _ => is_same(&held[name], value),
        };
        if !is_same {
            changes.insert(name.clone(), value.clone());
        }
    }
    changes
}

/// The keys of metadata that have to be sent, by Medusa's rule of merging: keys that are not named
/// stay, an empty text removes its key, null in place of all removes everything.
fn metadata(held: &Value, wanted: &Value) -> Option<Value> {
    let Some(wanted) = wanted.as_object() else {
        let is_bare = held.as_object().is_none_or(Map::is_empty);
        return (!is_bare).then_some(Value::Null);
    };
    let differs = |name: &str, value: &Value| match held.get(name) {
        None => value != "",
        Some(there) => value == "" || !is_same(there, value),
    };
    let changed: Map<String, Value> = wanted
        .iter()
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

/// Whether two values say the same: 1 and 1.0 do, and so do null and nothing at all.
fn is_same(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Number(held), Value::Number(wanted)) => held.as_f64() == wanted.as_f64(),
        (Value::Array(held), Value::Array(wanted)) => {
            held.len() == wanted.len() && held.iter().zip(wanted).all(|(held, wanted)| is_same(held, wanted))
        }
        (Value::Object(held), Value::Object(wanted)) => {
            held.len() == wanted.len()
                && wanted.iter().all(|(name, value)| held.get(name).is_some_and(|held| is_same(held, value)))
        }
        (held, wanted) => held == wanted,
    }
}

/// The addresses of the images in the order in which they are shown.
fn images(held: &Value) -> Vec<&str> {
    let mut images: Vec<&Value> = held.as_array().into_iter().flatten().collect();
    images.sort_by_key(|image| image["rank"].as_u64());
    images.into_iter().map(|image| text(image, "url")).collect()
}

/// One member of each entry of a list, in its order.
fn listed<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().map(|entry| text(entry, name)).collect()
}

/// The ids in a list, as a set.
fn ids(list: &Value) -> Vec<&str> {
    let mut ids = listed(list, "id");
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a price is for: a currency, and the quantities that it begins and ends with.
type PriceFor<'a> = (&'a str, Option<u64>, Option<u64>);

/// Prices as a set. Of several for the same thing in a request Medusa keeps the last; several of
/// them there are the mark of two updates that met, and never equal to what is wanted.
fn prices(list: &Value) -> Vec<(PriceFor<'_>, Option<f64>)> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut prices: Vec<_> = list
        .iter()
        .map(|price| {
            let bound = |name: &str| price[name].as_f64().map(f64::to_bits);
            let given_for = (text(price, "currency_code"), bound("min_quantity"), bound("max_quantity"));
            (given_for, price["amount"].as_f64())
        })
        .collect();
    prices.sort_by(|one, other| one.0.cmp(&other.0));
    prices
}

/// The options of a variant that is there: title and value.
fn options_of(held: &Value) -> Vec<(&str, &str)> {
    let list = held["options"].as_array().into_iter().flatten();
    let mut pairs: Vec<_> = list.map(|one| (text(&one["option"], "title"), text(one, "value"))).collect();
    pairs.sort_unstable();
    pairs
}

/// The options of a variant that is wanted: title and value.
fn pairs(wanted: &Value) -> Vec<(&str, &str)> {
    let members = wanted.as_object().into_iter().flatten();
    let mut pairs: Vec<_> =
        members.map(|(title, value)| (title.as_str(), value.as_str().unwrap_or_default())).collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_compared_and_only_what_differs_is_sent() {
        let held = json!({
            "title": "t", "weight": 1500, "status": "published", "collection_id": null,
            "images": [{ "url": "b", "rank": 1 }, { "url": "a", "rank": 0 }],
            "categories": [{ "id": "c2" }, { "id": "c1" }], "sales_channels": [],
            "shipping_profile": { "id": "sp_1" }, "metadata": { "rev": 1, "theirs": true },
        });
        let wanted = json!({
            "title": "t", "weight": 1500.0, "status": "published", "collection_id": null,
            "images": [{ "url": "a" }, { "url": "b" }], "categories": [{ "id": "c1" }, { "id": "c2" }],
            "shipping_profile_id": "sp_1", "metadata": { "rev": 1 },
            "options": [{ "title": "x", "values": ["y"] }], "variants": [{ "title": "never here" }],
        });
        assert_eq!(product(&held, &wanted), Map::new());
        for (name, value) in [
            ("title", json!("u")),
            ("status", json!("draft")),
            ("collection_id", json!("pcol_1")),
            ("images", json!([{ "url": "b" }, { "url": "a" }])),
            ("images", json!([])),
            ("categories", json!([{ "id": "c1" }])),
            ("tags", json!([{ "id": "ptag_1" }])),
            ("sales_channels", json!([{ "id": "sc_1" }])),
            ("shipping_profile_id", json!("sp_2")),
            ("shipping_profile_id", Value::Null),
            ("thumbnail", json!("a")),
            ("unheard_of", json!(1)),
        ] {
            let mut other = wanted.clone();
            other[name] = value.clone();
            assert_eq!(Value::Object(product(&held, &other)), json!({ name: value }));
        }
    }

    #[test]
    fn metadata_is_merged_so_only_other_keys_are_sent_and_an_empty_text_removes() {
        let held = json!({ "rev": 1, "theirs": true, "deep": { "a": [1, 2.0] } });
        let same = json!({ "rev": 1.0, "deep": { "a": [1, 2] }, "gone": "" });
        assert_eq!(metadata(&held, &same), None);
        let other = json!({ "rev": 2, "theirs": "", "gone": "", "new": null, "deep": { "a": [1] } });
        let sent = json!({ "rev": 2, "theirs": "", "new": null, "deep": { "a": [1] } });
        assert_eq!(metadata(&held, &other), Some(sent));
        assert_eq!(metadata(&held, &Value::Null), Some(Value::Null));
        assert_eq!(metadata(&json!({}), &Value::Null), None);
        assert_eq!(metadata(&Value::Null, &json!({})), None);
    }

    #[test]
    fn options_are_only_ever_added_to() {
        let held = json!({ "options": [{ "id": "opt_1", "title": "Size", "values": [{ "value": "S" }, { "value": "M" }] }] });
        assert_eq!(options(&held, &json!({ "options": [{ "title": "Size", "values": ["S"] }] })), None);
        let wanted = json!({ "options": [
            { "title": "Size", "values": ["S", "XL"] }, { "title": "Color", "values": ["Red"] },
        ]});
        let body = json!({
            "add": [{ "title": "Color", "values": ["Red"] }],
            "update": [{ "product_option_id": "opt_1", "add": [{ "value": "XL" }] }],
        });
        assert_eq!(options(&held, &wanted), Some(body));
    }

    #[test]
    fn prices_are_a_set_and_a_doubled_one_is_never_the_same() {
        let eur = |amount: f64| json!({ "currency_code": "eur", "amount": amount });
        let usd = json!({ "currency_code": "usd", "amount": 5, "min_quantity": null });
        let held = json!({ "sku": "A", "prices": [usd, eur(9.9)],
            "options": [{ "value": "S", "option": { "title": "Size" } }] });
        let changed = |wanted: Value| Value::Object(variant(&held, &wanted));
        assert_eq!(
            changed(json!({ "sku": "A", "prices": [eur(9.9), usd], "options": { "Size": "S" } })),
            json!({})
        );
        assert_eq!(changed(json!({ "prices": [eur(9.9)] })), json!({ "prices": [eur(9.9)] }));
        assert_eq!(changed(json!({ "prices": [eur(9.8), usd] })), json!({ "prices": [eur(9.8), usd] }));
        let tiered = json!([{ "currency_code": "eur", "amount": 9.9, "min_quantity": 2 }, usd]);
        assert_eq!(changed(json!({ "prices": tiered })), json!({ "prices": tiered }));
        assert_eq!(changed(json!({ "options": { "Size": "M" } })), json!({ "options": { "Size": "M" } }));
        let doubled = json!({ "prices": [eur(1.0), eur(1.0)] });
        assert!(!variant(&doubled, &json!({ "prices": [eur(1.0)] })).is_empty());
    }
}
