//! The trigger loop: one run for each occasion, whatever is told how often, and whoever dies when.
//! What is heard comes from the test; engine, store and runs are the real ones.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use milepost::app::{Engine, Hindrance, Listener, News, Watched, Watching};
use milepost::config::Options;
use milepost::core::fault::Fault;
use milepost::core::id::RunId;
use milepost::core::queue::{Stray, Ticket};
use milepost::core::run::Status;
use milepost::core::time::Timestamp;
use milepost::core::trigger::{Heard, Notice, Occasion};
use milepost::core::version::Version;
use milepost::ports::Trigger;
use milepost::view::{Action, Order, RunFilter};
use tokio::sync::Notify;

use super::Site;

/// What is called `slow` asks a server that may not answer; what is called `bad` fails.
pub(super) const UPLOADS: &str = "\
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
pub(super) const SOON: Duration = Duration::from_secs(60);

/// A queue of the test's own, with the rules of the real one: what is received is hidden, and shows
/// again when whoever received it is gone.
#[derive(Default)]
struct Fake {
    state: Mutex<State>,
    changed: Notify,
    /// Rings when a delete hangs.
    deleting: Notify,
    /// Rings when somebody begins to listen.
    listening: Notify,
}

#[derive(Default)]
struct State {
    messages: VecDeque<(String, Vec<Occasion>)>,
    strays: VecDeque<Stray>,
    hidden: Vec<(String, Vec<Occasion>)>,
    /// Receives fail so often.
    away: u32,
    /// A message is never seen to be deleted.
    delete_hangs: bool,
    receives: u32,
}

impl Fake {
    fn tell(&self, id: &str, occasions: &[Occasion]) {
        self.state.lock().unwrap().messages.push_back((id.to_owned(), occasions.to_vec()));
        self.changed.notify_waiters();
    }

    /// The loop that received them is gone.
    fn show_again(&self) {
        let mut state = self.state.lock().unwrap();
        let hidden = std::mem::take(&mut state.hidden);
        state.messages.extend(hidden);
        state.delete_hangs = false;
        drop(state);
        self.changed.notify_waiters();
    }

    fn left(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.messages.len() + state.hidden.len()
    }

    fn receives(&self) -> u32 {
        self.state.lock().unwrap().receives
    }

    fn receive(&self) -> Option<Result<Heard, Fault>> {
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
}

/// Answers only when it is told to; tells whenever it is asked.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) answers: Arc<AtomicBool>,
    pub(super) asked: mpsc::Receiver<()>,
    /// Closes what was never answered.
    pub(super) release: mpsc::Sender<()>,
}

impl Server {
    pub(super) fn start() -> Self {
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
                let mut head = BufReader::new(&stream).lines().map_while(Result::ok);
                while head.next().is_some_and(|line| !line.is_empty()) {}
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
struct Post {
    site: Site,
    fake: Arc<Fake>,
}

struct Loop {
    engine: Arc<Engine>,
    watching: Watching,
    /// What was told so far.
    told: Vec<String>,
}

/// One life of an engine: at its end everything in it is gone in the middle of what it did.
fn life<T>(of: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(of)
}

impl Post {
    fn new() -> Self {
        Self::asking("http://127.0.0.1:9/")
    }

    fn asking(url: &str) -> Self {
        let post = Self { site: Site::new(), fake: Arc::default() };
        fs::write(post.file(), UPLOADS.replace("URL", url)).unwrap();
        post
    }

    fn file(&self) -> PathBuf {
        self.site.path("uploads.yaml")
    }

    fn edit(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(self.file(), text.replace(old, new)).unwrap();
    }

    async fn watch(&self) -> Loop {
        self.watch_in(None).await
    }

    /// The file as it is, except for what is listened to: that is ours.
    async fn watch_in(&self, profile: Option<&str>) -> Loop {
        let options = Options::new(self.site.path("state"));
        let engine = Arc::new(Engine::open(&options).await.unwrap());
        let listener = Listener {
            name: "uploads".to_owned(),
            input: "source".to_owned(),
            about: "a test".to_owned(),
            trigger: Arc::clone(&self.fake) as Arc<dyn Trigger>,
        };
        let watched = Watched::read(&self.file(), profile).unwrap();
        let watching = Watching::begin(&engine, Watched { listeners: vec![listener], ..watched }, 1);
        Loop { engine, watching, told: Vec::new() }
    }
}

impl Loop {
    /// The next news, in a word and what it is about.
    async fn next(&mut self) -> (String, Option<RunId>) {
        let news = tokio::time::timeout(SOON, self.watching.news.recv()).await.expect("news");
        match news.expect("the loop works") {
            News::Started { run, subject, .. } => (format!("started {subject}"), Some(run)),
            News::GoesOn { run } => ("goes on".to_owned(), Some(run)),
            News::Ended { run } => (run.status.word().to_owned(), Some(run.id)),
            News::Stuck { run, error } => (format!("stuck: {error}"), Some(run)),
            News::Again { subject, run, .. } => (format!("again {subject}"), Some(run)),
            News::Used { problem, .. } => (format!("used {}", problem.code), None),
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

    async fn expect(&mut self, words: &[&str]) -> Vec<RunId> {
        let mut runs = Vec::new();
        for word in words {
            let (told, run) = self.next().await;
            self.told.push(told.clone());
            assert_eq!(told, *word, "{:?}", self.told);
            runs.extend(run);
        }
        runs
    }

    fn runs(&self) -> Vec<(RunId, Status)> {
        let listed = self.engine.archive().runs(&RunFilter::default()).unwrap();
        listed.runs.iter().map(|run| (run.run, run.status)).collect()
    }

    /// Stops it and says what it still told.
    async fn end(mut self) -> Vec<String> {
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

fn occasion(name: &str) -> Occasion {
    Occasion {
        subject: format!("s3://bucket/{name}"),
        identity: name.to_owned(),
        version: Version::of_object(Timestamp(1), name, Some("A1")),
    }
}

#[test]
fn the_same_upload_told_three_times_starts_one_run() {
    let post = Post::new();
    life(async {
        let mut watch = post.watch().await;
        for message in ["1", "2", "3"] {
            post.fake.tell(message, &[occasion("a")]);
        }
        let again = "again s3://bucket/a";
        let runs = watch.expect(&["started s3://bucket/a", "succeeded", again, again]).await;
        assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), 1, "one run: {runs:?}");
        post.fake.tell("4", &[occasion("b")]);
        watch.expect(&["started s3://bucket/b", "succeeded"]).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (2, 0));
        let run = watch.engine.archive().find(&runs[0].to_string()).unwrap();
        assert_eq!(run.trigger.as_deref(), Some("uploads"));
        assert_eq!(run.version, Some(occasion("a").version.0));
        assert_eq!(run.input["source"], "s3://bucket/a");
        assert!(watch.end().await.is_empty());
    });
}

#[test]
fn the_uploads_of_one_message_run_in_their_order_and_others_wait_in_the_queue_meanwhile() {
    let post = Post::new();
    post.fake.tell("1", &[occasion("a"), occasion("b"), occasion("c")]);
    post.fake.tell("2", &[occasion("d")]);
    life(async {
        let mut watch = post.watch().await;
        for name in ["a", "b"] {
            watch.expect(&[&format!("started s3://bucket/{name}"), "succeeded"]).await;
            assert_eq!(post.fake.receives(), 1, "no receive while something is to do");
        }
        watch.expect(&["started s3://bucket/c", "succeeded", "started s3://bucket/d", "succeeded"]).await;
        assert_eq!((post.fake.receives(), post.fake.left()), (2, 0));
        watch.end().await;
    });
}

#[test]
fn a_loop_that_dies_between_record_and_delete_starts_no_second_run() {
    let post = Post::new();
    post.fake.state.lock().unwrap().delete_hangs = true;
    post.fake.tell("1", &[occasion("a"), occasion("b")]);
    let recorded = life(async {
        let watch = post.watch().await;
        tokio::time::timeout(SOON, post.fake.deleting.notified()).await.expect("a delete");
        assert!(watch.runs().iter().all(|(_, status)| *status == Status::Queued), "{:?}", watch.runs());
        watch.runs().into_iter().map(|(run, _)| run).rev().collect::<Vec<_>>()
    });
    assert_eq!(recorded.len(), 2);

    post.fake.show_again();
    life(async {
        let mut watch = post.watch().await;
        let runs = watch.expect(&["goes on", "succeeded", "goes on", "succeeded"]).await;
        assert_eq!(runs, [recorded[0], recorded[0], recorded[1], recorded[1]], "the oldest first");
        watch.expect(&["again s3://bucket/a", "again s3://bucket/b"]).await;
        assert_eq!(watch.runs().len(), 2);
        watch.end().await;
    });
    assert_eq!(post.fake.left(), 0);
}

#[test]
fn what_a_stop_or_a_death_interrupts_goes_on_with_the_next_loop_before_anything_is_received() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("slow")]);
    let run = life(async {
        let mut watch = post.watch().await;
        let run = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        run
        // Here the engine dies.
    });
    post.fake.tell("2", &[occasion("next")]);
    life(async {
        let mut watch = post.watch().await;
        assert_eq!(watch.expect(&["goes on"]).await, [run]);
        server.asked.recv_timeout(SOON).unwrap();
        assert_eq!(post.fake.receives(), 1, "it is at work, so nothing is received");
        // Here it is asked to end, and the call that is out is answered by nobody.
        watch.watching.stop();
        server.answers.store(true, Ordering::SeqCst);
    });
    life(async {
        let mut watch = post.watch().await;
        let runs = watch.expect(&["goes on", "succeeded", "started s3://bucket/next", "succeeded"]).await;
        assert_eq!(runs[..2], [run, run]);
        assert_eq!(watch.runs().len(), 2);
        watch.end().await;
    });
}

#[test]
fn a_run_that_fails_or_is_given_up_is_told_and_does_not_hold_up_the_others() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("bad"), occasion("slow"), occasion("waits"), occasion("good")]);
    let order = || Order { action: Action::Cancel, by: "ana".to_owned() };
    life(async {
        let mut watch = post.watch().await;
        watch.expect(&["started s3://bucket/bad", "failed"]).await;
        let slow = watch.expect(&["started s3://bucket/slow"]).await[0];
        server.asked.recv_timeout(SOON).unwrap();
        // A person gives up the one that waits, and then the one that is at work.
        let waits = watch.runs().iter().rev().map(|(run, _)| *run).nth(2).unwrap();
        watch.engine.act(waits, order()).await.unwrap();
        watch.engine.act(slow, order()).await.unwrap();
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        watch.expect(&["cancelled"]).await;
        let (told, run) = watch.next().await;
        assert!(told.starts_with("stuck: ") && run == Some(waits), "{told}");
        watch.expect(&["started s3://bucket/good", "succeeded"]).await;
        watch.end().await;
    });
    life(async {
        let watch = post.watch().await;
        assert!(watch.end().await.is_empty(), "a failed run waits for a person, a cancelled one for nobody");
    });
}

#[test]
fn two_workflows_and_two_profiles_that_hear_of_one_upload_all_start() {
    let post = Post::new();
    let heard = |profile| {
        post.fake.tell("1", &[occasion("a")]);
        life(async {
            let mut watch = post.watch_in(profile).await;
            let (told, run) = watch.next().await;
            if run.is_some() && told.starts_with("started") {
                watch.expect(&["succeeded"]).await;
            }
            watch.end().await;
            told
        })
    };
    let started = "started s3://bucket/a";
    assert_eq!([heard(None), heard(Some("production"))], [started, started]);
    post.edit("workflow: uploads", "workflow: copies");
    assert_eq!(heard(None), started);
    assert_eq!(heard(None), "again s3://bucket/a");
    // The same workflow, mended meanwhile: what it heard of before is dealt with.
    post.edit("it is bad", "it is very bad");
    assert_eq!(heard(None), "used E1036");
    assert_eq!(post.fake.left(), 0);
}

#[test]
fn while_the_file_has_mistakes_messages_wait_and_when_it_is_mended_they_start() {
    let server = Server::start();
    let post = Post::asking(&server.url);
    post.fake.tell("1", &[occasion("slow")]);
    post.fake.tell("2", &[occasion("b")]);
    life(async {
        let mut watch = post.watch().await;
        watch.expect(&["started s3://bucket/slow"]).await;
        server.asked.recv_timeout(SOON).unwrap();
        post.edit("uses: fail", "uses: fall");
        server.answers.store(true, Ordering::SeqCst);
        server.release.send(()).unwrap();
        watch.expect(&["succeeded", "unfit: E301"]).await;
        assert_eq!(post.fake.receives(), 1, "it is not even received");
        post.edit("uses: fall", "uses: fail");
        watch.expect(&["listens", "started s3://bucket/b", "succeeded"]).await;
        watch.end().await;
    });
    // A loop does not begin with a file that has mistakes.
    post.edit("input: source }", "input: sauce }");
    let mistakes = Watched::read(&post.file(), None).err().unwrap();
    assert_eq!(mistakes.findings[0].code, "E503");
}

#[test]
fn what_is_received_while_the_file_is_being_broken_shows_again() {
    let post = Post::new();
    life(async {
        let mut watch = post.watch().await;
        tokio::time::timeout(SOON, post.fake.listening.notified()).await.expect("a receive");
        post.edit("uses: fail", "uses: fall");
        post.fake.tell("1", &[occasion("a")]);
        watch.expect(&["refused: the workflow file has mistakes"]).await;
        assert_eq!((watch.runs().len(), post.fake.left()), (0, 1));
        post.edit("uses: fall", "uses: fail");
        post.fake.show_again();
        watch.expect(&["listens", "started s3://bucket/a", "succeeded"]).await;
        watch.end().await;
    });
}

#[test]
fn a_queue_out_of_reach_is_told_once_and_a_message_nobody_can_read_is_left_to_it() {
    let post = Post::new();
    post.fake.state.lock().unwrap().away = 2;
    let ticket = Ticket::Given("m".into());
    let stray = Stray { id: "m".to_owned(), receives: 2, reason: "no JSON".to_owned(), ticket };
    post.fake.state.lock().unwrap().strays.push_back(stray);
    post.fake.tell("1", &[occasion("a")]);
    life(async {
        let mut watch = post.watch().await;
        let news = ["away: Unreachable: nobody there", "listens", "stray m"];
        watch.expect(&news).await;
        watch.expect(&["started s3://bucket/a", "succeeded"]).await;
        watch.end().await;
    });
}

#[test]
fn a_trigger_listens_in_the_profiles_whose_connection_it_works_over() {
    let post = Post::new();
    let read = |profile| {
        let watched = Watched::read(&post.file(), profile).unwrap();
        (watched.listeners.into_iter().map(|one| one.about).collect::<Vec<_>>(), watched.silent)
    };
    assert_eq!(read(None), (vec![], vec![("uploads".to_owned(), "embedded".to_owned())]));
    assert_eq!(read(Some("production")), (vec!["s3.created, queue q".to_owned()], vec![]));
}
