//! Which items of a run a resume works on. Whatever is not chosen is not touched.

use sha2::{Digest, Sha256};

use super::cell::{Cell, State};
use super::id::Unit;
use super::letter::LetterFilter;
use super::plan::Track;
use super::progress::Progress;

/// Positions of one word.
const WORD: u64 = u64::BITS as u64;

/// A set of positions of items, one bit each: a million of them take 125 KB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    words: Vec<u64>,
    count: u64,
}

/// Which items a resume works on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of them, and the steps of the run itself.
    #[default]
    All,
    /// Items that did not succeed: dead letters, doubts, and those between attempts. Items that
    /// never began, or only wait, are not among them.
    Failed,
    /// Dead letters.
    DeadLettered(LetterFilter),
    /// These.
    Items(Positions),
}

impl Selection {
    /// Whether it leaves nothing out.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Whether it leaves no dead letter out.
    pub fn takes_every_letter(&self) -> bool {
        match self {
            Self::All | Self::Failed => true,
            Self::DeadLettered(filter) => *filter == LetterFilter::default(),
            Self::Items(_) => false,
        }
    }

    /// Whether a resume works on a unit at this progress (`None`: it has no record). The steps of
    /// the run itself are only part of the whole. An open closing always is: it is told of once.
    pub fn takes(&self, track: &Track, unit: Unit, progress: Option<&Progress>) -> bool {
        let position = match unit {
            Unit::Item(position) => position,
            Unit::Run => return self.is_all(),
            Unit::Closing(_) => return true,
        };
        let any = |wanted: &dyn Fn(usize, &Cell) -> bool| {
            let mut cells = progress.into_iter().flat_map(|progress| progress.cells.iter().enumerate());
            cells.any(|(step, cell)| wanted(step, cell))
        };
        match self {
            Self::All => true,
            Self::Items(positions) => positions.contains(position),
            Self::Failed => any(&|_, cell| has_failed(cell)),
            Self::DeadLettered(filter) => {
                any(&|step, cell| track.steps.get(step).is_some_and(|known| filter.picks(known, cell)))
            }
        }
    }

    /// How many of the items before `end` it takes, all of which are finished at every step.
    pub fn finished(&self, end: u64) -> u64 {
        match self {
            Self::All => end,
            Self::Items(positions) => positions.count() - positions.count_from(end),
            Self::Failed | Self::DeadLettered(_) => 0,
        }
    }

    /// Adds what it says to a digest.
    pub fn write_to(&self, digest: &mut Sha256) {
        match self {
            Self::All => digest.update(b"all"),
            Self::Failed => digest.update(b"failed"),
            // Which of them shows in their fates.
            Self::DeadLettered(_) => digest.update(b"dead-lettered"),
            Self::Items(positions) => {
                digest.update(b"items");
                positions.words.iter().for_each(|word| digest.update(word.to_be_bytes()));
            }
        }
    }

    /// How many of the items without a record it takes, when `recorded` of those that it takes
    /// have one.
    pub fn unrecorded(&self, total: u64, all_recorded: u64, recorded: u64) -> u64 {
        match self {
            Self::All => total.saturating_sub(all_recorded),
            Self::Items(positions) => positions.count().saturating_sub(recorded),
            Self::Failed | Self::DeadLettered(_) => 0,
        }
    }
}

fn has_failed(cell: &Cell) -> bool {
    match cell.state {
        State::DeadLettered | State::InDoubt(_) | State::Running | State::Backoff(_) => true,
        State::Pending | State::Waiting(_) => cell.is_doubtful(),
        State::Succeeded | State::Skipped(_) | State::Cancelled => false,
    }
}

impl Positions {
    /// Adds a position.
    pub fn insert(&mut self, position: u64) {
        let (word, bit) = place(position);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.count += u64::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    /// Whether a position is in it.
    pub fn contains(&self, position: u64) -> bool {
        let (word, bit) = place(position);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first position from `from` on.
    pub fn next_from(&self, from: u64) -> Option<u64> {
        let (first, bit) = place(from);
        let mut words = self.words.iter().enumerate().skip(first);
        words.find_map(|(at, bits)| {
            let bits = if at == first { bits & !(bit - 1) } else { *bits };
            (bits != 0).then(|| at as u64 * WORD + u64::from(bits.trailing_zeros()))
        })
    }

    /// How many positions there are from `from` on.
    pub fn count_from(&self, from: u64) -> u64 {
        let (first, bit) = place(from);
        let ones = |(at, bits): (usize, &u64)| {
            u64::from(if at == first { bits & !(bit - 1) } else { *bits }.count_ones())
        };
        self.words.iter().enumerate().skip(first).map(ones).sum()
    }
}

impl FromIterator<u64> for Positions {
    fn from_iter<I: IntoIterator<Item = u64>>(positions: I) -> Self {
        positions.into_iter().fold(Self::default(), |mut set, position| {
            set.insert(position);
            set
        })
    }
}

fn place(position: u64) -> (usize, u64) {
    (usize::try_from(position / WORD).unwrap_or(usize::MAX), 1 << (position % WORD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cell::SettleBy;
    use crate::core::fault::Fault;
    use crate::core::tests::{AT, effect, standing_at};

    #[test]
    fn a_set_of_positions_is_walked_in_order() {
        let set: Positions = [700, 0, 63, 64, 700].into_iter().collect();
        let walked: Vec<u64> =
            std::iter::successors(set.next_from(0), |last| set.next_from(last + 1)).collect();
        assert_eq!((walked, set.count()), (vec![0, 63, 64, 700], 4));
        assert_eq!([0, 1, 64, 65, 700, 701, 90_000].map(|from| set.count_from(from)), [4, 3, 2, 1, 1, 0, 0]);
        assert!(set.contains(63) && !set.contains(62) && !set.contains(1 << 40));
        assert!(Positions::default().is_empty() && Positions::default().next_from(3).is_none());
    }

    fn takes(selection: &Selection, state: State) -> bool {
        let track = Track::new(vec![effect("pim", &[], SettleBy::Probe)]);
        selection.takes(&track, Unit::Item(7), Some(&standing_at(&[state])))
    }

    #[test]
    fn failed_is_whatever_did_not_succeed_and_not_what_never_began() {
        use State as S;
        for state in [S::DeadLettered, S::InDoubt(None), S::InDoubt(Some(AT)), S::Running, S::Backoff(AT)] {
            assert!(takes(&Selection::Failed, state), "{state:?}");
        }
        for state in [S::Pending, S::Waiting(AT), S::Succeeded, S::Cancelled] {
            assert!(!takes(&Selection::Failed, state), "{state:?}");
        }
        let track = Track::default();
        assert!(!Selection::Failed.takes(&track, Unit::Item(7), None));
        assert!(!Selection::Failed.takes(&track, Unit::Run, Some(&standing_at(&[S::DeadLettered]))));
        assert!(Selection::All.takes(&track, Unit::Run, None));
        assert!(Selection::Failed.takes(&track, Unit::Closing(1), None), "a closing is told of once");
    }

    #[test]
    fn an_item_is_taken_when_any_of_its_steps_is_a_dead_letter_that_is_meant() {
        let any = Selection::DeadLettered(LetterFilter::default());
        assert!(takes(&any, State::DeadLettered) && !takes(&any, State::InDoubt(None)));
        let elsewhere = LetterFilter { step: Some("shop".to_owned()), ..LetterFilter::default() };
        assert!(!takes(&Selection::DeadLettered(elsewhere), State::DeadLettered));
        let mut got_over_it = standing_at(&[State::Succeeded]);
        got_over_it.cell_mut(0).fault = Some(Fault::new("Refused", "at first"));
        let track = Track::new(vec![effect("pim", &[], SettleBy::Probe)]);
        assert!(!any.takes(&track, Unit::Item(7), Some(&got_over_it)));
    }
}
