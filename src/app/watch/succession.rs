//! A workflow whose source is a queue has an open run, which ends by itself when it has taken in enough.
//! Its successor begins then. To the loop that is a trigger like any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::connectors::listening::{aside, until_heard};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::inflow::Intake;
use crate::core::queue::Ticket;
use crate::core::run::Run;
use crate::core::time::Timestamp;
use crate::core::trigger::{Heard, Notice, Occasion};
use crate::core::workflow::Workflow;
use crate::ports::{Clock, Journal, StoreError, Trigger, newest_first};

use super::outcome::is_unfinished;
use super::stuck::Stuck;
use super::watched::Listener;

/// How often it is looked for a successor that is due.
const LOOK: Duration = Duration::from_secs(1);
/// What stands for the run before the first one.
const NOBODY: &str = "nobody";

/// The runs of one workflow, one after the other.
pub(super) struct Succession {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    stuck: Stuck,
    workflow: String,
    profile: Option<String>,
    queue: String,
    /// When this began to look.
    since: Timestamp,
}

impl Succession {
    /// What listens for a workflow whose source is a queue; `None` for every other one.
    pub(super) fn of(
        workflow: &Workflow,
        profile: Option<&str>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        stuck: Stuck,
    ) -> Option<Listener> {
        let (step, queue) = workflow.queue_source()?;
        let since = clock.now();
        let (name, queue) = (step.to_owned(), queue.to_owned());
        let about = format!("one run after the other takes from the queue {queue}");
        let (workflow, profile) = (workflow.name.clone(), profile.map(str::to_owned));
        let trigger = Arc::new(Self { journal, clock, stuck, workflow, profile, queue, since });
        Some(Listener { name, input: None, about, trigger })
    }

    /// What the next run follows, when it is due.
    async fn due(&self) -> Result<Option<Notice>, Fault> {
        let (journal, since) = (Arc::clone(&self.journal), self.since);
        let (workflow, profile) = (self.workflow.clone(), self.profile.clone());
        let stuck = self.stuck.clone();
        let is_stuck = move |run| stuck.has(run);
        let due = aside(move || followed(&*journal, &workflow, profile.as_deref(), since, is_stuck)).await?;
        let due = due.map_err(|error| Fault::new(name::NO_ANSWER, error.to_string()))?;
        Ok(due.map(|identity| {
            let ticket = Ticket::Given(identity.as_str().into());
            let subject = format!("the queue {}", self.queue);
            let occasions = vec![Occasion { subject, identity, version: None }];
            Notice { occasions, passed_over: Vec::new(), ticket }
        }))
    }
}

/// What the next run of a workflow follows, when it is due: its newest one, or nobody.
fn followed(
    journal: &dyn Journal,
    workflow: &str,
    profile: Option<&str>,
    since: Timestamp,
    is_stuck: impl Fn(RunId) -> bool,
) -> Result<Option<String>, StoreError> {
    for run in newest_first(journal, None) {
        let run = run?;
        if run.workflow == workflow && run.profile.as_deref() == profile {
            // One that is stuck is tried again by and by, and nobody waits for that.
            let is_due = is_stuck(run.id) || is_followed(&run, since);
            return Ok(is_due.then(|| run.id.to_string()));
        }
    }
    Ok(Some(NOBODY.to_owned()))
}

/// Whether another run follows this one by itself. One that failed before it had taken in enough is
/// resumed by a person, and goes on with it.
fn is_followed(run: &Run, since: Timestamp) -> bool {
    let intake = run.source.as_ref().and_then(|source| source.intake);
    let is_over = !is_unfinished(run);
    match intake {
        Some(Intake::Full | Intake::Aged) => is_over,
        // It was told to end when nothing comes: the next one begins with the next loop.
        Some(Intake::Quiet) => is_over && run.ended_at.is_some_and(|ended| ended < since),
        Some(Intake::Open) | None => false,
    }
}

#[async_trait]
impl Trigger for Succession {
    async fn next(&self) -> Result<Heard, Fault> {
        until_heard(&*self.clock, LOOK, || self.due()).await
    }

    async fn done(&self, _: &Ticket) -> Result<(), Fault> {
        // Its run is recorded, and is the newest one now.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::RunId;
    use crate::core::run::{Source, Status};

    #[test]
    fn a_run_that_took_in_enough_is_followed_and_one_that_failed_is_not() {
        let run = |status, intake| {
            let source = Source {
                uri: "queue:q".to_owned(),
                records: String::new(),
                index: String::new(),
                count: 1,
                origin: None,
                intake,
            };
            let run = Run::queued(RunId(1), "w", "w.yaml", "d", Timestamp(1));
            Run { status, source: Some(source), ended_at: Some(Timestamp(10)), ..run }
        };
        let followed = |status, intake, since| is_followed(&run(status, Some(intake)), Timestamp(since));
        for enough in [Intake::Full, Intake::Aged] {
            assert!(followed(Status::Succeeded, enough, 5));
            assert!(followed(Status::Failed, enough, 5), "too many dead letters are no reason to stop");
            assert!(!followed(Status::Running, enough, 5), "it still works on what it took in");
        }
        assert!(
            !followed(Status::Succeeded, Intake::Quiet, 5) && followed(Status::Succeeded, Intake::Quiet, 11)
        );
        assert!(!followed(Status::Failed, Intake::Open, 11), "it is resumed, and takes in more");
        assert!(!is_followed(&run(Status::Failed, None), Timestamp(11)));
    }
}
