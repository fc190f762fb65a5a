//! The desk at which everything is written, and the thread that sits there. It takes what waits, merges it into one
//! batch, makes the batch durable, and only then answers everybody. Batches form by themselves while a sync is under
//! way.
//!
//! Waking the thread, and being woken by it, takes a fifth of the time of a small commit. So whoever commits while
//! nobody waits, on a thread that nobody else wants, sits down at the desk itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::core::change::Change;
use crate::core::fault::panic_text;
use crate::core::queue::Receive;
use crate::core::signal::{Signal, TakenIn};
use crate::core::time::Timestamp;
use crate::ports::StoreError;

use super::bells::Bells;
use super::codec;
use super::error::Error;
use super::keys;
use super::queue::Taken;
use super::rows::Rows;
use super::stage::{Stage, Sweep};
use super::wire::put_number;
use super::witness::Witness;

/// Most jobs that wait; whoever brings one more waits itself.
const JOBS_MAX: usize = 1024;
/// Rows after which a batch takes no further job: above it sled gains nothing and memory jumps.
const BATCH_ROWS_MAX: usize = 500;
/// Most tasks of a runtime whose threads may be kept for as long as a commit takes: those of one run that does one
/// thing at a time, and of whoever waits for it.
const CALM_TASKS_MAX: usize = 4;

/// Makes durable what was applied. Its own type so that tests can make it fail.
pub(super) type MakeDurable = Box<dyn FnMut() -> Result<(), Error> + Send>;

/// Whether the store still works; once it does not, it never does again.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<OnceLock<String>>);

impl Health {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.0.get().map_or(Ok(()), |cause| Err(Error::Stopped(cause.clone())))
    }

    fn stop(&self, cause: String) -> StoreError {
        tracing::error!(cause, "the store stops");
        StoreError::from(Error::Stopped(self.0.get_or_init(|| cause).clone()))
    }
}

/// A write, and where its answer goes.
enum Job {
    Commit(Vec<Change>, oneshot::Sender<Result<(), StoreError>>),
    Receive(Box<Receive>, Timestamp, oneshot::Sender<Result<Taken, StoreError>>),
    Signal(Vec<Signal>, oneshot::Sender<Result<Vec<TakenIn>, StoreError>>),
    Sweep(Sweep, oneshot::Sender<Result<(), StoreError>>),
    Look(Look),
}

/// Looks at the rows while nobody writes, and hands what it saw to whoever asked.
type Look = Box<dyn FnOnce(&Rows) + Send>;

/// An answer that may be given when the batch is durable.
enum Answer {
    Committed(oneshot::Sender<Result<(), StoreError>>),
    Received(Taken, oneshot::Sender<Result<Taken, StoreError>>),
    Signalled(Vec<TakenIn>, oneshot::Sender<Result<Vec<TakenIn>, StoreError>>),
}

/// The writer as others see it.
pub(super) struct Writer {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    /// How many jobs were brought, and are not in a batch yet.
    waiting: Arc<AtomicUsize>,
    desk: Arc<Mutex<Desk>>,
    thread: Option<JoinHandle<()>>,
    health: Health,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        stage: Stage,
        sync: MakeDurable,
        witness: Witness,
        bells: Bells,
        health: Health,
    ) -> Result<Self, Error> {
        let batches = stage.rows.batches()?;
        let (sender, jobs) = mpsc::channel(JOBS_MAX);
        let desk = Desk { stage, sync, witness, batches, bells, health: health.clone() };
        let (desk, waiting) = (Arc::new(Mutex::new(desk)), Arc::new(AtomicUsize::new(0)));
        let clerk = Clerk { desk: Arc::clone(&desk), jobs, waiting: Arc::clone(&waiting) };
        let thread = std::thread::Builder::new()
            .name("milepost-store".to_owned())
            .spawn(move || clerk.work())
            .map_err(Error::io("start the store's thread"))?;
        Ok(Self { jobs: Some(sender), waiting, desk, thread: Some(thread), health })
    }

    /// Writes changes, all or none; they are durable when it returns.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(self.health.check()?);
        }
        let Some(mut desk) = self.free_desk() else {
            return self.ask(|answer| Job::Commit(changes, answer)).await;
        };
        let (answer, mut answered) = oneshot::channel();
        desk.serve(Job::Commit(changes, answer), || None);
        answered.try_recv().map_err(|_| self.gone())?
    }

    /// The desk, if nobody sits or waits there, and hardly anybody else wants this thread.
    fn free_desk(&self) -> Option<MutexGuard<'_, Desk>> {
        let runtime = Handle::try_current().ok()?.metrics();
        let is_calm = runtime.num_workers() > 1 && runtime.num_alive_tasks() <= CALM_TASKS_MAX;
        let desk = match self.desk.try_lock() {
            Ok(desk) if is_calm => desk,
            Err(TryLockError::Poisoned(desk)) if is_calm => desk.into_inner(),
            Ok(_) | Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => return None,
        };
        // What somebody brought before comes first: whoever brought it may not have waited for the answer.
        (self.waiting.load(Ordering::Acquire) == 0).then_some(desk)
    }

    /// Takes messages; that they were taken is durable when it returns.
    pub(super) async fn take(&self, receive: Receive, now: Timestamp) -> Result<Taken, StoreError> {
        self.ask(|answer| Job::Receive(Box::new(receive), now, answer)).await
    }

    /// Takes signals in; they, and whom they woke, are durable when it returns.
    pub(super) async fn signal(&self, signals: Vec<Signal>) -> Result<Vec<TakenIn>, StoreError> {
        self.ask(|answer| Job::Signal(signals, answer)).await
    }

    /// Removes and puts rows as a whole; that is durable when it returns.
    pub(super) async fn sweep(&self, sweep: Sweep) -> Result<(), StoreError> {
        self.ask(|answer| Job::Sweep(sweep, answer)).await
    }

    /// Lets somebody look at the rows at one moment, between two batches: everything that was
    /// acknowledged is there, and nobody writes until the look is over.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Rows) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|answer| Job::Look(Box::new(move |rows| drop(answer.send(Ok(look(rows))))))).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        self.health.check()?;
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("it is only taken when the writer is dropped");
        let place = jobs.reserve().await.map_err(|_| self.gone())?;
        self.waiting.fetch_add(1, Ordering::AcqRel);
        place.send(job(answer));
        answered.await.map_err(|_| self.gone())?
    }

    fn gone(&self) -> StoreError {
        self.health.stop("its thread ended".to_owned())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It catches its own panics, so there is nothing to learn from the result.
            let _ = thread.join();
        }
    }
}

/// Who sits at the desk while jobs wait.
struct Clerk {
    desk: Arc<Mutex<Desk>>,
    jobs: mpsc::Receiver<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Clerk {
    fn work(mut self) {
        let mut later = None;
        while let Some(job) = later.take().or_else(|| self.jobs.blocking_recv()) {
            let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
            let mut taken = 1;
            later = desk.serve(job, || {
                let job = self.jobs.try_recv().ok();
                taken += usize::from(job.is_some());
                job
            });
            taken -= usize::from(later.is_some());
            self.waiting.fetch_sub(taken, Ordering::AcqRel);
        }
    }
}

/// Where batches are made. Only one sits there at a time.
struct Desk {
    stage: Stage,
    sync: MakeDurable,
    witness: Witness,
    batches: u64,
    bells: Bells,
    health: Health,
}

impl Desk {
    /// Makes a batch of this job and of more, as long as there is room and they may share it, and answers them.
    /// Returns one that has to begin a batch.
    fn serve(&mut self, first: Job, more: impl FnMut() -> Option<Job>) -> Option<Job> {
        if let Err(stopped) = self.health.check() {
            first.refuse(&StoreError::from(stopped));
            return None;
        }
        let (mut answers, mut later) = (Vec::new(), None);
        let batch = || self.batch(first, more, &mut answers, &mut later);
        let failed = match catch_unwind(AssertUnwindSafe(batch)) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic_text(panic.as_ref()).to_owned()),
        };
        if let Some(cause) = failed {
            let error = self.health.stop(cause);
            // What was applied may or may not be durable, so nobody hears that it is.
            for answer in answers {
                answer.refuse(&error);
            }
            return later;
        }
        answers.into_iter().for_each(Answer::give);
        for rack in std::mem::take(&mut self.stage.stirred) {
            self.bells.ring(&rack);
        }
        later
    }

    fn batch(
        &mut self,
        first: Job,
        mut more: impl FnMut() -> Option<Job>,
        answers: &mut Vec<Answer>,
        later: &mut Option<Job>,
    ) -> Result<(), Error> {
        let mut next = Some(first);
        while let Some(job) = next {
            if self.stage.size() > 0 && matches!(job, Job::Sweep(..) | Job::Look(_)) {
                *later = Some(job);
                break;
            }
            self.add(job, answers)?;
            next = if self.stage.size() < BATCH_ROWS_MAX { more() } else { None };
        }
        if let Some(mut batch) = self.stage.finish()? {
            self.batches += 1;
            let mut number = Vec::new();
            put_number(&mut number, self.batches);
            let rows = &self.stage.rows;
            batch.insert(keys::LAST, codec::frame(keys::LAST, &number, &rows.files)?);
            rows.db.apply_batch(batch)?;
            (self.sync)()?;
            self.witness.tell(self.batches);
        }
        Ok(())
    }

    fn add(&mut self, job: Job, answers: &mut Vec<Answer>) -> Result<(), Error> {
        match job {
            Job::Commit(changes, answer) => {
                answers.push(Answer::Committed(answer));
                changes.into_iter().try_for_each(|change| self.stage.apply(change))
            }
            Job::Receive(receive, now, answer) => {
                let (taken, outcome) = split(self.stage.take(&receive, now));
                answers.push(Answer::Received(taken, answer));
                outcome
            }
            Job::Signal(signals, answer) => {
                let taken: Result<Vec<TakenIn>, Error> =
                    signals.into_iter().map(|signal| self.stage.signal(signal)).collect();
                let (taken, outcome) = split(taken);
                answers.push(Answer::Signalled(taken, answer));
                outcome
            }
            Job::Sweep(sweep, answer) => {
                answers.push(Answer::Committed(answer));
                self.stage.sweep(sweep)
            }
            Job::Look(look) => {
                look(&self.stage.rows);
                Ok(())
            }
        }
    }
}

impl Job {
    fn refuse(self, error: &StoreError) {
        match self {
            Self::Commit(_, answer) | Self::Sweep(_, answer) => Answer::Committed(answer).refuse(error),
            // Dropped unseen; whoever asked hears that the store stopped.
            Self::Look(_) => {}
            Self::Signal(_, answer) => Answer::Signalled(Vec::new(), answer).refuse(error),
            Self::Receive(_, _, answer) => Answer::Received(Taken::default(), answer).refuse(error),
        }
    }
}

/// What is answered, and how it ended: whoever asked is answered either way.
fn split<T: Default>(result: Result<T, Error>) -> (T, Result<(), Error>) {
    match result {
        Ok(done) => (done, Ok(())),
        Err(error) => (T::default(), Err(error)),
    }
}

impl Answer {
    // Whoever asked may have gone away meanwhile; then nobody is told, which is right.
    fn give(self) {
        match self {
            Self::Committed(answer) => drop(answer.send(Ok(()))),
            Self::Received(taken, answer) => drop(answer.send(Ok(taken))),
            Self::Signalled(taken, answer) => drop(answer.send(Ok(taken))),
        }
    }

    fn refuse(self, error: &StoreError) {
        match self {
            Self::Committed(answer) => drop(answer.send(Err(error.clone()))),
            Self::Received(_, answer) => drop(answer.send(Err(error.clone()))),
            Self::Signalled(_, answer) => drop(answer.send(Err(error.clone()))),
        }
    }
}
