//! A queue is out of reach for a while: the run waits for it, and nothing that was on its way is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{Facts, SettleBy};
use milepost::core::change::Message;
use milepost::core::event::RunEvent;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::{DeleteAfter, PlanStep};
use milepost::core::queue::{Only, Receive, Received, Stray, Ticket};
use milepost::core::retry::{Outcome, Probed};
use milepost::core::run::Status;
use milepost::core::scope::Scope;
use milepost::core::steer::{Halt, Relief};
use milepost::core::time::Timestamp;
use milepost::engine::assembly::Station;
use milepost::ports::{
    Call, Clock, Effect, OwnQueue, Prepare, Queue, QueueError, Receiver, Verdicts, Worker,
};
use milepost::store::MemoryStore;
use serde_json::{Value, json};

use crate::outside::{Items, Outside};
use crate::{Place, station, step};

const QUEUE: &str = "q";
const ITEMS: u64 = 300;

/// A bus and its queue, which can go out of reach, each for itself.
pub(crate) struct Road {
    clock: Arc<dyn Clock>,
    /// What the present engine keeps messages in: they outlast it.
    store: Mutex<MemoryStore>,
    is_away: AtomicBool,
    asked: Mutex<Vec<(Timestamp, Duration)>>,
    strays: Mutex<Vec<Stray>>,
    deleted: Mutex<u64>,
}

impl Road {
    pub(crate) fn new(clock: Arc<dyn Clock>, store: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            clock,
            store: Mutex::new(store),
            is_away: AtomicBool::new(false),
            asked: Mutex::default(),
            strays: Mutex::default(),
            deleted: Mutex::default(),
        })
    }

    pub(crate) fn survive(&self, store: MemoryStore) {
        *self.store.lock().unwrap() = store;
    }

    fn store(&self) -> MemoryStore {
        self.store.lock().unwrap().clone()
    }

    fn reach(&self) -> Result<MemoryStore, QueueError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(QueueError::Away(Fault::new("Refused", "the queue 'q' does not exist")));
        }
        Ok(self.store())
    }

    /// `source → publish → consume → shop`.
    pub(crate) fn steps(self: &Arc<Self>, shop: &Arc<Outside>, items: u64) -> (Vec<PlanStep>, Vec<Station>) {
        let on_bus = |role, name, needs| PlanStep {
            connection: Some("bus".to_owned()),
            timeout: Duration::from_secs(30),
            settle: SettleBy::Repeat,
            ..step(name, role, needs)
        };
        let shop_step = PlanStep {
            connection: Some("shop".to_owned()),
            batch_max: 50,
            linger: Duration::from_millis(20),
            ..step("shop", Role::Effect { probes: true }, vec![2])
        };
        let steps = vec![
            step("source", Role::Pure, vec![]),
            on_bus(Role::Effect { probes: false }, "publish", vec![0]),
            PlanStep { delete_after: DeleteAfter::Step(3), ..on_bus(Role::Receive, "consume", vec![1]) },
            shop_step,
        ];
        let stations = vec![
            station(Worker::Source(Arc::new(Items(items)))),
            station(Worker::Effect(Arc::clone(self) as _)),
            station(Worker::Receiver(Arc::new(Inlet(Arc::clone(self))))),
            station(Worker::Effect(Arc::clone(shop) as _)),
        ];
        (steps, stations)
    }
}

impl Prepare for Road {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({}))
    }
}

#[async_trait]
impl Effect for Road {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let messages = calls.iter().map(|call| Message {
            queue: QUEUE.to_owned(),
            run: call.run,
            item: match call.unit {
                Unit::Item(position) => Some(position),
                Unit::Run | Unit::Closing(_) => None,
            },
            event_id: call.effect_id,
            detail_type: "T".to_owned(),
            digest: "d".to_owned(),
        });
        self.store().send(messages.collect()).await.unwrap();
        Verdicts { outcomes: calls.iter().map(|_| Outcome::Done(Facts::new())).collect(), calls: 1 }
    }

    async fn probe(&self, _: &Call) -> Probed {
        Probed::Absent
    }
}

#[async_trait]
impl Queue for Road {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        self.asked.lock().unwrap().push((self.clock.now(), receive.wait));
        let store = self.reach()?;
        let mut received = store.receive(receive).await?;
        // What went away while it waited does not answer.
        self.reach()?;
        received.strays.clone_from(&self.strays.lock().unwrap());
        received.strays.truncate(receive.max - received.deliveries.len());
        Ok(received)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        *self.deleted.lock().unwrap() += tickets.len() as u64;
        self.reach()?.delete(tickets).await
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        self.reach()?.hide(tickets, visibility).await
    }

    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        self.reach()?.redrive(receive).await
    }
}

struct Inlet(Arc<Road>);

impl Prepare for Inlet {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "digest": "d" }))
    }
}

impl Receiver for Inlet {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.0) as Arc<dyn Queue>
    }

    fn receive(&self, run: RunId) -> Receive {
        Receive {
            queue: QUEUE.to_owned(),
            run,
            only: Only::All,
            max: 10,
            wait: Duration::from_secs(5),
            visibility: Duration::from_secs(30),
            receives_max: 3,
            pollers: 4,
            content: false,
        }
    }
}

/// What people were told of the queue, in order.
fn turns(place: &Place) -> Vec<&'static str> {
    let of_queue = |event: &RunEvent| match event {
        RunEvent::Paused { halt: Halt::Connection { connection, .. } } if connection == "consume" => {
            Some("held")
        }
        RunEvent::Tried { connection, .. } if connection == "consume" => Some("tried"),
        RunEvent::Unpaused { relief: Relief::Connection { connection } } if connection == "consume" => {
            Some("freed")
        }
        _ => None,
    };
    place.events().iter().filter_map(of_queue).collect()
}

fn place() -> Place {
    let mut place = Place::new(ITEMS);
    place.over_a_queue();
    // Items come slowly, so that the queue goes away in the middle.
    *place.shop.takes.lock().unwrap() = Duration::from_secs(1);
    place.terms("shop", milepost::core::outlet::Terms { concurrency: Some(1), ..Default::default() });
    place
}

#[test]
fn a_queue_that_goes_away_in_the_middle_pauses_the_run_and_nothing_is_lost() {
    let place = place();
    let road = place.road();
    place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 40).await;
        road.is_away.store(true, Ordering::SeqCst);
        let paused = life.until(|run, _| run.status == Status::Paused).await;
        let hold = &paused.steer.holds["consume"];
        assert!(hold.fault.message.contains("does not exist"), "{:?}", hold.fault);
        // Far longer than any item waits for its message.
        life.pass(Duration::from_mins(10)).await;
        let still = life.until(|run, _| run.status == Status::Paused).await;
        let trials = road.asked.lock().unwrap().iter().filter(|(at, _)| *at >= hold.next).count();
        assert_eq!(trials, still.steer.holds["consume"].trials as usize, "nothing but trials");
        assert!((8..=14).contains(&trials), "{trials} trials");
        road.is_away.store(false, Ordering::SeqCst);
        let run = life.end().await;
        assert_eq!((run.status, run.steer.is_paused()), (Status::Succeeded, false), "{:?}", run.fault);
    });
    assert_eq!((place.tally().units.succeeded, place.shop.written()), (ITEMS, (ITEMS, 1)));
    let turns = turns(&place);
    assert_eq!((turns.first(), turns.last()), (Some(&"held"), Some(&"freed")));
    assert_eq!(turns.iter().filter(|turn| **turn == "held").count(), 1, "{turns:?}");
}

#[test]
fn a_run_whose_queue_is_away_can_be_stopped_and_a_later_engine_finishes_it() {
    let place = place();
    let road = place.road();
    place.life(async |life| {
        life.until(|_, tally| tally.units.succeeded > 40).await;
        road.is_away.store(true, Ordering::SeqCst);
        life.until(|run, _| run.status == Status::Paused).await;
        life.handle.stop();
        assert_eq!(life.end().await.status, Status::Interrupted);
    });
    road.is_away.store(false, Ordering::SeqCst);
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!((place.tally().units.succeeded, place.shop.written()), (ITEMS, (ITEMS, 1)));
}

#[test]
fn messages_that_are_none_are_told_of_once_and_stop_nobody() {
    let place = place();
    let road = place.road();
    let stray = |id: &str| Stray {
        id: id.to_owned(),
        receives: 1,
        reason: "it is no JSON".to_owned(),
        ticket: Ticket::Given(id.into()),
    };
    *road.strays.lock().unwrap() = vec![stray("a"), stray("b")];
    // The second engine knows what the first one told.
    place.life(async |life| drop(life.until(|_, tally| tally.units.succeeded > 40).await));
    assert_eq!(place.life(async |life| life.end().await).status, Status::Succeeded);
    assert_eq!(place.tally().units.succeeded, ITEMS);
    let told = place.events().into_iter().filter_map(|event| match event {
        RunEvent::Stray { step, id, reason, .. } => Some((step, id, reason)),
        _ => None,
    });
    let of = |id: &str| ("consume".to_owned(), id.to_owned(), "it is no JSON".to_owned());
    assert_eq!(told.collect::<Vec<_>>(), [of("a"), of("b")]);
    assert_eq!(place.run().strays, 2);
    assert!(*road.deleted.lock().unwrap() >= ITEMS);
}
