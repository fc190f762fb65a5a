//! Hooks: what others send, and what it means.

use serde_json::Value;

use super::codes;
use super::connections::{Able, Connections};
use super::fields::{Object, name, plain, text, wrong_type};
use super::node::{Key, Node};
use super::place::Span;
use super::report::{Mistake, Notes};
use super::with;
use super::words::{either, nearest};
use crate::core::catalog::Catalog;
use crate::core::workflow::Hook;
use crate::expr::Template;

const KEYS: [&str; 8] = ["connection", "signal", "when", "key", "id", "version", "payload", "ask"];
/// What expressions may look at: nothing of a run is there.
const ROOTS: [&str; 2] = ["body", "headers"];

/// A hook, and where its name stands.
pub(super) struct Written {
    pub(super) hook: Hook,
    pub(super) name: Span,
}

/// Reads the section `hooks`.
pub(super) fn hooks(
    node: Option<&Node>,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Vec<Written> {
    let Some(node) = node else { return Vec::new() };
    let Some(entries) = node.map() else {
        wrong_type(node, "'hooks'", "a mapping of hook names to hooks", notes);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (key, node) in entries {
        name(&key.text, key.span, "a hook", notes);
        let what = format!("hook '{}'", key.text);
        if let Some(entries) = node.map() {
            let mut section = Object::new(&what, key.span, entries);
            section.only(&KEYS, notes);
            let hook = hook(&section, key, connections, catalog, notes);
            read.extend(hook.map(|hook| Written { hook, name: key.span }));
        } else {
            wrong_type(node, &what, "a mapping that begins with 'connection'", notes);
        }
    }
    read
}

fn hook(
    section: &Object<'_>,
    key: &Key,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Option<Hook> {
    let node = section.require("connection", "name the connection that says who may send", notes);
    let (kinds, lacks) = (&catalog.senders, "sends nothing to a hook");
    let able = Able { key: "connection", kinds, lacks, by: "hooks hear from" };
    let connection = node.and_then(|node| connections.able(node, &able, catalog, notes));
    let node = section.require("signal", "say what it tells: signal: product.published", notes);
    let signal = node.and_then(|node| plain(node, "'signal' of a hook", notes));
    let node = section.require("key", "say what it is about: key: \"${{ body.sku }}\"", notes);
    let about = node.and_then(|node| written(node, "key", notes));
    let texts =
        ["id", "version"].map(|field| section.get(field).and_then(|node| written(node, field, notes)));
    let when = section.get("when").and_then(|node| condition(node, notes));
    let payload = section.get("payload").map(Node::json);
    if let Some(node) = section.get("payload") {
        sees(node, "payload", notes);
    }
    let [id, version] = texts;
    let ask = ask(section, connections, catalog, notes);
    Some(Hook {
        name: key.text.clone(),
        connection: connection?,
        signal: signal?,
        when,
        key: about?,
        id,
        version,
        payload,
        ask,
    })
}

/// The connection that is asked. It says how new it is, and nothing of what was sent counts then.
fn ask(
    section: &Object<'_>,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let node = section.get("ask")?;
    let (kinds, lacks) = (&catalog.announcers, "cannot be asked what it announces");
    let able = Able { key: "ask", kinds, lacks, by: "what can be asked is" };
    for needless in ["version", "payload"] {
        if let Some(other) = section.get(needless) {
            let message = format!("{} asks, so '{needless}' of what was sent does not count", section.what);
            notes.push(
                Mistake::new(codes::NEEDLESS_KEY, other.span, message)
                    .related(node.span, "what is asked says it")
                    .hint(format!("remove '{needless}', or 'ask'")),
            );
        }
    }
    connections.able(node, &able, catalog, notes)
}

fn written(node: &Node, field: &str, notes: &mut Notes<'_>) -> Option<String> {
    let written = text(node, &format!("'{field}'"), notes)?;
    sees(node, field, notes);
    Some(written.to_owned())
}

/// One expression, without its marks.
fn condition(node: &Node, notes: &mut Notes<'_>) -> Option<String> {
    let written = text(node, "'when'", notes)?;
    let template = with::template(&Value::from(written), node.span, "when", notes)?;
    if !template.is_expression() {
        let hint = format!("write \"${{{{ {} }}}}\"", written.trim());
        let message = "'when' must be one expression and nothing else";
        notes.push(Mistake::new(codes::EXPRESSION_NEEDED, node.span, message).hint(hint));
        return None;
    }
    sees(node, "when", notes);
    template.expressions().first().map(|expression| expression.text().to_owned())
}

/// Checks what the expressions inside a value look at.
fn sees(node: &Node, field: &str, notes: &mut Notes<'_>) {
    for (text, span) in node.texts() {
        if !text.contains("${{") {
            continue;
        }
        let Some(template) = with::template(&Value::from(text), span, field, notes) else { continue };
        for root in roots(&template) {
            if ROOTS.contains(&root.as_str()) {
                continue;
            }
            let message = format!("there is no '{root}' in the expressions of a hook");
            let hint = match nearest(&root, ROOTS) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("they see {}", either(ROOTS)),
            };
            let place = notes.source.inside(span, &root);
            notes.push(Mistake::new(codes::UNKNOWN_ROOT, place, message).hint(hint));
        }
    }
}

fn roots(template: &Template) -> Vec<String> {
    let mut roots: Vec<String> =
        template.references().iter().filter_map(|reference| reference.names.first().cloned()).collect();
    roots.dedup();
    roots
}
