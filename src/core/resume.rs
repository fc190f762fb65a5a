//! What a resume will do (placeholder: the engine's author writes the planning).

use super::id::RunId;

/// What a resume will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePlan {
    /// The run.
    pub run: RunId,
    /// The hash of the plan.
    pub hash: String,
    /// Work that is kept.
    pub reuse: Vec<Reuse>,
    /// Work that will be done.
    pub execute: Vec<Execute>,
    /// Effects that were perhaps done.
    pub in_doubt: Vec<InDoubt>,
    /// Work that stays undone: step, items, why.
    pub left: Vec<(String, u64, String)>,
}

/// Work of one step that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// The step.
    pub step: String,
    /// How many items.
    pub items: u64,
}

/// Work of one step that will be done, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    /// The step.
    pub step: String,
    /// How many items.
    pub items: u64,
    /// Why.
    pub reason: String,
}

/// One effect that was perhaps done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// The step.
    pub step: String,
    /// The item's position; `None` for a step of the run itself.
    pub item: Option<u64>,
    /// What was to be changed.
    pub effect: String,
    /// How it will be settled.
    pub settle_by: String,
}
