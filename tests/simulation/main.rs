//! The real engine over simulated time, a simulated outside and a store that dies at any commit.
//!
//! Every case prints how to replay it when it fails. One case: `SEED=123 cargo test --test
//! simulation`, with `ITEMS=3` for a smaller one and `TRACE=1` for its lives. More of them:
//! `CASES=100000`, or as many as `CRASHES=10000` take; `FROM=…` begins with another seed. `CONTESTS=3000` is for runs that share keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![expect(clippy::print_stdout, reason = "seeds and traces are what this test says")]

mod alerts;
mod below;
mod book;
mod case;
mod checks;
mod clock;
mod conducted;
mod effects;
mod executor;
mod graphs;
mod mailbox;
mod open;
mod planned;
mod rivals;
mod signals;
mod stories;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use case::{Case, Score};

/// Cases without being asked for more.
const CASES: u64 = 1_500;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Lives through one case. The error is what was wrong.
fn outcome(seed: u64, items: Option<u64>) -> Result<Score, String> {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut case = Case::new(seed, items);
        case.run_to_the_end();
        case.score
    }));
    lived.map_err(|panic| words(panic.as_ref()))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// What was wrong, and the smallest case with the same seed that is wrong as well.
fn told(seed: u64, what: &str) -> String {
    let smaller = (2..25).find_map(|items| outcome(seed, Some(items)).err().map(|what| (items, what)));
    let (items, what) = match &smaller {
        Some((items, what)) => (format!("ITEMS={items} "), what.as_str()),
        None => (String::new(), what),
    };
    format!("{what}\nreplay: SEED={seed} {items}cargo test --test simulation any_crash")
}

#[derive(Debug, Default)]
struct Sum {
    cases: AtomicU64,
    crashes: AtomicU64,
    plans: AtomicU64,
    exact: AtomicU64,
}

impl Sum {
    fn add(&self, score: Score) {
        self.cases.fetch_add(1, Ordering::Relaxed);
        self.crashes.fetch_add(score.crashes, Ordering::Relaxed);
        self.plans.fetch_add(score.plans, Ordering::Relaxed);
        self.exact.fetch_add(score.exact, Ordering::Relaxed);
    }

    fn is_enough(&self) -> bool {
        match number("CRASHES") {
            Some(crashes) => self.crashes.load(Ordering::Relaxed) >= crashes,
            None => self.cases.load(Ordering::Relaxed) >= number("CASES").unwrap_or(CASES),
        }
    }
}

#[test]
fn any_crash_anywhere_loses_nothing_repeats_nothing_that_is_known_to_be_done_and_follows_its_plan() {
    if let Some(seed) = number("SEED") {
        Case::new(seed, number("ITEMS")).run_to_the_end();
        return;
    }
    let from = number("FROM").unwrap_or(20_261_122);
    let (next, sum, failed) = (AtomicU64::new(from), Sum::default(), AtomicBool::new(false));
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !sum.is_enough() && !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match outcome(seed, None) {
                        Ok(score) => sum.add(score),
                        Err(what) => {
                            failed.store(true, Ordering::Relaxed);
                            *failure.lock().unwrap() = Some((seed, what));
                        }
                    }
                }
            });
        }
    });
    if let Some((seed, what)) = failure.into_inner().unwrap() {
        panic!("{}", told(seed, &what));
    }
    println!("seeds {from}..{}: {sum:?}", next.into_inner());
    let crashes = sum.crashes.into_inner();
    assert!(crashes > sum.cases.into_inner(), "crashes happened");
    assert!(sum.exact.into_inner() * 10 > crashes, "plans were carried out to the letter");
}
