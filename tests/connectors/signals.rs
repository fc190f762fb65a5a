//! Waiting for a signal: who is asked, about whom, and what counts of what is announced.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use milepost::connectors::sandbox::Faults;
use milepost::connectors::{Site, build};
use milepost::core::cell::{Cell, State};
use milepost::core::change::Change;
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::queue::Receive;
use milepost::core::signal::{Awaiting, Signal, Subject, queue};
use milepost::core::time::Timestamp;
use milepost::ports::{Journal, QueueError, Receiver, Signals, Worker};
use milepost::store::MemoryStore;
use serde_json::{Value, json};

use crate::world::{NoTime, World, connected, done, once, step};

const RUN: RunId = RunId(1);

/// A step that waits for what the stand-in of the PIM publishes, and what it hears with.
struct Wait {
    store: MemoryStore,
    receiver: Arc<dyn Receiver>,
}

impl Wait {
    fn at(world: &World) -> Self {
        let store = MemoryStore::new(Arc::new(NoTime));
        let settings = json!({ "url": world.sandbox.pim_url });
        let connection = connected(("sandbox", settings.clone()));
        let with = json!({ "signal": "product.published", "key": "x", "poll": "1s" });
        let step = step("signal.wait", true, &with);
        let site = Site {
            step: &step,
            connection: Some(&connection),
            settings: settings.as_object().cloned().unwrap(),
            files: &BTreeMap::new(),
            base: Path::new("."),
            queue: Arc::new(store.clone()),
            signals: Arc::new(store.clone()),
            clock: Arc::new(NoTime),
        };
        match build(&site) {
            Ok(Worker::Receiver(receiver)) => Self { store, receiver },
            Ok(_) => panic!("no receiver"),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    /// An item begins to wait for a key, as the engine commits it.
    async fn begins(&self, item: u64, key: &str, after: Option<&Value>) {
        let after = after.map(|after| after.to_string().trim_matches('"').to_owned());
        let subject = Subject { signal: "product.published".to_owned(), key: key.to_owned(), after };
        let (until, since, at) = (Timestamp(3_600_000), Timestamp(0), Timestamp(0));
        let cell = Cell { state: State::Waiting(until), facts: subject.facts(), ..Cell::default() };
        let progress = Progress::of([cell]);
        let (queue, workflow) = (queue("it"), "w".to_owned());
        let awaiting = Awaiting { run: RUN, item, step: 0, queue, workflow, subject, since, at, until };
        let changes =
            vec![Change::Progress(RUN, Unit::Item(item), progress), Change::Await(Box::new(awaiting))];
        self.store.commit(changes).await.unwrap();
    }

    /// The items that hear of something, with the version that was announced.
    async fn hears(&self, wait: Duration) -> Result<Vec<(u64, Option<String>)>, QueueError> {
        let receive = Receive { wait, ..self.receiver.receive(RUN) };
        let received = self.receiver.queue().receive(&receive).await?;
        let of = |delivery: &milepost::core::queue::Delivery| {
            let signal = Signal::carried(delivery.carried.as_ref()).unwrap();
            (delivery.message.item.unwrap(), signal.version)
        };
        Ok(received.deliveries.iter().map(of).collect())
    }
}

fn product(sku: &str, published: bool) -> Value {
    json!({ "sku": sku, "name": "n", "price": 9.9, "published": published })
}

#[tokio::test]
async fn what_is_published_is_announced_and_a_draft_or_an_older_state_is_not() {
    let world = World::start().await;
    let pim = world.pim();
    let shown = once(&*pim, &product("SHOWN", true)).await;
    once(&*pim, &product("DRAFT", false)).await;
    let modified = &done(&shown)["modified"];
    let version = modified.to_string().trim_matches('"').to_owned();
    let wait = Wait::at(&world);
    wait.begins(1, "SHOWN", Some(modified)).await;
    wait.begins(2, "DRAFT", None).await;
    wait.begins(3, "UNKNOWN", None).await;
    wait.begins(4, "shown", None).await;
    let later = json!(version.parse::<u64>().unwrap() + 60);
    // First in line, and not content with what the PIM has: that is nobody else's trouble.
    wait.begins(0, "SHOWN", Some(&later)).await;
    assert_eq!(wait.hears(Duration::from_secs(1)).await.unwrap(), [(1, Some(version))]);
    let still: Vec<u64> =
        wait.store.awaited(RUN, &queue("it"), None, 9).unwrap().iter().map(|waits| waits.item).collect();
    assert_eq!(still, [0, 2, 3, 4]);
    assert_eq!(wait.store.kept_signals().unwrap(), [], "it can be asked for again");
}

#[tokio::test]
async fn while_the_pim_is_away_a_trial_says_so_and_what_others_tell_counts() {
    let world = World::start().await;
    done(&once(&*world.pim(), &product("A", true)).await);
    let wait = Wait::at(&world);
    wait.begins(1, "A", None).await;
    wait.begins(2, "B", None).await;
    world.strike(&world.sandbox.pim_url, &Faults { outage: true, ..Faults::default() }).await;
    let is_away = |heard: Result<_, QueueError>| matches!(heard, Err(QueueError::Away(_)));
    assert!(is_away(wait.hears(Duration::from_secs(1)).await));
    assert!(is_away(wait.hears(Duration::ZERO).await), "the engine tries with a receive that does not wait");
    let told = Signal {
        name: "product.published".to_owned(),
        key: "B".to_owned(),
        id: "told".to_owned(),
        at: Timestamp(0),
        version: None,
        workflow: None,
        payload: Value::Null,
        by: None,
        until: Timestamp(1),
    };
    wait.store.take_in(vec![told]).await.unwrap();
    assert_eq!(wait.hears(Duration::ZERO).await.unwrap(), [(2, None)]);
    world.strike(&world.sandbox.pim_url, &Faults::default()).await;
    let heard = wait.hears(Duration::from_secs(1)).await.unwrap();
    assert_eq!(heard.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [1]);
}
