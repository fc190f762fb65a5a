//! The fields of `with`, by what the connector says each may hold.

use serde_json::{Map, Value};

use super::codes;
use super::fields::{Object, boolean, count, duration, mistyped, object, one_of, size, text};
use super::node::Node;
use super::place::Span;
use super::report::{Mistake, Notes};
use super::steps::{Draft, Sees};
use crate::core::catalog::{Descriptor, Field, Kind, Role};
use crate::expr::Template;

/// Reads `with` into the draft.
pub(super) fn with(section: &Object<'_>, draft: &mut Draft<'_>, notes: &mut Notes<'_>) {
    let node = section.get("with");
    let Some(known) = draft.descriptor else {
        // Which fields there are is not known; what is written inside can be checked all the same.
        if let Some(node) = node {
            draft.step.with = node.map().map(|_| node.json()).and_then(into_object).unwrap_or_default();
            expressions(node, "with", Sees::Item, draft, notes);
        }
        return;
    };
    let what = format!("'with' of step '{}'", draft.step.name);
    let mut fields = match node {
        Some(node) => match object(node, draft.places.name, &what, notes) {
            Some(fields) => fields,
            None => return,
        },
        None => Object::new(&what, draft.key("uses"), &[]),
    };
    draft.places.with = fields.entries.iter().map(|(key, node)| (key.text.clone(), node.span)).collect();
    let names: Vec<&'static str> = known.fields.iter().map(|field| field.name).collect();
    fields.only(&names, notes);
    for field in known.fields {
        if field.required {
            let hint = format!("'{}' needs it: {}", known.uses, example(field.name, field.kind));
            fields.require(field.name, &hint, notes);
        }
        let Some(node) = fields.get(field.name) else { continue };
        if let Some(value) = value(field.name, field.kind, node, known, draft, notes) {
            draft.step.with.insert(field.name.to_owned(), value);
        }
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn value(
    name: &str,
    kind: Kind,
    node: &Node,
    known: &Descriptor,
    draft: &mut Draft<'_>,
    notes: &mut Notes<'_>,
) -> Option<Value> {
    let what = format!("'{name}'");
    match kind {
        Kind::Source(fields) if node.map().is_some() => section(name, fields, node, known, draft, notes),
        Kind::Section(fields) | Kind::Lookup(fields) => section(name, fields, node, known, draft, notes),
        Kind::Text => {
            let written = text(node, &what, notes)?.to_owned();
            expressions(node, name, Sees::Item, draft, notes);
            Some(Value::String(written))
        }
        Kind::Source(_) => {
            let written = text(node, &what, notes)?.to_owned();
            expressions(node, name, Sees::Input, draft, notes);
            Some(Value::String(written))
        }
        Kind::Expression => {
            let sees = if known.role == Role::Source { Sees::Record } else { Sees::Item };
            expression(node, name, sees, draft, notes).map(Value::String)
        }
        Kind::File => {
            if refuse_expressions(node, &what, notes) {
                return None;
            }
            let file = text(node, &what, notes)?.to_owned();
            draft.files.push((file.clone(), node.span));
            Some(Value::String(file))
        }
        Kind::Files => {
            let named = literal(name, kind, node, notes)?;
            let places = node.list().unwrap_or_default().iter();
            let files = places.filter_map(|place| Some((place.written()?.to_owned(), place.span)));
            draft.files.extend(files);
            Some(named)
        }
        Kind::Any => {
            expressions(node, name, Sees::Item, draft, notes);
            Some(node.json())
        }
        Kind::Late => {
            expressions(node, name, Sees::Found, draft, notes);
            Some(node.json())
        }
        Kind::Plain
        | Kind::Bool
        | Kind::Count
        | Kind::Size
        | Kind::Duration
        | Kind::OneOf(_)
        | Kind::Texts
        | Kind::Secret
        | Kind::Secrets => literal(name, kind, node, notes),
    }
}

/// The value of a field in which no expression may stand.
pub(super) fn literal(name: &str, kind: Kind, node: &Node, notes: &mut Notes<'_>) -> Option<Value> {
    let what = format!("'{name}'");
    if refuse_expressions(node, &what, notes) {
        return None;
    }
    match kind {
        Kind::Plain | Kind::Text | Kind::Source(_) | Kind::Expression | Kind::File => {
            text(node, &what, notes).map(|text| Value::String(text.to_owned()))
        }
        Kind::Bool => boolean(node, &what, notes).map(Value::Bool),
        Kind::Count => count(node, &what, 0, u64::MAX, notes).map(Value::from),
        Kind::Size => size(node, &what, notes).map(Value::from),
        Kind::Duration => {
            duration(node, &what, notes).map(|_| Value::from(node.written().unwrap_or_default()))
        }
        Kind::OneOf(words) => one_of(node, &what, words, notes).map(Value::from),
        Kind::Texts | Kind::Files => texts(node, &what, notes),
        Kind::Any | Kind::Late | Kind::Section(_) | Kind::Lookup(_) => Some(node.json()),
        Kind::Secret | Kind::Secrets => {
            let message = format!("{what} is a secret and belongs under 'connections'");
            notes.push(Mistake::new(codes::SECRET_OUTSIDE, node.span, message));
            None
        }
    }
}

/// A section with fields of its own. Where each stands is known by its path: `source.queue`.
fn section(
    name: &str,
    known: &[Field],
    node: &Node,
    connector: &Descriptor,
    draft: &mut Draft<'_>,
    notes: &mut Notes<'_>,
) -> Option<Value> {
    let what = format!("'{name}' of step '{}'", draft.step.name);
    let at = draft.places.with.get(name).copied().unwrap_or(draft.places.name);
    let mut section = object(node, at, &what, notes)?;
    let names: Vec<&'static str> = known.iter().map(|field| field.name).collect();
    section.only(&names, notes);
    let mut read = Map::new();
    for field in known {
        if field.required {
            let hint = format!("write it: {}", example(field.name, field.kind));
            section.require(field.name, &hint, notes);
        }
        let Some(node) = section.get(field.name) else { continue };
        let path = format!("{name}.{}", field.name);
        draft.places.with.insert(path.clone(), node.span);
        if let Some(value) = value(&path, field.kind, node, connector, draft, notes) {
            read.insert(field.name.to_owned(), value);
        }
    }
    Some(Value::Object(read))
}

/// A list of texts.
pub(super) fn texts(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<Value> {
    let Some(items) = node.list() else {
        return mistyped(node, what, "a list such as [a, b]", notes);
    };
    let entry = format!("every entry of {what}");
    let texts = items.iter().filter_map(|item| text(item, &entry, notes));
    Some(Value::Array(texts.map(Value::from).collect()))
}

fn refuse_expressions(node: &Node, what: &str, notes: &mut Notes<'_>) -> bool {
    let found = node.texts().into_iter().find(|(text, _)| text.contains("${{"));
    if let Some((_, span)) = found {
        let message = format!("{what} must be known before the run, so no expression may stand in it");
        notes.push(Mistake::new(codes::NO_EXPRESSION_HERE, span, message));
    }
    found.is_some()
}

/// Exactly one expression, with its marks. Returns it as written.
pub(super) fn expression(
    node: &Node,
    field: &str,
    sees: Sees,
    draft: &mut Draft<'_>,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let written = text(node, &format!("'{field}'"), notes)?.to_owned();
    if !written.contains("${{") {
        let message = format!("'{field}' must be an expression");
        let place = format!("write \"${{{{ {} }}}}\"", written.trim());
        notes.push(Mistake::new(codes::EXPRESSION_NEEDED, node.span, message).hint(place));
        return None;
    }
    let template = template(&Value::String(written.clone()), node.span, field, notes)?;
    if !template.is_expression() {
        let message = format!("'{field}' must be one expression and nothing else");
        let hint = "join texts inside the expression: ${{ item.a & \"-\" & item.b }}";
        notes.push(Mistake::new(codes::EXPRESSION_NEEDED, node.span, message).hint(hint));
        return None;
    }
    draft.see(field, sees, node.span, template);
    Some(written)
}

/// Every expression inside a value.
pub(super) fn expressions(
    node: &Node,
    field: &str,
    sees: Sees,
    draft: &mut Draft<'_>,
    notes: &mut Notes<'_>,
) {
    for (text, span) in node.texts() {
        if text.contains("${{")
            && let Some(template) = template(&Value::String(text.to_owned()), span, field, notes)
        {
            draft.see(field, sees, span, template);
        }
    }
}

/// The expressions in a value.
pub(super) fn template(value: &Value, span: Span, field: &str, notes: &mut Notes<'_>) -> Option<Template> {
    match Template::parse(value) {
        Ok(template) => Some(template),
        Err(fault) => {
            let message = format!("the expression in '{field}' is not valid");
            notes.push(Mistake::new(codes::NOT_AN_EXPRESSION, span, message).label(fault.message));
            None
        }
    }
}

/// A field as it may be written.
pub(super) fn example(name: &str, kind: Kind) -> String {
    let value = match kind {
        Kind::Text | Kind::Plain => "…",
        Kind::Bool => "true",
        Kind::Count => "10",
        Kind::Duration => "30s",
        Kind::Size => "4 KiB",
        Kind::Expression => "\"${{ item.sku }}\"",
        Kind::File => "path/beside/this/file.yaml",
        Kind::Source(_) => "\"${{ input.source }}\"",
        Kind::Section(_) | Kind::Lookup(_) => "{ … }",
        Kind::OneOf(words) => words.first().copied().unwrap_or("…"),
        Kind::Texts => "[a, b]",
        Kind::Files => "[path/beside/this/file.py]",
        Kind::Any | Kind::Late => "…",
        Kind::Secret | Kind::Secrets => "…",
    };
    format!("{name}: {value}")
}
