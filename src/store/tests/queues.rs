//! What the queue promises, held against both stores.

use std::sync::Arc;
use std::time::Duration;

use crate::core::change::{Change, Message};
use crate::core::queue::{Delivery, Receive, Ticket};

use crate::store::{Fate, MemoryStore, Store};

use super::{HandClock, LATER, Ports, RUN, ask, message, on_both_stores};

type Subject = Arc<dyn Ports>;

on_both_stores!(
    messages_come_in_order_and_only_once,
    a_message_is_put_once,
    runs_do_not_see_each_others_messages,
    a_hidden_message_comes_back,
    a_message_is_shown_again_at_once,
    a_message_that_is_worn_out_is_buried,
    a_burial_is_a_change_like_others,
    dead_letter_queues_have_none_of_their_own,
    what_is_deleted_is_gone,
    unknown_receipts_are_no_error,
    a_wait_ends_with_the_message,
    a_wait_ends_when_a_hidden_message_comes_back,
    a_wait_ends_at_its_time,
    a_queue_that_was_empty_starts_again,
);

fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().filter_map(|delivery| delivery.message.item).collect()
}

fn tickets(deliveries: &[Delivery]) -> Vec<Ticket> {
    deliveries.iter().map(|delivery| delivery.ticket.clone()).collect()
}

fn delivered(message: Message, receives: u32) -> Delivery {
    let ticket = Ticket::Own(message.receipt());
    Delivery { message, receives, ticket, carried: None }
}

async fn fill(store: &Subject, numbers: std::ops::Range<u64>) {
    store.send(numbers.map(|number| message("q", RUN, number)).collect()).await.unwrap();
}

async fn messages_come_in_order_and_only_once(store: Subject, _: Arc<HandClock>) {
    fill(&store, 0..50).await;
    let mut seen = Vec::new();
    loop {
        let deliveries = store.receive(&ask("q", RUN, 7)).await.unwrap().deliveries;
        if deliveries.is_empty() {
            break;
        }
        assert!(deliveries.len() <= 7 && deliveries.iter().all(|delivery| delivery.receives == 1));
        assert_eq!(deliveries[0].message, message("q", RUN, deliveries[0].message.item.unwrap()));
        seen.extend(numbers(&deliveries));
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

async fn a_message_is_put_once(store: Subject, _: Arc<HandClock>) {
    fill(&store, 0..2).await;
    fill(&store, 1..3).await;
    store.commit(vec![Change::Enqueue(vec![message("q", RUN, 2); 2])]).await.unwrap();
    let deliveries = store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries;
    assert_eq!(numbers(&deliveries), [0, 1, 2]);
    fill(&store, 0..1).await;
    assert_eq!(store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries, [], "hidden is still there");
}

async fn runs_do_not_see_each_others_messages(store: Subject, _: Arc<HandClock>) {
    fill(&store, 0..1).await;
    let of_the_run = Message { item: None, ..message("q", LATER, 5) };
    store.send(vec![of_the_run.clone(), message("other", RUN, 6)]).await.unwrap();
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries), [0]);
    let deliveries = store.receive(&ask("q", LATER, 99)).await.unwrap().deliveries;
    assert_eq!(deliveries, [delivered(of_the_run, 1)]);
}

async fn a_hidden_message_comes_back(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..3).await;
    let once = Receive { visibility: Duration::ZERO, ..ask("q", RUN, 1) };
    assert_eq!(numbers(&store.receive(&once).await.unwrap().deliveries), [0], "not twice in one call");
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries), [1, 2]);
    clock.advance(Duration::from_secs(29));
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries), [0]);
    clock.advance(Duration::from_secs(1));
    let deliveries = store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries;
    assert_eq!(numbers(&deliveries), [1, 2]);
    assert_eq!(deliveries[0].receives, 2);
}

async fn a_message_is_shown_again_at_once(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..2).await;
    let deliveries = store.receive(&ask("q", RUN, 2)).await.unwrap().deliveries;
    store.hide(tickets(&deliveries[..1]), Duration::ZERO).await.unwrap();
    store.hide(tickets(&deliveries[1..]), Duration::from_mins(5)).await.unwrap();
    let again = store.receive(&ask("q", RUN, 2)).await.unwrap().deliveries;
    assert_eq!((numbers(&again), again[0].receives), (vec![0], 2));
    clock.advance(Duration::from_secs(299));
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 2)).await.unwrap().deliveries), [0]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 2)).await.unwrap().deliveries), [1]);
}

async fn a_message_that_is_worn_out_is_buried(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..2).await;
    for receives in 1..=3 {
        let deliveries = store.receive(&ask("q", RUN, 1)).await.unwrap().deliveries;
        assert_eq!((numbers(&deliveries), deliveries[0].receives), (vec![0], receives));
        clock.advance(Duration::from_secs(30));
    }
    assert_eq!(
        numbers(&store.receive(&ask("q", RUN, 1)).await.unwrap().deliveries),
        [1],
        "the next one instead"
    );
    let dead = store.receive(&ask("q.dlq", RUN, 9)).await.unwrap().deliveries;
    assert_eq!(dead, [delivered(message("q.dlq", RUN, 0), 1)]);
    fill(&store, 0..1).await;
    assert_eq!(
        numbers(&store.receive(&ask("q", RUN, 9)).await.unwrap().deliveries),
        [0],
        "it left the queue"
    );
}

async fn a_burial_is_a_change_like_others(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..3).await;
    let receipt = |number| message("q", RUN, number).receipt();
    let until = crate::ports::Clock::now(&*clock).after(Duration::from_secs(5));
    let changes = vec![
        Change::Bury(receipt(0)),
        Change::Received { receipt: receipt(1), until },
        Change::Hide { receipt: receipt(2), until },
        Change::Delete(receipt(2)),
    ];
    store.commit(changes).await.unwrap();
    assert_eq!(store.receive(&ask("q", RUN, 9)).await.unwrap().deliveries, []);
    assert_eq!(numbers(&store.receive(&ask("q.dlq", RUN, 9)).await.unwrap().deliveries), [0]);
    clock.advance(Duration::from_secs(5));
    let deliveries = store.receive(&ask("q", RUN, 9)).await.unwrap().deliveries;
    assert_eq!((numbers(&deliveries), deliveries[0].receives), (vec![1], 2));
}

async fn dead_letter_queues_have_none_of_their_own(store: Subject, clock: Arc<HandClock>) {
    store.send(vec![message("q.dlq", RUN, 0)]).await.unwrap();
    store.commit(vec![Change::Bury(message("q.dlq", RUN, 0).receipt())]).await.unwrap();
    for receives in 1..=9 {
        let deliveries = store.receive(&ask("q.dlq", RUN, 9)).await.unwrap().deliveries;
        assert_eq!(deliveries[0].receives, receives, "nobody loses it by looking");
        clock.advance(Duration::from_secs(30));
    }
}

async fn what_is_deleted_is_gone(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..40).await;
    let deliveries = store.receive(&ask("q", RUN, 39)).await.unwrap().deliveries;
    store.delete(tickets(&deliveries)).await.unwrap();
    clock.advance(Duration::from_secs(99));
    assert_eq!(numbers(&store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries), [39]);
    fill(&store, 0..1).await;
    assert_eq!(
        numbers(&store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries),
        [0],
        "and may come again"
    );
}

async fn unknown_receipts_are_no_error(store: Subject, _: Arc<HandClock>) {
    let receipt = message("q", RUN, 0).receipt();
    store.delete(vec![Ticket::Own(receipt.clone())]).await.unwrap();
    store.hide(vec![Ticket::Own(receipt.clone())], Duration::ZERO).await.unwrap();
    store.commit(vec![Change::Bury(receipt)]).await.unwrap();
    assert_eq!(store.receive(&ask("q.dlq", RUN, 9)).await.unwrap().deliveries, []);
}

async fn a_wait_ends_with_the_message(store: Subject, _: Arc<HandClock>) {
    let receive = Receive { wait: Duration::from_secs(20), ..ask("q", RUN, 9) };
    let (deliveries, ()) = tokio::join!(store.receive(&receive), async {
        store.send(vec![message("q", LATER, 1)]).await.unwrap();
        fill(&store, 0..1).await;
    });
    assert_eq!(numbers(&deliveries.unwrap().deliveries), [0]);
}

async fn a_wait_ends_when_a_hidden_message_comes_back(store: Subject, clock: Arc<HandClock>) {
    fill(&store, 0..1).await;
    let taken = store.receive(&ask("q", RUN, 9)).await.unwrap().deliveries;
    let receive = Receive { wait: Duration::from_mins(1), ..ask("q", RUN, 9) };
    let waits = tokio::spawn({
        let store = store.clone();
        async move { store.receive(&receive).await }
    });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(numbers(&waits.await.unwrap().unwrap().deliveries), [0]);
    store.delete(tickets(&taken)).await.unwrap();
}

async fn a_wait_ends_at_its_time(store: Subject, clock: Arc<HandClock>) {
    let receive = Receive { wait: Duration::from_secs(20), ..ask("q", RUN, 9) };
    let waits = tokio::spawn({
        let store = store.clone();
        async move { store.receive(&receive).await }
    });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(20));
    assert_eq!(waits.await.unwrap().unwrap().deliveries, []);
}

async fn a_queue_that_was_empty_starts_again(store: Subject, _: Arc<HandClock>) {
    for round in 0..3 {
        fill(&store, round * 20..round * 20 + 20).await;
        let deliveries = store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries;
        assert_eq!(numbers(&deliveries), (round * 20..round * 20 + 20).collect::<Vec<_>>());
        store.delete(tickets(&deliveries)).await.unwrap();
    }
}

/// `lives` gives the store of the next life of the engine; the clock stands still meanwhile.
async fn what_was_in_flight_is_visible_to_the_next_life(mut lives: impl FnMut() -> Subject) {
    {
        let store = lives();
        fill(&store, 0..5).await;
        let deliveries = store.receive(&ask("q", RUN, 3)).await.unwrap().deliveries;
        store.hide(tickets(&deliveries[1..2]), Duration::from_hours(12)).await.unwrap();
        store.delete(tickets(&deliveries[2..])).await.unwrap();
        assert_eq!(numbers(&store.receive(&ask("q", RUN, 1)).await.unwrap().deliveries), [3]);
    }
    for life in 2..=3 {
        let deliveries = lives().receive(&ask("q", RUN, 9)).await.unwrap().deliveries;
        assert_eq!(numbers(&deliveries), [0, 1, 3, 4], "life {life}: at once, in the order of sending");
        let receives: Vec<u32> = deliveries.iter().map(|delivery| delivery.receives).collect();
        assert_eq!(receives, [life, life, life, life - 1], "life {life}: a crash spends a receive");
    }
    let store = lives();
    assert_eq!(
        numbers(&store.receive(&ask("q", RUN, 9)).await.unwrap().deliveries),
        [4],
        "the others are worn out"
    );
    assert_eq!(numbers(&store.receive(&ask("q.dlq", RUN, 9)).await.unwrap().deliveries), [0, 1, 3]);
}

#[tokio::test]
async fn in_memory_what_was_in_flight_is_visible_to_the_next_life() {
    let mut last = MemoryStore::new(Arc::new(HandClock::default()));
    what_was_in_flight_is_visible_to_the_next_life(|| {
        last = last.survivor(|_| Fate::Kept);
        Arc::new(last.clone())
    })
    .await;
}

#[tokio::test]
async fn on_disk_what_was_in_flight_is_visible_to_the_next_life() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::default());
    what_was_in_flight_is_visible_to_the_next_life(|| {
        Arc::new(Store::open(dir.path(), clock.clone()).unwrap())
    })
    .await;
}
