//! Who drives the graph of a run, when it is not the engine itself.

use async_trait::async_trait;

use crate::core::execution::{Answer, Entry, Execution, Order, Receipt};
use crate::core::fault::Fault;

/// What an executor has to say about one execution.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Something is to be done. Until it is answered the executor is kept from giving up on it; one that it gave up
    /// on all the same is ordered anew, under another receipt.
    Ordered(Order),
    /// Its history went on.
    History(Vec<Entry>),
    /// The execution ended by itself, or somebody ended it there.
    Over(Fault),
}

/// Whether an execution is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is under way: begun just now, or before under the same name.
    UnderWay,
    /// It was begun before, and has ended. Nothing was begun.
    Over,
}

/// Drives the graph of one run. Implemented over AWS Step Functions and, for the simulation, in memory.
#[async_trait]
pub trait Executor: Send + Sync {
    /// What it is given to drive, by a name that says the definition: the same name, the same definition.
    fn machine(&self) -> String;

    /// Makes sure that an execution is under way, and from then on listens to it. Asking twice begins it once.
    ///
    /// # Errors
    /// The executor was not reached, or refused. It may have begun all the same.
    async fn begin(&self, execution: &Execution) -> Result<Begun, Fault>;

    /// Waits for the next thing that it has to say of the execution that was begun.
    ///
    /// # Errors
    /// The executor was not reached for longer than it is tried, or refuses. Nothing more is heard.
    async fn next(&self) -> Result<Heard, Fault>;

    /// Says how an order ended. An order that the executor gave up on takes no answer, and that is no error.
    ///
    /// # Errors
    /// The executor was not reached for longer than it is tried, or refuses.
    async fn answer(&self, receipt: &Receipt, answer: Answer) -> Result<(), Fault>;

    /// Ends an execution, for this reason. One that has ended, or never was, is no error.
    ///
    /// # Errors
    /// The executor was not reached, or refused: it may go on, and its orders are refused by their epoch.
    async fn stop(&self, execution: &Execution, why: &Fault) -> Result<(), Fault>;
}
