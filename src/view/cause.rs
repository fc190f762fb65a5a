//! Dead letters and doubts grouped by cause, so that a thousand of them read like three.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::item::step_name;
use super::problem::Problem;
use super::status::UnitStatus;
use crate::core::fault::Fault;

/// Records read from the store at once.
const CHUNK: usize = 512;
/// Most groups kept; whatever comes after them is only counted.
const GROUPS_MAX: usize = 50;
/// Most items looked at; the dead letters and doubts behind them are only counted.
const LOOKED_AT_MAX: u64 = 1_000_000;

/// Why items did not succeed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Causes {
    /// Groups, the largest first.
    pub causes: Vec<Cause>,
    /// Dead letters and doubts in none of these groups.
    pub others: u64,
}

/// Items that did not succeed at one step for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The step.
    pub step: String,
    /// `dead_lettered` or `in_doubt`.
    pub status: UnitStatus,
    /// The error of the first of them.
    pub error: Fault,
    /// How many they are.
    pub items: u64,
    /// The key of the first of them.
    pub example: String,
}

impl Archive {
    /// The dead letters and doubts of a run by cause, at most `limit` groups.
    pub fn causes(&self, reference: &str, limit: usize) -> Result<Causes, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let counts = self.counts(&run)?.0;
        let mut to_find = counts.dead_lettered + counts.in_doubt;
        let mut groups: Vec<(String, Cause)> = Vec::new();
        let mut others = 0;
        let mut from = 0;
        while to_find > 0 && from < LOOKED_AT_MAX {
            let records = self.journal().outlines(run.id, from, CHUNK)?;
            let Some((last, _)) = records.last() else {
                // What was counted a moment ago went on meanwhile.
                to_find = 0;
                break;
            };
            from = last + 1;
            for (position, progress) in &records {
                let (status, step) = self.stands(&run, progress);
                if !matches!(status, UnitStatus::DeadLettered | UnitStatus::InDoubt) {
                    continue;
                }
                to_find = to_find.saturating_sub(1);
                let fault = progress.cells.get(step).and_then(|cell| cell.fault.clone());
                let error = fault.unwrap_or_else(|| unsaid(status));
                let shape = format!("{step} {status} {} {}", error.name, shape(&error.message));
                if let Some((_, cause)) = groups.iter_mut().find(|(known, _)| *known == shape) {
                    cause.items += 1;
                } else if groups.len() < GROUPS_MAX {
                    let example = self.label(&run, *position);
                    let step = step_name(&plan, step);
                    groups.push((shape, Cause { step, status, error, items: 1, example }));
                } else {
                    others += 1;
                }
            }
        }
        let mut causes: Vec<Cause> = groups.into_iter().map(|(_, cause)| cause).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.items));
        let kept = causes.len().min(limit);
        others += to_find + causes.drain(kept..).map(|cause| cause.items).sum::<u64>();
        Ok(Causes { causes, others })
    }
}

/// What is said about an item whose record has no fault: its engine died in the call.
pub(super) fn unsaid(status: UnitStatus) -> Fault {
    match status {
        UnitStatus::InDoubt => {
            Fault::new(crate::core::fault::name::LOST, "the engine stopped between the call and its answer")
        }
        _ => Fault::new("Unknown", "no reason was recorded"),
    }
}

/// A message without what differs from item to item: numbers, and whatever is quoted.
fn shape(message: &str) -> String {
    let mut shape = String::with_capacity(message.len());
    let mut quote = None;
    for character in message.chars() {
        match quote {
            Some(open) => {
                if character == open {
                    quote = None;
                }
            }
            None if matches!(character, '\'' | '"' | '`') => {
                quote = Some(character);
                shape.push(character);
            }
            None if character.is_ascii_digit() => {
                if !shape.ends_with('0') {
                    shape.push('0');
                }
            }
            None => shape.push(character),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_and_quotes_are_one_cause() {
        assert_eq!(shape("key 'A-12' occurred at 7"), shape("key 'B' occurred at 1204"));
        assert_ne!(shape("/price: not a number"), shape("/title: not a number"));
    }
}
