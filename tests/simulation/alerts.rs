//! Alerts over simulated time: none is lost over any crash, and none is made for an event that is not durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::alert::{self, Alert, Answer, Concern, PAUSES, Standing, Subscription};
use milepost::core::change::Change;
use milepost::core::event::{Event, RunEvent};
use milepost::core::fault::{Fault, name};
use milepost::core::id::RunId;
use milepost::core::run::{Run, Status};
use milepost::core::time::Timestamp;
use milepost::engine::Delivery;
use milepost::ports::{Clock, Courier, Couriers, Journal};
use milepost::store::{Fate, MemoryStore};
use tokio::sync::watch;

use crate::case::{Case, new_run};
use crate::clock::SimClock;

/// Whoever simulates is told everything.
pub(crate) fn everything_to_ops() -> Vec<Subscription> {
    vec![Subscription { on: Concern::ALL.to_vec(), to: "ops".to_owned(), detail_type: None }]
}

/// What an event must have told, said once more and by hand.
fn expected(event: &RunEvent) -> Option<Concern> {
    match event {
        RunEvent::Closed { status: Status::Failed, .. } => Some(Concern::Failed),
        RunEvent::Closed { .. } => Some(Concern::Finished),
        RunEvent::Paused { .. } => Some(Concern::Paused),
        RunEvent::Alert { dead_letters: Some(_), .. } => Some(Concern::DeadLetters),
        RunEvent::Alert { .. } => Some(Concern::Alert),
        _ => None,
    }
}

impl Case {
    /// The alerts in the outbox are those of the durable events, one each.
    pub(crate) fn check_alerts(&self) {
        let alerts = self.store.alerts(Some(self.run)).unwrap();
        let numbers: Vec<u64> = alerts.iter().map(|alert| alert.number).collect();
        let counted: Vec<u64> = (0..self.record().alerts).collect();
        assert_eq!(numbers, counted, "the outbox holds what the run has counted");
        let events = self.store.events(self.run, 0, usize::MAX).unwrap();
        let told: Vec<_> = alerts
            .iter()
            .filter(|alert| alert.concern != Concern::InDoubt)
            .map(|alert| (alert.at, alert.concern))
            .collect();
        let happened: Vec<_> = events
            .iter()
            .filter_map(|(_, event)| expected(&event.what).map(|concern| (event.at, concern)))
            .collect();
        assert_eq!(told, happened, "events and alerts");
        for (_, Event { at, what }) in &events {
            let RunEvent::Closed { fault: Some(fault), .. } = what else { continue };
            let is_told = |alert: &Alert| alert.concern == Concern::InDoubt && alert.at == *at;
            assert!(fault.name != name::IN_DOUBT || alerts.iter().any(is_told), "doubts at {at:?}");
        }
    }
}

/// When it was tried to tell somebody, and what they answered.
type Attempts = Vec<(Timestamp, Answer)>;
/// The attempts at each alert, by its ID.
type Came = BTreeMap<u128, Attempts>;

/// A receiver: what it answers to the attempts at each alert, and the times at which they came.
struct Receiver {
    clock: Arc<SimClock>,
    answers: fn(u32) -> Answer,
    came: Mutex<Came>,
    /// Ends the life of the engine when it has what it wants.
    wants: Box<dyn Fn(&Came) -> bool + Send + Sync>,
    ending: watch::Sender<bool>,
}

#[async_trait]
impl Courier for Receiver {
    async fn deliver(&self, alert: &Alert) -> Answer {
        let mut came = self.came.lock().unwrap();
        let attempts = came.entry(alert.id).or_default();
        let answer = (self.answers)(u32::try_from(attempts.len()).unwrap());
        attempts.push((self.clock.now(), answer.clone()));
        if (self.wants)(&came) {
            self.ending.send_replace(true);
        }
        answer
    }
}

struct Post(Arc<Receiver>);

#[async_trait]
impl Couriers for Post {
    async fn of(&self, alert: &Alert) -> Result<Arc<dyn Courier>, Fault> {
        assert_eq!(alert.to, "ops");
        Ok(Arc::clone(&self.0) as Arc<dyn Courier>)
    }
}

/// A store with so many alerts of one run.
fn store_with(alerts: usize, clock: &Arc<SimClock>) -> MemoryStore {
    let store = MemoryStore::new(Arc::clone(clock) as Arc<dyn Clock>);
    let (mut run, at) = (Run { status: Status::Running, ..new_run(RunId(1)) }, clock.now());
    let mut changes = Vec::new();
    for number in 0..alerts {
        let what = RunEvent::Alert { message: format!("the {number}th"), dead_letters: None };
        let event = Event { at, what };
        let made = alert::of(&mut run, &everything_to_ops(), &event, &Standing::default());
        changes.extend(milepost::engine::alerts::put(made.into_iter()));
        changes.push(Change::Event(run.id, event));
    }
    changes.push(Change::Run(Box::new(run)));
    clock.runtime().block_on(async { store.commit(changes).await }).unwrap();
    store
}

/// One life of an engine that delivers. `false`: it died.
fn live(store: &MemoryStore, receiver: &Arc<Receiver>) -> bool {
    let clock = &receiver.clock;
    let (outbox, couriers) = (Arc::new(store.clone()), Arc::new(Post(Arc::clone(receiver))));
    let delivery = Delivery { outbox, couriers, clock: Arc::clone(clock) as Arc<dyn Clock> };
    // Where nothing is left to do, nobody comes who could end it.
    let is_done = store.alerts(None).unwrap().iter().all(|alert| alert.next.is_none());
    receiver.ending.send_replace(is_done);
    let runtime = clock.runtime();
    let ended = runtime.block_on(async {
        let work = delivery.work(receiver.ending.subscribe(), 7);
        tokio::time::timeout(Duration::from_secs(1_000_000), work).await.unwrap().is_ok()
    });
    clock.keep(&runtime);
    ended
}

fn refused() -> Answer {
    Answer::Failed { fault: Fault::new(name::UNREACHABLE, "nobody is there"), pause: None }
}

#[test]
fn a_receiver_that_is_away_is_tried_as_the_schedule_says_and_then_given_up() {
    let clock = Arc::new(SimClock::new());
    let store = store_with(1, &clock);
    let receiver = Arc::new(Receiver {
        clock: Arc::clone(&clock),
        answers: |_| refused(),
        came: Mutex::default(),
        wants: Box::new(|came| came.values().all(|attempts| attempts.len() == PAUSES.len() + 1)),
        ending: watch::Sender::new(false),
    });
    assert!(live(&store, &receiver));
    let came = receiver.came.lock().unwrap();
    let times: Vec<Timestamp> = came.values().flatten().map(|(at, _)| *at).collect();
    for (pause, times) in PAUSES.iter().zip(times.windows(2)) {
        let waited = times[1].since(times[0]);
        assert!(waited >= *pause && waited <= pause.mul_f64(1.1), "{waited:?} for {pause:?}");
    }
    let kept = store.alerts(None).unwrap();
    assert!(kept[0].next.is_none() && kept[0].fault.is_some() && kept[0].attempts == 10, "{kept:?}");
    let events = store.events(RunId(1), 0, 99).unwrap();
    assert!(matches!(events[1].1.what, RunEvent::Undelivered { attempt: 10, .. }), "{events:?}");
}

#[test]
fn over_every_crash_each_alert_is_delivered_and_told_to_be_delivered_once() {
    const ALERTS: usize = 5;
    let mut repeats = 0;
    for cut in 1..=2 * ALERTS as u64 {
        for fate in [Fate::Lost, Fate::Unheard] {
            let clock = Arc::new(SimClock::new());
            let mut store = store_with(ALERTS, &clock);
            let taken = |attempts: &Attempts| attempts.iter().any(|(_, it)| *it == Answer::Taken);
            let receiver = Arc::new(Receiver {
                clock: Arc::clone(&clock),
                answers: |attempt| if attempt == 0 { refused() } else { Answer::Taken },
                came: Mutex::default(),
                wants: Box::new(move |came| came.len() == ALERTS && came.values().all(taken)),
                ending: watch::Sender::new(false),
            });
            store = store.survivor(move |number| if number == cut { fate } else { Fate::Kept });
            let mut crashes = 0;
            while !live(&store, &receiver) {
                crashes += 1;
                store = store.survivor(|_| Fate::Kept);
            }
            assert_eq!(crashes, 1, "it died at commit {cut}");
            assert_eq!(store.alerts(None).unwrap(), [], "{cut} {fate:?}");
            let came = receiver.came.lock().unwrap();
            let deliveries =
                |attempts: &Attempts| attempts.iter().filter(|(_, answer)| *answer == Answer::Taken).count();
            let sum: usize = came.values().map(deliveries).sum();
            assert!(came.len() == ALERTS && came.values().all(|attempts| deliveries(attempts) > 0));
            // What was under way when it died is all that may come twice.
            assert!(sum <= 2 * ALERTS, "{sum} deliveries");
            repeats += sum - ALERTS;
            let events = store.events(RunId(1), 0, 99).unwrap();
            let told = |event: &&(u64, Event)| matches!(event.1.what, RunEvent::Delivered { .. });
            assert_eq!(events.iter().filter(told).count(), ALERTS, "{cut} {fate:?}");
        }
    }
    assert!(repeats > 0, "some crash was between the delivery and its record");
}

#[test]
fn who_wants_no_more_is_left_alone_and_what_is_due_is_tried_before_the_end() {
    let clock = Arc::new(SimClock::new());
    let store = store_with(3, &clock);
    let gone = |_| Answer::Unwanted(Fault::new(name::STATUS, "HTTP 410"));
    let (ending, came) = (watch::Sender::new(false), Mutex::default());
    let wants = Box::new(|_: &BTreeMap<_, _>| true);
    let receiver = Arc::new(Receiver { clock: Arc::clone(&clock), answers: gone, came, wants, ending });
    // It ends with the first attempt, and the others were due by then.
    assert!(live(&store, &receiver));
    assert!(live(&store, &receiver), "nothing is left to do");
    let came = receiver.came.lock().unwrap();
    assert!(came.len() == 3 && came.values().all(|attempts| attempts.len() == 1), "{came:?}");
    assert!(store.alerts(None).unwrap().iter().all(|alert| alert.next.is_none()));
}
