//! Steps together: who needs whom, which track each is on, which item each sees.

use super::codes;
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
    let position = |name: &str| steps.iter().position(|draft| draft.step.name == name);
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
    let tracks = (0..steps.len())
        .map(|at| match source {
            Some(source) if source == at => Track::Source,
            Some(source) if graph.ancestors(at).contains(&source) => Track::Item,
            Some(_) | None => Track::Run,
        })
        .collect();
    let uncertain = uncertain(steps, &graph);
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
fn uncertain(steps: &[Draft<'_>], graph: &Graph) -> Vec<bool> {
    let cyclic: Vec<usize> = graph.cycles().concat();
    let unknown = |at: &usize| {
        let draft = &steps[*at];
        let lost = |need: &str| !steps.iter().any(|other| other.step.name == need);
        draft.needs_unknown || cyclic.contains(at) || draft.needs.iter().any(|(need, _)| lost(need))
    };
    (0..steps.len())
        .map(|at| {
            let before = graph.ancestors(at);
            unknown(&at) || before.iter().any(|other| unknown(other) || steps[*other].descriptor.is_none())
        })
        .collect()
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
    for (at, draft) in steps.iter().enumerate() {
        let nearest = nearest(&shape.graph, &maps, at);
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

/// The maps before `at` that no other map before `at` follows.
fn nearest(graph: &Graph, maps: &[bool], at: usize) -> Vec<usize> {
    let mut before = graph.ancestors(at);
    before.retain(|other| maps[*other]);
    let followed: Vec<usize> = before.iter().flat_map(|map| graph.ancestors(*map)).collect();
    before.retain(|map| !followed.contains(map));
    before
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

/// The step whose output is `item` for the step called `name`: the nearest step before it that makes one.
/// `None`: the record of the source itself. `check` has refused files in which two are nearest.
pub fn item_source<'a>(workflow: &'a Workflow, catalog: &Catalog, name: &str) -> Option<&'a str> {
    let position = |name: &str| workflow.steps.iter().position(|step| step.name == name);
    let needs: Vec<Vec<usize>> = workflow
        .steps
        .iter()
        .map(|step| step.needs.iter().filter_map(|need| position(need)).collect())
        .collect();
    let is_map = |step: &Step| catalog.step(&step.uses).is_some_and(is_map);
    let maps: Vec<bool> = workflow.steps.iter().map(is_map).collect();
    let nearest = nearest(&Graph::new(&needs), &maps, position(name)?);
    nearest.last().map(|at| workflow.steps[*at].name.as_str())
}
