//! Alerts: who carries them, by the pinned workflow of their run, and the loop that has them carried while an
//! engine is there.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connectors::{self, BuildFault, Errand};
use crate::core::alert::Alert;
use crate::core::fault::{Fault, name};
use crate::core::run::Run;
use crate::engine::Delivery;
use crate::ports::{Clock, Courier, Couriers, Journal, OwnQueue};
use crate::spec::{Finding, Report};
use crate::store::{MemoryStore, Store};
use crate::view::{AlertView, Archive};

use super::Engine;
use super::assemble::{Mistakes, complaint};
use super::clock::SystemClock;
use super::definition::Definition;
use super::environment::{self, Environment};

/// Couriers kept at once: each holds a client with its connections.
const KEPT_MAX: usize = 64;

/// Says what is wrong with the connections that alerts go over, in this environment.
pub(super) fn try_out(definition: &Definition, environment: &Environment) -> Result<(), Box<Report>> {
    let nobody: Arc<dyn OwnQueue> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    let mut mistakes = Mistakes::default();
    for told in &definition.checked.workflow.alerts {
        let made = courier(definition, &told.to, environment, &nobody, &(Arc::new(SystemClock) as _));
        if let Err(faults) = made {
            let place =
                |fault| -> Finding { definition.checked.connection_fault(&told.to, &complaint(fault)) };
            mistakes.add(faults.iter().map(place));
        }
    }
    mistakes.none(definition)
}

fn courier(
    definition: &Definition,
    to: &str,
    environment: &Environment,
    queue: &Arc<dyn OwnQueue>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Courier>, Vec<BuildFault>> {
    let Some(connection) = definition.checked.workflow.connections.get(to) else {
        let message = format!("the workflow has no connection '{to}' any more");
        return Err(vec![BuildFault { field: None, place: None, message, hint: None }]);
    };
    let settings = environment::resolve(&connection.fields, environment)?;
    let (queue, clock) = (Arc::clone(queue), Arc::clone(clock));
    connectors::courier(&Errand { kind: &connection.kind, settings: &settings, queue, clock })
}

/// What a courier depends on: the pinned definition, the profile, the connection.
type Key = (String, Option<String>, String);

/// The couriers of an engine, each made when it is first needed.
struct PinnedCouriers {
    store: Store,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<Key, Arc<dyn Courier>>>,
}

#[async_trait]
impl Couriers for PinnedCouriers {
    async fn of(&self, alert: &Alert) -> Result<Arc<dyn Courier>, Fault> {
        let run = self.store.run(alert.run).ok().flatten();
        let run = run.ok_or_else(|| unfit(&format!("the record of {} cannot be read", alert.run)))?;
        let key = (run.definition.clone(), run.profile.clone(), alert.to.clone());
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = self.make(run, alert.to.clone()).await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

impl PinnedCouriers {
    async fn make(&self, run: Run, to: String) -> Result<Arc<dyn Courier>, Fault> {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let making = tokio::task::spawn_blocking(move || {
            let definition = Definition::from_pins(&run, &store, &connectors::catalog())
                .map_err(|error| unfit(&format!("the pinned definition cannot be used: {error}")))?;
            let queue: Arc<dyn OwnQueue> = Arc::new(store);
            courier(&definition, &to, &Environment::Process, &queue, &clock).map_err(|faults| {
                let texts: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
                unfit(&format!("connection '{to}': {}", texts.join("; ")))
            })
        });
        making.await.unwrap_or_else(|error| Err(Fault::new(name::DEFECT, error.to_string())))
    }
}

fn unfit(what: &str) -> Fault {
    Fault::new(name::REFUSED, what)
}

/// The loop that has alerts carried.
pub struct Alerting {
    archive: Archive,
    ending: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Engine {
    /// Begins to have the alerts of this state directory carried, whichever run made them, once `released` says
    /// so. It does not keep the engine from ending.
    pub fn alerting(&self, released: impl Future<Output = ()> + Send + 'static) -> Alerting {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.ports.clock));
        let couriers =
            PinnedCouriers { store: store.clone(), clock: Arc::clone(&clock), kept: Mutex::default() };
        let delivery = Delivery { outbox: Arc::new(store), couriers: Arc::new(couriers), clock };
        let (ending, mut ends) = watch::channel(false);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = released => {}
                // What was not released is not carried; that nobody could end it any more ends it as well.
                _ = ends.wait_for(|ends| *ends) => return,
            }
            if let Err(error) = delivery.work(ends, rand::random()).await {
                tracing::error!(%error, "alerts are not delivered any more");
            }
        });
        Alerting { archive: self.archive(), ending, task }
    }
}

impl Alerting {
    /// Ends the loop: what is due is tried once more, for as long as `patience` lasts. Returns what was not
    /// delivered and is not given up: whoever works in the state directory next goes on with it.
    pub async fn end(mut self, patience: Duration) -> Vec<AlertView> {
        // A loop that is gone has ended.
        let _ = self.ending.send(true);
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            // What was being carried is carried again, under the same ID.
            self.task.abort();
        }
        let mut left = self.archive.alerts(None).unwrap_or_default();
        left.retain(|alert| alert.next.is_some());
        left
    }
}
