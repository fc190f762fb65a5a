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

use injector::{Mistake, Place};
use milepost::core::run::Status;
use milepost::store::Fate;
use trial::{Stage, Trial};

#[test]
fn killed_at_any_write_of_the_product_workflow_nothing_is_lost_and_nothing_is_written_twice() {
    let stage = Stage::new();
    let mut tried = 0;
    for fate in [Fate::Lost, Fate::Unheard] {
        for cut in 1.. {
            let mut trial = Trial::new(&stage, None);
            let first = trial.live(move |write| if write < cut { Fate::Kept } else { fate });
            trial.check_ledger();
            let after = if first.is_some() { first } else { trial.live(|_| Fate::Kept) };
            assert_eq!(after.unwrap().status, Status::Succeeded, "after death at write {cut} ({fate:?})");
            trial.check_end(1);
            if trial.writes_of_first_life() < cut {
                assert!(cut > 15, "there were only {cut} writes to die at");
                break;
            }
            tried += 1;
        }
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
    for step in ["publish", "pim", "medusa"] {
        for mistake in [Mistake::Refused, Mistake::LostOnTheWay, Mistake::AnswerLost, Mistake::Panics] {
            for item in [0, last / 2, last] {
                let mut trial = Trial::new(&stage, Some(Place { step, item, mistake }));
                let run = trial.live(|_| Fate::Kept).unwrap();
                assert_eq!(run.status, Status::Succeeded, "{mistake:?} at {step} of item {item}");
                trial.check_ledger();
                trial.check_end(1);
            }
        }
        let mut trial = Trial::new(&stage, Some(Place { step, item: 0, mistake: Mistake::Twice }));
        assert_eq!(trial.live(|_| Fate::Kept).unwrap().status, Status::Succeeded, "{step} twice");
        trial.check_end(2);
    }
}
