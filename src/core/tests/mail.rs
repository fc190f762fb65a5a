//! What becomes of a message, state by state.

use crate::core::catalog::Role;
use crate::core::cell::{SettleBy, SkipReason, State as S};
use crate::core::fault::{Fault, name};
use crate::core::mail::{Disposition as D, disposition, left_to_queue};
use crate::core::plan::{DeleteAfter, Messages, PlanStep, Track};

use super::{AT, effect, standing_at, step};

/// publish, consume, pim; `delete_after` is counted from publish.
fn track(delete_after: Option<usize>) -> Track {
    let delete_after = delete_after.map_or(DeleteAfter::Taken, DeleteAfter::Step);
    let consume = PlanStep { delete_after, ..step("consume", Role::Receive, &[0]) };
    Track::new(vec![effect("publish", &[], SettleBy::Repeat), consume, effect("pim", &[1], SettleBy::Probe)])
}

fn decided(delete_after: Option<usize>, states: [S; 3]) -> D {
    disposition(&track(delete_after), 1, &standing_at(&states))
}

#[test]
fn a_message_that_comes_before_its_item_is_kept() {
    let before = |publish| decided(Some(2), [publish, S::Pending, S::Pending]);
    assert_eq!(before(S::Pending), D::Keep);
    assert_eq!(before(S::Running), D::Keep, "the answer of the publish is on its way");
    assert_eq!(before(S::Backoff(AT)), D::Keep);
    assert_eq!(before(S::Succeeded), D::Keep, "the item is about to wait for it");
}

#[test]
fn a_message_proves_a_publish_in_doubt() {
    for doubt in [S::InDoubt(None), S::InDoubt(Some(AT))] {
        assert_eq!(decided(Some(2), [doubt, S::Pending, S::Pending]), D::Proves(0));
    }
}

#[test]
fn a_message_for_an_item_that_was_given_up_is_released() {
    assert_eq!(decided(Some(2), [S::DeadLettered, S::Pending, S::Pending]), D::Release);
    assert_eq!(decided(Some(2), [S::Succeeded, S::DeadLettered, S::Pending]), D::Release);
    assert_eq!(decided(Some(2), [S::Succeeded, S::Cancelled, S::Pending]), D::Release);
}

#[test]
fn a_waiting_item_takes_its_message() {
    assert_eq!(decided(Some(2), [S::Succeeded, S::Waiting(AT), S::Pending]), D::Take);
}

#[test]
fn a_taken_message_goes_when_the_step_it_was_kept_for_is_passed() {
    let taken = |pim| decided(Some(2), [S::Succeeded, S::Succeeded, pim]);
    for at_work in [S::Pending, S::Running, S::Backoff(AT), S::InDoubt(Some(AT))] {
        assert_eq!(taken(at_work), D::Keep, "{at_work:?}");
    }
    assert_eq!(taken(S::Succeeded), D::Delete);
    assert_eq!(taken(S::Skipped(SkipReason::AlreadyApplied)), D::Delete);
    assert_eq!(taken(S::DeadLettered), D::Release, "the queue's redrive policy has it now");
    assert_eq!(taken(S::InDoubt(None)), D::Release, "a person decides, and needs no message");
}

#[test]
fn without_a_step_to_wait_for_it_goes_as_soon_as_it_is_taken() {
    for pim in [S::Pending, S::Running, S::DeadLettered] {
        assert_eq!(decided(None, [S::Succeeded, S::Succeeded, pim]), D::Delete, "{pim:?}");
    }
    let skipped = S::Skipped(SkipReason::Condition);
    assert_eq!(decided(None, [S::Succeeded, skipped, S::Pending]), D::Delete);
}

#[test]
fn an_item_that_was_given_up_left_its_message_behind_only_if_it_had_come() {
    let left = |states: [S; 3]| left_to_queue(&track(Some(2)), &standing_at(&states));
    assert_eq!(left([S::Succeeded, S::Succeeded, S::DeadLettered]), Some(1));
    assert_eq!(left([S::Succeeded, S::Succeeded, S::Succeeded]), None, "it was deleted");
    assert_eq!(left([S::Succeeded, S::Succeeded, S::Backoff(AT)]), None, "it is hidden while it works");
    assert_eq!(left([S::Succeeded, S::DeadLettered, S::Pending]), None, "none had come");
    assert_eq!(left([S::DeadLettered, S::Pending, S::Pending]), None, "none was sent");
    let mut other = standing_at(&[S::Succeeded, S::DeadLettered, S::Pending]);
    other.cell_mut(1).fault = Some(Fault::new(name::PAYLOAD_MISMATCH, "another content"));
    assert_eq!(left_to_queue(&track(Some(2)), &other), Some(1));
}

/// read, then two effects side by side: the message of an open run is the item's own.
fn open_track() -> Track {
    let (messages, delete_after) = (Messages::Bringing, DeleteAfter::Last);
    let read = PlanStep { messages, delete_after, ..step("read", Role::Pure, &[]) };
    let effects = ["pim", "shop"].map(|name| effect(name, &[0], SettleBy::Person));
    Track::new([vec![read], effects.to_vec()].concat())
}

fn open(states: [S; 3]) -> D {
    disposition(&open_track(), 0, &standing_at(&states))
}

#[test]
fn the_message_that_brought_an_item_stays_until_the_item_is_finished() {
    assert_eq!(open([S::Pending, S::Pending, S::Pending]), D::Keep, "it has not begun");
    assert_eq!(open([S::Succeeded, S::Succeeded, S::Running]), D::Keep);
    assert_eq!(open([S::Succeeded, S::Succeeded, S::Backoff(AT)]), D::Keep);
    assert_eq!(open([S::Succeeded, S::Succeeded, S::Skipped(SkipReason::Stale)]), D::Delete);
    assert_eq!(open([S::DeadLettered, S::Pending, S::Pending]), D::Release, "the body is not valid");
    assert_eq!(open([S::Succeeded, S::Succeeded, S::DeadLettered]), D::Release);
}

#[test]
fn the_message_of_an_item_in_doubt_does_not_reach_an_engine_that_would_repeat_it_blindly() {
    assert_eq!(open([S::Succeeded, S::InDoubt(None), S::Running]), D::Keep, "the other branch still works");
    assert_eq!(open([S::Succeeded, S::InDoubt(None), S::Succeeded]), D::Delete);
    assert_eq!(open([S::Succeeded, S::InDoubt(Some(AT)), S::Succeeded]), D::Keep, "it will be looked at");
}

#[test]
fn an_item_of_an_open_run_that_was_given_up_always_left_the_message_that_brought_it() {
    let left = |states: [S; 3]| left_to_queue(&open_track(), &standing_at(&states));
    assert_eq!(left([S::DeadLettered, S::Pending, S::Pending]), Some(0), "the body is not valid");
    assert_eq!(left([S::Succeeded, S::Succeeded, S::DeadLettered]), Some(0));
    assert_eq!(left([S::Succeeded, S::Succeeded, S::Succeeded]), None, "it was deleted");
    assert_eq!(left([S::Succeeded, S::InDoubt(None), S::Succeeded]), None, "it was deleted, too");
    assert_eq!(left([S::Succeeded, S::Backoff(AT), S::DeadLettered]), None, "it is hidden while it works");
}

#[test]
fn the_message_of_a_signal_proves_nothing_and_goes_when_its_item_is_given_up() {
    let published = step("published", Role::Listen, &[0]);
    let track = Track::new(vec![
        effect("pim", &[], SettleBy::Person),
        published,
        effect("shop", &[1], SettleBy::Probe),
    ]);
    let decided = |states: [S; 3]| disposition(&track, 1, &standing_at(&states));
    assert_eq!(
        decided([S::InDoubt(Some(AT)), S::Pending, S::Pending]),
        D::Keep,
        "somebody else published it"
    );
    assert_eq!(decided([S::Succeeded, S::Waiting(AT), S::Pending]), D::Take);
    assert_eq!(decided([S::Succeeded, S::Succeeded, S::Running]), D::Delete, "it was taken");
    for given_up in [S::DeadLettered, S::Cancelled] {
        assert_eq!(
            decided([S::Succeeded, given_up, S::Pending]),
            D::Delete,
            "{given_up:?}: the signal is kept"
        );
    }
    assert_eq!(decided([S::DeadLettered, S::Pending, S::Pending]), D::Delete, "it is never asked for");
    assert_eq!(
        decided([S::InDoubt(None), S::Pending, S::Pending]),
        D::Delete,
        "a person decides, and it is kept"
    );
}
