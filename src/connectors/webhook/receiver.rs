//! Somebody outside who is sent signed webhooks: by a step, or because a run has something to tell.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url};
use serde_json::{Map, Value};

use super::guard::{self, PublicOnly};
use crate::connectors::alerts::{Errand, TIMEOUT, body};
use crate::connectors::examine::Diagnosis;
use crate::connectors::wire::{self, Answer, Broken, Redirects};
use crate::connectors::{BuildFault, settings};
use crate::core::alert::{self, Alert};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use crate::core::fault::{Fault, name};
use crate::core::time::Timestamp;
use crate::ports::{Clock, Courier};
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

/// Whether something could be sent. Nothing is: whoever receives it would act on it.
pub(crate) fn examine(fields: &Map<String, Value>) -> Diagnosis {
    let correct = "correct the connection";
    match Receiver::of(fields, TIMEOUT) {
        Err(fault) => Diagnosis::wrong(fault.message, fault.hint.unwrap_or_else(|| correct.to_owned())),
        Ok(Receiver { secret: Err(fault), .. }) => Diagnosis::wrong(no_secret(fault), correct),
        Ok(Receiver { url, .. }) => {
            let host = url.host_str().unwrap_or_default();
            Diagnosis::good(format!("{host} would be sent signed webhooks; none was sent to try"))
        }
    }
}

/// Where webhooks go.
pub(super) struct Receiver {
    url: Url,
    /// A secret that is not there looks like none: `check` needs none.
    secret: Result<Secret, SecretFault>,
    client: Client,
}

impl Receiver {
    /// Who is sent what; each request may take `timeout`. The fields have their variables replaced.
    ///
    /// # Errors
    /// A field is wrong, or the address is one where nothing may go.
    pub(super) fn of(fields: &Map<String, Value>, timeout: Duration) -> Result<Self, BuildFault> {
        let url = address(fields)?;
        let written = settings::required(fields, "secret")?;
        let secret = Secret::standard(written);
        if let Err(fault) = &secret
            && written.starts_with("whsec_")
        {
            return Err(BuildFault::field("secret", no_secret(*fault)));
        }
        let builder = wire::builder(timeout, Redirects::Refused);
        let client = if settings::text(fields, "private")? == Some("allowed") {
            wire::built(builder)?
        } else {
            // A proxy would ask for the name a second time.
            wire::built(builder.no_proxy().dns_resolver(Arc::new(PublicOnly)))?
        };
        Ok(Self { url, secret, client })
    }

    /// Sends a body under an ID, signed as of now.
    ///
    /// # Errors
    /// There was no answer; or nothing was sent, because there is no secret.
    pub(super) async fn send(&self, id: &str, body: &Value, now: Timestamp) -> Result<Answer, Broken> {
        let secret = self.secret.as_ref().map_err(|fault| Broken::unsendable(&no_secret(*fault)))?;
        let (body, seconds) = (body.to_string(), now.0 / 1_000);
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature(secret, id, seconds, body.as_bytes()))
            .body(body);
        wire::send(request).await
    }
}

/// What is said of an answer that leads on.
pub(super) fn elsewhere() -> Fault {
    Fault::new(name::STATUS, "it sends us elsewhere, and what is signed goes nowhere else")
}

/// The address: an IP address in it is looked at here, because no name is looked up then.
fn address(fields: &Map<String, Value>) -> Result<Url, BuildFault> {
    let wrong = |message: &str| BuildFault::field("url", message);
    let written = wire::base_url(fields, false)?;
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

/// Makes who carries alerts to a receiver.
///
/// # Errors
/// A field of the connection is wrong.
pub(crate) fn courier(errand: &Errand<'_>) -> Result<Arc<dyn Courier>, Vec<BuildFault>> {
    let receiver = Receiver::of(errand.settings, TIMEOUT).map_err(|fault| vec![fault])?;
    Ok(Arc::new(Messenger { receiver, clock: Arc::clone(&errand.clock) }))
}

struct Messenger {
    receiver: Receiver,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Courier for Messenger {
    async fn deliver(&self, alert: &Alert) -> alert::Answer {
        match self.receiver.send(&alert.name(), &body(alert), self.clock.now()).await {
            Ok(answer) => match answer.status {
                200..300 => alert::Answer::Taken,
                300..400 => alert::Answer::Failed { fault: elsewhere(), pause: None },
                // Gone: the receiver wants no more (Standard Webhooks, section "Deliverability and reliability").
                410 => alert::Answer::Unwanted(answer.fault()),
                429 | 503 => alert::Answer::Failed { fault: answer.fault(), pause: answer.retry_after },
                _ => alert::Answer::Failed { fault: answer.fault(), pause: None },
            },
            Err(broken) => alert::Answer::Failed { fault: broken.fault(), pause: None },
        }
    }
}
