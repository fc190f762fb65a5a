//! The simulated outside: it does what it is told, or not, answers truly, unclearly, late or not at
//! all, and now and then it lies.
//!
//! What it never does is to say that something is done that is not: no engine can survive that. A
//! lie is one of two: a refusal of what was done all the same, and a look-up that reads a stale
//! replica and does not find what is there. Nobody can see through them either, so what is held is
//! that the harm stays with the effect that was lied about, and is no greater than the lies.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use milepost::core::cell::State;
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::retry::Again;
use milepost::ports::{Clock, Journal, OwnQueue, Queue};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::book::{Book, Effect, Entry};

/// The outside world.
pub(crate) struct World {
    book: Mutex<Book>,
    chance: Mutex<StdRng>,
    clock: Arc<dyn Clock>,
    /// How it behaves; none: everything goes well.
    temper: Mutex<Option<Temper>>,
    /// The engine's side of the present life.
    life: Mutex<Option<Life>>,
}

/// How the world behaves while it is not kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Temper {
    /// It lies now and then.
    pub(crate) lies: bool,
    /// Messages are lost now and then.
    pub(crate) loses_mail: bool,
    /// Messages come twice, late, and in any order.
    pub(crate) shuffles_mail: bool,
}

/// What the world sees of the engine.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) queue: Arc<dyn OwnQueue>,
    /// What its receivers receive from.
    pub(crate) inbox: Arc<dyn Queue>,
    pub(crate) journal: Arc<dyn Journal>,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is refused, and was not done.
    Refused(Again),
    /// It is refused, and was done: a lie.
    RefusedAndDone(Again),
    /// It never arrives, and nobody answers.
    LostOnTheWay,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is done, and the answer comes when nobody waits for it any more.
    Late,
    /// No answer ever.
    Hangs,
    /// The other side holds it already.
    HeldAlready,
    /// It is done, and said to be.
    Done,
}

impl World {
    pub(crate) fn new(seed: u64, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            book: Mutex::default(),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            clock,
            temper: Mutex::default(),
            life: Mutex::new(None),
        })
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(crate) fn entry(&self, effect: Effect) -> Entry {
        self.book().of(effect)
    }

    /// How it behaves; none: everything goes well.
    pub(crate) fn temper(&self) -> Option<Temper> {
        *self.temper.lock().unwrap()
    }

    pub(crate) fn set_temper(&self, temper: Option<Temper>) {
        *self.temper.lock().unwrap() = temper;
    }

    /// A new life of the engine begins, with this queue and these records.
    pub(crate) fn meet(&self, life: Life) {
        self.book().turn_the_page();
        *self.life.lock().unwrap() = Some(life);
    }

    /// The last life is over. Its inbox knows this world, so without this neither would ever be freed.
    pub(crate) fn part(&self) {
        *self.life.lock().unwrap() = None;
    }

    pub(crate) fn queue(&self) -> Option<Arc<dyn OwnQueue>> {
        self.life.lock().unwrap().as_ref().map(|life| Arc::clone(&life.queue))
    }

    pub(crate) fn inbox(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.life.lock().unwrap().as_ref().unwrap().inbox)
    }

    pub(crate) fn now_and_then(&self, share: f64) -> bool {
        self.chance.lock().unwrap().random_bool(share)
    }

    /// Now and then, when this is in its temper.
    pub(crate) fn is_rough(&self, trait_of: fn(Temper) -> bool, share: f64) -> bool {
        self.temper().is_some_and(trait_of) && self.now_and_then(share)
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        self.chance.lock().unwrap().random_range(0..end)
    }

    /// The time, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now().0
    }

    /// Takes a moment: up to `most`.
    pub(crate) async fn pause(&self, most: Duration) {
        let millis = self.chance.lock().unwrap().random_range(0..=most.as_millis());
        let pause = Duration::from_millis(u64::try_from(millis).unwrap());
        self.clock.sleep_until(self.clock.now().after(pause)).await;
    }

    /// What becomes of the next call.
    pub(crate) fn turn(&self) -> Turn {
        let Some(temper) = self.temper() else { return Turn::Done };
        let again = if self.now_and_then(0.12) { Again::Never } else { Again::Later };
        match self.below(100) {
            0..13 => Turn::Refused(again),
            13..19 => Turn::LostOnTheWay,
            19..25 => Turn::AnswerLost,
            25 => Turn::Late,
            26 => Turn::Hangs,
            27 => Turn::HeldAlready,
            28..33 if temper.lies => Turn::RefusedAndDone(again),
            _ => Turn::Done,
        }
    }

    /// Whether it was on record, and durable, what became of an effect before this instant.
    pub(crate) fn is_known(&self, run: RunId, unit: Unit, step: usize) -> bool {
        let journal = self.life.lock().unwrap().as_ref().map(|life| Arc::clone(&life.journal));
        let Some(Ok(Some(progress))) = journal.map(|journal| journal.progress(run, unit)) else {
            return false;
        };
        let cell = &progress.cells[step];
        !cell.is_doubtful() && cell.state != State::Running && cell.at < self.clock.now()
    }

    /// Holds what is about to be done against what is durable. After a crash nobody can tell.
    pub(crate) fn check_durable(
        &self,
        what: &str,
        run: RunId,
        unit: Unit,
        holds: impl FnOnce(&Progress) -> bool,
    ) {
        let journal = self.life.lock().unwrap().as_ref().map(|life| Arc::clone(&life.journal));
        let Some(Ok(progress)) = journal.map(|journal| journal.progress(run, unit)) else { return };
        if !progress.as_ref().is_some_and(holds) {
            self.book().wrong.push(format!("{what} of {unit} is premature at {progress:?}"));
        }
    }
}
