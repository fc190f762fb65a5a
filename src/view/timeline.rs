//! When the steps of a run worked: how many units each of them was through with, by slices of time.

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use super::status::UnitStatus;
use super::when::When;
use crate::core::cell::{Cell, State};
use crate::core::id::{RunId, Unit};
use crate::core::plan::Track;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::time::Timestamp;

/// Slices at most; at least half as many when a run lasts longer than that many milliseconds.
const SLICES: usize = 120;
/// Records read from the store at once.
const CHUNK: usize = 512;
/// Most items looked at: beyond, the timeline is that of the first ones, and says so.
const LOOKED_AT_MAX: u64 = 200_000;

/// When the steps of a run worked. A unit counts where it last changed at a step: what is done again
/// moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineView {
    /// The run.
    pub run: RunId,
    /// Where the first slice begins.
    pub from: When,
    /// Where the last slice ends.
    pub to: When,
    /// How long a slice is, in milliseconds.
    pub slice_ms: u64,
    /// Items that are in here; fewer than the run has when it has very many.
    pub items: u64,
    /// The steps that left a trace, in the order in which they are reached.
    pub steps: Vec<StepTimeline>,
}

/// When one step worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTimeline {
    /// The step.
    pub step: String,
    /// When something first ended there, as far as the records still say.
    pub first: When,
    /// When something last changed there.
    pub last: When,
    /// Units that it was through with, by slice.
    pub passed: Vec<u64>,
    /// Units that ended there or are in doubt, by slice.
    pub stopped: Vec<u64>,
}

/// What is known of one step while it is counted.
#[derive(Clone, Debug)]
struct Lane {
    first: Timestamp,
    last: Timestamp,
    passed: [u64; SLICES],
    stopped: [u64; SLICES],
}

/// Slices that grow with the run, so that one pass over its records is enough.
struct Slices {
    from: Timestamp,
    width: u64,
    end: usize,
    lanes: Vec<Option<Lane>>,
}

impl Slices {
    fn new(from: Timestamp, steps: usize) -> Self {
        Self { from, width: 1, end: 0, lanes: vec![None; steps] }
    }

    /// The slice of an instant; all slices double until it has one.
    fn slice(&mut self, at: Timestamp) -> usize {
        let since = at.0.saturating_sub(self.from.0);
        while since / self.width >= SLICES as u64 {
            self.width *= 2;
            self.end /= 2;
            for lane in self.lanes.iter_mut().flatten() {
                halve(&mut lane.passed);
                halve(&mut lane.stopped);
            }
        }
        let slice = usize::try_from(since / self.width).unwrap_or(SLICES - 1);
        self.end = self.end.max(slice);
        slice
    }

    fn count(&mut self, step: usize, cell: &Cell) {
        let stopped = match cell.state {
            State::Succeeded | State::Skipped(_) => false,
            State::DeadLettered | State::Cancelled | State::InDoubt(_) => true,
            State::Pending | State::Running | State::Backoff(_) | State::Waiting(_) => return,
        };
        // A pure step leaves no instant of its own.
        if cell.at < self.from {
            return;
        }
        let slice = self.slice(cell.at);
        let blank = Lane { first: cell.at, last: cell.at, passed: [0; SLICES], stopped: [0; SLICES] };
        let lane = self.lanes[step].get_or_insert(blank);
        lane.first = lane.first.min(cell.at);
        lane.last = lane.last.max(cell.at);
        let counts = if stopped { &mut lane.stopped } else { &mut lane.passed };
        counts[slice] += 1;
    }

    fn count_all(&mut self, first: usize, progress: &Progress) {
        for (at, cell) in progress.cells.iter().enumerate() {
            if first + at < self.lanes.len() {
                self.count(first + at, cell);
            }
        }
    }
}

/// Puts each pair of slices together.
fn halve(slices: &mut [u64; SLICES]) {
    for at in 0..SLICES {
        slices[at] = if at < SLICES / 2 { slices[2 * at] + slices[2 * at + 1] } else { 0 };
    }
}

impl Archive {
    /// When the steps of a run worked.
    ///
    /// # Errors
    /// What is wrong with the reference, or that the records cannot be read.
    pub fn timeline(&self, reference: &str) -> Result<TimelineView, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let tracks = [&plan.run, &plan.items, &plan.closing];
        let mut slices = Slices::new(run.started_at, tracks.iter().map(|track| track.steps.len()).sum());
        if let Some(progress) = self.journal().progress(run.id, Unit::Run)? {
            slices.count_all(0, &progress);
        }
        let items = self.count_items(&run, plan.run.steps.len(), &mut slices)?;
        for number in 1..=run.closings {
            if let Some(progress) = self.journal().progress(run.id, Unit::Closing(number))? {
                slices.count_all(plan.run.steps.len() + plan.items.steps.len(), &progress);
            }
        }
        // The source stands on two tracks, and is shown once: with its items, as soon as there are some.
        if let Some(gate) = plan.source()
            && slices.lanes.get(plan.run.steps.len()).is_some_and(Option::is_some)
        {
            slices.lanes[gate] = None;
        }
        Ok(told(&run, &tracks, items, &slices))
    }

    fn count_items(&self, run: &Run, first: usize, slices: &mut Slices) -> Result<u64, Problem> {
        let (mut from, mut counted) = (0, 0);
        while from < LOOKED_AT_MAX {
            let records = self.journal().outlines(run.id, from, CHUNK)?;
            let Some((last, _)) = records.last() else { break };
            from = last + 1;
            counted += records.len() as u64;
            for (_, progress) in &records {
                slices.count_all(first, progress);
            }
        }
        Ok(counted)
    }
}

fn told(run: &Run, tracks: &[&Track], items: u64, slices: &Slices) -> TimelineView {
    let names = tracks.iter().flat_map(|track| &track.steps).map(|step| &step.name);
    let shown = slices.end + 1;
    let lanes = names.zip(&slices.lanes).filter_map(|(name, lane)| Some((name, lane.as_ref()?)));
    let steps: Vec<StepTimeline> = lanes
        .map(|(name, lane)| StepTimeline {
            step: name.clone(),
            first: When(lane.first),
            last: When(lane.last),
            passed: lane.passed[..shown].to_vec(),
            stopped: lane.stopped[..shown].to_vec(),
        })
        .collect();
    let to = Timestamp(slices.from.0 + slices.width * shown as u64);
    TimelineView { run: run.id, from: When(slices.from), to: When(to), slice_ms: slices.width, items, steps }
}

impl StepTimeline {
    /// How the units that are through stand: passed, and stopped.
    pub fn sums(&self) -> [(UnitStatus, u64); 2] {
        [
            (UnitStatus::Succeeded, self.passed.iter().sum()),
            (UnitStatus::DeadLettered, self.stopped.iter().sum()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fake::{START, archive};
    use std::time::Duration;

    #[test]
    fn slices_grow_with_the_run_and_lose_nothing() {
        let mut slices = Slices::new(START, 1);
        for minutes in 0..300 {
            let at = START.after(Duration::from_mins(minutes));
            slices.count(0, &Cell { state: State::Succeeded, at, ..Cell::default() });
        }
        let lane = slices.lanes[0].clone().unwrap();
        assert_eq!(lane.passed.iter().sum::<u64>(), 300);
        assert!(slices.end < SLICES && slices.end >= SLICES / 2 - 1, "{}", slices.end);
        assert!(lane.passed[..=slices.end].iter().all(|count| *count > 0), "{:?}", lane.passed);
        assert_eq!((lane.first, lane.last), (START, START.after(Duration::from_mins(299))));
    }

    #[test]
    fn every_unit_that_is_through_is_counted_once_per_step() {
        let timeline = archive(false).timeline("@failed").unwrap();
        let sums = |step: &str| {
            let mut lanes = timeline.steps.iter().filter(|lane| lane.step == step);
            let sums = lanes.next().unwrap().sums().map(|(_, count)| count);
            assert!(lanes.next().is_none(), "{step} is shown once");
            sums
        };
        assert_eq!((sums("publish"), sums("pim"), timeline.items), ([3, 0], [2, 1], 5));
        assert_eq!(sums("validate"), [4, 1], "the items that passed the gate, and the one that did not");
    }
}
