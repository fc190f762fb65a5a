//! The graph of steps: order, cycles, reach. The only file that knows petgraph.

use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort};
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
        toposort(&self.inner, None).ok()?;
        let count = self.inner.node_count();
        let mut placed = vec![false; count];
        let mut order = Vec::with_capacity(count);
        while order.len() < count {
            let next =
                (0..count).find(|at| !placed[*at] && self.needs(*at).iter().all(|need| placed[*need]))?;
            placed[next] = true;
            order.push(next);
        }
        Some(order)
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
    fn every_cycle_is_named() {
        let graph = Graph::new(&[vec![1], vec![0], vec![2], vec![0]]);
        assert_eq!(graph.order(), None);
        assert_eq!(graph.cycles(), [vec![0, 1], vec![2]]);
    }
}
