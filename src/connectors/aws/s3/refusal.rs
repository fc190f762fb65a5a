//! What S3 means by its refusals, and what a person can do about each. The error codes are those of
//! S3's API reference; an answer to a HEAD request has none, so its status speaks for it.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::address::Address;
use crate::connectors::aws::trouble::{STRANGERS, Trouble, keeps_us_out, trouble};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;
use crate::ports::Unread;

/// The object is not the one that was begun with.
pub(super) const CHANGED: &str = "SourceChanged";

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Get,
    Head,
    Put,
}

impl Asked {
    /// The request, as S3 calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Get => "GetObject",
            Self::Head => "HeadObject",
            Self::Put => "PutObject",
        }
    }
}

/// What became of a request about an object.
pub(super) fn of<E>(asked: Asked, address: &Address, error: SdkError<E, HttpResponse>) -> Trouble
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let answer = error.raw_response().map_or((0, None), |answer| {
        (answer.status().as_u16(), answer.headers().get("x-amz-bucket-region").map(ToOwned::to_owned))
    });
    let (status, region) = answer;
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    match known(asked, address, status, &code, region.as_deref()) {
        Some((name, message)) => {
            let again = again(asked, &code);
            Trouble::Refused { code, fault: Fault::new(name, message), again }
        }
        None => trouble(&format!("{} of {address}", asked.word()), error),
    }
}

/// What keeps us out may be over later. But as long as s3:ListBucket is missing, S3 denies an object
/// that is not there, too: a read of one comes to an end.
fn again(asked: Asked, code: &str) -> Again {
    let may_be_absent = asked != Asked::Put && !STRANGERS.contains(&code);
    if keeps_us_out(code) && !may_be_absent { Again::Later } else { Again::Never }
}

/// The name and the words of a refusal that a person can do something about.
fn known(
    asked: Asked,
    address: &Address,
    status: u16,
    code: &str,
    region: Option<&str>,
) -> Option<(&'static str, String)> {
    let Address { bucket, key, version } = address;
    let said = match (status, code) {
        (404, "NoSuchBucket") => (
            name::VALIDATION,
            format!(
                "there is no bucket '{bucket}': look with 'aws s3 ls', and at AWS_REGION and the account"
            ),
        ),
        (404, "NoSuchVersion") | (400, "InvalidArgument") if version.is_some() => (
            name::VALIDATION,
            format!(
                "{address}: there is no such version: look with 'aws s3api list-object-versions --bucket {bucket} --prefix {key}'"
            ),
        ),
        (404, _) if asked != Asked::Put => {
            (name::VALIDATION, format!("there is no object {address}: look with 'aws s3 ls s3://{bucket}/'"))
        }
        (405, _) if version.is_some() => (
            name::VALIDATION,
            format!("{address}: this version only says that the object was deleted; name one before it"),
        ),
        (403, "InvalidObjectState") => (
            name::REFUSED,
            format!("{address} is archived: restore it first, with 'aws s3api restore-object'"),
        ),
        (_, code) if STRANGERS.contains(&code) => (
            name::REFUSED,
            format!("the AWS credentials were not accepted ({code}): try 'aws sts get-caller-identity'"),
        ),
        (301, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            let region = region.map_or("the bucket's region".to_owned(), ToOwned::to_owned);
            (name::REFUSED, format!("the bucket '{bucket}' is in another region: set AWS_REGION to {region}"))
        }
        (403, _) => (name::REFUSED, forbidden(asked, address)),
        _ => return None,
    };
    Some(said)
}

fn forbidden(asked: Asked, address: &Address) -> String {
    match asked {
        Asked::Get | Asked::Head => {
            let right = if address.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
            format!(
                "reading {address} is not permitted: {right} is missing, or there is no such object (S3 says this of it, too, as long as s3:ListBucket is missing)"
            )
        }
        Asked::Put => format!("writing {address} is not permitted: s3:PutObject is missing"),
    }
}

/// What it means for a request that only reads.
pub(super) fn unread(trouble: Trouble) -> Unread {
    match trouble {
        Trouble::Unsent(fault) | Trouble::Silent(fault) => Unread { fault, again: Again::Later },
        Trouble::Refused { fault, again, .. } => Unread { fault, again },
    }
}
