//! Steps together: who needs whom, which track each is on, which item each sees.

use std::collections::{BTreeMap, HashMap};

use super::codes;
use super::place::Span;
use super::report::{Mistake, Notes};
use super::steps::Draft;
use super::words::{either, suggest};
use crate::core::catalog::{Catalog, Descriptor, Place, Role};
use crate::core::graph::Graph;
use crate::core::workflow::{Step, Workflow};

/// Which kind of unit a step works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    Run,
    Source,
    Item,
    Closing,
}

/// The steps as a graph.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) graph: Graph,
    pub(super) tracks: Vec<Track>,
    /// Steps of which it is not known what is before them, because of mistakes reported already.
    pub(super) uncertain: Vec<bool>,
}

/// Builds the graph and reports what is wrong with it.
pub(super) fn shape(steps: &[Draft<'_>], notes: &mut Notes<'_>) -> Shape {
    let positions = positions(steps.iter().map(|draft| draft.step.name.as_str()));
    let position = |name: &str| positions.get(name).copied();
    for draft in steps {
        for (need, span) in draft.needs.iter().filter(|(need, _)| position(need).is_none()) {
            let message =
                format!("step '{}' needs '{need}', which is not a step of this file", draft.step.name);
            let others = steps.iter().map(|other| other.step.name.as_str());
            let hint = suggest(need, others.filter(|other| *other != draft.step.name), "steps");
            notes.push(Mistake::new(codes::UNKNOWN_NEED, *span, message).maybe_hint(hint));
        }
    }
    let needs: Vec<Vec<usize>> = steps
        .iter()
        .map(|draft| draft.needs.iter().filter_map(|(need, _)| position(need)).collect())
        .collect();
    let graph = Graph::new(&needs);
    cycles(steps, &graph, notes);
    let source = source(steps, notes);
    let behind_source = graph.behind(source);
    let tracks = (0..steps.len())
        .map(|at| match source {
            Some(source) if source == at => Track::Source,
            Some(_) if behind_source[at] => Track::Item,
            Some(_) | None => Track::Run,
        })
        .collect();
    let uncertain = uncertain(steps, &graph, &positions);
    let shape = Shape { graph, tracks, uncertain };
    places(steps, &shape, source, notes);
    ambiguous(steps, &shape, notes);
    shape
}

fn cycles(steps: &[Draft<'_>], graph: &Graph, notes: &mut Notes<'_>) {
    let cycles = graph.cycles();
    let mut stuck = vec![false; steps.len()];
    for cycle in &cycles {
        let first = &steps[cycle[0]];
        let names: Vec<&str> = cycle.iter().map(|at| steps[*at].step.name.as_str()).collect();
        let message = match names.as_slice() {
            [only] => format!("step '{only}' needs itself"),
            names => format!("steps {} wait for each other and never begin", names.join(", ")),
        };
        let inside = |draft: &Draft<'_>| {
            draft.needs.iter().find(|(need, _)| names.contains(&need.as_str())).map(|(_, span)| *span)
        };
        let mut mistake = Mistake::new(codes::CYCLE, inside(first).unwrap_or(first.places.name), message)
            .hint("remove one of these 'needs'");
        for at in &cycle[1..] {
            if let Some(span) = inside(&steps[*at]) {
                mistake = mistake.related(span, "and this");
            }
        }
        notes.push(mistake);
        for at in cycle {
            graph.descendants(*at).into_iter().for_each(|after| stuck[after] = true);
        }
    }
    for (at, draft) in steps.iter().enumerate() {
        if stuck[at] && !cycles.iter().any(|cycle| cycle.contains(&at)) {
            let message = format!(
                "step '{}' never begins: it comes after steps that wait for each other",
                draft.step.name
            );
            notes.push(Mistake::new(codes::UNREACHABLE, draft.places.name, message));
        }
    }
}

/// In a circle, after an unknown connector, or where `needs` is wrong, nobody knows where a step
/// stands, nor those after it.
fn uncertain(steps: &[Draft<'_>], graph: &Graph, positions: &HashMap<&str, usize>) -> Vec<bool> {
    let mut unknown = vec![false; steps.len()];
    for at in graph.cycles().concat() {
        unknown[at] = true;
    }
    for (at, draft) in steps.iter().enumerate() {
        let lost = |(need, _): &(String, Span)| !positions.contains_key(need.as_str());
        unknown[at] |= draft.needs_unknown || draft.needs.iter().any(lost);
    }
    let lost = (0..steps.len()).filter(|at| unknown[*at] || steps[*at].descriptor.is_none());
    let behind_lost = graph.behind(lost);
    unknown.into_iter().zip(behind_lost).map(|(unknown, behind)| unknown || behind).collect()
}

fn role(draft: &Draft<'_>) -> Option<Role> {
    draft.descriptor.map(|known| known.role)
}

fn source(steps: &[Draft<'_>], notes: &mut Notes<'_>) -> Option<usize> {
    let mut sources = steps.iter().enumerate().filter(|(_, draft)| role(draft) == Some(Role::Source));
    let (first, one) = sources.next()?;
    for (_, other) in sources {
        let message = format!("'{}' is a second source; a run takes its items from one", other.step.name);
        notes.push(
            Mistake::new(codes::SECOND_SOURCE, other.key("uses"), message)
                .related(one.key("uses"), "the first source")
                .hint("split the file in two workflows, one per source"),
        );
    }
    Some(first)
}

fn places(steps: &[Draft<'_>], shape: &Shape, source: Option<usize>, notes: &mut Notes<'_>) {
    for (at, draft) in steps.iter().enumerate() {
        let Some(known) = draft.descriptor else { continue };
        if shape.uncertain[at] {
            continue;
        }
        let (name, uses) = (&draft.step.name, known.uses);
        let (message, hint) = match (known.place, shape.tracks[at]) {
            (Place::Item, Track::Run) if known.role != Role::Source => {
                let hint = source.map_or_else(
                    || "add a source, for example json.validate, and need it".to_owned(),
                    |source| format!("write needs: [{}], or a later step", steps[source].step.name),
                );
                (format!("'{uses}' works on items, but no step before '{name}' yields any"), hint)
            }
            (Place::Run, Track::Item) => (
                format!("'{uses}' works once per run, but '{name}' stands after the source"),
                "remove the source and the steps after it from 'needs'".to_owned(),
            ),
            _ => continue,
        };
        notes.push(Mistake::new(codes::WRONG_TRACK, draft.key("uses"), message).hint(hint));
    }
}

/// Reports steps that work on the item when it is not clear which one.
fn ambiguous(steps: &[Draft<'_>], shape: &Shape, notes: &mut Notes<'_>) {
    let maps: Vec<bool> = steps.iter().map(|draft| draft.descriptor.is_some_and(is_map)).collect();
    for (draft, nearest) in steps.iter().zip(shape.graph.nearest(&maps)) {
        let [first, second, ..] = nearest.as_slice() else { continue };
        let site = draft.sites.iter().find(|site| {
            let references = site.template.references();
            references.iter().any(|reference| reference.names.first().is_some_and(|name| name == "item"))
        });
        let works_on_item = draft.descriptor.is_some_and(|known| known.place == Place::Item);
        let Some(span) = site.map(|site| site.span).or(works_on_item.then(|| draft.key("needs"))) else {
            continue;
        };
        let (first, second) = (&steps[*first].step.name, &steps[*second].step.name);
        let message = format!(
            "the item of step '{}' could be the output of '{first}' or of '{second}'",
            draft.step.name
        );
        let hint = format!("let one of them need the other, or name one: steps.{first}.…");
        notes.push(Mistake::new(codes::AMBIGUOUS_ITEM, span, message).hint(hint));
    }
}

/// Whether the output of a step takes the place of the item for the steps after it.
fn is_map(known: &Descriptor) -> bool {
    known.role == Role::Pure
}

/// Where each name stands first.
fn positions<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut positions = HashMap::new();
    for (at, name) in names.enumerate() {
        positions.entry(name).or_insert(at);
    }
    positions
}

/// Reports steps of `on_failure` that work on items.
pub(super) fn closing(steps: &[Draft<'_>], notes: &mut Notes<'_>) {
    for draft in steps {
        let Some(known) = draft.descriptor else { continue };
        if known.place == Place::Item || known.role == Role::Source {
            let message = format!(
                "'{}' works on items, and 'on_failure' happens once, when the run has failed",
                known.uses
            );
            let hint = format!("usual here: {}", either(["alert", "eventbridge.publish", "http.request"]));
            notes.push(Mistake::new(codes::WRONG_TRACK, draft.key("uses"), message).hint(hint));
        }
    }
}

/// For each step that has one, the step whose output is its `item`: the nearest step before it that makes one.
/// For the others it is the record of the source itself. `check` has refused files in which two are nearest.
pub fn item_sources<'a>(workflow: &'a Workflow, catalog: &Catalog) -> BTreeMap<&'a str, &'a str> {
    let steps = &workflow.steps;
    let positions = positions(steps.iter().map(|step| step.name.as_str()));
    let needs: Vec<Vec<usize>> = steps
        .iter()
        .map(|step| step.needs.iter().filter_map(|need| positions.get(need.as_str()).copied()).collect())
        .collect();
    let is_map = |step: &Step| catalog.step(&step.uses).is_some_and(is_map);
    let maps: Vec<bool> = steps.iter().map(is_map).collect();
    let nearest = Graph::new(&needs).nearest(&maps);
    let sources = steps.iter().zip(nearest);
    sources
        .filter_map(|(step, nearest)| Some((step.name.as_str(), steps[*nearest.last()?].name.as_str())))
        .collect()
}
