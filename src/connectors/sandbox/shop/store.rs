//! The store API of the shop stand-in: what buyers see.

use serde_json::{Value, json};

use super::shelf::{Shelf, text};
use super::{Refusal, around};
use crate::connectors::sandbox::PUBLISHABLE_KEY;
use crate::connectors::sandbox::standin::{Incoming, Reply};

/// `GET /store/products` by id: what is published and in the channel of the key. Without regions there
/// are no prices to be shown.
pub(super) fn list(shelf: &Shelf, incoming: &Incoming) -> Reply {
    let call = "GET /store/products";
    let key = incoming.headers.get("x-publishable-api-key").map(String::as_str);
    if key != Some(PUBLISHABLE_KEY) {
        let message = "A valid publishable key is required to proceed with the request".to_owned();
        return Reply::json(call, 400, Refusal { status: 400, kind: "not_allowed", message }.body());
    }
    let asked = incoming.query.iter().filter(|(name, _)| name == "id[]").map(|(_, id)| id.as_str());
    let is_seen = |product: &&Value| {
        let mut channels = product["sales_channels"].as_array().into_iter().flatten();
        text(product, "status") == "published" && channels.any(|channel| channel["id"] == around::CHANNEL)
    };
    let seen: Vec<Value> = asked
        .filter_map(|id| shelf.get(id))
        .filter(is_seen)
        .map(|product| json!({ "id": product["id"], "variants": product["variants"] }))
        .collect();
    Reply::json(call, 200, json!({ "products": seen, "count": seen.len() }))
}
