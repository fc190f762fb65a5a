//! Whether the state is sound: every row by itself, and what rows and files say of each other.

mod entrants;
mod queues;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::core::alert::Alert;
use crate::core::care::{Damage, Verified};
use crate::core::event::Event;
use crate::core::id::RunId;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::signal::{Awaiting, Kept};
use crate::core::start::StartKey;
use crate::core::tally::{StepTally, Tally};
use crate::core::trigger::Mark;

use super::super::block::{Block, CELLS, Found, ITEMS, Record};
use super::super::cells::{self, Count, Paged};
use super::super::error::Error;
use super::super::open::DAMAGED;
use super::super::rows::{self, Rows};
use super::super::wire::Input;
use super::super::{claims, codec, keys};
use super::walk::{self, Raw};
use super::{PlanOf, kept, named_by, words};

/// Checks everything.
pub(super) fn verify(rows: &Rows, dir: &Path, plan_of: &PlanOf<'_>) -> Verified {
    let mut check = Check { rows, found: Verified::default(), runs: HashMap::new(), named: BTreeSet::new() };
    check.read_runs(plan_of);
    for raw in walk::rows(rows, b"") {
        match raw {
            Ok(raw) => check.row(&raw),
            Err(error) => check.found.add(Damage::Journal, "the journal", error.to_string()),
        }
    }
    let mut runs: Vec<(RunId, State)> = std::mem::take(&mut check.runs).into_iter().collect();
    runs.sort_by_key(|(id, _)| *id);
    for (id, state) in runs {
        check.sums(id, &state);
    }
    check.files();
    check.leftovers(dir);
    let mut found = check.found;
    found.sound = found.findings.is_empty();
    found
}

struct Check<'a> {
    rows: &'a Rows,
    found: Verified,
    runs: HashMap<RunId, State>,
    /// Files that rows name.
    named: BTreeSet<String>,
}

/// What is gathered about a run.
#[derive(Default)]
struct State {
    /// `None` for one whose removal was begun.
    run: Option<Run>,
    plan: Option<Arc<Plan>>,
    watermark: u64,
    stored: Tally,
    pages: u64,
    counted: Tally,
    /// Items with a record before the watermark.
    passed: u64,
    events: u64,
    /// Items with an entrant.
    entrants: u64,
    /// Those of them that were dead letters from the start, perhaps without a body.
    unsound: BTreeSet<u64>,
}

impl Check<'_> {
    /// Runs come first: whatever else there is belongs to one.
    fn read_runs(&mut self, plan_of: &PlanOf<'_>) {
        for raw in walk::rows(self.rows, keys::GOING).flatten() {
            if let Some(id) = words::run_in(&raw.key) {
                self.runs.insert(id, State::default());
            }
        }
        for raw in walk::rows(self.rows, keys::RUNS).flatten() {
            let Some(id) = words::run_in(&raw.key) else { continue };
            let mut state = State::default();
            if let Ok(run) = self.decoded::<Run>(&raw) {
                match plan_of(&run) {
                    Ok(plan) => state.plan = Some(plan),
                    Err(why) => self.found.add(Damage::Definition, format!("the definition of {id}"), why),
                }
                state.watermark = self.rows.watermark(id).unwrap_or(0);
                state.run = Some(run);
            }
            self.found.seen.runs += 1;
            self.runs.insert(id, state);
        }
    }

    fn decoded<T: serde::de::DeserializeOwned>(&self, raw: &Raw) -> Result<T, Error> {
        cells::from_json(&raw.payload(self.rows)?).map_err(codec::at(&raw.key))
    }

    fn row(&mut self, raw: &Raw) {
        self.found.seen.rows += 1;
        self.named.extend(raw.address());
        let run = words::run_of(&raw.key);
        let read = if run.is_some_and(|run| self.is_going(run)) && !raw.key.starts_with(keys::RUNS) {
            // Part of the run is gone, so what is left says nothing of the rest: each row is whole, no more.
            self.found.collectable.rows += 1;
            raw.payload(self.rows).map(drop)
        } else {
            self.read(raw)
        };
        if let Err(error) = read {
            self.damaged(&raw.key, &error);
        }
        // A run whose record cannot be read is told of where its row is.
        if let Some(run) = run
            && !self.runs.contains_key(&run)
        {
            self.found.add(Damage::RunMissing, words::place(&raw.key), format!("there is no run {run}"));
        }
    }

    /// Whether the removal of a run was begun, and cut short.
    fn is_going(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|state| state.run.is_none())
            && matches!(self.rows.db.contains_key(keys::going(run)), Ok(true))
    }

    fn damaged(&mut self, key: &[u8], error: &Error) {
        let (kind, what) = match error {
            Error::Damaged { what, .. } => (Damage::Row, (*what).to_owned()),
            Error::Format { found, .. } => {
                (Damage::Format, format!("it has format {found}, which this version does not know"))
            }
            Error::NotKept(address) => (Damage::FileMissing, format!("its content {address} is missing")),
            Error::NotGenuine(address) => {
                (Damage::FileDamaged, format!("its content {address} is not what was put there"))
            }
            Error::Sled(_) | Error::Io { .. } | Error::Stopped(_) | Error::Unreadable(_) => {
                (Damage::Journal, error.to_string())
            }
        };
        self.found.add(kind, words::place(key), what);
    }

    /// Reads one row as what its key says it is.
    fn read(&mut self, raw: &Raw) -> Result<(), Error> {
        let key: &[u8] = &raw.key;
        let payload = raw.payload(self.rows)?;
        let at = codec::at(key);
        match key.first() {
            Some(b'M' | b'N' | b'W') => drop(Input::new(&payload).number().map_err(at)?),
            Some(b'R') => {
                let run: Run = cells::from_json(&payload).map_err(at)?;
                if keys::run(run.id) != key {
                    self.found.add(Damage::Row, words::place(key), format!("it is about {}", run.id));
                }
            }
            Some(b'V') => {
                drop(cells::from_json::<Event>(&payload).map_err(at)?);
                self.event(key);
            }
            Some(b'T') => self.tally(key, &payload)?,
            Some(b'I') => self.items(key, &payload)?,
            Some(b'U') => self.steps(key, &payload)?,
            Some(b'Q') => self.messages(key, &payload)?,
            Some(b'A') => self.entrants(key, &payload)?,
            Some(b'B') => self.body(key),
            Some(b'S') => self.spilled(key, &payload)?,
            Some(b'D') => drop(kept::decode(&payload).map_err(at)?),
            Some(b'P') => drop(cells::from_json::<StartKey>(&payload).map_err(at)?),
            Some(b'E') => drop(cells::from_json::<Kept>(&payload).map_err(at)?),
            Some(b'H') => drop(cells::from_json::<Awaiting>(&payload).map_err(at)?),
            Some(b'O') => drop(cells::from_json::<Alert>(&payload).map_err(at)?),
            Some(b'L') => drop(cells::from_json::<Mark>(&payload).map_err(at)?),
            Some(b'K') => drop(claims::row(&payload).map_err(at)?),
            Some(b'G') => {}
            _ => {
                let what = "this version of milepost knows no such rows".to_owned();
                self.found.add(Damage::Format, words::place(key), what);
            }
        }
        Ok(())
    }

    fn event(&mut self, key: &[u8]) {
        let (Some(run), Some(number)) = (words::run_in(key), keys::last_number(key)) else { return };
        let Some(state) = self.runs.get_mut(&run).filter(|state| state.run.is_some()) else { return };
        let expected = std::mem::replace(&mut state.events, number + 1);
        if number != expected {
            let what = format!("event {expected} should be before it, and is missing");
            self.found.add(Damage::Gap, words::place(key), what);
        }
    }

    fn tally(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let mut page = Tally::default();
        cells::add_tally_page(&mut page, payload).map_err(codec::at(key))?;
        let (Some(run), Some(number)) = (words::run_in(key), keys::last_number(key)) else { return Ok(()) };
        let Some(state) = self.runs.get_mut(&run) else { return Ok(()) };
        if number == 0 {
            state.stored.units = page.units;
        }
        if number != state.pages {
            let what = format!("page {} should be before it, and is missing", state.pages);
            self.found.add(Damage::Gap, words::place(key), what);
        }
        state.pages = number + 1;
        state.stored.steps.extend(page.steps);
        Ok(())
    }

    fn items(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let block = Block::decode(payload).map_err(codec::at(key))?;
        let number = keys::last_number(key).unwrap_or_default();
        for slot in block.filled() {
            self.found.seen.items += 1;
            if let Some(progress) = self.record::<Progress>(key, &block, slot) {
                let position = ITEMS.position(number, slot);
                words::run_in(key).inspect(|run| self.has_body(*run, position, &progress));
                self.item(key, position, &progress);
            }
        }
        Ok(())
    }

    fn item(&mut self, key: &[u8], position: u64, progress: &Progress) {
        let Some(run) = words::run_in(key) else { return };
        let Some(state) = self.runs.get_mut(&run) else { return };
        state.counted.shift(None, progress);
        let is_passed = position < state.watermark;
        state.passed += u64::from(is_passed);
        let Some(plan) = &state.plan else { return };
        let place = || format!("item {position} of {run}");
        // Steps that were added to the definition since reach an item when it is next worked on.
        let progress = progress.clone().fitted(&plan.items);
        if progress.cells.len() > plan.items.steps.len() {
            let (has, expected) = (progress.cells.len(), plan.items.steps.len());
            let what = format!("it has {has} steps, and its definition {expected}");
            self.found.add(Damage::Row, place(), what);
        } else if is_passed && !progress.is_at_rest(&plan.items) {
            let standing = progress.standing().state.word();
            let what = format!("it is {standing}, and lies before the watermark {}", state.watermark);
            self.found.add(Damage::Watermark, place(), what);
        }
    }

    fn steps(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        let block = Block::decode(payload).map_err(codec::at(key))?;
        for slot in block.filled() {
            if slot == CELLS.extra() {
                self.record::<Count>(key, &block, slot);
            } else {
                self.record::<Paged>(key, &block, slot);
            }
        }
        Ok(())
    }

    /// The record in a slot; what is wrong with it is told of.
    fn record<T: Record>(&mut self, key: &[u8], block: &Block, slot: usize) -> Option<T> {
        let spill = keys::spill(key, slot);
        let read = match block.get(slot).map_err(codec::at(key)) {
            Ok(Found::Nothing) => return None,
            Ok(Found::Here(record)) => Ok(record),
            Ok(Found::Spilled) => match self.rows.get(&spill) {
                Ok(Some(payload)) => rows::alone(&spill, &payload),
                Ok(None) => {
                    let what = format!("it is missing; {} says that it is there", words::place(key));
                    self.found.add(Damage::Spill, words::place(&spill), what);
                    return None;
                }
                // Told of where that row is read by itself.
                Err(_) => return None,
            },
            Err(error) => Err(error),
        };
        match read {
            Ok(record) => Some(record),
            Err(error) => {
                self.damaged(key, &error);
                None
            }
        }
    }

    fn spilled(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        Block::decode(payload).map_err(codec::at(key))?;
        let Some((block, slot)) = keys::of_spill(key) else {
            self.found.add(Damage::Row, words::place(key), "its key names no block");
            return Ok(());
        };
        // A block that cannot be read is told of where its row is.
        let Ok(found) = self.rows.block(block) else { return Ok(()) };
        if !found.is_some_and(|block| block.is_spilled(slot)) {
            let what = format!("{} does not know of it", words::place(block));
            self.found.add(Damage::Spill, words::place(key), what);
        }
        Ok(())
    }

    /// What the rows of one run come to.
    fn sums(&mut self, id: RunId, state: &State) {
        let Some(run) = &state.run else { return };
        self.all_have_entrants(id, run, state.entrants);
        let place = format!("the counts of {id}");
        if state.stored.units != state.counted.units {
            let (counts, records) = (state.stored.units, state.counted.units);
            let what = format!("they say {counts:?}; the records come to {records:?}");
            self.found.add(Damage::Tally, &place, what);
        }
        let steps = state.stored.steps.len().max(state.counted.steps.len());
        for step in 0..steps {
            // Calls are counted nowhere else, so there is nothing to hold them against.
            let of = |tally: &Tally| tally.steps.get(step).copied().unwrap_or_default();
            let (StepTally { units, attempts, .. }, counted) = (of(&state.stored), of(&state.counted));
            if units != counted.units || attempts != counted.attempts {
                let what = format!(
                    "step {step}: they say {units:?} and {attempts} attempts; the records come to {:?} and {}",
                    counted.units, counted.attempts
                );
                self.found.add(Damage::Tally, &place, what);
            }
        }
        if state.passed < state.watermark {
            let missing = state.watermark - state.passed;
            let what = format!("{missing} of the {} items before it have no record", state.watermark);
            self.found.add(Damage::Watermark, format!("the watermark of {id}"), what);
        }
        for (name, address) in named_by(run) {
            if self.named.insert(address.clone())
                && let Err(error) = self.rows.files.check(&address)
            {
                self.file(&format!("{name}, {id}"), &error);
            }
        }
    }

    fn file(&mut self, place: &str, error: &Error) {
        let kind = match error {
            Error::NotKept(_) => Damage::FileMissing,
            _ => Damage::FileDamaged,
        };
        self.found.add(kind, place, error.to_string());
    }

    fn files(&mut self) {
        self.found.seen.files = self.named.len() as u64;
        match self.rows.files.all() {
            Ok(listing) => {
                for (address, bytes) in listing.addresses {
                    if !self.named.contains(&address) {
                        self.found.collectable.files += 1;
                        self.found.collectable.bytes += bytes;
                    }
                }
                self.found.collectable.leftovers.extend(listing.others);
            }
            Err(error) => {
                self.found.add(Damage::FileMissing, "the content-addressed files", error.to_string());
            }
        }
    }

    /// What processes that died have left beside the rows.
    fn leftovers(&mut self, dir: &Path) {
        let names = |dir: &Path| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let journal = dir.join(super::super::open::JOURNAL);
        let unfinished = names(&journal).into_iter().filter(|name| name.ends_with(".generating"));
        let aside = names(dir).into_iter().filter(|name| name.starts_with(DAMAGED));
        let mut left: Vec<String> = unfinished.map(|name| format!("journal/{name}")).chain(aside).collect();
        left.sort();
        self.found.collectable.leftovers.extend(left);
    }
}
