//! What the PIM stand-in sends to hooks: its events, signed as Standard Webhooks are. It tries each a few
//! times, and then lets it go: whoever listens to a PIM can ask it, too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::server::{Desk, now};
use crate::webhook::{Secret, signature};

/// Most events on their way at once.
const UNDER_WAY_MAX: usize = 8;
/// How often an event is sent that is not taken.
const TRIES: u32 = 6;
/// How long it waits after the first time; then twice as long, and so on.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Somebody who is told.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The address that events are sent to.
    pub url: String,
    /// What they are signed with.
    pub secret: Secret,
}

/// Sends every event from now on, until the stand-in or whoever holds the other end of `stop` is gone.
pub(super) async fn run(
    desk: Weak<Desk>,
    listeners: watch::Receiver<Vec<Listener>>,
    mut stop: watch::Receiver<()>,
) {
    // An error says that another connector was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(client) = Client::builder().timeout(ANSWER_MAX).build() else { return };
    let of_now = desk.upgrade().map(|desk| (desk.events_so_far(), desk.changes()));
    let Some((mut number, mut changed)) = of_now else { return };
    let places = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    // They end with this task.
    let mut under_way = JoinSet::new();
    loop {
        let events = desk.upgrade().map(|desk| desk.events_after(number));
        for event in events.unwrap_or_default() {
            number = event["number"].as_u64().unwrap_or(number);
            let told = listeners.borrow().clone();
            for listener in told {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                while under_way.try_join_next().is_some() {}
                let (client, event) = (client.clone(), event.clone());
                under_way.spawn(async move {
                    tell(&client, &listener, &event).await;
                    drop(place);
                });
            }
        }
        tokio::select! {
            _ = stop.changed() => return,
            alive = changed.changed() => if alive.is_err() { return },
        }
    }
}

async fn tell(client: &Client, listener: &Listener, event: &Value) {
    let body = event["event"].to_string();
    let id = format!("evt_{}_{}", event["number"], event["event"]["general"]["timestamp"]);
    for again in 0..TRIES {
        if again > 0 {
            tokio::time::sleep(PATIENCE * (1 << (again - 1))).await;
        }
        let seconds = now() / 1_000;
        let request = client
            .post(&listener.url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature(&listener.secret, &id, seconds, body.as_bytes()))
            .body(body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer)
                if answer.status().is_client_error() && ![408, 429].contains(&answer.status().as_u16()) =>
            {
                tracing::warn!(status = answer.status().as_u16(), "a hook refuses what the stand-in tells");
                return;
            }
            Ok(_) | Err(_) => {}
        }
    }
    tracing::warn!("a hook did not take what the stand-in told it");
}
