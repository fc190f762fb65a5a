//! Runs whose graph an executor in memory drives: killed, joined, taken back, cancelled, too slow, left alone.

use std::time::Duration;

use milepost::core::event::RunEvent;
use milepost::core::execution::{Answer, DrivenBy};
use milepost::core::fault::{Fault, name};
use milepost::core::run::{Run, Status};
use milepost::engine::Request;

use crate::executor::Manner;
use crate::outside::Mood;
use crate::{Life, Place};

const AWAY: Manner = Manner { is_rough: false, is_away: true };

fn conducted(items: u64) -> Place {
    let mut place = Place::new(items);
    place.is_conducted = true;
    place
}

async fn half_done(life: &Life, items: u64) -> Run {
    life.until(|_, tally| tally.steps.get(1).is_some_and(|step| step.units.succeeded > items / 2)).await
}

fn steps(answers: &[(String, Answer)]) -> Vec<&str> {
    answers.iter().map(|(step, _)| step.as_str()).collect()
}

#[test]
fn one_step_after_the_other_each_for_all_items() {
    let place = conducted(300);
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.driven_by), (Status::Succeeded, DrivenBy::StepFunctions));
    assert_eq!((place.pim.written(), place.shop.written()), ((300, 1), (300, 1)));
    let answers = place.executor().answers();
    assert_eq!(steps(&answers), ["source", "pim", "shop", "close"]);
    assert!(answers.iter().all(|(_, answer)| matches!(answer, Answer::Done { .. })), "{answers:?}");
    let executor = place.executor();
    assert_eq!((executor.ordered().len(), executor.closed_early(), executor.refused()), (3, false, 0));
    assert_eq!(executor.wrong(), Vec::<String>::new());
    let (last_pim, first_shop) = (place.pim.calls().last().unwrap().0, place.shop.calls()[0].0);
    assert!(last_pim < first_shop, "no item goes ahead of the others");
}

#[test]
fn an_engine_that_is_killed_is_followed_by_one_that_joins_the_same_execution() {
    let place = conducted(200);
    let before = place.life(async |life| half_done(&life, 200).await);
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.epoch), (Status::Succeeded, 2));
    assert_eq!(run.execution.unwrap().name, before.execution.unwrap().name);
    assert_eq!(place.executor().begun(), 1);
    assert_eq!((place.pim.written(), place.shop.written()), ((200, 1), (200, 1)));
}

#[test]
fn a_run_that_is_taken_back_ends_embedded_and_what_the_execution_still_orders_is_nobodys() {
    for is_away in [false, true] {
        let mut place = conducted(200);
        place.life(async |life| drop(half_done(&life, 200).await));
        place.is_conducted = false;
        if is_away {
            place.executor().set(AWAY);
        }
        let run = place.life(async |life| life.end().await);
        assert_eq!((run.status, run.driven_by, run.execution), (Status::Succeeded, DrivenBy::Embedded, None));
        assert_eq!((place.pim.written(), place.shop.written()), ((200, 1), (200, 1)));
        assert!(place.events().contains(&RunEvent::TakenBack));
    }
}

#[test]
fn an_embedded_run_is_handed_over() {
    let mut place = conducted(200);
    place.is_conducted = false;
    place.life(async |life| drop(half_done(&life, 200).await));
    place.is_conducted = true;
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.driven_by), (Status::Succeeded, DrivenBy::StepFunctions));
    assert_eq!((place.pim.written(), place.shop.written()), ((200, 1), (200, 1)));
    assert_eq!(steps(&place.executor().answers()), ["source", "pim", "shop", "close"]);
}

#[test]
fn a_cancelled_run_ends_its_execution_and_a_stopped_one_leaves_it() {
    for cancels in [true, false] {
        let place = conducted(300);
        let run = place.life(async |life| {
            half_done(&life, 300).await;
            if cancels {
                life.handle.ask(Request::Cancel { by: "ana".into() }).await.unwrap();
            } else {
                life.handle.stop();
            }
            life.end().await
        });
        let left = usize::from(!cancels);
        assert_eq!(place.executor().under_way().len(), left);
        assert_eq!(run.status, if cancels { Status::Cancelled } else { Status::Interrupted });
        let halted = |event: &RunEvent| matches!(event, RunEvent::Halted { fault: None, .. });
        assert_eq!(place.events().iter().any(halted), cancels);
    }
}

#[test]
fn a_pause_holds_the_steps_and_not_the_execution() {
    let place = conducted(200);
    let run = place.life(async |life| {
        half_done(&life, 200).await;
        life.handle.ask(Request::Pause { by: "ana".into() }).await.unwrap();
        let calls = place.pim.calls().len();
        life.pass(Duration::from_mins(30)).await;
        assert_eq!(place.pim.calls().len(), calls);
        assert_eq!(place.executor().under_way().len(), 1);
        life.handle.ask(Request::Unpause { by: "ana".into() }).await.unwrap();
        life.end().await
    });
    assert_eq!(run.status, Status::Succeeded);
}

#[test]
fn an_executor_out_of_reach_fails_the_run_which_is_told_of_and_can_be_resumed_embedded() {
    let mut place = conducted(200);
    let run = place.life(async |life| {
        half_done(&life, 200).await;
        place.executor().set(AWAY);
        // Whoever listens finds out when there is something to hear, or to say.
        life.end().await
    });
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, name::EXECUTOR));
    assert_eq!(place.bell.written(), (1, 1), "the engine itself tells of it");
    place.is_conducted = false;
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!((place.pim.written(), place.shop.written()), ((200, 1), (200, 1)));
}

#[test]
fn an_execution_that_somebody_ends_fails_the_run_and_the_next_resume_begins_another() {
    let place = conducted(200);
    let run = place.life(async |life| {
        half_done(&life, 200).await;
        let name = place.executor().under_way().remove(0);
        place.executor().end_it(&name, Fault::new("Aborted", "by hand"));
        life.end().await
    });
    let fault = run.fault.unwrap();
    assert_eq!((run.status, fault.name.as_str()), (Status::Failed, name::EXECUTION));
    assert!(fault.message.contains("by hand"), "{fault}");
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!((place.executor().begun(), place.shop.written()), (2, (200, 1)));
}

#[test]
fn a_run_that_fails_is_told_of_in_the_order_in_which_its_executor_says() {
    let place = conducted(20);
    place.shop.set(Mood::Refuses(20));
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, name::NOT_TOLERATED));
    let answers = place.executor().answers();
    assert_eq!(steps(&answers)[3..], ["close", "on_failure[0]"]);
    assert!(matches!(&answers[3].1, Answer::Failed(fault) if fault.name == name::NOT_TOLERATED));
    assert!(matches!(&answers[2].1, Answer::Done { .. }), "dead letters do not fail a step");
    assert_eq!(place.bell.written(), (1, 1));
}

#[test]
fn a_run_that_takes_too_long_ends_its_execution() {
    let mut place = conducted(400);
    place.bounds.timeout = Some(Duration::from_secs(20));
    *place.pim.takes.lock().unwrap() = Duration::from_secs(1);
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, name::RUN_TIMEOUT));
    assert_eq!((place.executor().under_way().len(), place.bell.written()), (0, (1, 1)));
}
