//! What is planned for a unit is what is carried out: random tracks, random records, some of them
//! out of date, and a world in which everything succeeds.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::core::catalog::Role;
use crate::core::cell::{Cell, Facts, Kind, SettleBy, SkipReason, State as S};
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::letter::LetterFilter;
use crate::core::plan::{PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::resume::{Fate, Planner, at_admission, fates, fates_left_out, join, revival};
use crate::core::selection::{Positions, Selection};

use super::{AT, effect, step};

const CASES: u64 = 20_000;

fn track(rng: &mut StdRng) -> Track {
    let count = rng.random_range(1..=7);
    let steps = (0..count).map(|at: usize| {
        let needs: Vec<usize> = (0..at).filter(|_| rng.random_bool(0.45)).collect();
        let settle = [SettleBy::Probe, SettleBy::Repeat, SettleBy::Person][rng.random_range(0..3)];
        let name = format!("s{at}");
        let known = match rng.random_range(0..7) {
            0 | 1 => step(&name, Role::Pure, &needs),
            2 => step(&name, Role::Receive, &needs),
            3 => step(&name, Role::Timer, &needs),
            4 => step(&name, Role::Listen, &needs),
            _ => effect(&name, &needs, settle),
        };
        PlanStep { revision: u32::from(rng.random_bool(0.3)), ..known }
    });
    Track::new(steps.collect())
}

/// Where a step can stand whose needs are passed.
fn state(rng: &mut StdRng, role: Role) -> S {
    let any = match role {
        Role::Pure | Role::Source => vec![S::Pending, S::Succeeded, S::Succeeded, S::DeadLettered],
        Role::Timer => vec![S::Pending, S::Waiting(AT), S::Succeeded, S::Cancelled],
        Role::Receive | Role::Listen => {
            vec![S::Pending, S::Waiting(AT), S::Succeeded, S::Succeeded, S::DeadLettered]
        }
        Role::Effect { .. } => vec![
            S::Pending,
            S::Running,
            S::Backoff(AT),
            S::InDoubt(Some(AT)),
            S::InDoubt(None),
            S::Succeeded,
            S::Succeeded,
            S::Skipped(SkipReason::AlreadyApplied),
            S::DeadLettered,
            S::Cancelled,
        ],
    };
    any[rng.random_range(0..any.len())]
}

/// A record as an engine could have left it, under revisions of then.
fn progress(rng: &mut StdRng, track: &Track) -> Progress {
    let mut progress = Progress::new(track);
    for (at, known) in track.steps.iter().enumerate() {
        if !known.needs.iter().all(|need| progress.cells[*need].state.is_passed()) {
            continue;
        }
        let state = match state(rng, known.role) {
            // Nobody looks where only a person can tell.
            S::InDoubt(_) if known.settle == SettleBy::Person => S::InDoubt(None),
            state => state,
        };
        let lost = known.role == Role::Receive && rng.random_bool(0.5);
        let fault = (state == S::DeadLettered)
            .then(|| Fault::new(if lost { name::MESSAGE_LOST } else { "Refused" }, "no"));
        let revision = if rng.random_bool(0.5) { known.revision } else { 0 };
        let attempts = u32::from(rng.random_bool(0.8));
        *progress.cell_mut(at) = Cell { state, fault, revision, attempts, at: AT, ..Cell::default() };
    }
    progress
}

/// Applies one event and what [`crate::core::desk::Desk`] adds to it.
fn record(track: &Track, progress: &mut Progress, at: usize, kind: Kind) {
    progress.apply(track, at, kind, AT).unwrap();
    if progress.is_outdated(track, at) {
        progress.apply(track, at, Kind::Outdated, AT).unwrap();
    }
}

/// Goes on until nothing does any more, as the engine would; returns the steps that did something.
fn carry_out(track: &Track, progress: &mut Progress, mut found: impl FnMut() -> bool) -> BTreeSet<usize> {
    let done = || Kind::Done { facts: Facts::new() };
    let mut worked = BTreeSet::new();
    loop {
        let moves = |at: &usize| match progress.cells[*at].state {
            S::Pending => progress.is_ready(track, *at),
            S::Backoff(_) | S::Waiting(_) | S::InDoubt(Some(_)) => true,
            _ => false,
        };
        let Some(at) = (0..track.steps.len()).find(moves) else { return worked };
        worked.insert(at);
        let known = &track.steps[at];
        match (progress.cells[at].state, known.role) {
            (S::InDoubt(_), _) => {
                let absent = Kind::Absent { until: Some(AT) };
                record(track, progress, at, if found() { done() } else { absent });
            }
            (S::Pending, Role::Timer | Role::Receive | Role::Listen) => {
                record(track, progress, at, Kind::Parked { until: AT, facts: Facts::new() });
            }
            (S::Pending | S::Backoff(_), Role::Effect { .. }) => {
                record(track, progress, at, Kind::Intended);
                assert_eq!(progress.cells[at].revision, known.revision, "it begins under the present one");
                record(track, progress, at, done());
            }
            _ => record(track, progress, at, done()),
        }
    }
}

fn acting(fates: &[Fate]) -> BTreeSet<usize> {
    fates.iter().enumerate().filter(|(_, fate)| fate.acts()).map(|(at, _)| at).collect()
}

#[test]
fn what_is_carried_out_is_what_was_planned_and_leaves_nothing_out_of_date() {
    for seed in 0..CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let track = track(&mut rng);
        let before = progress(&mut rng, &track);
        let planned = fates(&track, &before);
        let mut progress = before.clone();
        for (at, kind) in revival(&track, &progress) {
            progress.apply(&track, at, kind, AT).unwrap();
        }
        for (at, kind) in at_admission(&track, &progress, AT) {
            progress.apply(&track, at, kind, AT).unwrap();
        }
        let worked = carry_out(&track, &mut progress, || rng.random_bool(0.5));
        let story = || format!("seed {seed}\n{track:#?}\n{before:#?}\n{planned:?}\n{progress:#?}");
        assert_eq!(worked, acting(&planned), "{}", story());
        assert!(progress.is_at_rest(&track), "{}", story());
        assert!((0..track.steps.len()).all(|at| !progress.is_outdated(&track, at)), "{}", story());
        let again = acting(&fates(&track, &progress));
        assert!(again.is_empty(), "{again:?} would act again: {}", story());
    }
}

#[test]
fn a_unit_that_is_left_out_is_planned_to_do_nothing() {
    for seed in 0..2_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let track = track(&mut rng);
        let progress = progress(&mut rng, &track);
        let fates = fates_left_out(&track, &progress);
        assert!(acting(&fates).is_empty(), "seed {seed}: {fates:?}");
        let chosen: Positions = [7].into_iter().collect();
        for selection in
            [Selection::Failed, Selection::DeadLettered(LetterFilter::default()), Selection::Items(chosen)]
        {
            assert!(!selection.takes(&track, Unit::Item(8), None));
        }
    }
}

#[test]
fn a_unit_at_rest_has_nothing_planned_that_would_go_on_by_itself() {
    for seed in 0..CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let track = track(&mut rng);
        let progress = progress(&mut rng, &track);
        let planned = fates(&track, &progress);
        // A resume does more than what would go on by itself: it gives new budgets.
        let by_itself = |at: usize| match planned[at] {
            Fate::NeverRan | Fate::OutOfDate => true,
            Fate::GoesOn => true,
            Fate::InDoubt(SettleBy::Probe | SettleBy::Repeat) => progress.cells[at].state != S::InDoubt(None),
            _ => progress.cells[at].state == S::Running,
        };
        let waits_for_revived = |at: usize| {
            let mut before: Vec<usize> = track.steps[at].needs.clone();
            let mut next = 0;
            while let Some(need) = before.get(next).copied() {
                next += 1;
                before.extend(track.steps[need].needs.iter().copied());
            }
            before.iter().any(|need| {
                matches!(planned[*need], Fate::Failed | Fate::SentAgain)
                    || progress.cells[*need].state == S::InDoubt(None)
            })
        };
        let moves = (0..track.steps.len()).any(|at| by_itself(at) && !waits_for_revived(at));
        assert!(!moves || !progress.is_at_rest(&track), "seed {seed}: {planned:?}\n{progress:#?}");
    }
}

#[test]
fn finished_items_are_planned_as_if_each_of_them_had_been_added() {
    for seed in 0..500 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut track = track(&mut rng);
        for known in &mut track.steps {
            known.revision = 0;
        }
        let end = rng.random_range(0..2_500_u64);
        let passed = [S::Succeeded, S::Skipped(SkipReason::Condition), S::Skipped(SkipReason::Stale)];
        let finished = || Progress::new(&track);
        let behind: Vec<Progress> = (0..5).map(|_| progress(&mut rng, &track)).collect();
        let chosen: Positions = (0..40).map(|_| rng.random_range(0..3_000)).collect();
        let selections = [
            Selection::All,
            Selection::Failed,
            Selection::DeadLettered(LetterFilter::default()),
            Selection::Items(chosen),
        ];
        for selection in &selections {
            let planner = || Planner::new(&track, RunId(7), 3).selecting(selection);
            let (mut counted, mut read) = (planner(), planner());
            counted.add_finished(end);
            for position in 0..end {
                let mut progress = finished();
                for step in 0..progress.cells.len() {
                    let cell = progress.cell_mut(step);
                    cell.state = passed[rng.random_range(0..passed.len())];
                    cell.attempts = rng.random_range(0..3);
                }
                read.add(Unit::Item(position), &progress);
            }
            for (progress, position) in behind.iter().zip(end..) {
                counted.add(Unit::Item(position), progress);
                read.add(Unit::Item(position), progress);
            }
            let told = |planner: Planner<'_>| join(RunId(7), vec![planner.finish(3_000)]);
            assert_eq!(told(counted), told(read), "seed {seed}, {selection:?}");
        }
    }
}
