//! The objects that the PIM stand-in holds, with the indexes that its database would have.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The folder that products are made in. The stand-in has no other.
pub(super) const FOLDER: &str = "/Products";
/// Its id; 1 is the root.
pub(super) const FOLDER_ID: u64 = 2;

/// One object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) id: u64,
    /// The path of the parent, with a slash at the end.
    pub(super) parent: String,
    pub(super) key: String,
    pub(super) published: bool,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// Seconds since 1970.
    pub(super) modified: u64,
    pub(super) version: u64,
    pub(super) variant: bool,
    /// The fields of the class.
    pub(super) fields: Map<String, Value>,
}

impl Object {
    pub(super) fn fullpath(&self) -> String {
        format!("{}{}", self.parent, self.key)
    }

    pub(super) fn sku(&self) -> Option<&str> {
        self.fields.get("sku").and_then(Value::as_str).filter(|sku| !sku.is_empty())
    }

    /// What the journal calls it.
    pub(super) fn name(&self) -> String {
        self.sku().map_or_else(|| self.fullpath(), ToOwned::to_owned)
    }
}

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// By id.
    all: BTreeMap<u64, Object>,
    /// Ids by full path.
    paths: HashMap<String, u64>,
    /// Ids by SKU. The column's collation is case-insensitive, and so is its unique index.
    skus: HashMap<String, u64>,
}

impl Objects {
    pub(super) fn get(&self, id: u64) -> Option<&Object> {
        self.all.get(&id)
    }

    pub(super) fn at(&self, fullpath: &str) -> Option<&Object> {
        self.paths.get(fullpath).and_then(|id| self.get(*id))
    }

    /// By SKU in any case.
    pub(super) fn with_sku(&self, sku: &str) -> Option<&Object> {
        self.skus.get(&sku.to_lowercase()).and_then(|id| self.get(*id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Object> {
        self.all.values()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.all.keys().next_back().map_or(FOLDER_ID + 1, |last| last + 1)
    }

    /// What the database would say against writing this object, if anything: the check of the
    /// path comes first, the unique index of the SKU last.
    pub(super) fn conflict(&self, object: &Object) -> Option<String> {
        let path = object.fullpath();
        if self.at(&path).is_some_and(|other| other.id != object.id) {
            return Some(format!("Duplicate full path [ {path} ] - cannot save object"));
        }
        let taken = object.sku().and_then(|sku| self.with_sku(sku));
        taken.filter(|other| other.id != object.id).map(|_| "unique constraint violation".to_owned())
    }

    pub(super) fn put(&mut self, object: Object) {
        self.remove(object.id);
        self.paths.insert(object.fullpath(), object.id);
        if let Some(sku) = object.sku() {
            self.skus.insert(sku.to_lowercase(), object.id);
        }
        self.all.insert(object.id, object);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Object> {
        let object = self.all.remove(&id)?;
        self.paths.remove(&object.fullpath());
        if let Some(sku) = object.sku() {
            self.skus.remove(&sku.to_lowercase());
        }
        Some(object)
    }
}

/// A key as Pimcore writes it: control characters and characters of four bytes go, `/ < >` become
/// a dash, at most 255 characters stay.
pub(super) fn valid_key(key: &str) -> String {
    let kept = key.chars().filter(|found| !found.is_control() && found.len_utf8() < 4);
    let replaced = kept.map(|found| if matches!(found, '/' | '<' | '>') { '-' } else { found });
    replaced.take(255).collect::<String>().trim().to_owned()
}
