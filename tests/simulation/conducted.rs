//! Runs whose graph an executor drives: the same ends as embedded, and nothing lost or repeated whatever
//! becomes of the engine, of the executor, and of what they say to each other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use milepost::core::cell::{SkipReason, State};
use milepost::core::id::Unit;

use crate::case::{Case, Score};
use crate::{number, words};

/// How each unit ended, step by step.
fn ends(case: &Case) -> BTreeMap<Unit, Vec<&'static str>> {
    let word = |state: State| match state {
        // Whose content came first under a shared key is chance.
        State::Skipped(SkipReason::AlreadyApplied | SkipReason::Stale) => State::Succeeded.word(),
        state => state.word(),
    };
    let cells = |progress: milepost::core::progress::Progress| {
        progress.cells.into_iter().map(|cell| word(cell.state)).collect()
    };
    case.units().into_iter().map(|(unit, progress)| (unit, cells(progress))).collect()
}

#[test]
fn in_a_kind_world_a_conducted_run_ends_as_an_embedded_one_does() {
    let (from, most) = (number("FROM").unwrap_or(20_270_101), number("CASES").unwrap_or(500));
    for seed in from..from + most {
        let (mut embedded, mut conducted) = (Case::new(seed, None), Case::conducted(seed, None));
        embedded.run_kindly();
        conducted.run_kindly();
        let status = |case: &Case| (case.record().status, case.record().fault);
        assert_eq!(status(&conducted), status(&embedded), "seed {seed}");
        assert_eq!(ends(&conducted), ends(&embedded), "seed {seed}");
    }
}

#[test]
fn whatever_becomes_of_engine_and_executor_nothing_is_lost_and_nothing_known_is_repeated() {
    if let Some(seed) = number("SEED") {
        Case::conducted(seed, number("ITEMS")).run_to_the_end();
        return;
    }
    let (from, most) = (number("FROM").unwrap_or(20_271_122), number("CASES").unwrap_or(120));
    let mut sum = Score::default();
    for seed in from..from + most {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let mut case = Case::conducted(seed, None);
            case.run_to_the_end();
            case.score
        }));
        match lived {
            Ok(score) => sum.add(score),
            Err(panic) => {
                let what = words(panic.as_ref());
                panic!("{what}\nreplay: SEED={seed} cargo test --test simulation whatever_becomes");
            }
        }
    }
    println!("seeds {from}..{}: {sum:?}", from + most);
    assert!(sum.crashes > most && sum.refused > 0, "crashes happened, and old executions gave orders");
}
