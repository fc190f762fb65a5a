//! Receiving: ask; when there is nothing, wait for the bell or for the next hidden message, and
//! ask again. Never polls.

use std::pin::pin;
use std::time::Duration;

use crate::core::change::{Change, Message, Receipt};
use crate::core::queue::{Delivery, Receive, Received, Ticket};
use crate::core::time::Timestamp;
use crate::ports::{Clock, Journal, Queue, QueueError, StoreError};

use super::bells::Bells;
use super::racks::dead_letter_queue;

/// The answer to one question for messages.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What was visible; now hidden and counted.
    pub(super) deliveries: Vec<Delivery>,
    /// When the next hidden message becomes visible.
    pub(super) next_visible: Option<Timestamp>,
}

/// Asks until there is something or the wait is over. `ask` takes what is visible at an instant.
pub(super) async fn long_poll<F>(
    clock: &dyn Clock,
    bells: &Bells,
    receive: &Receive,
    ask: impl Fn(Timestamp) -> F + Send,
) -> Result<Received, StoreError>
where
    F: Future<Output = Result<Taken, StoreError>> + Send,
{
    let deadline = clock.now().after(receive.wait);
    let bell = bells.listen((receive.queue.clone(), receive.run));
    loop {
        // Listens before asking, so that a message that comes in between is not missed.
        let mut rung = pin!(bell.rung());
        rung.as_mut().enable();
        let now = clock.now();
        let taken = ask(now).await?;
        // Whoever asks for none gets none; waiting for more would never end before the deadline.
        if !taken.deliveries.is_empty() || receive.max == 0 || now >= deadline {
            return Ok(Received { deliveries: taken.deliveries, strays: Vec::new() });
        }
        let until = taken.next_visible.map_or(deadline, |next| next.min(deadline));
        tokio::select! {
            biased;
            () = rung => {}
            () = clock.sleep_until(until) => {}
        }
    }
}

/// How long what is received now stays hidden: at least for this instant, else one call would
/// take the same message twice.
pub(super) fn hidden_until(receive: &Receive, now: Timestamp) -> Timestamp {
    Timestamp(now.after(receive.visibility).0.max(now.0.saturating_add(1)))
}

/// The messages of this store among those that are named.
pub(super) fn own(tickets: Vec<Ticket>) -> impl Iterator<Item = Receipt> {
    tickets.into_iter().filter_map(|ticket| match ticket {
        Ticket::Own(receipt) => Some(receipt),
        Ticket::Given(_) => None,
    })
}

/// Messages moved in one commit.
const MOVED_MAX: usize = 200;
/// How long a message of the dead-letter queue is hidden from others who would move it.
const MOVING: Duration = Duration::from_secs(1);

/// Puts messages of a run back from its dead-letter queue, as new ones.
pub(super) async fn redrive<S: Journal + Queue>(
    store: &S,
    receive: &Receive,
) -> Result<Option<u64>, QueueError> {
    let Some(dead) = dead_letter_queue(&receive.queue) else { return Ok(Some(0)) };
    let (max, wait) = (MOVED_MAX, Duration::ZERO);
    let from = Receive { queue: dead, max, wait, visibility: MOVING, ..receive.clone() };
    let mut moved = 0;
    loop {
        let received = store.receive(&from).await?.deliveries;
        if received.is_empty() {
            return Ok(Some(moved));
        }
        moved += received.len() as u64;
        let gone = own(received.iter().map(|delivery| delivery.ticket.clone()).collect());
        let gone: Vec<Change> = gone.map(Change::Delete).collect();
        let (mut plain, mut shared) = (Vec::new(), Vec::new());
        for Delivery { message, carried, .. } in received {
            let back = Message { queue: receive.queue.clone(), ..message };
            match carried {
                Some(carried) => shared.push((back, carried)),
                None => plain.push(back),
            }
        }
        let changes = [Change::Enqueue(plain), Change::Share(shared)].into_iter().chain(gone);
        store.commit(changes.collect()).await?;
    }
}
