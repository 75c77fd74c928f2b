//! Everything that a planning function looks at, indexed once.

use super::{Observed, ObservedContainer, PlanError};
use crate::{
    graph::Graph,
    model::{Project, Service},
};
use indexmap::IndexMap;
use std::collections::{BTreeSet, HashMap};

pub struct Scene<'a> {
    /// Name of the project.
    pub name: &'a str,
    /// `None`: nobody has a file; `services` is then what was applied.
    pub project: Option<&'a Project>,
    pub services: IndexMap<&'a str, &'a Service>,
    pub graph: Graph<'a>,
    pub observed: &'a Observed,
    /// Without one-offs, by service, lowest number first.
    containers: HashMap<&'a str, Vec<&'a ObservedContainer>>,
}

impl<'a> Scene<'a> {
    pub fn new(project: Option<&'a Project>, observed: &'a Observed) -> Self {
        let mut containers: HashMap<&str, Vec<&ObservedContainer>> = HashMap::new();
        for container in observed.containers.iter().filter(|container| !container.oneoff) {
            containers.entry(&container.service).or_default().push(container);
        }
        containers.values_mut().for_each(|list| list.sort_by_key(|container| container.number));
        let services: IndexMap<&str, &Service> = match project {
            Some(project) => project.services.iter().map(|(name, service)| (name.as_str(), service)).collect(),
            None => observed
                .containers
                .iter()
                .filter(|container| !container.oneoff)
                .map(|container| (container.service.as_str(), &container.applied))
                .collect(),
        };
        let graph = Graph::new(services.iter().map(|(name, service)| (*name, &service.depends_on)));
        let name = project.map_or(observed.project.as_str(), |project| project.name.as_str());
        Self { name, project, services, graph, observed, containers }
    }

    pub fn containers(&self, service: &str) -> &[&'a ObservedContainer] {
        self.containers.get(service).map_or(&[], Vec::as_slice)
    }

    /// The services that a command line names; all where it names none.
    pub fn named(&self, names: &[String]) -> Result<BTreeSet<&'a str>, PlanError> {
        if names.is_empty() {
            return Ok(self.services.keys().copied().collect());
        }
        names
            .iter()
            .map(|name| match self.services.get_key_value(name.as_str()) {
                Some((name, _)) => Ok(*name),
                None => Err(PlanError::NoSuchService(name.clone())),
            })
            .collect()
    }

    /// The file's services in dependency order; a cycle is an error.
    pub fn checked_order(&self) -> Result<Vec<&'a str>, PlanError> {
        match self.graph.cycle() {
            Some(path) => Err(PlanError::Cycle { path: path.into_iter().map(str::to_owned).collect() }),
            None => Ok(self.graph.order()),
        }
    }

    /// Containers that no service of the model accounts for, and one-offs that have ended. Services that a profile
    /// keeps out account for theirs. As docker compose has it.
    pub fn orphans(&self) -> Vec<&'a ObservedContainer> {
        let known = |service: &str| {
            self.services.contains_key(service)
                || self.project.is_some_and(|project| project.disabled_services.contains_key(service))
        };
        let orphan = |container: &&ObservedContainer| {
            if container.oneoff { !container.state.is_running() } else { !known(&container.service) }
        };
        self.observed.containers.iter().filter(orphan).collect()
    }
}
