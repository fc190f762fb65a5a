//! `webhook.send`: tells somebody outside, signed as Standard Webhooks are. It goes to the one address of
//! its connection, and to nowhere that leads on from there.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};

use super::guard::{self, PublicOnly};
use crate::connectors::examine::Diagnosis;
use crate::connectors::wire::{self, Redirects};
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::core::time::Timestamp;
use crate::expr::Template;
use crate::ports::{Call, Clock, Effect, Prepare, Verdicts, Worker};
use crate::webhook::{Secret, SecretFault, signature};

/// What a connection to somebody who is sent webhooks takes.
pub const RECEIVER: ConnectionKind = ConnectionKind {
    name: "receiver",
    summary: "somebody who is sent signed webhooks",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "secret", kind: Kind::Secret, required: true },
        Field { name: "private", kind: Kind::OneOf(&["refused", "allowed"]), required: false },
    ],
};

/// What `webhook.send` is. Its ID is the same in every attempt, and receivers drop what they have: to
/// repeat it is harmless.
pub const SEND: Descriptor = Descriptor {
    uses: "webhook.send",
    summary: "sends a webhook, signed as Standard Webhooks are",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[RECEIVER.name],
    fields: &[
        Field { name: "type", kind: Kind::Text, required: true },
        Field { name: "data", kind: Kind::Any, required: false },
    ],
    facts: &["id"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 4,
    harmless: always,
};

/// Makes the worker of a `webhook.send` step.
///
/// # Errors
/// A field is wrong, or an expression is not one.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let receiver = Receiver::of(site).map_err(|fault| vec![fault]);
    let (content, receiver) =
        settings::both(settings::template(&site.step.with, &["type", "data"]), receiver)?;
    Ok(Worker::Effect(Arc::new(Send { content, receiver, clock: Arc::clone(&site.clock) })))
}

/// Whether something could be sent. Nothing is: whoever receives it would act on it.
pub(crate) fn examine(site: &Site<'_>) -> Diagnosis {
    let correct = "correct the connection";
    match Receiver::of(site) {
        Err(fault) => Diagnosis::wrong(fault.message, fault.hint.unwrap_or_else(|| correct.to_owned())),
        Ok(Receiver { secret: Err(fault), .. }) => Diagnosis::wrong(no_secret(fault), correct),
        Ok(Receiver { url, .. }) => {
            let host = url.host_str().unwrap_or_default();
            Diagnosis::good(format!("{host} would be sent signed webhooks; none was sent to try"))
        }
    }
}

/// Where it goes.
struct Receiver {
    url: Url,
    /// A secret that is not there looks like none: `check` needs none.
    secret: Result<Secret, SecretFault>,
    client: Client,
}

impl Receiver {
    fn of(site: &Site<'_>) -> Result<Self, BuildFault> {
        let fields = &site.settings;
        let url = address(fields)?;
        let written = settings::required(fields, "secret")?;
        let secret = Secret::standard(written);
        if let Err(fault) = &secret
            && written.starts_with("whsec_")
        {
            return Err(BuildFault::field("secret", no_secret(*fault)));
        }
        let builder = wire::builder(site.step.timeout, Redirects::Refused);
        let client = if settings::text(fields, "private")? == Some("allowed") {
            wire::built(builder)?
        } else {
            // A proxy would ask for the name a second time.
            wire::built(builder.no_proxy().dns_resolver(Arc::new(PublicOnly)))?
        };
        Ok(Self { url, secret, client })
    }
}

/// The address: an IP address in it is looked at here, because no name is looked up then.
fn address(fields: &Map<String, Value>) -> Result<Url, BuildFault> {
    let wrong = |message: &str| BuildFault::field("url", message);
    let written = wire::base_url(fields)?;
    let url = Url::parse(&written).map_err(|_| wrong("'url' is no address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("'url' carries a login: what is sent is signed instead"));
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_private = host.parse().is_ok_and(|address| !guard::is_public(address));
    if is_private && settings::text(fields, "private")? != Some("allowed") {
        return Err(wrong(guard::REFUSED));
    }
    Ok(url)
}

fn no_secret(fault: SecretFault) -> String {
    format!("the secret is none of Standard Webhooks: {fault}")
}

struct Send {
    content: Template,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
}

impl Prepare for Send {
    /// `{type, data}`: without `data` the item, and in `on_failure` how the run failed.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut content = self.content.render(scope)?;
        if !content["type"].is_string() {
            return Err(Fault::new(name::MAPPING, "'type' must give a text"));
        }
        if content.get("data").is_none() {
            content["data"] = Value::clone(&scope.item);
        }
        Ok(content)
    }
}

#[async_trait]
impl Effect for Send {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            outcomes.push(self.one(call).await);
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "who was sent a webhook cannot be asked whether it came"))
    }
}

impl Send {
    async fn one(&self, call: &Call) -> Outcome {
        let Receiver { url, secret, client } = &self.receiver;
        let secret = match secret {
            Ok(secret) => secret,
            Err(fault) => return refused(Fault::new(name::REFUSED, no_secret(*fault)), Again::Never),
        };
        let (id, now) = (format!("msg_{:032x}", call.effect_id), self.clock.now());
        let content = &call.request;
        let body = json!({ "type": content["type"], "timestamp": written(now), "data": content["data"] });
        let (body, seconds) = (body.to_string(), now.0 / 1_000);
        let request = client
            .post(url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature(secret, &id, seconds, body.as_bytes()))
            .body(body);
        match wire::send(request).await {
            Ok(answer) => match answer.status {
                200..300 => Outcome::Done(Facts::from([("id".to_owned(), Value::from(id))])),
                300..400 => refused(
                    Fault::new(name::STATUS, "it sends us elsewhere, and what is signed goes nowhere else"),
                    Again::Never,
                ),
                // Gone: the receiver wants no more (Standard Webhooks).
                410 => refused(answer.fault(), Again::Never),
                400..500 if answer.status != 408 && answer.retry_after.is_none() => {
                    refused(answer.fault(), Again::Later)
                }
                _ => answer.of_write(),
            },
            Err(broken) => broken.of_write(),
        }
    }
}

fn refused(fault: Fault, again: Again) -> Outcome {
    Outcome::Refused { fault, again }
}

/// An instant as RFC 3339 writes it.
fn written(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map(|at| at.to_string()).unwrap_or_default()
}
