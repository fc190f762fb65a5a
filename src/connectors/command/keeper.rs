//! Keeps one process at work: starts it, hands over what is asked, ends it when it hangs or talks
//! nonsense, and starts another.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::pool::{Answer, Errand, Shared};
use super::process::{Note, Process};
use super::program::Program;
use super::protocol::{self, Hello, Refusal, Said, Wish};
use super::serving::{Broken, Serving};
use crate::core::fault::{Fault, name};

/// The pause after the first failure; each further one in a row doubles it.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Starts that may fail in a row before what waits is given back.
const STARTS_MAX: u32 = 3;
/// How long a process that nobody needs is kept.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// Why a process cannot be had.
pub(super) struct NoStart {
    pub(super) fault: Fault,
    /// Trying again at once cannot help.
    is_final: bool,
}

/// A process that said hello.
struct Staff {
    process: Process,
    probes: bool,
    /// It wants no more.
    is_leaving: bool,
    /// Since when it has nothing at hand.
    idle_since: Instant,
}

/// Who keeps one process.
pub(super) struct Keeper {
    program: Arc<Program>,
    shared: Arc<Shared>,
    notes: Sender<Note>,
    inbox: Receiver<Note>,
    /// How many may wait in the pipe.
    ahead: usize,
    staff: Option<Staff>,
    serving: Serving<Errand>,
    started: u64,
    /// Failures in a row: of starts, and of processes that answered nothing.
    failures: u32,
    /// Until when none is started, and why.
    rest: Option<(Instant, Fault)>,
    /// What waits is given back until then.
    is_hopeless: bool,
}

impl Keeper {
    pub(super) fn new(program: Arc<Program>, shared: Arc<Shared>, ahead: usize) -> Self {
        let (notes, inbox) = mpsc::channel();
        Self {
            program,
            shared,
            notes,
            inbox,
            ahead,
            staff: None,
            serving: Serving::new(1, ahead),
            started: 0,
            failures: 0,
            rest: None,
            is_hopeless: false,
        }
    }

    /// Where it is nudged.
    pub(super) fn notes(&self) -> Sender<Note> {
        self.notes.clone()
    }

    /// Works until nobody needs it any more.
    pub(super) fn work(mut self) {
        while !self.shared.is_closed() {
            self.tend(Instant::now());
            // Letting a process go takes what comes meanwhile out of the inbox.
            if self.shared.is_closed() {
                break;
            }
            let wait = self.next().saturating_duration_since(Instant::now());
            if let Ok(note) = self.inbox.recv_timeout(wait) {
                self.hear(note);
                while let Ok(note) = self.inbox.try_recv() {
                    self.hear(note);
                }
            }
        }
        let fault = || Fault::new(name::BROKEN_OFF, "nobody waits for it any more");
        let Broken { begun, waiting } = self.serving.broke();
        match self.staff.take() {
            Some(staff) if begun.is_empty() => staff.process.dismiss(&self.inbox),
            staff => drop(staff),
        }
        for errand in begun {
            errand.answer(Answer::Lost(fault()));
        }
        for errand in waiting {
            errand.answer(Answer::Unsent(fault()));
        }
    }

    /// When it has to look again by itself.
    fn next(&self) -> Instant {
        let rest = self.rest.as_ref().filter(|_| self.staff.is_none() && self.shared.len() > 0);
        let idle = self.staff.as_ref().filter(|_| self.serving.is_idle());
        let idle = idle.map(|staff| staff.idle_since + IDLE_MAX);
        let all = [self.serving.deadline(self.program.timeout), rest.map(|(until, _)| *until), idle];
        all.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE_MAX)
    }

    fn tend(&mut self, now: Instant) {
        let late = self.serving.overdue(self.program.timeout, now);
        if !late.is_empty() {
            let message = format!("no answer within {:?}; the process was ended", self.program.timeout);
            let fault = Fault::new(name::TIMEOUT, message);
            for errand in late {
                errand.answer(Answer::Late(fault.clone()));
            }
            self.broke(|_| "the process was ended, because it hung at another item".to_owned(), now);
        }
        let is_over = |staff: &Staff| staff.is_leaving || now >= staff.idle_since + IDLE_MAX;
        if self.serving.is_idle()
            && let Some(staff) = self.staff.take_if(|staff| is_over(staff))
        {
            staff.process.dismiss(&self.inbox);
        }
        if self.staff.is_none() && self.shared.len() > 0 {
            self.begin(now);
        }
        self.hand_over(now);
    }

    /// Starts a process, unless one failed a moment ago.
    fn begin(&mut self, now: Instant) {
        if let Some((until, fault)) = &self.rest
            && now < *until
        {
            if self.is_hopeless {
                self.shared.give_back(fault);
            }
            return;
        }
        self.started += 1;
        match greeted(&self.program, self.started, &self.notes, &self.inbox, &self.shared) {
            Ok((process, hello)) => {
                self.serving = Serving::new(hello.at_once, self.ahead);
                let idle_since = Instant::now();
                self.staff = Some(Staff { process, probes: hello.probes, is_leaving: false, idle_since });
                self.is_hopeless = false;
            }
            Err(NoStart { fault, is_final }) => {
                tracing::warn!(step = self.program.step, "{}", fault.message);
                self.failures += 1;
                self.is_hopeless = is_final || self.failures >= STARTS_MAX;
                if self.is_hopeless {
                    self.shared.give_back(&fault);
                }
                self.rest = Some((Instant::now() + pause(self.failures), fault));
            }
        }
    }

    fn hand_over(&mut self, now: Instant) {
        let Some(staff) = self.staff.as_mut().filter(|staff| !staff.is_leaving) else { return };
        // What would wait in this pipe is left to another process, as long as there is not enough for all.
        let is_plenty = || self.shared.len() >= self.program.processes;
        while self.serving.has_room() && (!self.serving.is_busy() || is_plenty()) {
            let Some(errand) = self.shared.take() else { break };
            if errand.wish == Wish::Probe && !staff.probes {
                let message = "the process does not say in its hello that it can look up ('probes')";
                errand.answer(Answer::Refused(Refusal {
                    name: name::REFUSED.to_owned(),
                    message: message.to_owned(),
                    again: false,
                }));
                continue;
            }
            let (wish, attempt, tail) = (errand.wish, errand.attempt, errand.tail.clone());
            let id = self.serving.hand(errand, now);
            staff.process.send(protocol::line(wish, id, attempt, &tail));
        }
    }

    fn hear(&mut self, note: Note) {
        let now = Instant::now();
        let current = self.staff.as_ref().map(|staff| staff.process.number);
        match note {
            Note::Said(number, Ok(said)) if Some(number) == current => self.told(said, now),
            Note::Said(number, Err(why)) if Some(number) == current => {
                self.broke(|words| format!("the process said {why}{words}"), now);
            }
            Note::Ended(number) if Some(number) == current => {
                let leaves =
                    self.serving.is_idle() && self.staff.as_ref().is_some_and(|staff| staff.is_leaving);
                if leaves {
                    self.staff = None;
                } else {
                    self.broke(|words| format!("the process ended{words}"), now);
                }
            }
            Note::Nudge | Note::Said(..) | Note::Ended(_) => {}
        }
    }

    fn told(&mut self, said: Said, now: Instant) {
        let wrong = match said {
            Said::Result(id, result) => match self.answered(id, now) {
                Some(errand) => return errand.answer(Answer::Done(result)),
                None => format!("a result for {id}, which it does not have"),
            },
            Said::Error(Some(id), refusal) => match self.answered(id, now) {
                Some(errand) if refusal.again => match errand.once_more() {
                    Ok(errand) => return self.shared.put_back(vec![errand]),
                    Err(errand) => return errand.answer(Answer::Refused(refusal)),
                },
                Some(errand) => return errand.answer(Answer::Refused(refusal)),
                None => format!("an error for {id}, which it does not have"),
            },
            Said::Heartbeat(id) => {
                // One that comes after its answer is late, and does no harm.
                self.serving.beat(id, now);
                return;
            }
            Said::Bye => {
                if let Some(staff) = &mut self.staff {
                    staff.is_leaving = true;
                }
                return;
            }
            Said::Error(None, refusal) => {
                format!("that it cannot go on: {}: {}", refusal.name, refusal.message)
            }
            Said::Hello(_) => "hello twice".to_owned(),
        };
        self.broke(|words| format!("the process said {wrong}{words}"), now);
    }

    fn answered(&mut self, id: u64, now: Instant) -> Option<Errand> {
        let errand = self.serving.answered(id, now)?;
        self.failures = 0;
        self.rest = None;
        if let Some(staff) = &mut self.staff {
            staff.idle_since = now;
        }
        Some(errand)
    }

    /// The process is of no use any more. What it had perhaps begun with is tried again or told; what
    /// waited in its pipe goes to the next one.
    fn broke(&mut self, why: impl FnOnce(&str) -> String, now: Instant) {
        let Some(staff) = self.staff.take() else { return };
        let fault = Fault::new(name::NO_ANSWER, why(&staff.process.end()));
        tracing::warn!(step = self.program.step, "{}", fault.message);
        self.failures += 1;
        self.rest = Some((now + pause(self.failures), fault.clone()));
        let Broken { begun, waiting } = self.serving.broke();
        let mut again = Vec::new();
        for errand in begun {
            match errand.once_more() {
                Ok(errand) => again.push(errand),
                Err(errand) => errand.answer(Answer::Lost(fault.clone())),
            }
        }
        again.extend(waiting);
        self.shared.put_back(again);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Whoever waits must not wait for one that panicked.
        if std::thread::panicking() {
            let fault =
                Fault::new(name::DEFECT, "a defect of this connector: who keeps its process panicked");
            self.shared.give_back(&fault);
        }
    }
}

/// A process that was started and said hello.
///
/// # Errors
/// It cannot be started, is not what was pinned, or says something else.
pub(super) fn greeted(
    program: &Arc<Program>,
    number: u64,
    notes: &Sender<Note>,
    inbox: &Receiver<Note>,
    shared: &Shared,
) -> Result<(Process, Hello), NoStart> {
    program.unchanged().map_err(|fault| NoStart { fault, is_final: true })?;
    let process = Process::start(program, number, notes).map_err(|error| {
        let told = program.words.first().map_or("", String::as_str);
        let message = format!("'{told}' cannot be started: {error}");
        NoStart { fault: Fault::new(name::UNREACHABLE, message), is_final: true }
    })?;
    let until = Instant::now() + program.timeout;
    let why = loop {
        let left = until.saturating_duration_since(Instant::now());
        match inbox.recv_timeout(left) {
            Ok(Note::Said(from, said)) if from == number => match said {
                Ok(Said::Hello(hello)) => return Ok((process, hello)),
                Ok(Said::Error(_, refusal)) => break format!("{}: {}", refusal.name, refusal.message),
                Ok(_) => break "it does not begin with its hello".to_owned(),
                Err(why) => break format!("it said {why}"),
            },
            Ok(Note::Ended(from)) if from == number => break "it ended before its hello".to_owned(),
            Ok(Note::Said(..) | Note::Ended(_) | Note::Nudge) if shared.is_closed() => {
                break "nobody waits for it any more".to_owned();
            }
            Ok(Note::Said(..) | Note::Ended(_) | Note::Nudge) => {}
            Err(_) => break format!("it said no hello within {:?}", program.timeout),
        }
    };
    let words = process.end();
    let message = format!("the process cannot begin: {why}{words}");
    Err(NoStart { fault: Fault::new(name::UNREACHABLE, message), is_final: false })
}

/// Starts a process, hears its hello, and lets it go.
///
/// # Errors
/// Why it cannot work.
pub(super) fn greet(program: Program) -> Result<Hello, Fault> {
    let (notes, inbox) = mpsc::channel();
    let greeted = greeted(&Arc::new(program), 1, &notes, &inbox, &Shared::default());
    let (process, hello) = greeted.map_err(|no| no.fault)?;
    process.dismiss(&inbox);
    Ok(hello)
}

fn pause(failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(16));
    PAUSE.saturating_mul(doubled).min(PAUSE_MAX)
}
