//! What is published, for those who wait for it and are not told: Pimcore's webhooks are not part of
//! its community edition.

use async_trait::async_trait;
use serde_json::Value;

use super::client::Hub;
use crate::core::fault::Fault;
use crate::ports::{Announced, Announcer};

/// SKUs in one listing: the filter is a text inside a text, and stays some kilobytes long.
const SKUS_MAX: usize = 100;

/// Asks a Data Hub endpoint which SKUs are published.
pub(super) struct Published(pub(super) Hub);

#[async_trait]
impl Announcer for Published {
    fn keys_max(&self) -> usize {
        SKUS_MAX
    }

    /// A listing without drafts. The version is `modificationDate`: the clock of the PIM, as
    /// `pimcore.upsert` returns it, in seconds.
    async fn announced(&self, keys: &[String]) -> Result<Vec<Announced>, Fault> {
        let nodes = self.0.published(keys).await.map_err(|trouble| trouble.told().0)?;
        let announced = |node: &Value| {
            let sku = node["sku"].as_str()?;
            // The database compares without case, so what came back is compared again.
            let key = keys.iter().find(|key| *key == sku)?.clone();
            let version = match &node["modificationDate"] {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            Some(Announced { key, version, payload: Value::Null })
        };
        Ok(nodes.iter().filter_map(announced).collect())
    }
}
