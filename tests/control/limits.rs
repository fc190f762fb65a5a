//! What a connection bears holds over all steps that name it, whatever each may do alone.

use std::time::Duration;

use milepost::core::limits::Rate;
use milepost::core::outlet::Terms;
use milepost::core::run::Status;
use milepost::core::time::Timestamp;

use crate::Place;
use crate::outside::Mood;

#[test]
fn no_second_sees_more_calls_than_the_rate_and_time_is_not_wasted() {
    let mut place = Place::new(120);
    place.terms(
        "pim",
        Terms { rate: Some(Rate { calls: 10, per: Duration::from_secs(1) }), ..Terms::default() },
    );
    let run = place.life(async |life| life.end().await);
    assert_eq!(run.status, Status::Succeeded);
    let calls: Vec<Timestamp> = place.pim.calls().into_iter().map(|(at, _)| at).collect();
    for (at, first) in calls.iter().enumerate() {
        let within =
            calls[at..].iter().take_while(|later| later.since(*first) < Duration::from_secs(1)).count();
        assert!(within <= 10, "{within} calls in a second");
    }
    let took = calls[119].since(calls[0]);
    assert!(took < Duration::from_millis(12_300), "120 calls took {took:?}");
}

#[test]
fn a_connection_bears_what_it_bears_over_all_steps_that_name_it() {
    let mut place = Place { one_connection: true, ..Place::new(200) };
    place.terms("pim", Terms { concurrency: Some(3), ..Terms::default() });
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!(place.pim.most_open(), 3, "both steps together");
    assert_eq!(place.pim.calls().len(), 400);
}

#[test]
fn looks_after_a_crash_come_no_faster_than_calls() {
    let mut place = Place { window: 200, ..Place::new(200) };
    place.terms("shop", Terms { concurrency: Some(2), ..Terms::default() });
    place.shop.set(Mood::Mute);
    place.life(async |life| {
        drop(life.until(|_, tally| tally.steps.len() > 2 && tally.steps[2].units.in_doubt >= 50).await);
    });
    place.shop.set(Mood::Up);
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert!(place.shop.looks().len() >= 50);
    assert!(place.shop.most_open() <= 2);
    assert_eq!(place.shop.written(), (200, 1));
}
