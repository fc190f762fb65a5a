//! How far one unit has come: a cell for every step of its track.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cell::{Cell, Facts, IllegalTransition, Kind, SkipReason, State};
use super::plan::{PlanStep, Track};
use super::time::Timestamp;

/// All that is durable about one unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// One cell per step of the track, in its order. Copies share them until one changes: a unit of a
    /// thousand steps is copied several times whenever one of them moves.
    pub cells: Arc<[Arc<Cell>]>,
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
        Self { cells: std::iter::repeat_n(Arc::default(), track.steps.len()).collect() }
    }

    /// A unit that stands as these cells say.
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self { cells: cells.into_iter().map(Arc::new).collect() }
    }

    /// A cell that is about to change; copies of the unit keep theirs.
    pub fn cell_mut(&mut self, step: usize) -> &mut Cell {
        Arc::make_mut(&mut Arc::make_mut(&mut self.cells)[step])
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
        let before = self.cells[step].state;
        let begins = kind == Kind::Intended;
        let next = Cell::clone(&self.cells[step]).next(kind, at)?;
        Arc::make_mut(&mut self.cells)[step] = Arc::new(next);
        // Whatever begins now, begins under the definition of now.
        if matches!(before, State::Pending | State::Backoff(_)) {
            self.cell_mut(step).revision = track.steps[step].revision;
        }
        if begins && track.is_followed(step) {
            self.cell_mut(step).began = Some(at);
        }
        // What begins anew implies nothing.
        let implied = match self.cells[step].state {
            State::Pending => &[],
            _ => track.steps[step].implied.as_slice(),
        };
        for pure in implied {
            if self.cells[*pure].state == State::Pending {
                let cell = self.cell_mut(*pure);
                cell.state = State::Succeeded;
                cell.revision = track.steps[*pure].revision;
                cell.at = at;
            }
        }
        Ok(())
    }

    /// Whether what is recorded at `step` was reached under an earlier revision of it, so that it is
    /// to be done anew. What a person gave up stays so, and a doubt is settled first.
    pub fn is_outdated(&self, track: &Track, step: usize) -> bool {
        let Some(known) = track.steps.get(step) else { return false };
        let cell = &self.cells[step];
        cell.revision < known.revision
            && matches!(
                cell.state,
                State::Succeeded
                    | State::Skipped(_)
                    | State::DeadLettered
                    | State::Backoff(_)
                    | State::Waiting(_)
            )
    }

    /// Where the unit stands at `step` under the revisions of the track: what is out of date counts
    /// as not begun.
    pub fn state(&self, track: &Track, step: usize) -> State {
        if self.is_outdated(track, step) { State::Pending } else { self.cells[step].state }
    }

    /// The same without the facts.
    #[must_use]
    pub fn outline(&self) -> Self {
        Self::of(self.cells.iter().map(|cell| Cell {
            facts: Facts::new(),
            fault: cell.fault.clone(),
            ..**cell
        }))
    }

    /// Gives a unit that was recorded before steps were added to its track the cells of those.
    #[must_use]
    pub fn fitted(mut self, track: &Track) -> Self {
        let added = track.steps.len().saturating_sub(self.cells.len());
        if added > 0 {
            let fresh = std::iter::repeat_n(Arc::default(), added);
            self.cells = self.cells.iter().cloned().chain(fresh).collect();
        }
        self
    }

    /// Whether every step that `step` needs is passed; for a tolerant step, whether each has ended.
    pub fn is_ready(&self, track: &Track, step: usize) -> bool {
        let known = &track.steps[step];
        let lets_on = |need: &usize| match self.state(track, *need) {
            State::Succeeded | State::Skipped(_) => true,
            State::DeadLettered | State::Cancelled | State::InDoubt(None) => known.tolerant,
            State::Pending
            | State::Running
            | State::Backoff(_)
            | State::Waiting(_)
            | State::InDoubt(Some(_)) => false,
        };
        self.state(track, step) == State::Pending && !known.is_closed() && known.needs.iter().all(lets_on)
    }

    /// Whether `step` is ready, but only because everything before it was skipped by condition.
    pub fn is_skipped_with_needs(&self, track: &Track, step: usize) -> bool {
        let needs = &track.steps[step].needs;
        !needs.is_empty()
            && needs.iter().all(|need| self.state(track, *need) == State::Skipped(SkipReason::Condition))
    }

    /// Nothing more will happen to the unit by itself: every step is settled.
    pub fn is_at_rest(&self, track: &Track) -> bool {
        // A record may be older than the last steps of its track.
        self.cells.len() >= track.steps.len()
            && (0..self.cells.len()).all(|step| self.is_settled(track, step))
    }

    /// Nothing more will happen at this step by itself: it is final, or stands behind a step that ended
    /// without being passed, or is left to a person; or it is closed, for now.
    pub fn is_settled(&self, track: &Track, step: usize) -> bool {
        match self.state(track, step) {
            State::Pending => !self.is_reachable(track, step),
            State::Succeeded | State::Skipped(_) | State::DeadLettered | State::Cancelled => true,
            State::InDoubt(None) => true,
            State::Running | State::Backoff(_) | State::Waiting(_) | State::InDoubt(Some(_)) => {
                track.steps.get(step).is_some_and(PlanStep::is_closed)
            }
        }
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
        let weigh = |(step, cell): &(usize, &Arc<Cell>)| {
            let place = if cell.state.is_passed() { usize::MAX - step } else { *step };
            (rank(cell.state), place)
        };
        let foremost = self.cells.iter().enumerate().min_by_key(weigh);
        foremost.map_or(Standing { state: State::Succeeded, step: 0 }, |(step, cell)| Standing {
            state: cell.state,
            step,
        })
    }

    /// A pending step can still be reached when neither it nor a step before it is closed, and none
    /// before it ended without being passed.
    fn is_reachable(&self, track: &Track, step: usize) -> bool {
        let known = &track.steps[step];
        !known.is_closed()
            && known.needs.iter().all(|need| match self.state(track, *need) {
                State::DeadLettered | State::Cancelled | State::InDoubt(None) => known.tolerant,
                State::Pending => self.is_reachable(track, *need),
                State::Running | State::Backoff(_) | State::Waiting(_) | State::InDoubt(Some(_)) => {
                    !track.steps[*need].is_closed()
                }
                State::Succeeded | State::Skipped(_) => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use State as S;

    use super::*;
    use crate::core::cell::{Facts, SettleBy};
    use crate::core::tests::{AT, effect, pure, standing_at};

    const SKIPPED: State = S::Skipped(SkipReason::Condition);
    const NONE: [usize; 0] = [];
    const FRESH: State = S::Skipped(SkipReason::AlreadyApplied);

    /// read, then two effects side by side, then their join.
    fn diamond() -> Track {
        Track::new(vec![
            pure("read", &[]),
            effect("left", &[0], SettleBy::Probe),
            effect("right", &[0], SettleBy::Probe),
            effect("join", &[1, 2], SettleBy::Probe),
        ])
    }

    #[test]
    fn a_step_is_ready_when_everything_it_needs_is_passed() {
        let track = diamond();
        let ready = |states: [State; 4]| {
            let progress = standing_at(&states);
            (0..4).filter(|step| progress.is_ready(&track, *step)).collect::<Vec<_>>()
        };
        assert_eq!(ready([S::Pending; 4]), [0]);
        assert_eq!(ready([S::Succeeded, S::Pending, S::Pending, S::Pending]), [1, 2]);
        assert_eq!(ready([S::Succeeded, S::Succeeded, S::Running, S::Pending]), NONE, "a join waits for all");
        assert_eq!(ready([S::Succeeded, S::Succeeded, SKIPPED, S::Pending]), [3], "skipped is passed");
        for state in [S::Backoff(AT), S::Waiting(AT), S::InDoubt(Some(AT)), S::DeadLettered, S::Cancelled] {
            assert_eq!(ready([S::Succeeded, S::Succeeded, state, S::Pending]), NONE, "{state:?}");
        }
    }

    #[test]
    fn a_condition_is_passed_on_only_when_all_before_were_skipped_by_it() {
        let track = diamond();
        let passed_on = |left, right| {
            standing_at(&[S::Succeeded, left, right, S::Pending]).is_skipped_with_needs(&track, 3)
        };
        assert!(passed_on(SKIPPED, SKIPPED));
        assert!(!passed_on(SKIPPED, S::Succeeded), "one branch went on, so the join does");
        assert!(!passed_on(SKIPPED, FRESH), "nothing to do is done");
        assert!(
            !standing_at(&[S::Pending; 4]).is_skipped_with_needs(&track, 0),
            "the first step has no reason"
        );
    }

    #[test]
    fn a_unit_rests_when_nothing_can_go_on_by_itself() {
        let track = diamond();
        let rests = |left, right, join| standing_at(&[S::Succeeded, left, right, join]).is_at_rest(&track);
        assert!(rests(S::Succeeded, FRESH, S::Succeeded));
        assert!(rests(S::DeadLettered, S::Succeeded, S::Pending), "the join can never be reached");
        assert!(rests(S::InDoubt(None), S::Succeeded, S::Pending), "a person decides");
        assert!(rests(S::Cancelled, S::Cancelled, S::Pending));
        assert!(!rests(S::DeadLettered, S::Pending, S::Pending), "the other branch still goes on");
        assert!(!rests(S::DeadLettered, S::Backoff(AT), S::Pending));
        assert!(!rests(S::InDoubt(Some(AT)), S::DeadLettered, S::Pending), "it will be looked at");
        assert!(!rests(S::Succeeded, S::Succeeded, S::Pending), "the join is next");
        assert!(!rests(S::Succeeded, S::Waiting(AT), S::Pending));
        let dead_at_once = [S::DeadLettered, S::Pending, S::Pending, S::Pending];
        assert!(standing_at(&dead_at_once).is_at_rest(&track), "nothing behind a dead letter is reached");
    }

    #[test]
    fn a_unit_stands_where_it_matters_most() {
        let stands = |states: &[State]| {
            let Standing { state, step } = standing_at(states).standing();
            (state, step)
        };
        let in_doubt = S::InDoubt(None);
        assert_eq!(stands(&[S::Succeeded, S::Running, in_doubt, S::DeadLettered]), (S::DeadLettered, 3));
        assert_eq!(stands(&[S::Succeeded, S::Running, in_doubt]), (in_doubt, 2));
        assert_eq!(stands(&[S::Succeeded, S::Waiting(AT), S::Backoff(AT)]), (S::Backoff(AT), 2));
        assert_eq!(stands(&[S::Succeeded, S::Pending, S::Pending]), (S::Pending, 1), "the next step");
        assert_eq!(stands(&[S::Succeeded, S::Succeeded, FRESH]), (FRESH, 2), "the last of those passed");
        assert_eq!(stands(&[]), (S::Succeeded, 0), "nothing to do is done");
    }

    #[test]
    fn a_record_implies_the_pure_steps_before_it() {
        let track = Track::new(vec![
            pure("read", &[]),
            pure("map", &[0]),
            effect("write", &[1], SettleBy::Probe),
            pure("beside", &[0]),
        ]);
        let mut progress = Progress::new(&track);
        progress.apply(&track, 2, Kind::Intended, AT).unwrap();
        let states: Vec<State> = progress.cells.iter().map(|cell| cell.state).collect();
        assert_eq!(states, [S::Succeeded, S::Succeeded, S::Running, S::Pending]);
        let before = progress.clone();
        assert!(progress.apply(&track, 2, Kind::Absent { until: Some(AT) }, AT).is_err());
        assert!(progress.apply(&track, 0, Kind::Done { facts: Facts::new() }, AT).is_err());
        assert_eq!(progress, before, "what is refused changes nothing");
    }
}
