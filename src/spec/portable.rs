//! Where something stands that somebody found out who knows the workflow, but not its text.

use std::collections::BTreeMap;

use super::place::Span;
use super::report::{Mistake, finding};
use super::{Checked, Report, codes};

impl Checked {
    /// Line and column (from 1) of a text in a key of a step, or in a field of its `with`; of the key where
    /// the text is not in there, of the step where it has no such key.
    pub fn step_position(&self, step: &str, field: &str, text: &str) -> (u32, u32) {
        self.source.position(self.step_span(step, field, text).start)
    }

    /// Line and column of a connection, both from 1.
    pub fn connection_position(&self, connection: &str) -> (u32, u32) {
        let known = self.places.connections.get(connection);
        self.source.position(known.map(|places| places.name).unwrap_or_default().start)
    }

    /// The report on a workflow that an executor cannot drive, because of something at this place.
    pub fn not_portable(&self, at: Option<(&str, &str, &str)>, message: &str, hint: &str) -> Report {
        let span = at.map(|(step, field, text)| self.step_span(step, field, text)).unwrap_or_default();
        let mistake = Mistake::new(codes::NOT_PORTABLE, span, message).hint(hint);
        let next = format!("milepost run {}", self.source.name);
        let finding = finding(&mistake, &self.source, &next);
        let sources = BTreeMap::from([(self.source.name.clone(), self.source.clone())]);
        Report { findings: vec![finding], sources }
    }

    fn step_span(&self, step: &str, field: &str, text: &str) -> Span {
        let Some(places) = self.places.steps.get(step) else { return Span::default() };
        let field = places.with.get(field).or_else(|| places.keys.get(field));
        field.map_or(places.name, |span| self.source.inside(*span, text))
    }
}
