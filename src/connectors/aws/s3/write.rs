//! `s3.write`: puts one object. Each carries the ID of its effect in its metadata, so that a write
//! without an answer can be looked up.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::address::Address;
use super::refusal::{self, Asked};
use crate::connectors::aws::session::Session;
use crate::connectors::aws::trouble::Trouble;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role};
use crate::core::cell::{Facts, SkipReason};
use crate::core::digest::hex;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// The metadata that names the effect which wrote an object.
const EFFECT: &str = "milepost-effect";
/// The metadata that holds the SHA-256 of what it wrote.
const DIGEST: &str = "milepost-digest";

/// What `s3.write` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "s3.write",
    summary: "writes one object of S3",
    role: Role::Effect { probes: true },
    place: Place::Anywhere,
    connections: &["s3"],
    fields: &[
        Field { name: "uri", kind: Kind::Text, required: true },
        Field { name: "body", kind: Kind::Any, required: true },
        Field { name: "content_type", kind: Kind::Text, required: false },
        Field { name: "if_absent", kind: Kind::Bool, required: false },
    ],
    facts: &["etag", "version", "size"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless,
};

/// An object that is only put where none is cannot be put twice.
fn harmless(with: &Map<String, Value>) -> bool {
    with.get("if_absent") == Some(&Value::Bool(true))
}

/// Makes the worker.
///
/// # Errors
/// Every field that is wrong.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let template = settings::template(&site.step.with, &["uri", "body", "content_type"])?;
    let if_absent = harmless(&site.step.with);
    Ok(Worker::Effect(Arc::new(WriteObject {
        template,
        if_absent,
        session: Session::new(site.step.timeout),
    })))
}

/// `etag` without its quotes, `version` where there are versions, `size` in bytes.
pub(super) fn facts(etag: Option<&str>, version: Option<&str>, size: Option<i64>) -> Facts {
    let etag = etag.map(|etag| ("etag".to_owned(), Value::from(etag.trim_matches('"'))));
    let version = version.map(|version| ("version".to_owned(), Value::from(version)));
    let size = size.map(|size| ("size".to_owned(), Value::from(size)));
    [etag, version, size].into_iter().flatten().collect()
}

pub(super) struct WriteObject {
    pub(super) template: Template,
    pub(super) if_absent: bool,
    pub(super) session: Session,
}

impl Prepare for WriteObject {
    /// `{uri, body, content_type}`.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.template.render(scope)?;
        let uri = rendered["uri"].as_str().ok_or_else(|| Fault::new(name::MAPPING, "'uri' is not text"))?;
        let address = Address::parse(uri).map_err(|why| Fault::new(name::MAPPING, why))?;
        if address.version.is_some() {
            let message = format!("{uri}: S3 gives a version when it writes; leave '?versionId=' out");
            return Err(Fault::new(name::MAPPING, message));
        }
        let body = &rendered["body"];
        let unsaid = if body.is_string() { "text/plain; charset=utf-8" } else { "application/json" };
        let content_type = rendered["content_type"].as_str().unwrap_or(unsaid);
        Ok(json!({ "uri": uri, "body": body, "content_type": content_type }))
    }
}

/// What is put where.
struct Object {
    address: Address,
    content_type: String,
    bytes: Vec<u8>,
    digest: String,
    effect: String,
}

impl Object {
    /// A body that is text is written as it is, any other as JSON.
    fn of(call: &Call) -> Result<Self, Fault> {
        let request = &call.request;
        let address = Address::parse(request["uri"].as_str().unwrap_or_default());
        let bytes = match &request["body"] {
            Value::String(text) => text.clone().into_bytes(),
            body => body.to_string().into_bytes(),
        };
        Ok(Self {
            address: address.map_err(|why| Fault::new(name::MAPPING, why))?,
            content_type: request["content_type"].as_str().unwrap_or_default().to_owned(),
            digest: hex(&Sha256::digest(&bytes)),
            bytes,
            effect: Uuid::from_u128(call.effect_id).to_string(),
        })
    }

    fn is_ours(&self, found: &HeadObjectOutput) -> bool {
        found.metadata().and_then(|known| known.get(EFFECT)) == Some(&self.effect)
    }

    fn has_our_content(&self, found: &HeadObjectOutput) -> bool {
        found.metadata().and_then(|known| known.get(DIGEST)) == Some(&self.digest)
    }
}

#[async_trait]
impl Effect for WriteObject {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut verdicts = Verdicts { outcomes: Vec::with_capacity(calls.len()), calls: 0 };
        for call in calls {
            let outcome = match Object::of(call) {
                Ok(object) => self.put(&object, &mut verdicts.calls).await,
                Err(fault) => Outcome::Refused { fault, again: Again::Never },
            };
            verdicts.outcomes.push(outcome);
        }
        verdicts
    }

    /// Whether the object at that key was written by this effect. One that another has written since
    /// hides ours: then this effect is not there.
    async fn probe(&self, call: &Call) -> Probed {
        let object = match Object::of(call) {
            Ok(object) => object,
            Err(fault) => return Probed::Unknown(fault),
        };
        match head(&self.session.s3().await, &object.address).await {
            Ok(Some(found)) if object.is_ours(&found) => Probed::Done(facts_of(&found)),
            Ok(_) => Probed::Absent,
            Err(trouble) => Probed::Unknown(trouble.fault()),
        }
    }
}

impl WriteObject {
    async fn put(&self, object: &Object, sent: &mut u64) -> Outcome {
        let client = self.session.s3().await;
        let Address { bucket, key, .. } = &object.address;
        let asked = client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(&object.content_type)
            .metadata(EFFECT, &object.effect)
            .metadata(DIGEST, &object.digest)
            // S3 refuses what arrives damaged.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_if_none_match(self.if_absent.then(|| "*".to_owned()))
            .body(ByteStream::from(object.bytes.clone()));
        *sent += 1;
        match asked.send().await {
            Ok(done) => {
                Outcome::Done(facts(done.e_tag(), done.version_id(), i64::try_from(object.bytes.len()).ok()))
            }
            Err(error) => match refusal::of(Asked::Put, &object.address, error) {
                Trouble::Refused { code, .. } if code == "PreconditionFailed" => {
                    *sent += 1;
                    occupied(object, head(&client, &object.address).await)
                }
                // Another write of the same key is under way.
                Trouble::Refused { code, fault, .. } if code == "ConditionalRequestConflict" => {
                    Outcome::Refused { fault, again: Again::Later }
                }
                trouble => trouble.of_write(),
            },
        }
    }
}

/// What it means that there is an object already where there should be none.
fn occupied(object: &Object, found: Result<Option<HeadObjectOutput>, Trouble>) -> Outcome {
    match found {
        // An earlier attempt of ours.
        Ok(Some(found)) if object.is_ours(&found) => Outcome::Done(facts_of(&found)),
        Ok(Some(found)) if object.has_our_content(&found) => Outcome::Skipped(SkipReason::AlreadyApplied),
        Ok(Some(_)) => {
            let message =
                format!("{}: there is another object already, and 'if_absent' is set", object.address);
            Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Never }
        }
        // It went away between the two requests.
        Ok(None) => {
            let message = format!("{}: an object was there, and is gone again", object.address);
            Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Later }
        }
        // Perhaps it is ours: the probe looks again.
        Err(trouble) => Outcome::Unclear(trouble.fault()),
    }
}

fn facts_of(found: &HeadObjectOutput) -> Facts {
    facts(found.e_tag(), found.version_id(), found.content_length())
}

/// What is at an address; `None`: nothing.
async fn head(client: &Client, address: &Address) -> Result<Option<HeadObjectOutput>, Trouble> {
    match client.head_object().bucket(&address.bucket).key(&address.key).send().await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
        Err(error) => Err(refusal::of(Asked::Head, address, error)),
    }
}
