//! Alerts: who is told of what.

use super::codes;
use super::connections::{Able, Connections};
use super::fields::{Object, one_of, plain, wrong_type};
use super::node::Node;
use super::report::{Mistake, Notes};
use crate::core::alert::{Concern, Subscription};
use crate::core::catalog::Catalog;

const KEYS: [&str; 3] = ["on", "to", "detail_type"];
const EXAMPLE: &str = "a list such as [{ on: [failed, paused], to: pager }]";

/// Reads the section `alerts`.
pub(super) fn alerts(
    node: Option<&Node>,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Vec<Subscription> {
    let Some(node) = node else { return Vec::new() };
    let Some(entries) = node.list() else {
        wrong_type(node, "'alerts'", EXAMPLE, notes);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (at, node) in entries.iter().enumerate() {
        let what = format!("alerts[{at}]");
        if let Some(entries) = node.map() {
            let mut section = Object::new(&what, node.span, entries);
            section.only(&KEYS, notes);
            read.extend(subscription(&section, connections, catalog, notes));
        } else {
            wrong_type(node, &what, "a mapping such as { on: [failed], to: pager }", notes);
        }
    }
    read
}

fn subscription(
    section: &Object<'_>,
    connections: &Connections,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) -> Option<Subscription> {
    let words: Vec<&str> = Concern::ALL.iter().map(|concern| concern.word()).collect();
    let node = section.require("on", &format!("say of what: on: [{}]", words.join(", ")), notes);
    let on = node.and_then(|node| concerns(node, &words, notes));
    let node = section.require("to", "name the connection that leads to whom it tells: to: pager", notes);
    let able =
        Able { key: "to", kinds: &catalog.couriers, lacks: "carries no alerts", by: "alerts are carried by" };
    let to = node.and_then(|node| connections.able(node, &able, catalog, notes));
    let detail_type = section.get("detail_type").and_then(|node| {
        if let Some(to) = &to {
            needless(node, to, connections, catalog, notes);
        }
        plain(node, "'detail_type' of an alert", notes)
    });
    Some(Subscription { on: on?, to: to?, detail_type })
}

/// What it is about, each once.
fn concerns(node: &Node, words: &[&'static str], notes: &mut Notes<'_>) -> Option<Vec<Concern>> {
    let Some(listed) = node.list().filter(|listed| !listed.is_empty()) else {
        wrong_type(node, "'on'", "a list of words such as [failed, paused]", notes);
        return None;
    };
    let mut read = Vec::new();
    for node in listed {
        let word = one_of(node, "what an alert is about", words, notes);
        let concern = Concern::ALL.into_iter().find(|concern| Some(concern.word()) == word);
        read.extend(concern.filter(|concern| !read.contains(concern)));
    }
    Some(read)
}

/// Reports a detail type where no form of the connection carries one.
fn needless(node: &Node, to: &str, connections: &Connections, catalog: &Catalog, notes: &mut Notes<'_>) {
    let known = |kind: &str| catalog.connection(kind).is_some();
    let carries = |kind: &str| catalog.buses.contains(&kind) || !known(kind);
    let mut forms = connections.forms(to).peekable();
    let Some((_, first)) = forms.peek() else { return };
    let (kind, at) = (first.connection.kind.clone(), first.places.name);
    if forms.any(|(_, form)| carries(&form.connection.kind)) {
        return;
    }
    let message = format!("only a bus carries a 'detail_type', and '{to}' is '{kind}'");
    notes.push(
        Mistake::new(codes::NEEDLESS_KEY, node.span, message)
            .related(at, format!("'{to}' stands here"))
            .hint("remove 'detail_type'"),
    );
}
