//! Alerts as events.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Reply, Server, accept, answer, detail, entries};
use crate::connectors::aws::eventbridge::courier::Announcing;
use crate::connectors::aws::session::Session;
use crate::core::alert::{Alert, Answer, Concern};
use crate::core::id::RunId;
use crate::core::time::Timestamp;
use crate::ports::Courier;

fn alert() -> Alert {
    Alert {
        run: RunId(1),
        number: 4,
        id: 0x0199,
        concern: Concern::Failed,
        to: "bus".to_owned(),
        detail_type: None,
        at: Timestamp(1_767_225_600_000),
        data: json!({ "reason": "the shelf fell over" }),
        attempts: 0,
        next: Some(Timestamp(1_767_225_600_000)),
        fault: None,
    }
}

async fn told(server: &Server, alert: &Alert) -> Answer {
    let session = Session::at(&server.url, Duration::from_secs(5)).await;
    Announcing { bus: "ops".to_owned(), session }.deliver(alert).await
}

#[tokio::test]
async fn an_alert_is_an_event_with_our_references_and_repeats_keep_its_id() {
    let server = Server::start(1, accept).await;
    let named = Alert { detail_type: Some("ShopAlert".to_owned()), ..alert() };
    assert_eq!((told(&server, &alert()).await, told(&server, &named).await), (Answer::Taken, Answer::Taken));
    let sent: Vec<Value> = server.asked().iter().flat_map(entries).collect();
    let address = |entry: &Value| ["EventBusName", "Source", "DetailType"].map(|name| entry[name].clone());
    assert_eq!(address(&sent[0]), ["ops", "milepost", "RunAlert"]);
    assert_eq!(address(&sent[1]), ["ops", "milepost", "ShopAlert"]);
    let detail = detail(&sent[0]);
    assert_eq!(detail["milepost"]["event_id"], "00000000-0000-0000-0000-000000000199");
    let body = json!({
        "type": "run.failed", "timestamp": "2026-01-01T00:00:00Z", "data": { "reason": "the shelf fell over" },
    });
    assert_eq!((&detail["data"], &detail["milepost"]["run"]), (&body, &json!(RunId(1))));
}

#[tokio::test]
async fn a_bus_that_does_not_take_it_is_tried_again() {
    let server = Server::start(1, |asked| answer(asked, |_| Some("NotAuthorizedForSourceException"))).await;
    assert!(matches!(told(&server, &alert()).await, Answer::Failed { .. }), "people mend permissions");
    let server = Server::start(1, |_| Reply::Reset).await;
    assert!(matches!(told(&server, &alert()).await, Answer::Failed { .. }));
}
