//! Creating and updating one product of the shop stand-in, with the defaults and traps of the
//! real one.

use serde_json::{Map, Value, json};

use super::around::Around;
use super::shelf::{Shelf, name, text};
use super::{Ask, Refusal, variants};

/// Longest handle that the real database can index.
const HANDLE_CHARS_MAX: usize = 9_000;
/// The statuses of a product.
const STATUSES: [&str; 4] = ["draft", "proposed", "published", "rejected"];
/// What an update takes over as it is.
const PLAIN: [&str; 18] = [
    "title",
    "subtitle",
    "description",
    "handle",
    "external_id",
    "status",
    "thumbnail",
    "type_id",
    "collection_id",
    "weight",
    "length",
    "height",
    "width",
    "origin_country",
    "hs_code",
    "mid_code",
    "material",
    "discountable",
];

/// Makes a product of a checked body; returns its id.
pub(super) fn create(shelf: &mut Shelf, body: &Value, ask: &Ask<'_>) -> Result<String, Refusal> {
    let title = text(body, "title");
    if title.is_empty() {
        return Err(Refusal::invalid("Product title is required"));
    }
    let options = body["options"].as_array().filter(|options| !options.is_empty());
    let Some(options) = options else {
        return Err(Refusal::invalid(format!("Product options are not provided for: [{title}].")));
    };
    let id = shelf.next("prod");
    let handle = body["handle"].as_str().filter(|handle| !handle.is_empty());
    let mut product = json!({
        "id": id,
        "title": title,
        "handle": handle.map_or_else(|| slug(title), ToOwned::to_owned),
        "status": "draft",
        "external_id": null,
        "created_at": ask.at,
        "metadata": null,
        "images": [],
        "tags": [],
        "categories": [],
        "sales_channels": [],
        "variants": [],
    });
    product["options"] = options.iter().map(|option| made_option(shelf, option)).collect();
    if body.get("thumbnail").is_none_or(Value::is_null) {
        product["thumbnail"] = body["images"][0]["url"].clone();
    }
    apply(shelf, &mut product, body, ask)?;
    let mut new = Vec::new();
    for variant in body["variants"].as_array().into_iter().flatten() {
        let made = variants::made(shelf, &product, variant)?;
        new.push(made["id"].clone());
        push(&mut product["variants"], made);
    }
    variants::put(shelf, product, &new)?;
    Ok(id)
}

/// Changes a product by a checked body: absent keys are left alone.
pub(super) fn update(shelf: &mut Shelf, id: &str, body: &Value, ask: &Ask<'_>) -> Result<(), Refusal> {
    if body.get("options").is_some() {
        return Err(Refusal::invalid(
            "The 'options' property was removed in version 2.16.0. Use the options batch route.",
        ));
    }
    let Some(mut product) = shelf.get(id).cloned() else {
        return Err(Refusal::not_found(format!("Product with id \"{id}\" not found")));
    };
    apply(shelf, &mut product, body, ask)?;
    if let Some(listed) = body.get("variants").and_then(Value::as_array) {
        variants::replace(shelf, &mut product, listed)?;
    }
    shelf.put(product)
}

/// Sets what the body names, for both.
fn apply(shelf: &mut Shelf, product: &mut Value, body: &Value, ask: &Ask<'_>) -> Result<(), Refusal> {
    check_references(body, ask.around)?;
    if let Some(status) = body["status"].as_str()
        && !STATUSES.contains(&status)
    {
        return Err(Refusal::invalid(format!(
            "Invalid request: Expected: '{}' for field 'status', but got: '{status}'",
            STATUSES.join(", ")
        )));
    }
    for key in PLAIN {
        // A handle or title of null or nothing leaves what is there.
        let keeps = matches!(key, "handle" | "title") && text(body, key).is_empty();
        if let Some(value) = body.get(key).filter(|_| !keeps) {
            product[key] = value.clone();
        }
    }
    for key in ["categories", "tags", "sales_channels"] {
        if let Some(value) = body.get(key) {
            product[key] = value.clone();
        }
    }
    if let Some(id) = body.get("shipping_profile_id") {
        product["shipping_profile"] = if id.is_null() { Value::Null } else { json!({ "id": id }) };
    }
    if let Some(images) = body.get("images").and_then(Value::as_array) {
        product["images"] = (0..)
            .zip(images)
            .map(|(rank, image)| json!({ "id": shelf.next("img"), "url": image["url"], "rank": rank }))
            .collect();
    }
    if let Some(metadata) = body.get("metadata") {
        product["metadata"] = merged(&product["metadata"], metadata);
    }
    product["updated_at"] = Value::from(ask.at);
    check_handle(text(product, "handle"))?;
    if (ask.refuses)(&name(product)) {
        return Err(Refusal::invalid(format!("The stand-in was told to refuse {}", name(product))));
    }
    Ok(())
}

/// Unknown categories, tags, types and collections are refused; channels and profiles are not looked at
/// by the real one either.
fn check_references(body: &Value, around: &Around) -> Result<(), Refusal> {
    let unknown = |relation: &str, id: &str| {
        let message =
            format!("You tried to set relationship {relation}: {id}, but such entity does not exist");
        Err(Refusal::not_found(message))
    };
    let missing = |list: &str| {
        let mut ids = body[list].as_array().into_iter().flatten().map(|entry| text(entry, "id"));
        ids.find(|id| !around.has(id))
    };
    if let Some(id) = missing("categories") {
        return unknown("product_category_id", id);
    }
    for relation in ["type_id", "collection_id"] {
        if let Some(id) = body[relation].as_str().filter(|id| !around.has(id)) {
            return unknown(relation, id);
        }
    }
    match missing("tags") {
        Some(id) => Err(Refusal::invalid(format!(
            "Tag with id {id} not found. Please create the tag before associating it with the product."
        ))),
        None => Ok(()),
    }
}

fn check_handle(handle: &str) -> Result<(), Refusal> {
    if handle.chars().count() > HANDLE_CHARS_MAX {
        return Err(Refusal::unknown());
    }
    let fits = |found: char| (found.is_alphanumeric() && !found.is_uppercase()) || matches!(found, '-' | '_');
    if handle.chars().all(fits) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid product handle '{handle}'. It must contain URL safe characters")))
}

/// Metadata is merged at the top level: `""` removes a key, null as a value stays null, null
/// instead of all clears all.
pub(super) fn merged(held: &Value, given: &Value) -> Value {
    let Some(given) = given.as_object() else { return Value::Null };
    let mut merged: Map<String, Value> = held.as_object().cloned().unwrap_or_default();
    for (key, value) in given {
        if value == "" {
            merged.remove(key);
        } else {
            merged.insert(key.clone(), value.clone());
        }
    }
    Value::Object(merged)
}

fn made_option(shelf: &mut Shelf, option: &Value) -> Value {
    let values = option["values"].as_array().into_iter().flatten();
    let mut made = json!({ "id": shelf.next("opt"), "title": option["title"], "values": [] });
    for value in values {
        add_value(shelf, &mut made, value);
    }
    made
}

/// Gives an option a value; one that it has already is no error.
fn add_value(shelf: &mut Shelf, option: &mut Value, value: &Value) {
    let mut known = option["values"].as_array().into_iter().flatten();
    if !known.any(|known| known["value"] == *value) {
        let value = json!({ "id": shelf.next("optval"), "value": value });
        push(&mut option["values"], value);
    }
}

/// `POST /admin/products/:id/options/batch` with a checked body: only adds.
pub(super) fn options(shelf: &mut Shelf, id: &str, body: &Value) -> Result<(), Refusal> {
    let Some(mut product) = shelf.get(id).cloned() else {
        return Err(Refusal::not_found(format!("Product with id \"{id}\" not found")));
    };
    for entry in body["add"].as_array().into_iter().flatten() {
        let option = made_option(shelf, entry);
        push(&mut product["options"], option);
    }
    for entry in body["update"].as_array().into_iter().flatten() {
        let wanted = text(entry, "product_option_id");
        let mut options = product["options"].as_array_mut().into_iter().flatten();
        let Some(option) = options.find(|option| text(option, "id") == wanted) else {
            return Err(Refusal::not_found(format!("Product option with id: {wanted} was not found")));
        };
        for value in entry["add"].as_array().into_iter().flatten() {
            add_value(shelf, option, &value["value"]);
        }
    }
    shelf.put(product)
}

/// Appends to a member that is a list.
pub(super) fn push(list: &mut Value, member: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(member);
    }
}

/// The handle that a title gives; letters of all languages are kept.
pub(super) fn slug(title: &str) -> String {
    let lower = title.to_lowercase();
    let words: Vec<&str> =
        lower.split(|found: char| !found.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "product-standin".to_owned() } else { words.join("-") }
}
