//! The graph of steps: order, cycles, reach. The only file that knows petgraph.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed};

/// A directed graph over the positions `0..n` of a list of steps; an edge goes from the step
/// that is needed to the step that needs it.
#[derive(Clone, Debug)]
pub struct Graph {
    inner: DiGraph<(), ()>,
}

impl Graph {
    /// Builds the graph; `needs[i]` lists the positions that step `i` needs. Positions outside the
    /// list are ignored: whoever read the file has reported them.
    pub fn new(needs: &[Vec<usize>]) -> Self {
        let mut inner = DiGraph::new();
        let nodes: Vec<NodeIndex> = needs.iter().map(|_| inner.add_node(())).collect();
        for (to, sources) in needs.iter().enumerate() {
            for from in sources {
                if let Some(from) = nodes.get(*from) {
                    inner.update_edge(*from, nodes[to], ());
                }
            }
        }
        Self { inner }
    }

    /// Every position once, each after all that it needs; among equals the order of the file.
    /// `None` when there is a cycle.
    pub fn order(&self) -> Option<Vec<usize>> {
        let count = self.inner.node_count();
        let mut missing: Vec<usize> = (0..count).map(|at| self.needs(at).len()).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..count).filter(|at| missing[*at] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(Reverse(next)) = ready.pop() {
            order.push(next);
            for later in self.needed_by(next) {
                missing[later] -= 1;
                if missing[later] == 0 {
                    ready.push(Reverse(later));
                }
            }
        }
        (order.len() == count).then_some(order)
    }

    /// Each cycle as its positions, in ascending order.
    pub fn cycles(&self) -> Vec<Vec<usize>> {
        let mut cycles: Vec<Vec<usize>> = tarjan_scc(&self.inner)
            .into_iter()
            .filter(|component| {
                component.len() > 1 || component.iter().any(|node| self.inner.contains_edge(*node, *node))
            })
            .map(|component| {
                let mut positions: Vec<usize> = component.into_iter().map(NodeIndex::index).collect();
                positions.sort_unstable();
                positions
            })
            .collect();
        cycles.sort();
        cycles
    }

    /// The positions that `at` needs directly, ascending.
    pub fn needs(&self, at: usize) -> Vec<usize> {
        self.neighbours(at, Direction::Incoming)
    }

    /// The positions that need `at` directly, ascending.
    pub fn needed_by(&self, at: usize) -> Vec<usize> {
        self.neighbours(at, Direction::Outgoing)
    }

    /// All positions before `at`, directly or not, without `at`, ascending.
    pub fn ancestors(&self, at: usize) -> Vec<usize> {
        let mut walk = Dfs::new(Reversed(&self.inner), NodeIndex::new(at));
        let mut found = Vec::new();
        while let Some(node) = walk.next(Reversed(&self.inner)) {
            found.push(node.index());
        }
        found.retain(|position| *position != at);
        found.sort_unstable();
        found
    }

    /// All positions after `at`, directly or not, without `at`, ascending.
    pub fn descendants(&self, at: usize) -> Vec<usize> {
        let mut walk = Dfs::new(&self.inner, NodeIndex::new(at));
        let mut found = Vec::new();
        while let Some(node) = walk.next(&self.inner) {
            found.push(node.index());
        }
        found.retain(|position| *position != at);
        found.sort_unstable();
        found
    }

    /// For each position, whether it is after one of `from`, directly or not.
    pub fn behind(&self, from: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut behind = vec![false; self.inner.node_count()];
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(at) = open.pop() {
            for later in self.needed_by(at) {
                if !behind[later] {
                    behind[later] = true;
                    open.push(later);
                }
            }
        }
        behind
    }

    /// For each position, the nearest of the `chosen` ones before it: those that no other chosen one
    /// before it follows, ascending.
    pub fn nearest(&self, chosen: &[bool]) -> Vec<Vec<usize>> {
        let Some(order) = self.order() else {
            return (0..chosen.len()).map(|at| self.foremost(self.chosen_before(at, chosen))).collect();
        };
        let mut nearest: Vec<Vec<usize>> = vec![Vec::new(); chosen.len()];
        for at in order {
            let mut found = Vec::new();
            for need in self.needs(at) {
                if chosen[need] { found.push(need) } else { found.extend(&nearest[need]) }
            }
            found.sort_unstable();
            found.dedup();
            nearest[at] = if found.len() > 1 { self.foremost(found) } else { found };
        }
        nearest
    }

    fn chosen_before(&self, at: usize, chosen: &[bool]) -> Vec<usize> {
        self.ancestors(at).into_iter().filter(|before| chosen[*before]).collect()
    }

    /// Those that none of the others follows.
    fn foremost(&self, mut positions: Vec<usize>) -> Vec<usize> {
        let mut followed = vec![false; self.inner.node_count()];
        for before in positions.iter().flat_map(|at| self.ancestors(*at)) {
            followed[before] = true;
        }
        positions.retain(|at| !followed[*at]);
        positions
    }

    fn neighbours(&self, at: usize, direction: Direction) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.inner.neighbors_directed(NodeIndex::new(at), direction).map(NodeIndex::index).collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diamond_is_ordered_and_its_ends_see_each_other() {
        let graph = Graph::new(&[vec![1, 2], vec![3], vec![3], vec![]]);
        assert_eq!(graph.order(), Some(vec![3, 1, 2, 0]));
        assert_eq!(graph.ancestors(0), [1, 2, 3]);
        assert_eq!(graph.descendants(3), [0, 1, 2]);
        assert!(graph.cycles().is_empty());
    }

    #[test]
    fn the_nearest_chosen_ones_are_those_that_no_other_follows() {
        // 0 ─► 1 ─► 3 ─► 5; 0 ─► 2 ─► 4 ─► 5; 1 ─► 4
        let graph = Graph::new(&[vec![], vec![0], vec![0], vec![1], vec![2, 1], vec![3, 4]]);
        let chosen = [true, true, true, false, false, false];
        let expected: [&[usize]; 6] = [&[], &[0], &[0], &[1], &[1, 2], &[1, 2]];
        assert_eq!(graph.nearest(&chosen), expected);
        let chosen = [true, true, false, false, false, false];
        let expected: [&[usize]; 6] = [&[], &[0], &[0], &[1], &[1], &[1]];
        assert_eq!(graph.nearest(&chosen), expected);
        assert_eq!(graph.behind([1]), [false, false, false, true, true, true]);
        // In a circle each is before each, and before itself it is not.
        let circle = Graph::new(&[vec![2], vec![0], vec![1], vec![1]]);
        assert_eq!(circle.nearest(&[true, false, false, false]), [vec![], vec![0], vec![0], vec![0]]);
        assert_eq!(circle.behind([]), [false; 4]);
    }

    #[test]
    fn every_cycle_is_named() {
        let graph = Graph::new(&[vec![1], vec![0], vec![2], vec![0]]);
        assert_eq!(graph.order(), None);
        assert_eq!(graph.cycles(), [vec![0, 1], vec![2]]);
    }
}
