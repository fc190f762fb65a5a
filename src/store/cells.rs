//! Records of units, spelled for the store: progress, single cells with their calls, counts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::cell::{Cell, Facts, SkipReason, State};
use crate::core::event::Event;
use crate::core::fault::Fault;
use crate::core::progress::Progress;
use crate::core::run::{Run, Status};
use crate::core::start::StartKey;
use crate::core::tally::{Calls, Counts, StepTally, Tally};
use crate::core::time::Timestamp;

use super::block::Record;
use super::error::Damage;
use super::pack::{self, Words};
use super::wire::{Input, put_bytes, put_distance, put_number};

/// How many steps one page of a tally holds; the greatest entry takes 140 bytes.
pub(super) const TALLY_PAGE: usize = 24;

/// A cell that is as it was made takes this one byte.
const FRESH: u8 = 15;
/// This byte stands before a cell that says when its last attempt began.
const BEGAN: u8 = 14;
const STATE_BITS: u8 = 0x0f;
const ONE_ATTEMPT: u8 = 0x10;
const COUNTERS: u8 = 0x20;
const ALL_COUNTERS: u8 = ONE_ATTEMPT | COUNTERS;
const FACTS: u8 = 0x40;
const FAULT: u8 = 0x80;

impl Record for Progress {
    fn at(&self) -> u64 {
        self.cells.iter().map(|cell| cell.at.0).find(|at| *at > 0).unwrap_or(0)
    }

    fn write(&self, out: &mut Vec<u8>, words: &mut Words, base: u64) {
        put_number(out, self.cells.len() as u64);
        let mut before = base;
        for cell in self.cells.iter() {
            put_cell(out, words, cell, &mut before);
        }
    }

    fn read(input: &mut Input<'_>, words: &Words, base: u64) -> Result<Self, Damage> {
        progress(input, words, base, facts)
    }
}

/// The progress of a unit without the facts: they are passed over, which takes a fraction of the time.
pub(super) struct Outline(pub(super) Progress);

impl Record for Outline {
    fn at(&self) -> u64 {
        self.0.at()
    }

    fn write(&self, out: &mut Vec<u8>, words: &mut Words, base: u64) {
        self.0.write(out, words, base);
    }

    fn read(input: &mut Input<'_>, words: &Words, base: u64) -> Result<Self, Damage> {
        progress(input, words, base, no_facts).map(Self)
    }
}

fn progress(input: &mut Input<'_>, words: &Words, base: u64, facts: ReadFacts) -> Result<Progress, Damage> {
    let count = input.length()?;
    let mut before = base;
    let cell = |_| cell(input, words, &mut before, facts).map(Arc::new);
    let cells = (0..count).map(cell).collect::<Result<_, _>>()?;
    Ok(Progress { cells })
}

/// One cell of a unit that has its cells in pages, with the calls of its step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Paged {
    pub(super) cell: Cell,
    pub(super) calls: Calls,
}

impl Record for Paged {
    fn at(&self) -> u64 {
        self.cell.at.0
    }

    fn write(&self, out: &mut Vec<u8>, words: &mut Words, base: u64) {
        put_cell(out, words, &self.cell, &mut { base });
        if self.calls != Calls::default() {
            let Calls { batches, calls, accepted, refused } = self.calls;
            for number in [batches, calls, accepted, refused] {
                put_number(out, number);
            }
        }
    }

    fn read(input: &mut Input<'_>, words: &Words, base: u64) -> Result<Self, Damage> {
        let cell = cell(input, words, &mut { base }, facts)?;
        let mut calls = Calls::default();
        if !input.is_empty() {
            for number in [&mut calls.batches, &mut calls.calls, &mut calls.accepted, &mut calls.refused] {
                *number = input.number()?;
            }
        }
        Ok(Self { cell, calls })
    }
}

/// A plain number in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl Record for Count {
    fn at(&self) -> u64 {
        0
    }

    fn write(&self, out: &mut Vec<u8>, _words: &mut Words, _base: u64) {
        put_number(out, self.0);
    }

    fn read(input: &mut Input<'_>, _words: &Words, _base: u64) -> Result<Self, Damage> {
        input.number().map(Self)
    }
}

fn put_cell(out: &mut Vec<u8>, words: &mut Words, cell: &Cell, before: &mut u64) {
    if *cell == Cell::default() {
        out.push(FRESH);
        return;
    }
    let (code, until) = state_code(cell.state);
    let counters = match (cell.attempts, cell.spent, cell.looks, cell.doubts + cell.revision, cell.redone) {
        (0, 0, 0, 0, 0) => 0,
        (1, 1, 0, 0, 0) => ONE_ATTEMPT,
        (_, _, _, 0, 0) => COUNTERS,
        _ => ALL_COUNTERS,
    };
    let facts = if cell.facts.is_empty() { 0 } else { FACTS };
    let fault = if cell.fault.is_none() { 0 } else { FAULT };
    if cell.began.is_some() {
        out.push(BEGAN);
    }
    out.push(code | counters | facts | fault);
    put_distance(out, *before, cell.at.0);
    if let Some(began) = cell.began {
        put_distance(out, cell.at.0, began.0);
    }
    *before = cell.at.0;
    if let Some(until) = until {
        put_distance(out, cell.at.0, until.0);
    }
    let written: &[u32] = match counters {
        ALL_COUNTERS => &[cell.attempts, cell.spent, cell.looks, cell.doubts, cell.revision, cell.redone],
        COUNTERS => &[cell.attempts, cell.spent, cell.looks],
        _ => &[],
    };
    for counter in written {
        put_number(out, u64::from(*counter));
    }
    if facts != 0 {
        put_number(out, cell.facts.len() as u64);
        for (name, value) in &cell.facts {
            words.put(out, name);
            pack::put_value(out, words, value);
        }
    }
    if let Some(fault) = &cell.fault {
        words.put(out, &fault.name);
        put_bytes(out, fault.message.as_bytes());
    }
}

/// Reads facts, or passes over them.
type ReadFacts = fn(&mut Input<'_>, &Words) -> Result<Facts, Damage>;

fn facts(input: &mut Input<'_>, words: &Words) -> Result<Facts, Damage> {
    let mut facts = Facts::new();
    for _ in 0..input.length()? {
        let name = words.get(input)?;
        facts.insert(name, pack::value(input, words)?);
    }
    Ok(facts)
}

fn no_facts(input: &mut Input<'_>, _words: &Words) -> Result<Facts, Damage> {
    for _ in 0..input.length()? {
        Words::pass(input)?;
        pack::pass(input)?;
    }
    Ok(Facts::new())
}

fn cell(input: &mut Input<'_>, words: &Words, before: &mut u64, facts: ReadFacts) -> Result<Cell, Damage> {
    let first = input.byte()?;
    if first == FRESH {
        return Ok(Cell::default());
    }
    let head = if first == BEGAN { input.byte()? } else { first };
    let at = input.distance(*before)?;
    let began = if first == BEGAN { Some(Timestamp(input.distance(at)?)) } else { None };
    *before = at;
    let state = state(head & STATE_BITS, at, input)?;
    let [attempts, spent, looks, doubts, revision, redone] = counters(head & ALL_COUNTERS, input)?;
    let facts = if head & FACTS == 0 { Facts::new() } else { facts(input, words)? };
    let fault = if head & FAULT == 0 {
        None
    } else {
        Some(Fault { name: words.get(input)?, message: input.text()?.to_owned() })
    };
    let at = Timestamp(at);
    Ok(Cell { state, attempts, spent, looks, doubts, redone, revision, at, began, facts, fault })
}

fn counters(form: u8, input: &mut Input<'_>) -> Result<[u32; 6], Damage> {
    let count = match form {
        0 => 0,
        ONE_ATTEMPT => return Ok([1, 1, 0, 0, 0, 0]),
        COUNTERS => 3,
        _ => 6,
    };
    let mut counters = [0; 6];
    for counter in &mut counters[..count] {
        *counter = input.small()?;
    }
    Ok(counters)
}

fn state_code(state: State) -> (u8, Option<Timestamp>) {
    match state {
        State::Pending => (0, None),
        State::Running => (1, None),
        State::Backoff(until) => (2, Some(until)),
        State::Waiting(until) => (3, Some(until)),
        State::InDoubt(None) => (4, None),
        State::InDoubt(Some(until)) => (5, Some(until)),
        State::Succeeded => (6, None),
        State::Skipped(SkipReason::Condition) => (7, None),
        State::Skipped(SkipReason::AlreadyApplied) => (8, None),
        State::Skipped(SkipReason::Stale) => (9, None),
        State::DeadLettered => (10, None),
        State::Cancelled => (11, None),
    }
}

fn state(code: u8, at: u64, input: &mut Input<'_>) -> Result<State, Damage> {
    let mut until = || input.distance(at).map(Timestamp);
    Ok(match code {
        0 => State::Pending,
        1 => State::Running,
        2 => State::Backoff(until()?),
        3 => State::Waiting(until()?),
        4 => State::InDoubt(None),
        5 => State::InDoubt(Some(until()?)),
        6 => State::Succeeded,
        7 => State::Skipped(SkipReason::Condition),
        8 => State::Skipped(SkipReason::AlreadyApplied),
        9 => State::Skipped(SkipReason::Stale),
        10 => State::DeadLettered,
        11 => State::Cancelled,
        _ => return Err(Damage("a cell has an unknown state")),
    })
}

/// One page of a tally; the first also holds the counts of whole units.
#[derive(Serialize, Deserialize)]
struct TallyPage {
    units: Option<Counts>,
    steps: Vec<StepTally>,
}

/// A tally as the payloads of its pages, in order.
pub(super) fn put_tally(tally: &Tally) -> Vec<Vec<u8>> {
    let pages = tally.steps.len().div_ceil(TALLY_PAGE).max(1);
    let page = |number: usize| {
        let steps = tally.steps.iter().skip(number * TALLY_PAGE).take(TALLY_PAGE).copied().collect();
        let page = TallyPage { units: (number == 0).then_some(tally.units), steps };
        postcard::to_stdvec(&page).expect("numbers in memory can always be written")
    };
    (0..pages).map(page).collect()
}

/// Adds one page to a tally that is being read.
pub(super) fn add_tally_page(tally: &mut Tally, payload: &[u8]) -> Result<(), Damage> {
    let page: TallyPage = postcard::from_bytes(payload).map_err(|_| Damage("a tally is unreadable"))?;
    if let Some(units) = page.units {
        tally.units = units;
    }
    tally.steps.extend(page.steps);
    Ok(())
}

/// A run as a payload.
pub(super) fn put_run(run: &Run) -> Vec<u8> {
    put_json(serde_json::to_value(run))
}

/// An event as a payload.
pub(super) fn put_event(event: &Event) -> Vec<u8> {
    put_json(serde_json::to_value(event))
}

/// A start key as a payload.
pub(super) fn put_start_key(key: &StartKey) -> Vec<u8> {
    put_json(serde_json::to_value(key))
}

/// Reads what [`put_run`], [`put_event`] or [`put_start_key`] wrote.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Damage> {
    let mut input = Input::new(payload);
    let words = Words::read(&mut input)?;
    let value = pack::value(&mut input, &words)?;
    input.end()?;
    serde_json::from_value(value).map_err(|_| Damage("its fields are not the known ones"))
}

/// Where the run stands that [`put_run`] wrote.
pub(super) fn status(payload: &[u8]) -> Result<Status, Damage> {
    let mut input = Input::new(payload);
    let words = Words::read(&mut input)?;
    let status = pack::field(&mut input, &words, "status")?;
    let status = status.and_then(|status| serde_json::from_value(status).ok());
    status.ok_or(Damage("its fields are not the known ones"))
}

/// A value of ours as a payload.
pub(super) fn put_json(value: serde_json::Result<Value>) -> Vec<u8> {
    let value = value.expect("our own records have only text keys, so JSON can hold them");
    let mut words = Words::default();
    let mut body = Vec::new();
    pack::put_value(&mut body, &mut words, &value);
    let mut out = Vec::new();
    words.write(&mut out);
    out.extend_from_slice(&body);
    out
}
