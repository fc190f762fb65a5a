//! What is heard for one run, and what of it waits for an answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use super::history::{End, Reader, over};
use super::line::{Line, is_gone, unreachable};
use super::order::failure;
use crate::core::execution::{AWAY, Errand, Order, Receipt};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::ports::Heard;

/// How many signs of life an order gets while it would live without one.
const BEATS: u32 = 3;
/// Most entries of a history that are handed over at once.
const CHUNK: usize = 100;
/// How a missing execution is refused (GetExecutionHistory).
const UNKNOWN: &str = "ExecutionDoesNotExist";

/// How often the history is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When nothing stirs. Accounts have 20 such questions a second, for all of their runs (Step Functions, service
    /// quotas).
    pub(super) quiet: Duration,
    /// At least this much is between two questions, however many answers are given.
    pub(super) least: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(5), least: Duration::from_secs(1) }
    }
}

/// What is heard next, or why nothing more will be.
pub(super) type News = Result<Heard, Fault>;

/// The way of orders and history to whoever drives one run.
pub(super) struct Route {
    pub(super) run: RunId,
    pub(super) line: Line,
    news: UnboundedSender<News>,
    /// Orders without an answer.
    held: Mutex<BTreeMap<Receipt, Errand>>,
    /// Whether the run's close was answered as done: then the execution has to end.
    closed: AtomicBool,
    /// Something was answered, so the history goes on.
    stirred: Notify,
}

impl Route {
    pub(super) fn new(run: RunId, line: Line) -> (Self, UnboundedReceiver<News>) {
        let (news, heard) = unbounded_channel();
        let (held, closed, stirred) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        (Self { run, line, news, held, closed, stirred }, heard)
    }

    /// Takes an order; whether somebody will hear of it.
    pub(super) fn take(&self, order: Order) -> bool {
        let receipt = order.receipt.clone();
        self.held().insert(receipt.clone(), order.errand.clone());
        let heard = self.news.send(Ok(Heard::Ordered(order))).is_ok();
        if !heard {
            self.forget(&receipt);
        }
        heard
    }

    /// Says that nothing more will be heard, and why.
    pub(super) fn fail(&self, fault: Fault) {
        // Nobody listens any more: then nobody has to know.
        let _ = self.news.send(Err(fault));
    }

    /// What an order wants; `None`: it takes no answer any more.
    pub(super) fn errand(&self, receipt: &Receipt) -> Option<Errand> {
        self.held().get(receipt).cloned()
    }

    /// The order is answered, or given up by the executor.
    pub(super) fn forget(&self, receipt: &Receipt) {
        self.held().remove(receipt);
    }

    /// The orders that have no answer; none of them is held from then on.
    fn let_go(&self) -> Vec<Receipt> {
        std::mem::take(&mut *self.held()).into_keys().collect()
    }

    /// From now on an execution that succeeds ends as it has to.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The history has something new.
    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Receipt, Errand>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back every order that has no answer. Nobody answering, they are given again once their heartbeats are
    /// missed.
    pub(super) async fn give_back(&self) {
        let fault = Fault::new(AWAY, format!("{} is not driven by this engine any more", self.run));
        for receipt in self.let_go() {
            let _ = self.line.say(&receipt, failure(&fault)).await;
        }
    }

    /// Whether an order has no answer.
    pub(super) fn is_held(&self) -> bool {
        !self.held().is_empty()
    }

    /// Keeps every order without an answer alive, for as long as it is awaited.
    pub(super) async fn beat(&self, heartbeat: Duration) {
        let pause = heartbeat / BEATS;
        loop {
            sleep(pause).await;
            let receipts: Vec<Receipt> = self.held().keys().cloned().collect();
            let beats = receipts.iter().map(|receipt| self.beat_once(receipt, pause));
            futures_util::future::join_all(beats).await;
        }
    }

    /// What fails is told by the next beat, or by whoever answers the order.
    async fn beat_once(&self, receipt: &Receipt, within: Duration) {
        let client = self.line.client().await;
        let asked =
            self.line.ask("SendTaskHeartbeat", || client.send_task_heartbeat().task_token(&receipt.0).send());
        if let Ok(Err(trouble)) = timeout(within, asked).await
            && is_gone(&trouble)
        {
            self.forget(receipt);
        }
    }

    /// Hands over the history of the execution until it is over, or nobody answers.
    pub(super) async fn mirror(&self, mut reader: Reader, pace: Pace) {
        let begun = Instant::now();
        let mut is_known = false;
        loop {
            let (entries, end) = match reader.read(&self.line).await {
                Ok(read) => read,
                // What was begun just now may not be shown yet: reads are not of the same moment as writes.
                Err(trouble)
                    if trouble.code() == UNKNOWN && !is_known && begun.elapsed() < self.line.patience =>
                {
                    sleep(pace.least).await;
                    continue;
                }
                Err(trouble) if trouble.code() == UNKNOWN => {
                    return drop(self.news.send(Ok(Heard::Over(over("is not known any more", "")))));
                }
                Err(trouble) => return self.fail(unreachable(trouble)),
            };
            is_known = true;
            for entries in entries.chunks(CHUNK) {
                let _ = self.news.send(Ok(Heard::History(entries.to_vec())));
            }
            match end {
                None => {}
                Some(End::Succeeded) if self.closed.load(Ordering::Relaxed) => return,
                Some(End::Succeeded) => {
                    let why = " without an answer of ours to its close";
                    return drop(self.news.send(Ok(Heard::Over(over("succeeded", why)))));
                }
                Some(End::Failed(fault)) => return drop(self.news.send(Ok(Heard::Over(fault)))),
            }
            sleep(pace.least).await;
            let quiet = pace.quiet.saturating_sub(pace.least);
            // Either of the two is a reason to ask.
            let _ = timeout(quiet, self.stirred.notified()).await;
        }
    }
}
