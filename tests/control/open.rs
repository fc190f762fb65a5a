//! An open run whose queue is out of reach: that is no silence, it holds nothing else up, and what comes
//! too late is left to the next run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::change::Message;
use milepost::core::fault::Fault;
use milepost::core::id::RunId;
use milepost::core::inflow::{Entrant, Intake, Rotation};
use milepost::core::plan::{DeleteAfter, Messages, PlanStep, Track};
use milepost::core::queue::{Carried, Delivery, Only, Receive, Received, SHARED, Ticket};
use milepost::core::run::Status;
use milepost::core::scope::Scope;
use milepost::engine::assembly::Station;
use milepost::ports::{Clock, Prepare, Queue, QueueError, Receiver, Stream, Worker};
use serde_json::{Value, json};

use crate::outside::Outside;
use crate::{Place, station, step};

const SECOND: Duration = Duration::from_secs(1);

/// A queue that brings items, and can go out of reach.
pub(crate) struct Pool {
    clock: Arc<dyn Clock>,
    rotation: Rotation,
    messages: Mutex<Vec<u64>>,
    is_away: AtomicBool,
    /// How long it takes to answer, or not to.
    takes: Mutex<Duration>,
}

impl Pool {
    /// `source → shop`, both over the connection `bus`.
    pub(crate) fn steps(self: &Arc<Self>, shop: &Arc<Outside>) -> (Track, Vec<PlanStep>, Vec<Station>) {
        let source = |role| PlanStep {
            connection: Some("bus".to_owned()),
            messages: Messages::Bringing,
            delete_after: DeleteAfter::Last,
            ..step("source", role, vec![])
        };
        let shop_step = PlanStep {
            connection: Some("bus".to_owned()),
            concurrency: 1,
            ..step("shop", Role::Effect { probes: true }, vec![0])
        };
        let steps = vec![source(Role::Pure), shop_step];
        let stations = vec![self.station(), station(Worker::Effect(Arc::clone(shop) as _))];
        (Track::new(vec![source(Role::Source)]), steps, stations)
    }

    pub(crate) fn station(self: &Arc<Self>) -> Station {
        station(Worker::Stream(Arc::new(Inlet(Arc::clone(self)))))
    }

    fn put(&self, messages: std::ops::Range<u64>) {
        self.messages.lock().unwrap().extend(messages);
    }

    fn is_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    async fn answer(&self, after: Duration) -> Result<(), QueueError> {
        self.clock.sleep_until(self.clock.now().after(after)).await;
        if self.is_away.load(Ordering::SeqCst) {
            return Err(QueueError::Away(Fault::new("Unreachable", "nobody listens there")));
        }
        Ok(())
    }
}

#[async_trait]
impl Queue for Pool {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let takes = *self.takes.lock().unwrap();
        self.answer(takes).await?;
        let deliveries: Vec<Delivery> = {
            let mut messages = self.messages.lock().unwrap();
            let count = messages.len().min(receive.max);
            messages.drain(..count).map(delivery).collect()
        };
        if deliveries.is_empty() {
            self.answer(receive.wait).await?;
        }
        Ok(Received { deliveries, strays: Vec::new() })
    }

    async fn delete(&self, _: Vec<Ticket>) -> Result<(), QueueError> {
        Ok(())
    }

    async fn hide(&self, _: Vec<Ticket>, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }

    async fn redrive(&self, _: &Receive) -> Result<Option<u64>, QueueError> {
        Ok(None)
    }
}

fn delivery(n: u64) -> Delivery {
    let message = Message {
        queue: "q".to_owned(),
        run: RunId(99),
        item: Some(n),
        event_id: u128::from(n),
        detail_type: "T".to_owned(),
        digest: "d".to_owned(),
    };
    let carried = Some(Carried { key: None, version: None, content: Arc::new(json!({ "n": n })) });
    Delivery { message, receives: 1, ticket: Ticket::Given(n.to_string().into()), carried }
}

struct Inlet(Arc<Pool>);

impl Prepare for Inlet {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "source": "q" }))
    }
}

impl Receiver for Inlet {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.0) as Arc<dyn Queue>
    }

    fn receive(&self, _: RunId) -> Receive {
        Receive {
            queue: "q".to_owned(),
            run: SHARED,
            only: Only::All,
            max: 10,
            wait: SECOND,
            visibility: 30 * SECOND,
            receives_max: 3,
            pollers: 2,
            content: true,
        }
    }
}

impl Stream for Inlet {
    fn rotation(&self) -> Rotation {
        self.0.rotation
    }

    fn item(&self, delivery: &Delivery) -> (Entrant, Vec<u8>) {
        let event_id = delivery.message.event_id;
        let body = serde_json::to_vec(&*delivery.carried.as_ref().unwrap().content).unwrap();
        (Entrant { event_id, key: Some(format!("k{event_id}")), version: None, fault: None }, body)
    }
}

fn place(age: Duration, idle: Option<Duration>) -> (Place, Arc<Pool>) {
    let mut place = Place::new(0);
    let pool = Arc::new(Pool {
        clock: Arc::clone(&place.clock) as Arc<dyn Clock>,
        rotation: Rotation { items: 1_000, age, idle },
        messages: Mutex::default(),
        is_away: AtomicBool::new(false),
        takes: Mutex::default(),
    });
    place.pool = Some(Arc::clone(&pool));
    *place.shop.takes.lock().unwrap() = SECOND;
    (place, pool)
}

#[test]
fn a_queue_that_is_never_reached_is_not_silent_and_the_run_waits_for_it() {
    let (place, pool) = place(Duration::from_hours(24), Some(2 * SECOND));
    pool.is_away(true);
    let ended = place.life(async |life| {
        life.pass(Duration::from_mins(10)).await;
        let waiting = life.until(|run, _| !run.steer.holds.is_empty()).await;
        assert_eq!(waiting.status, Status::Paused);
        pool.put(0..3);
        pool.is_away(false);
        life.end().await
    });
    let source = ended.source.unwrap();
    assert_eq!((ended.status, source.count, source.intake), (Status::Succeeded, 3, Some(Intake::Quiet)));
}

#[test]
fn one_that_answers_late_is_not_silent_before_it_has_answered() {
    let (place, pool) = place(Duration::from_hours(24), Some(2 * SECOND));
    *pool.takes.lock().unwrap() = 30 * SECOND;
    pool.put(0..3);
    let ended = place.life(async |life| life.end().await);
    assert_eq!((ended.status, ended.source.unwrap().count), (Status::Succeeded, 3));
}

#[test]
fn items_in_hand_go_on_over_the_connection_of_a_queue_that_is_held() {
    let (place, pool) = place(Duration::from_hours(24), Some(2 * SECOND));
    pool.put(0..50);
    place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 2).await;
        pool.is_away(true);
        let held = life.until(|run, _| run.status == Status::Paused).await;
        assert_eq!(held.steer.holds.keys().collect::<Vec<_>>(), ["source"]);
        let still = life.until(|_, tally| tally.units.succeeded == 50).await;
        assert_eq!(still.status, Status::Paused, "the queue is away as before");
        pool.is_away(false);
        assert_eq!(life.end().await.status, Status::Succeeded);
    });
    assert_eq!(place.shop.written(), (50, 1));
}

#[test]
fn an_intake_that_closes_while_its_queue_is_held_lets_the_run_end() {
    let (place, pool) = place(Duration::from_mins(1), None);
    pool.put(0..90);
    let ended = place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 2).await;
        pool.is_away(true);
        life.until(|run, _| run.status == Status::Paused).await;
        let run = life.end().await;
        assert!(place.second(place.clock.now()) < 120, "it waits for nothing but its items");
        run
    });
    let source = ended.source.as_ref().unwrap();
    assert_eq!((ended.status, source.count, source.intake), (Status::Succeeded, 90, Some(Intake::Aged)));
    assert!(!ended.steer.is_paused(), "nobody asks the queue any more");
}

#[test]
fn what_a_late_receive_brings_while_the_run_is_closed_is_left_to_the_next_run() {
    let (mut place, pool) = place(Duration::from_hours(24), None);
    // Held since 7.5 s, tried at 17.5 s; the trial is answered while the bell rings.
    place.bounds.timeout = Some(20 * SECOND);
    *place.bell.takes.lock().unwrap() = 10 * SECOND;
    pool.is_away(true);
    let ended = place.life(async |life| {
        life.until(|run, _| run.status == Status::Paused).await;
        *pool.takes.lock().unwrap() = 5 * SECOND;
        pool.put(0..1);
        pool.is_away(false);
        life.end().await
    });
    assert!(pool.messages.lock().unwrap().is_empty(), "the trial got it");
    assert_eq!((ended.status, ended.source.unwrap().count), (Status::Failed, 0));
    assert_eq!(place.shop.written().0, 0);
}
