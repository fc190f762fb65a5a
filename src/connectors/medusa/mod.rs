//! Medusa through its admin API: `medusa.upsert`.
//!
//! Identity is the product's `external_id`, guarded by its `handle`, which is the only unique key
//! that a product has. A batch is looked up as a whole, split into creates and updates, and sent
//! as one all-or-nothing call; when that is refused it is halved until the culprit stands alone.
//!
//! This is the simple form: the mapping gives what Medusa takes by value (title, handle,
//! external_id, description, status, images, options, variants with prices, metadata, …).
//! Whatever goes by Medusa's own ids (categories, tags, collection, sales channels, shipping
//! profile, stock) is passed on as it is when the mapping gives ids. Categories given by path are
//! kept in the request and not sent (`request::body`). Finding or making such things is for the
//! issue "PIM and shop", and belongs between the lookup and the batch in `batch`, which is the
//! only place that knows both.

mod batch;
mod client;
mod references;
mod refuse;
mod request;
mod stock;
mod storefront;
mod variants;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use serde_json::Value;

use super::examine::{self, Diagnosis};
use super::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::Fault;
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::mapping::Mapping;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};
use client::Shop;
use verdict::Trouble;

/// The login of the sandbox's stand-in, which documents it.
const SANDBOX: (&str, &str) = ("sandbox@milepost.invalid", "sandbox");

/// What a Medusa connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "medusa",
    summary: "Medusa, through its admin API",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "email", kind: Kind::Plain, required: true },
        Field { name: "password", kind: Kind::Secret, required: true },
    ],
};

/// What `medusa.upsert` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "medusa.upsert",
    summary: "creates or updates the item's product in Medusa, by external ID",
    role: Role::Effect { probes: true },
    place: Place::Item,
    connections: &["medusa", "sandbox"],
    fields: &[Field { name: "mapping", kind: Kind::File, required: true }],
    facts: &["id", "handle", "action"],
    // Medusa's own advice, and measured: 122 small products a second, against 8 one by one.
    batch_default: 50,
    batch_max: 50,
    // One Node process: two batches at once were no faster than one.
    concurrency: 1,
    harmless: never,
};

/// Makes the worker of a `medusa.upsert` step.
///
/// # Errors
/// The mapping file or a field of the connection is wrong.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let shop = shop(site).map_err(|fault| vec![fault]);
    let (mapping, shop) = settings::both(settings::mapping(site), shop)?;
    Ok(Worker::Effect(Arc::new(Upsert { mapping, shop })))
}

fn shop(site: &Site<'_>) -> Result<Shop, BuildFault> {
    let is_sandbox = site.connection.is_some_and(|connection| connection.kind == "sandbox");
    let url = super::wire::base_url(&site.settings, is_sandbox)?;
    let (email, password) = if is_sandbox {
        SANDBOX
    } else {
        (settings::required(&site.settings, "email")?, settings::required(&site.settings, "password")?)
    };
    Shop::new(&url, email, password, site.step.timeout)
}

/// Reads one product: what answers knows the login.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let shop = match shop(site) {
        Ok(shop) => shop,
        Err(fault) => {
            return Diagnosis::wrong(format!("Medusa: {}", fault.message), "correct the connection");
        }
    };
    let asked = shop.get("admin/products", &[("limit", "1"), ("fields", "id")], &AtomicU64::new(0)).await;
    examine::login(&format!("Medusa at {}", shop.url()), asked.map(drop).map_err(Trouble::told))
}

struct Upsert {
    mapping: Mapping,
    shop: Shop,
}

impl Prepare for Upsert {
    /// The product as Medusa's create route takes it, with amounts as numbers.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        request::of(self.mapping.apply(scope)?)
    }
}

#[async_trait]
impl Effect for Upsert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        batch::upsert(&self.shop, calls).await
    }

    /// Looks the external ID up. Done is only what is complete: every SKU of the request has its
    /// prices, and what can be compared is equal. Anything less is "absent": the next attempt
    /// finds the product and brings it up to what is wanted.
    async fn probe(&self, call: &Call) -> Probed {
        batch::probe(&self.shop, &call.request).await
    }
}
