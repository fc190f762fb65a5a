//! Calls of Step Functions that outlive its short absences.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, sleep};

use super::super::session::Session;
use super::super::trouble::{Trouble, trouble};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;

/// Longest time of one call.
const CALL_MAX: Duration = Duration::from_secs(15);
/// Longest time of one poll: Step Functions keeps it open for 60 s when there is nothing to do, and asks clients to
/// wait for 65 at least (GetActivityTask).
const POLL_MAX: Duration = Duration::from_secs(75);
/// The first pause before a call is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Codes that say that we ask too often, beside all that say `Throttl`; from the common errors of AWS, and of
/// GetActivityTask.
const TOO_OFTEN: &[&str] =
    &["ActivityWorkerLimitExceeded", "RequestLimitExceeded", "SlowDown", "TooManyRequestsException"];
/// Codes of answers that come too late: the order was given up, or answered.
const GONE: &[&str] = &["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"];

/// A line to Step Functions.
pub(super) struct Line {
    calls: Session,
    polls: Session,
    patience: Duration,
}

impl Line {
    /// Reads no configuration yet, and speaks to nobody.
    pub(super) fn new(patience: Duration) -> Self {
        Self { calls: Session::new(CALL_MAX), polls: Session::new(POLL_MAX), patience }
    }

    /// A line to a server of one's own.
    #[cfg(test)]
    pub(super) async fn at(endpoint: &str, patience: Duration) -> Self {
        let (calls, polls) = (Session::at(endpoint, CALL_MAX).await, Session::at(endpoint, POLL_MAX).await);
        Self { calls, polls, patience }
    }

    /// A client for everything but polls.
    pub(super) async fn client(&self) -> Client {
        self.calls.sfn().await
    }

    /// A client for polls.
    pub(super) async fn polling(&self) -> Client {
        self.polls.sfn().await
    }

    /// Asks until there is an answer, for as long as nobody answers and the patience lasts. Being asked to slow down
    /// is an answer: that is waited out.
    ///
    /// # Errors
    /// A refusal that stays, or the silence at the end.
    pub(super) async fn ask<T, E, F>(&self, asked: &str, send: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let (mut since, mut pause) = (Instant::now(), PAUSE);
        loop {
            let trouble = match send().await {
                Ok(told) => return Ok(told),
                Err(error) => trouble(asked, error),
            };
            if is_too_often(&trouble) {
                since = Instant::now();
            } else if stays(&trouble) || since.elapsed() >= self.patience {
                return Err(trouble);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether asking again leads nowhere.
fn stays(trouble: &Trouble) -> bool {
    is_gone(trouble) || matches!(trouble, Trouble::Refused { again: Again::Never, .. })
}

fn is_too_often(trouble: &Trouble) -> bool {
    trouble.code().contains("Throttl") || TOO_OFTEN.contains(&trouble.code())
}

/// Whether the order that was spoken of takes no answer any more.
pub(super) fn is_gone(trouble: &Trouble) -> bool {
    GONE.contains(&trouble.code())
}

/// Trouble in the name that the engine knows.
pub(super) fn unreachable(trouble: Trouble) -> Fault {
    Fault::new(name::EXECUTOR, trouble.fault().message)
}
