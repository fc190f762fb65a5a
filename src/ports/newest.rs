//! Runs one after the other, the newest first: mostly the first few are all that is asked for.

use std::collections::VecDeque;

use crate::core::id::RunId;
use crate::core::run::Run;

use super::{Journal, StoreError};

/// Most runs that are read at once.
const CHUNK_MAX: usize = 128;

/// The runs that are older than `before` (`None`: of all). Reads one at first, and more at once the more
/// are asked for; ends after an error.
pub fn newest_first(
    journal: &dyn Journal,
    before: Option<RunId>,
) -> impl Iterator<Item = Result<Run, StoreError>> + '_ {
    Newest { journal, before, chunk: 1, read: VecDeque::new() }
}

struct Newest<'a> {
    journal: &'a dyn Journal,
    before: Option<RunId>,
    /// How many are read next; 0: there are no more.
    chunk: usize,
    read: VecDeque<Run>,
}

impl Newest<'_> {
    fn more(&mut self) -> Result<(), StoreError> {
        let asked = std::mem::take(&mut self.chunk);
        self.read = self.journal.runs_before(self.before, asked)?.into();
        if self.read.len() == asked {
            self.chunk = (asked * 2).min(CHUNK_MAX);
        }
        Ok(())
    }
}

impl Iterator for Newest<'_> {
    type Item = Result<Run, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty()
            && self.chunk > 0
            && let Err(error) = self.more()
        {
            return Some(Err(error));
        }
        let run = self.read.pop_front()?;
        self.before = Some(run.id);
        Some(Ok(run))
    }
}
