//! Why an attempt, an item or a run did not succeed, in words a person can act on.

use std::any::Any;

use serde::{Deserialize, Serialize};

/// Longest message kept with an item, in bytes. Longer ones are cut, so that one talkative
/// server cannot fill the store.
const MESSAGE_BYTES_MAX: usize = 600;

/// A named error with the words of whoever reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Fault {
    /// A stable error name, for example `ValidationError` or `Timeout`; what `Catch` would match.
    pub name: String,
    /// What happened, one line, without secrets.
    pub message: String,
}

/// The words of whatever panicked.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked without words")
}

impl Fault {
    /// Makes a fault; the message is cut at a character boundary when it is too long.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Self { name: name.into(), message }
    }
}

/// Error names with a meaning of their own. Connectors may use others.
pub mod name {
    /// The source is malformed, or a record is invalid under `on_invalid: fail`.
    pub const VALIDATION: &str = "ValidationError";
    /// The record breaks its schema (the item is a dead letter).
    pub const INVALID_RECORD: &str = "InvalidRecord";
    /// The item key, or a unique field of the mapped item, occurred before.
    pub const DUPLICATE: &str = "DuplicateItem";
    /// A mapping or an expression failed on this item.
    pub const MAPPING: &str = "MappingError";
    /// No answer within the step's timeout.
    pub const TIMEOUT: &str = "Timeout";
    /// The other side could not be reached; nothing was sent.
    pub const UNREACHABLE: &str = "Unreachable";
    /// The connection broke, or the answer was unreadable, after something was sent.
    pub const NO_ANSWER: &str = "NoAnswer";
    /// The other side answered with an error status.
    pub const STATUS: &str = "HttpStatus";
    /// The other side refused the content.
    pub const REFUSED: &str = "Refused";
    /// The message's digest is not that of the pinned item.
    pub const PAYLOAD_MISMATCH: &str = "payload_mismatch";
    /// The message is none of ours, or is damaged.
    pub const STRAY: &str = "StrayMessage";
    /// The body of a finished item of an open run is not kept.
    pub const LET_GO: &str = "BodyLetGo";
    /// No message came within the step's timeout.
    pub const MESSAGE_LOST: &str = "MessageLost";
    /// No signal came within the time that the step waits for it.
    pub const SIGNAL_MISSING: &str = "SignalMissing";
    /// The engine died between the intent and the outcome.
    pub const LOST: &str = "EngineDied";
    /// The engine broke off what changes nothing, because the run was to end.
    pub const BROKEN_OFF: &str = "BrokenOff";
    /// A connector panicked, or gave no verdict: a defect, never of the content.
    pub const DEFECT: &str = "Defect";
    /// The run was longer at work than its `timeout` allows.
    pub const RUN_TIMEOUT: &str = "RunTimeout";
    /// Who drives the graph cannot be reached, or refuses.
    pub const EXECUTOR: &str = "ExecutorUnreachable";
    /// An execution ended by itself, or somebody ended it where it is driven.
    pub const EXECUTION: &str = "ExecutionEnded";
    /// Who drives the graph found otherwise about a step's condition than the engine.
    pub const DISAGREED: &str = "ConditionDisagreed";
    /// A person gave the run up.
    pub const CANCELLED: &str = "RunCancelled";
    /// The order comes from an execution that another one has followed (rule R10).
    pub const SUPERSEDED: &str = "Superseded";
    /// More items failed than `tolerate` allows.
    pub const NOT_TOLERATED: &str = "ToleranceExceeded";
    /// Under `mode: once` the key stands for other content already.
    pub const KEY_CONFLICT: &str = "KeyConflict";
    /// Effects are in doubt and nobody but a person can settle them.
    pub const IN_DOUBT: &str = "EffectsInDoubt";
}
