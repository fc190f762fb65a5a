//! Blocks: several records in one row, each in its slot. A commit rewrites the blocks it touches;
//! a record that is too long for its slot goes to a row of its own.

use super::codec::{HEAD_BYTES, ROW_BYTES_MAX};
use super::error::Damage;
use super::pack::{WORDS_BYTES_MAX, Words};
use super::wire::{Input, put_number};

/// Base time, count of words and count of slots at their longest.
const BLOCK_HEAD_BYTES: usize = 10 + 2 + 2;
/// The length before each record.
const SLOT_HEAD_BYTES: usize = 2;

/// How many records a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    slots: usize,
}

/// 16 items of about a hundred bytes: few rows for items that flow side by side, and not too
/// much to rewrite when items in flight lie far apart.
pub(super) const ITEMS: Shape = Shape { slots: 16 };
/// Messages are about as long as items.
pub(super) const MESSAGES: Shape = Shape { slots: 16 };
/// Cells of one unit: most runs have one page.
pub(super) const CELLS: Shape = Shape { slots: 8 };

impl Shape {
    /// Which block and slot a position lies in.
    pub(super) fn place(self, position: u64) -> (u64, usize) {
        let slots = self.slots as u64;
        let slot = usize::try_from(position % slots).expect("a block has few slots");
        (position / slots, slot)
    }

    /// The position of a slot. A block that is named by damaged bytes may lie beyond all positions.
    pub(super) fn position(self, block: u64, slot: usize) -> u64 {
        block.saturating_mul(self.slots as u64).saturating_add(slot as u64)
    }

    /// The slot after the last, for a record about the whole.
    pub(super) fn extra(self) -> usize {
        self.slots
    }

    /// Longest record that stays in its slot: if all are as long, the row is just full.
    pub(super) fn record_bytes_max(self) -> usize {
        let fixed = HEAD_BYTES + BLOCK_HEAD_BYTES + WORDS_BYTES_MAX + (self.slots + 1) * SLOT_HEAD_BYTES;
        (ROW_BYTES_MAX - fixed) / (self.slots + 1)
    }
}

/// What lies in a slot.
pub(super) trait Record: Sized {
    /// The instant most others in it are near to.
    fn at(&self) -> u64;

    /// Spells the record. `base` is the block's instant.
    fn write(&self, out: &mut Vec<u8>, words: &mut Words, base: u64);

    /// Reads what [`Record::write`] wrote.
    fn read(input: &mut Input<'_>, words: &Words, base: u64) -> Result<Self, Damage>;
}

/// What was found in a slot.
#[derive(Debug, PartialEq)]
pub(super) enum Found<T> {
    /// Nothing.
    Nothing,
    /// The record.
    Here(T),
    /// A sign that the record has a row of its own.
    Spilled,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Slot {
    #[default]
    Empty,
    Inline(Box<[u8]>),
    Spilled,
}

/// What became of a slot that was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// The block's own row has to be written.
    pub(super) changed: bool,
    /// The record had a row of its own before.
    pub(super) was_spilled: bool,
    /// The payload of the record's own row, when it does not fit.
    pub(super) spill: Option<Vec<u8>>,
}

/// Records side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    base: u64,
    words: Words,
    slots: Vec<Slot>,
}

impl Block {
    /// The record in a slot.
    pub(super) fn get<T: Record>(&self, slot: usize) -> Result<Found<T>, Damage> {
        match self.slots.get(slot) {
            None | Some(Slot::Empty) => Ok(Found::Nothing),
            Some(Slot::Spilled) => Ok(Found::Spilled),
            Some(Slot::Inline(bytes)) => {
                let mut input = Input::new(bytes);
                let record = T::read(&mut input, &self.words, self.base)?;
                input.end()?;
                Ok(Found::Here(record))
            }
        }
    }

    /// Puts a record into a slot.
    pub(super) fn put<T: Record>(&mut self, shape: Shape, slot: usize, record: &T) -> Put {
        if self.is_empty() {
            // Later records are spelled relative to this, so it stays while there is one.
            self.base = record.at();
            self.words = Words::default();
        }
        let known = self.words.count();
        let mut bytes = Vec::with_capacity(128);
        record.write(&mut bytes, &mut self.words, self.base);
        if bytes.len() <= shape.record_bytes_max() {
            let (changed, was_spilled) = self.set(slot, Slot::Inline(bytes.into_boxed_slice()));
            return Put { changed, was_spilled, spill: None };
        }
        self.words.forget(known);
        let (changed, was_spilled) = self.set(slot, Slot::Spilled);
        Put { changed, was_spilled, spill: Some(Self::alone(record).encode()) }
    }

    /// Empties a slot; says whether its record had a row of its own.
    pub(super) fn clear(&mut self, slot: usize) -> bool {
        let (_, was_spilled) = self.set(slot, Slot::Empty);
        while self.slots.last() == Some(&Slot::Empty) {
            self.slots.pop();
        }
        was_spilled
    }

    /// Whether no slot holds anything.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| *slot == Slot::Empty)
    }

    /// The slots that hold something.
    pub(super) fn filled(&self) -> impl Iterator<Item = usize> + '_ {
        self.slots.iter().enumerate().filter(|(_, slot)| **slot != Slot::Empty).map(|(slot, _)| slot)
    }

    /// Whether the record of a slot has a row of its own.
    pub(super) fn is_spilled(&self, slot: usize) -> bool {
        self.slots.get(slot) == Some(&Slot::Spilled)
    }

    /// The block as a payload.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2048);
        put_number(&mut out, self.base);
        self.words.write(&mut out);
        put_number(&mut out, self.slots.len() as u64);
        for slot in &self.slots {
            match slot {
                Slot::Empty => out.push(0),
                Slot::Spilled => out.push(1),
                Slot::Inline(bytes) => {
                    put_number(&mut out, bytes.len() as u64 + 2);
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }

    /// Reads what [`Block::encode`] wrote.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, Damage> {
        let mut input = Input::new(payload);
        let base = input.number()?;
        let words = Words::read(&mut input)?;
        let count = input.length()?;
        let slots = (0..count).map(|_| slot(&mut input)).collect::<Result<_, _>>()?;
        input.end()?;
        Ok(Self { base, words, slots })
    }

    /// A block of one record, however long.
    fn alone<T: Record>(record: &T) -> Self {
        let (base, mut words, mut bytes) = (record.at(), Words::default(), Vec::new());
        record.write(&mut bytes, &mut words, base);
        Self { base, words, slots: vec![Slot::Inline(bytes.into_boxed_slice())] }
    }

    fn set(&mut self, slot: usize, new: Slot) -> (bool, bool) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Slot::Empty);
        }
        let old = std::mem::replace(&mut self.slots[slot], new);
        (old != self.slots[slot], old == Slot::Spilled)
    }
}

fn slot(input: &mut Input<'_>) -> Result<Slot, Damage> {
    let head = usize::try_from(input.number()?).map_err(|_| Damage("a length is too great"))?;
    Ok(match head {
        0 => Slot::Empty,
        1 => Slot::Spilled,
        _ => Slot::Inline(input.take(head - 2)?.into()),
    })
}
