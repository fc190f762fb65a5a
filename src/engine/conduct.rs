//! A run whose graph another executor drives: what it orders is let begin, and answered once it is done
//! and durable. The steps themselves are done like those of any other run.
//!
//! Neither listening nor answering holds up the driving task: both happen elsewhere and come back as notes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::core::event::RunEvent;
use crate::core::execution::{Answer, Execution, Receipt};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::plan::{Asked, Plan};
use crate::core::progress::Progress;
use crate::ports::{Begun, Executor, Heard};

use super::assembly::Assembly;
use super::drive::{Drive, Error};
use super::finish::Ending;
use super::note::Note;
use super::recover;
use super::steer::End;

/// What is said to whoever drives the graph.
pub(super) struct Conductor {
    executor: Arc<dyn Executor>,
    connection: String,
    pub(super) phase: Phase,
    /// The execution is one that another engine had begun, and it has ordered nothing yet.
    pub(super) joins: bool,
    /// The execution that this one follows: it is ended first.
    former: Option<Execution>,
    /// Orders that are not answered, by step.
    pub(super) orders: BTreeMap<String, Pending>,
    /// The order to close the run, and why the executor gives it, if it says so.
    pub(super) close: Option<Receipt>,
    pub(super) fault: Option<Fault>,
    answers: mpsc::UnboundedSender<(Receipt, Answer)>,
    /// The other end, until somebody takes it.
    to_say: Option<mpsc::UnboundedReceiver<(Receipt, Answer)>>,
    /// Answers on their way.
    outstanding: usize,
    /// Whoever listens; dropped with this.
    tasks: JoinSet<()>,
    is_listening: bool,
}

/// An order that is not answered.
pub(super) struct Pending {
    pub(super) receipt: Receipt,
    /// What had been spent of the budget of a step of the run when it was ordered.
    pub(super) spent: u32,
    /// The run's part of it is done.
    pub(super) done: Option<Answer>,
}

/// How far the run has come with its executor.
pub(super) enum Phase {
    /// Its steps are ordered, one after the other.
    Steps,
    /// It was judged, and there is nothing more to do than to say so.
    Judged(Answer),
    /// It was judged, and the steps of `on_failure` are ordered.
    Closing(Answer),
}

/// What comes back from those who listen and answer.
pub(super) enum Led {
    Heard(Heard),
    /// An answer was taken.
    Answered,
    /// The execution has ended before it was listened to.
    Gone,
    /// The executor is out of reach.
    Lost(Fault),
    /// An execution was ended, or could not be.
    Halted {
        execution: String,
        why: Fault,
        fault: Option<Fault>,
    },
}

/// What is decided on: under an executor every step waits for its order.
pub(super) fn plan(assembly: &Assembly) -> Arc<Plan> {
    match assembly.executor {
        Some(_) => Arc::new(Plan::clone(&assembly.plan).driven()),
        None => Arc::clone(&assembly.plan),
    }
}

impl Drive {
    /// Hands the graph to its executor, or takes it back; durable with the next commit. `goes_on`: nothing
    /// begins anew that had ended, so an execution that is under way can go on.
    pub(super) fn hand_over(&mut self, goes_on: bool) -> Result<(), Error> {
        let Some(conducted) = self.common.assembly.executor.clone() else {
            let was_led = !self.run.driven_by.is_embedded();
            return if was_led { self.tell(RunEvent::TakenBack) } else { Ok(()) };
        };
        let machine = conducted.executor.machine();
        let former = self.run.execution.clone();
        let is_same = |former: &Execution| {
            former.connection == conducted.connection && former.machine == machine && !former.left
        };
        let joins = goes_on && former.as_ref().is_some_and(is_same);
        let (answers, to_say) = mpsc::unbounded_channel();
        self.conductor = Some(Conductor {
            executor: conducted.executor,
            connection: conducted.connection,
            phase: Phase::Steps,
            joins,
            former: former.filter(|_| !joins),
            orders: BTreeMap::new(),
            close: None,
            fault: None,
            answers,
            to_say: Some(to_say),
            outstanding: 0,
            tasks: JoinSet::new(),
            is_listening: false,
        });
        if joins { Ok(()) } else { self.begin_execution() }
    }

    fn begin_execution(&mut self) -> Result<(), Error> {
        let Some(conductor) = &mut self.conductor else { return Ok(()) };
        conductor.joins = false;
        conductor.is_listening = false;
        let machine = conductor.executor.machine();
        let execution = Execution {
            left: self.desk.is_choosy(),
            ..Execution::new(self.run.id, self.run.epoch, &conductor.connection, &machine)
        };
        self.tell(RunEvent::Handed { execution })
    }

    /// Listens, once what is listened to is durable, and answers what is done and durable.
    pub(super) fn conduct(&mut self) -> Result<(), Error> {
        if self.steering.end.is_some() {
            return Ok(());
        }
        let (Some(conductor), Some(execution)) = (&mut self.conductor, &self.run.execution) else {
            return Ok(());
        };
        conductor.listen(execution, &self.sender);
        let orders = std::mem::take(&mut conductor.orders);
        let mut left = BTreeMap::new();
        for (step, mut order) in orders {
            match self.answer(&step, &mut order)? {
                Some(answer) => self.say(order.receipt, answer),
                None => drop(left.insert(step, order)),
            }
        }
        let Some(conductor) = &mut self.conductor else { return Ok(()) };
        conductor.orders = left;
        if let Phase::Judged(answer) | Phase::Closing(answer) = &conductor.phase
            && let Some(receipt) = conductor.close.take()
        {
            let answer = answer.clone();
            self.say(receipt, answer);
        }
        Ok(())
    }

    /// Whether nothing more is to be expected from whoever drives the graph.
    pub(super) fn is_led_out(&self) -> bool {
        let Some(conductor) = self.conductor.as_ref().filter(|_| self.steering.end.is_none()) else {
            return true;
        };
        let is_silent = conductor.outstanding == 0 && conductor.orders.is_empty();
        is_silent
            && match conductor.phase {
                Phase::Steps => conductor.close.is_some(),
                Phase::Judged(_) => conductor.close.is_none(),
                Phase::Closing(_) => conductor.close.is_none() && !self.desk.plan().closing.is_gated(),
            }
    }

    /// Takes in what whoever drives the graph has to say.
    pub(super) fn led(&mut self, led: Led) -> Result<(), Error> {
        match led {
            Led::Halted { execution, why, fault } => self.tell(RunEvent::Halted { execution, why, fault }),
            Led::Answered => {
                self.conductor.iter_mut().for_each(|conductor| conductor.outstanding -= 1);
                Ok(())
            }
            Led::Heard(Heard::Ordered(order)) => self.ordered(order),
            Led::Heard(Heard::History(entries)) => {
                let Some(Execution { name: execution, mirrored, .. }) = self.run.execution.clone() else {
                    return Ok(());
                };
                let fresh = entries.into_iter().filter(|entry| entry.number > mirrored);
                fresh.into_iter().try_for_each(|entry| {
                    self.tell(RunEvent::Mirrored { execution: execution.clone(), entry })
                })
            }
            // It had ended while nobody listened, and is only told of it now.
            Led::Heard(Heard::Over(_)) | Led::Gone
                if self.steering.end.is_none() && self.has_joined_silence() =>
            {
                self.begin_execution()
            }
            Led::Heard(Heard::Over(fault)) => self.lose(named(name::EXECUTION, fault)),
            Led::Gone => {
                let message = "an execution of this name has ended before it was begun";
                self.lose(Fault::new(name::EXECUTION, message))
            }
            Led::Lost(fault) => self.lose(named(name::EXECUTOR, fault)),
        }
    }

    /// Whether the execution that was joined has ordered nothing since.
    fn has_joined_silence(&self) -> bool {
        self.conductor.as_ref().is_some_and(|conductor| conductor.joins)
    }

    /// Nobody else drives the graph any more.
    fn lose(&mut self, fault: Fault) -> Result<(), Error> {
        let Some(conductor) = self.conductor.as_ref().filter(|_| self.steering.end.is_none()) else {
            return Ok(());
        };
        match conductor.phase {
            Phase::Steps => self.end(End::Lost(fault)),
            Phase::Judged(_) | Phase::Closing(_) if self.is_led_out() => self.conductor = None,
            Phase::Judged(_) | Phase::Closing(_) => {
                self.conductor = None;
                // The run is told of without the executor.
                for step in 0..self.desk.plan().closing.steps.len() {
                    self.desk.allow(Unit::Closing(self.run.closings), step, Asked::Open);
                }
                let message = format!("the execution was not told how the run ends: {fault}");
                self.tell(RunEvent::Alert { message, dead_letters: None })?;
            }
        }
        Ok(())
    }

    pub(super) fn say(&mut self, receipt: Receipt, answer: Answer) {
        if let Some(conductor) = &mut self.conductor {
            conductor.outstanding += 1;
            // Its other end lives as long as the conductor.
            let _ = conductor.answers.send((receipt, answer));
        }
    }

    /// What is decided on while the run is closed as failed. Its executor orders the steps of `on_failure`;
    /// nothing else is worked on, whatever messages come.
    pub(super) fn closing_plan(&mut self, fault: &Fault) -> Arc<Plan> {
        let plan = &self.common.assembly.plan;
        let Some(conductor) = &mut self.conductor else { return Arc::clone(plan) };
        conductor.phase = Phase::Closing(Answer::Failed(fault.clone()));
        let mut plan = Plan::clone(plan).driven();
        plan.closing.close();
        self.mail.stop();
        Arc::new(plan)
    }

    /// The executor is told how the run ends, when nothing is left to do for it. Returns whether there is
    /// one.
    pub(super) fn conclude(&mut self, ending: &Ending) -> bool {
        let Some(conductor) = &mut self.conductor else { return false };
        conductor.phase = Phase::Judged(match ending {
            Ending::Failed(fault) => Answer::Failed(fault.clone()),
            Ending::Succeeded | Ending::Interrupted | Ending::Cancelled => Answer::Done { facts: Map::new() },
        });
        true
    }

    /// Why a run cannot have succeeded although nothing in it failed: its executor closed it too early.
    pub(super) fn left_undone(&self, run: &Progress) -> Result<Option<Fault>, Error> {
        let Some(conductor) = &self.conductor else { return Ok(None) };
        let plan = &self.common.assembly.plan;
        let is_done = run.is_at_rest(&plan.run)
            && !recover::is_unfinished(self.ports.journal.as_ref(), plan, &self.run)?;
        Ok((!is_done).then(|| match &conductor.fault {
            Some(fault) => named(name::EXECUTION, fault.clone()),
            None => Fault::new(name::EXECUTION, "its executor closed it before all its steps were done"),
        }))
    }

    /// Ends the execution of a run that was cancelled, or that took too long; one that was interrupted goes
    /// on without us, until somebody resumes the run.
    pub(super) async fn leave_executor(&mut self) -> Result<(), Error> {
        let Some(end) = self.steering.end.clone() else { return Ok(()) };
        let (Some(conductor), Some(execution)) = (self.conductor.take(), self.run.execution.clone()) else {
            return Ok(());
        };
        let why = match end {
            End::Stopped | End::Lost(_) => return Ok(()),
            End::Cancelled => Fault::new(name::CANCELLED, "a person gave the run up"),
            End::TimedOut(fault) => fault,
        };
        let fault = conductor.executor.stop(&execution, &why).await.err();
        self.tell(RunEvent::Halted { execution: execution.name, why, fault })
    }
}

impl Conductor {
    /// Begins the execution, or joins it, and listens to it; answers what it orders.
    fn listen(&mut self, execution: &Execution, sender: &mpsc::UnboundedSender<Note>) {
        if std::mem::replace(&mut self.is_listening, true) {
            return;
        }
        let (executor, execution, sender) = (Arc::clone(&self.executor), execution.clone(), sender.clone());
        if let Some(to_say) = self.to_say.take() {
            self.tasks.spawn(answer(Arc::clone(&executor), to_say, sender.clone()));
        }
        self.tasks.spawn(hear(executor, self.former.take(), execution, sender));
    }
}

async fn hear(
    executor: Arc<dyn Executor>,
    former: Option<Execution>,
    execution: Execution,
    sender: mpsc::UnboundedSender<Note>,
) {
    // Nobody takes a note any more only when the run has been let go.
    let say = |led| drop(sender.send(Note::Led(led)));
    if let Some(former) = former {
        let why = Fault::new(name::SUPERSEDED, format!("it is followed by {}", execution.name));
        let fault = executor.stop(&former, &why).await.err();
        say(Led::Halted { execution: former.name, why, fault });
    }
    match executor.begin(&execution).await {
        Ok(Begun::UnderWay) => {}
        Ok(Begun::Over) => return say(Led::Gone),
        Err(fault) => return say(Led::Lost(fault)),
    }
    loop {
        let heard = executor.next().await;
        let is_last = matches!(heard, Ok(Heard::Over(_)) | Err(_));
        say(heard.map_or_else(Led::Lost, Led::Heard));
        if is_last {
            return;
        }
    }
}

async fn answer(
    executor: Arc<dyn Executor>,
    mut to_say: mpsc::UnboundedReceiver<(Receipt, Answer)>,
    sender: mpsc::UnboundedSender<Note>,
) {
    while let Some((receipt, answer)) = to_say.recv().await {
        let taken = executor.answer(&receipt, answer).await;
        let _ = sender.send(Note::Led(taken.map_or_else(Led::Lost, |()| Led::Answered)));
    }
}

/// The same under a name of ours, so that everybody can tell what it is about.
fn named(name: &str, fault: Fault) -> Fault {
    if fault.name == name { fault } else { Fault::new(name, fault.to_string()) }
}
