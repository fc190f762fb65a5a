//! Effects: what may be repeated, and how long a message may stay hidden.

use std::collections::BTreeSet;

use super::codes;
use super::connections::Connections;
use super::graph::{Shape, Track};
use super::node::Node;
use super::report::{Mistake, Notes};
use super::steps::Draft;
use super::words::suggest;
use crate::core::catalog::{Catalog, Descriptor, Role};

/// Checks the effects of the steps. Those of `on_failure` happen once per failed closing, keyed
/// by run and closing (rule R11), so the rule about repeats is not for them.
pub(super) fn check(steps: &[Draft<'_>], closing: &[Draft<'_>], shape: &Shape, notes: &mut Notes<'_>) {
    for (at, draft) in steps.iter().enumerate() {
        let Some(known) = draft.descriptor else { continue };
        repeats(draft, known, shape.tracks[at], notes);
        meaningless(draft, known, notes);
        if matches!(known.role, Role::Receive | Role::Source) {
            delete_after(at, steps, shape, notes);
        }
    }
    for draft in closing {
        if let Some(known) = draft.descriptor {
            meaningless(draft, known, notes);
        }
    }
}

fn repeats(draft: &Draft<'_>, known: &Descriptor, track: Track, notes: &mut Notes<'_>) {
    let step = &draft.step;
    let safe = step.repeat_safe || step.idempotency.is_some() || (known.harmless)(&step.with);
    let is_effect = matches!(known.role, Role::Effect { .. });
    if !is_effect || known.probes(&step.with) || safe || step.retry.attempts <= 1 {
        return;
    }
    let written = draft.places.keys.contains_key("retry");
    let span = if written { draft.key("retry") } else { draft.key("uses") };
    let attempts = step.retry.attempts;
    let message = format!(
        "step '{}' may call '{}' {attempts} times, and nothing makes that harmless",
        step.name, known.uses
    );
    let label = if written { "repeats the effect" } else { "this effect is retried by default" };
    let key = if track == Track::Item { "item.sku" } else { "run.id" };
    let ways = [
        ("repeat: safe".to_owned(), "a second call does no harm"),
        (format!("idempotency: {{ key: \"${{{{ {key} }}}}\" }}"), "the other side honours the key"),
        ("retry: { attempts: 1 }".to_owned(), "never call twice"),
    ];
    let lines: Vec<String> = ways.iter().map(|(write, when)| format!("{write:42}{when}")).collect();
    let hint = format!("add one of these to the step:\n{}", lines.join("\n"));
    notes.push(Mistake::new(codes::UNSAFE_REPEAT, span, message).label(label).hint(hint));
}

fn meaningless(draft: &Draft<'_>, known: &Descriptor, notes: &mut Notes<'_>) {
    if matches!(known.role, Role::Effect { .. } | Role::Receive) {
        return;
    }
    for key in ["idempotency", "repeat"] {
        if let Some(span) = draft.places.keys.get(key) {
            let message =
                format!("'{key}' has no meaning for '{}', which changes nothing outside", known.uses);
            notes.push(Mistake::new(codes::NO_EFFECT, *span, message).hint(format!("remove '{key}'")));
        }
    }
}

fn delete_after(at: usize, steps: &[Draft<'_>], shape: &Shape, notes: &mut Notes<'_>) {
    let draft = &steps[at];
    // A queue that is the source says it beside its name.
    let (section, path) = match draft.step.with.get("source").and_then(|source| source.as_object()) {
        Some(queue) => (queue, "source.delete_after"),
        None => (&draft.step.with, "delete_after"),
    };
    let Some(name) = section.get("delete_after").and_then(|value| value.as_str()) else {
        return kept_to_the_end(at, steps, shape, notes);
    };
    let span = draft.places.with.get(path).copied().unwrap_or(draft.places.name);
    let Some(end) = steps.iter().position(|other| other.step.name == name) else {
        let message = format!("'delete_after' names '{name}', which is not a step of this file");
        let after = shape.graph.descendants(at);
        let hint =
            suggest(name, after.iter().map(|other| steps[*other].step.name.as_str()), "steps after this one");
        notes.push(Mistake::new(codes::DELETE_AFTER, span, message).maybe_hint(hint));
        return;
    };
    let after = shape.graph.descendants(at);
    if end != at && !after.contains(&end) {
        let message =
            format!("'delete_after' names '{name}', which does not come after '{}'", draft.step.name);
        let hint = "name this step, or one that needs it";
        notes.push(Mistake::new(codes::DELETE_AFTER, span, message).hint(hint));
        return;
    }
    let mut before_end = shape.graph.ancestors(end);
    before_end.push(end);
    let waiting = after.iter().filter(|other| before_end.contains(other)).find(|other| {
        let role = steps[**other].descriptor.map(|known| known.role);
        matches!(role, Some(Role::Timer | Role::Receive | Role::Listen))
    });
    if let Some(waiting) = waiting {
        let waits = &steps[*waiting];
        let message = format!("the message would stay hidden while items wait at '{}'", waits.step.name);
        let hint = format!("delete it before the wait, for example delete_after: {}", draft.step.name);
        notes.push(
            Mistake::new(codes::DELETE_AFTER, span, message)
                .related(waits.key("uses"), "items wait here")
                .hint(hint),
        );
    }
}

/// A queue that is the source keeps its messages until their items are finished, when nothing is said.
fn kept_to_the_end(at: usize, steps: &[Draft<'_>], shape: &Shape, notes: &mut Notes<'_>) {
    let draft = &steps[at];
    let Some(span) = draft.places.with.get("source.queue").copied() else { return };
    let listens = |other: &&usize| steps[**other].descriptor.is_some_and(|known| known.role == Role::Listen);
    let after = shape.graph.descendants(at);
    let Some(waiting) = after.iter().find(listens) else { return };
    let waits = &steps[*waiting];
    let message = format!("its messages would stay hidden while items wait at '{}'", waits.step.name);
    let hint = format!("delete them before the wait, for example delete_after: {}", draft.step.name);
    notes.push(
        Mistake::new(codes::DELETE_AFTER, span, message)
            .related(waits.key("uses"), "items wait here")
            .hint(hint),
    );
}

/// Reports secrets in the sections that are stored, shown and sent.
pub(super) fn secrets(root: &Node, notes: &mut Notes<'_>) {
    let sections = root.map().unwrap_or_default().iter();
    for (_, node) in sections.filter(|(key, _)| key.text != "connections" && key.text != "profiles") {
        for (text, span) in node.texts() {
            if let Some((_, after)) = text.split_once("${env:") {
                let name = after.split('}').next().unwrap_or_default();
                let span = notes.source.inside(span, &format!("${{env:{name}}}"));
                let message =
                    "secrets may stand under 'connections' only: everything else is stored and shown";
                let hint = "put it into a field of the step's connection; \
                            for a plain setting use an input: ${{ input.… }}";
                notes.push(Mistake::new(codes::SECRET_OUTSIDE, span, message).hint(hint));
            }
        }
    }
}

/// Warns of connections that nothing names. Those that an executor is reached through are named by the command.
pub(super) fn unused(
    connections: &Connections,
    named: &BTreeSet<&str>,
    catalog: &Catalog,
    notes: &mut Notes<'_>,
) {
    for (name, written) in &connections.base {
        let drives = catalog.executors.contains(&written.connection.kind.as_str());
        if !drives && !named.contains(name.as_str()) {
            let message = format!("no step names the connection '{name}'");
            notes.push(Mistake::new(codes::UNUSED_CONNECTION, written.places.name, message));
        }
    }
}
