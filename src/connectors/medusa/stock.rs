//! Stock: how much of a SKU lies at a location. It is no part of the product: levels hang on
//! inventory items, which Medusa makes with a variant.
//!
//! Facts, seen with Medusa 2.21.2: `location-levels/batch` is all or nothing; creating a level that is
//! there is a 400 `Inventory level with inventory_item_id: …, already exists.`, changing one that is
//! not there a 404; quantities are absolute; a location that does not exist is taken without a word.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use super::client::Shop;
use super::references::{Level, References};
use super::request::text;
use super::verdict::Trouble;
use crate::core::fault::{Fault, name};

/// SKUs of one lookup: beyond that the address grows too long for the server.
const LOOKUP_MAX: usize = 100;
/// How often levels are compared and written before somebody else is taken to be at work on them.
const ROUNDS_MAX: usize = 3;

/// What lies where: by SKU the inventory item, and the quantities by location.
#[derive(Debug, Default)]
struct Held {
    items: HashMap<String, Item>,
}

#[derive(Debug)]
struct Item {
    id: String,
    levels: HashMap<String, Option<f64>>,
}

/// Brings the levels of products that are there in line with the stock that their requests name;
/// what is in line already is not written. For each request in order: whether something was written.
/// Requests that name no stock cost nothing.
pub(super) async fn settle(
    shop: &Shop,
    references: &References,
    requests: &[&Value],
    sent: &AtomicU64,
) -> Vec<Result<bool, Trouble>> {
    let mut wanted = Vec::with_capacity(requests.len());
    for request in requests {
        wanted.push(references.levels(shop, request, sent).await);
    }
    let all: Vec<&Level> = wanted.iter().flatten().flatten().collect();
    match write(shop, &all, sent).await {
        Ok(written) => {
            let touched = |levels: Vec<Level>| levels.iter().any(|level| written.contains(&level.sku));
            wanted.into_iter().map(|levels| levels.map(touched)).collect()
        }
        // All or nothing, so each on its own says whose fault it is.
        Err(Trouble::Content(_)) if requests.len() > 1 => {
            let mut ends = Vec::with_capacity(wanted.len());
            for levels in wanted {
                ends.push(match levels {
                    Ok(levels) => alone(shop, &levels, sent).await,
                    Err(trouble) => Err(trouble),
                });
            }
            ends
        }
        Err(trouble) => wanted
            .into_iter()
            .map(|levels| match levels {
                Ok(levels) if levels.is_empty() => Ok(false),
                Ok(_) => Err(trouble.clone()),
                Err(own) => Err(own),
            })
            .collect(),
    }
}

/// Whether the levels are those that the request names. Changes nothing. For the probe.
pub(super) async fn is_settled(
    shop: &Shop,
    references: &References,
    request: &Value,
    sent: &AtomicU64,
) -> Result<bool, Trouble> {
    let levels = references.levels(shop, request, sent).await?;
    let levels: Vec<&Level> = levels.iter().collect();
    let held = held(shop, &levels, sent).await?;
    let is_there = |level: &&Level| {
        let there = held.items.get(&level.sku).and_then(|item| item.levels.get(&level.location));
        there.is_some_and(|there| is_level(*there, level))
    };
    Ok(levels.iter().all(is_there))
}

async fn alone(shop: &Shop, levels: &[Level], sent: &AtomicU64) -> Result<bool, Trouble> {
    let levels: Vec<&Level> = levels.iter().collect();
    write(shop, &levels, sent).await.map(|written| !written.is_empty())
}

/// Writes what differs; returns the SKUs of it.
async fn write(shop: &Shop, levels: &[&Level], sent: &AtomicU64) -> Result<HashSet<String>, Trouble> {
    let mut written = HashSet::new();
    let mut refusal = None;
    for _ in 0..ROUNDS_MAX {
        let held = held(shop, levels, sent).await?;
        let (body, skus) = changes(&held, levels)?;
        if skus.is_empty() {
            return Ok(written);
        }
        // The answer would echo every level.
        let answer =
            shop.post("admin/inventory-items/location-levels/batch", &[("fields", "id")], &body, sent).await;
        match answer {
            Ok(_) => {
                written.extend(skus);
                return Ok(written);
            }
            // Somebody else made or removed a level since it was read.
            Err(Trouble::Content(fault)) if is_race(&fault) => refusal = Some(Trouble::Content(fault)),
            Err(trouble) => return Err(trouble),
        }
    }
    match refusal {
        Some(trouble) => Err(trouble),
        None => Ok(written),
    }
}

fn is_race(fault: &Fault) -> bool {
    (fault.message.contains("Inventory level with") && fault.message.contains("already exists"))
        || fault.message.contains("is not stocked at location")
}

/// The body that brings the levels in line, and the SKUs in it; empty when nothing differs.
fn changes(held: &Held, levels: &[&Level]) -> Result<(Value, HashSet<String>), Trouble> {
    let (mut create, mut update, mut skus) = (Vec::new(), Vec::new(), HashSet::new());
    for level in levels {
        let Some(item) = held.items.get(&level.sku) else {
            let message = format!(
                "the variant '{}' has no inventory item to hold its stock: in the shop it is not managed",
                level.sku
            );
            return Err(Trouble::Content(Fault::new(name::REFUSED, message)));
        };
        let entry = json!({
            "inventory_item_id": item.id,
            "location_id": level.location,
            "stocked_quantity": level.quantity,
        });
        match item.levels.get(&level.location) {
            Some(there) if is_level(*there, level) => continue,
            None => create.push(entry),
            Some(_) => update.push(entry),
        }
        skus.insert(level.sku.clone());
    }
    Ok((json!({ "create": create, "update": update }), skus))
}

async fn held(shop: &Shop, levels: &[&Level], sent: &AtomicU64) -> Result<Held, Trouble> {
    let mut skus: Vec<&str> = levels.iter().map(|level| level.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut held = Held::default();
    for group in skus.chunks(LOOKUP_MAX) {
        let limit = (group.len() * 2 + 10).to_string();
        let fields = "id,sku,location_levels.location_id,location_levels.stocked_quantity";
        let mut query = vec![("limit", limit.as_str()), ("fields", fields)];
        query.extend(group.iter().map(|sku| ("sku[]", *sku)));
        let answer = shop.get("admin/inventory-items", &query, sent).await?;
        // Taken by the key in the answer: unknown filters are ignored.
        for entry in answer["inventory_items"].as_array().into_iter().flatten() {
            let levels = entry["location_levels"].as_array().into_iter().flatten();
            let by_location =
                |level: &Value| (text(level, "location_id").to_owned(), level["stocked_quantity"].as_f64());
            let item = Item { id: text(entry, "id").to_owned(), levels: levels.map(by_location).collect() };
            held.items.insert(text(entry, "sku").to_owned(), item);
        }
    }
    Ok(held)
}

/// Whether what lies there is what is wanted. A quantity that is no whole number is none that we write.
fn is_level(there: Option<f64>, wanted: &Level) -> bool {
    there.and_then(whole) == Some(wanted.quantity)
}

/// A quantity as Medusa's JSON gives it.
fn whole(quantity: f64) -> Option<u64> {
    serde_json::from_str(&format!("{quantity:.0}")).ok().filter(|_| quantity.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(sku: &str, quantity: u64) -> Level {
        Level { sku: sku.to_owned(), location: "here".to_owned(), quantity }
    }

    fn item(id: &str, quantity: Option<f64>) -> Item {
        let levels = quantity.map(|quantity| ("here".to_owned(), Some(quantity)));
        Item { id: id.to_owned(), levels: levels.into_iter().collect() }
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_not_there_is_made() {
        let items = [("A", item("i1", None)), ("B", item("i2", Some(2.0))), ("C", item("i3", Some(3.5)))];
        let held = Held { items: items.into_iter().map(|(sku, item)| (sku.to_owned(), item)).collect() };
        let levels = [level("A", 0), level("B", 2), level("C", 3)];
        let (body, skus) = changes(&held, &levels.iter().collect::<Vec<_>>()).unwrap();
        let entry = |item: &str, quantity: u64| json!({ "inventory_item_id": item, "location_id": "here", "stocked_quantity": quantity });
        assert_eq!(body, json!({ "create": [entry("i1", 0)], "update": [entry("i3", 3)] }));
        assert_eq!(skus, HashSet::from(["A".to_owned(), "C".to_owned()]));
        let refused = changes(&held, &[&level("D", 1)]).unwrap_err();
        assert!(refused.fault().message.contains("'D'"));
    }
}
