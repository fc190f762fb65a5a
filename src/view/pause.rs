//! Why a run stands still, in words and as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::when::When;
use crate::core::fault::Fault;
use crate::core::steer::{Hold, Steer};

/// Why a run stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// Who paused it; `null` when it pauses by itself.
    pub by: Option<String>,
    /// Since when.
    pub since: When,
    /// Connections that do not answer.
    pub connections: Vec<HoldView>,
}

/// A connection that is held: no call goes over it but a trial now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    /// Which; a step without a connection is its own.
    pub connection: String,
    /// Since when.
    pub since: When,
    /// The last thing that went wrong.
    pub error: Fault,
    /// Trials that failed.
    pub trials: u32,
    /// When it is tried next.
    pub next: When,
}

/// The connections that a run holds.
pub(super) fn hold_views(steer: &Steer) -> Vec<HoldView> {
    let view = |(connection, hold): (&String, &Hold)| HoldView {
        connection: connection.clone(),
        since: When(hold.since),
        error: hold.fault.clone(),
        trials: hold.trials,
        next: When(hold.next),
    };
    steer.holds.iter().map(view).collect()
}

/// What keeps a run from going on, if something does.
pub(super) fn pause_view(steer: &Steer) -> Option<PauseView> {
    let connections = hold_views(steer);
    let first = connections.iter().map(|hold| hold.since.0).min();
    let since = [steer.paused.as_ref().map(|paused| paused.since), first].into_iter().flatten().min()?;
    Some(PauseView {
        by: steer.paused.as_ref().map(|paused| paused.by.clone()),
        since: When(since),
        connections,
    })
}
