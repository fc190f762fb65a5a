//! What a drive is told of how its run begins, or goes on.

use std::sync::Arc;

use crate::core::change::Change;
use crate::core::event::RunEvent;
use crate::core::selection::Positions;

/// How a drive begins.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// The run is new. What belongs to its record is in the same commit as the record itself: the first.
    Anew(Vec<Change>),
    /// It goes on.
    Resumed(Resumption),
}

impl From<Option<Resumption>> for Beginning {
    /// Without a resumption the run begins, and nothing is to be recorded with it.
    fn from(resumption: Option<Resumption>) -> Self {
        resumption.map_or_else(|| Self::Anew(Vec::new()), Self::Resumed)
    }
}

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
