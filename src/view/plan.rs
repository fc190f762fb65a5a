//! What a resume will do, before it does it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use crate::core::execution::DrivenBy;
use crate::core::id::RunId;
use crate::core::redefine::{ConnectionChange, Verdict};
use crate::core::resume::ResumePlan;

/// A resume plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// The run.
    pub run: RunId,
    /// The hash of the plan: the resume that follows has the same one, or something changed.
    pub plan: String,
    /// Work that is kept.
    pub reuse: Vec<PlanReuse>,
    /// Work that will be done.
    pub execute: Vec<PlanExecute>,
    /// Effects that were perhaps done; at most 10,000 of them.
    pub in_doubt: Vec<PlanDoubt>,
    /// How many effects were perhaps done.
    pub doubts: u64,
    /// Items that are done at every step.
    pub items_done: u64,
    /// Items of the run.
    pub items: u64,
    /// Work that stays undone.
    pub left: Vec<PlanLeft>,
    /// What becomes of each step under the changed definition, or over the changed connections;
    /// empty when nothing changed and nobody asked.
    #[serde(default)]
    pub definition: Vec<PlanVerdict>,
    /// The connections that are not what they were when the run was started.
    #[serde(default)]
    pub connections: Vec<PlanConnection>,
    /// Who will drive the graph.
    #[serde(default, skip_serializing_if = "DrivenBy::is_embedded")]
    pub executor: DrivenBy,
}

/// Work of one step that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanReuse {
    /// The step.
    pub step: String,
    /// How many items; 1 for a step of the run itself.
    pub items: u64,
}

/// Work of one step that will be done, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanExecute {
    /// The step.
    pub step: String,
    /// How many items; 1 for a step of the run itself.
    pub items: u64,
    /// Why.
    pub reason: String,
}

/// One effect that was perhaps done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDoubt {
    /// The step.
    pub step: String,
    /// The key of the item; `null` for a step of the run itself.
    pub item: Option<String>,
    /// What was to be changed.
    pub effect: String,
    /// How it will be settled: `probe`, `repeat` or `person`.
    pub settle_by: String,
}

/// Work of one step that stays undone, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanLeft {
    /// The step.
    pub step: String,
    /// How many items.
    pub items: u64,
    /// Why.
    pub reason: String,
}

/// What becomes of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanVerdict {
    /// The step.
    pub step: String,
    /// Its line in the file.
    pub line: Option<u32>,
    /// `valid`, `must re-run` or `incompatible`.
    pub verdict: String,
    /// Why; empty when it is valid.
    pub reason: String,
}

/// A connection that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanConnection {
    /// Its name.
    pub connection: String,
    /// What differs, as it was pinned.
    pub was: String,
    /// The same, as it is now.
    pub now: String,
    /// The steps over it.
    pub steps: Vec<String>,
}

impl PlanView {
    /// Whether a resume would do nothing at all.
    pub fn is_empty(&self) -> bool {
        self.execute.is_empty() && self.in_doubt.is_empty()
    }
}

impl Archive {
    /// A plan with the keys of its items.
    pub fn plan_view(&self, plan: &ResumePlan) -> Result<PlanView, Problem> {
        let run = self.find(&plan.run.to_string())?;
        let reuse = plan.reuse.iter().map(|kept| PlanReuse { step: kept.step.clone(), items: kept.items });
        let execute = plan.execute.iter().map(|work| PlanExecute {
            step: work.step.clone(),
            items: work.items,
            reason: work.reason.clone(),
        });
        let in_doubt = plan.in_doubt.iter().map(|doubt| PlanDoubt {
            step: doubt.step.clone(),
            item: doubt.item.map(|position| self.label(&run, position)),
            effect: format!("attempt {}", doubt.attempt),
            settle_by: doubt.settle_by.word().to_owned(),
        });
        let left = plan.stays.iter().map(|stays| PlanLeft {
            step: stays.step.clone(),
            items: stays.items,
            reason: stays.reason.clone(),
        });
        Ok(PlanView {
            run: plan.run,
            plan: plan.hash.clone(),
            reuse: reuse.collect(),
            execute: execute.collect(),
            in_doubt: in_doubt.collect(),
            doubts: plan.doubts,
            items_done: plan.done,
            items: run.source.as_ref().map_or(0, |source| source.count),
            left: left.collect(),
            definition: plan.changes.verdicts.iter().map(verdict).collect(),
            connections: plan.changes.connections.iter().map(connection).collect(),
            executor: plan.changes.driven_by,
        })
    }
}

fn verdict(verdict: &Verdict) -> PlanVerdict {
    PlanVerdict {
        step: verdict.step.clone(),
        line: verdict.line,
        verdict: verdict.ruling.word().to_owned(),
        reason: verdict.ruling.reason().to_owned(),
    }
}

fn connection(change: &ConnectionChange) -> PlanConnection {
    let (was, now) = change.difference();
    PlanConnection { connection: change.connection.clone(), was, now, steps: change.steps.clone() }
}
