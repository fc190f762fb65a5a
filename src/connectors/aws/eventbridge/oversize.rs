//! Content that no event has room for: it goes to S3 first, and the event refers to it.

use std::future::Future;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Map, Value};

use super::super::envelope::Reference;
use super::super::trouble::{Trouble, trouble};
use super::event_id;
use crate::connectors::{BuildFault, settings};
use crate::core::retry::{Again, Outcome};
use crate::ports::Call;

/// Where it goes.
pub(super) struct Oversize {
    bucket: String,
}

impl Oversize {
    /// Reads `oversize` and `bucket` of the connection; `None` without `oversize`.
    ///
    /// # Errors
    /// There is an `oversize`, and no bucket for it.
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Option<Self>, BuildFault> {
        match settings::text(fields, "oversize")? {
            None => Ok(None),
            Some("s3") => match settings::text(fields, "bucket")? {
                Some(bucket) if !bucket.is_empty() => Ok(Some(Self { bucket: bucket.to_owned() })),
                Some(_) | None => Err(BuildFault {
                    hint: Some("write 'bucket: …' beside it: the bucket's name".to_owned()),
                    ..BuildFault::field("oversize", "'oversize: s3' needs a 'bucket'")
                }),
            },
            Some(other) => {
                Err(BuildFault::field("oversize", format!("'oversize' must be s3, not '{other}'")))
            }
        }
    }

    /// Writes the content of a call, to the same key at every attempt: a repeat is harmless. When it
    /// does not succeed, the event is surely not published.
    pub(super) fn upload(
        &self,
        client: Client,
        call: &Call,
    ) -> impl Future<Output = Result<Reference, Outcome>> + use<> {
        let content = serde_json::to_vec(&call.request["data"]).expect("memory takes every JSON value");
        let reference = Reference {
            bucket: self.bucket.clone(),
            key: format!("milepost/{}/{}.json", call.run, event_id(call)),
            bytes: content.len() as u64,
        };
        async move {
            let put = client.put_object().bucket(&reference.bucket).key(&reference.key);
            let put = put.content_type("application/json").body(ByteStream::from(content));
            match put.send().await {
                Ok(_) => Ok(reference),
                Err(error) => Err(refused(trouble("PutObject", error))),
            }
        }
    }
}

/// Whatever became of the object: no event was sent.
fn refused(trouble: Trouble) -> Outcome {
    match trouble {
        Trouble::Unsent(fault) | Trouble::Silent(fault) => Outcome::Refused { fault, again: Again::Later },
        Trouble::Refused { fault, again, .. } => Outcome::Refused { fault, again },
    }
}
