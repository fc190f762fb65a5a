//! Where things stand in a file.

use std::collections::BTreeMap;

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Whether the two share a byte.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A file by its name and text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    /// Where its lines begin; even an empty text has one.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.to_owned(), text: text.to_owned(), lines }
    }

    /// Line and column, both from 1, the column in characters.
    pub(super) fn position(&self, at: usize) -> (u32, u32) {
        let at = self.boundary(at);
        let line = self.lines.partition_point(|start| *start <= at);
        let column = self.text[self.start_of(line.saturating_sub(1))..at].chars().count() + 1;
        (number(line), number(column))
    }

    /// The span of one character at a line and column, both from 1.
    pub(super) fn at(&self, line: u32, column: u32) -> Span {
        let skipped = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = self.start_of(skipped);
        let content = self.text[start..].split('\n').next().unwrap_or_default();
        let within = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        let offset = content.char_indices().nth(within).map_or(content.len(), |(at, _)| at);
        self.clip(Span::new(start + offset, start + content.len()))
    }

    /// The span without what stands on further lines, and never beyond the text.
    pub(super) fn clip(&self, span: Span) -> Span {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.max(start));
        let first_line = self.text[start..end].split('\n').next().unwrap_or_default().trim_end();
        Span::new(start, start + first_line.len())
    }

    /// Where `inner` stands inside `span`; the whole span when it is not found as written.
    pub(super) fn inside(&self, span: Span, inner: &str) -> Span {
        let outer = &self.text[self.boundary(span.start)..self.boundary(span.end)];
        match outer.find(inner) {
            Some(at) if !inner.is_empty() => Span::new(span.start + at, span.start + at + inner.len()),
            Some(_) | None => span,
        }
    }

    /// Where a line begins, counted from 0; one beyond the last, where the text ends.
    fn start_of(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    fn boundary(&self, at: usize) -> usize {
        (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Where each step and connection stands, so that what is found out later can be pointed at.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Steps by name, those of `on_failure` included.
    pub steps: BTreeMap<String, StepPlaces>,
    /// Triggers by name.
    pub triggers: BTreeMap<String, StepPlaces>,
    /// The names of hooks, by name.
    pub hooks: BTreeMap<String, Span>,
    /// Connections by name, after the profile.
    pub connections: BTreeMap<String, ConnectionPlaces>,
}

/// Where the parts of one step, or one trigger, stand.
#[derive(Clone, Debug, Default)]
pub struct StepPlaces {
    /// Its name (in `on_failure` the value of `uses`).
    pub name: Span,
    /// The values of its keys.
    pub keys: BTreeMap<String, Span>,
    /// The values of the fields of `with`.
    pub with: BTreeMap<String, Span>,
}

/// Where the parts of one connection stand.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPlaces {
    /// Its name.
    pub name: Span,
    /// The values of its fields, `use` included.
    pub fields: BTreeMap<String, Span>,
}
