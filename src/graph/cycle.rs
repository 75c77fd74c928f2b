//! Cycles: services that would wait for each other for ever.

use super::Graph;
use petgraph::{algo::kosaraju_scc, graph::NodeIndex};
use std::collections::{HashMap, VecDeque, hash_map::Entry};

impl<'a> Graph<'a> {
    /// A shortest cycle through the first service of the file that is in one: `a b a`.
    pub fn cycle(&self) -> Option<Vec<&'a str>> {
        let tangled = |node: &NodeIndex| self.graph.contains_edge(*node, *node);
        let start = kosaraju_scc(&self.graph)
            .into_iter()
            .filter(|component| component.len() > 1 || component.iter().any(tangled))
            .flatten()
            .min()?;
        Some(self.way_back(start).into_iter().map(|node| self.graph[node]).collect())
    }

    /// Breadth first from `start` until an edge leads to it again.
    fn way_back(&self, start: NodeIndex) -> Vec<NodeIndex> {
        let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
        let mut waiting = VecDeque::from([start]);
        while let Some(node) = waiting.pop_front() {
            let mut next: Vec<_> = self.graph.neighbors(node).collect();
            next.sort();
            for to in next {
                if to == start {
                    return Self::path(&came_from, start, node);
                }
                if let Entry::Vacant(place) = came_from.entry(to) {
                    place.insert(node);
                    waiting.push_back(to);
                }
            }
        }
        vec![start]
    }

    fn path(came_from: &HashMap<NodeIndex, NodeIndex>, start: NodeIndex, last: NodeIndex) -> Vec<NodeIndex> {
        let mut path = vec![start, last];
        let mut node = last;
        while node != start {
            let Some(&before) = came_from.get(&node) else { break };
            path.push(before);
            node = before;
        }
        path.reverse();
        path
    }
}
