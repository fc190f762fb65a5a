//! The loop that drives one run: decide, commit, act, listen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use crate::core::alert::Alert;
use crate::core::cell::IllegalTransition;
use crate::core::change::Change;
use crate::core::desk::{Desk, Limits};
use crate::core::event::{Event, IllegalRunEvent, RunEvent};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::plan::Plan;
use crate::core::run::{Failure, Run};
use crate::core::tally::Calls;
use crate::ports::{Clock, Compute, Journal, Keys, Pins, Records, StoreError};

use super::assembly::Assembly;
use super::astray::Strays;
use super::beginning::{Beginning, Resumption};
use super::claim::Keyring;
use super::compute::Thinking;
use super::conduct::{self, Conductor};
use super::context::{Common, Context};
use super::control::Control;
use super::finish::{self, Ending};
use super::inflow::Inflow;
use super::mail::Mail;
use super::note::Note;
use super::steer::Steering;

/// The outside of the engine.
#[derive(Clone)]
pub struct Ports {
    /// Durable records.
    pub journal: Arc<dyn Journal>,
    /// The engine's own idempotency keys.
    pub keys: Arc<dyn Keys>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Content-addressed files.
    pub pins: Arc<dyn Pins>,
    /// Computing threads.
    pub compute: Arc<dyn Compute>,
}

/// The engine cannot go on with the run. Everything acknowledged is durable; the run can be
/// resumed once the cause is gone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// An arrival contradicts the record: a defect of the engine.
    #[error("the engine contradicts itself: {0}")]
    Transition(#[from] IllegalTransition),
    /// An event contradicts the run's status: a defect of the engine.
    #[error("the engine contradicts itself: {0}")]
    RunEvent(#[from] IllegalRunEvent),
    /// The pinned source cannot be read.
    #[error("the pinned source cannot be read: {0}")]
    Source(Fault),
}

/// One run while it is driven.
pub(super) struct Drive {
    pub(super) common: Arc<Common>,
    pub(super) run: Run,
    pub(super) desk: Desk,
    limits: Limits,
    pub(super) ports: Ports,
    pub(super) contexts: HashMap<Unit, Arc<Context>>,
    pub(super) records: Option<Arc<dyn Records>>,
    /// Why the run is being closed as failed, for the steps of `on_failure`.
    pub(super) failure: Option<Failure>,
    pub(super) mail: Mail,
    pub(super) strays: Strays,
    pub(super) keyring: Keyring,
    pub(super) sender: mpsc::UnboundedSender<Note>,
    pub(super) inbox: mpsc::UnboundedReceiver<Note>,
    pub(super) control: Control,
    pub(super) steering: Steering,
    pub(super) thinking: Thinking,
    pub(super) chance: StdRng,
    /// Recorded about the run as a whole, not yet committed.
    pub(super) events: Vec<Event>,
    /// What else goes in the next commit.
    pub(super) changes: Vec<Change>,
    /// What people are to be told of them.
    pub(super) alerts: Vec<Alert>,
    pub(super) calls: BTreeMap<(Unit, usize), Calls>,
    pub(super) watermark: u64,
    /// What is taken in, while the run is open.
    pub(super) inflow: Option<Inflow>,
    /// What is said to whoever else drives the graph.
    pub(super) conductor: Option<Conductor>,
}

/// Drives a run until it ends or is stopped, and returns its last record. A run that is queued is
/// started, and need not be recorded before; any other is resumed.
///
/// # Errors
/// See [`Error`]. The run can then be resumed.
pub async fn drive(
    run: Run,
    beginning: impl Into<Beginning>,
    assembly: Arc<Assembly>,
    ports: Ports,
    control: Control,
    limits: Limits,
    seed: u64,
) -> Result<Run, Error> {
    let mut drive = Drive::new(run, assembly, ports, control, limits, seed);
    drive.begin(beginning.into())?;
    drive.flow().await?;
    drive.leave_executor().await?;
    let mut ending = finish::judge(&drive)?;
    if let Ending::Failed(fault) = &ending
        && !drive.common.assembly.closing.is_empty()
    {
        if drive.finish_closing().await? {
            drive.begin_closing(fault.clone()).await?;
            drive.flow().await?;
        }
    } else if drive.conclude(&ending) {
        drive.flow().await?;
    }
    drive.leave_executor().await?;
    ending = finish::after_closing(&drive, ending);
    if drive.steering.end.is_none() {
        if !matches!(ending, Ending::Succeeded) {
            // Whoever resumes it may do so at once.
            drive.mail.expect_more();
        }
        drive.close_mail().await?;
    }
    drive.tell(ending.event(&drive.run))?;
    drive.commit().await?;
    Ok(drive.run)
}

impl Drive {
    fn new(
        run: Run,
        assembly: Arc<Assembly>,
        ports: Ports,
        control: Control,
        limits: Limits,
        seed: u64,
    ) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let input = Arc::new(serde_json::Value::Object(run.input.clone()));
        let plan = conduct::plan(&assembly);
        let total = if plan.source().is_none() { Some(0) } else { None };
        Self {
            common: Arc::new(Common {
                run: run.clone(),
                input,
                version: run.newness().into(),
                assembly,
                run_facts: OnceLock::new(),
            }),
            failure: run.failure(),
            run,
            thinking: Thinking::default(),
            desk: Desk::new(plan, limits, total, 0),
            limits,
            contexts: HashMap::new(),
            records: None,
            mail: Mail::new(limits.window),
            strays: Strays::default(),
            keyring: Keyring::default(),
            sender,
            inbox,
            control,
            steering: Steering::default(),
            chance: StdRng::seed_from_u64(seed),
            events: Vec::new(),
            changes: Vec::new(),
            alerts: Vec::new(),
            calls: BTreeMap::new(),
            watermark: 0,
            inflow: None,
            conductor: None,
            ports,
        }
    }

    fn begin(&mut self, beginning: Beginning) -> Result<(), Error> {
        // Its steps are finished beside the resumed work: each closing is told of once (rule R11).
        let closing = self.run.open_closing();
        let mut goes_on = closing.is_none();
        match beginning {
            Beginning::Anew(changes) => {
                self.changes = changes;
                self.tell(RunEvent::Started)?;
            }
            Beginning::Resumed(Resumption { plan, by, chosen, told, anew }) => {
                goes_on &= !anew && chosen.is_none();
                self.tell(RunEvent::Resumed { plan, by })?;
                for what in told {
                    if matches!(what, RunEvent::Redriven { .. }) {
                        self.mail.expect_more();
                    }
                    self.tell(what)?;
                }
                if let Some(chosen) = chosen {
                    self.mail.choose(Arc::clone(&chosen));
                    self.desk.choose(chosen);
                }
            }
        }
        if let Some(source) = self.run.source.clone() {
            self.open_records(&source)?;
            self.watermark = self.ports.journal.watermark(self.run.id)?;
            self.desk.start_from(self.watermark);
            let progress = self.ports.journal.progress(self.run.id, Unit::Run)?.unwrap_or_default();
            self.open_gate(source.count, &progress)?;
        }
        self.hand_over(goes_on)?;
        self.start_watch(self.ports.clock.now());
        self.desk.want(Unit::Run);
        if let Some(number) = closing {
            self.desk.want(Unit::Closing(number));
        }
        Ok(())
    }

    /// A closing that was cut short twice is finished first: each is told of once. Returns whether the next may begin.
    async fn finish_closing(&mut self) -> Result<bool, Error> {
        let Some(number) = self.run.open_closing().filter(|_| self.steering.end.is_some()) else {
            return Ok(true);
        };
        self.turn_to(Unit::Closing(number), Arc::clone(&self.common.assembly.plan)).await?;
        self.flow().await?;
        Ok(self.steering.end.is_none())
    }

    /// The steps of `on_failure` are next.
    async fn begin_closing(&mut self, fault: Fault) -> Result<(), Error> {
        let total = self.run.source.as_ref().map_or(0, |source| source.count);
        let items = self.ports.journal.tally(self.run.id, Unit::Item(0))?.units.over(total);
        let plan = self.closing_plan(&fault);
        self.tell(RunEvent::Closing { fault, items: Some(items) })?;
        self.failure = self.run.failure();
        self.turn_to(Unit::Closing(self.run.closings), plan).await
    }

    /// Nothing else is worked on: after a timeout the items that were not done stay as they are, and
    /// connections are no longer waited for.
    async fn turn_to(&mut self, closing: Unit, plan: Arc<Plan>) -> Result<(), Error> {
        // What the desk knows and has not said yet goes with it.
        self.commit().await?;
        self.desk = Desk::new(plan, self.limits, Some(0), 0);
        // What comes late belongs to the next run.
        self.inflow = None;
        if self.steering.end.take().is_some() {
            self.mail = Mail::new(self.limits.window);
            self.keyring = Keyring::default();
        }
        self.steering.no_deadline();
        self.desk.want(closing);
        Ok(())
    }

    /// Runs until nothing is under way and nothing will come by itself.
    async fn flow(&mut self) -> Result<(), Error> {
        loop {
            self.mail.tend(|step| self.desk.is_queue_held(step));
            let now = self.ports.clock.now();
            let decision = self.think(now)?;
            for unit in &decision.asleep {
                self.contexts.remove(unit);
            }
            self.tell_notices()?;
            self.watch_dead_letters()?;
            // Its last record goes in the commit with which it ends.
            if self.is_quiet() {
                return Ok(());
            }
            self.commit().await?;
            let heard = self.review_mail(now)?;
            let wake_at = decision.wake_at;
            self.carry_out(decision);
            if heard {
                continue;
            }
            self.conduct()?;
            let is_idle = self.mail.is_idle() && self.keyring.is_idle() && self.intake_is_idle();
            if self.desk.is_finished() && is_idle && self.is_led_out() {
                // The last commit may have been the one that passed the threshold.
                self.watch_dead_letters()?;
                self.commit().await?;
                return Ok(());
            }
            self.listen(wake_at).await?;
        }
    }

    /// Nothing is left to do but to record how the run itself stands, and that it ended.
    fn is_quiet(&self) -> bool {
        let alone = self.mail.is_idle() && self.keyring.is_idle() && self.intake_is_idle();
        alone && self.conductor.is_none() && self.desk.last_record().is_some()
    }
}
