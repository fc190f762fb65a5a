//! The simulated outside: it does what it is told, or not, answers truly, unclearly or not at
//! all, and keeps a journal of its own that no engine can touch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::cell::{Facts, State};
use milepost::core::change::Message;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::scope::Scope;
use milepost::ports::{Call, Clock, Effect, Journal, Prepare, Queue, Verdicts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// What happened outside, by step and item.
#[derive(Default)]
pub(crate) struct Book {
    /// How often the effect was carried out.
    pub(crate) applied: BTreeMap<(usize, Unit), u32>,
    /// How often it was asked for in the present life of the engine.
    pub(crate) asked: BTreeMap<(usize, Unit), u32>,
    /// How often an answer was unclear or lost.
    pub(crate) unclear: BTreeMap<(usize, Unit), u32>,
    /// What was done before the record that it rests on was durable.
    pub(crate) premature: Vec<String>,
}

/// The outside world.
pub(crate) struct World {
    pub(crate) book: Mutex<Book>,
    chance: Mutex<StdRng>,
    clock: Arc<dyn Clock>,
    /// Everything goes well from now on.
    pub(crate) kind: Mutex<bool>,
    /// The queue of the present life.
    pub(crate) queue: Mutex<Option<Arc<dyn Queue>>>,
    /// What is durable in the present life.
    pub(crate) journal: Mutex<Option<Arc<dyn Journal>>>,
}

impl World {
    pub(crate) fn new(seed: u64, clock: Arc<dyn Clock>) -> Arc<Self> {
        let chance = Mutex::new(StdRng::seed_from_u64(seed));
        Arc::new(Self {
            book: Mutex::default(),
            chance,
            clock,
            kind: Mutex::new(false),
            queue: Mutex::new(None),
            journal: Mutex::new(None),
        })
    }

    fn roll(&self) -> f64 {
        self.chance.lock().unwrap().random()
    }

    async fn pause(&self) {
        let millis = self.chance.lock().unwrap().random_range(0..40);
        self.clock.sleep_until(self.clock.now().after(Duration::from_millis(millis))).await;
    }

    fn note(&self, map: fn(&mut Book) -> &mut BTreeMap<(usize, Unit), u32>, step: usize, unit: Unit) {
        *map(&mut self.book.lock().unwrap()).entry((step, unit)).or_default() += 1;
    }

    /// Holds what is about to be done against what is durable. After a crash nobody can tell.
    pub(crate) fn check_durable(
        &self,
        what: &str,
        run: RunId,
        unit: Unit,
        holds: impl FnOnce(&Progress) -> bool,
    ) {
        let journal = self.journal.lock().unwrap().clone();
        let Some(Ok(progress)) = journal.map(|journal| journal.progress(run, unit)) else { return };
        if !progress.as_ref().is_some_and(holds) {
            self.book.lock().unwrap().premature.push(format!("{what} of {unit} at {progress:?}"));
        }
    }

    pub(crate) fn applied(&self, step: usize, unit: Unit) -> u32 {
        self.book.lock().unwrap().applied.get(&(step, unit)).copied().unwrap_or(0)
    }
}

/// An effect of the simulated world.
pub(crate) struct SimEffect {
    pub(crate) world: Arc<World>,
    pub(crate) step: usize,
    /// When set, carrying it out also sends a message for the item to this queue.
    pub(crate) sends: Option<RunId>,
}

impl Prepare for SimEffect {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "n": scope.item["n"] }))
    }
}

impl SimEffect {
    async fn apply(&self, call: &Call) {
        let queue = self.world.queue.lock().unwrap().clone();
        if let (Some(run), Some(queue), Unit::Item(item)) = (&self.sends, queue, call.unit) {
            let message = Message {
                queue: "q".into(),
                run: *run,
                item: Some(item),
                event_id: call.effect_id,
                detail_type: "T".into(),
                digest: "d".into(),
            };
            if queue.send(vec![message]).await.is_err() {
                // The queue died while it answered: the message may be there.
                return self.world.note(|book| &mut book.unclear, self.step, call.unit);
            }
        }
        self.world.note(|book| &mut book.applied, self.step, call.unit);
    }

    async fn one(&self, call: &Call) -> Outcome {
        let kind = *self.world.kind.lock().unwrap();
        let roll = if kind { 1.0 } else { self.world.roll() };
        let refused = |again| Outcome::Refused { fault: Fault::new("Refused", "the world says no"), again };
        if roll < 0.12 {
            return refused(Again::Later);
        }
        if roll < 0.14 {
            return refused(Again::Never);
        }
        if roll < 0.20 {
            self.world.note(|book| &mut book.unclear, self.step, call.unit);
            return Outcome::Unclear(Fault::new("NoAnswer", "lost before it was done"));
        }
        self.apply(call).await;
        if roll < 0.26 {
            self.world.note(|book| &mut book.unclear, self.step, call.unit);
            return Outcome::Unclear(Fault::new("NoAnswer", "lost after it was done"));
        }
        Outcome::Done(Facts::from([("id".to_owned(), json!(format!("{}-{}", self.step, call.unit)))]))
    }
}

#[async_trait]
impl Effect for SimEffect {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        for call in calls {
            self.world.note(|book| &mut book.asked, self.step, call.unit);
            let intended = |progress: &Progress| progress.cells[self.step].state == State::Running;
            self.world.check_durable("a call", call.run, call.unit, intended);
        }
        let mut outcomes = Vec::new();
        for call in calls {
            self.world.pause().await;
            outcomes.push(self.one(call).await);
        }
        self.world.pause().await;
        let kind = *self.world.kind.lock().unwrap();
        match self.world.roll() {
            // A connector that hangs, and one that forgets a unit: neither may be, both must be survived.
            roll if !kind && roll < 0.005 => std::future::pending().await,
            roll if !kind && roll < 0.01 => outcomes.truncate(outcomes.len() - 1),
            _ => {}
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        self.world.pause().await;
        let kind = *self.world.kind.lock().unwrap();
        if !kind && self.world.roll() < 0.1 {
            return Probed::Unknown(Fault::new("Unreachable", "cannot look"));
        }
        if self.world.applied(self.step, call.unit) > 0 {
            Probed::Done(Facts::from([("found".to_owned(), json!(true))]))
        } else {
            Probed::Absent
        }
    }
}

/// A pure step that always gives the same output, or always refuses some items.
pub(crate) struct SimPure {
    pub(crate) refuses: Option<u64>,
}

impl Prepare for SimPure {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        match scope.item["n"].as_u64() {
            Some(n) if Some(n) == self.refuses => Err(Fault::new("MappingError", "not this one")),
            _ => Ok(scope.item.as_ref().clone()),
        }
    }
}

/// Waits a fixed time.
pub(crate) struct SimTimer;

impl Prepare for SimTimer {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!(700))
    }
}

/// Receives from the queue `q`.
pub(crate) struct SimReceiver;

impl Prepare for SimReceiver {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "queue": "q", "wait_ms": 1000, "visibility_ms": 5000, "receives_max": 50, "digest": "d" }))
    }
}
