//! How what takes time answers the driving task.

use std::sync::Arc;

use crate::core::arrival::{Arrival, Ready};
use crate::core::claims::{Claim, Claimed};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::inflow::Entrant;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::queue::{Delivery, Received};
use crate::core::retry::{Outcome, Probed};
use crate::ports::{Answered, KeysError, Pinned, QueueError, StoreError, Unread};

use super::claim::Settlement;
use super::conduct::Led;
use super::context::Context;

/// What comes back from everything that takes time.
pub(super) enum Note {
    Arrivals(Vec<Arrival>),
    /// Units were read in, under this plan.
    Fetched {
        plan: Arc<Plan>,
        fetched: Vec<Fetched>,
    },
    Claimed {
        step: usize,
        units: Vec<Unit>,
        claims: Vec<Claim>,
        result: Result<Answered<Claimed>, KeysError>,
    },
    KeysDown(KeysError),
    Released(Settlement),
    Ended {
        step: usize,
        outcomes: Vec<(Unit, Outcome)>,
        /// What people are to be told.
        said: Vec<String>,
        calls: u64,
        keys: Settlement,
    },
    Looked {
        step: usize,
        unit: Unit,
        probed: Probed,
        keys: Settlement,
    },
    Pinned {
        step: usize,
        result: Result<Pinned, Unread>,
    },
    Delivered {
        step: usize,
        received: Received,
    },
    /// Messages of an open run were read.
    Read(Vec<Incoming>),
    /// A poller has ended, because nothing more is wanted.
    Dried {
        step: usize,
    },
    /// A queue is out of reach.
    QueueAway {
        step: usize,
        fault: Fault,
    },
    QueueDone(Result<(), QueueError>),
    /// Whoever drives the graph has something to say.
    Led(Led),
    Failed(StoreError),
}

/// A unit that was read in; without a context it is at rest.
pub(super) struct Fetched {
    pub(super) unit: Unit,
    pub(super) progress: Option<Progress>,
    pub(super) ready: Vec<(usize, Ready)>,
    pub(super) context: Option<Arc<Context>>,
}

/// A message of an open run, as an item.
pub(super) struct Incoming {
    pub(super) delivery: Delivery,
    pub(super) entrant: Entrant,
    pub(super) body: Vec<u8>,
}
