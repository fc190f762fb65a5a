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
    /// SKUs of inventory items whose variant was dropped by a product update.
    orphans: HashSet<String>,
    made: u64,
    /// What the call at work has done, newest last.
    open: Vec<Step>,
}

/// One change and the way back.
#[derive(Debug)]
enum Step {
    Put { id: String, before: Option<Value> },
    Orphaned(String),
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

    /// Whether stock of a SKU is held.
    pub(super) fn manages(&self, sku: &str) -> bool {
        let product = self.by_sku.get(sku).and_then(|id| self.get(id));
        let mut variants = product.into_iter().filter_map(|product| product["variants"].as_array()).flatten();
        variants.any(|variant| text(variant, "sku") == sku && variant["manage_inventory"] == true)
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
            if self.orphans.contains(sku) {
                return Err(Refusal::invalid(format!("Inventory item with sku: {sku}, already exists.")));
            }
        }
        let before = self.place(&id, Some(product));
        self.open.push(Step::Put { id, before });
        Ok(())
    }

    /// Keeps the SKU of a variant that a product update dropped.
    pub(super) fn orphan(&mut self, sku: &str) {
        if self.orphans.insert(sku.to_owned()) {
            self.open.push(Step::Orphaned(sku.to_owned()));
        }
    }

    /// Ends the call at work: everything stays. Returns what to replay.
    pub(super) fn keep(&mut self) -> Vec<Value> {
        let change = |step: Step| match step {
            Step::Put { id, .. } => json!({ "put": self.by_id.get(&id), "made": self.made }),
            Step::Orphaned(sku) => json!({ "orphan": sku }),
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
                Step::Orphaned(sku) => {
                    self.orphans.remove(&sku);
                }
            }
        }
    }

    /// Applies what [`Shelf::keep`] returned.
    pub(super) fn replay(&mut self, change: &Value) {
        if let Some(product) = change.get("put") {
            self.made = self.made.max(change["made"].as_u64().unwrap_or(0));
            self.place(text(product, "id"), Some(product.clone()));
        } else if let Some(sku) = change.get("orphan").and_then(Value::as_str) {
            self.orphans.insert(sku.to_owned());
        }
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
