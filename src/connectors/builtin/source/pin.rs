//! The gate: reads all of a source once, keeps it, and checks every record. One thread cuts, some
//! threads parse and check, the calling thread puts the results in order and writes them. Nothing
//! is held but a few batches, the newest of the unique values, and some bits of each of the others.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Unusable;
use super::check::{Checked, Checker};
use super::index::{Entry, State, claim, key_hash};
use super::records::reasons;
use super::seen::{NEWEST_MAX, Seen};
use super::split::{Batch, Format, Piece, Splitter};
use crate::core::fault::{Fault, name};
use crate::core::survey::{Remark, Survey};
use crate::ports::{PinWriter, Pins, SurveyOf, Unread};

/// A batch goes to a worker when it has so many bytes…
const BATCH_BYTES: usize = 256 * 1024;
/// …or so many records.
const BATCH_RECORDS: usize = 256;
/// Batches that wait on each side of the workers.
const BATCHES_WAITING: usize = 4;
/// Invalid records named when they end the run: enough to see the pattern.
const NAMED_MAX: u64 = 3;
/// Different remarks that are counted: beyond it only known ones are, so that memory stays bounded.
const REMARKS_MAX: usize = 10_000;
/// Remarks that are told: the most frequent ones are worth mending first.
const REMARKS_TOLD_MAX: usize = 20;
/// Workers, whatever the machine: the calling thread cannot write for more.
const WORKERS_MAX: usize = 16;

/// What the gate knows when it is through.
pub(super) struct Pinned {
    pub(super) records: String,
    pub(super) index: String,
    pub(super) count: u64,
    pub(super) rejected: u64,
    pub(super) remarks: Vec<Remark>,
}

/// What a worker found out about one record.
struct Finding {
    state: State,
    key: Option<String>,
    /// What the steps behind the source know of it.
    survey: Survey,
}

/// A batch on its way.
struct Numbered {
    number: u64,
    /// The position of its first record.
    first: u64,
    batch: Batch,
}

/// A batch that was checked; the findings end where the file turned out to be malformed.
struct Examined {
    numbered: Numbered,
    findings: Vec<Finding>,
    malformed: Option<Unusable>,
}

/// Reads a whole source.
pub(super) fn pin(
    splitter: Splitter,
    checker: &Checker,
    survey: &SurveyOf<'_>,
    fail: bool,
    pins: &dyn Pins,
) -> Result<Pinned, Unread> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let strict = splitter.format() == Format::Array;
    let (to_workers, from_splitter) = sync_channel(BATCHES_WAITING);
    let (to_writer, from_workers) = sync_channel(BATCHES_WAITING);
    let shared = Mutex::new(from_splitter);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let cutting = scope.spawn(move || cut(splitter, &to_workers, stop));
        for _ in 0..workers {
            let (shared, to_writer) = (&shared, to_writer.clone());
            scope.spawn(move || {
                while let Some(numbered) = receive(shared) {
                    if to_writer.send(examine(numbered, checker, survey, strict)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(to_writer);
        let written = Writer::new(pins, checker, fail)
            .map_err(Unread::from)
            .and_then(|writer| writer.write_all(&from_workers));
        // Whatever ended the writing also ends the others: the workers find their channel closed,
        // and the splitter, which may wait for room, finds room and stops.
        drop(from_workers);
        if written.is_err() {
            stop.store(true, Ordering::Relaxed);
            while receive(&shared).is_some() {}
        }
        let cut = cutting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let writer = written?;
        cut.map_err(|(position, unusable)| unusable.unread(Some(position)))?;
        Ok(writer.finish()?)
    })
}

fn receive(shared: &Mutex<Receiver<Numbered>>) -> Option<Numbered> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Cuts the source into batches. On failure, the position of the record where it happened.
fn cut(
    mut splitter: Splitter,
    to_workers: &SyncSender<Numbered>,
    stop: &AtomicBool,
) -> Result<(), (u64, Unusable)> {
    let (mut number, mut first) = (0, 0);
    loop {
        let mut batch = Batch::default();
        batch.bytes.reserve(BATCH_BYTES);
        let mut more = Ok(true);
        while batch.bytes.len() < BATCH_BYTES
            && batch.pieces.len() < BATCH_RECORDS
            && matches!(more, Ok(true))
        {
            more = splitter.next(&mut batch);
        }
        let next = first + batch.pieces.len() as u64;
        let sent = to_workers.send(Numbered { number, first, batch });
        match more {
            Ok(true) if sent.is_ok() && !stop.load(Ordering::Relaxed) => {}
            Ok(_) => return Ok(()),
            Err(malformed) => return Err((next, malformed)),
        }
        number += 1;
        first = next;
    }
}

fn examine(numbered: Numbered, checker: &Checker, survey: &SurveyOf<'_>, strict: bool) -> Examined {
    let mut findings = Vec::with_capacity(numbered.batch.pieces.len());
    let mut malformed = None;
    for (piece, position) in numbered.batch.pieces.iter().zip(numbered.first..) {
        let finding = match checker.check(&numbered.batch.bytes[piece.start..piece.end]) {
            Ok(Checked { key, value, valid }) if valid && piece.note.is_none() => {
                Finding { state: State::Valid, key, survey: survey(position, &value) }
            }
            Ok(Checked { key, .. }) => Finding { state: State::Invalid, key, survey: Survey::default() },
            // Inside an array a broken element leaves no trust in where the next one begins.
            Err(error) if strict && !error.too_deep => {
                malformed = Some(Unusable::at(piece.at, error.message));
                break;
            }
            Err(_) => Finding { state: State::Invalid, key: None, survey: Survey::default() },
        };
        findings.push(finding);
    }
    Examined { numbered, findings, malformed }
}

/// Puts batches in order, judges duplicates, and writes.
struct Writer<'a> {
    checker: &'a Checker,
    fail: bool,
    records: Box<dyn PinWriter>,
    index: Box<dyn PinWriter>,
    seen: Seen<'a>,
    offset: u64,
    count: u64,
    invalid: u64,
    duplicates: u64,
    /// The first invalid records, in words.
    named: Vec<String>,
    remarks: HashMap<String, u64>,
}

impl<'a> Writer<'a> {
    fn new(pins: &'a dyn Pins, checker: &'a Checker, fail: bool) -> Result<Self, Fault> {
        Ok(Self {
            checker,
            fail,
            records: pins.create().map_err(|error| store_fault(&error))?,
            index: pins.create().map_err(|error| store_fault(&error))?,
            seen: Seen::new(pins, NEWEST_MAX),
            offset: 0,
            count: 0,
            invalid: 0,
            duplicates: 0,
            named: Vec::new(),
            remarks: HashMap::new(),
        })
    }

    fn write_all(mut self, examined: &Receiver<Examined>) -> Result<Self, Unread> {
        let mut early: BTreeMap<u64, Examined> = BTreeMap::new();
        let mut next = 0;
        for examined in examined {
            early.insert(examined.numbered.number, examined);
            while let Some(examined) = early.remove(&next) {
                self.write(&examined)?;
                next += 1;
            }
        }
        Ok(self)
    }

    fn write(&mut self, examined: &Examined) -> Result<(), Unread> {
        let batch = &examined.numbered.batch;
        let mut records = Vec::with_capacity(batch.bytes.len() + batch.pieces.len());
        let mut index = Vec::new();
        for (piece, finding) in batch.pieces.iter().zip(&examined.findings) {
            let record = &batch.bytes[piece.start..piece.end];
            let offset = self.offset + records.len() as u64;
            let (state, note) = self.judge(piece, record, finding)?;
            let note = note.as_deref().map_or("", fitting);
            records.extend_from_slice(record);
            records.extend_from_slice(note.as_bytes());
            records.push(b'\n');
            let entry = Entry {
                offset,
                length: u32::try_from(record.len()).unwrap_or(u32::MAX),
                state,
                note: u16::try_from(note.len()).unwrap_or(u16::MAX),
                key: finding.key.as_deref().map_or(0, key_hash),
            };
            index.extend_from_slice(&entry.to_bytes());
            self.count += 1;
        }
        self.offset += records.len() as u64;
        self.records.write_all(&records).map_err(|error| store_fault(&error))?;
        self.index.write_all(&index).map_err(|error| store_fault(&error))?;
        match &examined.malformed {
            Some(malformed) => Err(malformed.clone().unread(Some(self.count))),
            None => Ok(()),
        }
    }

    /// The state of a record, and the note to keep with it.
    fn judge(
        &mut self,
        piece: &Piece,
        record: &[u8],
        finding: &Finding,
    ) -> Result<(State, Option<String>), Fault> {
        if finding.state == State::Invalid {
            self.invalid += 1;
            if self.fail && self.invalid <= NAMED_MAX {
                let reasons = reasons(self.checker, record, piece.note.as_deref());
                self.named.push(format!("record {} ({}): {reasons}", self.count, piece.at));
            }
            return Ok((State::Invalid, piece.note.clone()));
        }
        let key = finding.key.as_deref().unwrap_or_default();
        let own = std::iter::once(("", key));
        let unique = finding.survey.unique.iter().map(|(field, value)| (field.as_str(), value.as_str()));
        let claims: Vec<_> =
            own.chain(unique).map(|(field, value)| (field, value, claim(field, value))).collect();
        for (field, value, claim) in &claims {
            if self.seen.has(*claim).map_err(|error| store_fault(&error))? {
                self.duplicates += 1;
                let field = if field.is_empty() { "item key" } else { field };
                return Ok((State::Duplicate, Some(format!("{field} '{value}'"))));
            }
        }
        for (_, _, claim) in claims {
            self.seen.keep(claim).map_err(|error| store_fault(&error))?;
        }
        for remark in &finding.survey.remarks {
            if self.remarks.len() < REMARKS_MAX || self.remarks.contains_key(remark) {
                *self.remarks.entry(remark.clone()).or_default() += 1;
            }
        }
        Ok((State::Valid, None))
    }

    fn finish(self) -> Result<Pinned, Fault> {
        if self.fail && self.invalid > 0 {
            let more = if self.invalid > NAMED_MAX { "; …" } else { "" };
            let message = format!(
                "{} of {} records are invalid: {}{more}",
                self.invalid,
                self.count,
                self.named.join("; ")
            );
            return Err(Fault::new(name::VALIDATION, message));
        }
        let remarks = most_frequent(self.remarks);
        Ok(Pinned {
            records: self.records.finish().map_err(|error| store_fault(&error))?,
            index: self.index.finish().map_err(|error| store_fault(&error))?,
            count: self.count,
            rejected: self.invalid + self.duplicates,
            remarks,
        })
    }
}

/// The remarks worth telling, the most frequent first.
fn most_frequent(counted: HashMap<String, u64>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = counted.into_iter().map(|(text, items)| Remark { text, items }).collect();
    remarks.sort_by(|one, other| other.items.cmp(&one.items).then_with(|| one.text.cmp(&other.text)));
    remarks.truncate(REMARKS_TOLD_MAX);
    remarks
}

/// As much of a note as an entry can measure.
fn fitting(note: &str) -> &str {
    let limit = note.len().min(usize::from(u16::MAX));
    let end = (0..=limit).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
    &note[..end]
}

/// The store failed: no fault of the source.
pub(super) fn store_fault(error: &dyn std::fmt::Display) -> Fault {
    Fault::new("StoreError", error.to_string())
}

#[cfg(test)]
mod tests;
