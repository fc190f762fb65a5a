//! How a run ends (rule R11): judged once, over all records.

use super::cell::State;
use super::fault::{Fault, name};
use super::plan::Plan;
use super::progress::Progress;
use super::run::Status;
use super::tally::Tally;

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Everything that was to be done is done, up to tolerated dead letters.
    Succeeded,
    /// It failed, and this is why.
    Failed(Fault),
}

impl Verdict {
    /// The status it leads to.
    pub fn status(&self) -> Status {
        match self {
            Self::Succeeded => Status::Succeeded,
            Self::Failed(_) => Status::Failed,
        }
    }
}

/// Judges a run whose work is finished. `total` is the number of records in the source.
pub fn judge(plan: &Plan, run: &Progress, items: &Tally, total: u64) -> Verdict {
    let stuck = |state: fn(State) -> bool| {
        run.cells
            .iter()
            .zip(&plan.run.steps)
            .find(|(cell, _)| state(cell.state))
            .map(|(cell, step)| (cell, &step.name))
    };
    if let Some((cell, step)) = stuck(|state| matches!(state, State::DeadLettered | State::Cancelled)) {
        let fault = cell.fault.clone().unwrap_or_else(|| Fault::new(name::REFUSED, "it did not succeed"));
        return Verdict::Failed(Fault::new(fault.name, format!("step '{step}': {}", fault.message)));
    }
    if let Some((_, step)) = stuck(|state| matches!(state, State::InDoubt(_))) {
        let message = format!("step '{step}' may or may not have happened; a person must decide");
        return Verdict::Failed(Fault::new(name::IN_DOUBT, message));
    }
    // By step: an item that is a dead letter in one branch may be in doubt in another.
    let in_doubt: u64 = items.steps.iter().map(|step| step.units.in_doubt).sum();
    if in_doubt > 0 {
        let message = format!("{in_doubt} effects may or may not have happened; a person must decide");
        return Verdict::Failed(Fault::new(name::IN_DOUBT, message));
    }
    let dead = items.units.dead_lettered;
    if plan.tolerate.allows(dead, total) {
        Verdict::Succeeded
    } else {
        let message = format!("{dead} of {total} items are dead letters, more than 'tolerate' allows");
        Verdict::Failed(Fault::new(name::NOT_TOLERATED, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cell::{SettleBy, State as S};
    use crate::core::plan::Track;
    use crate::core::tests::{effect, plan, standing_at};
    use crate::core::workflow::Tolerance;

    fn judged(tolerate: Tolerance, run: S, items: [(S, u64); 3], total: u64) -> Verdict {
        let run_track = Track::new(vec![effect("report", &[], SettleBy::Person)]);
        let plan = Plan { tolerate, ..plan(run_track, Track::default()) };
        let mut tally = Tally::default();
        for (state, count) in items {
            (0..count).for_each(|_| tally.shift(None, &standing_at(&[state])));
        }
        judge(&plan, &standing_at(&[run]), &tally, total)
    }

    fn name_of(verdict: Verdict) -> String {
        let Verdict::Failed(fault) = verdict else { return "succeeded".to_owned() };
        fault.name
    }

    #[test]
    fn a_failed_run_step_is_the_reason_whatever_the_items_say() {
        let items = [(S::DeadLettered, 9), (S::InDoubt(None), 1), (S::Succeeded, 0)];
        let verdict = judged(Tolerance::Count(0), S::DeadLettered, items, 10);
        assert_eq!(verdict, Verdict::Failed(Fault::new("Refused", "step 'report': no")));
        assert_eq!(verdict.status(), Status::Failed);
    }

    #[test]
    fn a_step_that_failed_before_it_succeeded_is_no_reason() {
        let mut run = standing_at(&[S::Succeeded]);
        run.cell_mut(0).fault = Some(Fault::new("Timeout", "at first"));
        let track = Track::new(vec![effect("report", &[], SettleBy::Person)]);
        let verdict = judge(&plan(track, Track::default()), &run, &Tally::default(), 0);
        assert_eq!((verdict.status(), verdict), (Status::Succeeded, Verdict::Succeeded));
    }

    #[test]
    fn a_doubt_that_only_a_person_can_settle_is_never_tolerated() {
        let items = [(S::InDoubt(None), 1), (S::Succeeded, 99), (S::DeadLettered, 0)];
        assert_eq!(name_of(judged(Tolerance::Percent(100.0), S::Succeeded, items, 100)), name::IN_DOUBT);
    }

    #[test]
    fn a_run_step_in_doubt_fails_the_run() {
        let items = [(S::Succeeded, 1), (S::DeadLettered, 0), (S::InDoubt(None), 0)];
        assert_eq!(name_of(judged(Tolerance::Count(0), S::InDoubt(None), items, 1)), name::IN_DOUBT);
    }

    #[test]
    fn a_doubt_in_one_branch_is_not_hidden_by_a_dead_letter_in_another() {
        let mut tally = Tally::default();
        tally.shift(None, &standing_at(&[S::DeadLettered, S::InDoubt(None)]));
        let plan = Plan { tolerate: Tolerance::Count(9), ..plan(Track::default(), Track::default()) };
        assert_eq!(name_of(judge(&plan, &standing_at(&[]), &tally, 100)), name::IN_DOUBT);
    }

    #[test]
    fn dead_letters_are_weighed_against_all_records() {
        let judged = |tolerate, dead, total| {
            let items = [(S::DeadLettered, dead), (S::Succeeded, 1), (S::InDoubt(None), 0)];
            name_of(judged(tolerate, S::Succeeded, items, total))
        };
        assert_eq!(judged(Tolerance::Percent(2.0), 2, 100), "succeeded", "exactly as many as allowed");
        assert_eq!(judged(Tolerance::Percent(2.0), 3, 100), name::NOT_TOLERATED);
        assert_eq!(judged(Tolerance::Percent(2.0), 1, 49), name::NOT_TOLERATED);
        assert_eq!(judged(Tolerance::Count(1), 1, 2), "succeeded");
        assert_eq!(judged(Tolerance::Count(0), 1, 1_000), name::NOT_TOLERATED);
        assert_eq!(judged(Tolerance::Percent(0.0), 0, 0), "succeeded", "an empty source");
    }
}
