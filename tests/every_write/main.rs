//! The shipped product workflow, with its real connectors, through every one of its writes: the
//! engine dies at the first, the second, … the last, before it is durable and after it. Then the
//! resume, and whatever the stand-ins' own journal says is held against the records. The same with
//! each step failing once, and with each call delivered twice.
//!
//! `ITEMS=40` takes more products; there are then more writes to die at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![expect(clippy::print_stdout, reason = "how much was tried is what this test says")]

mod injector;
#[path = "../../examples/products/product.rs"]
mod product;
mod trial;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use injector::{Mistake, Place};
use milepost::core::run::Status;
use milepost::store::Fate;
use trial::{Stage, Trial};

/// How many trials there are at once: each of them mostly waits, for the second look at what is in doubt.
const AT_ONCE: usize = 6;

/// Tries one place after the other until a trial says that there is nothing more to try, and returns how
/// many said that there is.
fn try_all<P: Send>(places: impl Iterator<Item = P> + Send, trial: impl Fn(P) -> bool + Sync) -> u64 {
    let (places, tried) = (Mutex::new(places.fuse()), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let Some(place) = places.lock().unwrap().next() else { return };
                    if trial(place) {
                        tried.fetch_add(1, Ordering::SeqCst);
                    } else {
                        is_over.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    tried.into_inner()
}

/// Whether there was a write to die at.
fn dies(stage: &Stage, cut: u64, fate: Fate) -> bool {
    let mut trial = Trial::new(stage, None);
    let first = trial.live(move |write| if write < cut { Fate::Kept } else { fate });
    trial.check_ledger();
    let after = if first.is_some() { first } else { trial.live(|_| Fate::Kept) };
    assert_eq!(after.unwrap().status, Status::Succeeded, "after death at write {cut} ({fate:?})");
    trial.check_end(1);
    trial.writes_of_first_life() >= cut
}

#[test]
fn killed_at_any_write_of_the_product_workflow_nothing_is_lost_and_nothing_is_written_twice() {
    let stage = Stage::new();
    let mut tried = 0;
    for fate in [Fate::Lost, Fate::Unheard] {
        let deaths = try_all(1.., |cut| dies(&stage, cut, fate));
        assert!(deaths >= 15, "there were only {deaths} writes to die at");
        tried += deaths;
    }
    println!("{tried} deaths");
}

/// Planted panics are no news; all others are.
fn hush_planted_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(injector::PANIC) {
            loud(panic);
        }
    }));
}

#[test]
fn each_step_fails_once_and_is_delivered_twice_and_every_product_is_there() {
    hush_planted_panics();
    let stage = Stage::new();
    let last = stage.items() - 1;
    let mut places = Vec::new();
    for step in ["publish", "pim", "medusa"] {
        for mistake in [Mistake::Refused, Mistake::LostOnTheWay, Mistake::AnswerLost, Mistake::Panics] {
            places.extend([0, last / 2, last].map(|item| Place { step, item, mistake }));
        }
        places.push(Place { step, item: 0, mistake: Mistake::Twice });
    }
    let count = places.len() as u64;
    let tried = try_all(places.into_iter(), |place| {
        let Place { step, item, mistake } = place;
        let mut trial = Trial::new(&stage, Some(place));
        let run = trial.live(|_| Fate::Kept).unwrap();
        assert_eq!(run.status, Status::Succeeded, "{mistake:?} at {step} of item {item}");
        if mistake == Mistake::Twice {
            trial.check_end(2);
        } else {
            trial.check_ledger();
            trial.check_end(1);
        }
        true
    });
    assert_eq!(tried, count);
}
