//! Pimcore: `pimcore.upsert`, through its Data Hub GraphQL API, or (`mode: rest`, [`rest`]) through
//! routes that a site wrote for itself. Written from Data Hub's source and tried against a stand-in
//! that follows the same source; no real Pimcore was ever asked.
//!
//! Data Hub has no upsert, no precondition and no error codes: HTTP 200, `success: false` and an
//! English text. So: look up by SKU, drafts included; create or update; on a conflict look again;
//! and a classifier for the texts (`verdict`). What versions can do is data too (`profile`).
//!
//! # What the mapping gives
//!
//! Fields as Data Hub takes them; the shape tells the kind (`kinds`):
//!
//! | kind | value |
//! | --- | --- |
//! | text, number, truth value, list of texts | itself; a price may be any decimal |
//! | date | unix seconds or a date, as text |
//! | quantity value | `{value: 1.5, unit: kg}`, or `unitId` |
//! | many-to-one relation | `{type: object, id: 390}` or `{type: object, fullpath: /Categories/Home}` |
//! | many-to-many relation | a list of those; it replaces what is there |
//! | image | `{id: 101}` of an asset |
//! | image gallery | `{images: [{id: 101}]}`; it always replaces what is there |
//! | localized field | under `localized`: `{name: {en: Cup, de: Tasse}}` |
//!
//! and three members that are no fields: `key` (else the SKU), rewritten as Pimcore would;
//! `published` (true or false); `localized`. Without `published` the step's `publish` counts:
//! `true`, `false`, or `keep` (the default): an object keeps its state, and a new one is a draft.
//!
//! Localized texts are one call per language, the first of them with all other fields; where the
//! site has a locale collector for each, named by `locale_collector: "*_translated"`, one call takes
//! all. `languages` of the connection names those of the site, the default one first; then others
//! are refused before anything is sent. What is to be published is so with the last call.

mod client;
mod document;
mod kinds;
mod profile;
mod published;
mod request;
mod rest;
mod upsert;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::examine::{self, Diagnosis};
use super::wire::{self, Redirects};
use super::{BuildFault, Counterpart, STAND_IN, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::Fault;
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::core::workflow::Connection;
use crate::mapping::Mapping;
use crate::ports::{Announcer, Call, Effect, Prepare, Verdicts, Worker};
use client::Hub;
use request::Terms;
use verdict::Trouble;

/// Where objects are made when the connection does not say.
const PATH: &str = "/Products";
/// The class when the connection does not say.
const CLASS: &str = "Product";
/// The endpoint and the key of the sandbox's stand-in, which documents them.
const SANDBOX: (&str, &str) = ("products", "sandbox-key");

/// The longest that one question what is published may take: the timeout of the step that asks is how
/// long it waits for the answer it hopes for.
const ASKING: Duration = Duration::from_secs(30);

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// What a Pimcore connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "pimcore",
    summary: "Pimcore, through one Data Hub GraphQL endpoint or a site's own routes",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        optional("mode", Kind::OneOf(&["graphql", "rest"])),
        optional("endpoint", Kind::Plain),
        optional("api_key", Kind::Secret),
        optional("path", Kind::Plain),
        optional("class", Kind::Plain),
        optional("profile", Kind::OneOf(profile::NAMES)),
        optional("languages", Kind::Texts),
        optional("locale_collector", Kind::Plain),
        optional("rest", Kind::Any),
    ],
};

/// What `pimcore.upsert` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "pimcore.upsert",
    summary: "creates or updates the item's object in Pimcore, by SKU",
    role: Role::Effect { probes: true },
    place: Place::Item,
    connections: &["pimcore", STAND_IN],
    fields: &[
        Field { name: "mapping", kind: Kind::File, required: true },
        optional("publish", Kind::OneOf(&["true", "false", "keep"])),
    ],
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
    let alone = |fault| vec![fault];
    if is_rest(&site.settings).map_err(alone)? {
        let (mapping, routes) = settings::both(settings::mapping(site), rest::routes(site).map_err(alone))?;
        return Ok(Worker::Effect(Arc::new(rest::Upsert { mapping, routes })));
    }
    let hub = hub_of(site).map_err(alone);
    let (mapping, hub) = settings::both(settings::mapping(site), hub)?;
    Ok(Worker::Effect(Arc::new(Upsert { mapping, hub })))
}

fn is_rest(fields: &Map<String, Value>) -> Result<bool, BuildFault> {
    match settings::text(fields, "mode")? {
        None | Some("graphql") => Ok(false),
        Some("rest") => Ok(true),
        Some(other) => Err(BuildFault::field("mode", format!("'{other}' is not a mode: graphql or rest"))),
    }
}

/// Who is asked what is published.
///
/// # Errors
/// A field of the connection is wrong, or it goes by the site's own routes: none of them lists what is
/// published.
pub fn announcer(
    connection: &Connection,
    fields: &Map<String, Value>,
) -> Result<Arc<dyn Announcer>, Vec<BuildFault>> {
    let alone = |fault| vec![fault];
    if is_rest(fields).map_err(alone)? {
        let hint = "leave the connection of this step out, and let the PIM send signals".to_owned();
        let fault = BuildFault::field("connection", "with mode: rest nobody can be asked what is published");
        return Err(vec![BuildFault { hint: Some(hint), ..fault }]);
    }
    let hub = hub(Some(connection), fields, ASKING, None).map_err(alone)?;
    Ok(Arc::new(published::Published(hub)))
}

fn hub_of(site: &Site<'_>) -> Result<Hub, BuildFault> {
    hub(site.connection, &site.settings, site.step.timeout, publish(site)?)
}

fn hub(
    connection: Option<&Connection>,
    fields: &Map<String, Value>,
    timeout: Duration,
    publish: Option<bool>,
) -> Result<Hub, BuildFault> {
    let url = wire::base_url(fields)?;
    let (endpoint, api_key) = match connection.map(|connection| Counterpart::of(&connection.kind)) {
        Some(Counterpart::StandIn) => SANDBOX,
        Some(Counterpart::System) | None => {
            (settings::required(fields, "endpoint")?, settings::required(fields, "api_key")?)
        }
    };
    let class = settings::text(fields, "class")?.unwrap_or(CLASS);
    if !request::is_name(class) {
        return Err(BuildFault::field("class", format!("'{class}' is not the name of a class")));
    }
    let profile = settings::text(fields, "profile")?;
    let unknown = || {
        let known = profile::NAMES.join(", ");
        BuildFault::field("profile", format!("'profile' must be one of {known}"))
    };
    Ok(Hub {
        client: wire::client(timeout, Redirects::Refused)?,
        url: format!("{url}/pimcore-graphql-webservices/{endpoint}"),
        api_key: api_key.into(),
        class: class.to_owned(),
        path: settings::text(fields, "path")?.unwrap_or(PATH).trim_end_matches('/').to_owned(),
        profile: profile::named(profile).ok_or_else(unknown)?,
        terms: Terms { languages: languages(fields)?, publish },
        collector: collector(fields)?,
    })
}

/// The languages of the connection, each of which is a name.
fn languages(fields: &Map<String, Value>) -> Result<Vec<String>, BuildFault> {
    let listed = fields.get("languages").and_then(Value::as_array);
    let read = |language: &Value| match language.as_str() {
        Some(language) if request::is_name(language) => Ok(language.to_owned()),
        _ => Err(BuildFault::field("languages", format!("{language} is not a language such as en or de_AT"))),
    };
    listed.into_iter().flatten().map(read).collect()
}

/// What stands before and after the name of a field in the name of its locale collector.
fn collector(fields: &Map<String, Value>) -> Result<Option<(String, String)>, BuildFault> {
    let Some(pattern) = settings::text(fields, "locale_collector")? else { return Ok(None) };
    match pattern.split_once('*') {
        Some((before, after)) if request::is_name(&format!("{before}x{after}")) && pattern != "*" => {
            Ok(Some((before.to_owned(), after.to_owned())))
        }
        _ => {
            let message = format!("'{pattern}' is not a name with one * for the field, such as *_translated");
            Err(BuildFault::field("locale_collector", message))
        }
    }
}

/// What the step says about publishing; `None`: the state is kept.
fn publish(site: &Site<'_>) -> Result<Option<bool>, BuildFault> {
    match site.step.with.get("publish").and_then(Value::as_str) {
        None | Some("keep") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(BuildFault::field("publish", format!("'{other}' is not true, false or keep"))),
    }
}

/// Looks an object up that nobody has: what answers knows the endpoint, the key and the class.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let wrong =
        |fault: BuildFault| Diagnosis::wrong(format!("Pimcore: {}", fault.message), "correct the connection");
    match is_rest(&site.settings) {
        Ok(true) => match rest::routes(site) {
            Ok(routes) => rest::examine(&routes).await,
            Err(fault) => wrong(fault),
        },
        Ok(false) => match hub_of(site) {
            Ok(hub) => {
                let answered = hub.find("milepost-doctor").await;
                let what = format!("Pimcore at {}", hub.url);
                examine::login(&what, answered.map(drop).map_err(Trouble::told))
            }
            Err(fault) => wrong(fault),
        },
        Err(fault) => wrong(fault),
    }
}

struct Upsert {
    mapping: Mapping,
    hub: Hub,
}

impl Prepare for Upsert {
    /// `{sku, key, input, localized?, published?}`: `input` is what the mapping gives, less `key`,
    /// `published` and `localized`, which are no fields. `key` is the SKU unless the mapping gives
    /// one, written as Pimcore would write it.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        request::of(self.mapping.apply(scope)?, &self.hub.terms)
    }
}

#[async_trait]
impl Effect for Upsert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut verdicts = Verdicts { outcomes: Vec::with_capacity(calls.len()), calls: 0 };
        // One after the other, so that two units of a call never write one object at once.
        for call in calls {
            let (outcome, sent) = upsert::one(&self.hub, &call.request).await;
            verdicts.outcomes.push(outcome);
            verdicts.calls += sent;
        }
        verdicts
    }

    /// Looks the SKU up, drafts included, and compares every field of the request, the localized
    /// texts and the published state with what is there. Other content there is "absent": a repeat
    /// then is an update.
    async fn probe(&self, call: &Call) -> Probed {
        upsert::probe(&self.hub, &call.request).await
    }
}
