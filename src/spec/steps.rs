//! Steps, each on its own: keys, types, words. What follows from several steps together comes later.

use serde_json::Map;

use super::codes;
use super::connections::Connections;
use super::fields::{Object, name, object, one_of, text, wrong_type};
use super::node::{Key, Node};
use super::place::{Span, StepPlaces};
use super::policy::{self, Policy};
use super::report::{Mistake, Notes};
use super::units;
use super::with;
use super::words::{either, suggest};
use crate::core::catalog::{Catalog, Descriptor, Role};
use crate::core::signal;
use crate::core::workflow::Step;
use crate::expr::Template;

const KEYS: [&str; 10] =
    ["uses", "needs", "with", "when", "connection", "batch", "retry", "timeout", "repeat", "idempotency"];
const CLOSING_KEYS: [&str; 8] =
    ["uses", "with", "when", "connection", "retry", "timeout", "repeat", "idempotency"];

/// A step as far as it can be read on its own.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) step: Step,
    /// What its connector declares; `None` when there is no such connector.
    pub(super) descriptor: Option<&'a Descriptor>,
    pub(super) places: StepPlaces,
    /// The steps it needs, with their places.
    pub(super) needs: Vec<(String, Span)>,
    /// Its expressions.
    pub(super) sites: Vec<Site>,
    /// The files it names.
    pub(super) files: Vec<(String, Span)>,
    /// What it needs could not be read, so nothing follows from that.
    pub(super) needs_unknown: bool,
}

/// Where expressions stand, and what they may look at.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) field: String,
    pub(super) sees: Sees,
    pub(super) span: Span,
    pub(super) template: Template,
}

/// What an expression may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    /// The item where the step has one.
    Item,
    /// The item, and what the step itself found outside.
    Found,
    /// The record that the source is reading.
    Record,
    /// Nothing but the input and the run: it is needed before any step has worked.
    Input,
}

impl Draft<'_> {
    pub(super) fn see(&mut self, field: &str, sees: Sees, span: Span, template: Template) {
        self.sites.push(Site { field: field.to_owned(), sees, span, template });
    }

    /// Where a key's value stands, else the name.
    pub(super) fn key(&self, name: &str) -> Span {
        self.places.keys.get(name).copied().unwrap_or(self.places.name)
    }
}

/// What every step is read against.
pub(super) struct Ground<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) connections: &'a Connections,
    pub(super) defaults: Policy,
}

/// Reads the section `steps`.
pub(super) fn steps<'a>(node: Option<&Node>, ground: &Ground<'a>, notes: &mut Notes<'_>) -> Vec<Draft<'a>> {
    let Some(node) = node else { return Vec::new() };
    let expected = "a mapping of step names to steps";
    let Some(entries) = node.map() else {
        wrong_type(node, "'steps'", expected, notes);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (key, node) in entries {
        name(&key.text, key.span, "a step", notes);
        let what = format!("step '{}'", key.text);
        if let Some(entries) = node.map() {
            let mut section = Object::new(&what, key.span, entries);
            section.only(&KEYS, notes);
            read.push(step(&section, key, ground, notes));
        } else {
            wrong_type(node, &what, "a mapping that begins with 'uses'", notes);
        }
    }
    if entries.is_empty() {
        notes.push(Mistake::new(codes::MISSING, node.span, "a workflow needs at least one step"));
    }
    read
}

/// Reads the section `on_failure`.
pub(super) fn closing<'a>(node: Option<&Node>, ground: &Ground<'a>, notes: &mut Notes<'_>) -> Vec<Draft<'a>> {
    let Some(node) = node else { return Vec::new() };
    let Some(items) = node.list() else {
        wrong_type(node, "'on_failure'", "a list of steps, each beginning with '- uses: …'", notes);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (position, node) in items.iter().enumerate() {
        let text = format!("on_failure[{position}]");
        let what = format!("'{text}'");
        let Some(section) = object(node, node.span, &what, notes) else { continue };
        let at = section.entry("uses").map_or(node.span, |(key, _)| key.span);
        let mut section = Object { at, ..section };
        section.only(&CLOSING_KEYS, notes);
        read.push(step(&section, &Key { text, span: at }, ground, notes));
    }
    read
}

fn step<'a>(section: &Object<'_>, key: &Key, ground: &Ground<'a>, notes: &mut Notes<'_>) -> Draft<'a> {
    let uses = section.require("uses", "say what the step does: uses: map", notes);
    let written = uses.and_then(|node| text(node, "'uses'", notes)).unwrap_or_default().to_owned();
    let descriptor = ground.catalog.step(&written);
    if let Some(node) = uses.filter(|_| descriptor.is_none() && !written.is_empty()) {
        let message = format!("there is no step kind '{written}'");
        let hint = suggest(&written, ground.catalog.steps.iter().map(|known| known.uses), "step kinds");
        notes.push(Mistake::new(codes::UNKNOWN_USES, node.span, message).maybe_hint(hint));
    }
    let policy = policy::policy(section, &ground.defaults, notes);
    let (line, _) = notes.source.position(key.span.start);
    let needs = needs(section, notes);
    let mut draft = Draft {
        step: Step {
            name: key.text.clone(),
            uses: written,
            needs: needs.iter().map(|(name, _)| name.clone()).collect(),
            when: None,
            connection: None,
            with: Map::new(),
            retry: policy.retry,
            timeout: policy.timeout,
            batch: policy::batch(section, descriptor, notes),
            repeat_safe: repeat_safe(section, notes),
            idempotency: policy::idempotency(section, notes),
            line,
        },
        descriptor,
        places: StepPlaces { name: key.span, ..StepPlaces::default() },
        needs,
        sites: Vec::new(),
        files: Vec::new(),
        needs_unknown: section.is_misspelled("needs")
            || section.entry("needs").is_some_and(|(_, node)| node.is_null()),
    };
    draft.places.keys = section.entries.iter().map(|(key, node)| (key.text.clone(), node.span)).collect();
    if let Some(node) = section.get("when") {
        let written = with::expression(node, "when", Sees::Item, &mut draft, notes);
        draft.step.when = written.and_then(|_| draft.sites.last().map(Site::text));
    }
    if let Some(node) = section.get("idempotency").and_then(|node| node.map()) {
        let value = |name: &str| node.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
        if let Some(node) = value("key") {
            with::expressions(node, "key", Sees::Item, &mut draft, notes);
        }
        if let Some(node) = value("version").filter(|node| !node.is_null()) {
            let version = with::expression(node, "version", Sees::Item, &mut draft, notes);
            if let Some(declared) = &mut draft.step.idempotency {
                declared.version = version;
            }
        }
    }
    with::with(section, &mut draft, notes);
    if descriptor.is_some_and(|known| known.role == Role::Listen) {
        // Signals come from people and other systems: `defaults` are for calls.
        let said = draft.step.with.get("timeout").and_then(|node| units::duration(node.as_str()?).ok());
        draft.step.timeout = said.unwrap_or(signal::TIMEOUT);
    }
    draft.step.connection = connection(section, &draft, ground, notes);
    draft
}

impl Site {
    /// The text of its one expression, without the marks.
    fn text(&self) -> String {
        self.template.expressions().first().map(|expression| expression.text().to_owned()).unwrap_or_default()
    }
}

fn needs(section: &Object<'_>, notes: &mut Notes<'_>) -> Vec<(String, Span)> {
    let Some(node) = section.get("needs") else { return Vec::new() };
    let Some(items) = node.list() else {
        let expected =
            node.written().map_or("a list of step names".to_owned(), |one| format!("a list: [{one}]"));
        wrong_type(node, "'needs'", &expected, notes);
        return node.written().map(|one| (one.to_owned(), node.span)).into_iter().collect();
    };
    let read = items.iter().filter_map(|item| {
        text(item, "every entry of 'needs'", notes).map(|name| (name.to_owned(), item.span))
    });
    let mut unique: Vec<(String, Span)> = Vec::new();
    for (name, span) in read {
        if !unique.iter().any(|(known, _)| *known == name) {
            unique.push((name, span));
        }
    }
    unique
}

fn repeat_safe(section: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    section.get("repeat").is_some_and(|node| one_of(node, "'repeat'", &["safe"], notes).is_some())
}

/// The connection's name, after checking that the step can work over each of its forms.
fn connection(
    section: &Object<'_>,
    draft: &Draft<'_>,
    ground: &Ground<'_>,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let node = section.get("connection");
    let kinds = draft.descriptor.map_or(&[][..], |known| known.connections);
    let named = || ground.connections.base.keys().map(String::as_str);
    let Some(node) = node else {
        let wanted = draft.descriptor.is_some_and(Descriptor::needs_connection);
        if wanted && !section.is_misspelled("connection") {
            let fitting = fitting(ground.connections, kinds);
            let hint = match fitting.as_slice() {
                [] => {
                    format!("add one under 'connections' with use: {}, and name it here", kinds.join(" or "))
                }
                some => format!("write connection: {}", some.join(" or ")),
            };
            let message = format!(
                "{} needs a connection: '{}' talks to an outside system",
                section.what, draft.step.uses
            );
            notes.push(Mistake::new(codes::NO_CONNECTION, section.at, message).hint(hint));
        }
        return None;
    };
    let written = text(node, "'connection'", notes)?;
    if !ground.connections.base.contains_key(written) {
        let message = format!("there is no connection '{written}'");
        let hint = suggest(written, named(), "connections")
            .unwrap_or_else(|| format!("add it: connections: {{ {written}: {{ use: … }} }}"));
        notes.push(Mistake::new(codes::UNKNOWN_CONNECTION, node.span, message).hint(hint));
        return Some(written.to_owned());
    }
    let Some(known) = draft.descriptor else { return Some(written.to_owned()) };
    if kinds.is_empty() {
        let message = format!("'{}' talks to no outside system, so it takes no connection", known.uses);
        notes.push(Mistake::new(codes::NEEDLESS_CONNECTION, node.span, message).hint("remove 'connection'"));
        return Some(written.to_owned());
    }
    for (profile, form) in ground.connections.forms(written) {
        let kind = form.connection.kind.as_str();
        if kinds.contains(&kind) || ground.catalog.connection(kind).is_none() {
            continue;
        }
        let place = profile.map_or(String::new(), |profile| format!(" in profile '{profile}'"));
        let message = format!("'{}' cannot work over '{kind}', which '{written}' is{place}", known.uses);
        let at = form.places.fields.get("use").copied().unwrap_or(form.places.name);
        notes.push(
            Mistake::new(codes::WRONG_CONNECTION, node.span, message)
                .related(at, format!("'{written}' is '{kind}' here"))
                .hint(format!("it works over {}", either(kinds.iter().copied()))),
        );
    }
    Some(written.to_owned())
}

fn fitting<'a>(connections: &'a Connections, kinds: &[&str]) -> Vec<&'a str> {
    let fits =
        connections.base.iter().filter(|(_, written)| kinds.contains(&written.connection.kind.as_str()));
    fits.map(|(name, _)| name.as_str()).collect()
}
