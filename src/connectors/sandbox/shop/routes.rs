//! The product routes of the shop stand-in.

use serde_json::{Value, json};

use super::around::Around;
use super::shelf::{Shelf, name, text};
use super::strict::{self, BATCH, CREATE, OPTIONS, UPDATE, VARIANTS};
use super::{Ask, Refusal, product, variants};
use crate::connectors::sandbox::standin::{Incoming, Reply};

/// Products of one page when `limit` is not given.
const PAGE: usize = 50;

/// `GET /admin/products`. Filters that the stand-in does not know are ignored, as the real one
/// ignores those that it does not know.
pub(super) fn list(shelf: &Shelf, incoming: &Incoming) -> Reply {
    let given = |filter: &str| -> Vec<&str> {
        let listed = format!("{filter}[]");
        let wanted = incoming.query.iter().filter(|(name, _)| *name == filter || *name == listed);
        wanted.map(|(_, value)| value.as_str()).collect()
    };
    let number = |name: &str| given(name).first().and_then(|text| text.parse::<usize>().ok());
    let (ids, handles, external_ids) = (given("id"), given("handle"), given("external_id"));
    let found: Vec<&Value> = if !external_ids.is_empty() {
        external_ids.iter().flat_map(|wanted| shelf.with_external_id(wanted)).collect()
    } else if !handles.is_empty() {
        handles.iter().filter_map(|wanted| shelf.with_handle(wanted)).collect()
    } else if !ids.is_empty() {
        ids.iter().filter_map(|wanted| shelf.get(wanted)).collect()
    } else {
        shelf.iter().collect()
    };
    let fits = |wanted: &[&str], held: &str| wanted.is_empty() || wanted.contains(&held);
    let found: Vec<&Value> = found
        .into_iter()
        .filter(|product| fits(&ids, text(product, "id")) && fits(&handles, text(product, "handle")))
        .collect();
    let (limit, offset) = (number("limit").unwrap_or(PAGE), number("offset").unwrap_or(0));
    let page: Vec<&Value> = found.iter().copied().skip(offset).take(limit).collect();
    let body = json!({ "products": page, "count": found.len(), "offset": offset, "limit": limit });
    let keys = external_ids.iter().chain(&handles).chain(&ids).map(|key| (*key).to_owned()).collect();
    Reply { keys, ..Reply::json("GET /admin/products", 200, body) }
}

/// `GET /admin/products/:id`.
pub(super) fn one(shelf: &Shelf, id: &str) -> Reply {
    let call = "GET /admin/products/:id";
    let Some(product) = shelf.get(id) else {
        let refusal = Refusal::not_found(format!("Product with id: {id} was not found"));
        return Reply::json(call, 404, refusal.body());
    };
    Reply { keys: vec![name(product)], ..Reply::json(call, 200, json!({ "product": product })) }
}

/// `POST /admin/products`: answered with 200, not 201.
pub(super) fn create(shelf: &mut Shelf, ask: &Ask<'_>) -> Reply {
    let keys = vec![name(ask.body)];
    let made = strict::check(ask.body, CREATE).and_then(|()| product::create(shelf, ask.body, ask));
    let answer = made.map(|id| (json!({ "product": shelf.get(&id) }), written(shelf, &[id])));
    end(shelf, "POST /admin/products", keys, answer)
}

/// `POST /admin/products/:id`.
pub(super) fn update(shelf: &mut Shelf, id: &str, ask: &Ask<'_>) -> Reply {
    let keys = shelf.get(id).map(name).into_iter().collect();
    let done = strict::check(ask.body, UPDATE).and_then(|()| product::update(shelf, id, ask.body, ask));
    let answer = done.map(|()| (json!({ "product": shelf.get(id) }), written(shelf, &[id.to_owned()])));
    end(shelf, "POST /admin/products/:id", keys, answer)
}

/// `POST /admin/products/batch`: all or nothing.
pub(super) fn batch(shelf: &mut Shelf, ask: &Ask<'_>) -> Reply {
    let members = |list: &str| ask.body[list].as_array().cloned().unwrap_or_default();
    let (new, known) = (members("create"), members("update"));
    let named = |entry: &Value| shelf.get(text(entry, "id")).map_or_else(|| name(entry), name);
    let keys = new.iter().map(name).chain(known.iter().map(named)).collect();
    let answer = strict::check(ask.body, BATCH).and_then(|()| {
        if !members("delete").is_empty() {
            return Err(Refusal::invalid("The stand-in does not delete products"));
        }
        let mut created = Vec::new();
        for entry in &new {
            created.push(product::create(shelf, entry, ask)?);
        }
        let mut updated = Vec::new();
        for entry in &known {
            let mut body = entry.clone();
            let id = text(entry, "id").to_owned();
            if let Some(members) = body.as_object_mut() {
                members.remove("id");
            }
            product::update(shelf, &id, &body, ask)?;
            updated.push(id);
        }
        // The real one does not keep the order of the request, so this one never does.
        created.reverse();
        let show = |ids: &[String]| ids.iter().map(|id| shelf.get(id).cloned()).collect::<Vec<_>>();
        let deleted = json!({ "ids": [], "object": "product", "deleted": true });
        let body = json!({ "created": show(&created), "updated": show(&updated), "deleted": deleted });
        created.extend(updated);
        Ok((body, written(shelf, &created)))
    });
    end(shelf, "POST /admin/products/batch", keys, answer)
}

/// `POST /admin/products/:id/variants/batch`.
pub(super) fn variants(shelf: &mut Shelf, id: &str, ask: &Ask<'_>) -> Reply {
    let keys = shelf.get(id).map(name).into_iter().collect();
    let done = strict::check(ask.body, VARIANTS).and_then(|()| variants::batch(shelf, id, ask));
    let answer = done.map(|body| (body, written(shelf, &[id.to_owned()])));
    end(shelf, "POST /admin/products/:id/variants/batch", keys, answer)
}

/// `POST /admin/products/:id/options/batch`.
pub(super) fn options(shelf: &mut Shelf, id: &str, ask: &Ask<'_>) -> Reply {
    let keys = shelf.get(id).map(name).into_iter().collect();
    let done = strict::check(ask.body, OPTIONS).and_then(|()| product::options(shelf, id, ask.body));
    let answer = done.map(|()| (json!({ "product": shelf.get(id) }), written(shelf, &[id.to_owned()])));
    end(shelf, "POST /admin/products/:id/options/batch", keys, answer)
}

/// `GET /admin/inventory-items`.
pub(super) fn items(shelf: &Shelf, around: &Around, incoming: &Incoming) -> Reply {
    let of = |name: &str| name == "sku" || name == "sku[]";
    let wanted: Vec<&str> =
        incoming.query.iter().filter(|(name, _)| of(name)).map(|(_, value)| value.as_str()).collect();
    let fits = |item: &&Value| wanted.is_empty() || wanted.contains(&text(item, "sku"));
    let shown: Vec<Value> =
        shelf.items().filter(fits).map(|item| around.with_levels(with_variants(shelf, item))).collect();
    let body = json!({ "inventory_items": shown, "count": shown.len(), "offset": 0, "limit": 1000 });
    Reply::json("GET /admin/inventory-items", 200, body)
}

/// `DELETE /admin/inventory-items/:id`.
pub(super) fn remove_item(shelf: &mut Shelf, id: &str) -> Reply {
    shelf.remove_item(id);
    let body = json!({ "id": id, "object": "inventory-item", "deleted": true });
    end(shelf, "DELETE /admin/inventory-items/:id", Vec::new(), Ok((body, Vec::new())))
}

/// An item as it is shown, with the variants that are counted on it.
fn with_variants(shelf: &Shelf, item: &Value) -> Value {
    let counts_on = |variant: &&Value| {
        let mut items = variant["inventory_items"].as_array().into_iter().flatten();
        items.any(|link| link["inventory_item_id"] == item["id"])
    };
    let variants = shelf.iter().flat_map(|product| product["variants"].as_array().into_iter().flatten());
    let ids: Vec<Value> = variants.filter(counts_on).map(|variant| json!({ "id": variant["id"] })).collect();
    let mut item = item.clone();
    item["variants"] = Value::Array(ids);
    item
}

fn written(shelf: &Shelf, ids: &[String]) -> Vec<String> {
    ids.iter().filter_map(|id| shelf.get(id)).map(name).collect()
}

/// Keeps what was done, or takes all of it back.
fn end(
    shelf: &mut Shelf,
    call: &str,
    keys: Vec<String>,
    answer: Result<(Value, Vec<String>), Refusal>,
) -> Reply {
    match answer {
        Ok((body, wrote)) => {
            let changes = shelf.keep();
            Reply { keys, wrote, changes, ..Reply::json(call, 200, body) }
        }
        Err(refusal) => {
            shelf.take_back();
            Reply { keys, ..Reply::json(call, refusal.status, refusal.body()) }
        }
    }
}
