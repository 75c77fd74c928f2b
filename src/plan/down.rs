//! `down`: containers in reverse dependency order, then networks, volumes and images that nobody else needs.

use super::{
    Cause, Observed, ObservedContainer, Op, OpId, Plan, PlanError,
    scene::Scene,
    stops::{Stop, stop_in_order},
    up::orphan_warning,
};
use crate::model::{
    Project, Service,
    intent::{Down, RemoveImages},
};
use std::collections::{BTreeMap, BTreeSet};

/// Its image is made here, and has no name but that of its service.
fn is_only_built(service: &Service, project: &str) -> bool {
    service.build.is_some() && service.image == format!("{project}-{}", service.name)
}

pub fn down(intent: &Down, project: Option<&Project>, observed: &Observed) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(&intent.services)?;
    // Who depends on what goes would be left without it.
    let services = scene.graph.with_dependents(named.iter().copied());
    let mut teardown = Teardown {
        scene: &scene,
        intent,
        everything: intent.services.is_empty(),
        plan: Plan { project: scene.name.to_owned(), verb: "down".to_owned(), ..Plan::default() },
        going: Vec::new(),
        removals: BTreeMap::new(),
    };
    teardown.choose(&services);
    teardown.containers();
    teardown.networks();
    if intent.volumes {
        teardown.volumes();
    }
    if let Some(which) = intent.images {
        teardown.images(&services, which);
    }
    let mut plan = teardown.plan;
    if plan.is_empty() {
        plan.warnings.push(format!("No resource found to remove for project {:?}.", scene.name));
    }
    Ok(plan)
}

struct Teardown<'s, 'a> {
    scene: &'s Scene<'a>,
    intent: &'s Down,
    /// No service was named.
    everything: bool,
    plan: Plan,
    going: Vec<&'a ObservedContainer>,
    /// By container id.
    removals: BTreeMap<&'a str, OpId>,
}

impl<'a> Teardown<'_, 'a> {
    /// One-offs and containers without a service stay unless they are asked for, as in docker compose.
    fn choose(&mut self, services: &BTreeSet<&'a str>) {
        let all = self.scene.observed.containers.iter();
        let orphans = self.scene.orphans();
        let is_orphan = |container: &ObservedContainer| orphans.iter().any(|orphan| orphan.id == container.id);
        let wanted = |container: &&ObservedContainer| {
            let of_service = services.contains(container.service.as_str());
            if container.oneoff || !self.scene.services.contains_key(container.service.as_str()) {
                self.intent.remove_orphans && self.everything && (container.oneoff || is_orphan(container))
            } else {
                of_service
            }
        };
        self.going = all.filter(wanted).collect();
        let staying: Vec<_> = orphans.iter().filter(|orphan| !self.goes(orphan)).copied().collect();
        if self.everything && !staying.is_empty() {
            self.plan.warnings.push(orphan_warning(&staying));
        }
    }

    fn goes(&self, container: &ObservedContainer) -> bool {
        self.going.iter().any(|going| going.id == container.id)
    }

    fn containers(&mut self) {
        let cause = Cause::new("asked for by down");
        let stops = self.going.iter().map(|container| Stop { container, cause: cause.clone() }).collect();
        let stops = stop_in_order(self.scene, stops, self.intent.timeout, &mut self.plan);
        for container in &self.going {
            let after = stops.get(container.id.as_str()).copied().into_iter().collect();
            let op = Op::RemoveContainer {
                id: container.id.clone(),
                name: container.name.clone(),
                volumes: self.intent.volumes,
            };
            self.removals.insert(container.id.as_str(), self.plan.push(op, cause.clone(), after));
        }
    }

    fn networks(&mut self) {
        for (name, network) in &self.scene.observed.networks {
            if network.project.as_deref() != Some(self.scene.name) || self.is_external_network(name) {
                continue;
            }
            let uses = |container: &&ObservedContainer| container.networks.contains(name);
            if !self.everything && !self.going.iter().any(&uses) {
                continue;
            }
            let staying = self.staying(&uses);
            if network.used_by_others || !staying.is_empty() {
                self.plan.warnings.push(format!("Network {name}: Resource is still in use{}", by(&staying)));
                continue;
            }
            let after = self.removals_of(&uses);
            self.plan.push(Op::RemoveNetwork { name: name.clone() }, Cause::new("asked for by down"), after);
        }
    }

    fn volumes(&mut self) {
        for (name, volume) in &self.scene.observed.volumes {
            if volume.project.as_deref() != Some(self.scene.name) || self.is_external_volume(name) {
                continue;
            }
            let own = |container: &&ObservedContainer| container.anonymous_volumes.contains(name);
            // They go with their container.
            if volume.anonymous && self.scene.observed.containers.iter().any(|container| own(&container)) {
                continue;
            }
            let uses = |container: &&ObservedContainer| container.volumes.contains(name);
            if !self.everything && !self.going.iter().any(&uses) {
                continue;
            }
            let staying = self.staying(&uses);
            if !staying.is_empty() {
                self.plan.warnings.push(format!("Volume {name}: Resource is still in use{}", by(&staying)));
                continue;
            }
            let after = self.removals_of(&uses);
            self.plan.push(Op::RemoveVolume { name: name.clone() }, Cause::new("asked for by down --volumes"), after);
        }
    }

    fn images(&mut self, services: &BTreeSet<&'a str>, which: RemoveImages) {
        let cause = match which {
            RemoveImages::All => "asked for by down --rmi all",
            RemoveImages::Local => "asked for by down --rmi local",
        };
        let wanted = services.iter().map(|name| self.scene.services[name]);
        let wanted = wanted.filter(|service| which == RemoveImages::All || is_only_built(service, self.scene.name));
        let references: BTreeSet<&str> = wanted.map(Service::reference).collect();
        for image in references {
            // A directory of this host is not ours to remove.
            let there = self.scene.observed.images.get(image).is_some_and(Option::is_some);
            if !there || image.starts_with("rootfs:") {
                continue;
            }
            let uses = |container: &&ObservedContainer| container.applied.reference() == image;
            let staying = self.staying(&uses);
            if !staying.is_empty() {
                self.plan.warnings.push(format!("Image {image}: Resource is still in use{}", by(&staying)));
                continue;
            }
            let after = self.removals_of(&uses);
            self.plan.push(Op::RemoveImage { image: image.to_owned() }, Cause::new(cause), after);
        }
    }

    fn staying(&self, uses: &impl Fn(&&ObservedContainer) -> bool) -> Vec<&'a str> {
        let users = self.scene.observed.containers.iter().filter(|container| uses(container));
        users
            .filter(|container| !self.removals.contains_key(container.id.as_str()))
            .map(|container| container.name.as_str())
            .collect()
    }

    fn removals_of(&self, uses: &impl Fn(&&ObservedContainer) -> bool) -> Vec<OpId> {
        let users = self.going.iter().filter(|container| uses(container));
        users.filter_map(|container| self.removals.get(container.id.as_str()).copied()).collect()
    }

    fn is_external_network(&self, name: &str) -> bool {
        let mut networks = self.scene.project.into_iter().flat_map(|project| project.networks.values());
        networks.any(|network| network.external && network.name == name)
    }

    fn is_external_volume(&self, name: &str) -> bool {
        let mut volumes = self.scene.project.into_iter().flat_map(|project| project.volumes.values());
        volumes.any(|volume| volume.external && volume.name == name)
    }
}

fn by(users: &[&str]) -> String {
    if users.is_empty() { String::new() } else { format!(" by {}", users.join(", ")) }
}
