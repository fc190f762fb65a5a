//! What Pimcore would tell listeners about changes of objects: the events of its webhooks, with
//! the members that they have. A create tells two, because it saves twice.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::object::Object;

/// Most events that are kept; the oldest go.
const EVENTS_MAX: usize = 10_000;

/// The names of the events, behind `pimcore.dataobject.`.
pub(super) const CREATED: &[&str] = &["postAdd", "postUpdate"];
/// Of a create whose second save failed.
pub(super) const HALF_CREATED: &[&str] = &["postAdd", "postUpdateFailure"];
/// Of an update.
pub(super) const UPDATED: &[&str] = &["postUpdate"];
/// Of a delete.
pub(super) const DELETED: &[&str] = &["postDelete"];

/// The last events, numbered from 1 in their order.
#[derive(Debug, Default)]
pub(super) struct Events {
    kept: VecDeque<Value>,
    /// How many were dropped before the first that is kept.
    dropped: u64,
}

impl Events {
    /// Adds the events of one change.
    pub(super) fn add(&mut self, names: &[&str], object: &Object) {
        for name in names {
            self.kept.push_back(event(name, object));
        }
        while self.kept.len() > EVENTS_MAX {
            self.kept.pop_front();
            self.dropped += 1;
        }
    }

    /// `{number, event}` of each behind the number `after`, oldest first.
    pub(super) fn after(&self, after: u64) -> Vec<Value> {
        let skipped = usize::try_from(after.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        let numbered = (self.dropped + 1..).zip(&self.kept).skip(skipped);
        numbered.map(|(number, event)| json!({ "number": number, "event": event })).collect()
    }
}

/// The body as a webhook has it: no ID, times in whole seconds, fields of the class under labels.
/// The stand-in saves no drafts beside a published version, so `versionOnly` is never true.
fn event(name: &str, object: &Object) -> Value {
    json!({
        "general": {
            "eventName": format!("pimcore.dataobject.{name}"),
            "timestamp": object.modified,
            "subjectType": "object",
            "versionOnly": false,
        },
        "subject": {
            "id": object.id,
            "path": object.fullpath(),
            "SKU (sku)": object.sku(),
            "published": object.published,
            "type": "Product",
        },
    })
}
