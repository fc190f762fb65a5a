//! What connectors report, without the secrets of the connections that they work over: nothing behind this knows
//! them, so nothing can keep or show them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::core::claims::{Claim, Claimed, End, Settled};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::queue::{Receive, Received, Ticket};
use crate::core::retry::{Outcome, Probed};
use crate::core::scope::Scope;
use crate::core::survey::Survey;
use crate::ports::{
    Announced, Announcer, Answered, Call, Effect, Keys, KeysError, Prepare, Queue, QueueError, Receiver,
    Verdicts, Worker,
};

use super::hush::Hush;

/// Something over a connection whose secrets are not told.
struct Discreet<T: ?Sized> {
    inner: Arc<T>,
    hush: Arc<Hush>,
}

/// The worker, telling no secret.
pub(super) fn worker(worker: Worker, hush: Hush) -> Worker {
    let hush = Arc::new(hush);
    match worker {
        Worker::Effect(inner) => Worker::Effect(Arc::new(Discreet { inner, hush })),
        Worker::Receiver(inner) => Worker::Receiver(Arc::new(Discreet { inner, hush })),
        Worker::Pure(inner) => Worker::Pure(Arc::new(Discreet { inner, hush })),
        // These work over what has no secrets in its connection.
        worker @ (Worker::Source(_) | Worker::Stream(_)) => worker,
    }
}

/// Who is asked, telling no secret.
pub(super) fn announcer(inner: Arc<dyn Announcer>, hush: Hush) -> Arc<dyn Announcer> {
    Arc::new(Discreet { inner, hush: Arc::new(hush) })
}

/// The store of keys, telling no secret.
pub(super) fn keys(inner: Arc<dyn Keys>, hush: Hush) -> Arc<dyn Keys> {
    Arc::new(Discreet { inner, hush: Arc::new(hush) })
}

impl<T: Prepare + ?Sized> Prepare for Discreet<T> {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.inner.prepare(scope).map_err(|fault| self.hush.fault(fault))
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn prepare_all(&self, scopes: &[Scope]) -> Vec<Result<Value, Fault>> {
        let told = |made: Result<Value, Fault>| made.map_err(|fault| self.hush.fault(fault));
        self.inner.prepare_all(scopes).into_iter().map(told).collect()
    }

    fn survey(&self, scope: &Scope) -> Survey {
        self.inner.survey(scope)
    }
}

#[async_trait]
impl Effect for Discreet<dyn Effect> {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let Verdicts { outcomes, calls } = self.inner.call(calls).await;
        let told = |outcome| match outcome {
            Outcome::Done(facts) => Outcome::Done(self.hush.facts(facts)),
            Outcome::Refused { fault, again } => Outcome::Refused { fault: self.hush.fault(fault), again },
            Outcome::Unclear(fault) => Outcome::Unclear(self.hush.fault(fault)),
            Outcome::Skipped(reason) => Outcome::Skipped(reason),
        };
        Verdicts { outcomes: outcomes.into_iter().map(told).collect(), calls }
    }

    async fn probe(&self, call: &Call) -> Probed {
        match self.inner.probe(call).await {
            Probed::Done(facts) => Probed::Done(self.hush.facts(facts)),
            Probed::Unknown(fault) => Probed::Unknown(self.hush.fault(fault)),
            Probed::Absent => Probed::Absent,
        }
    }
}

impl Receiver for Discreet<dyn Receiver> {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(Discreet { inner: self.inner.queue(), hush: Arc::clone(&self.hush) })
    }

    fn receive(&self, run: RunId) -> Receive {
        self.inner.receive(run)
    }
}

impl Discreet<dyn Queue> {
    fn told<T>(&self, answer: Result<T, QueueError>) -> Result<T, QueueError> {
        answer.map_err(|error| match error {
            QueueError::Away(fault) => QueueError::Away(self.hush.fault(fault)),
            error @ QueueError::Store(_) => error,
        })
    }
}

#[async_trait]
impl Queue for Discreet<dyn Queue> {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        self.told(self.inner.receive(receive).await)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        self.told(self.inner.delete(tickets).await)
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        self.told(self.inner.hide(tickets, visibility).await)
    }

    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        self.told(self.inner.redrive(receive).await)
    }

    async fn last(&self, receive: &Receive) -> Received {
        self.inner.last(receive).await
    }
}

#[async_trait]
impl Announcer for Discreet<dyn Announcer> {
    fn keys_max(&self) -> usize {
        self.inner.keys_max()
    }

    async fn announced(&self, keys: &[String]) -> Result<Vec<Announced>, Fault> {
        let announced = self.inner.announced(keys).await.map_err(|fault| self.hush.fault(fault))?;
        let told =
            |announced: Announced| Announced { payload: self.hush.value(announced.payload), ..announced };
        Ok(announced.into_iter().map(told).collect())
    }
}

#[async_trait]
impl Keys for Discreet<dyn Keys> {
    async fn claim(&self, claims: &[Claim]) -> Result<Answered<Claimed>, KeysError> {
        let claimed = self.inner.claim(claims).await;
        claimed.map_err(|KeysError(why)| KeysError(self.hush.text(&why).into_owned()))
    }

    async fn settle(&self, ends: &[(Claim, End)]) -> Result<Answered<Settled>, KeysError> {
        let settled = self.inner.settle(ends).await;
        settled.map_err(|KeysError(why)| KeysError(self.hush.text(&why).into_owned()))
    }
}
