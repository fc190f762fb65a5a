//! A step of the real workflow, watched, and made to fail in one way at one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::fault::Fault;
use milepost::core::id::Unit;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::scope::Scope;
use milepost::core::survey::Survey;
use milepost::ports::{Call, Effect, Prepare, Verdicts};
use serde_json::Value;
use tokio::sync::watch;

/// What a planted panic says.
pub(crate) const PANIC: &str = "a planted panic, which the engine has to survive";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The first call is refused, and never sent.
    Refused,
    /// The first call never arrives, and nobody knows.
    LostOnTheWay,
    /// The first call is done, and its answer is lost.
    AnswerLost,
    /// Every call is delivered twice.
    Twice,
    /// The connector panics at the first call.
    Panics,
}

/// Where it goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) step: &'static str,
    pub(crate) item: u64,
    pub(crate) mistake: Mistake,
}

/// How many calls and looks are under way.
pub(crate) struct Open(watch::Sender<usize>);

impl Open {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(0)))
    }

    /// Returns when nothing is under way: what was sent has come to its end outside.
    pub(crate) async fn none(&self) {
        let mut open = self.0.subscribe();
        let ended = tokio::time::timeout(Duration::from_mins(1), open.wait_for(|open| *open == 0)).await;
        ended.expect("a call never ends").unwrap();
    }

    fn enter(&self) -> Entered<'_> {
        self.0.send_modify(|open| *open += 1);
        Entered(self)
    }
}

struct Entered<'a>(&'a Open);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}

/// A real effect behind the mistake.
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Effect>,
    pub(crate) open: Arc<Open>,
    /// What goes wrong at this step, if something does.
    pub(crate) place: Option<Place>,
    pub(crate) was_made: AtomicBool,
}

impl Prepare for Watched {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.inner.prepare(scope)
    }

    fn survey(&self, scope: &Scope) -> Survey {
        self.inner.survey(scope)
    }
}

impl Watched {
    /// The call that goes wrong, the first time it is there.
    fn struck(&self, calls: &[Call]) -> Option<(usize, Mistake)> {
        let Place { item, mistake, .. } = self.place?;
        let at = calls.iter().position(|call| call.unit == Unit::Item(item))?;
        (!self.was_made.swap(true, Ordering::Relaxed)).then_some((at, mistake))
    }
}

#[async_trait]
impl Effect for Watched {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let _entered = self.open.enter();
        if self.place.is_some_and(|place| place.mistake == Mistake::Twice) {
            self.inner.call(calls).await;
            return self.inner.call(calls).await;
        }
        let Some((at, mistake)) = self.struck(calls) else { return self.inner.call(calls).await };
        let no_answer = || Outcome::Unclear(Fault::new("NoAnswer", "planted"));
        match mistake {
            Mistake::Refused | Mistake::LostOnTheWay => {
                let others: Vec<Call> = [&calls[..at], &calls[at + 1..]].concat();
                let mut verdicts = Verdicts { outcomes: Vec::new(), calls: 0 };
                if !others.is_empty() {
                    verdicts = self.inner.call(&others).await;
                }
                let refused =
                    Outcome::Refused { fault: Fault::new("Refused", "planted"), again: Again::Later };
                let outcome = if mistake == Mistake::Refused { refused } else { no_answer() };
                verdicts.outcomes.insert(at, outcome);
                verdicts
            }
            Mistake::AnswerLost => {
                let mut verdicts = self.inner.call(calls).await;
                verdicts.outcomes[at] = no_answer();
                verdicts
            }
            Mistake::Panics => panic!("{PANIC}"),
            Mistake::Twice => unreachable!("every call, not only the first"),
        }
    }

    async fn probe(&self, call: &Call) -> Probed {
        let _entered = self.open.enter();
        self.inner.probe(call).await
    }
}
