//! What signals promise, held against both stores.

use std::sync::Arc;

use serde_json::json;

use crate::core::cell::State as S;
use crate::core::change::Change;
use crate::core::id::{RunId, Unit};
use crate::core::signal::{Awaiting, Signal, Subject};
use crate::core::time::Timestamp;

use super::{HandClock, LATER, Ports, RUN, START, ask, item, on_both_stores};

type Store = Arc<dyn Ports>;

on_both_stores!(
    a_signal_wakes_who_waits_for_its_key_and_is_kept,
    one_that_comes_before_the_wait_is_found,
    the_same_one_twice_is_one,
    one_that_is_older_than_the_effect_wakes_nobody,
    versions_decide_where_both_sides_have_one,
    who_does_not_wait_any_more_is_not_woken,
    what_can_be_asked_for_again_is_not_kept,
    one_that_is_over_is_as_if_it_never_came,
    who_waits_for_something_else_by_now_is_not_woken,
    everybody_who_waits_is_found_in_turn,
);

const QUEUE: &str = "signal.wait/published";

fn signal(key: &str, id: &str, at: u64) -> Signal {
    Signal {
        name: "product.published".to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        at: Timestamp(START + at),
        version: None,
        workflow: None,
        payload: json!({ "by": "ana" }),
        by: None,
        until: Timestamp(START + at + 60_000),
    }
}

fn awaiting(run: RunId, number: u64, key: &str, since: u64) -> Awaiting {
    let (signal, key) = ("product.published".to_owned(), key.to_owned());
    Awaiting {
        run,
        item: number,
        step: 1,
        queue: QUEUE.to_owned(),
        workflow: "product-sync".to_owned(),
        subject: Subject { signal, key, after: None },
        since: Timestamp(START + since),
        at: Timestamp(START + since),
        until: Timestamp(START + 3_600_000),
    }
}

/// As the engine commits it: the record says that the item waits, and the wait says where it is.
async fn waits(store: &Store, awaiting: Awaiting) {
    let mut waiting = item(&[S::Succeeded, S::Waiting(awaiting.until)]);
    waiting.cell_mut(1).facts = awaiting.subject.facts();
    let record = Change::Progress(awaiting.run, Unit::Item(awaiting.item), waiting);
    store.commit(vec![record, Change::Await(Box::new(awaiting))]).await.unwrap();
}

/// The items of a run whose messages are there, with the IDs of the signals.
async fn woken(store: &Store, run: RunId) -> Vec<(u64, String)> {
    let received = store.receive(&ask(QUEUE, run, 10)).await.unwrap();
    let woken = received.deliveries.into_iter().map(|delivery| {
        let signal = Signal::carried(delivery.carried.as_ref()).unwrap();
        assert_eq!(signal.payload, json!({ "by": "ana" }));
        (delivery.message.item.unwrap(), signal.id)
    });
    woken.collect()
}

async fn take_in(store: &Store, signal: Signal) -> (bool, u64, u64) {
    let taken = store.take_in(vec![signal]).await.unwrap()[0];
    (taken.known, taken.woke, taken.too_old_for)
}

async fn a_signal_wakes_who_waits_for_its_key_and_is_kept(store: Store, _: Arc<HandClock>) {
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    waits(&store, awaiting(RUN, 4, "B", 10)).await;
    waits(&store, awaiting(LATER, 3, "A", 10)).await;
    assert_eq!(store.awaited(RUN, QUEUE, None, 10).unwrap().len(), 2);
    assert_eq!(take_in(&store, signal("A", "1", 20)).await, (false, 2, 0), "in whatever run");
    assert_eq!(woken(&store, RUN).await, [(3, "1".to_owned())]);
    assert_eq!(woken(&store, LATER).await, [(3, "1".to_owned())]);
    assert_eq!(store.awaited(RUN, QUEUE, None, 10).unwrap().len(), 1, "B still waits");
    assert_eq!(take_in(&store, signal("C", "1", 20)).await, (false, 0, 0), "nobody waits for C");
    let kept = store.kept_signals().unwrap();
    assert_eq!(kept.iter().map(|kept| kept.woke).sum::<u64>(), 2);
    assert_eq!(kept.len(), 2);
    let elsewhere = Signal { workflow: Some("other".to_owned()), ..signal("B", "2", 20) };
    assert_eq!(take_in(&store, elsewhere).await, (false, 0, 0), "meant for another workflow");
}

async fn one_that_comes_before_the_wait_is_found(store: Store, _: Arc<HandClock>) {
    take_in(&store, signal("A", "old", 5)).await;
    take_in(&store, signal("A", "new", 15)).await;
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    assert_eq!(woken(&store, RUN).await, [(3, "new".to_owned())]);
    let woke =
        |id: &str| store.kept_signals().unwrap().iter().find(|kept| kept.signal.id == id).unwrap().woke;
    assert_eq!((woke("old"), woke("new")), (0, 1));
    assert_eq!(store.awaited(RUN, QUEUE, None, 10).unwrap(), []);
}

async fn the_same_one_twice_is_one(store: Store, _: Arc<HandClock>) {
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    take_in(&store, signal("A", "1", 20)).await;
    assert_eq!(take_in(&store, signal("A", "1", 30)).await, (true, 1, 0));
    assert_eq!(woken(&store, RUN).await.len(), 1);
    // A later effect, and the sender repeats what it said before it.
    waits(&store, awaiting(RUN, 4, "A", 40)).await;
    assert_eq!(take_in(&store, signal("A", "1", 50)).await, (true, 1, 0), "it is as old as it was");
    assert_eq!(woken(&store, RUN).await, []);
}

async fn one_that_is_older_than_the_effect_wakes_nobody(store: Store, _: Arc<HandClock>) {
    take_in(&store, signal("A", "before", 5)).await;
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    assert_eq!(take_in(&store, signal("A", "late", 9)).await, (false, 0, 1));
    assert_eq!(woken(&store, RUN).await, []);
    assert_eq!(take_in(&store, signal("A", "same instant", 10)).await, (false, 1, 0));
}

async fn versions_decide_where_both_sides_have_one(store: Store, _: Arc<HandClock>) {
    let mut wait = awaiting(RUN, 3, "A", 10);
    wait.subject.after = Some("100".to_owned());
    waits(&store, wait).await;
    let said =
        |version: &str, id: &str, at| Signal { version: Some(version.to_owned()), ..signal("A", id, at) };
    assert_eq!(take_in(&store, said("99", "1", 20)).await, (false, 0, 1), "late, and of an older state");
    assert_eq!(take_in(&store, said("100", "2", 5)).await, (false, 1, 0), "the state that was written");
    assert_eq!(woken(&store, RUN).await, [(3, "2".to_owned())]);
}

async fn who_does_not_wait_any_more_is_not_woken(store: Store, _: Arc<HandClock>) {
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    let dead = Change::Progress(RUN, Unit::Item(3), item(&[S::Succeeded, S::DeadLettered]));
    store.commit(vec![dead]).await.unwrap();
    assert_eq!(take_in(&store, signal("A", "late", 20)).await, (false, 0, 0));
    assert_eq!(woken(&store, RUN).await, []);
    // A resume lets it wait anew.
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    assert_eq!(woken(&store, RUN).await, [(3, "late".to_owned())]);
}

async fn what_can_be_asked_for_again_is_not_kept(store: Store, _: Arc<HandClock>) {
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    let at = Timestamp(START + 20);
    take_in(&store, Signal { at, until: at, ..signal("A", "asked", 20) }).await;
    assert_eq!(woken(&store, RUN).await.len(), 1);
    assert_eq!(store.kept_signals().unwrap(), []);
}

async fn one_that_is_over_is_as_if_it_never_came(store: Store, _: Arc<HandClock>) {
    take_in(&store, signal("A", "1", 20)).await;
    let begins = |item: u64, at: u64| Awaiting { at: Timestamp(START + at), ..awaiting(RUN, item, "A", 10) };
    waits(&store, begins(3, 60_020)).await;
    waits(&store, begins(4, 60_019)).await;
    assert_eq!(woken(&store, RUN).await, [(4, "1".to_owned())], "nobody has collected what is over");
    assert_eq!(take_in(&store, signal("A", "1", 60_020)).await, (false, 1, 0), "nor is its ID known");
    assert_eq!(woken(&store, RUN).await, [(3, "1".to_owned())]);
    let kept = store.kept_signals().unwrap();
    let kept: Vec<_> = kept.iter().map(|kept| (kept.signal.at, kept.woke)).collect();
    assert_eq!(kept, [(Timestamp(START + 60_020), 1)], "it took the place of the one that was over");
}

async fn who_waits_for_something_else_by_now_is_not_woken(store: Store, _: Arc<HandClock>) {
    waits(&store, awaiting(RUN, 3, "A", 10)).await;
    // The key of the step was edited.
    waits(&store, awaiting(RUN, 3, "B", 10)).await;
    assert_eq!(take_in(&store, signal("A", "1", 20)).await, (false, 0, 0));
    assert_eq!(woken(&store, RUN).await, []);
    assert_eq!(take_in(&store, signal("B", "1", 20)).await, (false, 1, 0));
    assert_eq!(woken(&store, RUN).await, [(3, "1".to_owned())]);
}

async fn everybody_who_waits_is_found_in_turn(store: Store, _: Arc<HandClock>) {
    for item in 0..5 {
        waits(&store, awaiting(RUN, item, &format!("key {item}"), 10)).await;
        waits(&store, awaiting(LATER, item, &format!("key {item}"), 10)).await;
    }
    let (mut found, mut behind) = (Vec::new(), None);
    for expected in [2, 2, 1, 0] {
        let some = store.awaited(RUN, QUEUE, behind.as_ref(), 2).unwrap();
        assert_eq!(some.len(), expected);
        found.extend(some.iter().map(|waits| (waits.run, waits.item)));
        behind = some.last().cloned().or(behind);
    }
    found.sort_unstable();
    assert_eq!(found, (0..5).map(|item| (RUN, item)).collect::<Vec<_>>());
}
