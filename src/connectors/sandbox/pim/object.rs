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

    /// A localized text; null when there is none in that language.
    pub(super) fn text(&self, name: &str, language: &str) -> Value {
        match self.fields.get(name) {
            Some(Value::Object(texts)) => texts.get(language).cloned().unwrap_or_default(),
            // A journal of before languages: the text is in the first one.
            Some(text) if language == super::site::LANGUAGES[0] => text.clone(),
            _ => Value::Null,
        }
    }

    /// Sets a localized text.
    pub(super) fn set_text(&mut self, name: &str, language: &str, text: Value) {
        let first = super::site::LANGUAGES[0];
        let texts = match self.fields.remove(name) {
            Some(Value::Object(texts)) => texts,
            Some(old) => Map::from_iter([(first.to_owned(), old)]),
            None => Map::new(),
        };
        let entry = texts.into_iter().filter(|(known, _)| known != language);
        let texts = entry.chain([(language.to_owned(), text)]).collect();
        self.fields.insert(name.to_owned(), Value::Object(texts));
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
    /// The highest ID that was ever given: none is given twice.
    last: u64,
    /// When each was first saved by this process, in milliseconds since 1970.
    saved: HashMap<u64, u64>,
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
        self.last.max(FOLDER_ID) + 1
    }

    /// What the database would say against writing this object, if anything: the check of the
    /// path comes first, the unique indexes last. Who arrived before the other was saved passed
    /// the check, which takes no lock, and met the index.
    pub(super) fn conflict(&self, object: &Object, arrived: u64) -> Option<String> {
        const TAKEN: &str = "unique constraint violation";
        let path = object.fullpath();
        if let Some(other) = self.at(&path).filter(|other| other.id != object.id) {
            let raced = self.saved.get(&other.id).is_some_and(|saved| arrived <= *saved);
            let seen = format!("Duplicate full path [ {path} ] - cannot save object");
            return Some(if raced { TAKEN.to_owned() } else { seen });
        }
        let taken = object.sku().and_then(|sku| self.with_sku(sku));
        taken.filter(|other| other.id != object.id).map(|_| TAKEN.to_owned())
    }

    /// Writes an object at a moment, in milliseconds since 1970.
    pub(super) fn save(&mut self, object: Object, now: u64) {
        self.saved.entry(object.id).or_insert(now);
        self.put(object);
    }

    pub(super) fn put(&mut self, object: Object) {
        self.remove(object.id);
        self.last = self.last.max(object.id);
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
