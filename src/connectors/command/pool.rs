//! The processes of one step, and what is asked of them.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::keeper::Keeper;
use super::process::Note;
use super::program::Program;
use super::protocol::{Refusal, Wish};
use crate::core::fault::{Fault, name};

/// What was asked came to this.
#[derive(Debug)]
pub(super) enum Answer {
    /// The process answered.
    Done(Box<RawValue>),
    /// The process refused it.
    Refused(Refusal),
    /// It took longer than it may, and the process was ended.
    Late(Fault),
    /// The process broke while it had it.
    Lost(Fault),
    /// No process had it.
    Unsent(Fault),
}

/// Who waits for an answer.
pub(super) enum Reply {
    /// One who waits for this alone.
    One(oneshot::Sender<Answer>),
    /// One who waits for several: this is the answer at this place.
    Of(Sender<(usize, Answer)>, usize),
}

/// Something that is asked of a process.
pub(super) struct Errand {
    pub(super) wish: Wish,
    /// The line to the process without its head.
    pub(super) tail: Vec<u8>,
    /// The attempt, from 1.
    pub(super) attempt: u32,
    /// The last attempt that may be made here.
    pub(super) attempts_max: u32,
    pub(super) reply: Reply,
}

impl Errand {
    /// Tells whoever waits.
    pub(super) fn answer(self, answer: Answer) {
        // One that does not wait any more has been told something else.
        match self.reply {
            Reply::One(waits) => drop(waits.send(answer)),
            Reply::Of(waits, place) => drop(waits.send((place, answer))),
        }
    }

    /// The same as the next attempt; as it is when there may be none.
    pub(super) fn once_more(mut self) -> Result<Self, Self> {
        if self.attempt >= self.attempts_max {
            return Err(self);
        }
        self.attempt += 1;
        Ok(self)
    }

    /// Whether somebody still waits: what nobody waits for must not be begun.
    fn is_wanted(&self) -> bool {
        match &self.reply {
            Reply::One(waits) => !waits.is_closed(),
            Reply::Of(..) => true,
        }
    }
}

/// What waits for a process.
#[derive(Default)]
struct Queue {
    errands: VecDeque<Errand>,
    is_closed: bool,
}

/// What the keepers of one step share.
#[derive(Default)]
pub(super) struct Shared(Mutex<Queue>);

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody needs the processes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.queue().is_closed
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue().errands.len()
    }

    /// The first that somebody waits for.
    pub(super) fn take(&self) -> Option<Errand> {
        let mut queue = self.queue();
        while let Some(errand) = queue.errands.pop_front() {
            if errand.is_wanted() {
                return Some(errand);
            }
        }
        None
    }

    /// These come first again, in their order.
    pub(super) fn put_back(&self, errands: Vec<Errand>) {
        let mut queue = self.queue();
        errands.into_iter().rev().for_each(|errand| queue.errands.push_front(errand));
    }

    /// Gives back all that waits.
    pub(super) fn give_back(&self, fault: &Fault) {
        let errands = std::mem::take(&mut self.queue().errands);
        for errand in errands {
            errand.answer(Answer::Unsent(fault.clone()));
        }
    }
}

/// The processes of one step. They are started when something is first asked of them, and end when this is
/// dropped.
pub(super) struct Pool {
    program: Arc<Program>,
    shared: Arc<Shared>,
    ahead: usize,
    keepers: OnceLock<Vec<(Sender<Note>, JoinHandle<()>)>>,
}

impl Pool {
    /// Nothing is started yet. Each process may have `ahead` items more at hand than it works on.
    pub(super) fn new(program: Program, ahead: usize) -> Self {
        Self { program: Arc::new(program), shared: Arc::default(), ahead, keepers: OnceLock::new() }
    }

    /// Asks for these. Every one of them is answered.
    pub(super) fn ask(&self, errands: Vec<Errand>) {
        self.shared.queue().errands.extend(errands);
        let keepers = self.keepers.get_or_init(|| self.hire());
        if keepers.is_empty() {
            self.shared.give_back(&Fault::new(name::UNREACHABLE, "the system gives no thread for a process"));
        }
        for (notes, _) in keepers {
            let _ = notes.send(Note::Nudge);
        }
    }

    fn hire(&self) -> Vec<(Sender<Note>, JoinHandle<()>)> {
        let hired = (0..self.program.processes).map_while(|_| {
            let keeper = Keeper::new(Arc::clone(&self.program), Arc::clone(&self.shared), self.ahead);
            let notes = keeper.notes();
            let name = format!("keeper {}", self.program.step);
            Some((notes, thread::Builder::new().name(name).spawn(move || keeper.work()).ok()?))
        });
        hired.collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        let keepers = self.keepers.take().unwrap_or_default();
        for (notes, _) in &keepers {
            let _ = notes.send(Note::Nudge);
        }
        // Short: an idle process leaves when it is asked, and any other is ended.
        for (_, keeper) in keepers {
            let _ = keeper.join();
        }
    }
}
