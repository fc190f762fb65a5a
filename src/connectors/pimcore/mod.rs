//! Pimcore through its Data Hub GraphQL API: `pimcore.upsert`.
//!
//! Data Hub has no upsert, no precondition and no error codes: HTTP 200, `success: false` and an
//! English text. So: look up by SKU, create or update, on a conflict look again; and a classifier
//! for the texts (`verdict`). This is the simple form: plain fields, one language; relations,
//! localized fields, quantity values in the probe, folders and publish-on-update come with the
//! issue "PIM and shop".

mod client;
mod published;
mod request;
mod upsert;
mod verdict;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::examine::{self, Diagnosis};
use super::wire::{self, Redirects};
use super::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::Fault;
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::mapping::Mapping;
use crate::ports::{Announcer, Call, Effect, Prepare, Verdicts, Worker};
use client::Hub;
use verdict::Trouble;

/// Where objects are made when the connection does not say.
const PATH: &str = "/Products";
/// The class when the connection does not say.
const CLASS: &str = "Product";
/// The endpoint and the key of the sandbox's stand-in, which documents them.
const SANDBOX: (&str, &str) = ("products", "sandbox-key");

/// What a Pimcore connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "pimcore",
    summary: "Pimcore, through one Data Hub GraphQL endpoint",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "endpoint", kind: Kind::Plain, required: true },
        Field { name: "api_key", kind: Kind::Secret, required: true },
        Field { name: "path", kind: Kind::Plain, required: false },
        Field { name: "class", kind: Kind::Plain, required: false },
    ],
};

/// What `pimcore.upsert` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "pimcore.upsert",
    summary: "creates or updates the item's object in Pimcore, by SKU",
    role: Role::Effect { probes: true },
    place: Place::Item,
    connections: &["pimcore", "sandbox"],
    fields: &[Field { name: "mapping", kind: Kind::File, required: true }],
    facts: &["id", "version", "modified", "action"],
    // Data Hub has no bulk call; what is at work at once is what counts.
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless: never,
};

/// Makes the worker of a `pimcore.upsert` step.
///
/// # Errors
/// The mapping file or a field of the connection is wrong.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let hub = hub(site).map_err(|fault| vec![fault]);
    let (mapping, hub) = settings::both(settings::mapping(site), hub)?;
    Ok(Worker::Effect(Arc::new(Upsert { mapping, hub })))
}

/// Who is asked what is published.
///
/// # Errors
/// A field of the connection is wrong.
pub fn announcer(site: &Site<'_>) -> Result<Arc<dyn Announcer>, Vec<BuildFault>> {
    let hub = hub(site).map_err(|fault| vec![fault])?;
    Ok(Arc::new(published::Published(hub)))
}

fn hub(site: &Site<'_>) -> Result<Hub, BuildFault> {
    let is_sandbox = site.connection.is_some_and(|connection| connection.kind == "sandbox");
    let url = wire::base_url(&site.settings, is_sandbox)?;
    let (endpoint, api_key) = if is_sandbox {
        SANDBOX
    } else {
        (settings::required(&site.settings, "endpoint")?, settings::required(&site.settings, "api_key")?)
    };
    let class = settings::text(&site.settings, "class")?.unwrap_or(CLASS);
    if !request::is_name(class) {
        return Err(BuildFault::field("class", format!("'{class}' is not the name of a class")));
    }
    Ok(Hub {
        client: wire::client(site.step.timeout, Redirects::Refused)?,
        url: format!("{url}/pimcore-graphql-webservices/{endpoint}"),
        api_key: api_key.into(),
        class: class.to_owned(),
        path: settings::text(&site.settings, "path")?.unwrap_or(PATH).trim_end_matches('/').to_owned(),
    })
}

/// Looks an object up that nobody has: what answers knows the endpoint, the key and the class.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let hub = match hub(site) {
        Ok(hub) => hub,
        Err(fault) => {
            return Diagnosis::wrong(format!("Pimcore: {}", fault.message), "correct the connection");
        }
    };
    let answered = hub.find("milepost-doctor", &[]).await;
    examine::login(&format!("Pimcore at {}", hub.url), answered.map(drop).map_err(Trouble::told))
}

struct Upsert {
    mapping: Mapping,
    hub: Hub,
}

impl Prepare for Upsert {
    /// `{sku, key, published?, input}`: `input` is what the mapping gives, less `key` and
    /// `published`, which are arguments and not fields. `key` is the SKU unless the mapping gives
    /// one, written as Pimcore would write it.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        request::of(self.mapping.apply(scope)?)
    }
}

#[async_trait]
impl Effect for Upsert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut verdicts = Verdicts { outcomes: Vec::with_capacity(calls.len()), calls: 0 };
        for call in calls {
            let (outcome, sent) = upsert::one(&self.hub, &call.request).await;
            verdicts.outcomes.push(outcome);
            verdicts.calls += sent;
        }
        verdicts
    }

    /// Looks the SKU up, drafts included, and compares the plain fields of the request with what
    /// is there. Other content there is "absent": a repeat then is an update.
    async fn probe(&self, call: &Call) -> Probed {
        upsert::probe(&self.hub, &call.request).await
    }
}
