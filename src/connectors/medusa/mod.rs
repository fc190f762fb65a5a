//! Medusa through its admin API: `medusa.upsert`.
//!
//! Identity is the product's `external_id`, guarded by its `handle`, which is the only unique key
//! that a product has. Read in this order:
//!
//! - `request`: what a mapped item becomes; `references`: names become ids; `group`: who goes
//!   together;
//! - `lookup`: what the shop holds, read whole; `compare`, `variants`, `plan`: what is there against
//!   what is wanted, and from that what to write (pure; a create that died leaves half a product
//!   behind, so "it exists" says nothing);
//! - `batch`: creates and updates as one all-or-nothing call; when that is refused, `culprit` reads
//!   who is to blame, or it is halved until the culprit stands alone; `orphans`: what a dead create
//!   leaves in the way;
//! - `reads`: after an unclear end, two looks that agree; `stock`, `storefront`: what hangs on a
//!   product;
//! - `client`, `login`, `verdict`: one server, the way in, what its answers mean.
//!
//! One product is written by one call at a time: the engine locks its key, calls of a step go one
//! after the other, and two units for one product in a call are written one after the other. Medusa
//! itself does not guard against that: two updates at once leave two prices in one currency.

mod batch;
mod client;
mod compare;
mod culprit;
mod group;
mod login;
mod lookup;
mod orphans;
mod plan;
mod reads;
mod references;
mod refuse;
mod request;
mod stock;
mod storefront;
mod variants;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::examine::{self, Diagnosis};
use super::{BuildFault, Counterpart, STAND_IN, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::Fault;
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::mapping::Mapping;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};
use batch::Trade;
use client::Shop;
use login::Credentials;
use reads::Reads;
use references::{CREATE, MUST_EXIST, Options, References};
use storefront::Storefront;
use variants::Surplus;
use verdict::Trouble;

/// The login of the sandbox's stand-in, which documents it.
const SANDBOX: (&str, &str) = ("sandbox@milepost.invalid", "sandbox");

/// The publishable key of the sandbox's stand-in.
const SANDBOX_KEY: &str = "pk_sandbox";

/// `storefront`: a product that buyers do not see is a failure.
const STOREFRONT_VERIFY: &str = "verify";
/// `variants`: those that nobody wants stay. The default.
const VARIANTS_KEEP: &str = "keep";
/// `variants`: those that nobody wants are deleted.
const VARIANTS_EXACT: &str = "exact";

/// What a Medusa connection takes: `email` and `password`, or `api_key`.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "medusa",
    summary: "Medusa, through its admin API",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "email", kind: Kind::Plain, required: false },
        Field { name: "password", kind: Kind::Secret, required: false },
        // In place of a login. It costs the server a password hash for every request: 120 ms
        // instead of 10, measured.
        Field { name: "api_key", kind: Kind::Secret, required: false },
        // How products are put into the shop, not which shop it is, so none of these is `Plain`.
        // By name or id; without: the store's default channel, the only profile, the only location.
        Field { name: "sales_channels", kind: Kind::Texts, required: false },
        Field { name: "shipping_profile", kind: Kind::Any, required: false },
        Field { name: "stock_location", kind: Kind::Any, required: false },
        // Those that prices may be in; without: those of the store.
        Field { name: "currencies", kind: Kind::Texts, required: false },
        // For `storefront: verify`: the key that the storefront uses, and the id of the region whose
        // prices buyers see.
        Field { name: "publishable_key", kind: Kind::Any, required: false },
        Field { name: "region", kind: Kind::Any, required: false },
    ],
};

/// What `medusa.upsert` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "medusa.upsert",
    summary: "creates or updates the item's product in Medusa, by external ID",
    role: Role::Effect { probes: true },
    place: Place::Item,
    connections: &["medusa", STAND_IN],
    fields: &[
        Field { name: "mapping", kind: Kind::File, required: true },
        // Of categories that the shop does not have: they are made, or the product is refused.
        Field { name: "categories", kind: Kind::OneOf(&[CREATE, MUST_EXIST]), required: false },
        // Whether each product is looked up as buyers see it, after it was written.
        Field { name: "storefront", kind: Kind::OneOf(&[STOREFRONT_VERIFY]), required: false },
        // Of variants that the shop has and the mapping does not give: they stay, or are deleted.
        Field { name: "variants", kind: Kind::OneOf(&[VARIANTS_KEEP, VARIANTS_EXACT]), required: false },
    ],
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
    let trade = trade(site).map_err(|fault| vec![fault]);
    let (mapping, trade) = settings::both(settings::mapping(site), trade)?;
    Ok(Worker::Effect(Arc::new(Upsert { mapping, trade })))
}

fn trade(site: &Site<'_>) -> Result<Trade, BuildFault> {
    let surplus = match settings::text(&site.step.with, "variants")? {
        None | Some(VARIANTS_KEEP) => Surplus::Keep,
        Some(VARIANTS_EXACT) => Surplus::Delete,
        Some(_) => return Err(BuildFault::field("variants", "'variants' must be 'keep' or 'exact'")),
    };
    Ok(Trade {
        shop: shop(site)?,
        references: References::new(Options::of(&site.step.with, &site.settings)?),
        reads: Reads::new(reads::APART),
        surplus,
        storefront: storefront(site)?,
    })
}

/// Where written products are looked for, if the step says so.
fn storefront(site: &Site<'_>) -> Result<Option<Storefront>, BuildFault> {
    let settings = &site.settings;
    if settings::text(&site.step.with, "storefront")?.is_none() {
        return Ok(None);
    }
    let key = match settings::text(settings, "publishable_key")? {
        Some(key) => key,
        None if site.counterpart() == Counterpart::StandIn => SANDBOX_KEY,
        None => {
            return Err(BuildFault {
                hint: Some("the shop's settings list the publishable keys; it begins with pk_".to_owned()),
                ..BuildFault::field(
                    "publishable_key",
                    "'storefront: verify' needs 'publishable_key' in the connection",
                )
            });
        }
    };
    let url = super::wire::base_url(settings)?;
    Storefront::new(&url, key, settings::text(settings, "region")?, site.step.timeout).map(Some)
}

fn shop(site: &Site<'_>) -> Result<Shop, BuildFault> {
    let url = super::wire::base_url(&site.settings)?;
    let credentials = match site.counterpart() {
        Counterpart::StandIn => Credentials::Login { email: SANDBOX.0.into(), password: SANDBOX.1.into() },
        Counterpart::System => credentials(&site.settings)?,
    };
    Shop::new(&url, credentials, site.step.timeout)
}

fn credentials(settings: &Map<String, Value>) -> Result<Credentials, BuildFault> {
    match settings::text(settings, "api_key")? {
        None => Ok(Credentials::Login {
            email: settings::required(settings, "email")?.into(),
            password: settings::required(settings, "password")?.into(),
        }),
        Some(_) if settings.contains_key("email") || settings.contains_key("password") => Err(BuildFault {
            hint: Some("a login is the lighter of the two for the server".to_owned()),
            ..BuildFault::field("api_key", "give either 'api_key' or 'email' and 'password'")
        }),
        Some(_) => Ok(Credentials::Key(settings::required(settings, "api_key")?.into())),
    }
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
    trade: Trade,
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
        batch::upsert(&self.trade, calls).await
    }

    async fn probe(&self, call: &Call) -> Probed {
        batch::probe(&self.trade, &call.request).await
    }
}
