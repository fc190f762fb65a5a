//! What becomes of a message for an item (rules R3 to R5).

use super::catalog::Role;
use super::cell::State;
use super::fault::name;
use super::plan::{DeleteAfter, Messages, Track};
use super::progress::Progress;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The item waits for it.
    Take,
    /// It proves that the effect at this step, which is in doubt, was carried out.
    Proves(usize),
    /// The item is not there yet, or still works on what the message is for: keep it hidden.
    Keep,
    /// It has served: remove it.
    Delete,
    /// The item will do nothing with it any more: leave it to the queue's redrive policy.
    Release,
}

/// Decides about a message that arrived for, or is held for, an item at this progress. `step` is
/// the step that receives it.
pub fn disposition(track: &Track, step: usize, progress: &Progress) -> Disposition {
    match progress.state(track, step) {
        State::Waiting(_) => Disposition::Take,
        State::Pending => match proven(track, step, progress) {
            Some(need) => Disposition::Proves(need),
            None if progress.is_at_rest(track) => unwanted(track, step, progress),
            None => Disposition::Keep,
        },
        State::DeadLettered | State::Cancelled => unwanted(track, step, progress),
        State::Succeeded | State::Skipped(_) if has_served(track, step, progress) => Disposition::Delete,
        State::Succeeded | State::Skipped(_) if progress.is_at_rest(track) => unwanted(track, step, progress),
        State::Succeeded | State::Skipped(_) => Disposition::Keep,
        State::Running | State::Backoff(_) | State::InDoubt(_) => Disposition::Keep,
    }
}

/// The effect in doubt that a message proves. Only one about the item says that we did something: a
/// signal says that something happened, whoever did it.
fn proven(track: &Track, step: usize, progress: &Progress) -> Option<usize> {
    let known = &track.steps[step];
    let is_doubtful = |need: &usize| {
        matches!(track.steps[*need].role, Role::Effect { .. }) && is_in_doubt(progress.cells[*need].state)
    };
    known.needs.iter().copied().filter(|_| known.messages == Messages::About).find(is_doubtful)
}

/// Whether what `delete_after` names is passed, once the message was taken.
fn has_served(track: &Track, step: usize, progress: &Progress) -> bool {
    let is_passed = |step: usize| progress.state(track, step).is_passed();
    match track.steps[step].delete_after {
        DeleteAfter::Taken => true,
        DeleteAfter::Step(after) => is_passed(after),
        DeleteAfter::Last => (0..track.steps.len()).all(is_passed),
    }
}

/// What becomes of a message with which the item will do nothing any more.
fn unwanted(track: &Track, step: usize, progress: &Progress) -> Disposition {
    match track.steps[step].messages {
        // The signal itself is kept, for a resume.
        Messages::Signals => Disposition::Delete,
        // A person decides here; another engine that got the message would repeat the effect blindly.
        Messages::Bringing if progress.cells.iter().any(|cell| is_in_doubt(cell.state)) => {
            Disposition::Delete
        }
        Messages::Bringing | Messages::About | Messages::None => Disposition::Release,
    }
}

fn is_in_doubt(state: State) -> bool {
    matches!(state, State::InDoubt(_))
}

/// The step whose message an item left behind when it was given up: released to its queue, whose
/// redrive policy takes it to the dead-letter queue.
pub fn left_to_queue(track: &Track, progress: &Progress) -> Option<usize> {
    let left = |step: &usize| {
        let cell = &progress.cells[*step];
        let came = match cell.state {
            State::DeadLettered if track.steps[*step].messages == Messages::About => {
                cell.fault.as_ref().is_some_and(|fault| fault.name == name::PAYLOAD_MISMATCH)
            }
            State::DeadLettered => true,
            state => state.is_passed(),
        };
        came && track.steps[*step].gets_messages()
            && disposition(track, *step, progress) == Disposition::Release
    };
    (0..track.steps.len()).find(left)
}
