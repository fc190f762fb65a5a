//! What expressions look at: only what will be there when they are evaluated.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::codes;
use super::graph::{Shape, Track};
use super::place::Span;
use super::report::{Mistake, Notes};
use super::steps::{Draft, Sees, Site};
use super::words::{either, nearest, suggest};
use crate::core::catalog::Role;
use crate::expr::Reference;

const ROOTS: [&str; 4] = ["input", "item", "steps", "run"];
const RUN: [&str; 2] = ["id", "started_at"];

/// What there is to look at.
pub(super) struct View<'a> {
    pub(super) inputs: &'a BTreeMap<String, Span>,
    pub(super) steps: &'a [Draft<'a>],
    pub(super) shape: &'a Shape,
}

/// Checks every expression of the steps and of `on_failure`.
pub(super) fn check(view: &View<'_>, closing: &[Draft<'_>], notes: &mut Notes<'_>) {
    for (at, draft) in view.steps.iter().enumerate() {
        let (track, uncertain) = (view.shape.tracks[at], view.shape.uncertain[at]);
        let reader = Reader { view, draft, track, uncertain, at: Some(at), before: OnceCell::new() };
        draft.sites.iter().for_each(|site| reader.site(site, notes));
        same_key(draft, view.shape.tracks[at], notes);
    }
    for draft in closing {
        let (at, before) = (None, OnceCell::new());
        let reader = Reader { view, draft, track: Track::Closing, uncertain: false, at, before };
        draft.sites.iter().for_each(|site| reader.site(site, notes));
    }
}

struct Reader<'a> {
    view: &'a View<'a>,
    draft: &'a Draft<'a>,
    track: Track,
    /// What is before the step is not known, because of mistakes reported already.
    uncertain: bool,
    /// The step's position; those of `on_failure` have none.
    at: Option<usize>,
    /// The steps before it, once an expression names one.
    before: OnceCell<Vec<usize>>,
}

impl Reader<'_> {
    fn before(&self) -> &[usize] {
        let before = || self.at.map(|at| self.view.shape.graph.ancestors(at)).unwrap_or_default();
        self.before.get_or_init(before)
    }

    fn site(&self, site: &Site, notes: &mut Notes<'_>) {
        for reference in site.template.references() {
            let Some(root) = reference.names.first() else { continue };
            let span = notes.source.inside(site.span, &reference.names.join("."));
            let span = if span == site.span { notes.source.inside(site.span, root) } else { span };
            match root.as_str() {
                "input" => self.input(reference, span, notes),
                "item" => self.item(site, span, notes),
                "steps" => self.steps(site, reference, span, notes),
                "run" => run(reference, span, notes),
                "found" if site.sees == Sees::Found => {}
                other if self.is_part_of_dashed(site, other) => {}
                other => unknown_root(other, span, notes),
            }
        }
    }

    fn input(&self, reference: &Reference, span: Span, notes: &mut Notes<'_>) {
        let Some(name) = reference.names.get(1) else { return };
        if !self.view.inputs.contains_key(name) {
            let message = format!("there is no input '{name}'");
            let hint = suggest(name, self.view.inputs.keys().map(String::as_str), "inputs")
                .unwrap_or_else(|| format!("add it: input: {{ {name}: {{ type: text }} }}"));
            notes.push(Mistake::new(codes::UNKNOWN_INPUT, span, message).hint(hint));
        }
    }

    fn item(&self, site: &Site, span: Span, notes: &mut Notes<'_>) {
        let (why, hint) = match (site.sees, self.track) {
            (Sees::Record, _) | (Sees::Item | Sees::Found, Track::Item) => return,
            (Sees::Input, _) => (
                format!("'{}' is needed before the first item is read", site.field),
                "use 'input' or 'run' here".to_owned(),
            ),
            (_, Track::Closing) => (
                "'on_failure' happens once, when the run has failed".to_owned(),
                "use 'input' or 'run' here".to_owned(),
            ),
            (_, Track::Source) => (
                format!("'{}' decides on the whole source, before the first item is read", site.field),
                "use 'input' or 'run' here".to_owned(),
            ),
            (_, Track::Run) if self.uncertain => return,
            (_, Track::Run) => {
                let source = self.view.steps.iter().find(|draft| is_source(draft));
                let hint = source.map_or_else(
                    || "add a source, for example json.validate, and need it".to_owned(),
                    |source| format!("write needs: [{}], or a later step", source.step.name),
                );
                (format!("step '{}' works once per run", self.draft.step.name), hint)
            }
        };
        let message = format!("there is no item here: {why}");
        notes.push(Mistake::new(codes::NO_ITEM, span, message).hint(hint));
    }

    /// A step whose name begins with this and goes on with `-`: JSONata reads `steps.my-step` as
    /// a subtraction.
    fn dashed(&self, begin: &str) -> Option<&str> {
        let names = self.view.steps.iter().map(|draft| draft.step.name.as_str());
        names.into_iter().find(|name| name.strip_prefix(begin).is_some_and(|rest| rest.starts_with('-')))
    }

    /// Whether a name is what such a subtraction would take away.
    fn is_part_of_dashed(&self, site: &Site, part: &str) -> bool {
        site.template.references().iter().any(|reference| match reference.names.as_slice() {
            [root, name, ..] if root == "steps" => {
                self.dashed(name).is_some_and(|dashed| dashed.split('-').any(|word| word == part))
            }
            _ => false,
        })
    }

    fn steps(&self, site: &Site, reference: &Reference, span: Span, notes: &mut Notes<'_>) {
        let Some(name) = reference.names.get(1) else { return };
        let steps = self.view.steps;
        let Some(at) = steps.iter().position(|draft| draft.step.name == *name) else {
            let message = format!("there is no step '{name}'");
            let visible: Vec<&str> = self.before().iter().map(|at| steps[*at].step.name.as_str()).collect();
            let hint = suggest(name, visible.iter().copied(), "steps before this one");
            let dashed = self.dashed(name);
            let hint =
                dashed.map(|dashed| format!("a name with '-' needs backquotes: steps.`{dashed}`")).or(hint);
            notes.push(Mistake::new(codes::NOT_BEFORE, span, message).maybe_hint(hint));
            return;
        };
        if self.track == Track::Closing || site.sees == Sees::Input {
            let message = format!("results of steps cannot be seen here, so '{name}' has no value");
            notes.push(Mistake::new(codes::NOT_BEFORE, span, message).hint("use 'input' or 'run' here"));
        } else if self.before().contains(&at) {
            fact(&steps[at], self.view.shape.tracks[at], reference, span, notes);
        } else if self.uncertain {
            // Whether it is before this step is not known.
        } else if self.view.shape.tracks[at] == Track::Item && self.track == Track::Run {
            let message = format!(
                "'{name}' returns one result per item, but step '{}' works once per run",
                self.draft.step.name
            );
            let hint =
                format!("if '{}' should work once per item, write needs: [{name}]", self.draft.step.name);
            notes.push(Mistake::new(codes::ITEM_RESULT, span, message).hint(hint));
        } else {
            let own = self.draft.step.name == *name;
            let message = if own {
                format!("step '{name}' cannot see its own result")
            } else {
                format!(
                    "'{name}' is not before step '{}', so its result may not be there",
                    self.draft.step.name
                )
            };
            let hint = (!own).then(|| format!("add '{name}' to 'needs'"));
            notes.push(Mistake::new(codes::NOT_BEFORE, span, message).maybe_hint(hint));
        }
    }
}

fn is_source(draft: &Draft<'_>) -> bool {
    draft.descriptor.is_some_and(|known| known.role == Role::Source)
}

/// Checks `steps.NAME.FACT` against what the connector returns. The output of a pure step is
/// whatever it computes, so nothing can be said about that.
fn fact(of: &Draft<'_>, track: Track, reference: &Reference, span: Span, notes: &mut Notes<'_>) {
    let Some(known) = of.descriptor.filter(|known| known.role != Role::Pure && track != Track::Source) else {
        return;
    };
    let Some(name) = reference.names.get(2).filter(|name| !known.facts.contains(&name.as_str())) else {
        return;
    };
    let message = format!("'{}' ({}) returns no '{name}'", of.step.name, known.uses);
    let hint = match nearest(name, known.facts.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.facts.is_empty() => "it returns nothing".to_owned(),
        None => format!("it returns {}", either(known.facts.iter().copied())),
    };
    notes.push(Mistake::new(codes::UNKNOWN_FACT, span, message).hint(hint));
}

fn run(reference: &Reference, span: Span, notes: &mut Notes<'_>) {
    if let Some(name) = reference.names.get(1).filter(|name| !RUN.contains(&name.as_str())) {
        let message = format!("there is no 'run.{name}'");
        let hint = format!(
            "there is {}",
            either(RUN.map(|known| if known == "id" { "run.id" } else { "run.started_at" }))
        );
        notes.push(Mistake::new(codes::UNKNOWN_ROOT, span, message).hint(hint));
    }
}

fn unknown_root(name: &str, span: Span, notes: &mut Notes<'_>) {
    let message = format!("there is no '{name}' in expressions");
    let hint = match nearest(name, ROOTS) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("expressions see {}; a text stands in quotes: \"{name}\"", either(ROOTS)),
    };
    notes.push(Mistake::new(codes::UNKNOWN_ROOT, span, message).hint(hint));
}

/// An item step's key must tell items apart.
fn same_key(draft: &Draft<'_>, track: Track, notes: &mut Notes<'_>) {
    let Some(idempotency) = draft.step.idempotency.as_ref().filter(|_| track == Track::Item) else { return };
    let mut references =
        draft.sites.iter().filter(|site| site.field == "key").flat_map(|site| site.template.references());
    let tells = references
        .any(|reference| reference.names.first().is_none_or(|root| root == "item" || root == "steps"));
    let readable = !idempotency.key.contains("${{") || draft.sites.iter().any(|site| site.field == "key");
    if !tells && readable && !idempotency.key.is_empty() {
        let span = draft.key("idempotency");
        let span = notes.source.inside(span, &idempotency.key);
        let message = format!("the key of step '{}' is the same for every item", draft.step.name);
        notes.push(
            Mistake::new(codes::SAME_KEY, span, message)
                .hint("name what tells items apart: \"${{ item.sku }}\""),
        );
    }
}

/// Warns of inputs that no expression looks at.
pub(super) fn unused_inputs(view: &View<'_>, closing: &[Draft<'_>], notes: &mut Notes<'_>) {
    let references: Vec<&Reference> = view
        .steps
        .iter()
        .chain(closing)
        .flat_map(|draft| &draft.sites)
        .flat_map(|site| site.template.references())
        .collect();
    let whole = |reference: &&Reference| match reference.names.as_slice() {
        [] => true,
        [root] => root == "input",
        _ => false,
    };
    if references.iter().any(whole) {
        return;
    }
    for (name, span) in view.inputs {
        let used = references.iter().any(|reference| {
            matches!(reference.names.as_slice(), [root, used, ..] if root == "input" && used == name)
        });
        if !used {
            let message = format!("no expression in this file looks at the input '{name}'");
            let hint = format!("use it: ${{{{ input.{name} }}}}, or remove it");
            notes.push(Mistake::new(codes::UNUSED_INPUT, *span, message).hint(hint));
        }
    }
}
