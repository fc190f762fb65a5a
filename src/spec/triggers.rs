//! Triggers: what starts runs by itself.

use std::collections::BTreeMap;

use serde_json::Map;

use super::codes;
use super::connections::Connections;
use super::fields::{Object, name, object, text, wrong_type};
use super::node::{Key, Node};
use super::place::{Span, StepPlaces};
use super::report::{Mistake, Notes};
use super::with;
use super::words::{either, suggest};
use crate::core::catalog::{Catalog, TriggerKind};
use crate::core::workflow::{Input, InputKind, Trigger};

const KEYS: [&str; 4] = ["uses", "connection", "with", "input"];

/// A trigger, and where its parts stand.
pub(super) struct Written {
    pub(super) trigger: Trigger,
    pub(super) places: StepPlaces,
}

/// What triggers are read against.
pub(super) struct Ground<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) connections: &'a Connections,
    pub(super) inputs: &'a BTreeMap<String, Input>,
    pub(super) input_places: &'a BTreeMap<String, Span>,
}

/// Reads the section `triggers`.
pub(super) fn triggers(node: Option<&Node>, ground: &Ground<'_>, notes: &mut Notes<'_>) -> Vec<Written> {
    let Some(node) = node else { return Vec::new() };
    let Some(entries) = node.map() else {
        wrong_type(node, "'triggers'", "a mapping of trigger names to triggers", notes);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (key, node) in entries {
        name(&key.text, key.span, "a trigger", notes);
        let what = format!("trigger '{}'", key.text);
        if let Some(entries) = node.map() {
            let mut section = Object::new(&what, key.span, entries);
            section.only(&KEYS, notes);
            read.push(trigger(&section, key, ground, notes));
        } else {
            wrong_type(node, &what, "a mapping that begins with 'uses'", notes);
        }
    }
    read
}

fn trigger(section: &Object<'_>, key: &Key, ground: &Ground<'_>, notes: &mut Notes<'_>) -> Written {
    let node = section.require("uses", "say what it waits for: uses: s3.created", notes);
    let uses = node.and_then(|node| text(node, "'uses'", notes)).unwrap_or_default();
    let kind = ground.catalog.trigger(uses);
    if let Some(node) = node.filter(|_| kind.is_none() && !uses.is_empty()) {
        let message = format!("there is no trigger kind '{uses}'");
        let hint = suggest(uses, ground.catalog.triggers.iter().map(|known| known.uses), "trigger kinds");
        notes.push(Mistake::new(codes::UNKNOWN_USES, node.span, message).maybe_hint(hint));
    }
    let mut places = StepPlaces { name: key.span, ..StepPlaces::default() };
    places.keys = section.entries.iter().map(|(key, node)| (key.text.clone(), node.span)).collect();
    let connection = connection(section, kind, ground, notes);
    let input = input(section, kind, ground, notes);
    let fields = fields(section, kind, &mut places, notes);
    let trigger = Trigger { name: key.text.clone(), uses: uses.to_owned(), connection, with: fields, input };
    Written { trigger, places }
}

/// The connection's name; `None`: it takes none, or that is a mistake. A trigger works in those profiles in which its connection is of a kind that
/// it works over, and there must be one.
fn connection(
    section: &Object<'_>,
    kind: Option<&TriggerKind>,
    ground: &Ground<'_>,
    notes: &mut Notes<'_>,
) -> Option<String> {
    if let Some(kind) = kind.filter(|kind| kind.connections.is_empty()) {
        let node = section.get("connection")?;
        let message = format!("'{}' takes no connection", kind.uses);
        notes.push(Mistake::new(codes::WRONG_CONNECTION, node.span, message).hint("leave it out"));
        return None;
    }
    let node = section.require("connection", "name the connection that it listens over", notes)?;
    let written = ground.connections.named(node, "'connection'", notes)?;
    let Some(kind) = kind else { return Some(written) };
    let works = |of: &str| kind.connections.contains(&of) || ground.catalog.connection(of).is_none();
    if !ground.connections.forms(&written).any(|(_, form)| works(&form.connection.kind)) {
        let message = format!("'{}' cannot work over '{written}', in no profile", kind.uses);
        let hint = format!("it works over {}", either(kind.connections.iter().copied()));
        notes.push(Mistake::new(codes::WRONG_CONNECTION, node.span, message).hint(hint));
    }
    Some(written)
}

/// The input that says what a run is about: a text or a URI, and the only one without a default.
/// `None`: it says nothing, or that is a mistake.
fn input(
    section: &Object<'_>,
    kind: Option<&TriggerKind>,
    ground: &Ground<'_>,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let hint = "name the input that says what a run is about: input: source";
    let node = match kind {
        Some(kind) if !kind.needs_input => section.get("input"),
        _ => Some(section.require("input", hint, notes)?),
    };
    let Some(node) = node else {
        without_default(section, None, section.at, ground, notes);
        return None;
    };
    let written = text(node, "'input'", notes)?;
    let Some(input) = ground.inputs.get(written) else {
        let message = format!("there is no input '{written}'");
        let hint = suggest(written, ground.inputs.keys().map(String::as_str), "inputs")
            .unwrap_or_else(|| format!("add it: input: {{ {written}: {{ type: uri }} }}"));
        notes.push(Mistake::new(codes::UNKNOWN_INPUT, node.span, message).hint(hint));
        return None;
    };
    if !matches!(input.kind, InputKind::Uri | InputKind::Text) {
        let at = ground.input_places.get(written).copied().unwrap_or(node.span);
        let message = format!("{} gives '{written}' a text, and it takes none", section.what);
        notes.push(
            Mistake::new(codes::WRONG_TYPE, node.span, message)
                .related(at, "this input")
                .hint("give the input type: uri"),
        );
    }
    without_default(section, Some(written), node.span, ground, notes);
    Some(written.to_owned())
}

/// Every other input needs a default.
fn without_default(
    section: &Object<'_>,
    given: Option<&str>,
    at: Span,
    ground: &Ground<'_>,
    notes: &mut Notes<'_>,
) {
    for (other, input) in ground.inputs.iter().filter(|(name, _)| Some(name.as_str()) != given) {
        if input.default.is_none() {
            let at = ground.input_places.get(other).copied().unwrap_or(at);
            let message = format!("{} gives no value to the input '{other}'", section.what);
            notes.push(
                Mistake::new(codes::MISSING, section.at, message)
                    .related(at, "this input has no default")
                    .hint("give the input a default"),
            );
        }
    }
}

fn fields(
    section: &Object<'_>,
    kind: Option<&TriggerKind>,
    places: &mut StepPlaces,
    notes: &mut Notes<'_>,
) -> Map<String, serde_json::Value> {
    let mut read = Map::new();
    let Some(kind) = kind else { return read };
    let what = format!("'with' of {}", section.what);
    let fields = match section.get("with") {
        Some(node) => object(node, section.at, &what, notes),
        None => Some(Object::new(&what, section.at, &[])),
    };
    let Some(mut fields) = fields else { return read };
    places.with = fields.entries.iter().map(|(key, node)| (key.text.clone(), node.span)).collect();
    let names: Vec<&'static str> = kind.fields.iter().map(|field| field.name).collect();
    fields.only(&names, notes);
    for field in kind.fields {
        if field.required {
            let hint = format!("'{}' needs it: {}", kind.uses, with::example(field.name, field.kind));
            fields.require(field.name, &hint, notes);
        }
        let value =
            fields.get(field.name).and_then(|node| with::literal(field.name, field.kind, node, notes));
        if let Some(value) = value {
            read.insert(field.name.to_owned(), value);
        }
    }
    read
}
