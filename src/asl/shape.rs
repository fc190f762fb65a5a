//! A graph as series and parallel parts, which is all that the states language can say.
//!
//! Where everything before a place is needed by everything after it, the graph is cut there: one after the
//! other. Where it falls apart, the parts are side by side. Where neither is possible, in a graph that has
//! an N in it, the steps that need nothing come first, side by side, and the rest follows: a step may then
//! wait for one that it does not need, but never begins before one that it needs.

use std::collections::BTreeSet;

use crate::core::catalog::{Catalog, Role};
use crate::core::graph::Graph;
use crate::core::plan::{Plan, Track};
use crate::core::workflow::Workflow;

/// The steps of a workflow, run steps and item steps together, by their position in the file.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// How each takes part.
    pub(super) places: Vec<Place>,
    /// In which order they are ordered.
    pub(super) part: Part,
    /// The steps that wait for others without needing them.
    pub(super) barriers: Vec<Barrier>,
}

/// How a step takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its role on the track that it belongs to.
    pub(super) role: Role,
    /// Once per item.
    pub(super) on_items: bool,
}

impl Place {
    /// Each of its attempts is a task of its own.
    pub(super) fn attempts_are_tasks(self) -> bool {
        !self.on_items && matches!(self.role, Role::Effect { .. } | Role::Source)
    }
}

/// A part of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One step.
    Step(usize),
    /// One after the other; at least two, none of them a sequence.
    Sequence(Vec<Part>),
    /// Side by side; at least two.
    Parallel(Vec<Part>),
}

/// A step that waits for others without needing them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Barrier {
    /// It.
    pub(super) step: usize,
    /// What it waits for.
    pub(super) waits_for: Vec<usize>,
}

impl Shape {
    /// The shape of a checked workflow.
    pub(super) fn of(workflow: &Workflow, catalog: &Catalog) -> Self {
        let plan = Plan::of(workflow, catalog);
        let position = |name: &str| workflow.steps.iter().position(|step| step.name == name);
        let mut needs = vec![Vec::new(); workflow.steps.len()];
        let mut places = vec![Place { role: Role::Pure, on_items: true }; workflow.steps.len()];
        // The source stands on both tracks; that it is the gate is what counts.
        for (track, on_items) in [(&plan.items, true), (&plan.run, false)] {
            for (at, step) in track.steps.iter().enumerate() {
                let Some(own) = position(&step.name) else { continue };
                places[own] = Place { role: step.role, on_items };
                needs[own] = names(track, at).into_iter().filter_map(position).collect();
            }
        }
        let graph = Graph::new(&needs);
        let before: Vec<BTreeSet<usize>> =
            (0..needs.len()).map(|at| graph.ancestors(at).into_iter().collect()).collect();
        let mut cutter = Cutter { before: &before, barriers: Vec::new() };
        let part = cutter.part(&graph.order().unwrap_or_default());
        Self { places, part, barriers: cutter.barriers }
    }
}

fn names(track: &Track, at: usize) -> Vec<&str> {
    track.steps[at].needs.iter().map(|need| track.steps[*need].name.as_str()).collect()
}

struct Cutter<'a> {
    /// Per step all that it needs, directly or not.
    before: &'a [BTreeSet<usize>],
    barriers: Vec<Barrier>,
}

impl Cutter<'_> {
    /// The part that these steps are, in topological order.
    fn part(&mut self, steps: &[usize]) -> Part {
        if let [only] = steps {
            return Part::Step(*only);
        }
        let beside = grouped(steps, |one, other| self.is_ordered(one, other));
        if beside.len() > 1 {
            return Part::Parallel(beside.iter().map(|steps| self.part(steps)).collect());
        }
        // Whoever is beside another is on the same side of a cut as that one.
        let after = grouped(steps, |one, other| !self.is_ordered(one, other));
        if after.len() > 1 {
            return sequence(after.iter().map(|steps| self.part(steps)));
        }
        let (first, rest): (Vec<usize>, Vec<usize>) =
            steps.iter().partition(|at| steps.iter().all(|other| !self.before[**at].contains(other)));
        self.note_barriers(&first, &rest);
        let first = Part::Parallel(first.into_iter().map(Part::Step).collect());
        sequence([first, self.part(&rest)])
    }

    fn is_ordered(&self, one: usize, other: usize) -> bool {
        self.before[one].contains(&other) || self.before[other].contains(&one)
    }

    /// Who of `rest` waits for some of `first` without need, and for no other step that does so already.
    fn note_barriers(&mut self, first: &[usize], rest: &[usize]) {
        for step in rest {
            let waits_for: Vec<usize> = first
                .iter()
                .copied()
                .filter(|at| {
                    let waits = |step: &usize| !self.before[*step].contains(at);
                    let told = || rest.iter().any(|other| self.before[*step].contains(other) && waits(other));
                    waits(step) && !told()
                })
                .collect();
            if !waits_for.is_empty() {
                self.barriers.push(Barrier { step: *step, waits_for });
            }
        }
    }
}

fn sequence(parts: impl IntoIterator<Item = Part>) -> Part {
    let flat = parts.into_iter().flat_map(|part| match part {
        Part::Sequence(inner) => inner,
        part @ (Part::Step(_) | Part::Parallel(_)) => vec![part],
    });
    Part::Sequence(flat.collect())
}

/// The steps in groups: two that are related are in the same one. Groups, and the steps in them, are in the
/// order of `steps`.
fn grouped(steps: &[usize], is_related: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut left = steps.to_vec();
    let mut groups = Vec::new();
    while let Some(first) = left.first().copied() {
        let mut group = vec![first];
        left.remove(0);
        let mut at = 0;
        while let Some(one) = group.get(at).copied() {
            let (related, others) = left.iter().partition(|other| is_related(one, **other));
            group.extend::<Vec<usize>>(related);
            left = others;
            at += 1;
        }
        group.sort_unstable_by_key(|step| steps.iter().position(|other| other == step));
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{Parallel, Sequence, Step};

    fn cut(needs: &[Vec<usize>]) -> (Part, Vec<Barrier>) {
        let graph = Graph::new(needs);
        let before: Vec<BTreeSet<usize>> =
            (0..needs.len()).map(|at| graph.ancestors(at).into_iter().collect()).collect();
        let mut cutter = Cutter { before: &before, barriers: Vec::new() };
        let part = cutter.part(&graph.order().unwrap());
        (part, cutter.barriers)
    }

    #[test]
    fn a_diamond_is_a_sequence_with_branches_in_it() {
        let (part, barriers) = cut(&[vec![], vec![0], vec![0], vec![1, 2]]);
        let branches = Parallel(vec![Step(1), Step(2)]);
        assert_eq!(part, Sequence(vec![Step(0), branches, Step(3)]));
        assert_eq!(barriers, []);
    }

    #[test]
    fn what_has_nothing_to_do_with_each_other_is_side_by_side() {
        let (part, _) = cut(&[vec![], vec![0], vec![], vec![2]]);
        let chains = [Sequence(vec![Step(0), Step(1)]), Sequence(vec![Step(2), Step(3)])];
        assert_eq!(part, Parallel(chains.to_vec()));
    }

    #[test]
    fn an_n_waits_and_says_who_for_whom() {
        // 2 needs 0; 3 needs 0 and 1; 4 needs 2.
        let (part, barriers) = cut(&[vec![], vec![], vec![0], vec![0, 1], vec![2]]);
        let after = Parallel(vec![Sequence(vec![Step(2), Step(4)]), Step(3)]);
        assert_eq!(part, Sequence(vec![Parallel(vec![Step(0), Step(1)]), after]));
        assert_eq!(barriers, [Barrier { step: 2, waits_for: vec![1] }], "4 waits only because 2 does");
    }
}
