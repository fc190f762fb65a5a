//! The one thread that writes. It takes what waits, merges it into one batch, makes the batch
//! durable, and only then answers everybody. Batches form by themselves while a sync is under way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

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
        let health_too = health.clone();
        let desk = Desk { stage, sync, witness, batches, bells, health: health_too, jobs, later: None };
        let thread = std::thread::Builder::new()
            .name("milepost-store".to_owned())
            .spawn(move || desk.work())
            .map_err(Error::io("start the store's thread"))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), health })
    }

    /// Writes changes, all or none; they are durable when it returns.
    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(self.health.check()?);
        }
        self.ask(|answer| Job::Commit(changes, answer)).await
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
        let gone = || self.health.stop("its thread ended".to_owned());
        jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
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

/// The writer as the thread sees it.
struct Desk {
    stage: Stage,
    sync: MakeDurable,
    witness: Witness,
    batches: u64,
    bells: Bells,
    health: Health,
    jobs: mpsc::Receiver<Job>,
    /// A job that has to begin a batch, and came while one was being filled.
    later: Option<Job>,
}

impl Desk {
    fn work(mut self) {
        while let Some(job) = self.later.take().or_else(|| self.jobs.blocking_recv()) {
            let mut answers = Vec::new();
            let outcome = catch_unwind(AssertUnwindSafe(|| self.batch(job, &mut answers)));
            let failed = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic_text(panic.as_ref()).to_owned()),
            };
            if let Some(cause) = failed {
                let error = self.health.stop(cause);
                // What was applied may or may not be durable, so nobody hears that it is.
                answers.drain(..).for_each(|answer| answer.refuse(&error));
                self.refuse_all(&error);
                return;
            }
            answers.drain(..).for_each(Answer::give);
            for rack in std::mem::take(&mut self.stage.stirred) {
                self.bells.ring(&rack);
            }
        }
    }

    fn batch(&mut self, first: Job, answers: &mut Vec<Answer>) -> Result<(), Error> {
        let mut next = Some(first);
        while let Some(job) = next {
            if self.stage.size() > 0 && matches!(job, Job::Sweep(..) | Job::Look(_)) {
                self.later = Some(job);
                break;
            }
            self.add(job, answers)?;
            next = if self.stage.size() < BATCH_ROWS_MAX { self.jobs.try_recv().ok() } else { None };
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

    fn refuse_all(&mut self, error: &StoreError) {
        self.jobs.close();
        while let Some(job) = self.later.take().or_else(|| self.jobs.blocking_recv()) {
            match job {
                Job::Commit(_, answer) | Job::Sweep(_, answer) => Answer::Committed(answer).refuse(error),
                // Dropped unseen; whoever asked hears that the store stopped.
                Job::Look(_) => {}
                Job::Signal(_, answer) => Answer::Signalled(Vec::new(), answer).refuse(error),
                Job::Receive(_, _, answer) => Answer::Received(Taken::default(), answer).refuse(error),
            }
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
