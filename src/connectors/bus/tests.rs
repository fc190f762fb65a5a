use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::core::id::RunId;
use crate::core::queue::{Received, Ticket};
use crate::core::scope::Steps;
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::ports::{QueueError, StoreError};

/// A queue that remembers each call, and refuses all when told to.
#[derive(Default)]
struct Recorded {
    sends: Mutex<Vec<Vec<Message>>>,
    shared: Mutex<Vec<(Message, Carried)>>,
    broken: bool,
}

#[async_trait]
impl Queue for Recorded {
    async fn receive(&self, _: &queue::Receive) -> Result<Received, QueueError> {
        Ok(Received::default())
    }

    async fn delete(&self, _: Vec<Ticket>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn hide(&self, _: Vec<Ticket>, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
    async fn redrive(&self, _: &queue::Receive) -> Result<Option<u64>, QueueError> {
        Ok(Some(0))
    }
}

#[async_trait]
impl OwnQueue for Recorded {
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError("disk".to_owned()));
        }
        self.sends.lock().unwrap().push(messages);
        Ok(())
    }

    async fn share(&self, messages: Vec<(Message, Carried)>) -> Result<(), StoreError> {
        self.shared.lock().unwrap().extend(messages);
        Ok(())
    }
}

fn publisher(rules: &Value, queue: Arc<Recorded>) -> Publisher {
    let with = json!({ "source": "shop", "detail_type": "ProductIngested" });
    Publisher {
        rules: Rules::read(Some(rules)).unwrap(),
        publish: Publish::read(with.as_object().unwrap()).unwrap(),
        queue,
    }
}

fn scope(item: Value) -> Scope {
    Scope {
        run: RunId(1),
        started_at: Timestamp(0),
        version: "0".into(),
        unit: Unit::Item(3),
        input: Arc::new(Value::Null),
        item: Arc::new(item),
        digest: Arc::default(),
        steps: Steps::default(),
        sent: None,
    }
}

fn calls(publisher: &Publisher, count: u64) -> Vec<Call> {
    (0..count)
        .map(|position| Call {
            run: RunId(1),
            unit: Unit::Item(position),
            attempt: 1,
            key: String::new(),
            effect_id: u128::from(position) + 1,
            request: publisher.prepare(&scope(json!({ "sku": position }))).unwrap(),
            version: Version("0".to_owned()),
        })
        .collect()
}

#[tokio::test]
async fn a_batch_of_25_is_three_calls_and_the_event_id_is_the_effects() {
    let queue = Arc::new(Recorded::default());
    let rules = json!([
        { "detail_type": "ProductIngested", "queue": "a" },
        { "detail_type": "Other", "queue": "b" },
        { "detail_type": "ProductIngested", "queue": "c" },
        { "detail_type": "ProductIngested", "queue": "a" },
    ]);
    let publisher = publisher(&rules, Arc::clone(&queue));
    let verdicts = publisher.call(&calls(&publisher, 25)).await;
    assert_eq!(verdicts.calls, 3);
    assert_eq!(verdicts.outcomes.len(), 25);
    let sends = queue.sends.lock().unwrap();
    assert_eq!(sends.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 10]);
    assert_eq!((sends[0][0].queue.as_str(), sends[0][1].queue.as_str()), ("a", "c"));
    assert_eq!(sends[2][9].item, Some(24));
    assert_eq!(sends[2][9].event_id, 25);
    let Outcome::Done(facts) = &verdicts.outcomes[24] else { panic!("not done") };
    assert_eq!(facts["event_id"], "00000000-0000-0000-0000-000000000019");
    assert_eq!(facts["queues"], 2);
    assert_eq!(facts["digest"], Value::from(sends[2][9].digest.as_str()));
}

#[tokio::test]
async fn an_event_that_no_rule_matches_is_accepted_and_a_failing_store_is_a_doubt() {
    let nowhere = publisher(&json!([]), Arc::default());
    let verdicts = nowhere.call(&calls(&nowhere, 1)).await;
    let Outcome::Done(facts) = &verdicts.outcomes[0] else { panic!("not done") };
    assert_eq!(facts["queues"], 0);

    let rules = json!([{ "detail_type": "ProductIngested", "queue": "a" }]);
    let broken = publisher(&rules, Arc::new(Recorded { broken: true, ..Recorded::default() }));
    let verdicts = broken.call(&calls(&broken, 1)).await;
    assert!(matches!(verdicts.outcomes[0], Outcome::Unclear(_)));
}

#[test]
fn publish_and_consume_make_the_same_digest_whatever_the_order_of_members() {
    let publisher = publisher(&json!([]), Arc::default());
    let with = json!({ "queue": "q", "wait": "1s", "visibility_timeout": "2m", "max_receives": 5 });
    let receive = Receive::read(with.as_object().unwrap(), POLLERS).unwrap();
    let sent = publisher.prepare(&scope(json!({ "a": [1, { "x": "ü", "b": null }], "c": 2.5 }))).unwrap();
    let received = receive.prepare(&scope(json!({ "c": 2.5, "a": [1, { "b": null, "x": "ü" }] }))).unwrap();
    assert_eq!(sent["digest"], received["digest"]);
    let how = receive.of(RunId(1));
    assert_eq!((how.wait, how.visibility), (Duration::from_secs(1), Duration::from_mins(2)));
    assert_eq!((how.receives_max, how.pollers), (5, 1));
    let other = receive.prepare(&scope(json!({ "c": 2.6 }))).unwrap();
    assert_ne!(sent["digest"], other["digest"]);
}

#[test]
fn every_wrong_rule_is_reported() {
    let faults = Rules::read(Some(&json!([{ "queue": "q" }, { "detail_type": "T", "queu": "q" }, 3])));
    assert_eq!(faults.unwrap_err().len(), 3);
    let with = json!({ "wait": "soon", "max_receives": 0 });
    assert_eq!(Receive::read(with.as_object().unwrap(), POLLERS).err().map(|faults| faults.len()), Some(3));
}

#[tokio::test]
async fn a_shared_queue_gets_the_product_itself_and_its_version() {
    let queue = Arc::new(Recorded::default());
    let rules = json!([
        { "detail_type": "ProductIngested", "queue": "own" },
        { "detail_type": "ProductIngested", "queue": "all", "shared": true },
    ]);
    let publisher = publisher(&rules, Arc::clone(&queue));
    publisher.call(&calls(&publisher, 2)).await;
    let own = queue.sends.lock().unwrap().concat();
    assert_eq!((own.len(), own[1].run, own[1].item), (2, RunId(1), Some(1)));
    let shared = queue.shared.lock().unwrap();
    let (message, carried) = &shared[1];
    assert_eq!((message.queue.as_str(), message.run, message.item), ("all", SHARED, None));
    assert_eq!((message.event_id, &message.digest), (own[1].event_id, &own[1].digest));
    assert_eq!((&*carried.content, carried.version.as_deref()), (&json!({ "sku": 1 }), Some("0")));
}
