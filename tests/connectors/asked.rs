//! Waiting for a signal of somebody who does not tell by himself: how often he is asked, about whom,
//! and what follows from an answer, or from none. Time is simulated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use milepost::connectors::Site;
use milepost::connectors::builtin::signal::build;
use milepost::core::cell::{Cell, State};
use milepost::core::change::Change;
use milepost::core::fault::{Fault, name};
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::queue::Receive;
use milepost::core::signal::{Awaiting, Signal, Subject, queue};
use milepost::core::time::Timestamp;
use milepost::ports::{Announced, Announcer, Clock, Journal, QueueError, Receiver, Signals, Worker};
use milepost::store::MemoryStore;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{connected, step};

const RUN: RunId = RunId(1);
const BEGIN: Timestamp = Timestamp(1_000_000);
/// Keys that the other side is asked for at once.
const KEYS_MAX: usize = 1_500;
/// Items that are asked about in one turn, at most.
const TURN_MAX: u64 = 5_000;
/// In so many receives everything happens that is waited for here.
const RECEIVES_MAX: usize = 9;
const NOBODY: [u64; 0] = [];

/// Time as tokio simulates it: it jumps to the next timer when nothing else is left to do.
struct Simulated(Instant);

#[async_trait]
impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        BEGIN.after(self.0.elapsed())
    }

    async fn sleep_until(&self, until: Timestamp) {
        while self.now() < until {
            tokio::time::sleep(until.since(self.now()).max(Duration::from_millis(1))).await;
        }
    }
}

/// The other side: what it announces, and what it was asked for.
struct Fake {
    clock: Simulated,
    says: Mutex<Says>,
}

#[derive(Default)]
struct Says {
    announced: Vec<Announced>,
    /// It gives no answer.
    is_away: bool,
    /// By the second in which it was asked.
    asked: Vec<(u64, Vec<String>)>,
}

impl Fake {
    fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    fn announces(&self, key: &str, version: &str) {
        let (key, version) = (key.to_owned(), Some(version.to_owned()));
        self.says().announced.push(Announced { key, version, payload: Value::Null });
    }

    /// The seconds in which it was asked.
    fn asked_at(&self) -> Vec<u64> {
        self.says().asked.iter().map(|(second, _)| *second).collect()
    }

    /// Every key that it was asked for in this second.
    fn asked_in(&self, second: u64) -> BTreeSet<String> {
        let says = self.says();
        says.asked.iter().filter(|(at, _)| *at == second).flat_map(|(_, keys)| keys.clone()).collect()
    }
}

#[async_trait]
impl Announcer for Fake {
    fn keys_max(&self) -> usize {
        KEYS_MAX
    }

    async fn announced(&self, keys: &[String]) -> Result<Vec<Announced>, Fault> {
        let second = self.clock.now().since(BEGIN).as_secs();
        let mut says = self.says();
        says.asked.push((second, keys.to_vec()));
        if says.is_away {
            return Err(Fault::new(name::UNREACHABLE, "nobody is there"));
        }
        Ok(says.announced.iter().filter(|announced| keys.contains(&announced.key)).cloned().collect())
    }
}

/// A step that waits, and whom it asks.
struct Wait {
    store: MemoryStore,
    fake: Arc<Fake>,
    receiver: Arc<dyn Receiver>,
}

impl Wait {
    fn new() -> Self {
        let began = Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(Simulated(began));
        let store = MemoryStore::new(Arc::clone(&clock));
        let fake = Arc::new(Fake { clock: Simulated(began), says: Mutex::default() });
        let connection = connected(("pimcore", json!({})));
        let step = step("signal.wait", true, &json!({ "signal": "published", "key": "x" }));
        let site = Site {
            step: &step,
            connection: Some(&connection),
            settings: serde_json::Map::new(),
            files: &BTreeMap::new(),
            base: Path::new("."),
            queue: Arc::new(store.clone()),
            signals: Arc::new(store.clone()),
            clock,
        };
        match build(&site, Some(Arc::clone(&fake) as Arc<dyn Announcer>)) {
            Ok(Worker::Receiver(receiver)) => Self { store, fake, receiver },
            Ok(_) => panic!("no receiver"),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    /// Items begin to wait, each for a key that is its number, as the engine commits it.
    async fn begin(&self, items: impl Iterator<Item = u64>, after: Option<&str>) {
        let changes = items.flat_map(|item| {
            let (signal, key) = ("published".to_owned(), item.to_string());
            let subject = Subject { signal, key, after: after.map(str::to_owned) };
            let until = BEGIN.after(Duration::from_hours(1));
            let cell = Cell { state: State::Waiting(until), facts: subject.facts(), ..Cell::default() };
            let (queue, workflow) = (queue("it"), "w".to_owned());
            let (since, at) = (BEGIN, BEGIN);
            let awaiting = Awaiting { run: RUN, item, step: 0, queue, workflow, subject, since, at, until };
            let progress = Progress::of([cell]);
            [Change::Progress(RUN, Unit::Item(item), progress), Change::Await(Box::new(awaiting))]
        });
        self.store.commit(changes.collect()).await.unwrap();
    }

    /// The items that hear of something in one receive, as long as the engine lets it wait.
    async fn hear(&self) -> Result<Vec<u64>, QueueError> {
        self.hear_for(self.receiver.receive(RUN).wait).await
    }

    async fn hear_for(&self, wait: Duration) -> Result<Vec<u64>, QueueError> {
        let receive = Receive { wait, ..self.receiver.receive(RUN) };
        let received = self.receiver.queue().receive(&receive).await?;
        Ok(received.deliveries.iter().filter_map(|delivery| delivery.message.item).collect())
    }

    /// Receives, in which nobody hears of anything, until somebody was asked in this second.
    async fn until_asked_in(&self, second: u64) {
        for _ in 0..RECEIVES_MAX {
            if self.fake.asked_at().contains(&second) {
                return;
            }
            assert_eq!(self.hear().await.unwrap(), NOBODY);
        }
        panic!("nobody was asked in second {second}, but in {:?}", self.fake.asked_at());
    }

    /// The first that is heard.
    async fn next(&self) -> Vec<u64> {
        let mut heard = Vec::new();
        for _ in 0..RECEIVES_MAX {
            heard = self.hear().await.unwrap();
            if !heard.is_empty() {
                break;
            }
        }
        heard
    }

    async fn is_away(&self, wait: Duration) -> bool {
        matches!(self.hear_for(wait).await, Err(QueueError::Away(fault)) if fault.name == name::UNREACHABLE)
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_tell_is_asked_every_half_minute_and_what_is_told_meanwhile_comes_at_once() {
    let wait = Wait::new();
    wait.begin(1..=2, None).await;
    for _ in 0..3 {
        assert_eq!(wait.hear().await.unwrap(), NOBODY);
    }
    assert_eq!(wait.fake.asked_at(), [0, 30], "a receive waits for 20 s, or until it is time to ask");
    wait.fake.announces("1", "7");
    assert_eq!(wait.hear_for(Duration::ZERO).await.unwrap(), NOBODY, "who does not wait asks nobody");
    let told = Signal {
        name: "published".to_owned(),
        key: "2".to_owned(),
        id: "told".to_owned(),
        at: BEGIN.after(Duration::from_mins(1)),
        version: None,
        workflow: None,
        payload: Value::Null,
        by: None,
        until: BEGIN.after(Duration::from_hours(1)),
    };
    wait.store.take_in(vec![told]).await.unwrap();
    assert_eq!(wait.hear().await.unwrap(), [2]);
    assert_eq!(wait.fake.asked_at(), [0, 30]);
    assert_eq!(wait.hear().await.unwrap(), NOBODY, "until it is time");
    assert_eq!(wait.hear().await.unwrap(), [1]);
    assert_eq!(wait.fake.asked_at(), [0, 30, 60]);
    assert_eq!(wait.fake.asked_in(60), BTreeSet::from(["1".to_owned()]), "nobody waits for the other now");
}

#[tokio::test(start_paused = true)]
async fn where_more_wait_than_one_turn_asks_for_everybody_has_a_turn() {
    let wait = Wait::new();
    wait.begin(0..TURN_MAX + 3, None).await;
    for second in [0, 30, 60] {
        wait.until_asked_in(second).await;
    }
    let [first, second, third] = [0, 30, 60].map(|second| wait.fake.asked_in(second));
    assert_eq!((first.len(), second.len()), (5_000, 3));
    let everybody: BTreeSet<String> = (0..TURN_MAX + 3).map(|item| item.to_string()).collect();
    assert_eq!(first.union(&second).cloned().collect::<BTreeSet<_>>(), everybody);
    assert_eq!(third, first, "then it begins anew");
    assert!(wait.fake.says().asked.iter().all(|(_, keys)| keys.len() <= KEYS_MAX));
    // One of the last: it is asked about in its turn, and woken.
    let last = second.first().unwrap();
    wait.fake.announces(last, "1");
    assert_eq!(wait.next().await, [last.parse::<u64>().unwrap()]);
    assert_eq!(wait.fake.asked_at().last(), Some(&90));
}

#[tokio::test(start_paused = true)]
async fn who_gives_no_answer_is_asked_about_the_same_again_as_often_as_the_engine_tries() {
    let wait = Wait::new();
    wait.begin(0..TURN_MAX + 3, None).await;
    assert_eq!(wait.hear().await.unwrap(), NOBODY);
    wait.fake.says().is_away = true;
    wait.fake.announces("1", "1");
    tokio::time::advance(Duration::from_secs(30)).await;
    let patience = wait.receiver.receive(RUN).wait;
    assert!(wait.is_away(patience).await, "at once: the engine says when it is tried again");
    assert!(wait.is_away(Duration::ZERO).await, "a trial does not wait, and asks");
    let tries = wait.fake.says().asked.split_off(4);
    assert_eq!(tries.len(), 2, "four chunks were answered in the turn before");
    assert_eq!(tries[0].1.len(), 3);
    assert_eq!(tries[0].1, tries[1].1, "nobody loses a turn to it");
    wait.fake.says().is_away = false;
    assert_eq!(
        wait.hear_for(Duration::ZERO).await.unwrap(),
        NOBODY,
        "it answers, and announces none of these"
    );
    let asked = wait.fake.asked_at().len();
    assert_eq!(wait.hear_for(Duration::ZERO).await.unwrap(), NOBODY);
    assert_eq!(wait.fake.asked_at().len(), asked, "from then on a receive that does not wait asks nobody");
    assert_eq!(wait.next().await, [1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_and_older_than_the_effect_wakes_nobody() {
    let wait = Wait::new();
    wait.begin(1..=1, Some("100")).await;
    wait.fake.announces("1", "99");
    wait.until_asked_in(60).await;
    assert_eq!(wait.store.awaited(RUN, &queue("it"), None, 9).unwrap().len(), 1, "it still waits");
    wait.fake.says().announced.clear();
    wait.fake.announces("1", "100");
    assert_eq!(wait.next().await, [1]);
    assert_eq!(wait.fake.asked_at(), [0, 30, 60, 90]);
    assert_eq!(wait.store.kept_signals().unwrap(), [], "it can be asked for again");
}
