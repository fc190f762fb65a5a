//! The request with ids in the places of names: what Medusa's create route takes.

use serde_json::{Map, Value, json};

use super::named::Want;
use super::premises::Inventory;
use super::reading::{content, strange};
use super::want::{self, Stock, Wants, members, name};
use super::{Ids, Level, Options};
use crate::connectors::medusa::request::text;
use crate::connectors::medusa::verdict::Trouble;

/// The body with channels and profile, without stock, after a look at all that the shop must have.
pub(super) fn place(request: &Value, inventory: &Inventory, options: &Options) -> Result<Value, Trouble> {
    check_currencies(request, inventory, options)?;
    let channels = match request["sales_channels"].as_array() {
        None => inventory.usual_channels(options)?,
        Some(named) => {
            let id = |channel: &Value| {
                let given = name(channel, "name").unwrap_or_else(|| text(channel, "id"));
                inventory.channel(given).map(|channel| channel.id.clone())
            };
            named.iter().map(id).collect::<Result<_, _>>()?
        }
    };
    let named = ["shipping_profile", "shipping_profile_id"].map(|member| name(&request[member], "name"));
    let profile = match named.into_iter().flatten().next() {
        None => inventory.usual_profile(options)?,
        Some(name) => Some(inventory.profile(name)?.id.clone()),
    };
    check_links(&want::stock(request), &channels, inventory, options)?;
    let mut body = request.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("shipping_profile");
        let ids = channels.iter().map(|id| json!({ "id": id })).collect();
        members.insert("sales_channels".to_owned(), ids);
        if let Some(profile) = profile {
            members.insert("shipping_profile_id".to_owned(), Value::from(profile));
        }
        for variant in members.get_mut("variants").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(variant) = variant.as_object_mut() {
                variant.remove("stock");
                variant.remove("free");
            }
        }
    }
    Ok(body)
}

/// Puts in what was looked up or made.
pub(super) fn fill(body: &mut Value, wants: &Wants, ids: &Ids) -> Result<(), Trouble> {
    let Some(product) = body.as_object_mut() else { return Ok(()) };
    let found = |ids: &std::collections::HashMap<Want, Result<String, Trouble>>, want: &Want| {
        ids.get(want).cloned().unwrap_or_else(|| Err(strange(&want.name)))
    };
    if let Some(given) = product.get("categories").and_then(Value::as_array) {
        let paths = wants.paths.iter().map(|path| {
            let key = path.key();
            ids.categories.get(&key).cloned().unwrap_or_else(|| Err(strange(&key)))
        });
        let listed = listed(given, paths)?;
        product.insert("categories".to_owned(), listed);
    }
    if let Some(given) = product.get("tags").and_then(Value::as_array) {
        let listed = listed(given, wants.tags.iter().map(|want| found(&ids.tags, want)))?;
        product.insert("tags".to_owned(), listed);
    }
    swap(product, "type", "type_id", wants.kind.as_ref().map(|want| found(&ids.types, want)))?;
    let collection = wants.collection.as_ref().map(|want| found(&ids.collections, want));
    swap(product, "collection", "collection_id", collection)
}

/// What is wanted of a product that is there. What the request leaves open was filled in for a new
/// product and is left to people afterwards: its channels and its profile, when it has some.
pub(in crate::connectors::medusa) fn left_to_people(request: &Value, held: &[Value], body: &Value) -> Value {
    let mut body = body.clone();
    let ([held], Some(members)) = (held, body.as_object_mut()) else { return body };
    // A link to a channel that is gone comes back as null.
    let has_channel = self::members(held, "sales_channels").any(|channel| channel["id"].is_string());
    let names = |name: &str| request.get(name).is_some_and(|named| !named.is_null());
    if has_channel && !names("sales_channels") {
        members.remove("sales_channels");
    }
    if held["shipping_profile"]["id"].is_string()
        && !names("shipping_profile")
        && !names("shipping_profile_id")
    {
        members.remove("shipping_profile_id");
    }
    body
}

/// The levels, with the ids of their locations.
pub(super) fn levels(
    stock: &[Stock<'_>],
    inventory: &Inventory,
    options: &Options,
) -> Result<Vec<Level>, Trouble> {
    let level = |stock: &Stock<'_>| {
        let location = match stock.location {
            Some(name) => inventory.location(name)?,
            None => inventory.usual_location(options)?,
        };
        Ok(Level { sku: stock.sku.to_owned(), location: location.id.clone(), quantity: stock.quantity })
    };
    stock.iter().map(level).collect()
}

/// Ids that were given, then those of names; each once.
fn listed(given: &[Value], named: impl Iterator<Item = Result<String, Trouble>>) -> Result<Value, Trouble> {
    let mut ids: Vec<String> = Vec::new();
    let given = given.iter().filter_map(|entry| entry["id"].as_str()).map(|id| Ok(id.to_owned()));
    for id in given.chain(named) {
        let id = id?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids.into_iter().map(|id| json!({ "id": id })).collect())
}

/// Puts an id in the place of what names it: `{id}`, or a name that was looked up.
fn swap(
    product: &mut Map<String, Value>,
    named: &str,
    by_id: &str,
    found: Option<Result<String, Trouble>>,
) -> Result<(), Trouble> {
    let Some(given) = product.remove(named) else { return Ok(()) };
    match (found, given.get("id")) {
        (Some(id), _) => product.insert(by_id.to_owned(), Value::from(id?)),
        (None, Some(id)) => product.insert(by_id.to_owned(), id.clone()),
        // Named as nothing: the product is taken out.
        (None, None) if given.is_null() => product.insert(by_id.to_owned(), Value::Null),
        (None, None) => None,
    };
    Ok(())
}

fn check_currencies(request: &Value, inventory: &Inventory, options: &Options) -> Result<(), Trouble> {
    for (at, variant) in members(request, "variants").enumerate() {
        for (of, price) in members(variant, "prices").enumerate() {
            let code = text(price, "currency_code");
            if let Some(reason) = inventory.refuses_currency(options, code) {
                return Err(content(format!("variants[{at}].prices[{of}].currency_code: {reason}")));
            }
        }
    }
    Ok(())
}

/// Stock counts only for the channels that its location is linked to; the link is a decision of people.
fn check_links(
    stock: &[Stock<'_>],
    channels: &[String],
    inventory: &Inventory,
    options: &Options,
) -> Result<(), Trouble> {
    for level in levels(stock, inventory, options)? {
        let location = inventory.location(&level.location)?;
        if !location.marks.iter().any(|channel| channels.contains(channel)) {
            return Err(content(format!(
                "the stock location '{}' is linked to none of the product's sales channels, so its stock could not be sold: link them in the shop's settings, under Locations",
                location.name
            )));
        }
    }
    Ok(())
}
