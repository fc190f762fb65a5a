//! The trigger loop: listens to what a workflow file's triggers hear of, records a run for each
//! occasion, and carries the runs out, so many at once. It tells what happens and prints nothing.
//!
//! Nothing is lost and nothing is started twice: a message is done only when its runs are recorded,
//! each with its start key in one commit, and a key starts one run. A recorded run begins, and an
//! interrupted one goes on, by the one path of resuming.

mod news;
mod watched;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::core::id::RunId;
use crate::core::run::{Run, Status};
use crate::core::trigger::{Heard, Notice, Occasion, start_key};
use crate::engine::Handle;
use crate::ports::{Journal, Trigger};
use crate::view::{ResumeTerms, code};

use super::error::{EngineError, StartError};
use super::start::{Accepted, Cause};
use super::{Engine, Start};

pub use news::{Hindrance, News};
pub use watched::{Listener, Watched};

/// How long a trigger is left alone after the first failure; the wait doubles with each that follows…
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// …up to this.
const PATIENCE_MAX: Duration = Duration::from_mins(1);

/// A loop at work.
pub struct Watching {
    /// What happens; ends with the loop.
    pub news: mpsc::UnboundedReceiver<News>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), EngineError>>,
}

impl Watching {
    /// Begins to watch. At most `concurrency` runs are at work at once, and while so many are, nothing
    /// is received. First it goes on with what its triggers started before and what has not ended.
    pub fn begin(engine: &Arc<Engine>, watched: Watched, concurrency: usize) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let watch = Watch {
            engine: Arc::clone(engine),
            posts: watched.listeners.iter().cloned().map(Post::new).collect(),
            watched,
            concurrency: concurrency.max(1),
            waiting: VecDeque::new(),
            at_work: BTreeMap::new(),
            runs: JoinSet::new(),
            listening: JoinSet::new(),
            news: sender,
        };
        Self { news, stop, task: tokio::spawn(watch.work(stopping)) }
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

/// A trigger and how it is doing.
struct Post {
    listener: Listener,
    is_listening: bool,
    /// How long it is left alone next time; `None`: it is well.
    patience: Option<Duration>,
}

impl Post {
    fn new(listener: Listener) -> Self {
        Self { listener, is_listening: false, patience: None }
    }
}

/// A recorded run that is to begin, or to go on.
struct Next {
    run: RunId,
    /// Told when it does.
    news: News,
}

/// What listening came to.
enum Listened {
    Heard(Heard),
    Hindered(Hindrance),
}

struct Watch {
    engine: Arc<Engine>,
    watched: Watched,
    posts: Vec<Post>,
    concurrency: usize,
    waiting: VecDeque<Next>,
    at_work: BTreeMap<RunId, Handle>,
    runs: JoinSet<(RunId, Result<Run, EngineError>)>,
    listening: JoinSet<(usize, Listened)>,
    news: mpsc::UnboundedSender<News>,
}

impl Watch {
    async fn work(mut self, mut stopping: watch::Receiver<bool>) -> Result<(), EngineError> {
        self.find_open()?;
        loop {
            self.begin_waiting().await;
            self.listen();
            tokio::select! {
                // Whoever could stop it is gone, too.
                _ = stopping.changed() => break,
                Some(ended) = self.runs.join_next() => self.ended(ended)?,
                Some(listened) = self.listening.join_next() => self.listened(listened).await?,
            }
        }
        // What is being received meanwhile shows again.
        self.listening.abort_all();
        self.at_work.values().for_each(Handle::stop);
        while let Some(ended) = self.runs.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    fn tell(&self, news: News) {
        // Nobody listening is no reason to stop.
        let _ = self.news.send(news);
    }

    /// What the triggers of this workflow started and what has not ended: nobody else works on it,
    /// because the state directory is ours. What a person paused is theirs to go on with.
    fn find_open(&mut self) -> Result<(), EngineError> {
        let runs = self.engine.store.runs().map_err(|error| EngineError::Broken(error.to_string()))?;
        let is_ours = |run: &Run| {
            let by = |post: &Post| run.trigger.as_ref() == Some(&post.listener.name);
            run.workflow == self.watched.workflow
                && run.profile == self.watched.profile
                && self.posts.iter().any(by)
        };
        let is_open = |run: &Run| match run.status {
            Status::Succeeded | Status::Failed | Status::Cancelled => false,
            Status::Queued | Status::Running | Status::Waiting | Status::Paused | Status::Interrupted => {
                run.released.is_none() && !run.is_given_up()
            }
        };
        // The oldest first.
        let open = runs.iter().rev().filter(|run| is_ours(run) && is_open(run));
        for run in open {
            match &run.steer.paused {
                Some(paused) => self.tell(News::Paused { run: run.id, by: paused.by.clone() }),
                None => self.waiting.push_back(Next { run: run.id, news: News::GoesOn { run: run.id } }),
            }
        }
        Ok(())
    }

    async fn begin_waiting(&mut self) {
        while self.at_work.len() < self.concurrency {
            let Some(Next { run, news }) = self.waiting.pop_front() else { return };
            match self.engine.resume(run, &ResumeTerms::default(), None).await {
                Ok(mut running) => {
                    self.tell(news);
                    self.at_work.insert(run, running.handle.clone());
                    self.runs.spawn(async move { (run, running.finished().await) });
                }
                Err(error) => self.tell(News::Stuck { run, error }),
            }
        }
    }

    fn ended(
        &mut self,
        ended: Result<(RunId, Result<Run, EngineError>), JoinError>,
    ) -> Result<(), EngineError> {
        let (id, run) = ended.map_err(|error| defect(&error))?;
        self.at_work.remove(&id);
        self.tell(match run {
            Ok(run) => News::Ended { run: Box::new(run) },
            Err(error @ EngineError::Run(_)) => News::Broken { run: id, error },
            Err(error) => return Err(error),
        });
        Ok(())
    }

    /// Listens wherever nobody does, as long as there is room for what may be heard.
    fn listen(&mut self) {
        if !self.waiting.is_empty() || self.at_work.len() >= self.concurrency {
            return;
        }
        for (at, post) in self.posts.iter_mut().enumerate().filter(|(_, post)| !post.is_listening) {
            post.is_listening = true;
            let (trigger, clock) = (Arc::clone(&post.listener.trigger), Arc::clone(&self.engine.ports.clock));
            let (file, profile) = (self.watched.file.clone(), self.watched.profile.clone());
            let until = post.patience.map(|patience| clock.now().after(patience));
            self.listening.spawn(async move {
                if let Some(until) = until {
                    clock.sleep_until(until).await;
                }
                (at, listened(trigger.as_ref(), file, profile).await)
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
                if self.posts[at].patience.is_none() {
                    self.tell(News::Hindered { trigger, by });
                }
                self.leave_alone(at);
                return Ok(());
            }
        };
        if self.posts[at].patience.take().is_some() {
            self.tell(News::Listens { trigger: trigger.clone() });
        }
        match heard {
            Heard::Nothing => {}
            Heard::Stray(stray) => self.tell(News::Stray { trigger, stray }),
            Heard::Notice(notice) => self.noticed(at, notice).await?,
        }
        Ok(())
    }

    fn leave_alone(&mut self, at: usize) {
        let longer = self.posts[at].patience.map_or(PATIENCE_MIN, |patience| patience * 2);
        self.posts[at].patience = Some(longer.min(PATIENCE_MAX));
    }

    /// Records what a message starts. The message is done when nothing of it is left.
    async fn noticed(&mut self, at: usize, notice: Notice) -> Result<(), EngineError> {
        let Listener { name, trigger, .. } = self.posts[at].listener.clone();
        for what in notice.passed_over {
            self.tell(News::PassedOver { trigger: name.clone(), what });
        }
        for occasion in notice.occasions {
            if let Some(error) = self.accept(at, occasion.clone()).await? {
                self.tell(News::Refused { trigger: name, subject: occasion.subject, error });
                self.leave_alone(at);
                return Ok(());
            }
        }
        if let Err(fault) = trigger.done(&notice.ticket).await {
            self.tell(News::NotRemoved { trigger: name, fault });
        }
        Ok(())
    }

    /// Records the run of an occasion, unless there is one. Returns why none can be started.
    async fn accept(&mut self, at: usize, occasion: Occasion) -> Result<Option<StartError>, EngineError> {
        let Watched { workflow, file, profile, .. } = &self.watched;
        let Listener { name, input, .. } = &self.posts[at].listener;
        let Occasion { subject, identity, version } = occasion;
        let start = Start {
            file: file.clone(),
            input: vec![(input.clone(), subject.clone())],
            profile: profile.clone(),
        };
        let trigger = name.clone();
        let key = start_key(workflow, profile.as_deref(), name, &identity);
        let cause = Cause { trigger: trigger.clone(), key, version };
        match self.engine.accept(start, cause).await {
            Ok(Accepted::Now(run)) => {
                self.waiting.push_back(Next { run, news: News::Started { run, trigger, subject } });
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

/// Listens once, unless no run could be started anyhow: then messages stay where they are.
async fn listened(trigger: &dyn Trigger, file: PathBuf, profile: Option<String>) -> Listened {
    let checking = tokio::task::spawn_blocking(move || Engine::check(&file, profile.as_deref()).map(drop));
    if let Ok(Err(report)) = checking.await {
        return Listened::Hindered(Hindrance::Unfit(Box::new(report)));
    }
    match trigger.next().await {
        Ok(heard) => Listened::Heard(heard),
        Err(fault) => Listened::Hindered(Hindrance::Away(fault)),
    }
}

fn defect(error: &JoinError) -> EngineError {
    EngineError::Broken(format!("a defect of Milepost: {error}"))
}
