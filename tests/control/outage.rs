//! A connection is down for a while: the run waits for it instead of giving items up.

use std::time::Duration;

use milepost::core::breaker::Patience;
use milepost::core::event::RunEvent;
use milepost::core::outlet::Terms;
use milepost::core::run::Status;
use milepost::core::steer::{Halt, Relief};

use crate::Place;
use crate::outside::Mood;

const ITEMS: u64 = 2_000;
const OUTAGE: Duration = Duration::from_mins(3);

/// What the connection was told of, in order.
fn turns(place: &Place) -> Vec<&'static str> {
    let of_shop = |event: &RunEvent| match event {
        RunEvent::Paused { halt: Halt::Connection { connection, .. } } => Some((connection.clone(), "held")),
        RunEvent::Tried { connection, .. } => Some((connection.clone(), "tried")),
        RunEvent::Unpaused { relief: Relief::Connection { connection } } => {
            Some((connection.clone(), "freed"))
        }
        _ => None,
    };
    let told = place.events().iter().filter_map(of_shop).collect::<Vec<_>>();
    assert!(told.iter().all(|(connection, _)| connection == "shop"), "{told:?}");
    told.into_iter().map(|(_, turn)| turn).collect()
}

/// The shop does not answer for three minutes from the start on. Returns how many calls it got
/// while it was held.
fn outage(mood: Mood, window: usize) -> (Place, usize) {
    let place = Place { window, ..Place::new(ITEMS) };
    place.shop.set(mood);
    let during = place.life(async |life| {
        let begun = life.until(|run, _| run.status == Status::Paused).await;
        let hold = &begun.steer.holds["shop"];
        assert_eq!((hold.trials, hold.next.since(hold.since)), (0, Duration::from_secs(10)));
        life.pass(OUTAGE).await;
        let paused = life.until(|run, _| run.status == Status::Paused).await;
        assert_eq!(paused.steer.holds["shop"].since, hold.since, "it is still the same pause");
        let of_trial = |at: &milepost::core::time::Timestamp| *at >= hold.next;
        let calls: Vec<_> = place.shop.calls().into_iter().filter(|(at, _)| of_trial(at)).collect();
        assert!(calls.iter().all(|(_, units)| *units == 1), "a trial is one item: {calls:?}");
        let trials = calls.len() + place.shop.looks().iter().filter(|at| of_trial(at)).count();
        assert_eq!(trials, paused.steer.holds["shop"].trials as usize, "nothing but trials");
        place.shop.set(Mood::Up);
        let run = life.end().await;
        assert_eq!(run.status, Status::Succeeded, "{:?}", run.fault);
        trials
    });
    (place, during)
}

fn all_done(place: &Place) {
    let tally = place.tally();
    assert_eq!((tally.units.succeeded, tally.units.dead_lettered), (ITEMS, 0), "{tally:?}");
    assert_eq!(place.shop.written(), (ITEMS, 1), "no item is lost, none is written twice");
}

#[test]
fn three_minutes_without_the_shop_cost_no_item_an_attempt_too_many() {
    for window in [64, 4_000] {
        let (place, trials) = outage(Mood::Closed, window);
        all_done(&place);
        assert_eq!(trials, 4, "after 10, 20, 40 and 60 seconds");
        assert_eq!(turns(&place), ["held", "tried", "tried", "tried", "tried", "freed"]);
        let before = place.shop.calls().iter().take_while(|(at, _)| place.second(*at) < 10).count();
        assert!(before <= 12, "{before} calls before it was held");
    }
}

#[test]
fn a_dozen_items_outlast_a_night_of_trials() {
    for mood in [Mood::Closed, Mood::Mute] {
        let place = Place::new(12);
        place.shop.set(mood);
        place.life(async |life| {
            life.until(|run, _| run.status == Status::Paused).await;
            life.pass(Duration::from_hours(8)).await;
            place.shop.set(Mood::Up);
            assert_eq!(life.end().await.status, Status::Succeeded);
        });
        assert_eq!((place.tally().units.succeeded, place.shop.written()), (12, (12, 1)));
        assert!(place.shop.calls().len() + place.shop.looks().len() > 480, "about one trial a minute");
    }
}

#[test]
fn a_shop_that_works_but_says_nothing_is_looked_at_and_written_to_once() {
    let (place, trials) = outage(Mood::Mute, 64);
    all_done(&place);
    assert_eq!(trials, 4);
    assert_eq!(place.tally().steps[2].units.in_doubt, 0);
}

#[test]
fn somebody_who_does_not_want_to_wait_has_it_tried_at_once() {
    let place = Place::new(100);
    place.shop.set(Mood::Closed);
    place.life(async |life| {
        let begun = life.until(|run, _| run.status == Status::Paused).await;
        place.shop.set(Mood::Up);
        life.handle.ask(milepost::engine::Request::Unpause { by: "ana".into() }).await.unwrap();
        let freed = life.until(|run, _| run.status == Status::Running).await;
        assert!(freed.steer.holds.is_empty());
        let last = place.shop.calls().last().unwrap().0;
        assert!(last < begun.steer.holds["shop"].next, "it waited for the trial");
        assert_eq!(life.end().await.status, Status::Succeeded);
    });
}

#[test]
fn fewer_items_than_it_takes_and_zero_fail_as_they_always_did() {
    let few = Place::new(9);
    few.shop.set(Mood::Closed);
    assert_eq!(few.life(async |life| life.end().await).status, Status::Failed);
    assert_eq!(few.tally().units.dead_lettered, 9);
    assert_eq!(few.tally().steps[2].attempts, 27, "three attempts each");

    let mut never = Place::new(300);
    never.terms(
        "shop",
        Terms { patience: Patience { pause_after: 0, ..Patience::default() }, ..Terms::default() },
    );
    never.shop.set(Mood::Closed);
    assert_eq!(never.life(async |life| life.end().await).status, Status::Failed);
    assert_eq!((never.tally().units.dead_lettered, turns(&never).len()), (300, 0));
}

#[test]
fn items_that_are_refused_for_what_they_are_never_hold_the_others_up() {
    let place = Place::new(300);
    place.shop.set(Mood::Refuses(200));
    assert_eq!(place.life(async |life| life.end().await).status, Status::Failed);
    assert_eq!((place.tally().units.dead_lettered, place.tally().units.succeeded), (200, 100));
    assert_eq!(turns(&place).len(), 0);
}

#[test]
fn the_deadline_of_the_run_ends_an_outage_and_a_resume_begins_it_anew() {
    let mut place = Place::new(100);
    place.bounds.timeout = Some(Duration::from_mins(5));
    place.shop.set(Mood::Closed);
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, "RunTimeout"));
    assert_eq!(place.second(run.ended_at.unwrap()), 300);
    assert_eq!(place.bell.written(), (1, 1), "on_failure works");
    assert_eq!(place.tally().units.dead_lettered, 0, "nothing was given up");
    place.shop.set(Mood::Up);
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!(place.shop.written(), (100, 1));
}

#[test]
fn an_engine_that_dies_while_the_run_pauses_leaves_a_run_that_goes_on() {
    let place = Place::new(200);
    place.shop.set(Mood::Closed);
    place.life(async |life| drop(life.until(|run, _| run.status == Status::Paused).await));
    assert_eq!(place.run().status, Status::Paused);
    place.shop.set(Mood::Up);
    let run = place.life(async |life| life.end().await);
    assert_eq!((run.status, run.steer.is_paused()), (Status::Succeeded, false));
    assert_eq!(place.shop.written(), (200, 1));
}
