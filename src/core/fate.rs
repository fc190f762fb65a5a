//! What a resume does with each step of one unit. The plan that is shown and the resume that is
//! carried out ask the same function ([`fates`]), so they cannot differ.

use serde::{Deserialize, Serialize};

use super::catalog::Role;
use super::cell::{Cell, Kind, SettleBy, State};
use super::fault::name;
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
    /// It was done, or refused, under an earlier revision of its step: it is done anew.
    OutOfDate,
    /// It never ran.
    NeverRan,
    /// It was between attempts, or waiting: it goes on, with a new budget.
    GoesOn,
    /// It waits for a signal, or gave up waiting: it waits anew, and takes one that came meanwhile.
    Listens,
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
    /// Nothing: the unit was not chosen.
    LeftOut,
}

impl Fate {
    /// Whether a resume does something.
    pub fn acts(self) -> bool {
        match self {
            Self::Failed
            | Self::OutOfDate
            | Self::NeverRan
            | Self::GoesOn
            | Self::SentAgain
            | Self::Listens
            | Self::InDoubt(SettleBy::Probe | SettleBy::Repeat) => true,
            Self::Reuse
            | Self::InDoubt(SettleBy::Person)
            | Self::Stays
            | Self::GivenUp
            | Self::Blocked
            | Self::LeftOut => false,
        }
    }

    pub(super) fn letter(self) -> u8 {
        match self {
            Self::Reuse => b'r',
            Self::Failed => b'f',
            Self::OutOfDate => b'u',
            Self::NeverRan => b'n',
            Self::GoesOn => b'g',
            Self::Listens => b'w',
            Self::SentAgain => b'm',
            Self::InDoubt(SettleBy::Probe) => b'p',
            Self::InDoubt(SettleBy::Repeat) => b'a',
            Self::InDoubt(SettleBy::Person) => b'd',
            Self::Stays => b's',
            Self::GivenUp => b'c',
            Self::Blocked => b'b',
            Self::LeftOut => b'o',
        }
    }

    /// The words for it in a plan.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Reuse => "",
            Self::Failed => "failed",
            Self::OutOfDate => "out of date",
            Self::NeverRan => "never ran",
            Self::GoesOn => "was between attempts or waiting",
            Self::Listens => "waits for a signal",
            Self::SentAgain => "republish: message lost",
            Self::InDoubt(SettleBy::Probe) => "in doubt: looked up first",
            Self::InDoubt(SettleBy::Repeat) => "in doubt: repeated, which is declared harmless",
            Self::InDoubt(SettleBy::Person) => "in doubt: a person decides",
            Self::Stays => "same content would be refused again",
            Self::GivenUp => "given up by a person",
            Self::Blocked => "a step before it stays as it is",
            Self::LeftOut => "not selected",
        }
    }
}

/// What a resume does with one step of a unit at this progress.
pub fn fate(track: &Track, progress: &Progress, step: usize) -> Fate {
    fates(track, progress)[step]
}

/// What a resume does with each step of a unit at this progress. One walk in the order of the
/// track: following the paths back from each step would visit some steps once per path.
pub fn fates(track: &Track, progress: &Progress) -> Vec<Fate> {
    let mut fates: Vec<Fate> = Vec::with_capacity(track.steps.len());
    for (step, (known, cell)) in track.steps.iter().zip(progress.cells.iter()).enumerate() {
        let blocked = is_blocked(known, &fates);
        fates.push(match progress.state(track, step) {
            State::Succeeded | State::Skipped(_) => Fate::Reuse,
            State::Running | State::InDoubt(_) => Fate::InDoubt(known.settle),
            State::DeadLettered if is_recomputed(known, cell) => Fate::Stays,
            State::Cancelled => Fate::GivenUp,
            // Time passes all the same.
            State::Waiting(_) if known.role == Role::Timer => Fate::GoesOn,
            _ if blocked => Fate::Blocked,
            State::Waiting(_) if known.role == Role::Listen => Fate::Listens,
            State::DeadLettered if missed_its_signal(cell) => Fate::Listens,
            State::DeadLettered => Fate::Failed,
            State::Backoff(_) | State::Waiting(_) => Fate::GoesOn,
            State::Pending if cell.state == State::Pending && !is_redone(known, cell) => Fate::NeverRan,
            State::Pending => Fate::OutOfDate,
        });
    }
    for step in 0..fates.len() {
        if is_lost(track, progress, step) {
            for need in &track.steps[step].needs {
                // Only where a repeat is harmless; else the step waits for what may still come.
                let known = &track.steps[*need];
                let sends = matches!(known.role, Role::Effect { .. }) && known.settle == SettleBy::Repeat;
                let sent = fates[*need] == Fate::Reuse && progress.cells[*need].state == State::Succeeded;
                if sends && sent && !is_blocked(known, &fates) {
                    fates[*need] = Fate::SentAgain;
                }
            }
        }
    }
    fates
}

/// Whether a step cannot be reached, because one before it stays as it is.
fn is_blocked(step: &PlanStep, fates: &[Fate]) -> bool {
    let blocks = |need: &usize| {
        matches!(fates[*need], Fate::Stays | Fate::GivenUp | Fate::Blocked | Fate::InDoubt(SettleBy::Person))
    };
    !step.tolerant && step.needs.iter().any(blocks)
}

/// What a resume that leaves this unit out does with each of its steps.
pub fn fates_left_out(track: &Track, progress: &Progress) -> Vec<Fate> {
    let left_out = |fate: Fate| if fate.acts() { Fate::LeftOut } else { fate };
    fates(track, progress).into_iter().map(left_out).collect()
}

/// A message that a step waited for did not come (rule R5).
fn is_lost(track: &Track, progress: &Progress, step: usize) -> bool {
    let cell = &progress.cells[step];
    track.steps[step].gets_messages()
        && cell.state == State::DeadLettered
        && cell.fault.as_ref().is_some_and(|fault| fault.name == name::MESSAGE_LOST)
}

fn missed_its_signal(cell: &Cell) -> bool {
    cell.fault.as_ref().is_some_and(|fault| fault.name == name::SIGNAL_MISSING)
}

/// The events that a resume records for a unit before it goes on, by step.
pub fn revival(track: &Track, progress: &Progress) -> Vec<(usize, Kind)> {
    fates(track, progress)
        .into_iter()
        .enumerate()
        .filter_map(|(step, fate)| match (fate, progress.cells[step].state) {
            // One that cannot be reached must not go on by itself either.
            (Fate::Failed, _)
            | (Fate::Listens, State::DeadLettered)
            | (Fate::GoesOn | Fate::Blocked, State::Backoff(_))
                if !progress.is_outdated(track, step) =>
            {
                Some((step, Kind::Revived))
            }
            // The message may have been there all along, and nobody to receive it.
            (Fate::GoesOn | Fate::Listens | Fate::Blocked, State::Waiting(_))
                if track.steps[step].gets_messages() && !progress.is_outdated(track, step) =>
            {
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
/// intent without an outcome is in doubt, and what is out of date begins anew.
pub fn at_admission(track: &Track, progress: &Progress, now: Timestamp) -> Vec<(usize, Kind)> {
    let until = |step: &PlanStep| (step.settle != SettleBy::Person).then_some(now);
    let cells = || progress.cells.iter().enumerate();
    let lost = cells().filter(|(_, cell)| cell.state == State::Running);
    let lost = lost.map(|(step, _)| (step, Kind::Lost { until: until(&track.steps[step]) }));
    // After those: a doubt implies the pure steps before it, whatever they are worth now.
    let outdated = cells().filter(|(step, _)| progress.is_outdated(track, *step));
    lost.chain(outdated.map(|(step, _)| (step, Kind::Outdated))).collect()
}

/// A dead letter that pure computation would only reach again: same source, same definition. The
/// source itself is read again when it never was pinned.
fn is_recomputed(step: &PlanStep, cell: &Cell) -> bool {
    // A key may be free by now.
    let is_conflict = cell.fault.as_ref().is_some_and(|fault| fault.name == name::KEY_CONFLICT);
    step.role == Role::Pure
        || (cell.attempts == 0
            && !is_conflict
            && !matches!(step.role, Role::Source | Role::Receive | Role::Listen))
}

/// Whether it was done under an earlier revision, and a resume has begun to do it again.
fn is_redone(step: &PlanStep, cell: &Cell) -> bool {
    cell.redone > 0 && cell.revision < step.revision
}
