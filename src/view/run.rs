//! Runs: the list, and one run with its steps.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::alert::AlertView;
use super::archive::Archive;
use super::counts::ItemCounts;
use super::pause::{PauseView, pause_view};
use super::problem::Problem;
use super::status::UnitStatus;
use super::step::StepView;
use super::when::When;
use crate::core::execution::DrivenBy;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::run::{Origin, Run, Source, Status};
use crate::core::tally::Tally;
use crate::ports::newest_first;

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunFilter {
    /// Only runs that are shown with this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only runs of this workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Only runs with this text in their ID, workflow, file, source or start key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only runs that are older than this one: where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RunId>,
    /// At most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// How many runs match, listed or not, on this page and those before and behind it.
    pub total: usize,
    /// Where the next page begins; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RunId>,
}

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Its ID.
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// Where it stands.
    pub status: Status,
    /// When it was started.
    pub started_at: When,
    /// When it ended, if it has.
    pub ended_at: Option<When>,
    /// Its items by state.
    pub items: ItemCounts,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its ID.
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// Where it stands.
    pub status: Status,
    /// When it was started.
    pub started_at: When,
    /// When it ended, if it has.
    pub ended_at: Option<When>,
    /// From the start to the end, in milliseconds; `null` until it has ended.
    pub duration_ms: Option<u64>,
    /// The workflow file as it was given.
    pub file: String,
    /// The content address of the pinned definition.
    pub definition: String,
    /// The profile it was started with.
    pub profile: Option<String>,
    /// The input after defaults.
    pub input: Map<String, Value>,
    /// The pinned source, after the gate.
    pub source: Option<SourceView>,
    /// How often it was resumed.
    pub resumes: u32,
    /// Why it failed, if it did.
    pub error: Option<Fault>,
    /// Why it stands still, while its engine lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseView>,
    /// What people were told about the number of its dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// What people were to be told and were not yet, or what was given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertView>,
    /// Who cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// When a person let it go for good: it is not resumed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<When>,
    /// Messages that came and were none of ours, or damaged; left out when there were none.
    #[serde(default, skip_serializing_if = "none")]
    pub strays: u64,
    /// Who drives its graph.
    #[serde(default, skip_serializing_if = "DrivenBy::is_embedded")]
    pub executor: DrivenBy,
    /// What that executor knows its last execution by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Its items by where they stand as a whole.
    pub items: ItemCounts,
    /// Its steps in the order in which they are reached.
    pub steps: Vec<StepView>,
    /// What to type next, if anything is left to do or to look at.
    pub next: Vec<String>,
}

/// A pinned source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceView {
    /// The path or URI it was read from.
    pub uri: String,
    /// How many records it has.
    pub items: u64,
    /// What the system that it was read from said of it; a file of this machine says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl SourceView {
    pub(super) fn of(source: &Source) -> Self {
        Self { uri: source.uri.clone(), items: source.count, origin: source.origin.clone() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn none(count: &u64) -> bool {
    *count == 0
}

impl Archive {
    /// The runs that `filter` asks for, newest first.
    pub fn runs(&self, filter: &RunFilter) -> Result<RunList, Problem> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let (mut runs, total) = self.matching(filter, limit.saturating_add(1))?;
        let more = runs.len() > limit;
        runs.truncate(limit);
        let next = runs.last().filter(|_| more).map(|run| run.id);
        let runs = runs.iter().map(|run| self.summary(run)).collect::<Result<_, _>>()?;
        Ok(RunList { runs, total, next })
    }

    /// The first of the runs that are asked for, at most so many, and how many match in all. The records of
    /// the others are only read when something of them is asked for.
    fn matching(&self, filter: &RunFilter, limit: usize) -> Result<(Vec<Run>, usize), Problem> {
        if filter.status.is_none() && filter.workflow.is_none() && filter.search.is_none() {
            return Ok((self.journal().runs_before(filter.after, limit)?, self.journal().run_count()?));
        }
        let (mut runs, mut total) = (Vec::new(), 0);
        for run in newest_first(self.journal(), None) {
            let run = run?;
            let is_asked_for = filter.status.is_none_or(|status| status == self.status(&run))
                && filter.workflow.as_ref().is_none_or(|workflow| *workflow == run.workflow)
                && filter.search.as_ref().is_none_or(|text| mentions(&run, text));
            total += usize::from(is_asked_for);
            if is_asked_for && runs.len() < limit && filter.after.is_none_or(|after| run.id < after) {
                runs.push(run);
            }
        }
        Ok((runs, total))
    }

    /// One run with its steps.
    pub fn show(&self, reference: &str) -> Result<RunView, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let status = self.status(&run);
        let (items, tally) = self.counts(&run)?;
        let steps = self.steps(&run, &plan, &items, &tally)?;
        let alone = |step: &&StepView| step.status == UnitStatus::InDoubt && step.items.total == 0;
        let doubts = steps.iter().map(|step| step.items.in_doubt).sum::<u64>()
            + steps.iter().filter(alone).count() as u64;
        let next = next_commands(&run, status, &items, doubts);
        Ok(RunView {
            run: run.id,
            status,
            started_at: When(run.started_at),
            ended_at: run.ended_at.map(When),
            duration_ms: run
                .ended_at
                .map(|end| u64::try_from(end.since(run.started_at).as_millis()).unwrap_or(u64::MAX)),
            source: run.source.as_ref().map(SourceView::of),
            resumes: run.epoch.saturating_sub(1),
            paused: pause_view(&run.steer).filter(|_| status == Status::Paused),
            alert: run.steer.alert.clone(),
            alerts: self.alerts(Some(run.id))?,
            cancelled_by: run.steer.cancelled_by.clone(),
            closed_at: run.released.map(When),
            strays: run.strays,
            executor: run.driven_by,
            execution: run.execution.map(|execution| execution.name),
            items,
            steps,
            next,
            workflow: run.workflow,
            file: run.file,
            definition: run.definition,
            profile: run.profile,
            input: run.input,
            error: run.fault,
        })
    }

    /// The summaries of these runs, the newest first; those that are gone are left out.
    pub fn summaries(&self, runs: &BTreeSet<RunId>) -> Result<Vec<RunSummary>, Problem> {
        let mut found = Vec::with_capacity(runs.len());
        for id in runs.iter().rev() {
            if let Some(run) = self.journal().run(*id)? {
                found.push(self.summary(&run)?);
            }
        }
        Ok(found)
    }

    fn summary(&self, run: &Run) -> Result<RunSummary, Problem> {
        Ok(RunSummary {
            run: run.id,
            workflow: run.workflow.clone(),
            status: self.status(run),
            started_at: When(run.started_at),
            ended_at: run.ended_at.map(When),
            items: self.counts(run)?.0,
        })
    }

    pub(super) fn counts(&self, run: &Run) -> Result<(ItemCounts, Tally), Problem> {
        let tally = self.journal().tally(run.id, Unit::Item(0))?;
        let total = run.source.as_ref().map_or(0, |source| source.count);
        Ok((ItemCounts::of(total, &tally.units, self.regard(run)), tally))
    }
}

/// Whether a run says this text where people would look for it, in capitals or not.
fn mentions(run: &Run, text: &str) -> bool {
    let wanted = text.trim().to_lowercase();
    let source = run.source.as_ref().map_or("", |source| source.uri.as_str());
    let said = [run.workflow.as_str(), &run.file, source, run.key.as_deref().unwrap_or_default()];
    run.id.to_string().contains(&wanted) || said.iter().any(|said| said.to_lowercase().contains(&wanted))
}

fn next_commands(run: &Run, status: Status, items: &ItemCounts, doubts: u64) -> Vec<String> {
    let id = run.id;
    let in_doubt = (doubts > 0).then(|| format!("milepost effects {id} --in-doubt"));
    let resume = format!("milepost resume {id} --plan");
    let mut next = Vec::new();
    match status {
        _ if run.released.is_some() => next.extend(in_doubt),
        // A resume alone would fail again: a person decides first.
        Status::Failed if run.fault.as_ref().is_some_and(|fault| fault.name == name::IN_DOUBT) => {
            next.extend(in_doubt);
            next.push(resume);
        }
        Status::Paused => next.push(format!("milepost unpause {id}")),
        Status::Failed | Status::Interrupted => {
            next.push(resume);
            // The executor may stay away; the run need not wait for it.
            if run.fault.as_ref().is_some_and(|fault| fault.name == name::EXECUTOR) {
                next.push(format!("milepost resume {id} --executor embedded"));
            }
            next.extend(in_doubt);
        }
        Status::Queued | Status::Running | Status::Waiting => {
            next.push(format!("milepost events {id} --follow"));
        }
        Status::Succeeded | Status::Cancelled => next.extend(in_doubt),
    }
    if items.dead_lettered > 0 {
        next.push(format!("milepost dead-letters list --run {id}"));
    }
    next
}
