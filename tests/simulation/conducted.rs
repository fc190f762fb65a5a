//! Runs whose graph an executor drives: the same ends as embedded, and nothing lost or repeated whatever
//! becomes of the engine, of the executor, and of what they say to each other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use milepost::core::cell::{SkipReason, State};
use milepost::core::change::Change;
use milepost::core::event::RunEvent;
use milepost::core::fault::name;
use milepost::core::id::Unit;
use milepost::core::run::Run;
use milepost::core::selection::Selection;
use milepost::engine::assembly::{Assembly, FactsOf};
use milepost::ports::Journal;
use milepost::store::Fate as Write;
use rand::Rng;

use crate::case::{Case, Fortune, Led, Score, new_run};
use crate::executor::{Manner, SimExecutor};
use crate::{number, words};

/// Every answer carries all facts.
pub(crate) fn all_facts() -> Arc<FactsOf> {
    Arc::new(|_, facts| facts.clone().into_iter().collect())
}

impl Case {
    /// Lives once, in a kind world. The run must have ended then.
    pub(crate) fn run_kindly(&mut self) {
        let changes = vec![Change::Run(Box::new(new_run(self.run)))];
        let store = self.store.clone();
        self.clock.runtime().block_on(async { store.commit(changes).await }).unwrap();
        let fortune = Fortune {
            kind: true,
            cut: u64::MAX,
            last: Write::Kept,
            stop_after: None,
            selection: Selection::All,
        };
        let (assembly, executor) = match &self.conducted {
            Some((assembly, executor)) => {
                (Arc::clone(assembly), Some((Arc::clone(executor), Manner::default())))
            }
            None => (Arc::clone(&self.assembly), None),
        };
        assert!(self.live(0, &fortune, None, assembly, &executor), "{:?}", self.record());
        self.check_end();
        if let Some((executor, _)) = executor {
            self.check_conducted(&executor);
        }
    }

    /// Who drives the graph in the next life.
    pub(crate) fn lead(&mut self, fortune: &Fortune) -> (Arc<Assembly>, Led) {
        let Some((assembly, executor)) = self.conducted.clone() else {
            return (Arc::clone(&self.assembly), None);
        };
        if self.leads.random_bool(0.12) {
            return (Arc::clone(&self.assembly), None);
        }
        let is_away = !fortune.kind && self.leads.random_bool(0.02);
        (assembly, Some((executor, Manner { is_rough: !fortune.kind, is_away })))
    }

    /// It failed for the sake of its executor: what is left is done in another life.
    pub(crate) fn is_let_down(&self, run: &Run) -> bool {
        let names = [name::EXECUTOR, name::EXECUTION];
        let early = self.conducted.as_ref().is_some_and(|(_, executor)| executor.closed_early());
        early || run.fault.as_ref().is_some_and(|fault| names.contains(&fault.name.as_str()))
    }

    /// What an executor saw of the life that has just ended.
    pub(crate) fn check_conducted(&self, executor: &SimExecutor) {
        if let Some(what) = executor.wrong().first() {
            panic!("{what}");
        }
        let ordered = executor.ordered();
        assert!(executor.under_way().len() <= executor.begun());
        for (step, _) in executor.answers() {
            let is_of_closing = step == "close" || step.starts_with("on_failure");
            assert!(is_of_closing || ordered.contains(&step), "'{step}' was answered, and not ordered");
        }
        for (unit, step) in self.world.book().called() {
            let name = &self.plan().track(unit).steps[step].name;
            assert!(
                matches!(unit, Unit::Closing(_)) || ordered.contains(name),
                "'{name}' of {unit} was called, and nobody had ordered it"
            );
        }
        let mut last = BTreeMap::new();
        for (_, event) in self.store.events(self.run, 0, usize::MAX).unwrap() {
            if let RunEvent::Mirrored { execution, entry } = event.what {
                let before = last.insert(execution, entry.number).unwrap_or(0);
                assert!(before < entry.number, "entry {} came after {before}", entry.number);
            }
        }
    }
}

/// How each unit ended, step by step.
fn ends(case: &Case) -> BTreeMap<Unit, Vec<&'static str>> {
    let word = |state: State| match state {
        // Whose content came first under a shared key is chance.
        State::Skipped(SkipReason::AlreadyApplied | SkipReason::Stale) => State::Succeeded.word(),
        state => state.word(),
    };
    let cells = |progress: milepost::core::progress::Progress| {
        progress.cells.iter().map(|cell| word(cell.state)).collect()
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
