//! What a resume will do, before it does it. The plan that is shown and the resume that is carried
//! out ask the same function ([`fates`]), so they cannot differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::Role;
use super::cell::{Cell, Kind, SettleBy, State};
use super::fault::name;
use super::id::{RunId, Unit};
use super::plan::{PlanStep, Track};
use super::progress::Progress;
use super::time::Timestamp;

/// What a resume does with one step of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is done: nothing.
    Reuse,
    /// It was given up: a new budget of attempts.
    Failed,
    /// It never ran.
    NeverRan,
    /// It was between attempts, or waiting: it goes on, with a new budget.
    GoesOn,
    /// It is done, but what it sent was lost on the way: it is sent again under the same ID.
    SentAgain,
    /// It is in doubt and settled in this way.
    InDoubt(SettleBy),
    /// Nothing: the same content would be refused again.
    Stays,
    /// Nothing: a person gave it up.
    GivenUp,
    /// Nothing: a step before it stays as it is.
    Blocked,
}

/// What a resume will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePlan {
    /// The run.
    pub run: RunId,
    /// Names exactly this plan.
    pub hash: String,
    /// Work that is kept.
    pub reuse: Vec<Share>,
    /// Work that is done.
    pub execute: Vec<Share>,
    /// Effects in doubt, one by one; at most 10,000 of them.
    pub in_doubt: Vec<Doubt>,
    /// How many effects are in doubt.
    pub doubts: u64,
    /// Items that are done at every step.
    pub done: u64,
    /// Units that stay as they are.
    pub stays: Vec<Share>,
}

/// A share of the items at one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The step.
    pub step: String,
    /// How many items (for a run step: 1).
    pub items: u64,
    /// Why; empty for work that is kept.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}

/// One effect in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The step.
    pub step: String,
    /// The item's position; none for a run step.
    pub item: Option<u64>,
    /// The attempt that has no outcome.
    pub attempt: u32,
    /// How it is settled.
    pub settle_by: SettleBy,
}

/// What a resume does with one step of a unit at this progress.
pub fn fate(track: &Track, progress: &Progress, step: usize) -> Fate {
    fates(track, progress)[step]
}

/// What a resume does with each step of a unit at this progress. One walk in the order of the
/// track: following the paths back from each step would visit some steps once per path.
pub fn fates(track: &Track, progress: &Progress) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::with_capacity(track.steps.len());
    for (known, cell) in track.steps.iter().zip(&progress.cells) {
        fates.push(match cell.state {
            State::Succeeded | State::Skipped(_) => Fate::Reuse,
            State::Running | State::InDoubt(_) => Fate::InDoubt(known.settle),
            State::DeadLettered if is_recomputed(known, cell) => Fate::Stays,
            State::DeadLettered => Fate::Failed,
            State::Cancelled => Fate::GivenUp,
            State::Backoff(_) | State::Waiting(_) => Fate::GoesOn,
            State::Pending => {
                let blocks = |need: &usize| {
                    matches!(
                        fates[*need],
                        Fate::Stays | Fate::GivenUp | Fate::Blocked | Fate::InDoubt(SettleBy::Person)
                    )
                };
                if !known.tolerant && known.needs.iter().any(blocks) { Fate::Blocked } else { Fate::NeverRan }
            }
        });
    }
    for step in 0..fates.len() {
        if is_lost(track, progress, step) {
            for need in &track.steps[step].needs {
                // Only where a repeat is harmless; else the step waits for what may still come.
                let known = &track.steps[*need];
                let sends = matches!(known.role, Role::Effect { .. }) && known.settle == SettleBy::Repeat;
                if sends && fates[*need] == Fate::Reuse {
                    fates[*need] = Fate::SentAgain;
                }
            }
        }
    }
    fates
}

/// A message that a step waited for did not come (rule R5).
fn is_lost(track: &Track, progress: &Progress, step: usize) -> bool {
    let cell = &progress.cells[step];
    track.steps[step].role == Role::Receive
        && cell.state == State::DeadLettered
        && cell.fault.as_ref().is_some_and(|fault| fault.name == name::MESSAGE_LOST)
}

/// The events that a resume records for a unit before it goes on, by step.
pub fn revival(track: &Track, progress: &Progress) -> Vec<(usize, Kind)> {
    fates(track, progress)
        .into_iter()
        .enumerate()
        .filter_map(|(step, fate)| match (fate, progress.cells[step].state) {
            (Fate::Failed, _) | (Fate::GoesOn, State::Backoff(_)) => Some((step, Kind::Revived)),
            // The message may have been there all along, and nobody to receive it.
            (Fate::GoesOn, State::Waiting(_)) if track.steps[step].role == Role::Receive => {
                Some((step, Kind::Revived))
            }
            (Fate::InDoubt(SettleBy::Probe | SettleBy::Repeat), State::InDoubt(_)) => {
                Some((step, Kind::Revived))
            }
            (Fate::SentAgain, _) => Some((step, Kind::Resent)),
            _ => None,
        })
        .collect()
}

/// The events that follow from finding a unit's record when no call of it can be under way: an
/// intent without an outcome is in doubt.
pub fn at_admission(track: &Track, progress: &Progress, now: Timestamp) -> Vec<(usize, Kind)> {
    let until = |step: &PlanStep| (step.settle != SettleBy::Person).then_some(now);
    progress
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| cell.state == State::Running)
        .map(|(step, _)| (step, Kind::Lost { until: until(&track.steps[step]) }))
        .collect()
}

/// A dead letter that pure computation would only reach again: same source, same definition. The
/// source itself is read again when it never was pinned.
fn is_recomputed(step: &PlanStep, cell: &Cell) -> bool {
    step.role == Role::Pure || (cell.attempts == 0 && step.role != Role::Source && step.role != Role::Receive)
}

/// Adds up what a resume will do, unit by unit.
#[derive(Debug)]
pub struct Planner<'a> {
    track: &'a Track,
    counts: Vec<BTreeMap<Fate, u64>>,
    doubts: Vec<Doubt>,
    doubt_count: u64,
    done: u64,
    recorded: u64,
    digest: Sha256,
}

/// Most effects in doubt that a plan lists one by one; the counts are always whole.
const DOUBTS_LISTED_MAX: usize = 10_000;

impl<'a> Planner<'a> {
    /// A planner for the units of one track of a run in this epoch.
    pub fn new(track: &'a Track, run: RunId, epoch: u32) -> Self {
        let mut digest = Sha256::new();
        digest.update(run.0.to_be_bytes());
        digest.update(epoch.to_be_bytes());
        Self {
            track,
            counts: vec![BTreeMap::new(); track.steps.len()],
            doubts: Vec::new(),
            doubt_count: 0,
            done: 0,
            recorded: 0,
            digest,
        }
    }

    /// Adds a unit that has a record.
    pub fn add(&mut self, unit: Unit, progress: &Progress) {
        self.recorded += 1;
        let item = match unit {
            Unit::Item(position) => Some(position),
            Unit::Run | Unit::Closing(_) => None,
        };
        self.digest.update(item.unwrap_or(u64::MAX).to_be_bytes());
        let fates = fates(self.track, progress);
        self.done += u64::from(item.is_some() && fates.iter().all(|fate| *fate == Fate::Reuse));
        for (step, (known, fate)) in self.track.steps.iter().zip(fates).enumerate() {
            *self.counts[step].entry(fate).or_default() += 1;
            self.digest.update([fate.letter()]);
            if let Fate::InDoubt(settle_by) = fate {
                self.digest.update(progress.cells[step].attempts.to_be_bytes());
                self.doubt_count += 1;
                if self.doubts.len() < DOUBTS_LISTED_MAX {
                    let cell = &progress.cells[step];
                    let attempt = cell.attempts + u32::from(cell.state == State::Running);
                    self.doubts.push(Doubt { step: known.name.clone(), item, attempt, settle_by });
                }
            }
        }
    }

    /// Ends the plan of a track with `total` units, those without a record included.
    pub fn finish(mut self, total: u64) -> TrackPlan {
        let unrecorded = total.saturating_sub(self.recorded);
        self.digest.update(total.to_be_bytes());
        let mut plan = TrackPlan {
            doubts: self.doubts,
            doubt_count: self.doubt_count,
            done: self.done,
            ..TrackPlan::default()
        };
        for (step, known) in self.track.steps.iter().enumerate() {
            *self.counts[step].entry(Fate::NeverRan).or_default() += unrecorded;
            for (fate, items) in self.counts[step].iter().filter(|(_, items)| **items > 0) {
                // A source that is pinned shows in its items, which have its name.
                if known.role == Role::Source && *fate == Fate::Reuse {
                    continue;
                }
                let share =
                    Share { step: known.name.clone(), items: *items, reason: fate.reason().to_owned() };
                match fate {
                    Fate::Reuse => plan.reuse.push(share),
                    Fate::Stays | Fate::GivenUp | Fate::Blocked | Fate::InDoubt(SettleBy::Person) => {
                        plan.stays.push(share);
                    }
                    Fate::Failed
                    | Fate::NeverRan
                    | Fate::GoesOn
                    | Fate::SentAgain
                    | Fate::InDoubt(SettleBy::Probe | SettleBy::Repeat) => plan.execute.push(share),
                }
            }
        }
        plan.hash = hex(&self.digest.finalize());
        plan
    }
}

/// What a resume will do on one track.
#[derive(Clone, Debug, Default)]
pub struct TrackPlan {
    reuse: Vec<Share>,
    execute: Vec<Share>,
    stays: Vec<Share>,
    doubts: Vec<Doubt>,
    doubt_count: u64,
    done: u64,
    hash: String,
}

impl TrackPlan {
    fn tells_of(&self, step: &str) -> bool {
        let mut shares = self.reuse.iter().chain(&self.execute).chain(&self.stays);
        shares.any(|share| share.step == step)
    }
}

impl Fate {
    fn letter(self) -> u8 {
        match self {
            Self::Reuse => b'r',
            Self::Failed => b'f',
            Self::NeverRan => b'n',
            Self::GoesOn => b'g',
            Self::SentAgain => b'm',
            Self::InDoubt(SettleBy::Probe) => b'p',
            Self::InDoubt(SettleBy::Repeat) => b'a',
            Self::InDoubt(SettleBy::Person) => b'd',
            Self::Stays => b's',
            Self::GivenUp => b'c',
            Self::Blocked => b'b',
        }
    }

    /// The words for it in a plan.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Reuse => "",
            Self::Failed => "failed",
            Self::NeverRan => "never ran",
            Self::GoesOn => "was between attempts or waiting",
            Self::SentAgain => "republish: message lost",
            Self::InDoubt(SettleBy::Probe) => "in doubt: looked up first",
            Self::InDoubt(SettleBy::Repeat) => "in doubt: repeated, which is declared harmless",
            Self::InDoubt(SettleBy::Person) => "in doubt: a person decides",
            Self::Stays => "same content would be refused again",
            Self::GivenUp => "given up by a person",
            Self::Blocked => "a step before it stays as it is",
        }
    }
}

/// Joins the plans of the tracks of a run. The source is a step of both: once there are items it
/// is told by them, so that no step is counted twice.
pub fn join(run: RunId, mut tracks: Vec<TrackPlan>) -> ResumePlan {
    if let Some((of_items, others)) = tracks.split_last_mut() {
        for track in others {
            for shares in [&mut track.reuse, &mut track.execute, &mut track.stays] {
                shares.retain(|share| !of_items.tells_of(&share.step));
            }
        }
    }
    let mut digest = Sha256::new();
    let mut plan = ResumePlan {
        run,
        hash: String::new(),
        reuse: Vec::new(),
        execute: Vec::new(),
        in_doubt: Vec::new(),
        doubts: 0,
        done: 0,
        stays: Vec::new(),
    };
    for track in tracks {
        plan.reuse.extend(track.reuse);
        plan.execute.extend(track.execute);
        plan.stays.extend(track.stays);
        plan.in_doubt.extend(track.doubts);
        plan.doubts += track.doubt_count;
        plan.done += track.done;
        digest.update(track.hash.as_bytes());
    }
    plan.hash = hex(&digest.finalize()[..PLAN_HASH_BYTES]);
    plan
}

/// 64 bits: enough that two plans of one run never share a hash, short enough to type.
const PLAN_HASH_BYTES: usize = 8;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
