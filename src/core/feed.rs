//! Which items come in next: in a row, or those that were chosen.

use std::sync::Arc;

use super::desk::Desk;
use super::id::Unit;
use super::selection::Positions;

/// The next items.
pub(super) struct Wave {
    pub(super) items: Vec<Unit>,
    /// Where the wave after it begins.
    pub(super) fed: u64,
}

impl Desk {
    /// Works on these items only; all others stay as they are, and the watermark where it is.
    pub fn choose(&mut self, chosen: Arc<Positions>) {
        self.chosen = Some(chosen);
        self.skip_unchosen();
    }

    /// Whether only chosen items are worked on.
    pub fn is_choosy(&self) -> bool {
        self.chosen.is_some()
    }

    /// Whether a unit is to be worked on at all.
    pub fn works_on(&self, unit: Unit) -> bool {
        match (unit, &self.chosen) {
            (Unit::Item(position), Some(chosen)) => chosen.contains(position),
            (Unit::Item(_) | Unit::Closing(_), _) | (Unit::Run, None) => true,
            (Unit::Run, Some(_)) => false,
        }
    }

    /// Items that were not asked for yet.
    pub(super) fn left_to_feed(&self) -> u64 {
        match (&self.chosen, self.total) {
            (_, None) => 0,
            (None, Some(total)) => total.saturating_sub(self.fed),
            (Some(chosen), Some(_)) => chosen.count_from(self.fed),
        }
    }

    /// The next items, at most `count`.
    pub(super) fn next_wave(&self, count: u64) -> Wave {
        let Some(chosen) = &self.chosen else {
            let fed = self.fed + count;
            return Wave { items: (self.fed..fed).map(Unit::Item).collect(), fed };
        };
        let mut wave = Wave { items: Vec::new(), fed: self.fed };
        while (wave.items.len() as u64) < count
            && let Some(position) = chosen.next_from(wave.fed)
        {
            wave.items.push(Unit::Item(position));
            wave.fed = position + 1;
        }
        wave
    }

    /// Goes on to the next chosen item, or to the end.
    pub(super) fn skip_unchosen(&mut self) {
        if let (Some(chosen), Some(total)) = (&self.chosen, self.total) {
            self.fed = chosen.next_from(self.fed).unwrap_or(total).min(total);
        }
    }
}
