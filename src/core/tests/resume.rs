//! What a resume does with each step of a unit, and the plan that says so.

use crate::core::catalog::Role;
use crate::core::cell::{Kind, SettleBy, SkipReason, State as S};
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::plan::{PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::resume::{Fate, Planner, ResumePlan, at_admission, fate, join, revival};

use super::{AT, effect, pure, standing_at, step};

fn alone(known: PlanStep) -> Track {
    Track::new(vec![known])
}

/// A unit whose only step stands here after one attempt.
fn tried(state: S) -> Progress {
    let mut progress = standing_at(&[state]);
    progress.cell_mut(0).attempts = 1;
    progress
}

#[test]
fn what_is_done_is_kept_and_what_was_given_up_is_tried_again() {
    let track = alone(effect("pim", &[], SettleBy::Probe));
    let in_doubt = Fate::InDoubt(SettleBy::Probe);
    let table = [
        (S::Pending, Fate::NeverRan),
        (S::Running, in_doubt),
        (S::Backoff(AT), Fate::GoesOn),
        (S::Waiting(AT), Fate::GoesOn),
        (S::InDoubt(Some(AT)), in_doubt),
        (S::InDoubt(None), in_doubt),
        (S::Succeeded, Fate::Reuse),
        (S::Skipped(SkipReason::Condition), Fate::Reuse),
        (S::Skipped(SkipReason::AlreadyApplied), Fate::Reuse),
        (S::Skipped(SkipReason::Stale), Fate::Reuse),
        (S::DeadLettered, Fate::Failed),
        (S::Cancelled, Fate::GivenUp),
    ];
    for (state, expected) in table {
        assert_eq!(fate(&track, &tried(state), 0), expected, "{state:?}");
    }
}

#[test]
fn what_pure_computation_refused_would_be_refused_again() {
    let fate_of = |known: PlanStep, progress: &Progress| fate(&alone(known), progress, 0);
    let dead = standing_at(&[S::DeadLettered]);
    assert_eq!(fate_of(pure("map", &[]), &dead), Fate::Stays);
    assert_eq!(fate_of(effect("pim", &[], SettleBy::Probe), &dead), Fate::Stays, "its request failed");
    assert_eq!(fate_of(effect("pim", &[], SettleBy::Probe), &tried(S::DeadLettered)), Fate::Failed);
    assert_eq!(fate_of(step("read", Role::Source, &[]), &dead), Fate::Failed, "the file may be there now");
    assert_eq!(fate_of(step("consume", Role::Receive, &[]), &dead), Fate::Failed, "it may come now");
}

#[test]
fn what_stands_behind_something_that_stays_stays_too() {
    let track = Track::new(vec![
        effect("pim", &[], SettleBy::Person),
        effect("shop", &[0], SettleBy::Probe),
        effect("mail", &[1], SettleBy::Probe),
        effect("beside", &[], SettleBy::Probe),
    ]);
    let fates = |pim| {
        let progress = standing_at(&[pim, S::Pending, S::Pending, S::Pending]);
        (0..4).map(|step| fate(&track, &progress, step)).collect::<Vec<_>>()
    };
    let doubt = Fate::InDoubt(SettleBy::Person);
    assert_eq!(fates(S::InDoubt(None)), [doubt, Fate::Blocked, Fate::Blocked, Fate::NeverRan]);
    assert_eq!(fates(S::DeadLettered), [Fate::Stays, Fate::Blocked, Fate::Blocked, Fate::NeverRan]);
    assert_eq!(fates(S::Cancelled), [Fate::GivenUp, Fate::Blocked, Fate::Blocked, Fate::NeverRan]);
}

#[test]
fn a_graph_with_many_paths_is_walked_once() {
    let mut steps = vec![effect("first", &[], SettleBy::Probe)];
    for _ in 0..60 {
        let last = steps.len() - 1;
        steps.push(effect("left", &[last], SettleBy::Probe));
        steps.push(effect("right", &[last], SettleBy::Probe));
        steps.push(effect("join", &[last + 1, last + 2], SettleBy::Probe));
    }
    let track = Track::new(steps);
    let progress = Progress::new(&track);
    assert_eq!(fate(&track, &progress, track.steps.len() - 1), Fate::NeverRan);
    assert!(!progress.is_at_rest(&track));
    let mut dead = progress;
    *dead.cell_mut(0) = super::cell(S::DeadLettered);
    assert_eq!(fate(&track, &dead, track.steps.len() - 1), Fate::Blocked);
    assert!(dead.is_at_rest(&track));
}

#[test]
fn a_resume_gives_new_budgets_only_where_its_plan_says_so() {
    let revived = |settle, state| revival(&alone(effect("pim", &[], settle)), &tried(state));
    let once = vec![(0, Kind::Revived)];
    assert_eq!(revived(SettleBy::Probe, S::DeadLettered), once);
    assert_eq!(revived(SettleBy::Probe, S::Cancelled), [], "a person gave it up");
    assert_eq!(revived(SettleBy::Probe, S::InDoubt(None)), once, "the looks were used up");
    assert_eq!(revived(SettleBy::Person, S::InDoubt(None)), [], "nothing but a person");
    for unfinished in [S::Backoff(AT), S::InDoubt(Some(AT))] {
        assert_eq!(revived(SettleBy::Probe, unfinished), once, "a new budget for {unfinished:?}");
    }
    for as_it_is in [S::Succeeded, S::Pending, S::Running] {
        assert_eq!(revived(SettleBy::Probe, as_it_is), [], "{as_it_is:?}");
    }
}

#[test]
fn a_wait_for_a_message_begins_anew_and_a_lost_message_is_sent_again() {
    let track = Track::new(vec![
        effect("publish", &[], SettleBy::Repeat),
        step("consume", Role::Receive, &[0]),
        step("delay", Role::Timer, &[0]),
    ]);
    let mut progress = standing_at(&[S::Succeeded, S::Waiting(AT), S::Waiting(AT)]);
    assert_eq!(
        revival(&track, &progress),
        [(1, Kind::Revived)],
        "nobody received; time has passed all the same"
    );
    progress.cell_mut(1).state = S::DeadLettered;
    progress.cell_mut(1).fault = Some(Fault::new(name::MESSAGE_LOST, "it did not come"));
    assert_eq!(fate(&track, &progress, 0), Fate::SentAgain);
    assert_eq!(revival(&track, &progress), [(0, Kind::Resent), (1, Kind::Revived)]);
    progress.cell_mut(1).fault = Some(Fault::new(name::PAYLOAD_MISMATCH, "another product"));
    assert_eq!(fate(&track, &progress, 0), Fate::Reuse);
}

#[test]
fn an_intent_without_an_outcome_is_in_doubt_from_the_first_look() {
    let track = Track::new(vec![
        effect("probed", &[], SettleBy::Probe),
        effect("repeated", &[], SettleBy::Repeat),
        effect("human", &[], SettleBy::Person),
        effect("done", &[], SettleBy::Probe),
    ]);
    let progress = standing_at(&[S::Running, S::Running, S::Running, S::Succeeded]);
    let lost = |until| Kind::Lost { until };
    let expected = vec![(0, lost(Some(AT))), (1, lost(Some(AT))), (2, lost(None))];
    assert_eq!(at_admission(&track, &progress, AT), expected);
}

fn planned(epoch: u32, items: &[(u64, S)]) -> ResumePlan {
    let track = alone(effect("pim", &[], SettleBy::Probe));
    let mut planner = Planner::new(&track, RunId(1), epoch);
    for (position, state) in items {
        planner.add(Unit::Item(*position), &tried(*state));
    }
    join(RunId(1), vec![planner.finish(10)])
}

#[test]
fn a_plan_counts_every_item_once() {
    let items = [(0, S::Succeeded), (1, S::Succeeded), (2, S::DeadLettered), (3, S::Running)];
    let plan = planned(1, &items);
    let shares = |shares: &[crate::core::resume::Share]| {
        shares.iter().map(|share| (share.items, share.reason.clone())).collect::<Vec<_>>()
    };
    assert_eq!(shares(&plan.reuse), [(2, String::new())]);
    let reason = |fate: Fate| fate.reason().to_owned();
    let in_doubt = Fate::InDoubt(SettleBy::Probe);
    let expected = [(1, reason(Fate::Failed)), (6, reason(Fate::NeverRan)), (1, reason(in_doubt))];
    assert_eq!(shares(&plan.execute), expected, "six have no record yet");
    let doubt = &plan.in_doubt[0];
    assert_eq!((plan.in_doubt.len(), doubt.item, doubt.attempt), (1, Some(3), 2));
}

#[test]
fn a_hash_names_exactly_one_plan() {
    let items = [(0, S::Succeeded), (1, S::DeadLettered)];
    let hash = planned(1, &items).hash;
    assert_eq!(planned(1, &items).hash, hash);
    assert_ne!(planned(2, &items).hash, hash, "after another resume");
    assert_ne!(planned(1, &[(0, S::Succeeded), (2, S::DeadLettered)]).hash, hash, "another item");
    assert_ne!(planned(1, &[(0, S::DeadLettered), (1, S::Succeeded)]).hash, hash, "the other way round");
}
