//! The top of the file: its name, inputs, tolerance and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::codes;
use super::fields::{Object, count, duration, is_plain, mistyped, name, object, one_of, text};
use super::node::{Key, Node, Scalar};
use super::place::Span;
use super::policy::{self, Policy};
use super::report::{Mistake, Notes};
use super::terms;
use crate::core::care::RESUMABLE_FOR;
use crate::core::workflow::{Input, InputKind, Tolerance};

const KEYS: [&str; 15] = [
    "workflow",
    "description",
    "input",
    "connections",
    "profiles",
    "triggers",
    "hooks",
    "defaults",
    "steps",
    "timeout",
    "tolerate",
    "dead_letters",
    "alerts",
    "resumable_for",
    "on_failure",
];

/// The raw file: its sections, each still a tree.
pub(super) struct Raw<'a> {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) input: BTreeMap<String, Input>,
    pub(super) input_places: BTreeMap<String, Span>,
    pub(super) connections: Option<&'a Node>,
    pub(super) profiles: Option<&'a Node>,
    pub(super) triggers: Option<&'a Node>,
    pub(super) hooks: Option<&'a Node>,
    pub(super) defaults: Policy,
    /// The connection that keeps idempotency keys, as it is named.
    pub(super) key_store: Option<&'a Node>,
    pub(super) steps: Option<&'a Node>,
    pub(super) timeout: Option<Duration>,
    pub(super) tolerate: Tolerance,
    pub(super) alert: Option<Tolerance>,
    pub(super) alerts: Option<&'a Node>,
    pub(super) resumable_for: Duration,
    pub(super) on_failure: Option<&'a Node>,
}

/// Reads the top of the file.
pub(super) fn raw<'a>(root: &'a Node, notes: &mut Notes<'_>) -> Option<Raw<'a>> {
    let begin = notes.source.clip(root.span);
    let mut top = object(root, begin, "this file", notes)?;
    top.only(&KEYS, notes);
    let workflow = top
        .require("workflow", "give the workflow a name: workflow: product-sync", notes)
        .and_then(|node| text(node, "'workflow'", notes).map(|text| (text, node.span)));
    if let Some((text, span)) = workflow {
        name(text, span, "a workflow", notes);
    }
    let steps = top.require("steps", "list the steps by name under 'steps:'", notes);
    let (input, input_places) = inputs(&top, notes);
    let (defaults, key_store) =
        top.get("defaults").map_or_else(Default::default, |node| defaults(node, notes));
    Some(Raw {
        name: workflow.map(|(text, _)| text.to_owned()).unwrap_or_default(),
        description: top
            .get("description")
            .and_then(|node| text(node, "'description'", notes))
            .map(|text| text.trim().to_owned()),
        input,
        input_places,
        connections: top.get("connections"),
        profiles: top.get("profiles"),
        triggers: top.get("triggers"),
        hooks: top.get("hooks"),
        defaults,
        key_store,
        steps,
        timeout: top.get("timeout").and_then(|node| terms::longer_than_nothing(node, "'timeout'", notes)),
        tolerate: top.get("tolerate").and_then(|node| tolerate(node, notes)).unwrap_or(Tolerance::Count(0)),
        alert: top.get("dead_letters").and_then(|node| alert(node, notes)),
        alerts: top.get("alerts"),
        resumable_for: top
            .get("resumable_for")
            .and_then(|node| duration(node, "'resumable_for'", notes))
            .unwrap_or(RESUMABLE_FOR),
        on_failure: top.get("on_failure"),
    })
}

fn defaults<'a>(node: &'a Node, notes: &mut Notes<'_>) -> (Policy, Option<&'a Node>) {
    let Some(mut section) = object(node, node.span, "'defaults'", notes) else { return Default::default() };
    section.only(&["retry", "timeout", "idempotency"], notes);
    let policy = policy::policy(&section, &Policy::default(), notes);
    let keys = section
        .get("idempotency")
        .and_then(|node| object(node, node.span, "'idempotency' in 'defaults'", notes));
    let key_store = keys.and_then(|mut keys| {
        keys.only(&["store"], notes);
        keys.require("store", "name the connection that keeps the keys: store: keys", notes)
    });
    (policy, key_store)
}

fn inputs(top: &Object<'_>, notes: &mut Notes<'_>) -> (BTreeMap<String, Input>, BTreeMap<String, Span>) {
    let mut inputs = BTreeMap::new();
    let mut places = BTreeMap::new();
    let section = top.get("input").and_then(|node| object(node, node.span, "'input'", notes));
    for (key, node) in section.map_or(&[][..], |section| section.entries) {
        name(&key.text, key.span, "an input", notes);
        places.insert(key.text.clone(), key.span);
        let read = input(key, node, notes).unwrap_or(Input { kind: InputKind::Text, default: None });
        inputs.insert(key.text.clone(), read);
    }
    (inputs, places)
}

fn input(key: &Key, node: &Node, notes: &mut Notes<'_>) -> Option<Input> {
    let what = format!("input '{}'", key.text);
    let Some(entries) = node.map() else {
        return mistyped(node, &what, "a mapping such as { type: text, default: … }", notes);
    };
    let mut object = Object::new(&what, key.span, entries);
    object.only(&["type", "default"], notes);
    let node = object.require("type", "write type: uri, text, number or bool", notes)?;
    let kind = match one_of(node, "the type of an input", &["uri", "text", "number", "bool"], notes)? {
        "uri" => InputKind::Uri,
        "text" => InputKind::Text,
        "number" => InputKind::Number,
        _ => InputKind::Bool,
    };
    let default = object.get("default").and_then(|node| default(node, kind, &what, notes));
    Some(Input { kind, default })
}

fn default(node: &Node, kind: InputKind, what: &str, notes: &mut Notes<'_>) -> Option<Value> {
    let what = format!("the default of {what}");
    let value = match (kind, node.scalar()) {
        (InputKind::Number, Some(Scalar::Number(number))) => Value::Number(number),
        (InputKind::Bool, Some(Scalar::Bool(yes))) => Value::Bool(yes),
        (InputKind::Uri | InputKind::Text, Some(_)) => Value::String(node.written()?.to_owned()),
        (InputKind::Number, _) => return mistyped(node, &what, "a number", notes),
        (InputKind::Bool, _) => return mistyped(node, &what, "true or false", notes),
        (InputKind::Uri | InputKind::Text, None) => return mistyped(node, &what, "a text", notes),
    };
    if let Some(text) = value.as_str() {
        is_plain(text, node.span, &what, notes);
    }
    Some(value)
}

fn tolerate(node: &Node, notes: &mut Notes<'_>) -> Option<Tolerance> {
    let mut section = object(node, node.span, "'tolerate'", notes)?;
    section.only(&["dead_letters"], notes);
    let node =
        section.require("dead_letters", "write dead_letters: 10, or a share: dead_letters: 2%", notes)?;
    share(node, "'dead_letters'", notes)
}

fn alert(node: &Node, notes: &mut Notes<'_>) -> Option<Tolerance> {
    let mut section = object(node, node.span, "'dead_letters'", notes)?;
    section.only(&["alert"], notes);
    let node = section.require("alert", "write alert: 50, or a share: alert: 5%", notes)?;
    share(node, "'alert'", notes)
}

/// A count, or a share of all records.
fn share(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<Tolerance> {
    let written = node.written().unwrap_or_default();
    let Some(share) = written.strip_suffix('%') else {
        return match node.scalar() {
            Some(Scalar::Number(_)) => count(node, what, 0, u64::MAX, notes).map(Tolerance::Count),
            _ => mistyped(node, what, "a count such as 10, or a share such as 2%", notes),
        };
    };
    match share.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Some(Tolerance::Percent(percent)),
        Ok(_) | Err(_) => {
            let message = "a share of dead letters is between 0% and 100%";
            notes.push(Mistake::new(codes::OUT_OF_RANGE, node.span, message));
            None
        }
    }
}
