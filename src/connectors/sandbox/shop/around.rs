//! What stands around the products of the shop stand-in: categories, tags, types, collections, which
//! can be made; the store, its channel, profile and stock location, which are there; stock levels.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::shelf::{Shelf, text};
use super::strict::{self, Key, Kind};
use super::{Refusal, tree};
use crate::connectors::sandbox::standin::{Incoming, Reply};

/// The only sales channel.
pub(super) const CHANNEL: &str = "sc_01STANDIN00000000000000001";
const PROFILE: &str = "sp_01STANDIN00000000000000001";
const LOCATION: &str = "sloc_01STANDIN000000000000001";
/// Entries of one page when `limit` is not given.
const PAGE: usize = 50;

/// One kind of entries that can be made.
#[derive(Debug)]
struct List {
    path: &'static str,
    many: &'static str,
    one: &'static str,
    prefix: &'static str,
    /// What the refusal calls it.
    word: &'static str,
    /// The member that no two have in common.
    unique: &'static str,
    shape: &'static [Key],
}

const TEXTS: &[Key] =
    &[("value", Kind::Text, true), ("external_id", Kind::Text, false), ("metadata", Kind::Object, false)];
const CATEGORY: &[Key] = &[
    ("name", Kind::Text, true),
    ("description", Kind::Text, false),
    ("handle", Kind::Text, false),
    ("is_internal", Kind::Bool, false),
    ("is_active", Kind::Bool, false),
    ("parent_category_id", Kind::Text, false),
    ("external_id", Kind::Text, false),
    ("metadata", Kind::Object, false),
    ("rank", Kind::Number, false),
];
const COLLECTION: &[Key] = &[
    ("title", Kind::Text, true),
    ("handle", Kind::Text, false),
    ("external_id", Kind::Text, false),
    ("metadata", Kind::Object, false),
];
const LEVEL: &[Key] = &[
    ("inventory_item_id", Kind::Text, true),
    ("location_id", Kind::Text, true),
    ("stocked_quantity", Kind::Number, false),
];
const LEVELS: &[Key] = &[
    ("create", Kind::List(LEVEL), false),
    ("update", Kind::List(LEVEL), false),
    ("delete", Kind::Texts, false),
];

const LISTS: [List; 4] = [
    List {
        path: "product-categories",
        many: "product_categories",
        one: "product_category",
        prefix: "pcat",
        word: "Product category",
        unique: "handle",
        shape: CATEGORY,
    },
    List {
        path: "product-tags",
        many: "product_tags",
        one: "product_tag",
        prefix: "ptag",
        word: "Product tag",
        unique: "value",
        shape: TEXTS,
    },
    List {
        path: "product-types",
        many: "product_types",
        one: "product_type",
        prefix: "ptyp",
        word: "Product type",
        unique: "value",
        shape: TEXTS,
    },
    List {
        path: "collections",
        many: "collections",
        one: "collection",
        prefix: "pcol",
        word: "Product collection",
        unique: "handle",
        shape: COLLECTION,
    },
];

/// All that is around the products.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// By id; the prefix of an id says of what kind it is. Ids ascend with age.
    entries: BTreeMap<String, Value>,
    /// Quantities by inventory item and location.
    levels: BTreeMap<(String, String), Value>,
    made: u64,
}

impl Around {
    pub(super) fn has(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// The answer to a read; `None` when it is of something else.
    pub(super) fn read(&self, segments: &[&str], incoming: &Incoming) -> Option<Reply> {
        let ["admin", path] = segments else { return None };
        let call = format!("GET /admin/{path}");
        let page = |many: &str, entries: Vec<Value>| Some(listed(&call, many, &entries, incoming));
        if let Some(list) = LISTS.iter().find(|list| list.path == *path) {
            let of_kind = self.entries.values().filter(|entry| text(entry, "id").starts_with(list.prefix));
            return page(list.many, of_kind.filter(|entry| fits(entry, incoming)).cloned().collect());
        }
        match *path {
            "stores" => page("stores", vec![store()]),
            "sales-channels" => page("sales_channels", vec![channel()]),
            "shipping-profiles" => {
                let profile = json!({ "id": PROFILE, "name": "Default Shipping Profile", "type": "default" });
                page("shipping_profiles", vec![profile])
            }
            "stock-locations" => {
                let location = json!({ "id": LOCATION, "name": "Warehouse", "sales_channels": [channel()] });
                page("stock_locations", vec![location])
            }
            _ => None,
        }
    }

    /// The answer to a write with this body; `None` when it is of something else.
    pub(super) fn write(&mut self, segments: &[&str], body: &Value, goods: &Shelf) -> Option<Reply> {
        let (call, done) = match segments {
            ["admin", "inventory-items", "location-levels", "batch"] => {
                let call = "POST /admin/inventory-items/location-levels/batch".to_owned();
                (call, self.set_levels(body, goods))
            }
            ["admin", "product-categories", id] => {
                ("POST /admin/product-categories/:id".to_owned(), self.change_category(id, body))
            }
            ["admin", path] => {
                let list = LISTS.iter().find(|list| list.path == *path)?;
                (format!("POST /admin/{path}"), self.make(list, body))
            }
            _ => return None,
        };
        Some(match done {
            Ok((body, changes)) => Reply { changes, ..Reply::json(&call, 200, body) },
            Err(refusal) => Reply::json(&call, refusal.status, refusal.body()),
        })
    }

    /// Applies a change that an answer once held.
    pub(super) fn replay(&mut self, change: &Value) {
        if let Some(entry) = change.get("around") {
            self.made = self.made.max(change["made_around"].as_u64().unwrap_or(0));
            self.entries.insert(text(entry, "id").to_owned(), entry.clone());
        } else if let Some(level) = change.get("level") {
            self.levels.insert(place(level), level["stocked_quantity"].clone());
        }
    }

    fn make(&mut self, list: &List, body: &Value) -> Result<(Value, Vec<Value>), Refusal> {
        strict::check(body, list.shape)?;
        let mut entry = body.clone();
        if list.unique == "handle" && text(body, "handle").is_empty() {
            let named = [text(body, "name"), text(body, "title")].concat();
            entry["handle"] = Value::from(super::product::slug(&named));
        }
        let taken = |other: &&Value| {
            text(other, "id").starts_with(list.prefix) && other[list.unique] == entry[list.unique]
        };
        if self.entries.values().find(taken).is_some() {
            let (word, member, value) = (list.word, list.unique, text(&entry, list.unique));
            return Err(Refusal::invalid(format!("{word} with {member}: {value}, already exists.")));
        }
        if list.one == "product_category" {
            tree::placed(&self.entries, &mut entry)?;
        }
        self.made += 1;
        let id = format!("{}_01STANDIN{:017}", list.prefix, self.made);
        entry["id"] = Value::from(id.clone());
        let change = json!({ "around": entry, "made_around": self.made });
        self.entries.insert(id, entry.clone());
        Ok((json!({ list.one: entry }), vec![change]))
    }

    fn change_category(&mut self, id: &str, body: &Value) -> Result<(Value, Vec<Value>), Refusal> {
        let Some(rank) = body["rank"].as_u64() else {
            return Err(Refusal::invalid("The stand-in changes nothing of a category but its rank"));
        };
        let touched = tree::reranked(&mut self.entries, id, rank)?;
        let made = self.made;
        let told = |id: &String| json!({ "around": self.entries.get(id), "made_around": made });
        let changes = touched.iter().map(told).collect();
        Ok((json!({ "product_category": self.entries.get(id) }), changes))
    }

    /// An inventory item with what lies where.
    pub(super) fn with_levels(&self, mut item: Value) -> Value {
        let id = text(&item, "id").to_owned();
        let levels = self.levels.range((id.clone(), String::new())..);
        let own = levels.take_while(|((item, _), _)| *item == id);
        let shown = |((_, location), quantity): (&(String, String), &Value)| json!({ "location_id": location, "stocked_quantity": quantity });
        item["location_levels"] = own.map(shown).collect();
        item
    }

    /// All or nothing.
    fn set_levels(&mut self, body: &Value, goods: &Shelf) -> Result<(Value, Vec<Value>), Refusal> {
        strict::check(body, LEVELS)?;
        let listed = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let (created, updated) = (listed("create"), listed("update"));
        for level in created.iter().chain(&updated) {
            if level["stocked_quantity"].as_f64().is_some_and(|quantity| quantity < 0.0) {
                return Err(Refusal::invalid(
                    "Invalid request: Value for field 'stocked_quantity' too small",
                ));
            }
        }
        for level in &created {
            let (item, location) = place(level);
            if self.levels.contains_key(&(item.clone(), location.clone())) {
                return Err(Refusal::invalid(format!(
                    "Inventory level with inventory_item_id: {item}, location_id: {location}, already exists."
                )));
            }
            if !goods.items().any(|known| known["id"] == item.as_str()) {
                return Err(Refusal::not_found(format!("InventoryItem with id: {item} was not found")));
            }
        }
        for level in &updated {
            let (item, location) = place(level);
            if !self.levels.contains_key(&(item.clone(), location.clone())) {
                let message = format!("Item {item} is not stocked at location {location}");
                return Err(Refusal::not_found(message));
            }
        }
        let mut changes = Vec::new();
        for level in created.iter().chain(&updated) {
            self.levels.insert(place(level), level["stocked_quantity"].clone());
            changes.push(json!({ "level": level }));
        }
        Ok((json!({ "created": created, "updated": updated, "deleted": [] }), changes))
    }
}

/// What a store read says.
fn store() -> Value {
    let currencies = ["eur", "usd"].map(|code| json!({ "currency_code": code, "is_default": code == "eur" }));
    json!({
        "id": "store_01STANDIN0000000000000001",
        "default_sales_channel_id": CHANNEL,
        "default_location_id": null,
        "supported_currencies": currencies,
    })
}

fn channel() -> Value {
    json!({ "id": CHANNEL, "name": "Default Sales Channel", "is_disabled": false })
}

fn place(level: &Value) -> (String, String) {
    (text(level, "inventory_item_id").to_owned(), text(level, "location_id").to_owned())
}

/// Whether an entry is one of those that the query asks for. Filters that are not known are ignored.
fn fits(entry: &Value, incoming: &Incoming) -> bool {
    ["id", "value", "title", "handle", "external_id", "parent_category_id"].iter().all(|filter| {
        let listed = format!("{filter}[]");
        let mut asked =
            incoming.query.iter().filter(|(name, _)| name == filter || *name == listed).peekable();
        asked.peek().is_none()
            || asked.any(|(_, value)| match entry.get(*filter) {
                Some(Value::String(held)) => held == value,
                _ => value == "null",
            })
    })
}

fn listed(call: &str, many: &str, entries: &[Value], incoming: &Incoming) -> Reply {
    let number = |wanted: &str| {
        let mut given = incoming.query.iter().filter(|(name, _)| name == wanted);
        given.next().and_then(|(_, text)| text.parse::<usize>().ok())
    };
    let (limit, offset) = (number("limit").unwrap_or(PAGE), number("offset").unwrap_or(0));
    let page: Vec<&Value> = entries.iter().skip(offset).take(limit).collect();
    Reply::json(call, 200, json!({ many: page, "count": entries.len(), "offset": offset, "limit": limit }))
}
