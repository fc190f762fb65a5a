//! Systems that have no connector of their own: `http.request` is one request of any kind,
//! `http.upsert` looks up and then creates or updates.

mod client;
mod connection;
mod request;
pub mod upsert;
mod verdict;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::examine::{self, Diagnosis};
use super::wire::Redirects;
use super::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role};
use crate::core::fault::{Fault, name};
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};
use client::Caller;
pub use connection::CONNECTION;
use request::Request;

/// What `http.request` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "http.request",
    summary: "sends one HTTP request",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[],
    fields: &[
        Field { name: "url", kind: Kind::Text, required: true },
        Field {
            name: "method",
            kind: Kind::OneOf(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
            required: false,
        },
        Field { name: "headers", kind: Kind::Any, required: false },
        Field { name: "body", kind: Kind::Any, required: false },
        Field { name: "expect", kind: Kind::Any, required: false },
    ],
    facts: &["status", "body", "body_bytes"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless,
};

/// A GET or a HEAD may be repeated: by their definition they change nothing.
fn harmless(with: &Map<String, Value>) -> bool {
    matches!(with.get("method").and_then(Value::as_str), None | Some("GET" | "HEAD"))
}

/// Makes the worker of an `http.request` step.
///
/// # Errors
/// A field is wrong, or an expression is not one.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let redirects = if harmless(&site.step.with) { Redirects::Followed } else { Redirects::Refused };
    let caller = Caller::new(site.step.timeout, redirects).map_err(|fault| vec![fault]);
    let (request, caller) = settings::both(Request::read(&site.step.with), caller)?;
    Ok(Worker::Effect(Arc::new(HttpRequest { request, caller })))
}

/// Asks for the head of what the step's address names; whatever answers is there. An address that
/// depends on the item is nobody's to ask.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let step = &site.step.name;
    let Some(url) = examine::fixed(&site.step.with, "url") else {
        let seen = format!("'{step}': its address depends on the input or the item");
        return Diagnosis::unknown(seen, "see that what it calls is there");
    };
    let request = json!({ "method": "HEAD", "url": url });
    let answered = match Caller::new(site.step.timeout, Redirects::Followed) {
        Ok(caller) => caller.send(&request, &HeaderMap::new()).await.map_err(|broken| broken.fault().message),
        Err(fault) => Err(fault.message),
    };
    match answered {
        Ok(answer) => Diagnosis::good(format!("'{step}': its server answers (HTTP {})", answer.status)),
        Err(why) => Diagnosis::wrong(format!("'{step}': {why}"), "see that the server runs, and check 'url'"),
    }
}

struct HttpRequest {
    request: Request,
    caller: Caller,
}

impl Prepare for HttpRequest {
    /// `{method, url, headers, body}` with every expression replaced.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.request.prepare(scope)
    }
}

#[async_trait]
impl Effect for HttpRequest {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            let answer = self.caller.send(&call.request, &HeaderMap::new()).await;
            outcomes.push(verdict::of(&self.request, answer));
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "a request of any kind cannot be looked up"))
    }
}
