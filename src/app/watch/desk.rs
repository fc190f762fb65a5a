//! Where people ask a loop for runs: by hand, beside the triggers.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::app::error::{ResumeError, StartError};
use crate::app::resume::{Asked, LETTING_GO, refused};
use crate::app::served;
use crate::app::start::{Accepted, Cause};
use crate::app::{Engine, Running, Start};
use crate::core::deed::Done;
use crate::core::id::RunId;
use crate::core::run::{Run, Status};
use crate::view::{LaneView, Problem, ProblemKind, QueueView, ResumeTerms, ServedView, Unhold, code};

use super::declared::Declared;
use super::defect;
use super::hall::Hall;
use super::news::News;
use super::outcome::is_unfinished;
use super::roster::{Claimed, Next};
use super::watched::Watched;

/// A workflow that a loop starts by its name.
#[derive(Clone, Debug)]
struct Served {
    workflow: String,
    file: PathBuf,
    profile: Option<String>,
    /// What its triggers and hooks listen to: what the file said when the loop began.
    declared: Declared,
}

/// Where people ask a loop for runs. Cheap to clone; it does not keep the engine from ending.
#[derive(Clone)]
pub struct Desk {
    engine: Weak<Engine>,
    served: Arc<Vec<Served>>,
    hall: Arc<Hall>,
    begun: mpsc::Sender<Running>,
    stopping: watch::Receiver<bool>,
    recovered: Arc<AtomicBool>,
    outdated: Arc<Mutex<BTreeSet<String>>>,
}

impl Desk {
    pub(super) fn new(
        engine: &Arc<Engine>,
        watched: Vec<Watched>,
        hall: Arc<Hall>,
        begun: mpsc::Sender<Running>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let served = watched.into_iter().map(|file| {
            let Watched { workflow, file, profile, declared, .. } = file;
            Served { workflow, file, profile, declared }
        });
        let (served, recovered, outdated) = (Arc::new(served.collect()), Arc::default(), Arc::default());
        Self { engine: Arc::downgrade(engine), served, hall, begun, stopping, recovered, outdated }
    }

    pub(super) fn has_recovered(&self) {
        self.recovered.store(true, Ordering::Release);
    }

    /// What was left unfinished before has been found and put in line.
    pub fn is_ready(&self) -> bool {
        self.recovered.load(Ordering::Acquire) && !self.is_stopping()
    }

    /// Nothing begins any more.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.begun.is_closed()
    }

    /// The runs that wait, and those at work.
    pub fn queue(&self) -> QueueView {
        let view = self.hall.roster().view();
        let Some(engine) = self.engine.upgrade() else { return view };
        let lane = |lane: LaneView| LaneView { stuck: engine.stuck.view(&lane.workflow), ..lane };
        QueueView { workflows: view.workflows.into_iter().map(lane).collect(), ..view }
    }

    /// Returns once a person has let everything begin; at once when nothing was held.
    pub fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut released = self.hall.released.subscribe();
        async move {
            if released.wait_for(|released| *released).await.is_err() {
                // The loop is gone, and nobody will say so any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Looks at the files of the workflows that are started by name: what they say now. Notices those that
    /// were changed in what takes a restart, and says so in the log once. It reads files, which may wait.
    pub fn look(&self) -> Vec<ServedView> {
        let served = self.served();
        self.note_outdated(&served);
        served
    }

    fn served(&self) -> Vec<ServedView> {
        let view = |known: &Served| {
            served::view(&known.workflow, &known.file, known.profile.as_deref(), &known.declared)
        };
        self.served.iter().map(view).collect()
    }

    /// Whether a file said something else of triggers or hooks than what is listened to when it was last
    /// looked at: that takes a restart.
    pub fn is_outdated(&self) -> bool {
        !self.known_outdated().is_empty()
    }

    fn note_outdated(&self, served: &[ServedView]) {
        let outdated = served.iter().filter(|known| known.outdated).map(|known| known.workflow.clone());
        let before = std::mem::replace(&mut *self.known_outdated(), outdated.collect());
        for known in served.iter().filter(|known| known.outdated && !before.contains(&known.workflow)) {
            let (workflow, file) = (&known.workflow, &known.file);
            tracing::warn!(workflow, file, "its triggers or hooks were changed: they count after a restart");
        }
    }

    fn known_outdated(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What starts a workflow that is served: its file, and the profile unless another one is given.
    ///
    /// # Errors
    /// It is not served; with the names that are.
    pub fn file_of(
        &self,
        workflow: &str,
        profile: Option<String>,
    ) -> Result<(PathBuf, Option<String>), Problem> {
        if let Some(known) = self.served.iter().find(|known| known.workflow == workflow) {
            return Ok((known.file.clone(), profile.or_else(|| known.profile.clone())));
        }
        let detail = format!("no workflow '{workflow}' is served here");
        let known = self.served.iter().map(|known| known.workflow.clone());
        Err(Problem::new(ProblemKind::NotFound, code::WORKFLOW_UNKNOWN, detail).candidates(known))
    }

    /// Records a run, which begins when there is room for it. When it returns, it is on disk. Under a
    /// key it is started once, however often it is asked for.
    ///
    /// # Errors
    /// [`StartError`]; also when too many runs wait. Nothing was recorded then.
    pub async fn start(&self, start: Start, key: Option<String>) -> Result<(Run, bool), StartError> {
        let engine = self.engine()?;
        let hall = Arc::clone(&self.hall);
        let place = move |run: &Run| Place::of(&hall, &run.workflow).ok_or_else(|| queue_full(&run.workflow));
        let accepting = Arc::clone(&engine);
        let cause = Cause { key, ..Cause::default() };
        // Reading the file and making its steps is work, of which others who ask are to notice nothing.
        let accepted =
            engine.workshop.spawn(async move { accepting.accept(start, cause, place).await }).await;
        let (id, place) = match accepted.map_err(|error| StartError::Broken(defect(&error).to_string()))?? {
            Accepted::Now(run, place) => (run, Some(place)),
            Accepted::Before(run) => (run, None),
        };
        let (run, is_new) = (engine.recorded(id)?, place.is_some());
        drop(place);
        // Also one that was recorded before: whoever recorded it may not have come so far.
        if run.status == Status::Queued && is_unfinished(&run) {
            self.put(&engine, &run);
        }
        Ok((run, is_new))
    }

    /// Goes on with a run at once. When it returns, that is on disk, with who asked for it.
    ///
    /// # Errors
    /// [`ResumeError`]; nothing was changed then, unless the store failed.
    pub async fn resume(&self, run: RunId, terms: &ResumeTerms, asked: Asked<'_>) -> Result<(), ResumeError> {
        let engine = self.engine()?;
        // As long as this is kept, the loop stays, and takes over what was begun.
        let Ok(handing_over) = self.begun.reserve().await else { return Err(Gone.into()) };
        // Whoever names a run means it, whether everything else is held or not.
        let mut claim = self.claim(&engine, run).await?;
        let running = engine.resume(run, terms, asked).await?;
        claim.is_kept();
        let driver = running.handle.clone();
        handing_over.send(running);
        driver.begun().await.map_err(|_| ResumeError::Broken(format!("{run} stopped short as it began")))
    }

    /// Takes a run for whoever begins it now.
    async fn claim(&self, engine: &Engine, run: RunId) -> Result<Claim, ResumeError> {
        engine.let_go(run).await;
        let recorded = engine.recorded(run).map_err(|_| ResumeError::Unknown(run))?;
        let claim = self.hall.claim(&recorded.workflow, run);
        // Whoever saw the end of a run may go on with it before the loop has seen it.
        let patience = if recorded.status.is_ended() { LETTING_GO } else { Duration::ZERO };
        let claimed = tokio::time::timeout(patience, claim).await.map_err(|_| ResumeError::Busy(run))?;
        Ok(Claim { hall: Arc::clone(&self.hall), claimed: Some(claimed) })
    }

    /// Lets something begin that is held, or a run that a person paused and nobody works on. `false`: it
    /// was neither.
    ///
    /// # Errors
    /// No such workflow or run.
    pub async fn unhold(&self, what: &Unhold, by: &str) -> Result<bool, Problem> {
        let engine = self.engine().map_err(|Gone| ending())?;
        if let Unhold::Workflow(name) = what
            && !self.hall.roster().knows(name)
        {
            let detail = format!("no workflow '{name}' is served here, and no run of it waits");
            return Err(Problem::new(ProblemKind::NotFound, code::WORKFLOW_UNKNOWN, detail));
        }
        let mut is_freed = true;
        if let Unhold::Run(run) = what {
            let run = engine.recorded(*run)?;
            is_freed = is_unfinished(&run) && engine.live.handle(run.id).is_none();
            if is_freed {
                self.put(&engine, &run);
            }
        }
        let held = self.held(what);
        is_freed &= self.hall.roster().unhold(what) || matches!(what, Unhold::Run(_));
        // A run has its own event of it.
        let workflow = match what {
            Unhold::Run(_) => None,
            Unhold::Workflow(name) => Some(Some(name.clone())),
            Unhold::All => Some(None),
        };
        if let Some(workflow) = workflow {
            engine.did(by.to_owned(), Done::Unheld { workflow }).await?;
        }
        engine.unheld(&held, by).await?;
        if matches!(what, Unhold::All) {
            self.hall.released.send_replace(true);
        }
        self.hall.stirred.notify_one();
        Ok(is_freed)
    }

    /// The runs that wait and that this lets begin.
    fn held(&self, what: &Unhold) -> Vec<RunId> {
        let lanes = self.queue().workflows.into_iter();
        let lanes = lanes.filter(|lane| match what {
            Unhold::Workflow(name) => *name == lane.workflow,
            Unhold::Run(_) | Unhold::All => true,
        });
        let waiting = lanes.flat_map(|lane| lane.waiting).filter(|waiting| waiting.paused);
        waiting
            .map(|waiting| waiting.run)
            .filter(|run| match what {
                Unhold::Run(named) => run == named,
                Unhold::Workflow(_) | Unhold::All => true,
            })
            .collect()
    }

    /// A run that waits is wanted no more.
    pub fn forget(&self, run: RunId) {
        self.hall.roster().forget(run);
        self.hall.stirred.notify_one();
    }

    fn put(&self, engine: &Engine, run: &Run) {
        let (id, since) = (run.id, engine.ports.clock.now());
        let by = run.started_by.clone().unwrap_or_default();
        let news = if run.epoch == 0 { News::Asked { run: id, by } } else { News::GoesOn { run: id } };
        self.hall.roster().push(&run.workflow, Next { run: id, since, news });
        self.hall.stirred.notify_one();
    }

    fn engine(&self) -> Result<Arc<Engine>, Gone> {
        if self.is_stopping() {
            return Err(Gone);
        }
        self.engine.upgrade().ok_or(Gone)
    }
}

/// A place in the line of a workflow that is kept while a run is recorded.
struct Place {
    hall: Arc<Hall>,
    workflow: String,
}

impl Place {
    /// `None`: there is none.
    fn of(hall: &Arc<Hall>, workflow: &str) -> Option<Self> {
        let is_kept = hall.roster().reserve(workflow);
        is_kept.then(|| Self { hall: Arc::clone(hall), workflow: workflow.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hall.roster().unreserve(&self.workflow);
    }
}

/// A run that is taken out of the line, and back in its place unless it begins.
struct Claim {
    hall: Arc<Hall>,
    claimed: Option<Claimed>,
}

impl Claim {
    /// It begins.
    fn is_kept(&mut self) {
        self.claimed = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            self.hall.roster().unclaim(claimed);
            self.hall.stirred.notify_one();
        }
    }
}

/// The loop is ending.
struct Gone;

impl From<Gone> for StartError {
    fn from(_: Gone) -> Self {
        Self::Problem(ending())
    }
}

impl From<Gone> for ResumeError {
    fn from(_: Gone) -> Self {
        Self::Problem(ending())
    }
}

fn ending() -> Problem {
    Problem::new(ProblemKind::Unready, code::ENGINE_GONE, "the engine is ending").next("milepost list")
}

fn queue_full(workflow: &str) -> Problem {
    let detail = format!("too many runs of '{workflow}' wait already; nothing was recorded, ask again later");
    Problem { kind: ProblemKind::Unready, ..refused(code::QUEUE_FULL, detail) }
        .next("milepost list --status queued")
}
