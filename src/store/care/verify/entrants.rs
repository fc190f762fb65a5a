//! Whether what open runs have taken in is whole: each item has its entrant, and its body until it is
//! finished.

use super::super::super::block::{Block, ITEMS};
use super::super::super::codec;
use super::super::super::error::Error;
use super::super::super::keys;
use super::super::words;
use super::Check;
use crate::core::care::Damage;
use crate::core::id::RunId;
use crate::core::inflow::Entrant;
use crate::core::progress::Progress;
use crate::core::run::Run;

impl Check<'_> {
    pub(super) fn entrants(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let block = Block::decode(payload).map_err(codec::at(key))?;
        let number = keys::last_number(key).unwrap_or_default();
        for slot in block.filled() {
            let entrant = self.record::<Entrant>(key, &block, slot);
            let Some(state) = words::run_in(key).and_then(|run| self.runs.get_mut(&run)) else { continue };
            state.entrants += 1;
            if entrant.is_some_and(|entrant| entrant.fault.is_some()) {
                state.unsound.insert(ITEMS.position(number, slot));
            }
        }
        Ok(())
    }

    /// A body is about an item that there is.
    pub(super) fn body(&mut self, key: &[u8]) {
        let (Some(id), Some(position)) = (words::run_in(key), keys::last_number(key)) else { return };
        let run = self.runs.get(&id).and_then(|state| state.run.as_ref());
        let count = run.and_then(|run| run.source.as_ref()).map_or(0, |source| source.count);
        if run.is_some() && position >= count {
            self.found.add(Damage::Row, words::place(key), format!("the run has taken in {count} items"));
        }
    }

    /// An item that is not finished has the body that it needs to go on. Entrants lie before items in
    /// the order of keys, so it is known which came without one.
    pub(super) fn has_body(&mut self, id: RunId, position: u64, progress: &Progress) {
        let Some(state) = self.runs.get(&id) else { return };
        let is_finished = progress.cells.iter().all(|cell| cell.state.is_passed());
        if !state.run.as_ref().is_some_and(Run::is_open_run) || is_finished {
            return;
        }
        let key = keys::body(id, position);
        let is_there = matches!(self.rows.db.contains_key(&key), Ok(true));
        if !is_there && !state.unsound.contains(&position) {
            self.found.add(Damage::Gap, words::place(&key), "it is missing, and the item is not finished");
        }
    }

    /// As many items have an entrant as the run says it has taken in.
    pub(super) fn all_have_entrants(&mut self, id: RunId, run: &Run, entrants: u64) {
        let Some(source) = run.source.as_ref().filter(|_| run.is_open_run()) else { return };
        if entrants != source.count {
            let what = format!("{entrants} of {} items have one", source.count);
            self.found.add(Damage::Gap, format!("the entrants of {id}"), what);
        }
    }
}
