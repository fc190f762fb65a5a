//! Variants of the shop stand-in.

use serde_json::{Value, json};

use super::product::{merged, push};
use super::shelf::{Shelf, skus, text};
use super::{Ask, Refusal};

/// Makes a variant of a checked entry, without the inventory item that its stock is counted on.
pub(super) fn made(shelf: &mut Shelf, product: &Value, entry: &Value) -> Result<Value, Refusal> {
    let mut variant = entry.clone();
    variant["options"] = chosen(product, &entry["options"])?;
    variant["id"] = Value::from(shelf.next("variant"));
    if entry.get("manage_inventory").is_none() {
        variant["manage_inventory"] = Value::Bool(true);
    }
    variant["inventory_items"] = json!([]);
    variant["prices"] = priced(shelf, &entry["prices"]);
    Ok(variant)
}

/// Puts a product, and then an inventory item for each of these variants whose stock is counted.
pub(super) fn put(shelf: &mut Shelf, mut product: Value, new: &[Value]) -> Result<(), Refusal> {
    shelf.put(product.clone())?;
    for variant in product["variants"].as_array_mut().into_iter().flatten() {
        if new.contains(&variant["id"]) {
            stocked(shelf, variant)?;
        }
    }
    shelf.put(product)
}

/// Gives a variant whose stock is counted an inventory item, if it has none.
fn stocked(shelf: &mut Shelf, variant: &mut Value) -> Result<(), Refusal> {
    let has_item = variant["inventory_items"].as_array().is_some_and(|items| !items.is_empty());
    if variant["manage_inventory"] != true || has_item {
        return Ok(());
    }
    let id = shelf.next("iitem");
    shelf.put_item(json!({ "id": id, "sku": variant["sku"], "location_levels": [] }))?;
    variant["inventory_items"] = json!([{ "inventory_item_id": id, "required_quantity": 1 }]);
    Ok(())
}

/// A product update with `variants`: the full list. What is not listed goes, and leaves its
/// inventory item behind.
pub(super) fn replace(shelf: &mut Shelf, product: &mut Value, listed: &[Value]) -> Result<(), Refusal> {
    let held = product["variants"].as_array().cloned().unwrap_or_default();
    let mut after = json!([]);
    for entry in listed {
        let known = entry["id"].as_str().and_then(|id| held.iter().find(|variant| variant["id"] == id));
        let variant = match known {
            Some(variant) => changed(shelf, product, variant, entry)?,
            None if entry.get("title").is_none() || entry.get("prices").is_none() => {
                return Err(Refusal::invalid("Invalid request: Field 'variants, title' is required"));
            }
            None => made(shelf, product, entry)?,
        };
        push(&mut after, variant);
    }
    product["variants"] = after;
    Ok(())
}

/// `POST /admin/products/:id/variants/batch` with a checked body: touches nothing else.
pub(super) fn batch(shelf: &mut Shelf, id: &str, ask: &Ask<'_>) -> Result<Value, Refusal> {
    let Some(mut product) = shelf.get(id).cloned() else {
        return Err(Refusal::not_found(format!("Product with id \"{id}\" not found")));
    };
    if (ask.refuses)(&super::shelf::name(&product)) {
        return Err(Refusal::invalid("The stand-in was told to refuse this product"));
    }
    let gone = ask.body["delete"].as_array().cloned().unwrap_or_default();
    let mut kept = product["variants"].as_array().cloned().unwrap_or_default();
    for variant in kept.extract_if(.., |variant| gone.contains(&variant["id"])) {
        for item in variant["inventory_items"].as_array().into_iter().flatten() {
            shelf.remove_item(text(item, "inventory_item_id"));
        }
    }
    let mut updated = Vec::new();
    for entry in ask.body["update"].as_array().into_iter().flatten() {
        let Some(variant) = kept.iter_mut().find(|variant| variant["id"] == entry["id"]) else {
            let message = format!("Variant with id \"{}\" not found", text(entry, "id"));
            return Err(Refusal::not_found(message));
        };
        *variant = changed(shelf, &product, variant, entry)?;
        updated.push(variant.clone());
    }
    let mut created = Vec::new();
    for entry in ask.body["create"].as_array().into_iter().flatten() {
        if skus(&json!({ "variants": kept })).any(|sku| Some(sku) == entry["sku"].as_str()) {
            let message = format!("Product variant with sku: {}, already exists.", text(entry, "sku"));
            return Err(Refusal::invalid(message));
        }
        let variant = made(shelf, &product, entry)?;
        kept.push(variant.clone());
        created.push(variant);
    }
    product["variants"] = Value::Array(kept);
    let ids: Vec<Value> = created.iter().map(|variant: &Value| variant["id"].clone()).collect();
    put(shelf, product, &ids)?;
    let deleted = json!({ "ids": gone, "object": "variant", "deleted": true });
    Ok(json!({ "created": created, "updated": updated, "deleted": deleted }))
}

fn changed(shelf: &mut Shelf, product: &Value, held: &Value, entry: &Value) -> Result<Value, Refusal> {
    let mut variant = held.clone();
    for (key, value) in entry.as_object().into_iter().flatten() {
        variant[key.as_str()] = match key.as_str() {
            "options" => chosen(product, value)?,
            "metadata" => merged(&held["metadata"], value),
            _ => value.clone(),
        };
    }
    stocked(shelf, &mut variant)?;
    // Prices cannot be set where the create died before it made any: taken, and ignored.
    let has_prices = held["prices"].as_array().is_some_and(|prices| !prices.is_empty());
    variant["prices"] = match entry.get("prices") {
        Some(prices) if has_prices => priced(shelf, prices),
        _ => held["prices"].clone(),
    };
    Ok(variant)
}

/// Prices with ids; of two in one currency (and one quantity) the last wins.
fn priced(shelf: &mut Shelf, prices: &Value) -> Value {
    let mut after: Vec<Value> = Vec::new();
    for price in prices.as_array().into_iter().flatten() {
        let same = |other: &Value| {
            other["currency_code"] == price["currency_code"] && other["min_quantity"] == price["min_quantity"]
        };
        after.retain(|other| !same(other));
        let mut price = price.clone();
        price["id"] = Value::from(shelf.next("price"));
        after.push(price);
    }
    Value::Array(after)
}

/// The options that an entry chooses, as they are shown.
fn chosen(product: &Value, entry: &Value) -> Result<Value, Refusal> {
    let mut chosen = Vec::new();
    for (title, value) in entry.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let options = product["options"].as_array().into_iter().flatten();
        let declared = options.filter(|option| text(option, "title") == title).find_map(|option| {
            option["values"].as_array().into_iter().flatten().find(|known| text(known, "value") == value)
        });
        let Some(declared) = declared else {
            let message = format!("Option value {value} does not exist for option {title}");
            return Err(Refusal::invalid(message));
        };
        chosen.push(json!({ "id": declared["id"], "value": value, "option": { "title": title } }));
    }
    Ok(Value::Array(chosen))
}
