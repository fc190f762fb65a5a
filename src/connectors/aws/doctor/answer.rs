//! What it means for the examination when a service does not answer as asked.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::super::trouble::{DENIED, STRANGERS, Trouble, trouble};
use crate::connectors::examine::Diagnosis;

/// How the codes of the services say that something is not there.
const ABSENT: &[&str] = &["DoesNotExist", "NonExistentQueue", "NotFound", "NoSuch"];

/// Why a question has no answer.
pub(super) enum No {
    /// What was asked about is not there.
    Absent,
    /// Anything else.
    Other(Diagnosis),
}

impl No {
    /// For a question whose object was there a moment ago.
    pub(super) fn diagnosis(self, what: &str) -> Diagnosis {
        match self {
            Self::Absent => Diagnosis::unknown(format!("{what}: gone meanwhile"), "try again"),
            Self::Other(diagnosis) => diagnosis,
        }
    }
}

/// Sorts the error of a question about `what` for which `action` (as policies call it) is needed.
pub(super) fn no<E>(action: &str, what: &str, error: SdkError<E, HttpResponse>) -> No
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let trouble = trouble(action, error);
    let message = format!("{what}: {}", trouble.clone().fault().message);
    No::Other(match trouble {
        Trouble::Unsent(_) => Diagnosis::wrong(message, "check AWS_REGION, AWS_ENDPOINT_URL and the network"),
        Trouble::Silent(_) => Diagnosis::unknown(message, "try again"),
        Trouble::Refused { code, .. } if ABSENT.iter().any(|part| code.contains(part)) => return No::Absent,
        Trouble::Refused { code, .. } if DENIED.contains(&code.as_str()) => Diagnosis::wrong(
            format!("{what}: no permission for {action}"),
            format!("allow {action} to whoever the engine runs as; see EnginePolicy in {}", super::TEMPLATE),
        ),
        Trouble::Refused { code, .. } if STRANGERS.contains(&code.as_str()) => {
            Diagnosis::wrong(message, "these credentials are not accepted: renew them, or name others")
        }
        Trouble::Refused { .. } => Diagnosis::unknown(message, format!("ask it again: aws {}", cli(action))),
    })
}

/// The same question on the command line of AWS: `sqs:GetQueueUrl` is `sqs get-queue-url`.
fn cli(action: &str) -> String {
    let (service, name) = action.split_once(':').unwrap_or((action, ""));
    let mut line = format!("{service} ");
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            line.push('-');
        }
        line.extend(letter.to_lowercase());
    }
    line
}
