//! How far one unit has come: a cell for every step of its track.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, IllegalTransition, Kind, SkipReason, State};
use super::plan::Track;
use super::time::Timestamp;

/// All that is durable about one unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// One cell per step of the track, in its order.
    pub cells: Vec<Cell>,
}

/// Where a unit stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The state at the step that matters most: a dead letter or doubt before work, work before
    /// what is still to come.
    pub state: State,
    /// That step.
    pub step: usize,
}

impl Progress {
    /// A unit that has not begun.
    pub fn new(track: &Track) -> Self {
        Self { cells: vec![Cell::default(); track.steps.len()] }
    }

    /// Applies one event; whatever is recorded at a step implies that the pure steps before it
    /// are done, so those are marked too.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the cell does not accept it; the progress is then unchanged.
    pub fn apply(
        &mut self,
        track: &Track,
        step: usize,
        kind: Kind,
        at: Timestamp,
    ) -> Result<(), IllegalTransition> {
        self.cells[step] = self.cells[step].clone().next(kind, at)?;
        for pure in &track.steps[step].implied {
            let cell = &mut self.cells[*pure];
            if cell.state == State::Pending {
                cell.state = State::Succeeded;
                cell.at = at;
            }
        }
        Ok(())
    }

    /// Whether every step that `step` needs is passed.
    pub fn is_ready(&self, track: &Track, step: usize) -> bool {
        self.cells[step].state == State::Pending
            && track.steps[step].needs.iter().all(|need| self.cells[*need].state.is_passed())
    }

    /// Whether `step` is ready, but only because everything before it was skipped by condition.
    pub fn is_skipped_with_needs(&self, track: &Track, step: usize) -> bool {
        let needs = &track.steps[step].needs;
        !needs.is_empty()
            && needs.iter().all(|need| self.cells[*need].state == State::Skipped(SkipReason::Condition))
    }

    /// Nothing more will happen to the unit by itself: every step is final, or stands behind a
    /// step that ended without being passed, or is left to a person.
    pub fn is_at_rest(&self, track: &Track) -> bool {
        self.cells.iter().enumerate().all(|(step, cell)| match cell.state {
            State::Pending => !self.is_reachable(track, step),
            State::InDoubt(until) => until.is_none(),
            state => state.is_final(),
        })
    }

    /// Where the unit stands as a whole.
    pub fn standing(&self) -> Standing {
        let rank = |state: State| match state {
            State::DeadLettered => 0,
            State::InDoubt(_) => 1,
            State::Cancelled => 2,
            State::Running => 3,
            State::Backoff(_) => 4,
            State::Waiting(_) => 5,
            State::Pending => 6,
            State::Succeeded | State::Skipped(_) => 7,
        };
        // Among steps of equal weight the first one is where work stands; but of those that
        // were passed the last one tells most.
        let weigh = |(step, cell): &(usize, &Cell)| {
            let place = if cell.state.is_passed() { usize::MAX - step } else { *step };
            (rank(cell.state), place)
        };
        let foremost = self.cells.iter().enumerate().min_by_key(weigh);
        foremost.map_or(Standing { state: State::Succeeded, step: 0 }, |(step, cell)| Standing {
            state: cell.state,
            step,
        })
    }

    /// A pending step can still be reached when no step before it ended without being passed.
    fn is_reachable(&self, track: &Track, step: usize) -> bool {
        track.steps[step].needs.iter().all(|need| match self.cells[*need].state {
            State::DeadLettered | State::Cancelled | State::InDoubt(None) => false,
            State::Pending => self.is_reachable(track, *need),
            State::Running | State::Backoff(_) | State::Waiting(_) | State::InDoubt(Some(_)) => true,
            State::Succeeded | State::Skipped(_) => true,
        })
    }
}
