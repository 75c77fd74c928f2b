//! From decisions to ops: pulls, networks and volumes, stops and removals, creations, starts. An op comes after
//! everything that it waits for, so ids only ever point back.
//!
//! - Nothing is stopped before what replaces it can be made: its image, networks and volumes are there.
//! - Creations wait for no gate: when one opens, all that is left to say is "start".
//! - Who takes over a name, an address or a port is made after its old holder is gone.

use super::{
    Cause, ObservedContainer, Op, OpId, Plan, PlanError, Slot, claims,
    fate::{Fate, NewContainer, ServiceFate},
    gates::Gates,
    names,
    scene::Scene,
    stops::{Stop, stop_in_order_after},
    up::Decisions,
};
use crate::model::{ContainerId, MountKind, Service, intent::Up};
use std::collections::{BTreeSet, HashMap};

pub struct Emission<'s, 'a> {
    scene: &'s Scene<'a>,
    options: &'s Up,
    plan: Plan,
    /// Pulls and builds, by reference.
    images: HashMap<&'a str, OpId>,
    /// By key.
    networks: HashMap<&'a str, OpId>,
    volumes: HashMap<&'a str, OpId>,
    /// By container id.
    stops: HashMap<&'a str, OpId>,
    removals: HashMap<&'a str, OpId>,
}

impl<'s, 'a> Emission<'s, 'a> {
    pub fn new(scene: &'s Scene<'a>, options: &'s Up, verb: &str) -> Self {
        Self {
            scene,
            options,
            plan: Plan { project: scene.name.to_owned(), verb: verb.to_owned(), ..Plan::default() },
            images: HashMap::new(),
            networks: HashMap::new(),
            volumes: HashMap::new(),
            stops: HashMap::new(),
            removals: HashMap::new(),
        }
    }

    pub fn emit(mut self, mut decisions: Decisions<'a>) -> Result<Plan, PlanError> {
        self.plan.warnings.append(&mut decisions.needs.warnings);
        self.note_unchanged(&decisions);
        self.new_resources(&decisions);
        self.stop(&decisions);
        self.remove(&decisions);
        self.changed_networks(&decisions);
        let created = self.create(&decisions);
        self.start(&decisions, &created)?;
        Ok(self.plan)
    }

    fn note_unchanged(&mut self, decisions: &Decisions<'a>) {
        let selected = decisions.fates.iter().filter(|fate| decisions.selected.contains(fate.service.name.as_str()));
        let kept = selected.flat_map(|fate| &fate.existing).filter(|(_, fate)| *fate == Fate::Keep);
        self.plan.unchanged = kept.map(|(container, _)| container.name.clone()).collect();
    }

    fn new_resources(&mut self, decisions: &Decisions<'a>) {
        for (image, (service, cause)) in &decisions.needs.builds {
            let op = Op::BuildImage { service: (*service).to_owned(), image: (*image).to_owned() };
            self.images.insert(image, self.plan.push(op, cause.clone(), Vec::new()));
        }
        for (image, (policy, cause)) in &decisions.needs.pulls {
            let op = Op::PullImage { image: (*image).to_owned(), policy: *policy };
            self.images.insert(image, self.plan.push(op, cause.clone(), Vec::new()));
        }
        for (key, cause) in &decisions.needs.new_networks {
            let op = Op::CreateNetwork { key: (*key).to_owned() };
            self.networks.insert(key, self.plan.push(op, cause.clone(), Vec::new()));
        }
        for (key, cause) in &decisions.needs.new_volumes {
            let op = Op::CreateVolume { key: (*key).to_owned() };
            self.volumes.insert(key, self.plan.push(op, cause.clone(), Vec::new()));
        }
    }

    fn stop(&mut self, decisions: &Decisions<'a>) {
        let mut stops = Vec::new();
        for service in &decisions.fates {
            for (container, fate) in &service.existing {
                let (cause, after) = match fate {
                    Fate::Recreate { .. } => (makes_room(), self.ready(service.service)),
                    Fate::Bounce(cause) | Fate::Remove(cause) => (cause.clone(), Vec::new()),
                    Fate::Keep | Fate::Start(_) => continue,
                };
                stops.push((Stop { container, cause }, after));
            }
        }
        for (container, cause) in &decisions.orphans {
            stops.push((Stop { container, cause: cause.clone() }, Vec::new()));
        }
        // Only who asked to be restarted along is down before its dependency is.
        let restart_edges = |dependency: &crate::model::Dependency| dependency.restart;
        self.stops = stop_in_order_after(self.scene, stops, self.options.timeout, restart_edges, &mut self.plan);
    }

    fn remove(&mut self, decisions: &Decisions<'a>) {
        for service in &decisions.fates {
            for (container, fate) in &service.existing {
                match fate {
                    Fate::Recreate { .. } => self.push_removal(container, &makes_room(), self.ready(service.service)),
                    Fate::Remove(cause) => self.push_removal(container, cause, Vec::new()),
                    Fate::Keep | Fate::Start(_) | Fate::Bounce(_) => {}
                }
            }
        }
        for (container, cause) in &decisions.orphans {
            self.push_removal(container, cause, Vec::new());
        }
    }

    /// Volumes are kept: the replacement takes them over, and only `down -v` and `rm -v` remove data.
    fn push_removal(&mut self, container: &'a ObservedContainer, cause: &Cause, otherwise: Vec<OpId>) {
        let after = self.stops.get(container.id.as_str()).map_or(otherwise, |stop| vec![*stop]);
        let op = Op::RemoveContainer { id: container.id.clone(), name: container.name.clone(), volumes: false };
        self.removals.insert(container.id.as_str(), self.plan.push(op, cause.clone(), after));
    }

    fn changed_networks(&mut self, decisions: &Decisions<'a>) {
        for (key, cause) in &decisions.needs.changed_networks {
            let name = &decisions.project.networks[*key].name;
            let users = self.scene.observed.containers.iter().filter(|container| container.networks.contains(name));
            let after = users.filter_map(|user| self.removals.get(user.id.as_str()).copied()).collect();
            let removed = self.plan.push(Op::RemoveNetwork { name: name.clone() }, cause.clone(), after);
            let op = Op::CreateNetwork { key: (*key).to_owned() };
            self.networks.insert(key, self.plan.push(op, cause.clone(), vec![removed]));
        }
    }

    /// Answers the ops by slot.
    fn create(&mut self, decisions: &Decisions<'a>) -> HashMap<Slot, OpId> {
        let leaving = decisions.fates.iter().flat_map(|fate| &fate.existing).filter(|(_, fate)| fate.removes());
        let leaving: Vec<_> = leaving
            .map(|(container, _)| *container)
            .chain(decisions.orphans.iter().map(|(container, _)| *container))
            .collect();
        let claims = claims::Claims::of(&leaving);
        let mut created = HashMap::new();
        for service in &decisions.fates {
            for (old, fate) in &service.existing {
                let Fate::Recreate { cause, .. } = fate else { continue };
                let new = NewContainer {
                    number: old.number,
                    name: names::container(self.scene.name, service.service, old.number),
                    oneoff: false,
                    cause: cause.clone(),
                };
                self.push_creation(service, &new, Some(&old.id), &claims, &mut created);
            }
            for new in &service.new {
                self.push_creation(service, new, None, &claims, &mut created);
            }
        }
        created
    }

    fn push_creation(
        &mut self,
        service: &ServiceFate<'a>,
        new: &NewContainer,
        old: Option<&'a ContainerId>,
        claims: &claims::Claims<'a>,
        created: &mut HashMap<Slot, OpId>,
    ) {
        let mut after: BTreeSet<OpId> = self.ready(service.service).into_iter().collect();
        let before_it = old.map(ContainerId::as_str).into_iter().chain(claims.held(service.service, &new.name));
        after.extend(before_it.filter_map(|id| self.removals.get(id).copied()));
        let op = Op::CreateContainer {
            slot: slot(service.service, new.number),
            name: new.name.clone(),
            oneoff: new.oneoff,
            // Fresh anonymous volumes: nothing is handed on.
            replaces: old.filter(|_| !self.options.renew_anon_volumes).cloned(),
        };
        let mut cause = new.cause.clone();
        if old.is_some() && self.options.renew_anon_volumes {
            cause.reason.push_str(", with new anonymous volumes");
        }
        let id = self.plan.push(op, cause, after.into_iter().collect());
        created.insert(slot(service.service, new.number), id);
    }

    fn start(&mut self, decisions: &Decisions<'a>, created: &HashMap<Slot, OpId>) -> Result<(), PlanError> {
        if self.options.no_start {
            return Ok(());
        }
        let kept = |fate: &ServiceFate<'a>| {
            let kept = fate.existing.iter().filter(|(_, fate)| *fate == Fate::Keep);
            (fate.service.name.as_str(), kept.map(|(container, _)| *container).collect())
        };
        let looked_after = decisions.fates.iter().map(|fate| fate.service.name.as_str());
        let within = if self.options.no_deps { BTreeSet::new() } else { looked_after.collect() };
        let mut gates = Gates::new(self.scene, within, decisions.fates.iter().map(kept).collect());
        for service in &decisions.fates {
            for (container, _) in service.existing.iter().filter(|(_, fate)| matches!(fate, Fate::Remove(_))) {
                if let Some(removal) = self.removals.get(container.id.as_str()) {
                    gates.removed(&service.service.name, *removal);
                }
            }
            let starts = self.starts_of(service, created);
            if starts.is_empty() {
                continue;
            }
            let before = gates.before(service.service, &mut self.plan)?;
            for (op, cause, own) in starts {
                let after: BTreeSet<OpId> = own.into_iter().chain(before.iter().copied()).collect();
                let id = self.plan.push(op, cause, after.into_iter().collect());
                gates.started(&service.service.name, id);
            }
        }
        Ok(())
    }

    /// Each with what it comes after but for gates.
    fn starts_of(&self, service: &ServiceFate<'a>, created: &HashMap<Slot, OpId>) -> Vec<(Op, Cause, Vec<OpId>)> {
        let op = |slot: Slot, name: &str, id| Op::StartContainer { slot, name: name.to_owned(), id };
        let mut starts = Vec::new();
        for (container, fate) in &service.existing {
            let slot = slot(service.service, container.number);
            let id = Some(container.id.clone());
            match fate {
                Fate::Start(cause) => {
                    starts.push((op(slot, &container.name, id), cause.clone(), self.ready(service.service)));
                }
                Fate::Bounce(cause) => {
                    let mut after = self.ready(service.service);
                    after.extend(self.stops.get(container.id.as_str()));
                    starts.push((op(slot, &container.name, id), cause.clone(), after));
                }
                Fate::Recreate { start: true, .. } => {
                    let name = names::container(self.scene.name, service.service, container.number);
                    let after = created.get(&slot).copied().into_iter().collect();
                    starts.push((op(slot, &name, None), Cause::new("created anew"), after));
                }
                Fate::Keep | Fate::Remove(_) | Fate::Recreate { start: false, .. } => {}
            }
        }
        for new in &service.new {
            let slot = slot(service.service, new.number);
            let after = created.get(&slot).copied().into_iter().collect();
            starts.push((op(slot, &new.name, None), Cause::new("created"), after));
        }
        starts
    }

    /// What has to be there before a container of `service` is made. Networks that are made anew are not among it
    /// before their old containers are gone.
    fn ready(&self, service: &Service) -> Vec<OpId> {
        let image = self.images.get(service.reference());
        let networks = service.networks.keys().filter_map(|key| self.networks.get(key.as_str()));
        let volumes = service.volumes.iter().filter_map(|mount| match &mount.kind {
            MountKind::Volume { source, .. } => self.volumes.get(source.as_str()),
            _ => None,
        });
        image.into_iter().chain(networks).chain(volumes).copied().collect()
    }
}

/// The creation tells why.
fn makes_room() -> Cause {
    Cause::new("makes room for its replacement")
}

fn slot(service: &Service, number: u32) -> Slot {
    Slot { service: service.name.clone(), number }
}
