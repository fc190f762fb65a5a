//! What the steps of a simulated workflow do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::cell::{Facts, SkipReason, State};
use milepost::core::change::Message;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::queue::{Only, Receive};
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::scope::Scope;
use milepost::ports::{Call, Effect, Prepare, Queue, Receiver, Verdicts};
use serde_json::{Value, json};

use crate::world::{Turn, World};

/// How long a call or a look is usually on its way.
const BRISK: Duration = Duration::from_millis(40);
/// Longer than the engine waits for any call of the simulation.
pub(crate) const TOO_LATE: Duration = Duration::from_mins(25);

/// An effect of the simulated world.
pub(crate) struct SimEffect {
    pub(crate) world: Arc<World>,
    pub(crate) step: usize,
    /// Carrying it out also sends a message for the item.
    pub(crate) sends: bool,
}

/// What an effect returns: whoever reads the record can tell whose it is.
pub(crate) fn returned(step: usize, unit: Unit) -> Value {
    json!(format!("{step}-{unit}"))
}

impl Prepare for SimEffect {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "unit": scope.unit.to_string() }))
    }
}

/// A call that is on its way. When the engine dies or gives up meanwhile, it arrives or it does not.
struct OnItsWay<'a> {
    effect: &'a SimEffect,
    unit: Unit,
    arrives: bool,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if std::mem::take(&mut self.arrives) {
            self.effect.world.book().entry((self.unit, self.effect.step)).applied += 1;
        }
    }
}

impl SimEffect {
    fn facts(&self, unit: Unit) -> Facts {
        Facts::from([("id".to_owned(), returned(self.step, unit))])
    }

    async fn apply(&self, call: &Call) {
        let effect = (call.unit, self.step);
        if let (true, Some(queue), Unit::Item(item)) = (self.sends, self.world.queue(), call.unit) {
            let message = Message {
                queue: "q".into(),
                run: call.run,
                item: Some(item),
                event_id: call.effect_id,
                detail_type: "T".into(),
                digest: "d".into(),
            };
            if self.world.is_rough(|temper| temper.loses_mail, 0.1) {
                self.world.book().entry(effect).mail.lost += 1;
            } else {
                self.world.book().entry(effect).mail.open = true;
                if queue.send(vec![message]).await.is_err() {
                    return;
                }
                self.world.book().entry(effect).mail.open = false;
            }
        }
        self.world.book().entry(effect).applied += 1;
    }

    async fn one(&self, call: &Call) -> Outcome {
        // The embedded queue dies with the engine, so what is on its way to it never arrives.
        let arrives = !self.sends && self.world.now_and_then(0.5);
        let mut on_its_way = OnItsWay { effect: self, unit: call.unit, arrives };
        self.world.pause(BRISK).await;
        let turn = self.world.turn();
        if turn == Turn::Hangs {
            std::future::pending::<()>().await;
        }
        on_its_way.arrives = false;
        let no_answer = |why| Outcome::Unclear(Fault::new("NoAnswer", why));
        match turn {
            Turn::Refused(again) => self.refuse(call, again),
            Turn::RefusedAndDone(again) => {
                self.world.book().entry((call.unit, self.step)).lies += 1;
                self.apply(call).await;
                self.refuse(call, again)
            }
            Turn::LostOnTheWay => no_answer("lost before it was done"),
            Turn::AnswerLost => {
                self.apply(call).await;
                no_answer("lost after it was done")
            }
            Turn::Late => {
                self.apply(call).await;
                self.world.pause(TOO_LATE).await;
                Outcome::Done(self.facts(call.unit))
            }
            Turn::HeldAlready if !self.sends => Outcome::Skipped(SkipReason::AlreadyApplied),
            Turn::HeldAlready | Turn::Done | Turn::Hangs => {
                self.apply(call).await;
                Outcome::Done(self.facts(call.unit))
            }
        }
    }

    fn refuse(&self, call: &Call, again: Again) -> Outcome {
        let never = again == Again::Never;
        self.world.book().entry((call.unit, self.step)).life.never |= never;
        Outcome::Refused { fault: Fault::new("Refused", "the world says no"), again }
    }

    /// What is about to be asked is intended durably, and is about this unit.
    fn check(&self, call: &Call) {
        let intended = |progress: &Progress| progress.cells[self.step].state == State::Running;
        self.world.check_durable("a call", call.run, call.unit, intended);
        if call.request["unit"] != json!(call.unit.to_string()) {
            let what = format!("a call for {} carries {}", call.unit, call.request);
            self.world.book().wrong.push(what);
        }
    }
}

#[async_trait]
impl Effect for SimEffect {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        for call in calls {
            self.check(call);
            let mut book = self.world.book();
            let entry = book.entry((call.unit, self.step));
            entry.asked += 1;
            entry.life.asked += 1;
        }
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(self.one(call).await);
        }
        self.world.pause(BRISK).await;
        // A connector that forgets a unit: it may not be, and must be survived.
        if self.world.is_rough(|_| true, 0.005) {
            outcomes.truncate(outcomes.len() - 1);
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        let effect = (call.unit, self.step);
        self.world.book().entry(effect).life.looked += 1;
        self.world.pause(BRISK).await;
        if self.world.is_rough(|_| true, 0.1) {
            return Probed::Unknown(Fault::new("Unreachable", "cannot look"));
        }
        if self.world.entry(effect).applied == 0 {
            return Probed::Absent;
        }
        if self.world.is_rough(|temper| temper.lies, 0.1) {
            self.world.book().entry(effect).lies += 1;
            return Probed::Absent;
        }
        Probed::Done(self.facts(call.unit))
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
pub(crate) struct SimReceiver {
    pub(crate) world: Arc<World>,
}

impl Prepare for SimReceiver {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "digest": "d" }))
    }
}

impl Receiver for SimReceiver {
    fn queue(&self) -> Arc<dyn Queue> {
        self.world.inbox()
    }

    fn receive(&self, run: RunId) -> Receive {
        Receive {
            queue: "q".to_owned(),
            run,
            only: Only::All,
            max: 100,
            wait: Duration::from_secs(1),
            visibility: Duration::from_secs(5),
            receives_max: 50,
            pollers: 1,
            content: false,
        }
    }
}
