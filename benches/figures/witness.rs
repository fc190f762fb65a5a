//! What the log of an effect says: how often each effect was carried out, told by somebody else than
//! the engine. Another engine that is measured beside ours writes the same lines.
//!
//! A line is `RUN STEP ITEM`, with single spaces: a name of the run, the name of the step, and the
//! position of the item in the source from 0, or `-` for a step of the run itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, ensure};

/// Greatest position that is believed: the count takes a byte for each position up to the greatest.
const POSITION_MAX: usize = 1 << 28;
/// How many of the effects that are wrong are named.
const NAMED_MAX: usize = 5;

/// One effect: run, step, position. A step of the run itself has position 0.
pub(crate) type Name = (String, String, usize);

/// How often each effect was carried out.
#[derive(Default)]
pub(crate) struct Witness {
    /// By run and step; a byte for each position, which says 255 for more.
    effects: BTreeMap<String, Vec<u8>>,
}

impl Witness {
    /// Counts the lines of a log. A log that is not there has none.
    ///
    /// # Errors
    /// It cannot be read, or has a line that is none of ours, which the last one may be when whoever
    /// wrote it was killed.
    pub(crate) fn of(log: &Path) -> anyhow::Result<Self> {
        let file = match File::open(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let (mut witness, mut line) = (Self::default(), String::new());
        let mut lines = BufReader::with_capacity(1 << 18, file);
        while lines.read_line(&mut line)? > 0 {
            let (effect, position) = read(&line).with_context(|| format!("{}: {line:?}", log.display()))?;
            witness.count(effect, position);
            line.clear();
        }
        Ok(witness)
    }

    fn count(&mut self, effect: &str, position: usize) {
        if !self.effects.contains_key(effect) {
            self.effects.insert(effect.to_owned(), Vec::new());
        }
        let Some(counts) = self.effects.get_mut(effect) else { return };
        if counts.len() <= position {
            counts.resize(position + 1, 0);
        }
        counts[position] = counts[position].saturating_add(1);
    }

    /// How many different effects were carried out.
    pub(crate) fn effects(&self) -> u64 {
        let counts = self.effects.values().flatten();
        counts.filter(|count| **count > 0).map(|_| 1).sum()
    }

    /// Those that were carried out more than once, with how often.
    pub(crate) fn repeated(&self) -> Vec<(Name, u8)> {
        let mut repeated = Vec::new();
        for (effect, counts) in &self.effects {
            let (run, step) = effect.split_once(' ').unwrap_or_default();
            let more = counts.iter().enumerate().filter(|(_, count)| **count > 1);
            repeated.extend(more.map(|(at, count)| ((run.to_owned(), step.to_owned(), at), *count)));
        }
        repeated
    }

    /// Holds when so many different effects were carried out, each once, and those in doubt at most
    /// once more for each time that they were.
    ///
    /// # Errors
    /// What was lost, or done twice without a doubt.
    pub(crate) fn holds(&self, expected: u64, doubts: &BTreeMap<Name, u8>) -> anyhow::Result<()> {
        let effects = self.effects();
        ensure!(effects == expected, "{effects} effects in the log, not {expected}");
        let allowed = |name: &Name| doubts.get(name).copied().unwrap_or(0).saturating_add(1);
        let mut wrong = self.repeated();
        wrong.retain(|(name, count)| *count > allowed(name));
        let named = &wrong[..wrong.len().min(NAMED_MAX)];
        ensure!(wrong.is_empty(), "{} effects were done twice, among them {named:?}", wrong.len());
        Ok(())
    }
}

/// Run and step, as they stand in the line, and the position.
fn read(line: &str) -> Option<(&str, usize)> {
    let (effect, item) = line.strip_suffix('\n')?.rsplit_once(' ')?;
    let is_effect = effect.split(' ').count() == 2;
    let position = if item == "-" { 0 } else { item.parse().ok()? };
    (is_effect && position < POSITION_MAX).then_some((effect, position))
}
