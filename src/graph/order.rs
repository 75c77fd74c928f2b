//! The order of starts, and its reverse for stops.

use super::Graph;
use petgraph::{Direction, algo::kosaraju_scc, graph::NodeIndex, visit::EdgeRef};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

impl<'a> Graph<'a> {
    /// Dependencies first; otherwise as in the file. Edges within a cycle are left out, so that what was applied
    /// once can be taken down whatever it looks like; who needs an error asks for [`Graph::cycle`].
    pub fn order(&self) -> Vec<&'a str> {
        self.waves_by_node().0.into_iter().map(|node| self.graph[node]).collect()
    }

    /// Services that can start together: those of a wave depend only on those of earlier ones.
    pub fn waves(&self) -> Vec<Vec<&'a str>> {
        let (order, level) = self.waves_by_node();
        let mut waves: Vec<Vec<&'a str>> = Vec::new();
        for node in order {
            let wave = level.get(&node).copied().unwrap_or_default();
            waves.resize_with(waves.len().max(wave + 1), Vec::new);
            waves[wave].push(self.graph[node]);
        }
        waves
    }

    /// Whether the edge between these two is part of a cycle and so says nothing about an order.
    pub fn tangled(&self) -> impl Fn(&str, &str) -> bool + use<'a> {
        let component = self.components();
        let index = self.index.clone();
        move |one, other| match (index.get(one), index.get(other)) {
            (Some(one), Some(other)) => component[one] == component[other],
            _ => false,
        }
    }

    fn components(&self) -> HashMap<NodeIndex, usize> {
        kosaraju_scc(&self.graph)
            .into_iter()
            .enumerate()
            .flat_map(|(number, nodes)| nodes.into_iter().map(move |node| (node, number)))
            .collect()
    }

    /// Kahn's algorithm; of those that are ready, the first of the file goes first.
    fn waves_by_node(&self) -> (Vec<NodeIndex>, HashMap<NodeIndex, usize>) {
        let component = self.components();
        let counts = |source: NodeIndex, target: NodeIndex| component[&source] != component[&target];
        let mut open: HashMap<NodeIndex, usize> = self
            .graph
            .node_indices()
            .map(|node| (node, self.graph.edges(node).filter(|edge| counts(node, edge.target())).count()))
            .collect();
        let mut ready: BinaryHeap<_> =
            open.iter().filter(|(_, count)| **count == 0).map(|(node, _)| Reverse(*node)).collect();
        let (mut order, mut level) = (Vec::with_capacity(open.len()), HashMap::new());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            let next_level = *level.entry(node).or_insert(0) + 1;
            for edge in self.graph.edges_directed(node, Direction::Incoming) {
                let dependent = edge.source();
                if !counts(dependent, node) {
                    continue;
                }
                let at = level.entry(dependent).or_insert(0);
                *at = (*at).max(next_level);
                if let Some(count) = open.get_mut(&dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(Reverse(dependent));
                    }
                }
            }
        }
        (order, level)
    }
}
