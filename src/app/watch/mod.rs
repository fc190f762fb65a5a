//! The loop that carries runs out: those that the triggers of workflow files hear of, those that
//! people ask for, and those that an engine before left unfinished. It tells what happens and prints
//! nothing.
//!
//! Nothing is lost and nothing is started twice: a message is done only when its runs are recorded,
//! each with its start key in one commit, and a key starts one run. A recorded run begins, and an
//! interrupted one goes on, by the one path of resuming. Neither a broken run nor a broken trigger ends
//! the loop; only a store that failed does.

mod declared;
mod desk;
mod hall;
mod news;
mod outcome;
mod pace;
mod post;
mod roster;
mod stuck;
mod succession;
mod upkeep;
mod watched;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::connectors::listening::aside;
use crate::core::execution::DrivenBy;
use crate::core::id::RunId;
use crate::core::run::Run;
use crate::core::trigger::{Heard, Notice, Occasion, WhenBusy, start_key};
use crate::ports::Journal;
use crate::view::code;

use super::error::{EngineError, ResumeError, StartError};
use super::start::{Accepted, Cause};
use super::{Engine, Running, Start};

pub use declared::Declared;
pub use desk::Desk;
use hall::Hall;
pub use news::{Hindrance, News};
use outcome::{Outcome, carried_out, is_unfinished, stopped, until_over};
pub use pace::{Begins, Finds, Pace};
use post::{Listened, Post, Turn, listened};
use roster::{Next, Roster};
pub(super) use stuck::Stuck;
pub use upkeep::{Collects, Upkeep};
pub use watched::{Listener, Watched};

/// Most runs that people go on with at the same moment; others wait for a moment.
const RESUMES_MAX: usize = 16;

/// A loop at work.
pub struct Watching {
    /// What happens; ends with the loop.
    pub news: mpsc::UnboundedReceiver<News>,
    desk: Desk,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), EngineError>>,
}

impl Watching {
    /// Begins to watch these files, and goes on with what has not ended. Triggers receive nothing while
    /// [`Pace::waiting_max`] runs wait; those that leave what happens where it is ([`WhenBusy::Stays`])
    /// nothing either while [`Pace::concurrency`] runs of their workflow are at work, or one of it waits.
    pub fn begin(engine: &Arc<Engine>, watched: Vec<Watched>, pace: Pace) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let (begun, handed_over) = mpsc::channel(RESUMES_MAX);
        let mut roster = Roster::new(pace.concurrency, pace.waiting_max);
        for file in &watched {
            roster.serves(&file.workflow);
        }
        if pace.begins == Begins::WhenTold {
            roster.hold_everything();
        }
        let hall = Arc::new(Hall::of(roster, pace.begins));
        let posts = watched.iter().flat_map(Post::all).collect();
        let desk = Desk::new(engine, watched, Arc::clone(&hall), begun, stopping.clone());
        let watch = Watch {
            engine: Arc::clone(engine),
            posts,
            hall,
            handed_over,
            runs: JoinSet::new(),
            listening: JoinSet::new(),
            news: sender,
            stopping,
        };
        let opened = desk.clone();
        let task = tokio::spawn(async move {
            let mut watch = watch;
            watch.find_open(pace.finds).await?;
            opened.has_recovered();
            watch.work().await
        });
        Self { news, desk, stop, task }
    }

    /// Where people ask it for something.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Asks it to end: nothing more is received, and the runs at work are interrupted.
    pub fn stop(&self) {
        // A loop that is gone has ended.
        let _ = self.stop.send(true);
    }

    /// Returns when it has ended.
    ///
    /// # Errors
    /// [`EngineError`]: the engine could not go on. What was recorded goes on with the next loop.
    pub async fn ended(self) -> Result<(), EngineError> {
        self.task.await.unwrap_or_else(|error| Err(defect(&error)))
    }
}

struct Watch {
    engine: Arc<Engine>,
    posts: Vec<Post>,
    hall: Arc<Hall>,
    /// Runs that somebody began at the desk.
    handed_over: mpsc::Receiver<Running>,
    runs: JoinSet<(RunId, Outcome)>,
    listening: JoinSet<(usize, Listened)>,
    news: mpsc::UnboundedSender<News>,
    stopping: watch::Receiver<bool>,
}

impl Watch {
    async fn work(&mut self) -> Result<(), EngineError> {
        let (mut stopping, hall) = (self.stopping.clone(), Arc::clone(&self.hall));
        let clock = Arc::clone(&self.engine.ports.clock);
        loop {
            self.try_again();
            self.begin_waiting();
            self.listen();
            let due_at = self.engine.stuck.due_at();
            tokio::select! {
                () = stopped(&mut stopping) => break,
                () = hall.stirred.notified() => {}
                () = clock.sleep_until(due_at.unwrap_or_default()), if due_at.is_some() => {}
                Some(running) = self.handed_over.recv() => self.attend(running),
                Some(ended) = self.runs.join_next() => self.ended(ended)?,
                Some(listened) = self.listening.join_next() => self.listened(listened).await?,
            }
        }
        // What is being received meanwhile shows again.
        self.listening.abort_all();
        self.handed_over.close();
        // Whoever is about to begin a run keeps a place in there until it is handed over.
        while let Some(running) = self.handed_over.recv().await {
            self.attend(running);
        }
        while let Some(ended) = self.runs.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    fn tell(&self, news: News) {
        // Nobody listening is no reason to stop.
        let _ = self.news.send(news);
    }

    /// Every run that has not ended, the newest first.
    async fn recorded(&self) -> Result<Vec<Run>, EngineError> {
        let store = self.engine.store.clone();
        let runs =
            aside(move || store.unended()).await.map_err(|fault| EngineError::Broken(fault.to_string()))?;
        runs.map_err(|error| EngineError::Broken(error.to_string()))
    }

    /// What has not ended: nobody else works on it, because the state directory is ours. What a person
    /// paused is theirs to go on with.
    async fn find_open(&mut self, finds: Finds) -> Result<(), EngineError> {
        let runs = self.recorded().await?;
        let is_ours =
            |run: &Run| finds == Finds::Everything || self.posts.iter().any(|post| post.has_started(run));
        // The oldest first.
        let open = runs.iter().rev().filter(|run| is_ours(run) && is_unfinished(run));
        let now = self.engine.ports.clock.now();
        let mut roster = self.hall.roster();
        for run in open {
            if let Some(paused) = &run.steer.paused {
                self.tell(News::Paused { run: run.id, by: paused.by.clone() });
                continue;
            }
            let next = Next { run: run.id, since: now, news: News::GoesOn { run: run.id } };
            roster.push(&run.workflow, next);
        }
        Ok(())
    }

    fn begin_waiting(&mut self) {
        loop {
            let Some((_, next)) = self.hall.roster().next() else { return };
            let (engine, news) = (Arc::clone(&self.engine), self.news.clone());
            let stopping = self.stopping.clone();
            self.runs.spawn(async move {
                let run = next.run;
                // On a task of its own: whatever happens in it, it is known which run it was.
                let workshop = Arc::clone(&engine);
                let work = workshop.workshop.spawn(carried_out(engine, next, news, stopping));
                // It keeps the engine, and is not to outlive this loop.
                let mut work = AbortOnDrop(work);
                drop(workshop);
                let lost = |error| Outcome::Over(Err(EngineError::Run(defect(&error).to_string())));
                (run, (&mut work.0).await.unwrap_or_else(lost))
            });
        }
    }

    /// Stays with a run that was begun at the desk.
    fn attend(&mut self, running: Running) {
        let run = running.id;
        self.tell(News::GoesOn { run });
        let stopping = self.stopping.clone();
        self.runs.spawn(async move { (run, Outcome::Over(until_over(running, stopping).await)) });
    }

    fn ended(&mut self, ended: Result<(RunId, Outcome), JoinError>) -> Result<(), EngineError> {
        let (id, outcome) = ended.map_err(|error| defect(&error))?;
        self.hall.ended(id);
        self.tell(match outcome {
            Outcome::Elsewhere => return Ok(()),
            Outcome::Stuck(next, error) => return self.stuck(next, *error),
            Outcome::Over(Ok(run)) => News::Ended { run },
            Outcome::Over(Err(error @ EngineError::Run(_))) => News::Broken { run: id, error },
            Outcome::Over(Err(error)) => return Err(error),
        });
        Ok(())
    }

    /// A run could not go on: unless it is wanted no more, it is tried again later.
    fn stuck(&self, next: Next, error: ResumeError) -> Result<(), EngineError> {
        let run = next.run;
        let recorded = self.engine.store.run(run).map_err(|error| EngineError::Broken(error.to_string()))?;
        let is_news = match recorded.filter(is_unfinished) {
            Some(known) => {
                self.engine.stuck.note(&known.workflow, next, &error, self.engine.ports.clock.now())
            }
            None => !self.engine.stuck.forget(run),
        };
        if is_news {
            self.tell(News::Stuck { run, error });
        }
        Ok(())
    }

    /// Puts those in line again that could not go on, and whose time has come.
    fn try_again(&self) {
        for (workflow, next) in self.engine.stuck.due(self.engine.ports.clock.now()) {
            self.hall.roster().push(&workflow, next);
        }
    }

    /// Listens wherever nobody does, as long as there is room for what may be heard.
    fn listen(&mut self) {
        let hall = Arc::clone(&self.hall);
        let roster = hall.roster();
        for (at, post) in self.posts.iter_mut().enumerate() {
            if post.is_listening || !roster.takes(&post.workflow, post.listener.trigger.when_busy()) {
                continue;
            }
            post.is_listening = true;
            let (trigger, clock) = (Arc::clone(&post.listener.trigger), Arc::clone(&self.engine.ports.clock));
            let (file, profile) = (post.file.clone(), post.profile.clone());
            let until = post.patience().map(|patience| clock.now().after(patience));
            self.listening.spawn(async move {
                if let Some(until) = until {
                    clock.sleep_until(until).await;
                }
                // Whatever happens in a trigger ends its listening, not the loop.
                let listening = tokio::spawn(listened(trigger, file, profile));
                let lost = |error| Listened::Hindered(Hindrance::Lost(defect(&error).to_string()));
                let mut listening = AbortOnDrop(listening);
                (at, (&mut listening.0).await.unwrap_or_else(lost))
            });
        }
    }

    async fn listened(&mut self, listened: Result<(usize, Listened), JoinError>) -> Result<(), EngineError> {
        let (at, listened) = listened.map_err(|error| defect(&error))?;
        self.posts[at].is_listening = false;
        let trigger = self.posts[at].listener.name.clone();
        let heard = match listened {
            Listened::Heard(heard) => heard,
            Listened::Hindered(by) => {
                if self.posts[at].turns_out(Turn::Hindered) {
                    self.tell(News::Hindered { trigger, by });
                }
                return Ok(());
            }
        };
        let (turn, stray) = match heard {
            Heard::Nothing => (Turn::Listened, None),
            Heard::Stray(stray) => (Turn::Listened, Some(stray)),
            Heard::Notice(notice) => (self.noticed(at, notice).await?, None),
        };
        if self.posts[at].turns_out(turn) && turn != Turn::Undone {
            self.tell(News::Listens { trigger: trigger.clone() });
        }
        if let Some(stray) = stray {
            self.tell(News::Stray { trigger, stray });
        }
        Ok(())
    }

    /// Records what a message starts. The message is done when nothing of it is left; until then it shows
    /// again, and what of it has started a run starts none.
    async fn noticed(&mut self, at: usize, notice: Notice) -> Result<Turn, EngineError> {
        let Listener { name, trigger, .. } = self.posts[at].listener.clone();
        for occasion in notice.occasions {
            if let Some(run) = self.in_the_way(at).await? {
                let what = format!("{}, because {run} has not ended", occasion.subject);
                self.tell(News::PassedOver { trigger: name.clone(), what });
                continue;
            }
            // Whoever else heard or asked meanwhile may have taken the last place.
            let workflow = self.posts[at].workflow.clone();
            if !self.hall.roster().reserve(&workflow) {
                return Ok(Turn::Listened);
            }
            let refused = self.accept(at, occasion.clone()).await;
            self.hall.roster().unreserve(&workflow);
            if let Some(error) = refused? {
                self.tell(News::Refused { trigger: name, subject: occasion.subject, error });
                return Ok(Turn::Undone);
            }
        }
        for what in notice.passed_over {
            self.tell(News::PassedOver { trigger: name.clone(), what });
        }
        if let Err(fault) = trigger.done(&notice.ticket).await {
            self.tell(News::NotRemoved { trigger: name, fault });
            return Ok(Turn::Undone);
        }
        Ok(Turn::DealtWith)
    }

    /// The run because of which a trigger starts no other one.
    async fn in_the_way(&self, at: usize) -> Result<Option<RunId>, EngineError> {
        let post = &self.posts[at];
        if post.listener.trigger.when_busy() != WhenBusy::Skips {
            return Ok(None);
        }
        let runs = self.recorded().await?;
        let is_in_the_way =
            |run: &&Run| post.has_started(run) && is_unfinished(run) && !self.engine.stuck.has(run.id);
        Ok(runs.iter().find(is_in_the_way).map(|run| run.id))
    }

    /// Records the run of an occasion, unless there is one. Returns why none can be started.
    async fn accept(&mut self, at: usize, occasion: Occasion) -> Result<Option<StartError>, EngineError> {
        let Post { workflow, file, profile, listener, .. } = &self.posts[at];
        let Occasion { subject, identity, version } = occasion;
        let start = Start {
            file: file.clone(),
            input: listener.input.iter().map(|name| (name.clone(), subject.clone())).collect(),
            profile: profile.clone(),
            by: None,
            driven_by: DrivenBy::Embedded,
        };
        let trigger = listener.name.clone();
        let key = start_key(workflow, profile.as_deref(), &trigger, &identity);
        let cause = Cause { trigger: Some(trigger.clone()), key: Some(key), version };
        match self.engine.accept(start, cause, |_| Ok(())).await {
            Ok(Accepted::Now(run, ())) => {
                let news = News::Started { run, trigger, subject };
                let since = self.engine.ports.clock.now();
                self.hall.roster().push(workflow, Next { run, since, news });
            }
            Ok(Accepted::Before(run)) => self.tell(News::Again { trigger, subject, run }),
            Err(StartError::Problem(problem)) if problem.code == code::START_KEY_USED => {
                self.tell(News::Used { trigger, subject, problem });
            }
            Err(StartError::Broken(why)) => return Err(EngineError::Broken(why)),
            Err(error) => return Ok(Some(error)),
        }
        Ok(None)
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn defect(error: &JoinError) -> EngineError {
    EngineError::Broken(format!("a defect of Milepost: {error}"))
}
