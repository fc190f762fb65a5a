//! What the stories of the trigger loop are made of: a queue of the test's own, a server that does not
//! answer, and one loop after the other over one state directory.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use milepost::app::{Begins, Engine, Finds, Hindrance, Listener, News, OpenError, Pace, Watched, Watching};
use milepost::config::Options;
use milepost::core::fault::Fault;
use milepost::core::id::RunId;
use milepost::core::queue::{Stray, Ticket};
use milepost::core::run::Status;
use milepost::core::time::Timestamp;
use milepost::core::trigger::{Heard, Notice, Occasion, WhenBusy};
use milepost::core::version::Version;
use milepost::ports::Trigger;
use milepost::view::RunFilter;
use tokio::sync::Notify;

use crate::Site;

/// What is called `slow` asks a server that may not answer; what is called `bad` fails.
pub(crate) const UPLOADS: &str = "\
workflow: uploads
input:
  source: { type: uri }
connections:
  bus: { use: embedded }
profiles:
  production: { bus: { use: aws } }
triggers:
  uploads: { uses: s3.created, connection: bus, with: { queue: q }, input: source }
steps:
  ask: { uses: http.request, when: \"${{ $contains(input.source, 'slow') }}\", with: { url: URL } }
  refuse: { uses: fail, when: \"${{ $contains(input.source, 'bad') }}\", with: { message: it is bad } }
";
/// No test waits longer for one piece of news.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// One run at a time, as `watch` does when nothing else is asked for.
pub(crate) const PACE: Pace =
    Pace { concurrency: 1, waiting_max: 100, finds: Finds::ItsOwn, begins: Begins::AtOnce };

/// A queue of the test's own, with the rules of the real one: what is received is hidden, and shows
/// again when whoever received it is gone.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Notify,
    /// Rings when a delete hangs.
    pub(crate) deleting: Notify,
    /// Rings when somebody begins to listen.
    pub(crate) listening: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) messages: VecDeque<(String, Vec<Occasion>)>,
    pub(crate) strays: VecDeque<Stray>,
    pub(crate) hidden: Vec<(String, Vec<Occasion>)>,
    /// Receives fail so often.
    pub(crate) away: u32,
    /// A message is never seen to be deleted.
    pub(crate) delete_hangs: bool,
    pub(crate) receives: u32,
    pub(crate) when_busy: Option<WhenBusy>,
}

impl Fake {
    pub(crate) fn tell(&self, id: &str, occasions: &[Occasion]) {
        self.state.lock().unwrap().messages.push_back((id.to_owned(), occasions.to_vec()));
        self.changed.notify_waiters();
    }

    /// The loop that received them is gone.
    pub(crate) fn show_again(&self) {
        let mut state = self.state.lock().unwrap();
        let hidden = std::mem::take(&mut state.hidden);
        state.messages.extend(hidden);
        state.delete_hangs = false;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn left(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.messages.len() + state.hidden.len()
    }

    pub(crate) fn receives(&self) -> u32 {
        self.state.lock().unwrap().receives
    }

    pub(crate) fn receive(&self) -> Option<Result<Heard, Fault>> {
        let mut state = self.state.lock().unwrap();
        if state.away > 0 {
            state.away -= 1;
            return Some(Err(Fault::new("Unreachable", "nobody there")));
        }
        if let Some(stray) = state.strays.pop_front() {
            return Some(Ok(Heard::Stray(stray)));
        }
        let (id, occasions) = state.messages.pop_front()?;
        state.receives += 1;
        state.hidden.push((id.clone(), occasions.clone()));
        let ticket = Ticket::Given(id.into());
        Some(Ok(Heard::Notice(Notice { occasions, passed_over: Vec::new(), ticket })))
    }
}

#[async_trait]
impl Trigger for Fake {
    async fn next(&self) -> Result<Heard, Fault> {
        self.listening.notify_one();
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(received) = self.receive() {
                return received;
            }
            changed.await;
        }
    }

    async fn done(&self, ticket: &Ticket) -> Result<(), Fault> {
        let Ticket::Given(ticket) = ticket else { panic!("{ticket:?}") };
        if self.state.lock().unwrap().delete_hangs {
            self.deleting.notify_one();
            return std::future::pending().await;
        }
        self.state.lock().unwrap().hidden.retain(|(id, _)| **id != **ticket);
        Ok(())
    }

    fn when_busy(&self) -> WhenBusy {
        self.state.lock().unwrap().when_busy.unwrap_or(WhenBusy::Stays)
    }
}

/// Answers only when it is told to; tells whenever it is asked.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) answers: Arc<AtomicBool>,
    pub(crate) asked: mpsc::Receiver<()>,
    /// Closes what was never answered.
    pub(crate) release: mpsc::Sender<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let answers = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&answers);
        std::thread::spawn(move || {
            let held = Arc::new(Mutex::new(Vec::new()));
            let holds = Arc::clone(&held);
            std::thread::spawn(move || {
                while released.recv().is_ok() {
                    holds.lock().unwrap().clear();
                }
            });
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut lines_sent = BufReader::new(&stream).lines().map_while(Result::ok);
                while lines_sent.next().is_some_and(|line| !line.is_empty()) {}
                if told.load(Ordering::SeqCst) {
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                } else {
                    held.lock().unwrap().push(stream);
                }
                let _ = tell.send(());
            }
        });
        Self { url, answers, asked, release }
    }
}

/// A folder, a workflow file, a queue, and one loop after the other.
pub(crate) struct Post {
    pub(crate) site: Site,
    pub(crate) fake: Arc<Fake>,
}

pub(crate) struct Loop {
    pub(crate) engine: Arc<Engine>,
    pub(crate) watching: Watching,
    /// What was told so far.
    pub(crate) told: Vec<String>,
}

/// One life of an engine: at its end everything in it is gone in the middle of what it did.
pub(crate) fn life<T>(of: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(of)
}

impl Post {
    pub(crate) fn new() -> Self {
        Self::asking("http://127.0.0.1:9/")
    }

    pub(crate) fn asking(url: &str) -> Self {
        let post = Self { site: Site::new(), fake: Arc::default() };
        fs::write(post.file(), UPLOADS.replace("URL", url)).unwrap();
        post
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.site.path("uploads.yaml")
    }

    pub(crate) fn edit(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(self.file(), text.replace(old, new)).unwrap();
    }

    pub(crate) async fn watch(&self) -> Loop {
        self.watch_in(None).await
    }

    pub(crate) async fn watch_in(&self, profile: Option<&str>) -> Loop {
        self.watch_at(PACE, profile).await
    }

    /// The file as it is, except for what is listened to: that is ours.
    pub(crate) async fn watch_at(&self, pace: Pace, profile: Option<&str>) -> Loop {
        let options = Options::new(self.site.path("state"));
        // The threads of the life before end soon after it.
        let begun = Instant::now();
        let engine = loop {
            match Engine::open(&options).await {
                Err(OpenError::Held { .. }) if begun.elapsed() < SOON => tokio::task::yield_now().await,
                opened => break Arc::new(opened.unwrap()),
            }
        };
        let listener = Listener {
            name: "uploads".to_owned(),
            input: Some("source".to_owned()),
            about: "a test".to_owned(),
            trigger: Arc::clone(&self.fake) as Arc<dyn Trigger>,
        };
        let watched = Watched::read(&engine, &self.file(), profile).unwrap();
        let watching = Watching::begin(&engine, vec![Watched { listeners: vec![listener], ..watched }], pace);
        Loop { engine, watching, told: Vec::new() }
    }
}

impl Loop {
    /// The next news, in a word and what it is about.
    pub(crate) async fn next(&mut self) -> (String, Option<RunId>) {
        let news = tokio::time::timeout(SOON, self.watching.news.recv()).await.expect("news");
        match news.expect("the loop works") {
            News::Started { run, subject, .. } => (format!("started {subject}"), Some(run)),
            News::GoesOn { run } => ("goes on".to_owned(), Some(run)),
            News::Ended { run } => (run.status.word().to_owned(), Some(run.id)),
            News::Stuck { run, error } => (format!("stuck: {error}"), Some(run)),
            News::Broken { run, error } => (format!("broken: {error}"), Some(run)),
            News::Paused { run, by } => (format!("paused by {by}"), Some(run)),
            News::Again { subject, run, .. } => (format!("again {subject}"), Some(run)),
            News::Used { problem, .. } => (format!("used {}", problem.code), None),
            News::PassedOver { what, .. } => {
                (format!("passed over {}", what.split(',').next().unwrap_or_default()), None)
            }
            News::Stray { stray, .. } => (format!("stray {}", stray.id), None),
            News::Refused { error, .. } => (format!("refused: {error}"), None),
            News::Hindered { by: Hindrance::Away(fault), .. } => (format!("away: {fault}"), None),
            News::Hindered { by: Hindrance::Unfit(report), .. } => {
                (format!("unfit: {}", report.findings[0].code), None)
            }
            News::Listens { .. } => ("listens".to_owned(), None),
            other => (format!("{other:?}"), None),
        }
    }

    pub(crate) async fn expect(&mut self, words: &[&str]) -> Vec<RunId> {
        let mut runs = Vec::new();
        for word in words {
            let (told, run) = self.next().await;
            self.told.push(told.clone());
            assert_eq!(told, *word, "{:?}", self.told);
            runs.extend(run);
        }
        runs
    }

    pub(crate) fn runs(&self) -> Vec<(RunId, Status)> {
        let listed = self.engine.archive().runs(&RunFilter::default()).unwrap();
        listed.runs.iter().map(|run| (run.run, run.status)).collect()
    }

    /// Stops it and says what it still told.
    pub(crate) async fn end(mut self) -> Vec<String> {
        self.watching.stop();
        let mut told = Vec::new();
        while let Some(news) = self.watching.news.recv().await {
            told.push(match news {
                News::Ended { run } => run.status.word().to_owned(),
                other => format!("{other:?}"),
            });
        }
        self.watching.ended().await.unwrap();
        told
    }
}

pub(crate) fn occasion(name: &str) -> Occasion {
    Occasion {
        subject: format!("s3://bucket/{name}"),
        identity: name.to_owned(),
        version: Some(Version::of_object(Timestamp(1), name, Some("A1"))),
    }
}
