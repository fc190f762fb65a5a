//! The products that the shop stand-in holds, with the unique indexes that its database has, and
//! a way back for a batch that fails half-way.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::Refusal;

/// All products, by id. Ids ascend with age.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    by_id: BTreeMap<String, Value>,
    by_handle: HashMap<String, String>,
    /// Not unique: two products may have one external ID.
    by_external_id: HashMap<String, Vec<String>>,
    by_sku: HashMap<String, String>,
    /// Inventory items, by id. Their variants know them; they do not know their variants.
    items: BTreeMap<String, Value>,
    item_by_sku: HashMap<String, String>,
    made: u64,
    /// What the call at work has done, newest last.
    open: Vec<Step>,
}

/// One change and the way back.
#[derive(Debug)]
enum Step {
    Put { id: String, before: Option<Value> },
    Item { id: String, before: Option<Value> },
}

impl Shelf {
    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.by_id.values()
    }

    pub(super) fn with_handle(&self, handle: &str) -> Option<&Value> {
        self.by_handle.get(handle).and_then(|id| self.get(id))
    }

    pub(super) fn with_external_id(&self, external_id: &str) -> impl Iterator<Item = &Value> {
        self.by_external_id.get(external_id).into_iter().flatten().filter_map(|id| self.get(id))
    }

    /// A new id. Nothing that was ever made has it.
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_01STANDIN{:017}", self.made)
    }

    /// Puts a product, if the indexes allow it.
    pub(super) fn put(&mut self, product: Value) -> Result<(), Refusal> {
        let id = text(&product, "id").to_owned();
        let handle = text(&product, "handle");
        if self.by_handle.get(handle).is_some_and(|other| *other != id) {
            return Err(Refusal::invalid(format!("Product with handle: {handle}, already exists.")));
        }
        let mut seen = HashSet::new();
        for sku in skus(&product) {
            if self.by_sku.get(sku).is_some_and(|other| *other != id) || !seen.insert(sku) {
                return Err(Refusal::invalid(format!("Product variant with sku: {sku}, already exists.")));
            }
        }
        let before = self.place(&id, Some(product));
        self.open.push(Step::Put { id, before });
        Ok(())
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Value> {
        self.items.values()
    }

    /// Puts an inventory item, if its SKU is free.
    pub(super) fn put_item(&mut self, item: Value) -> Result<(), Refusal> {
        let id = text(&item, "id").to_owned();
        let sku = text(&item, "sku");
        if self.item_by_sku.get(sku).is_some_and(|other| *other != id) {
            return Err(Refusal::invalid(format!("Inventory item with sku: {sku}, already exists.")));
        }
        let before = self.place_item(&id, Some(item));
        self.open.push(Step::Item { id, before });
        Ok(())
    }

    /// Removes an inventory item. One that is gone is no error.
    pub(super) fn remove_item(&mut self, id: &str) {
        let before = self.place_item(id, None);
        self.open.push(Step::Item { id: id.to_owned(), before });
    }

    /// Ends the call at work: everything stays. Returns what to replay.
    pub(super) fn keep(&mut self) -> Vec<Value> {
        let change = |step: Step| match step {
            Step::Put { id, .. } => json!({ "put": self.by_id.get(&id), "made": self.made }),
            Step::Item { id, .. } => json!({ "item": id, "is": self.items.get(&id), "made": self.made }),
        };
        std::mem::take(&mut self.open).into_iter().map(change).collect()
    }

    /// Ends the call at work: nothing stays.
    pub(super) fn take_back(&mut self) {
        for step in std::mem::take(&mut self.open).into_iter().rev() {
            match step {
                Step::Put { id, before } => {
                    self.place(&id, before);
                }
                Step::Item { id, before } => {
                    self.place_item(&id, before);
                }
            }
        }
    }

    /// Applies what [`Shelf::keep`] returned.
    pub(super) fn replay(&mut self, change: &Value) {
        self.made = self.made.max(change["made"].as_u64().unwrap_or(0));
        if let Some(product) = change.get("put") {
            self.place(text(product, "id"), Some(product.clone()));
        } else if let Some(id) = change.get("item").and_then(Value::as_str) {
            self.place_item(id, change.get("is").filter(|item| !item.is_null()).cloned());
        } else if let Some(sku) = change.get("orphan").and_then(Value::as_str) {
            // The journals of older builds say it like this.
            self.place_item(
                &format!("iitem_{sku}"),
                Some(json!({ "id": format!("iitem_{sku}"), "sku": sku })),
            );
        }
    }

    /// Puts or removes an item without a question; returns what was there.
    fn place_item(&mut self, id: &str, item: Option<Value>) -> Option<Value> {
        let before = self.items.remove(id);
        if let Some(sku) = before.as_ref().and_then(|before| before["sku"].as_str()) {
            self.item_by_sku.remove(sku);
        }
        if let Some(item) = item {
            if let Some(sku) = item["sku"].as_str() {
                self.item_by_sku.insert(sku.to_owned(), id.to_owned());
            }
            self.items.insert(id.to_owned(), item);
        }
        before
    }

    /// Puts or removes without a question; returns what was there.
    fn place(&mut self, id: &str, product: Option<Value>) -> Option<Value> {
        let before = self.by_id.remove(id);
        if let Some(before) = &before {
            self.by_handle.remove(text(before, "handle"));
            if let Some(ids) = self.by_external_id.get_mut(text(before, "external_id")) {
                ids.retain(|other| other != id);
            }
            for sku in skus(before) {
                self.by_sku.remove(sku);
            }
        }
        if let Some(product) = product {
            self.by_handle.insert(text(&product, "handle").to_owned(), id.to_owned());
            if let Some(external_id) = product["external_id"].as_str() {
                self.by_external_id.entry(external_id.to_owned()).or_default().push(id.to_owned());
            }
            for sku in skus(&product) {
                self.by_sku.insert(sku.to_owned(), id.to_owned());
            }
            self.by_id.insert(id.to_owned(), product);
        }
        before
    }
}

/// What the journal calls a product.
pub(super) fn name(product: &Value) -> String {
    let external_id = text(product, "external_id");
    if external_id.is_empty() { text(product, "handle") } else { external_id }.to_owned()
}

/// A member that is text; empty when it is not.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The SKUs of a product's variants.
pub(super) fn skus(product: &Value) -> impl Iterator<Item = &str> {
    product["variants"].as_array().into_iter().flatten().filter_map(|variant| variant["sku"].as_str())
}
