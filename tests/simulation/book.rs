//! The outside's own journal: what was asked of it, what it did, and where it lied. No engine can
//! touch it, and every verdict of the ledger is held against it.

use std::collections::{BTreeMap, BTreeSet};

use milepost::core::id::Unit;

/// One effect: what a step of the unit's track does for the unit.
pub(crate) type Effect = (Unit, usize);

/// What happened to one effect, over all lives of the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// How often it was carried out.
    pub(crate) applied: u32,
    /// How often it was asked for.
    pub(crate) asked: u32,
    /// How often the other side said something that was not so.
    pub(crate) lies: u32,
    /// What its message came to, for an effect that sends one.
    pub(crate) mail: Mail,
    /// The present life of the engine.
    pub(crate) life: Life,
}

/// What happened to one effect in the present life of the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    /// How often it was asked for.
    pub(crate) asked: u32,
    /// How often it was looked up.
    pub(crate) looked: u32,
    /// The other side said that it never wants it.
    pub(crate) never: bool,
}

/// What the messages of one effect came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mail {
    /// Accepted, and lost on the way.
    pub(crate) lost: u32,
    /// The queue died while it took one: it is there, or it is not.
    pub(crate) open: bool,
}

/// The whole journal.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) entries: BTreeMap<Effect, Entry>,
    /// How often the source was pinned in the present life.
    pub(crate) pinned: u32,
    /// What was done before the record that it rests on was durable, or with the wrong content.
    pub(crate) wrong: Vec<String>,
}

impl Book {
    pub(crate) fn entry(&mut self, effect: Effect) -> &mut Entry {
        self.entries.entry(effect).or_default()
    }

    pub(crate) fn of(&self, effect: Effect) -> Entry {
        self.entries.get(&effect).cloned().unwrap_or_default()
    }

    /// A new life of the engine begins.
    pub(crate) fn turn_the_page(&mut self) {
        self.pinned = 0;
        for entry in self.entries.values_mut() {
            entry.life = Life::default();
        }
    }

    /// Settles which messages a dying queue took, from what is in it afterwards.
    pub(crate) fn settle_mail(&mut self, is_there: impl Fn(Effect) -> bool) {
        for (effect, entry) in &mut self.entries {
            if std::mem::take(&mut entry.mail.open) && is_there(*effect) {
                entry.applied += 1;
            }
        }
    }

    /// The effects that were called in the present life.
    pub(crate) fn called(&self) -> BTreeSet<Effect> {
        self.touched(|life| life.asked > 0)
    }

    /// The effects that were looked up in the present life.
    pub(crate) fn looked_up(&self) -> BTreeSet<Effect> {
        self.touched(|life| life.looked > 0)
    }

    fn touched(&self, by: fn(&Life) -> bool) -> BTreeSet<Effect> {
        self.entries.iter().filter(|(_, entry)| by(&entry.life)).map(|(effect, _)| *effect).collect()
    }
}
