//! `up`, and what `run` needs of it: what becomes of everything, then the ops in order.

use super::{
    Cause, Observed, Plan, PlanError,
    emit::Emission,
    fate::{Fate, ServiceFate},
    names,
    resources::Needs,
    scene::Scene,
};
use crate::model::{
    ContainerId, Project, Service,
    intent::{Recreate, Run, Up},
};
use std::collections::{BTreeSet, HashMap};

/// Everything decided, nothing ordered yet.
pub struct Decisions<'a> {
    pub project: &'a Project,
    /// Dependencies first.
    pub fates: Vec<ServiceFate<'a>>,
    pub needs: Needs<'a>,
    /// With `--remove-orphans`.
    pub orphans: Vec<(&'a super::ObservedContainer, Cause)>,
    /// Services that were asked for, with their dependencies.
    pub selected: BTreeSet<&'a str>,
}

pub fn up(intent: &Up, project: &Project, observed: &Observed) -> Result<Plan, PlanError> {
    let scene = Scene::new(Some(project), observed);
    let order = scene.checked_order()?;
    let targets = scene.named(&intent.services)?;
    let selected =
        if intent.no_deps { targets.clone() } else { scene.graph.with_dependencies(targets.iter().copied()) };
    let mut fates: Vec<_> = order
        .iter()
        .filter(|name| selected.contains(*name))
        .map(|name| {
            let recreate = recreate_policy(intent, targets.contains(name));
            ServiceFate::converge(&scene, scene.services[name], recreate, !intent.no_start)
        })
        .collect();
    let services: Vec<_> = fates.iter().map(|fate| fate.service).collect();
    let mut needs = Needs::of(&scene, project, &services, Some(intent))?;
    let orphans = orphans(&scene, intent, &mut needs);
    drag_along_network_changes(&scene, project, &needs, &orphans, !intent.no_start, &mut fates)?;
    if !intent.no_deps && !intent.no_start {
        bounce_dependents(&scene, &order, &mut fates);
    }
    sort(&order, &mut fates);
    let decisions = Decisions { project, fates, needs, orphans, selected };
    check_names(&scene, &decisions)?;
    Emission::new(&scene, intent, "up").emit(decisions)
}

/// Dependencies first, then the one-off.
pub fn run(intent: &Run, project: &Project, observed: &Observed) -> Result<Plan, PlanError> {
    let scene = Scene::new(Some(project), observed);
    let order = scene.checked_order()?;
    let service = match project.services.get(&intent.service) {
        Some(service) => service,
        None => return Err(PlanError::NoSuchService(intent.service.clone())),
    };
    let mut selected = BTreeSet::new();
    if !intent.no_deps {
        selected = scene.graph.with_dependencies([service.name.as_str()]);
        selected.remove(service.name.as_str());
    }
    let mut fates: Vec<_> = order
        .iter()
        .filter(|name| selected.contains(*name))
        .map(|name| ServiceFate::converge(&scene, scene.services[name], Recreate::Diverged, true))
        .collect();
    let name = intent.name.clone().unwrap_or_else(|| names::oneoff(&project.name, &service.name, &intent.slug));
    let services: Vec<_> = fates.iter().map(|fate| fate.service).chain([service]).collect();
    let needs = Needs::of(&scene, project, &services, None)?;
    drag_along_network_changes(&scene, project, &needs, &[], true, &mut fates)?;
    if !intent.no_deps {
        bounce_dependents(&scene, &order, &mut fates);
    }
    sort(&order, &mut fates);
    fates.push(ServiceFate::oneoff(service, name));
    let decisions = Decisions { project, fates, needs, orphans: Vec::new(), selected };
    check_names(&scene, &decisions)?;
    let options = Up { no_deps: intent.no_deps, ..Up::default() };
    Emission::new(&scene, &options, "run").emit(decisions)
}

/// Flags are meant for the services that were named; dependencies only follow where that is asked for as well.
fn recreate_policy(intent: &Up, named: bool) -> Recreate {
    match intent.recreate {
        Recreate::Never => Recreate::Never,
        Recreate::Force if named => Recreate::Force,
        _ if !named && intent.always_recreate_deps => Recreate::Force,
        _ => Recreate::Diverged,
    }
}

/// A network that is made anew takes its containers along, also those of services that nobody named.
fn drag_along_network_changes<'a>(
    scene: &Scene<'a>,
    project: &'a Project,
    needs: &Needs<'a>,
    going: &[(&'a super::ObservedContainer, Cause)],
    start: bool,
    fates: &mut Vec<ServiceFate<'a>>,
) -> Result<(), PlanError> {
    for (key, cause) in &needs.changed_networks {
        let name = &project.networks[*key].name;
        let in_use = |user: String| PlanError::NetworkInUse { name: name.clone(), why: cause.to_string(), user };
        if scene.observed.networks.get(name).is_some_and(|network| network.used_by_others) {
            return Err(in_use("another project".into()));
        }
        for container in scene.observed.containers.iter().filter(|container| container.networks.contains(name)) {
            if going.iter().any(|(orphan, _)| orphan.id == container.id) {
                continue;
            }
            let service = scene.services.get(container.service.as_str()).copied();
            let service = service.filter(|_| !container.oneoff).ok_or_else(|| in_use(container.name.clone()))?;
            let was_running = container.state.is_running();
            let (fate, selected) = fate_of(scene, service, &container.id, fates);
            if !fate.removes() {
                let cause = Cause::new(format!("network {name} is made anew"));
                *fate = Fate::Recreate { cause, start: start && (selected || was_running) };
            }
        }
    }
    Ok(())
}

/// The fate of one container, and whether its service was looked after before somebody asked.
fn fate_of<'f, 'a>(
    scene: &Scene<'a>,
    service: &'a Service,
    container: &ContainerId,
    fates: &'f mut Vec<ServiceFate<'a>>,
) -> (&'f mut Fate, bool) {
    let known = fates.iter().position(|fate| fate.service.name == service.name);
    let place = known.unwrap_or_else(|| {
        fates.push(ServiceFate::untouched(scene, service));
        fates.len() - 1
    });
    let existing = &mut fates[place].existing;
    let place = existing.iter().position(|(other, _)| other.id == *container).unwrap_or_default();
    (&mut existing[place].1, known.is_some())
}

/// `depends_on.X.restart: true`: what runs is stopped before X is replaced and started after it, and so are those that
/// asked the same of it.
fn bounce_dependents<'a>(scene: &Scene<'a>, order: &[&'a str], fates: &mut Vec<ServiceFate<'a>>) {
    let mut replaced: BTreeSet<&str> =
        fates.iter().filter(|fate| fate.is_replaced()).map(|fate| fate.service.name.as_str()).collect();
    for name in order {
        let service = scene.services[name];
        let asked = |on: &&String| service.depends_on.get(*on).is_some_and(|dependency| dependency.restart);
        let Some(on) = service.depends_on.keys().find(|on| asked(on) && replaced.contains(on.as_str())) else {
            continue;
        };
        let cause = Cause::new(format!("{on} is replaced, and depends_on.{on}.restart is true"));
        for container in scene.containers(name).iter().filter(|container| container.state.is_running()) {
            let (fate, _) = fate_of(scene, service, &container.id, fates);
            if matches!(fate, Fate::Keep | Fate::Start(_)) {
                *fate = Fate::Bounce(cause.clone());
            }
            if !matches!(fate, Fate::Remove(_)) {
                replaced.insert(name);
            }
        }
    }
}

/// Those that were dragged along stand at the end.
fn sort(order: &[&str], fates: &mut [ServiceFate<'_>]) {
    let place: HashMap<&str, usize> = order.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    fates.sort_by_key(|fate| place.get(fate.service.name.as_str()).copied());
}

fn orphans<'a>(scene: &Scene<'a>, intent: &Up, needs: &mut Needs<'a>) -> Vec<(&'a super::ObservedContainer, Cause)> {
    let orphans = scene.orphans();
    if !intent.remove_orphans {
        if !orphans.is_empty() && !intent.ignore_orphans {
            needs.warnings.push(orphan_warning(&orphans));
        }
        return Vec::new();
    }
    let cause = |oneoff| if oneoff { "a one-off container that has ended" } else { "its service is not in the model" };
    orphans.into_iter().map(|container| (container, Cause::new(cause(container.oneoff)))).collect()
}

pub fn orphan_warning(orphans: &[&super::ObservedContainer]) -> String {
    let names: Vec<_> = orphans.iter().map(|container| container.name.as_str()).collect();
    format!(
        "Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, \
         you can run this command with the --remove-orphans flag to clean it up.",
        names.join(" ")
    )
}

/// A name is free when nobody has it, or its holder goes in this very plan.
fn check_names(scene: &Scene<'_>, decisions: &Decisions<'_>) -> Result<(), PlanError> {
    let fates = decisions.fates.iter().flat_map(|fate| &fate.existing);
    let going: BTreeSet<&str> = fates
        .filter(|(_, fate)| fate.removes())
        .map(|(container, _)| container.id.as_str())
        .chain(decisions.orphans.iter().map(|(container, _)| container.id.as_str()))
        .collect();
    let mut holders: HashMap<String, String> = scene
        .observed
        .containers
        .iter()
        .filter(|container| !going.contains(container.id.as_str()))
        .map(|container| (container.name.clone(), format!("container {}", container.id.short())))
        .collect();
    for fate in &decisions.fates {
        let replaced = fate.existing.iter().filter(|(_, fate)| matches!(fate, Fate::Recreate { .. }));
        let names = replaced
            .map(|(old, _)| names::container(scene.name, fate.service, old.number))
            .chain(fate.new.iter().map(|new| new.name.clone()));
        for name in names {
            let service = fate.service.name.clone();
            if let Some(holder) = holders.insert(name.clone(), format!("service {service:?}")) {
                return Err(PlanError::NameTaken { name, service, holder });
            }
        }
    }
    Ok(())
}
