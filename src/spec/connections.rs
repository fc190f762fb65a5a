//! Connections and profiles.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::codes;
use super::fields::{Object, boolean, count, duration, mistyped, name, object, one_of, size, text};
use super::next;
use super::node::{Key, Node};
use super::place::{ConnectionPlaces, Span};
use super::report::{Mistake, Notes};
use super::terms;
use super::words::{either, nearest, suggest};
use crate::core::catalog::{Catalog, Field, Kind};
use crate::core::workflow::Connection;

/// A connection as written, and where.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) connection: Connection,
    pub(super) places: ConnectionPlaces,
}

/// All connections: the base, and each profile's replacements.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) base: BTreeMap<String, Written>,
    pub(super) profiles: BTreeMap<String, BTreeMap<String, Written>>,
}

impl Connections {
    /// The connections of a run, and where each stands.
    pub(super) fn applied(&self, profile: Option<&str>) -> BTreeMap<String, Written> {
        let mut applied = self.base.clone();
        let chosen = profile.and_then(|profile| self.profiles.get(profile));
        applied.extend(chosen.into_iter().flatten().map(|(name, written)| (name.clone(), written.clone())));
        applied
    }

    /// Every form that a connection takes: the base's, and each profile's by its name.
    pub(super) fn forms<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (Option<&'a str>, &'a Written)> {
        let base = self.base.get(name).map(|written| (None, written));
        let profiles = self.profiles.iter();
        let replaced = profiles.filter_map(move |(profile, connections)| {
            connections.get(name).map(|written| (Some(profile.as_str()), written))
        });
        base.into_iter().chain(replaced)
    }

    /// The name of a connection, if it is one.
    pub(super) fn named(&self, node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<String> {
        let written = text(node, what, notes)?;
        if self.base.contains_key(written) {
            return Some(written.to_owned());
        }
        let message = format!("there is no connection '{written}'");
        let hint = suggest(written, self.base.keys().map(String::as_str), "connections")
            .unwrap_or_else(|| format!("add it: connections: {{ {written}: {{ use: … }} }}"));
        notes.push(Mistake::new(codes::UNKNOWN_CONNECTION, node.span, message).hint(hint));
        None
    }
}

impl Connections {
    /// The name of a connection, after checking that it can in each of its forms.
    pub(super) fn able(
        &self,
        node: &Node,
        able: &Able<'_>,
        catalog: &Catalog,
        notes: &mut Notes<'_>,
    ) -> Option<String> {
        let written = self.named(node, &format!("'{}'", able.key), notes)?;
        for (profile, form) in self.forms(&written) {
            let kind = form.connection.kind.as_str();
            if able.kinds.contains(&kind) || catalog.connection(kind).is_none() {
                continue;
            }
            let place = profile.map_or(String::new(), |profile| format!(" in profile '{profile}'"));
            let message = format!("'{kind}' {}, and '{written}' is '{kind}'{place}", able.lacks);
            let at = form.places.fields.get("use").copied().unwrap_or(form.places.name);
            notes.push(
                Mistake::new(codes::WRONG_CONNECTION, node.span, message)
                    .related(at, format!("'{written}' is '{kind}' here"))
                    .hint(format!("{} {}", able.by, either(able.kinds.iter().copied()))),
            );
        }
        Some(written)
    }
}

/// Reads both sections and checks that the chosen profile is there.
pub(super) fn connections(
    base: Option<&Node>,
    profiles: Option<&Node>,
    chosen: Option<&str>,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Connections {
    let mut read = Connections {
        base: base.map_or_else(BTreeMap::new, |node| section(node, "'connections'", catalog, notes)),
        profiles: BTreeMap::new(),
    };
    let entries = profiles.and_then(|node| object(node, node.span, "'profiles'", notes));
    for (key, node) in entries.map_or(&[][..], |section| section.entries) {
        name(&key.text, key.span, "a profile", notes);
        let what = format!("profile '{}'", key.text);
        let replaced = section(node, &what, catalog, notes);
        for (name, written) in &replaced {
            // No step names who drives, so there is nothing that it has to be in place of.
            let drives = catalog.executors.contains(&written.connection.kind.as_str());
            if !drives && !read.base.contains_key(name) {
                let message = format!("{what} replaces '{name}', which is not under 'connections'");
                let hint = suggest(name, read.base.keys().map(String::as_str), "connections");
                notes.push(
                    Mistake::new(codes::UNKNOWN_CONNECTION, written.places.name, message).maybe_hint(hint),
                );
            }
        }
        read.profiles.insert(key.text.clone(), replaced);
    }
    if let Some(chosen) = chosen.filter(|chosen| !read.profiles.contains_key(*chosen)) {
        let at = profiles.map_or(Span::default(), |node| node.span);
        let hint = suggest(chosen, read.profiles.keys().map(String::as_str), "profiles of this file")
            .unwrap_or_else(|| "this file has no profiles: leave --profile out".to_owned());
        let message = format!("there is no profile '{chosen}'");
        notes.next = next(&notes.source.name, nearest(chosen, read.profiles.keys().map(String::as_str)));
        notes.push(Mistake::new(codes::UNKNOWN_PROFILE, at, message).hint(hint));
    }
    read
}

/// What a connection must be able to do for what names it.
pub(super) struct Able<'a> {
    /// The key that names it.
    pub(super) key: &'a str,
    /// The kinds that can.
    pub(super) kinds: &'a [&'static str],
    /// What others cannot, behind their kind.
    pub(super) lacks: &'a str,
    /// What those that can do, before their kinds.
    pub(super) by: &'a str,
}

/// The connection that keeps idempotency keys, after checking that it can in each of its forms.
pub(super) fn key_store(
    node: &Node,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let kinds = &catalog.key_stores;
    let able = Able { key: "store", kinds, lacks: "keeps no idempotency keys", by: "keys are kept by" };
    connections.able(node, &able, catalog, notes)
}

fn section(node: &Node, what: &str, catalog: &Catalog, notes: &mut Notes<'_>) -> BTreeMap<String, Written> {
    let entries = object(node, node.span, what, notes).map_or(&[][..], |section| section.entries);
    let mut read = BTreeMap::new();
    for (key, node) in entries {
        name(&key.text, key.span, "a connection", notes);
        if let Some(written) = connection(key, node, catalog, notes) {
            read.insert(key.text.clone(), written);
        }
    }
    read
}

fn connection(key: &Key, node: &Node, catalog: &Catalog, notes: &mut Notes<'_>) -> Option<Written> {
    let what = format!("connection '{}'", key.text);
    let Some(entries) = node.map() else {
        return mistyped(node, &what, "a mapping such as { use: sandbox }", notes);
    };
    let mut section = Object::new(&what, key.span, entries);
    for (text, span) in node.texts() {
        check_secrets(text, span, notes);
    }
    let mut places = ConnectionPlaces { name: key.span, fields: BTreeMap::new() };
    places.fields.extend(entries.iter().map(|(key, node)| (key.text.clone(), node.span)));
    let kinds = || catalog.connections.iter().map(|kind| kind.name);
    let uses = section.require("use", "say what kind of system it is: use: sandbox", notes);
    let kind = uses.and_then(|node| text(node, "'use'", notes)).unwrap_or_default().to_owned();
    let known = catalog.connection(&kind);
    let terms = terms::terms(&section, notes);
    let mut connection = Connection { kind: kind.clone(), terms, fields: Map::new() };
    let Some(known) = known else {
        if let Some(node) = uses.filter(|_| !kind.is_empty()) {
            let message = format!("there is no kind of connection '{kind}'");
            let hint = suggest(&kind, kinds(), "kinds");
            notes.push(Mistake::new(codes::UNKNOWN_USE, node.span, message).maybe_hint(hint));
        }
        return Some(Written { connection, places });
    };
    let mut keys = vec!["use"];
    keys.extend(terms::KEYS);
    keys.extend(known.fields.iter().map(|field| field.name));
    section.only(&keys, notes);
    for field in known.fields {
        if field.required {
            section.require(field.name, &format!("'{}' connections need it", known.name), notes);
        }
        if let Some(value) = section.get(field.name).and_then(|node| setting(field, node, notes)) {
            connection.fields.insert(field.name.to_owned(), value);
        }
    }
    Some(Written { connection, places })
}

/// The value of one field; `${env:NAME}` stays as text, also where a number is expected.
fn setting(field: &Field, node: &Node, notes: &mut Notes<'_>) -> Option<Value> {
    let what = format!("'{}'", field.name);
    for (text, span) in node.texts() {
        if text.contains("${{") {
            let message =
                format!("{what} of a connection is taken as written, so no expression may stand in it");
            let hint = "connections are the same for every run and item; for a secret write ${env:NAME}";
            notes.push(Mistake::new(codes::NO_EXPRESSION_HERE, span, message).hint(hint));
        }
    }
    if names_variable(node) {
        return Some(node.json());
    }
    match field.kind {
        Kind::Text | Kind::Plain | Kind::File | Kind::Source(_) | Kind::Expression => {
            text(node, &what, notes).map(|text| Value::String(text.to_owned()))
        }
        Kind::Secret => secret(field, node, notes),
        Kind::Secrets if node.list().is_none() => secret(field, node, notes),
        Kind::Secrets => {
            let written = node.list()?.iter().filter(|one| !names_variable(one));
            written.for_each(|one| drop(secret(field, one, notes)));
            super::with::texts(node, &what, notes)
        }
        Kind::Bool => boolean(node, &what, notes).map(Value::Bool),
        Kind::Count => count(node, &what, 0, u64::MAX, notes).map(Value::from),
        Kind::Duration => duration(node, &what, notes).map(|_| node.json()),
        Kind::Size => size(node, &what, notes).map(Value::from),
        Kind::OneOf(words) => one_of(node, &what, words, notes).map(Value::from),
        Kind::Texts | Kind::Files => super::with::texts(node, &what, notes),
        Kind::Any | Kind::Late | Kind::Section(_) | Kind::Lookup(_) => Some(node.json()),
    }
}

/// A secret that is written out, which is a mistake.
fn secret(field: &Field, node: &Node, notes: &mut Notes<'_>) -> Option<Value> {
    let what = format!("'{}'", field.name);
    let text = text(node, &what, notes)?;
    let message = format!("{what} is a secret, and it is written out here");
    notes.push(
        Mistake::new(codes::SECRET_WRITTEN, node.span, message)
            .hint(format!("write \"${{env:{}}}\"", field.name.to_uppercase())),
    );
    Some(Value::String(text.to_owned()))
}

fn names_variable(node: &Node) -> bool {
    node.written().is_some_and(|text| text.contains("${env:"))
}

/// `${env:NAME}` must be complete, and `${NAME}` was meant to be one.
fn check_secrets(text: &str, span: Span, notes: &mut Notes<'_>) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        rest = after;
        if after.starts_with('{') {
            continue;
        }
        let inner = after.split('}').next().unwrap_or_default();
        let closed = after.contains('}');
        let name = inner.strip_prefix("env:").unwrap_or_default();
        if !closed || !is_variable(name) {
            let bare = inner.rsplit(':').next().unwrap_or_default().trim();
            let fixed: String = bare
                .chars()
                .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
                .collect();
            let meant = if is_variable(&fixed) { fixed.as_str() } else { "NAME" };
            let message =
                format!("'${{{inner}{}' is not an environment variable", if closed { "}" } else { "" });
            let place = notes.source.inside(span, &format!("${{{inner}"));
            notes.push(
                Mistake::new(codes::BAD_SECRET, place, message).hint(format!("write ${{env:{meant}}}")),
            );
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
