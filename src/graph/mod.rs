//! Who waits for whom: the dependency graph of services, selection, order and cycles.
//!
//! Knows names and `depends_on` only. An edge to a service that is not there (a profile keeps it out, or
//! `required: false`) is no edge.

pub mod cycle;
pub mod order;

#[cfg(test)]
mod tests;

use crate::model::{Dependency, Project};
use indexmap::IndexMap;
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Edges lead from a service to what it depends on.
#[derive(Clone, Debug, Default)]
pub struct Graph<'a> {
    graph: DiGraph<&'a str, &'a Dependency>,
    index: HashMap<&'a str, NodeIndex>,
}

impl<'a> Graph<'a> {
    /// Of the services that are to run.
    pub fn of(project: &'a Project) -> Self {
        Self::new(project.services.iter().map(|(name, service)| (name.as_str(), &service.depends_on)))
    }

    /// Of pairs of a name and its dependencies. A name that comes twice keeps the first.
    pub fn new(services: impl IntoIterator<Item = (&'a str, &'a IndexMap<String, Dependency>)>) -> Self {
        let mut this = Self::default();
        let mut edges = Vec::new();
        for (name, depends_on) in services {
            if this.index.contains_key(name) {
                continue;
            }
            let node = this.graph.add_node(name);
            this.index.insert(name, node);
            edges.push((node, depends_on));
        }
        for (node, depends_on) in edges {
            for (name, dependency) in depends_on {
                if let Some(&to) = this.index.get(name.as_str()) {
                    this.graph.add_edge(node, to, dependency);
                }
            }
        }
        this
    }

    pub fn contains(&self, service: &str) -> bool {
        self.index.contains_key(service)
    }

    /// Services in the order of the file.
    pub fn services(&self) -> impl Iterator<Item = &'a str> {
        self.graph.node_weights().copied()
    }

    /// What `service` itself depends on, in the order of the file.
    pub fn dependencies(&self, service: &str) -> Vec<(&'a str, &'a Dependency)> {
        self.neighbours(service, Direction::Outgoing)
    }

    /// Who depends on `service` directly, in the order of the file.
    pub fn dependents(&self, service: &str) -> Vec<(&'a str, &'a Dependency)> {
        self.neighbours(service, Direction::Incoming)
    }

    /// `named` and all that they depend on, however far. Unknown names are left out.
    pub fn with_dependencies<'n>(&self, named: impl IntoIterator<Item = &'n str>) -> BTreeSet<&'a str> {
        self.reach(named, Direction::Outgoing, |_| true)
    }

    /// `named` and all that depend on them, however far.
    pub fn with_dependents<'n>(&self, named: impl IntoIterator<Item = &'n str>) -> BTreeSet<&'a str> {
        self.reach(named, Direction::Incoming, |_| true)
    }

    /// `named` and all that asked with `restart: true` to be restarted with them, however far.
    pub fn with_restarted<'n>(&self, named: impl IntoIterator<Item = &'n str>) -> BTreeSet<&'a str> {
        self.reach(named, Direction::Incoming, |dependency| dependency.restart)
    }

    fn neighbours(&self, service: &str, direction: Direction) -> Vec<(&'a str, &'a Dependency)> {
        let Some(&node) = self.index.get(service) else { return Vec::new() };
        let mut edges: Vec<_> = self.graph.edges_directed(node, direction).collect();
        edges.sort_by_key(|edge| edge.id());
        let end = |source: NodeIndex, target: NodeIndex| match direction {
            Direction::Outgoing => self.graph[target],
            Direction::Incoming => self.graph[source],
        };
        edges.into_iter().map(|edge| (end(edge.source(), edge.target()), *edge.weight())).collect()
    }

    fn reach<'n>(
        &self,
        named: impl IntoIterator<Item = &'n str>,
        direction: Direction,
        follow: impl Fn(&Dependency) -> bool,
    ) -> BTreeSet<&'a str> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<NodeIndex> = named.into_iter().filter_map(|name| self.index.get(name).copied()).collect();
        while let Some(node) = waiting.pop() {
            if !seen.insert(node) {
                continue;
            }
            for edge in self.graph.edges_directed(node, direction).filter(|edge| follow(edge.weight())) {
                waiting.push(if direction == Direction::Outgoing { edge.target() } else { edge.source() });
            }
        }
        seen.into_iter().map(|node| self.graph[node]).collect()
    }
}
