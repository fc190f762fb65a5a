//! What an error of the SDK says about the request: surely not carried out, or perhaps.

use std::error::Error;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// Refusals that pass by themselves: the same request may be accepted later. From the common errors
/// and the throttling errors that AWS documents for its services.
const PASSING: &[&str] = &[
    "KmsThrottled",
    "OverLimit",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "ServiceUnavailable",
    "SlowDown",
    "SnapStartNotReadyException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Error codes that say that we may not; from the services' API references.
pub(crate) const DENIED: &[&str] =
    &["AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAuthorized"];
/// Error codes that say that nobody knows our credentials, or that they are over; from the common
/// errors of AWS and the error codes of S3.
pub(crate) const STRANGERS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Whether a refusal is about who asks, and not about what is asked for: whatever else is sent over
/// this connection is refused, too, until a person lets us in.
pub(crate) fn keeps_us_out(code: &str) -> bool {
    DENIED.contains(&code) || STRANGERS.contains(&code)
}

/// Why a request did not succeed.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Nothing was sent.
    Unsent(Fault),
    /// Something was sent, and nobody knows what became of it.
    Silent(Fault),
    /// The service refused it.
    Refused {
        /// The error code, as the service calls it; empty when it gave none.
        code: String,
        /// What it said.
        fault: Fault,
        /// Whether the same request may succeed later.
        again: Again,
    },
}

/// What became of a request that `asked` for something, in the words of the service's API.
pub(crate) fn trouble<E>(asked: &str, error: SdkError<E, HttpResponse>) -> Trouble
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(missing) = missing(&error) {
        return Trouble::Unsent(Fault::new(name::UNREACHABLE, format!("{asked}: {missing}")));
    }
    match error {
        SdkError::ConstructionFailure(_) => {
            Trouble::Unsent(Fault::new(name::UNREACHABLE, format!("{asked}: {}", deepest(&error))))
        }
        SdkError::TimeoutError(_) => {
            Trouble::Silent(Fault::new(name::TIMEOUT, format!("{asked}: no answer in time")))
        }
        SdkError::DispatchFailure(_) if is_unsent(&error) => Trouble::Unsent(Fault::new(
            name::UNREACHABLE,
            format!(
                "{asked}: failed to connect: {}; look at AWS_ENDPOINT_URL, AWS_REGION and the network",
                deepest(&error)
            ),
        )),
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            let message = format!("{asked}: the connection broke: {}", deepest(&error));
            Trouble::Silent(Fault::new(name::NO_ANSWER, message))
        }
        SdkError::ServiceError(refusal) => refused(asked, refusal.raw().status().as_u16(), refusal.err()),
        other => Trouble::Silent(Fault::new(name::NO_ANSWER, format!("{asked}: {}", deepest(&other)))),
    }
}

fn refused<E>(asked: &str, status: u16, error: &E) -> Trouble
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if status < 400 {
        // It says yes, and what it says yes to cannot be read.
        let message = format!("{asked}: an unreadable answer (HTTP {status}): {}", deepest(error));
        return Trouble::Silent(Fault::new(name::NO_ANSWER, message));
    }
    let code = error.code().unwrap_or_default();
    let message = error.message().unwrap_or("no message");
    let fault = Fault::new(name::STATUS, format!("{asked}: {code} (HTTP {status}): {message}"));
    if PASSING.contains(&code) || keeps_us_out(code) || status == 429 {
        return Trouble::Refused { code: code.to_owned(), fault, again: Again::Later };
    }
    if status >= 500 {
        return Trouble::Silent(fault);
    }
    Trouble::Refused { code: code.to_owned(), fault, again: Again::Never }
}

/// What the configuration lacks, so that no request came about.
fn missing(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if chain(error).any(|error| error.downcast_ref::<CredentialsError>().is_some()) {
        return Some(
            "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role",
        );
    }
    // The services word these differently, and give them no types of their own.
    let says =
        |words: &[&str]| chain(error).any(|error| words.iter().any(|word| error.to_string().contains(word)));
    if says(&["region must be set", "Missing Region", "missing signing region"]) {
        return Some("no AWS region: set AWS_REGION");
    }
    let no_address = says(&["endpoint must contain scheme", "endpoint was not valid"]);
    no_address.then_some("the endpoint is no address: set AWS_ENDPOINT_URL to http://HOST:PORT, or unset it")
}

/// Whether no connection came about, as far as the error tells: a refused one, or none in time.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let refused = error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            )
        });
        refused || error.to_string().contains("HTTP connect") || error.to_string().contains("dns error")
    })
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The innermost cause: the outer ones only say that something failed.
pub(crate) fn deepest(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

impl Trouble {
    /// What it means for a request that changes something.
    pub(crate) fn of_write(self) -> Outcome {
        match self {
            Self::Unsent(fault) => Outcome::Refused { fault, again: Again::Later },
            Self::Silent(fault) => Outcome::Unclear(fault),
            Self::Refused { fault, again, .. } => Outcome::Refused { fault, again },
        }
    }

    /// The fault alone, for a request that changes nothing.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Unsent(fault) | Self::Silent(fault) | Self::Refused { fault, .. } => fault,
        }
    }

    /// The service's error code; empty when there was no answer.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Unsent(_) | Self::Silent(_) => "",
            Self::Refused { code, .. } => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_eventbridge::types::PutEventsRequestEntry;

    use super::*;
    use crate::connectors::aws::session::Session;

    #[tokio::test]
    async fn what_never_left_the_machine_is_in_no_doubt() {
        let session = Session::at("garbage", Duration::from_secs(5)).await;
        let entry = PutEventsRequestEntry::builder().source("s").detail_type("t").detail("{}").build();
        let asked = session.eventbridge().await.put_events().entries(entry).send().await;
        let Trouble::Unsent(fault) = trouble("PutEvents", asked.unwrap_err()) else { panic!("not unsent") };
        assert!(fault.message.contains("AWS_ENDPOINT_URL"), "{fault}");
    }
}
