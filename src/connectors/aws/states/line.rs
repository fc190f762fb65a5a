//! Calls of Step Functions that outlive its short absences.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::{Instant, sleep};

use super::super::session::Session;
use super::super::trouble::{Trouble, trouble};
use super::order::Said;
use crate::core::execution::Receipt;
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

/// A line to Step Functions. All lines share what they have read of the configuration.
#[derive(Clone)]
pub(super) struct Line {
    calls: Arc<Session>,
    polls: Arc<Session>,
    /// How long a call is tried while nobody answers.
    pub(super) patience: Duration,
}

impl Line {
    /// A line without patience. Reads no configuration yet, and speaks to nobody.
    pub(super) fn new() -> Self {
        let (calls, polls) = (Session::new(CALL_MAX), Session::new(POLL_MAX));
        Self { calls: Arc::new(calls), polls: Arc::new(polls), patience: Duration::ZERO }
    }

    /// The same line with so much patience.
    pub(super) fn patient(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// A line to a server of one's own.
    #[cfg(test)]
    pub(super) async fn at(endpoint: &str, patience: Duration) -> Self {
        let (calls, polls) = (Session::at(endpoint, CALL_MAX).await, Session::at(endpoint, POLL_MAX).await);
        Self { calls: Arc::new(calls), polls: Arc::new(polls), patience }
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

    /// Answers an order. One that takes no answer any more is no error.
    ///
    /// # Errors
    /// Nobody answered for as long as the patience lasts, or a refusal.
    pub(super) async fn say(&self, receipt: &Receipt, said: Said) -> Result<(), Fault> {
        let client = self.client().await;
        let told = match said {
            Said::Success(output) => {
                let send = || client.send_task_success().task_token(&receipt.0).output(&output).send();
                self.ask("SendTaskSuccess", send).await.map(drop)
            }
            Said::Failure { error, cause } => {
                let send =
                    || client.send_task_failure().task_token(&receipt.0).error(&error).cause(&cause).send();
                self.ask("SendTaskFailure", send).await.map(drop)
            }
        };
        told.or_else(|trouble| if is_gone(&trouble) { Ok(()) } else { Err(unreachable(trouble)) })
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
