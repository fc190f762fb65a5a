//! `s3.read`: what an object is, and what it holds when it is small.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::address::Address;
use super::refusal::{self, Asked};
use super::transfer::{Limits, Transfer};
use crate::connectors::aws::session::Session;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Outcome, Probed};
use crate::core::run::Origin;
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Unread, Verdicts, Worker};

/// Most bytes of content, when the step does not say less. Facts live with the item in records of at
/// most 4 KB.
const CONTENT_BYTES_MAX: u64 = 2048;

/// What `s3.read` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "s3.read",
    summary: "reads one small object of S3, or only what it is",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &["s3"],
    fields: &[
        Field { name: "uri", kind: Kind::Text, required: true },
        Field { name: "as", kind: Kind::OneOf(&["json", "text", "none"]), required: false },
        Field { name: "max_bytes", kind: Kind::Size, required: false },
    ],
    facts: &["etag", "version", "size", "content"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless: always,
};

/// Makes the worker.
///
/// # Errors
/// Every field that is wrong.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let with = &site.step.with;
    let template = settings::template(with, &["uri"]);
    let form = settings::text(with, "as").and_then(Form::read).map_err(|fault| vec![fault]);
    let most = most(settings::count(with, "max_bytes")).map_err(|fault| vec![fault]);
    let (template, (form, bytes_max)) = settings::both(template, settings::both(form, most))?;
    let limits = super::limits(site, bytes_max);
    Ok(Worker::Effect(Arc::new(ReadObject {
        template,
        form,
        limits,
        session: Session::new(site.step.timeout),
    })))
}

fn most(said: Result<Option<u64>, BuildFault>) -> Result<u64, BuildFault> {
    match said? {
        Some(bytes) if bytes > CONTENT_BYTES_MAX => Err(BuildFault {
            hint: Some(
                "larger content belongs into a source, or is read by its reader; 'as: none' reads none"
                    .to_owned(),
            ),
            ..BuildFault::field("max_bytes", "an item keeps at most 2 KiB of content")
        }),
        said => Ok(said.unwrap_or(CONTENT_BYTES_MAX)),
    }
}

/// How the content is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Text,
    None,
}

impl Form {
    fn read(word: Option<&str>) -> Result<Self, BuildFault> {
        match word {
            None | Some("json") => Ok(Self::Json),
            Some("text") => Ok(Self::Text),
            Some("none") => Ok(Self::None),
            Some(_) => Err(BuildFault::field("as", "'as' must be json, text or none")),
        }
    }
}

pub(super) struct ReadObject {
    pub(super) template: Template,
    pub(super) form: Form,
    pub(super) limits: Limits,
    pub(super) session: Session,
}

impl Prepare for ReadObject {
    /// `{uri}`.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.template.render(scope)?;
        let uri = rendered["uri"].as_str().ok_or_else(|| Fault::new(name::MAPPING, "'uri' is not text"))?;
        Address::parse(uri).map_err(|why| Fault::new(name::MAPPING, why))?;
        Ok(json!({ "uri": uri }))
    }
}

#[async_trait]
impl Effect for ReadObject {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            outcomes.push(match self.read(&call.request).await {
                Ok(facts) => Outcome::Done(facts),
                Err(Unread { fault, again }) => Outcome::Refused { fault, again },
            });
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Absent
    }
}

impl ReadObject {
    async fn read(&self, request: &Value) -> Result<Facts, Unread> {
        let uri = request["uri"].as_str().unwrap_or_default();
        let address = Address::parse(uri).map_err(|why| Fault::new(name::MAPPING, why))?;
        let client = self.session.s3().await;
        if self.form == Form::None {
            let asked = client.head_object().bucket(&address.bucket).key(&address.key);
            let answer = asked.set_version_id(address.version.clone()).send().await;
            let answer =
                answer.map_err(|error| refusal::unread(refusal::of(Asked::Head, &address, error)))?;
            return Ok(super::write::facts(answer.e_tag(), answer.version_id(), answer.content_length()));
        }
        let mut transfer = Transfer::start(client, address, self.limits).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = transfer.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        let Origin { etag, version, .. } = transfer.origin();
        let size = i64::try_from(bytes.len()).ok();
        let mut facts = super::write::facts(etag.as_deref(), version.as_deref(), size);
        facts.insert(
            "content".to_owned(),
            self.content(bytes).map_err(|why| Fault::new(name::VALIDATION, format!("{uri}: {why}")))?,
        );
        Ok(facts)
    }

    fn content(&self, bytes: Vec<u8>) -> Result<Value, String> {
        match self.form {
            Form::Json => serde_json::from_slice(&bytes)
                .map_err(|error| format!("the content is not JSON: {error}; 'as: text' takes it as it is")),
            Form::Text => String::from_utf8(bytes)
                .map(Value::from)
                .map_err(|_| "the content is not UTF-8; 'as: none' takes none".to_owned()),
            Form::None => Ok(Value::Null),
        }
    }
}
