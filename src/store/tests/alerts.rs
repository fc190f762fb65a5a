//! What the outbox promises, held against both stores.

use std::sync::Arc;

use serde_json::json;

use crate::core::alert::{Alert, Concern};
use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::time::Timestamp;

use super::{HandClock, LATER, Ports, RUN, START, event, on_both_stores, on_disk, run_of};

type Store = Arc<dyn Ports>;

on_both_stores!(
    alerts_are_there_until_they_are_delivered,
    whoever_delivers_is_told_of_those_that_are_new,
    the_events_go_on_counting_beside_a_run_that_is_at_work,
);

fn alert(run: RunId, number: u64, next: Option<u64>) -> Alert {
    Alert {
        run,
        number,
        id: u128::from(number) << 90 | 3,
        concern: Concern::InDoubt,
        to: "ops".to_owned(),
        detail_type: Some("RunAlert".to_owned()),
        at: Timestamp(START),
        data: json!({ "run": run, "reason": "why".repeat(2_000) }),
        attempts: 2,
        next: next.map(|at| Timestamp(START + at)),
        fault: Some(Fault::new("Unreachable", "nobody is there")),
    }
}

fn put(alert: &Alert) -> Change {
    Change::Alert { run: alert.run, number: alert.number, alert: Some(Box::new(alert.clone())) }
}

async fn alerts_are_there_until_they_are_delivered(store: Store, _: Arc<HandClock>) {
    let all = [alert(RUN, 0, Some(1)), alert(RUN, 300, None), alert(LATER, 0, Some(9))];
    store.commit(all.iter().rev().map(put).collect()).await.unwrap();
    assert_eq!(store.alerts(None).unwrap(), all);
    assert_eq!(store.alerts(Some(RUN)).unwrap(), all[..2]);
    let later = Alert { attempts: 3, ..all[0].clone() };
    let gone = Change::Alert { run: LATER, number: 0, alert: None };
    store.commit(vec![put(&later), gone.clone(), gone]).await.unwrap();
    assert_eq!(store.alerts(None).unwrap(), [later, all[1].clone()]);
}

async fn whoever_delivers_is_told_of_those_that_are_new(store: Store, _: Arc<HandClock>) {
    store.commit(vec![put(&alert(RUN, 0, Some(1)))]).await.unwrap();
    store.commit(vec![put(&alert(RUN, 1, None)), put(&alert(LATER, 0, Some(2)))]).await.unwrap();
    let due = |at, run, number| (Timestamp(START + at), run, number);
    assert_eq!(store.newly_due().await, [due(1, RUN, 0), due(2, LATER, 0)], "the one given up is not due");
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.newly_due().await }
    });
    store.commit(vec![Change::Event(RUN, event("nothing of that kind"))]).await.unwrap();
    store.commit(vec![put(&alert(RUN, 2, Some(3)))]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), [due(3, RUN, 2)]);
}

async fn the_events_go_on_counting_beside_a_run_that_is_at_work(store: Store, _: Arc<HandClock>) {
    store.commit(vec![Change::Run(Box::new(run_of(RUN))), Change::Event(RUN, event("a"))]).await.unwrap();
    let what = RunEvent::Delivered {
        alert: Concern::Failed,
        to: "ops".to_owned(),
        id: "msg_1".to_owned(),
        attempt: 1,
    };
    let delivered = Event { at: Timestamp(START), what };
    store.commit(vec![Change::Event(RUN, delivered.clone())]).await.unwrap();
    store.commit(vec![Change::Event(RUN, event("b"))]).await.unwrap();
    let events = store.events(RUN, 0, 9).unwrap();
    assert_eq!(events, [(0, event("a")), (1, delivered), (2, event("b"))]);
}

#[tokio::test]
async fn an_alert_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let kept = [alert(RUN, 0, Some(1)), alert(RUN, 1, None)];
    {
        let (store, _) = on_disk(dir.path());
        store.commit(kept.iter().map(put).collect()).await.unwrap();
    }
    let (store, _) = on_disk(dir.path());
    assert_eq!(store.alerts(None).unwrap(), kept);
}
