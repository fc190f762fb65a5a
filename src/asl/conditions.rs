//! Which conditions a Choice can look at, and which values they look at. Nothing else of the run leaves the
//! engine.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::shape::Shape;
use crate::core::catalog::{Catalog, Role};
use crate::core::cell::Facts;
use crate::core::workflow::{InputKind, Workflow};
use crate::expr::{Expression, Holds, Outside, Why};

/// The names that lead from a value to what is looked at in it. None: all of it.
type Path = Vec<String>;

/// The conditions of a workflow.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    /// Per step its condition, if it has one.
    of: BTreeMap<usize, Condition>,
    /// What is looked at of the input.
    inputs: Vec<Path>,
    /// What is looked at of the facts of a step, by its name.
    facts: BTreeMap<String, Vec<Path>>,
}

/// A condition of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// A Choice looks at it: its text.
    Exported(String),
    /// The engine looks at it, because of these.
    Kept(Vec<Outside>),
}

impl Conditions {
    /// The conditions of a checked workflow.
    pub(super) fn of(workflow: &Workflow, catalog: &Catalog, shape: &Shape) -> Self {
        let mut made = Self::default();
        for (at, step) in workflow.steps.iter().enumerate() {
            let Some(when) = step.when.as_deref().and_then(|text| Expression::parse(text).ok()) else {
                continue;
            };
            // On the item track a pure step gives its item, and the engine alone knows how far that is.
            let outside = when.outside(&|names| holds(workflow, catalog, shape, names));
            if outside.is_empty() {
                made.of.insert(at, Condition::Exported(when.text().to_owned()));
                made.looks_at(&when);
            } else {
                made.of.insert(at, Condition::Kept(outside));
            }
        }
        made
    }

    fn looks_at(&mut self, when: &Expression) {
        for reference in when.references() {
            match reference.names.split_first() {
                Some((root, path)) if root == "input" => self.inputs.push(path.to_vec()),
                Some((_, names)) => {
                    if let Some((step, path)) = names.split_first() {
                        self.facts.entry(step.clone()).or_default().push(path.to_vec());
                    }
                }
                None => {}
            }
        }
    }

    /// The condition of a step.
    pub(super) fn get(&self, step: usize) -> Option<&Condition> {
        self.of.get(&step)
    }

    /// The condition of a step, when a Choice looks at it.
    pub(super) fn exported(&self, step: usize) -> Option<&str> {
        match self.of.get(&step) {
            Some(Condition::Exported(text)) => Some(text),
            Some(Condition::Kept(_)) | None => None,
        }
    }

    /// Whether a condition looks at facts of this step.
    pub(super) fn wants_facts(&self, step: &str) -> bool {
        self.facts.contains_key(step)
    }

    /// What conditions look at of the facts of steps: how many values.
    pub(super) fn facts_wanted(&self) -> usize {
        self.facts.values().map(Vec::len).sum()
    }

    /// What conditions look at of the input.
    pub(super) fn input(&self, input: &Value) -> Value {
        if self.inputs.is_empty() { Value::Object(Map::new()) } else { part(input, &self.inputs) }
    }

    /// What conditions look at of the facts of a step.
    pub(super) fn facts(&self, step: &str, facts: &Facts) -> Map<String, Value> {
        let Some(paths) = self.facts.get(step) else { return Map::new() };
        match part(&Value::Object(facts.clone().into_iter().collect()), paths) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// What Step Functions knows of the value with these names: inputs by their kind, facts of run steps.
fn holds(workflow: &Workflow, catalog: &Catalog, shape: &Shape, names: &[String]) -> Option<Holds> {
    match names {
        [root] if root == "input" => Some(Holds::Anything),
        [root, name] if root == "input" => Some(match workflow.input.get(name)?.kind {
            InputKind::Uri | InputKind::Text => Holds::Text,
            InputKind::Number => Holds::Number,
            InputKind::Bool => Holds::Bool,
        }),
        [root, ..] if root == "input" => Some(Holds::Anything),
        [root, name, ..] if root == "steps" => {
            let at = workflow.steps.iter().position(|step| step.name == *name)?;
            let role = catalog.step(&workflow.steps[at].uses)?.role;
            let returns = !matches!(role, Role::Pure | Role::Source);
            (returns && !shape.places[at].on_items).then_some(Holds::Anything)
        }
        _ => None,
    }
}

/// Whether a condition looks at the item, or at what was done for it.
pub(super) fn is_about_items(workflow: &Workflow, shape: &Shape, outside: &Outside) -> bool {
    let mut names = outside.token.split('.');
    outside.why == Why::Absent
        && match (names.next(), names.next()) {
            (Some("item"), _) => true,
            (Some("steps"), Some(name)) => {
                let at = workflow.steps.iter().position(|step| step.name == name);
                at.is_some_and(|at| shape.places[at].on_items || shape.places[at].role == Role::Source)
            }
            _ => false,
        }
}

/// A value without what no path leads to. A path goes through lists as JSONata does.
fn part(value: &Value, paths: &[Path]) -> Value {
    if paths.iter().any(Vec::is_empty) {
        return value.clone();
    }
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, inner)| {
                let into = paths.iter().filter_map(|path| path.split_first());
                let further: Vec<Path> =
                    into.filter(|(first, _)| *first == name).map(|(_, rest)| rest.to_vec()).collect();
                (!further.is_empty()).then(|| (name.clone(), part(inner, &further)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| part(item, paths)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_value_only_what_is_looked_at_leaves() {
        let value = json!({ "a": { "b": 1, "c": 2 }, "list": [{ "b": 1, "c": 2 }, 3], "other": 4 });
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Path>();
        let kept = part(&value, &[path("a.b"), path("list.c")]);
        assert_eq!(kept, json!({ "a": { "b": 1 }, "list": [{ "c": 2 }, 3] }));
        assert_eq!(part(&value, &[path("a"), Vec::new()]), value);
    }
}
