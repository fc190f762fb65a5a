//! People pause, go on with and cancel a run; a run that takes too long ends by itself.

use std::time::Duration;

use milepost::core::cell::State;
use milepost::core::event::RunEvent;
use milepost::core::id::Unit;
use milepost::core::run::Status;
use milepost::core::workflow::Tolerance;
use milepost::engine::{Declined, Request};
use milepost::ports::Journal;

use crate::outside::Mood;
use crate::{Place, RUN};

const ANA: &str = "ana";

fn pause() -> Request {
    Request::Pause { by: ANA.into() }
}

fn unpause() -> Request {
    Request::Unpause { by: ANA.into() }
}

#[test]
fn a_paused_run_begins_no_call_records_those_that_are_out_and_goes_on_when_told() {
    let mut place = Place::new(500);
    place.bounds.timeout = Some(Duration::from_mins(10));
    place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 50 && place.pim.open() > 0).await;
        life.handle.ask(pause()).await.unwrap();
        life.handle.ask(pause()).await.unwrap();
        let calls = (place.pim.calls().len(), place.shop.calls().len());
        let asked_at = life.store.run(RUN).unwrap().unwrap();
        assert_eq!((asked_at.status, asked_at.steer.paused.unwrap().by.as_str()), (Status::Paused, ANA));
        // Longer than the run may be at work.
        life.pass(Duration::from_hours(1)).await;
        assert_eq!((place.pim.calls().len(), place.shop.calls().len()), calls, "no new attempt");
        let running = |tally: &milepost::core::tally::Tally| tally.units.running;
        assert_eq!(life.store.tally(RUN, Unit::Item(0)).map(|tally| running(&tally)).unwrap(), 0);
        life.handle.ask(unpause()).await.unwrap();
        let run = life.end().await;
        assert_eq!(run.status, Status::Succeeded);
    });
    assert_eq!((place.pim.written(), place.shop.written()), ((500, 1), (500, 1)));
    let is_pause = |event: &&RunEvent| matches!(event, RunEvent::Paused { .. } | RunEvent::Unpaused { .. });
    assert_eq!(place.events().iter().filter(is_pause).count(), 2, "asking twice is one pause");
}

#[test]
fn ctrl_c_and_death_in_a_pause_leave_a_run_that_can_be_resumed() {
    for stops in [true, false] {
        let place = Place::new(300);
        place.life(async |life| {
            life.until(|_, tally| tally.units.succeeded > 50).await;
            life.handle.ask(pause()).await.unwrap();
            if stops {
                life.handle.stop();
                assert_eq!(life.end().await.status, Status::Interrupted);
            }
        });
        assert_eq!(place.run().status, if stops { Status::Interrupted } else { Status::Paused });
        assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
        let (items, times) = place.shop.written();
        assert_eq!((items, times), (300, 1));
    }
}

#[test]
fn a_cancelled_run_ends_what_is_out_and_leaves_the_rest_as_it_is() {
    let place = Place::new(500);
    let run = place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 50 && place.pim.open() > 0).await;
        life.handle.ask(Request::Cancel { by: ANA.into() }).await.unwrap();
        let asked = life.store.run(RUN).unwrap().unwrap();
        assert_eq!(asked.steer.cancelled_by.as_deref(), Some(ANA), "it is durable before it is said");
        let calls = place.pim.calls().len();
        assert_eq!(life.handle.ask(pause()).await, Err(Declined::Unfit("it is ending".into())));
        let handle = life.handle.clone();
        let run = life.end().await;
        assert_eq!(place.pim.calls().len(), calls, "no new attempt");
        assert_eq!(handle.ask(unpause()).await, Err(Declined::Gone));
        run
    });
    assert_eq!((run.status, run.is_given_up()), (Status::Cancelled, true));
    assert_eq!(place.bell.calls().len(), 0, "no on_failure");
    let tally = place.tally();
    assert_eq!((tally.units.running, tally.units.cancelled), (0, 0), "cells tell what happened");
    assert!(tally.units.succeeded < 500);
    assert_eq!(tally.steps[1].units.succeeded, place.pim.written().0);
}

#[test]
fn a_cancel_while_on_failure_works_cancels_too() {
    let place = Place::new(20);
    place.shop.set(Mood::Refuses(20));
    *place.bell.takes.lock().unwrap() = Duration::from_mins(1);
    let run = place.life(async |life| {
        life.until(|run, _| run.closings == 1).await;
        life.handle.ask(Request::Cancel { by: ANA.into() }).await.unwrap();
        life.end().await
    });
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Cancelled, "ToleranceExceeded"));
    assert_eq!(place.bell.written(), (1, 1), "what was out has ended");
}

#[test]
fn a_run_that_takes_too_long_fails_with_a_name_and_keeps_what_it_did() {
    let mut place = Place::new(400);
    place.bounds.timeout = Some(Duration::from_secs(20));
    *place.pim.takes.lock().unwrap() = Duration::from_secs(1);
    let run = place.life(async |life| life.end().await);
    let fault = run.fault.unwrap();
    assert_eq!((run.status, fault.name.as_str()), (Status::Failed, "RunTimeout"));
    assert_eq!(fault.message, "it was not done after 20s at work");
    assert_eq!(place.bell.written(), (1, 1));
    let done = place.pim.written().0;
    assert!((100..400).contains(&done), "{done}");
    let cells = place.store.borrow().items(RUN, 0, 400).unwrap();
    assert!(cells.iter().all(|(_, item)| item.cells.iter().all(|cell| cell.state != State::Running)));

    *place.pim.takes.lock().unwrap() = Duration::from_millis(1);
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!((place.pim.written(), place.shop.written()), ((400, 1), (400, 1)));
}

#[test]
fn whoever_finishes_at_the_deadline_has_succeeded() {
    let mut place = Place::new(8);
    place.bounds.timeout = Some(Duration::from_secs(1));
    *place.shop.takes.lock().unwrap() = Duration::from_secs(5);
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
}

#[test]
fn people_are_told_once_when_dead_letters_are_too_many() {
    for (alert, tolerate) in
        [(Tolerance::Count(5), Tolerance::Count(50)), (Tolerance::Percent(2.0), Tolerance::Percent(20.0))]
    {
        let mut place = Place { tolerate, ..Place::new(250) };
        place.bounds.alert = Some(alert);
        place.shop.set(Mood::Refuses(50));
        let told = |place: &Place| {
            let alerts = place.events().into_iter().filter_map(|event| match event {
                RunEvent::Alert { message, dead_letters: Some(dead) } => Some((message, dead)),
                _ => None,
            });
            alerts.collect::<Vec<_>>()
        };
        // It dies after it has told.
        place.life(async |life| drop(life.until(|run, _| run.steer.alert.is_some()).await));
        let first = told(&place);
        assert_eq!(first.len(), 1);
        assert!(first[0].1 > 5 && first[0].0.contains("milepost dead-letters list --run run_"), "{first:?}");
        let run = place.life(async |life| life.end().await);
        assert_eq!((told(&place), run.status), (first, Status::Succeeded), "{:?}", run.fault);
    }
}

#[test]
fn as_many_dead_letters_as_are_allowed_are_no_news_and_no_failure() {
    for (allowed, dead, status) in [
        (Tolerance::Count(50), 50, Status::Succeeded),
        (Tolerance::Count(50), 51, Status::Failed),
        (Tolerance::Percent(25.0), 50, Status::Succeeded),
        (Tolerance::Percent(25.0), 51, Status::Failed),
    ] {
        let mut place = Place { tolerate: allowed, ..Place::new(200) };
        place.bounds.alert = Some(allowed);
        place.shop.set(Mood::Refuses(dead));
        let run = place.life(async |life| life.end().await);
        assert_eq!(run.status, status, "{allowed:?} {dead}");
        assert_eq!(run.steer.alert.is_some(), status == Status::Failed);
    }
}
