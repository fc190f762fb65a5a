//! What open runs take in, and queues that all runs share, held against both stores.

use std::sync::Arc;

use serde_json::json;

use crate::core::change::{Change, Message};
use crate::core::fault::Fault;
use crate::core::inflow::Entrant;
use crate::core::queue::{Carried, Only, Receive, SHARED};

use super::{HandClock, LATER, Ports, RUN, ask, message, on_both_stores};

type Subject = Arc<dyn Ports>;

on_both_stores!(
    what_came_in_is_read_back_in_its_order,
    a_body_goes_by_itself_however_long_it_is,
    a_shared_queue_gives_back_what_its_messages_carry,
    dead_letters_of_a_shared_queue_go_back_by_their_events_with_what_they_carry,
);

/// Every form there is, and one too long for its slot.
fn entrants() -> Vec<Entrant> {
    let plain = |event_id| Entrant { event_id, key: None, version: None, fault: None };
    let key = |text: &str| Some(text.to_owned());
    let mut all = vec![
        Entrant { key: key("SKU-31000232"), version: key("1767225600000"), ..plain(1) },
        Entrant { fault: Some(Fault::new("StrayMessage", "it is no JSON")), ..plain(2) },
        Entrant { key: key(&"k".repeat(900)), version: key("1767225600000/AF@00ff"), ..plain(3) },
    ];
    all.extend((4..40).map(|event| Entrant { key: key(&format!("k{event}")), ..plain(event) }));
    all.push(plain(u128::MAX));
    all
}

async fn what_came_in_is_read_back_in_its_order(store: Subject, _: Arc<HandClock>) {
    let all: Vec<(u64, Entrant)> = (0..).zip(entrants()).collect();
    for chunk in all.chunks(7) {
        let put = chunk.iter().map(|(at, entrant)| Change::Entrant(RUN, *at, Box::new(entrant.clone())));
        store.commit(put.collect()).await.unwrap();
    }
    assert_eq!(store.entrants(RUN, 0, usize::MAX).unwrap(), all);
    assert_eq!(store.entrants(RUN, 17, 5).unwrap(), all[17..22]);
    assert_eq!(store.entrants(LATER, 0, usize::MAX).unwrap(), []);
}

async fn a_body_goes_by_itself_however_long_it_is(store: Subject, _: Arc<HandClock>) {
    let body = |bytes: usize| format!("{{\"a\":\"{}\"}}", "b".repeat(bytes)).into_bytes();
    let bodies: Vec<(u64, Vec<u8>)> =
        [0, 100, 4_000, 50_000].map(body).into_iter().zip(0..).map(|(body, at)| (at, body)).collect();
    let put = bodies.iter().map(|(at, body)| Change::Body(RUN, *at, Some(body.clone())));
    store.commit(put.collect()).await.unwrap();
    for (at, body) in &bodies {
        assert_eq!(store.body(RUN, *at).unwrap().as_ref(), Some(body));
        assert_eq!(store.body(LATER, *at).unwrap(), None);
    }
    store.commit(vec![Change::Body(RUN, 3, None), Change::Body(RUN, 9, None)]).await.unwrap();
    let left: Vec<bool> = (0..4).map(|at| store.body(RUN, at).unwrap().is_some()).collect();
    assert_eq!(left, [true, true, true, false]);
}

async fn a_shared_queue_gives_back_what_its_messages_carry(store: Subject, _: Arc<HandClock>) {
    let carried = |bytes: usize| Carried {
        key: None,
        version: Some("7".to_owned()),
        content: Arc::new(json!({ "n": 1.5, "long": "x".repeat(bytes), "none": null })),
    };
    let shared = |number| Message { item: None, ..message("all", SHARED, number) };
    let sent: Vec<(Message, Carried)> =
        [(1, 10), (2, 9_000)].map(|(n, bytes)| (shared(n), carried(bytes))).into();
    store.share(sent.clone()).await.unwrap();
    store.share(sent[..1].to_vec()).await.unwrap();
    // Those of a run by the same name are others.
    store.send(vec![message("all", RUN, 1)]).await.unwrap();
    let come = store.receive(&ask("all", SHARED, 9)).await.unwrap().deliveries;
    let come: Vec<_> =
        come.into_iter().map(|delivery| (delivery.message, delivery.carried.unwrap())).collect();
    assert_eq!(come, sent);
    let own = store.receive(&ask("all", RUN, 9)).await.unwrap().deliveries;
    assert_eq!((own.len(), &own[0].carried), (1, &None));
    store.commit(vec![Change::Bury(sent[1].0.receipt())]).await.unwrap();
    let dead = store.receive(&ask("all.dlq", SHARED, 9)).await.unwrap().deliveries;
    assert_eq!(dead[0].carried.as_ref(), Some(&sent[1].1), "also in the dead-letter queue");
}

async fn dead_letters_of_a_shared_queue_go_back_by_their_events_with_what_they_carry(
    store: Subject,
    _: Arc<HandClock>,
) {
    let carried = |n: u64| Carried { key: None, version: None, content: Arc::new(json!({ "n": n })) };
    let sent: Vec<(Message, Carried)> = (0..4).map(|n| (message("all", SHARED, n), carried(n))).collect();
    store.share(sent.clone()).await.unwrap();
    let bury = sent.iter().map(|(message, _)| Change::Bury(message.receipt()));
    store.commit(bury.collect()).await.unwrap();
    let only = Only::Events(Arc::new([1, 3].map(|at: usize| sent[at].0.event_id).into()));
    let some = Receive { only, ..ask("all", SHARED, 9) };
    assert_eq!(store.redrive(&some).await.unwrap(), Some(2));
    let back = store.receive(&ask("all", SHARED, 9)).await.unwrap().deliveries;
    let back: Vec<_> = back.into_iter().map(|back| (back.message, back.carried.unwrap())).collect();
    assert_eq!(back, [sent[1].clone(), sent[3].clone()]);
    assert_eq!(store.redrive(&ask("all", SHARED, 9)).await.unwrap(), Some(2), "the others");
}
