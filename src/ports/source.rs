//! Sources: what the gate needs from a step that yields items.

use std::sync::Arc;

use serde_json::Value;

use super::{Interest, Pins, Prepare};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;
use crate::core::run;
use crate::core::scope::Scope;
use crate::core::survey::{Remark, Survey};

/// A received source: what the gate needs from a step that yields items.
pub trait Source: Prepare {
    /// Reads the whole source once, keeps its records under content addresses, and checks each.
    /// `survey` says what the steps behind it know of a record. Runs on a computing thread; ends at
    /// once when nobody is interested any more.
    ///
    /// # Errors
    /// [`Unread`]: nothing was kept, and no item exists.
    fn pin(
        &self,
        scope: &Scope,
        pins: &dyn Pins,
        survey: &SurveyOf<'_>,
        interest: &Interest,
    ) -> Result<Pinned, Unread>;

    /// The source opened again for reading single records.
    fn open(&self, source: &run::Source, pins: &dyn Pins) -> Result<Arc<dyn Records>, Fault>;
}

/// Why a source was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Unread {
    /// What went wrong.
    pub fault: Fault,
    /// Whether reading it again may help: not when its content is at fault.
    pub again: Again,
}

impl Unread {
    /// Nobody is interested any more.
    pub fn unwanted() -> Self {
        let fault = Fault::new(name::BROKEN_OFF, "reading was broken off, because the run was to end");
        Self { fault, again: Again::Later }
    }
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self { fault, again: Again::Never }
    }
}

/// Says what is known of the record at a position.
pub type SurveyOf<'a> = dyn Fn(u64, &Arc<Value>) -> Survey + Sync + 'a;

/// What pinning came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The pinned source.
    pub source: run::Source,
    /// Records that are dead letters from the start.
    pub rejected: u64,
    /// What a person may want to mend, the most frequent first.
    pub remarks: Vec<Remark>,
}

/// The records of a pinned source. Reads are pure: the bytes never change.
pub trait Records: Send + Sync {
    /// The record at a position, with its item key, or the fault that makes it a dead letter.
    fn record(&self, position: u64) -> Record;

    /// The position of the item with this key.
    fn find(&self, key: &str) -> Option<u64>;

    /// The bytes of the record at a position as they stand in the source, valid or not; `None` when
    /// there are none.
    fn content(&self, position: u64) -> Option<Vec<u8>>;
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The item key as far as it is known.
    pub key: Option<String>,
    /// The record itself, or why it is a dead letter.
    pub value: Result<Arc<Value>, Fault>,
    /// How new it is, when it says more than its run (rule R6).
    pub version: Option<String>,
}
