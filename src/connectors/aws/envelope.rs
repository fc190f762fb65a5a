//! What travels in the detail of an event: our own references beside the product, which is there for
//! readers that have no pinned source.
//!
//! ```json
//! { "milepost": { "run": "run_…", "item": 7, "event_id": "…", "digest": "…", "version": "…" },
//!   "data": { … } }
//! ```
//!
//! An item too large for an event goes to S3 under `oversize: s3`; then `data_ref` stands in the
//! place of `data`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::core::id::RunId;

/// The detail of an event of ours. Whoever sends it lends the content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Envelope<D = Value> {
    /// What we need to know of it.
    pub(crate) milepost: References,
    /// The content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<D>,
    /// Where the content is, when it is too large for an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data_ref: Option<Reference>,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct References {
    /// The run that published it.
    pub(crate) run: RunId,
    /// The item's position in that run; none for an event about the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<u64>,
    /// Our own stable event ID: the same whenever the same effect is repeated.
    pub(crate) event_id: Uuid,
    /// The digest of the item's content.
    pub(crate) digest: String,
    /// How new the content is (rule R6).
    pub(crate) version: String,
}

/// An object of S3 that holds what an event has no room for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key.
    pub(crate) key: String,
    /// How many bytes it has.
    pub(crate) bytes: u64,
}
