//! What buyers see: a written product is looked up through the store API, as a buyer's browser
//! would.
//!
//! Facts, seen with Medusa 2.21.2: a product is listed when it is published and in a channel that the
//! publishable key is for; with one channel in the shop the list does not look at that, so the links
//! are read as well. Prices are only given for a region; an unknown region is a 400.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::Value;

use super::BuildFault;
use super::client::Shop;
use super::request::text;
use super::verdict::Trouble;
use crate::connectors::wire::{self, Redirects};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;

/// The name of the header with the key.
const KEY_HEADER: &str = "x-publishable-api-key";

/// The storefront of a shop, as the holders of one publishable key see it.
pub(super) struct Storefront {
    client: Client,
    url: Url,
    key: String,
    region: Option<String>,
}

impl Storefront {
    /// For the shop at `url`; `region` is the id of a region, with which every variant must have a
    /// price there.
    pub(super) fn new(
        url: &str,
        key: &str,
        region: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, BuildFault> {
        Ok(Self {
            client: wire::client(timeout, Redirects::Refused)?,
            url: Url::parse(&format!("{url}/store/products"))
                .map_err(|_| BuildFault::field("url", "'url' is no URL"))?,
            key: key.to_owned(),
            region: region.map(ToOwned::to_owned),
        })
    }

    /// Looks products up that are written. `products` are ids with their requests. For each in order:
    /// nothing, or why it is not seen, to be that item's failure. A request that wants another status
    /// than `published` wants the product not to be seen, so it is not looked up; one that wants no
    /// status does not say so. Changes nothing, so it may be repeated.
    pub(super) async fn verify(
        &self,
        shop: &Shop,
        products: &[(&str, &Value)],
        sent: &AtomicU64,
    ) -> Vec<Result<(), Trouble>> {
        let is_meant = |request: &Value| matches!(request["status"].as_str(), None | Some("published"));
        let ids: Vec<&str> =
            products.iter().filter(|(_, request)| is_meant(request)).map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return products.iter().map(|_| Ok(())).collect();
        }
        let seen = match self.seen(&ids, sent).await {
            Ok(seen) => seen,
            Err(trouble) => return products.iter().map(|_| Err(trouble.clone())).collect(),
        };
        let there = match there(shop, &ids, sent).await {
            Ok(there) => there,
            Err(trouble) => return products.iter().map(|_| Err(trouble.clone())).collect(),
        };
        let look = |(id, request): &(&str, &Value)| {
            if !is_meant(request) {
                return Ok(());
            }
            match self.hidden(seen.get(*id), there.get(*id)) {
                Some(reason) => Err(unseen(&reason)),
                None => Ok(()),
            }
        };
        products.iter().map(look).collect()
    }

    /// What the storefront shows of these products.
    async fn seen(&self, ids: &[&str], sent: &AtomicU64) -> Result<HashMap<String, Value>, Trouble> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("limit", &ids.len().to_string());
            query.extend_pairs(ids.iter().map(|id| ("id[]", *id)));
            match &self.region {
                Some(region) => {
                    query.append_pair("region_id", region);
                    query.append_pair("fields", "id,variants.sku,variants.title,*variants.calculated_price");
                }
                None => {
                    query.append_pair("fields", "id");
                }
            }
        }
        sent.fetch_add(1, Ordering::Relaxed);
        let request = self.client.get(url).header(KEY_HEADER, &self.key);
        let answer = wire::send(request).await.map_err(|broken| Trouble::of_broken(broken).of_read())?;
        let body = answer.json().unwrap_or_default();
        match (answer.status, text(&body, "type")) {
            (200, _) => Ok(by_id(&body)),
            (400, "not_allowed") => Err(stopped(format!(
                "the storefront refuses the publishable key of the connection: {}",
                text(&body, "message")
            ))),
            (400, _) => Err(stopped(format!("the storefront refuses to list: {}", text(&body, "message")))),
            _ => Err(Trouble::Sure { fault: answer.fault(), again: answer.again_of_read() }),
        }
    }

    /// Why buyers do not see a product, or not its price.
    fn hidden(&self, seen: Option<&Value>, there: Option<&Value>) -> Option<String> {
        let Some(there) = there else { return Some("it is gone from the shop".to_owned()) };
        let status = text(there, "status");
        if status != "published" {
            return Some(format!("its status in the shop is '{status}'"));
        }
        // A link to a channel that is gone comes as null.
        let linked = there["sales_channels"].as_array().into_iter().flatten();
        let channels: Vec<&str> = linked
            .filter(|channel| channel["id"].is_string())
            .map(|channel| channel["name"].as_str().unwrap_or(text(channel, "id")))
            .collect();
        if channels.is_empty() {
            return Some("it is in no sales channel".to_owned());
        }
        let Some(seen) = seen else {
            let channels = channels.join("', '");
            return Some(format!(
                "the publishable key of the connection is for none of its sales channels ('{channels}')"
            ));
        };
        let region = self.region.as_deref()?;
        let mut variants = seen["variants"].as_array().into_iter().flatten().peekable();
        if variants.peek().is_none() {
            return Some("it has no variant to buy".to_owned());
        }
        let unpriced = variants.find(|variant| variant["calculated_price"]["calculated_amount"].is_null())?;
        let called =
            [text(unpriced, "sku"), text(unpriced, "title")].into_iter().find(|name| !name.is_empty());
        Some(format!("its variant '{}' has no price in the region {region}", called.unwrap_or("?")))
    }
}

/// The status and the channels of products, as the admin sees them.
async fn there(shop: &Shop, ids: &[&str], sent: &AtomicU64) -> Result<HashMap<String, Value>, Trouble> {
    let limit = ids.len().to_string();
    let mut query =
        vec![("limit", limit.as_str()), ("fields", "id,status,sales_channels.id,sales_channels.name")];
    query.extend(ids.iter().map(|id| ("id[]", *id)));
    shop.get("admin/products", &query, sent).await.map(|answer| by_id(&answer))
}

fn by_id(answer: &Value) -> HashMap<String, Value> {
    let products = answer["products"].as_array().into_iter().flatten();
    products.map(|product| (text(product, "id").to_owned(), product.clone())).collect()
}

/// It is there, and not seen: writing again would change nothing.
fn unseen(reason: &str) -> Trouble {
    let message = format!("the storefront does not show it as it should: {reason}");
    Trouble::Content(Fault::new(name::REFUSED, message))
}

/// The connection is at fault, so no product can be looked up.
fn stopped(message: String) -> Trouble {
    Trouble::Sure { fault: Fault::new(name::REFUSED, message), again: Again::Never }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn storefront(region: Option<&str>) -> Storefront {
        Storefront::new("http://127.0.0.1:0", "pk", region, Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn a_product_that_is_not_seen_says_why() {
        let there = |status: &str, channels: Value| json!({ "status": status, "sales_channels": channels });
        let good = there("published", json!([{ "id": "sc_1", "name": "Web" }]));
        let seen = json!({ "variants": [{ "sku": "A", "calculated_price": { "calculated_amount": 0 } }] });
        let unpriced = json!({ "variants": [{ "sku": "A", "calculated_price": null }] });
        let reason = |region: Option<&str>, seen: Option<&Value>, there: Option<&Value>| {
            storefront(region).hidden(seen, there).unwrap_or_default()
        };
        assert_eq!(reason(Some("reg"), Some(&seen), Some(&good)), "");
        assert_eq!(reason(None, Some(&unpriced), Some(&good)), "");
        assert!(
            reason(Some("reg"), Some(&unpriced), Some(&good)).contains("'A' has no price in the region reg")
        );
        assert!(reason(Some("reg"), Some(&json!({})), Some(&good)).contains("no variant"));
        assert!(reason(None, None, Some(&good)).contains("'Web'"));
        assert!(reason(None, None, None).contains("gone"));
        assert!(reason(None, None, Some(&there("draft", json!([])))).contains("'draft'"));
        // With one channel in the shop it is listed all the same.
        let unlinked = there("published", json!([null]));
        assert!(reason(None, Some(&seen), Some(&unlinked)).contains("no sales channel"));
    }
}
