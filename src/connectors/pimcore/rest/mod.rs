//! `mode: rest`: a site's own routes, because Pimcore itself has none for products. The connection
//! describes them:
//!
//! ```yaml
//! pim:
//!   use: pimcore
//!   mode: rest
//!   url: https://pim.example
//!   api_key: "${env:PIM_KEY}"
//!   rest:
//!     key_header: X-API-Key                 # carries the key; this is the default
//!     body: product                         # the mapping goes under this member; else it is the body
//!     create: { method: POST, path: /api/products }        # the default
//!     lookup: { path: "/api/products?sku={sku}", object: items.0, id: id }
//!     update: { method: PUT, path: "/api/products/{id}" }  # else the create is sent again
//!     id: product.id                        # where an answer to a write has the id
//!     statuses: { 409: exists, 404: gone, 423: later }     # done, exists, gone, refused, later, unclear
//! ```
//!
//! With a lookup the flow is that of Data Hub: look, create or update, look again on a conflict.
//! Without one the create must be an upsert by itself, and a doubt stays one until a person settles
//! it. Every write carries the effect's ID as `Idempotency-Key`, for sites that know it.

mod terms;

use async_trait::async_trait;
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::kinds;
use super::request;
use crate::connectors::examine::{self, Diagnosis};
use crate::connectors::wire::{self, Answer, Redirects};
use crate::connectors::{BuildFault, Site, settings};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::mapping::Mapping;
use crate::ports::{Call, Effect, Prepare, Verdicts};
use terms::{Lookup, Meaning, Route, Terms, inside};

/// A site with its key.
pub(super) struct Routes {
    client: Client,
    url: String,
    api_key: Option<SecretString>,
    terms: Terms,
}

/// The step over a site's own routes.
pub(super) struct Upsert {
    pub(super) mapping: Mapping,
    pub(super) routes: Routes,
}

/// How a write ended, when it ended.
enum Written {
    Done(Facts),
    /// The product is there, or is gone: the status says what was not known before.
    Otherwise(Answer),
}

/// The routes that a connection describes.
///
/// # Errors
/// A field is missing or wrong.
pub(super) fn routes(site: &Site<'_>) -> Result<Routes, BuildFault> {
    if site.step.with.contains_key("publish") {
        let message = "'publish' belongs to mode graphql: here the mapping says what the site takes";
        return Err(BuildFault::field("publish", message));
    }
    Ok(Routes {
        client: wire::client(site.step.timeout, Redirects::Refused)?,
        url: wire::base_url(&site.settings)?,
        api_key: settings::text(&site.settings, "api_key")?.map(Into::into),
        terms: terms::read(&site.settings)?,
    })
}

/// Looks a product up that nobody has. Without a lookup nothing can be asked that changes nothing.
pub(super) async fn examine(routes: &Routes) -> Diagnosis {
    let what = format!("Pimcore's own routes at {}", routes.url);
    match &routes.terms.lookup {
        Some(lookup) => {
            let answered = routes.find(lookup, "milepost-doctor").await;
            examine::login(&what, answered.map(drop))
        }
        None => Diagnosis::unknown(
            format!("{what}: the connection describes no lookup, and a write would change something"),
            "add rest.lookup, or see yourself that it answers",
        ),
    }
}

impl Prepare for Upsert {
    /// `{sku, body}`.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let Value::Object(mapped) = self.mapping.apply(scope)? else {
            return Err(Fault::new(name::MAPPING, "the mapping must give an object"));
        };
        let sku = request::sku(&mapped)?;
        let body = match &self.routes.terms.body {
            Some(member) => Value::Object(Map::from_iter([(member.clone(), Value::Object(mapped))])),
            None => Value::Object(mapped),
        };
        Ok(json!({ "sku": sku, "body": body }))
    }
}

#[async_trait]
impl Effect for Upsert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut verdicts = Verdicts { outcomes: Vec::with_capacity(calls.len()), calls: 0 };
        for call in calls {
            let outcome = self.routes.upsert(call, &mut verdicts.calls).await;
            verdicts.outcomes.push(outcome.map_or_else(|outcome| outcome, Outcome::Done));
        }
        verdicts
    }

    /// Looks the SKU up, where there is a lookup, and compares what the mapping gives with the
    /// members of the same names.
    async fn probe(&self, call: &Call) -> Probed {
        let terms = &self.routes.terms;
        let Some(lookup) = &terms.lookup else {
            return Probed::Unknown(Fault::new(name::REFUSED, "the connection describes no lookup"));
        };
        let body = &call.request["body"];
        let wanted = terms.body.as_ref().map_or(body, |member| &body[member.as_str()]);
        match self.routes.find(lookup, sku(call)).await {
            Ok(Some((id, object))) if kinds::holds(&object, wanted) => Probed::Done(facts(&id, "found")),
            Ok(_) => Probed::Absent,
            Err((fault, _)) => Probed::Unknown(fault),
        }
    }
}

impl Routes {
    async fn upsert(&self, call: &Call, sent: &mut u64) -> Result<Facts, Outcome> {
        let mut known = self.look(call, sent).await?;
        // Twice, because what a write says may show that the look was already old.
        for last in [false, true] {
            let written = match (&known, &self.terms.update) {
                (Some(id), Some(update)) => self.write(update, call, id, "updated", sent).await?,
                (Some(id), None) => self.write(&self.terms.create, call, id, "updated", sent).await?,
                (None, _) => self.write(&self.terms.create, call, "", "created", sent).await?,
            };
            let answer = match written {
                Written::Done(facts) => return Ok(facts),
                Written::Otherwise(answer) => answer,
            };
            let can_look = self.terms.lookup.is_some();
            if last || !can_look {
                let again = if can_look { Again::Later } else { Again::Never };
                return Err(Outcome::Refused { fault: answer.fault(), again });
            }
            known = self.look(call, sent).await?;
        }
        Err(Outcome::Unclear(Fault::new(name::NO_ANSWER, "nothing was answered")))
    }

    async fn look(&self, call: &Call, sent: &mut u64) -> Result<Option<String>, Outcome> {
        let Some(lookup) = &self.terms.lookup else { return Ok(None) };
        *sent += 1;
        let refused = |(fault, again)| Outcome::Refused { fault, again };
        Ok(self.find(lookup, sku(call)).await.map_err(refused)?.map(|(id, _)| id))
    }

    /// The id and the object of a SKU; `None`: there is none.
    async fn find(&self, lookup: &Lookup, sku: &str) -> Result<Option<(String, Value)>, (Fault, Again)> {
        let request = self.request(&lookup.route, sku, "");
        let answer = wire::send(request).await.map_err(|broken| (broken.fault(), Again::Later))?;
        match (answer.status, answer.json()) {
            (404, _) => Ok(None),
            (200..300, Some(body)) => {
                let object = inside(&body, &lookup.object);
                Ok(id_at(object, &lookup.id).map(|id| (id, object.clone())))
            }
            (204, None) => Ok(None),
            (200..300, None) => {
                Err((Fault::new(name::NO_ANSWER, "the answer to the lookup is not JSON"), Again::Later))
            }
            _ => Err((answer.fault(), answer.again_of_read())),
        }
    }

    async fn write(
        &self,
        route: &Route,
        call: &Call,
        id: &str,
        action: &str,
        sent: &mut u64,
    ) -> Result<Written, Outcome> {
        *sent += 1;
        let key = uuid::Uuid::from_u128(call.effect_id).to_string();
        let request = self.request(route, sku(call), id).header("Idempotency-Key", key);
        let answer = wire::send(request.json(&call.request["body"])).await.map_err(wire::Broken::of_write)?;
        match self.meaning(&answer) {
            Some(Meaning::Done) => {
                let body = answer.json();
                if body.is_none() && !answer.body.is_empty() {
                    // A page for people, where a login or a proxy answers in place of the route.
                    return Err(Outcome::Unclear(Fault::new(name::NO_ANSWER, "the answer is not JSON")));
                }
                let told = body.and_then(|body| id_at(&body, &self.terms.id));
                Ok(Written::Done(facts(told.as_deref().unwrap_or(id), action)))
            }
            Some(Meaning::Exists | Meaning::Gone) => Ok(Written::Otherwise(answer)),
            Some(Meaning::Refused) => Err(Outcome::Refused { fault: answer.fault(), again: Again::Never }),
            Some(Meaning::Later) => {
                let again = answer.retry_after.map_or(Again::Later, Again::After);
                Err(Outcome::Refused { fault: answer.fault(), again })
            }
            Some(Meaning::Unclear) => Err(Outcome::Unclear(answer.fault())),
            None => Err(answer.of_write()),
        }
    }

    /// What a status means: what the connection says, else 2xx is done and the rest is HTTP's.
    fn meaning(&self, answer: &Answer) -> Option<Meaning> {
        let told = self.terms.statuses.iter().find(|(status, _)| *status == answer.status);
        told.map(|(_, meaning)| *meaning).or((200..300).contains(&answer.status).then_some(Meaning::Done))
    }

    fn request(&self, route: &Route, sku: &str, id: &str) -> reqwest::RequestBuilder {
        // Only methods that the terms know come here.
        let method = Method::from_bytes(route.method.as_bytes()).unwrap_or(Method::POST);
        let request = self.client.request(method, format!("{}{}", self.url, route.path(sku, id)));
        match &self.api_key {
            Some(key) => request.header(&self.terms.key_header, key.expose_secret()),
            None => request,
        }
    }
}

fn id_at(value: &Value, path: &[String]) -> Option<String> {
    match inside(value, path) {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn facts(id: &str, action: &str) -> Facts {
    let mut facts = Facts::from([("action".to_owned(), Value::from(action))]);
    if !id.is_empty() {
        facts.insert("id".to_owned(), Value::from(id));
    }
    facts
}

fn sku(call: &Call) -> &str {
    call.request["sku"].as_str().unwrap_or_default()
}
