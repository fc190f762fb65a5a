//! The steps of one run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::counts::ItemCounts;
use super::problem::Problem;
use super::status::UnitStatus;
use crate::core::catalog::Role;
use crate::core::cell::{Cell, State};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::run::{Run, Status};
use crate::core::tally::{StepTally, Tally};

/// What flows through a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepTrack {
    /// The run itself: works once.
    Run,
    /// Items: works once per item.
    Items,
    /// The last failed closing.
    OnFailure,
}

/// What a step does, as far as a picture shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Yields the items.
    Source,
    /// Computes, and is computed again on a resume.
    #[default]
    Computes,
    /// Changes something outside; never repeated blindly.
    Effect,
    /// Waits for a message or for time.
    Waits,
    /// Waits until somebody outside says so.
    Listens,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// What it does.
    #[serde(default)]
    pub does: Does,
    /// The steps that it needs directly, on its own track.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The connection it works over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Where it stands as a whole.
    pub status: UnitStatus,
    /// What flows through it.
    pub track: StepTrack,
    /// Its items by where they stand at this step; all zero for a step without items.
    pub items: ItemCounts,
    /// Pending items that will not come here, because they ended at a step before.
    pub blocked: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// Batches handed to the connector.
    pub batches: u64,
    /// Requests sent.
    pub calls: u64,
    /// Effects accepted.
    pub accepted: u64,
    /// Effects refused, or in doubt.
    pub refused: u64,
    /// The last thing that went wrong, for a step of the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl Archive {
    /// Run steps first, then item steps, then those of `on_failure` if the run ever failed. The
    /// source, which stands in both of the first two, is shown once.
    pub(super) fn steps(
        &self,
        run: &Run,
        plan: &Plan,
        items: &ItemCounts,
        tally: &Tally,
    ) -> Result<Vec<StepView>, Problem> {
        let mut steps = self.unit_steps(run, Unit::Run, &plan.run, StepTrack::Run)?;
        let of_items = self.item_steps(run, &plan.items, items, tally);
        let mut of_items = of_items.into_iter();
        if let (Some(at), Some(source)) = (plan.source(), of_items.next()) {
            steps[at] = merge_source(&steps[at], source);
        }
        steps.extend(of_items);
        if run.closings > 0 {
            let unit = Unit::Closing(run.closings);
            steps.extend(self.unit_steps(run, unit, &plan.closing, StepTrack::OnFailure)?);
        }
        Ok(steps)
    }

    fn unit_steps(
        &self,
        run: &Run,
        unit: Unit,
        track: &Track,
        on: StepTrack,
    ) -> Result<Vec<StepView>, Problem> {
        let tally = self.journal().tally(run.id, unit)?;
        let progress = self.journal().progress(run.id, unit)?.unwrap_or_default();
        let regard = self.regard(run);
        let view = |at: usize| {
            let cell = progress.cells.get(at).cloned().unwrap_or_default();
            let status = UnitStatus::from(cell.state).of_run_step();
            let sums = tally.steps.get(at).copied().unwrap_or_default();
            StepView {
                status: status.regarded(regard),
                error: unresolved(&cell),
                ..step_view(track, at, on, &sums)
            }
        };
        Ok((0..track.steps.len()).map(view).collect())
    }

    fn item_steps(&self, run: &Run, track: &Track, items: &ItemCounts, tally: &Tally) -> Vec<StepView> {
        let regard = self.regard(run);
        let sums: Vec<StepTally> =
            (0..track.steps.len()).map(|at| tally.steps.get(at).copied().unwrap_or_default()).collect();
        let counts: Vec<ItemCounts> =
            sums.iter().map(|sums| ItemCounts::of(items.total, &sums.units, regard)).collect();
        let before = ancestors(track);
        let view = |at: usize| {
            let stopped: u64 = before[at].iter().map(|earlier| counts[*earlier].stopped()).sum();
            // An item that stops in two branches is one item: the whole run bounds the sum.
            let blocked = stopped.min(items.stopped()).min(counts[at].pending);
            StepView {
                status: item_step_status(&counts[at], blocked, self.status(run)),
                items: counts[at],
                blocked,
                ..step_view(track, at, StepTrack::Items, &sums[at])
            }
        };
        (0..track.steps.len()).map(view).collect()
    }
}

fn step_view(steps: &Track, at: usize, track: StepTrack, sums: &StepTally) -> StepView {
    let PlanStep { name, role, needs, connection, .. } = &steps.steps[at];
    StepView {
        step: name.clone(),
        does: does(*role),
        needs: needs.iter().filter_map(|need| Some(steps.steps.get(*need)?.name.clone())).collect(),
        connection: connection.clone(),
        status: UnitStatus::Pending,
        track,
        items: ItemCounts::default(),
        blocked: 0,
        attempts: sums.attempts,
        batches: sums.calls.batches,
        calls: sums.calls.calls,
        accepted: sums.calls.accepted,
        refused: sums.calls.refused,
        error: None,
    }
}

fn does(role: Role) -> Does {
    match role {
        Role::Source => Does::Source,
        Role::Pure => Does::Computes,
        Role::Effect { .. } => Does::Effect,
        Role::Timer | Role::Receive => Does::Waits,
        Role::Listen => Does::Listens,
    }
}

/// The fault of a cell that has not got over it.
fn unresolved(cell: &Cell) -> Option<Fault> {
    if cell.state.is_passed() || cell.state == State::Pending { None } else { cell.fault.clone() }
}

/// The source is shown with its items, and with the status of the gate until that is passed.
fn merge_source(gate: &StepView, items: StepView) -> StepView {
    let passed = gate.status == UnitStatus::Succeeded;
    StepView {
        status: if passed && items.items.total > 0 { items.status } else { gate.status },
        attempts: gate.attempts + items.attempts,
        batches: gate.batches + items.batches,
        calls: gate.calls + items.calls,
        accepted: gate.accepted + items.accepted,
        refused: gate.refused + items.refused,
        error: gate.error.clone(),
        does: gate.does,
        needs: gate.needs.clone(),
        ..items
    }
}

/// All steps before each step. The steps of a track stand in topological order.
fn ancestors(track: &Track) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::with_capacity(track.steps.len());
    for step in &track.steps {
        let mut before: Vec<usize> = step.needs.clone();
        before.extend(step.needs.iter().filter_map(|need| all.get(*need)).flatten());
        before.sort_unstable();
        before.dedup();
        all.push(before);
    }
    all
}

/// One word for many items: what happens now comes before what is left, and what is left before
/// how it ended.
fn item_step_status(counts: &ItemCounts, blocked: u64, run: Status) -> UnitStatus {
    let left = counts.pending - blocked;
    if let Some((status, _)) = counts.states()[1..5].iter().find(|(_, count)| *count > 0) {
        *status
    } else if left > 0
        && counts.ended() > 0
        && matches!(run, Status::Running | Status::Waiting | Status::Paused)
    {
        UnitStatus::Running
    } else if left > 0 || counts.ended() == 0 {
        UnitStatus::Pending
    } else if counts.succeeded > 0 {
        UnitStatus::Succeeded
    } else if counts.skipped > 0 {
        UnitStatus::Skipped
    } else if counts.dead_lettered > 0 {
        UnitStatus::DeadLettered
    } else {
        UnitStatus::Cancelled
    }
}
