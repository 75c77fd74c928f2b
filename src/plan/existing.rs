//! Verbs that only touch containers that are there: start, stop, restart, kill, rm, and recovery.

use super::{
    Cause, Observed, ObservedContainer, ObservedState, Op, OpId, Plan, PlanError, Slot,
    fate::why_down,
    gates::Gates,
    scene::Scene,
    stops::{Stop, stop_in_order},
};
use crate::model::{Project, RestartPolicy};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Containers of the named services and of what those depend on.
pub fn start(services: &[String], project: Option<&Project>, observed: &Observed) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(services)?;
    let selected = scene.graph.with_dependencies(named);
    for name in &selected {
        if scene.containers(name).is_empty() && scene.services[name].scale > 0 {
            return Err(PlanError::NoContainer { service: (*name).to_owned() });
        }
    }
    let mut plan = empty(&scene, "start");
    let down = |container: &ObservedContainer| !matches!(container.state, ObservedState::Running { .. });
    let start = |container: &ObservedContainer| down(container).then(|| Cause::new(why_down(&container.state)));
    start_in_order(&scene, selected, start, &HashMap::new(), &mut plan)?;
    Ok(plan)
}

/// Of the named services alone; whoever depends on them stays up.
pub fn stop(
    services: &[String],
    timeout: Option<Duration>,
    project: Option<&Project>,
    observed: &Observed,
) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(services)?;
    let mut plan = empty(&scene, "stop");
    stop_in_order(&scene, stops(&scene, &named, "asked for by stop"), timeout, &mut plan);
    Ok(plan)
}

/// With those that asked to be restarted along, unless `no_deps`. Containers that are down are started.
pub fn restart(
    services: &[String],
    timeout: Option<Duration>,
    no_deps: bool,
    project: Option<&Project>,
    observed: &Observed,
) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(services)?;
    let selected = if no_deps { named.clone() } else { scene.graph.with_restarted(named.iter().copied()) };
    let mut plan = empty(&scene, "restart");
    let why = |service: &str| {
        if named.contains(service) {
            return Cause::new("asked for by restart");
        }
        let on = scene.graph.dependencies(service).into_iter().find(|(on, edge)| edge.restart && selected.contains(on));
        let on = on.map_or("a dependency", |(on, _)| on);
        Cause::new(format!("{on} is restarted, and depends_on.{on}.restart is true"))
    };
    let all = selected.iter().flat_map(|name| scene.containers(name));
    let stops = all.map(|container| Stop { container, cause: why(&container.service) }).collect();
    let stops = stop_in_order(&scene, stops, timeout, &mut plan);
    let start = |container: &ObservedContainer| Some(why(&container.service));
    start_in_order(&scene, selected.clone(), start, &stops, &mut plan)?;
    if plan.is_empty() {
        plan.warnings.push("no container to restart".into());
    }
    Ok(plan)
}

/// All at once: a signal is no orderly stop.
pub fn kill(
    services: &[String],
    signal: i32,
    remove_orphans: bool,
    project: Option<&Project>,
    observed: &Observed,
) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(services)?;
    let mut plan = empty(&scene, "kill");
    let of_services = named.iter().flat_map(|name| scene.containers(name)).copied();
    let orphan = |container: &&ObservedContainer| !scene.services.contains_key(container.service.as_str());
    let orphans = observed.containers.iter().filter(|container| remove_orphans && orphan(container));
    for container in of_services.chain(orphans).filter(|container| container.state.is_running()) {
        let op = Op::KillContainer { id: container.id.clone(), name: container.name.clone(), signal };
        plan.push(op, Cause::new("asked for by kill"), Vec::new());
    }
    if plan.is_empty() {
        plan.warnings.push("no container to kill".into());
    }
    Ok(plan)
}

/// Stopped containers; with `stop`, those that run as well.
pub fn rm(
    services: &[String],
    stop: bool,
    volumes: bool,
    project: Option<&Project>,
    observed: &Observed,
) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let named = scene.named(services)?;
    let mut plan = empty(&scene, "rm");
    let to_stop = if stop { stops(&scene, &named, "asked for by rm --stop") } else { Vec::new() };
    let stops = stop_in_order(&scene, to_stop, None, &mut plan);
    for container in named.iter().flat_map(|name| scene.containers(name)) {
        let after = stops.get(container.id.as_str()).copied();
        if after.is_none() && container.state.is_running() {
            continue;
        }
        let op = Op::RemoveContainer { id: container.id.clone(), name: container.name.clone(), volumes };
        plan.push(op, Cause::new("asked for by rm"), after.into_iter().collect());
    }
    if plan.is_empty() {
        plan.warnings.push("No stopped containers".into());
    }
    Ok(plan)
}

/// After a crash or a reboot: what ended while nobody looked and is to run by its policy, in dependency order.
pub fn recover(project: Option<&Project>, observed: &Observed) -> Result<Plan, PlanError> {
    let scene = Scene::new(project, observed);
    let mut plan = empty(&scene, "recover");
    let start = |container: &ObservedContainer| {
        let policy = container.applied.restart;
        comes_back(container)
            .then(|| Cause::new(format!("{}; its restart policy is {policy}", why_down(&container.state))))
    };
    // Only what runs or will run is worth waiting for.
    let alive = |container: &&ObservedContainer| container.state.is_running() || comes_back(container);
    let within = scene.services.keys().copied().filter(|name| scene.containers(name).iter().any(&alive));
    start_in_order(&scene, within.collect(), start, &HashMap::new(), &mut plan)?;
    Ok(plan)
}

fn comes_back(container: &ObservedContainer) -> bool {
    if container.oneoff || container.stopped_by_user {
        return false;
    }
    let failed = match container.state {
        ObservedState::Exited { code } => code != 0,
        // Its own machine goes on with the back-off.
        ObservedState::Restarting => return false,
        ObservedState::Created | ObservedState::Running { .. } | ObservedState::Dead => return false,
    };
    match container.applied.restart {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { max_retries } => failed && max_retries.is_none_or(|most| container.restarts < most),
    }
}

fn empty(scene: &Scene<'_>, verb: &str) -> Plan {
    Plan { project: scene.name.to_owned(), verb: verb.to_owned(), ..Plan::default() }
}

fn stops<'a>(scene: &Scene<'a>, services: &BTreeSet<&'a str>, why: &str) -> Vec<Stop<'a>> {
    let containers = services.iter().flat_map(|name| scene.containers(name));
    containers.map(|container| Stop { container, cause: Cause::new(why) }).collect()
}

/// Starts the containers of `selected` for which there is a reason, dependencies first.
fn start_in_order<'a>(
    scene: &Scene<'a>,
    selected: BTreeSet<&'a str>,
    reason: impl Fn(&ObservedContainer) -> Option<Cause>,
    stops: &HashMap<&'a str, OpId>,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    let order: Vec<_> = scene.checked_order()?.into_iter().filter(|name| selected.contains(name)).collect();
    let kept = |name: &&'a str| {
        let kept = scene.containers(name).iter().filter(|container| reason(container).is_none());
        (*name, kept.copied().collect())
    };
    let mut gates = Gates::new(scene, selected, order.iter().map(kept).collect());
    for name in order {
        let containers = scene.containers(name);
        let starts: Vec<_> = containers.iter().filter_map(|container| Some((container, reason(container)?))).collect();
        plan.unchanged.extend(
            containers
                .iter()
                .filter(|container| container.state.is_running() && reason(container).is_none())
                .map(|container| container.name.clone()),
        );
        if starts.is_empty() {
            continue;
        }
        let before = gates.before(scene.services[name], plan)?;
        for (container, cause) in starts {
            let own = stops.get(container.id.as_str()).copied();
            let after: BTreeSet<OpId> = before.iter().copied().chain(own).collect();
            let op = Op::StartContainer {
                slot: Slot { service: name.to_owned(), number: container.number },
                name: container.name.clone(),
                id: Some(container.id.clone()),
            };
            let id = plan.push(op, cause, after.into_iter().collect());
            gates.started(name, id);
        }
    }
    Ok(())
}
