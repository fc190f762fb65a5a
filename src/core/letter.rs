//! Which dead letters are meant: one filter for whoever lists them, redrives them or gives them up.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, State};
use super::fault::Fault;
use super::plan::PlanStep;
use super::time::Timestamp;

/// Which dead letters. What is `None` lets all of them through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterFilter {
    /// Only those at this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only those with this error name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only those that were given up before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Only those that were given up at this instant or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl LetterFilter {
    /// Whether the cell of a step is a dead letter that is meant.
    pub fn picks(&self, step: &PlanStep, cell: &Cell) -> bool {
        cell.state == State::DeadLettered && self.matches(&step.name, cell.fault.as_ref(), cell.at)
    }

    /// Whether a dead letter that ended at this step, for this reason, at this instant is meant.
    pub fn matches(&self, step: &str, fault: Option<&Fault>, at: Timestamp) -> bool {
        let error = fault.map(|fault| fault.name.as_str());
        self.step.as_deref().is_none_or(|name| name == step)
            && self.error.as_deref().is_none_or(|name| error == Some(name))
            && self.before.is_none_or(|before| at < before)
            && self.since.is_none_or(|since| at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cell::SettleBy;
    use crate::core::tests::{AT, cell, effect};

    #[test]
    fn a_dead_letter_is_meant_by_step_error_and_age() {
        let picks =
            |filter: &LetterFilter, state| filter.picks(&effect("pim", &[], SettleBy::Probe), &cell(state));
        let all = LetterFilter::default();
        assert!(picks(&all, State::DeadLettered));
        assert!(!picks(&all, State::Cancelled) && !picks(&all, State::InDoubt(None)));
        let step = |name: &str| LetterFilter { step: Some(name.to_owned()), ..all.clone() };
        assert_eq!(
            (picks(&step("pim"), State::DeadLettered), picks(&step("shop"), State::DeadLettered)),
            (true, false)
        );
        let error = |name: &str| LetterFilter { error: Some(name.to_owned()), ..all.clone() };
        assert_eq!(
            (picks(&error("Refused"), State::DeadLettered), picks(&error("Timeout"), State::DeadLettered)),
            (true, false)
        );
        let before = |at| LetterFilter { before: Some(at), ..all.clone() };
        let since = |at| LetterFilter { since: Some(at), ..all.clone() };
        assert!(
            !picks(&before(AT), State::DeadLettered)
                && picks(&before(Timestamp(AT.0 + 1)), State::DeadLettered)
        );
        assert!(
            picks(&since(AT), State::DeadLettered)
                && !picks(&since(Timestamp(AT.0 + 1)), State::DeadLettered)
        );
    }
}
