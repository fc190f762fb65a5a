//! The history of an execution: what is new in it, and whether it is over.

use std::collections::BTreeMap;

use aws_sdk_sfn::types::{
    EvaluationFailedEventDetails, HistoryEvent, HistoryEventType, StateEnteredEventDetails,
    StateExitedEventDetails,
};

use super::super::trouble::Trouble;
use super::line::Line;
use crate::core::execution::Entry;
use crate::core::fault::{Fault, name};

/// Most entries that are asked for at once.
const PAGE: i32 = 200;
/// What an error without a name is called.
const NAMELESS: &str = "Error";

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It came to its end.
    Succeeded,
    /// It failed, or was ended.
    Failed(Fault),
}

/// Where the reading of a history has come to.
pub(super) struct Reader {
    execution: String,
    /// The number of the last entry that was read.
    mirrored: u64,
    /// Which state each entry is about, so that those that follow from it are, too.
    states: BTreeMap<u64, String>,
}

impl Reader {
    /// Reads the history of the execution with this ARN from behind this entry on.
    pub(super) fn new(execution: String, mirrored: u64) -> Self {
        Self { execution, mirrored, states: BTreeMap::new() }
    }

    /// What was not read before, in order, and the end of the execution once it is among that.
    ///
    /// # Errors
    /// Nobody answered, or a refusal. Nothing counts as read.
    pub(super) async fn read(&mut self, line: &Line) -> Result<(Vec<Entry>, Option<End>), Trouble> {
        let mut news = self.news(line).await?;
        news.sort_by_key(|event| event.id);
        news.dedup_by_key(|event| event.id);
        let mut end = None;
        let mut entries = Vec::with_capacity(news.len());
        for event in news {
            end = ended(&event).or(end);
            entries.push(self.entry(&event));
        }
        self.mirrored = entries.last().map_or(self.mirrored, |entry| entry.number);
        Ok((entries, end))
    }

    /// The newest first, down to what is known: what was read before is not asked for again.
    async fn news(&self, line: &Line) -> Result<Vec<HistoryEvent>, Trouble> {
        let client = line.client().await;
        let (mut news, mut next) = (Vec::new(), None);
        loop {
            let page = || {
                let asked = client.get_execution_history().execution_arn(&self.execution).reverse_order(true);
                asked.include_execution_data(false).max_results(PAGE).set_next_token(next.clone()).send()
            };
            let told = line.ask("GetExecutionHistory", page).await?;
            let reached = told.events.iter().any(|event| number(event) <= self.mirrored);
            news.extend(told.events.into_iter().filter(|event| number(event) > self.mirrored));
            next = told.next_token;
            if reached || next.is_none() {
                return Ok(news);
            }
        }
    }

    fn entry(&mut self, event: &HistoryEvent) -> Entry {
        let own = named(event).map(str::to_owned);
        let before = u64::try_from(event.previous_event_id).unwrap_or(0);
        let state = own.or_else(|| self.states.get(&before).cloned());
        if let Some(state) = &state {
            self.states.insert(number(event), state.clone());
        }
        let at = event.timestamp.to_millis().ok().and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
        Entry {
            number: number(event),
            at,
            kind: event.r#type.as_str().to_owned(),
            state,
            fault: fault(event),
        }
    }
}

fn number(event: &HistoryEvent) -> u64 {
    u64::try_from(event.id).unwrap_or(0)
}

/// The state that an event itself names.
fn named(event: &HistoryEvent) -> Option<&str> {
    let entered = event.state_entered_event_details().map(StateEnteredEventDetails::name);
    let exited = || event.state_exited_event_details().map(StateExitedEventDetails::name);
    let failed = || event.evaluation_failed_event_details().map(EvaluationFailedEventDetails::state);
    entered.or_else(exited).or_else(failed)
}

/// What went wrong by an event.
fn fault(event: &HistoryEvent) -> Option<Fault> {
    let told = [
        event.activity_failed_event_details().map(|told| (told.error(), told.cause())),
        event.activity_schedule_failed_event_details().map(|told| (told.error(), told.cause())),
        event.activity_timed_out_event_details().map(|told| (told.error(), told.cause())),
        event.evaluation_failed_event_details().map(|told| (told.error(), told.cause())),
        event.execution_aborted_event_details().map(|told| (told.error(), told.cause())),
        event.execution_failed_event_details().map(|told| (told.error(), told.cause())),
        event.execution_timed_out_event_details().map(|told| (told.error(), told.cause())),
    ];
    let (error, cause) = told.into_iter().flatten().next()?;
    (error.is_some() || cause.is_some())
        .then(|| Fault::new(error.unwrap_or(NAMELESS), cause.unwrap_or_default()))
}

/// The end of the execution, if it is what the event tells.
fn ended(event: &HistoryEvent) -> Option<End> {
    let how = match event.r#type {
        HistoryEventType::ExecutionSucceeded => return Some(End::Succeeded),
        HistoryEventType::ExecutionFailed => "failed",
        HistoryEventType::ExecutionAborted => "was stopped",
        HistoryEventType::ExecutionTimedOut => "timed out",
        _ => return None,
    };
    let why = fault(event).map(|fault| format!(": {fault}")).unwrap_or_default();
    Some(End::Failed(over(how, &why)))
}

/// That an execution is over, and how.
pub(super) fn over(how: &str, why: &str) -> Fault {
    Fault::new(name::EXECUTION, format!("the execution {how}{why}"))
}
