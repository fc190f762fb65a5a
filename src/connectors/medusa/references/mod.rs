//! Everything around a product that Medusa takes by id only: categories, tags, type, collection,
//! sales channels, shipping profile, stock location. A mapping names them in people's words; here
//! the words become ids, and what may be made is made, once.
//!
//! Read in this order: `want` (what a request names), `premises` (what must be there), `named` and
//! `categories` (what is made when it is not there), `body` (the request with ids in the places of
//! names).

mod body;
mod categories;
mod named;
mod options;
mod path;
mod premises;
mod ranks;
mod reading;
mod want;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use serde_json::Value;
use tokio::time::Instant;

use super::client::Shop;
use super::verdict::Trouble;
use crate::core::fault::Fault;
pub(super) use body::left_to_people;
use categories::Categories;
use named::{COLLECTIONS, Named, TAGS, TYPES, Want};
use options::Missing;
pub(super) use options::{CREATE, MUST_EXIST, Options};
use path::Path;
use premises::Premises;
use want::Wants;
pub(super) use want::{is_path, name};

/// The ids of one shop, as far as they were needed. One per worker; calls at the same time share it.
#[derive(Debug)]
pub(super) struct References {
    options: Options,
    categories: Categories,
    tags: Named,
    types: Named,
    collections: Named,
    premises: Premises,
}

/// The ids that a batch needs.
struct Ids {
    categories: HashMap<String, Result<String, Trouble>>,
    tags: HashMap<Want, Result<String, Trouble>>,
    types: HashMap<Want, Result<String, Trouble>>,
    collections: HashMap<Want, Result<String, Trouble>>,
}

/// A quantity of a SKU at a location.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    pub(super) sku: String,
    /// The id of the location.
    pub(super) location: String,
    pub(super) quantity: u64,
}

impl References {
    pub(super) fn new(options: Options) -> Self {
        Self {
            categories: Categories::default(),
            tags: Named::new(TAGS),
            types: Named::new(TYPES),
            collections: Named::new(COLLECTIONS),
            premises: Premises::default(),
            options,
        }
    }

    /// The bodies of a create for these requests, in their order: with ids only, without stock, with
    /// the defaults in the places that the request leaves open. An error is for the request that it
    /// concerns alone; a shop that cannot be asked is the error of each request that needed it.
    ///
    /// What must be there is checked first, so nothing is made for a product that is refused.
    pub(super) async fn resolve(
        &self,
        shop: &Shop,
        requests: &[&Value],
        sent: &AtomicU64,
    ) -> Vec<Result<Value, Trouble>> {
        self.bodies(shop, requests, self.options.categories, Missing::Create, sent).await
    }

    /// The same for one request, and nothing is made; `None` when the shop lacks something that the
    /// request names, or refuses. For the probe.
    pub(super) async fn look(
        &self,
        shop: &Shop,
        request: &Value,
        sent: &AtomicU64,
    ) -> Result<Option<Value>, Trouble> {
        match self.bodies(shop, &[request], Missing::MustExist, Missing::MustExist, sent).await.pop() {
            Some(Ok(body)) => Ok(Some(body)),
            Some(Err(Trouble::Content(_))) | None => Ok(None),
            Some(Err(trouble)) => Err(trouble),
        }
    }

    async fn bodies(
        &self,
        shop: &Shop,
        requests: &[&Value],
        categories: Missing,
        others: Missing,
        sent: &AtomicU64,
    ) -> Vec<Result<Value, Trouble>> {
        let mut bodies = self.placed(shop, requests, sent).await;
        let wants: Vec<Wants> = requests
            .iter()
            .zip(&bodies)
            .map(|(request, body)| if body.is_ok() { Wants::of(request) } else { Wants::default() })
            .collect();
        let ids = self.ids(shop, &wants, categories, others, sent).await;
        for (body, wants) in bodies.iter_mut().zip(&wants) {
            if let Ok(product) = body
                && let Err(trouble) = body::fill(product, wants, &ids)
            {
                *body = Err(trouble);
            }
        }
        bodies
    }

    /// Takes Medusa's refusal of a write. When it says that something is gone which is known here,
    /// that is forgotten, and `true` returned: resolved again, the same request may go through.
    pub(super) async fn forget(&self, fault: &Fault) -> bool {
        let message = &fault.message;
        let is_relation = message.contains("You tried to set relationship")
            || (message.contains("Tag with id") && message.contains("not found"));
        if !is_relation {
            return false;
        }
        let known = [
            self.categories.forget(message).await,
            self.tags.forget(message).await,
            self.types.forget(message).await,
            self.collections.forget(message).await,
        ];
        known.contains(&true)
    }

    /// The levels that a request names, with the ids of the locations.
    pub(super) async fn levels(
        &self,
        shop: &Shop,
        request: &Value,
        sent: &AtomicU64,
    ) -> Result<Vec<Level>, Trouble> {
        let stock = want::stock(request);
        if stock.is_empty() {
            return Ok(Vec::new());
        }
        let inventory = self.premises.inventory(shop, sent).await?;
        body::levels(&stock, &inventory, &self.options)
    }

    /// The bodies with all that must be there already. What is not there is looked for once more
    /// before it is refused: people may have just made it.
    async fn placed(
        &self,
        shop: &Shop,
        requests: &[&Value],
        sent: &AtomicU64,
    ) -> Vec<Result<Value, Trouble>> {
        let begun = Instant::now();
        let mut inventory = match self.premises.inventory(shop, sent).await {
            Ok(inventory) => inventory,
            Err(trouble) => return requests.iter().map(|_| Err(trouble.clone())).collect(),
        };
        let mut bodies = Vec::with_capacity(requests.len());
        for request in requests {
            let mut placed = body::place(request, &inventory, &self.options);
            if placed.is_err() {
                match self.premises.since(shop, begun, sent).await {
                    Ok(fresh) => inventory = fresh,
                    Err(trouble) => return requests.iter().map(|_| Err(trouble.clone())).collect(),
                }
                placed = body::place(request, &inventory, &self.options);
            }
            bodies.push(placed);
        }
        bodies
    }

    async fn ids(
        &self,
        shop: &Shop,
        wants: &[Wants],
        categories: Missing,
        others: Missing,
        sent: &AtomicU64,
    ) -> Ids {
        let paths: Vec<Path> = wants.iter().flat_map(|wants| wants.paths.iter().cloned()).collect();
        let named = |of: fn(&Wants) -> &[Want]| -> Vec<Want> {
            wants.iter().flat_map(|wants| of(wants).iter().cloned()).collect()
        };
        Ids {
            categories: self.categories.ids(shop, &paths, categories, sent).await,
            tags: self.tags.ids(shop, &named(|wants| &wants.tags), others, sent).await,
            types: self.types.ids(shop, &named(|wants| wants.kind.as_slice()), others, sent).await,
            collections: self
                .collections
                .ids(shop, &named(|wants| wants.collection.as_slice()), others, sent)
                .await,
        }
    }
}
