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
/// A call that was open for so long was taken by somebody.
const HELD: Duration = Duration::from_secs(1);
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
        let (mut silent_since, mut pause) = (None, PAUSE);
        loop {
            let begun = Instant::now();
            let trouble = match send().await {
                Ok(told) => return Ok(told),
                Err(error) => trouble(asked, error),
            };
            // The silence begins with the first call that fails, not with the poll that was held before it.
            if is_too_often(&trouble) || was_held(&trouble, begun.elapsed()) {
                silent_since = None;
            } else if stays(&trouble)
                || silent_since.get_or_insert_with(Instant::now).elapsed() >= self.patience
            {
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

/// Whether somebody kept the call open before it broke: a proxy that ends quiet connections, or a server that was
/// there until then. Who never answers is given up on by our own clock.
fn was_held(trouble: &Trouble, for_so_long: Duration) -> bool {
    for_so_long >= HELD && matches!(trouble, Trouble::Silent(fault) if fault.name != name::TIMEOUT)
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_sdk_sfn::operation::get_activity_task::GetActivityTaskError;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    type Broken = SdkError<GetActivityTaskError, HttpResponse>;
    const POLL: &str = "a poll";

    fn broken() -> Broken {
        SdkError::dispatch_failure(ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into()))
    }

    #[tokio::test(start_paused = true)]
    async fn polls_that_a_proxy_cuts_are_no_absence_and_one_that_lasts_is() {
        let line = Line::new().patient(Duration::from_secs(30));
        let (polls, begun) = (AtomicU32::new(0), Instant::now());
        let cut = || async {
            sleep(Duration::from_secs(35)).await;
            if polls.fetch_add(1, Ordering::Relaxed) < 5 { Err(broken()) } else { Ok(()) }
        };
        assert!(line.ask(POLL, cut).await.is_ok());
        assert!(begun.elapsed() > Duration::from_secs(6 * 35));

        // One that was held, and then nobody: the patience begins with the end of the first.
        let (calls, begun) = (AtomicU32::new(0), Instant::now());
        let gone = || async {
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                sleep(Duration::from_secs(50)).await;
            }
            Err::<(), _>(broken())
        };
        assert!(line.ask(POLL, gone).await.is_err());
        let lasted = begun.elapsed().as_secs();
        assert!((80..90).contains(&lasted) && calls.load(Ordering::Relaxed) > 3, "{lasted} s");
    }
}
