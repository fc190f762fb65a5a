//! `signal.wait`: the item goes on when somebody outside says so about its key. Signals come to the
//! engine from people and from other systems; where those do not tell by themselves, they are asked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::connectors::{BuildFault, Counterpart, STAND_IN, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::queue::{self, Receive, Received, Ticket};
use crate::core::scope::Scope;
use crate::core::signal::{self, Awaiting, Signal};
use crate::core::time::Timestamp;
use crate::expr::Template;
use crate::ports::{Announced, Announcer, Clock, Prepare, Queue, QueueError, Receiver, Signals, Worker};

/// How often the other side is asked when the step does not say.
const POLL: Duration = Duration::from_secs(30);
/// How often the stand-ins are: they cost nobody anything.
const POLL_STAND_IN: Duration = Duration::from_millis(100);
/// Most items that are asked about in one go, so that asking ends.
const ASKED_MAX: usize = 5_000;
/// How long one receive waits, when nothing is asked for meanwhile.
const WAIT: Duration = Duration::from_secs(20);
/// How long a message stays hidden; it is extended while its item works.
const VISIBILITY: Duration = Duration::from_secs(30);
/// Most messages per receive.
const RECEIVE_MAX: usize = 100;

/// What `signal.wait` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "signal.wait",
    summary: "waits for a signal about the item's key",
    role: Role::Listen,
    place: Place::Item,
    connections: &["pimcore", STAND_IN],
    fields: &[
        Field { name: "signal", kind: Kind::Plain, required: true },
        Field { name: "key", kind: Kind::Text, required: true },
        Field { name: "after", kind: Kind::Text, required: false },
        Field { name: "timeout", kind: Kind::Duration, required: false },
        Field { name: "poll", kind: Kind::Duration, required: false },
    ],
    facts: &["signal", "key", "id", "version", "payload"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

/// Makes the worker of a `signal.wait` step; `announcer` is asked, if there is one.
///
/// # Errors
/// A field is wrong.
pub fn build(site: &Site<'_>, announcer: Option<Arc<dyn Announcer>>) -> Result<Worker, Vec<BuildFault>> {
    let with = &site.step.with;
    let poll = settings::duration(with, "poll").map_err(|fault| vec![fault])?;
    if poll.is_some_and(|poll| poll.is_zero()) {
        return Err(vec![BuildFault::field("poll", "'poll' must be longer than nothing")]);
    }
    if poll.is_some() && announcer.is_none() {
        let hint = Some("name the connection of the system that is asked: connection: pim".to_owned());
        return Err(vec![BuildFault { hint, ..BuildFault::field("poll", "nobody is there to be asked") }]);
    }
    let subject = settings::template(with, &["signal", "key", "after"])?;
    let every = poll.unwrap_or(match site.counterpart() {
        Counterpart::StandIn => POLL_STAND_IN,
        Counterpart::System => POLL,
    });
    let asked = announcer.map(|announcer| Asked { announcer, every, turn: Mutex::default() });
    let queue = Arc::new(Ear {
        own: Arc::clone(&site.queue) as Arc<dyn Queue>,
        signals: Arc::clone(&site.signals),
        clock: Arc::clone(&site.clock),
        asked,
    });
    Ok(Worker::Receiver(Arc::new(Wait { subject, queue, step: site.step.name.clone() })))
}

struct Wait {
    subject: Template,
    queue: Arc<Ear>,
    step: String,
}

impl Prepare for Wait {
    /// `{signal, key, after?}`: what the item waits for.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut subject = self.subject.render(scope)?;
        for field in ["key", "after"] {
            let text = match &subject[field] {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => {
                    let message = format!("'{field}' must give a text or a number, not {other}");
                    return Err(Fault::new(name::MAPPING, message));
                }
            };
            if text.is_empty() {
                return Err(Fault::new(name::MAPPING, format!("'{field}' gives nothing")));
            }
            subject[field] = Value::String(text);
        }
        Ok(subject)
    }
}

impl Receiver for Wait {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue) as Arc<dyn Queue>
    }

    fn receive(&self, run: RunId) -> Receive {
        Receive {
            queue: signal::queue(&self.step),
            run,
            only: queue::Only::All,
            max: RECEIVE_MAX,
            wait: WAIT,
            visibility: VISIBILITY,
            // The signal itself is kept elsewhere: there is no dead-letter queue for it.
            receives_max: u32::MAX,
            pollers: 1,
            content: true,
        }
    }
}

/// The messages that signals became, and whoever is asked for signals.
struct Ear {
    own: Arc<dyn Queue>,
    signals: Arc<dyn Signals>,
    clock: Arc<dyn Clock>,
    asked: Option<Asked>,
}

struct Asked {
    announcer: Arc<dyn Announcer>,
    every: Duration,
    turn: Mutex<Turn>,
}

/// Where asking stands.
#[derive(Clone, Default)]
struct Turn {
    /// When it is asked next.
    due: Timestamp,
    /// Whom it was asked for last, when there are more: the next turn is theirs.
    behind: Option<Awaiting>,
    /// The last time brought no answer.
    failed: bool,
}

impl Asked {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// Asks about what is waited for; what is announced comes in as signals.
    async fn ask(&self, asked: &Asked, receive: &Receive) -> Result<(), QueueError> {
        let behind = asked.turn().behind.clone();
        let awaited = self.signals.awaited(receive.run, &receive.queue, behind.as_ref(), ASKED_MAX)?;
        for some in awaited.chunks(asked.announcer.keys_max().max(1)) {
            let keys: BTreeSet<&str> = some.iter().map(|waits| waits.subject.key.as_str()).collect();
            let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
            let announced = asked.announcer.announced(&keys).await.map_err(QueueError::Away)?;
            let now = self.clock.now();
            // Several may wait for one key, each for something newer than its own effect.
            let signal = |announced: &Announced| {
                let mut waits = some.iter().filter(|waits| waits.subject.key == announced.key);
                waits.find_map(|waits| {
                    Some(signal_of(announced, waits, now)).filter(|signal| signal.wakes(waits))
                })
            };
            let signals: Vec<Signal> = announced.iter().filter_map(signal).collect();
            if !signals.is_empty() {
                self.signals.take_in(signals).await?;
            }
        }
        let last = awaited.last().filter(|_| awaited.len() == ASKED_MAX).cloned();
        let due = self.clock.now().after(asked.every);
        *asked.turn() = Turn { due, behind: last, failed: false };
        Ok(())
    }
}

/// What was announced, as a signal. It can be asked for again, so it is not kept.
fn signal_of(announced: &Announced, waits: &Awaiting, now: Timestamp) -> Signal {
    let id = format!("asked/{}", announced.version.as_deref().unwrap_or("now"));
    Signal {
        name: waits.subject.signal.clone(),
        key: announced.key.clone(),
        id,
        at: now,
        version: announced.version.clone(),
        workflow: None,
        payload: announced.payload.clone(),
        by: None,
        until: now,
    }
}

#[async_trait]
impl Queue for Ear {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let Some(asked) = &self.asked else { return self.own.receive(receive).await };
        let turn = asked.turn().clone();
        // Whoever does not wait lets go of what is left; or sees whether there is an answer again.
        if receive.wait.is_zero() && !turn.failed {
            return self.own.receive(receive).await;
        }
        if turn.due <= self.clock.now()
            && let Err(error) = self.ask(asked, receive).await
        {
            asked.turn().failed = true;
            // What others have told counts all the same.
            let told = self.own.receive(&Receive { wait: Duration::ZERO, ..receive.clone() }).await?;
            return if told.is_empty() { Err(error) } else { Ok(told) };
        }
        let wait = receive.wait.min(asked.turn().due.since(self.clock.now()));
        self.own.receive(&Receive { wait, ..receive.clone() }).await
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        self.own.delete(tickets).await
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        self.own.hide(tickets, visibility).await
    }

    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        self.own.redrive(receive).await
    }
}
