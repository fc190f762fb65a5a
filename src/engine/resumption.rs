//! What a drive is told when it does not begin a run, but goes on with it.

use std::sync::Arc;

use crate::core::event::RunEvent;
use crate::core::selection::Positions;

/// A resume that was carried out on the store and is now to be driven.
#[derive(Clone, Debug)]
pub struct Resumption {
    /// The hash of its plan.
    pub plan: String,
    /// Who asked for it; `None`: nobody did.
    pub by: Option<String>,
    /// The items that it works on; `None`: all.
    pub chosen: Option<Arc<Positions>>,
    /// What happened before it is driven, and is told with it: what became of the messages of dead letters that
    /// begin anew, and of an execution that it leaves.
    pub told: Vec<RunEvent>,
    /// Something begins anew that had ended, or stands on another ground: whoever drives the graph begins
    /// anew, too.
    pub anew: bool,
}

impl From<&str> for Resumption {
    fn from(plan: &str) -> Self {
        Self { plan: plan.to_owned(), by: None, chosen: None, told: Vec::new(), anew: false }
    }
}
