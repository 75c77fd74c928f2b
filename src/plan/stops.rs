//! Stops in reverse dependency order: who depends on something is stopped before it.

use super::{Cause, ObservedContainer, Op, OpId, Plan, scene::Scene};
use crate::model::Dependency;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// One container to be stopped, and why.
pub struct Stop<'a> {
    pub container: &'a ObservedContainer,
    pub cause: Cause,
}

/// Plans a stop for each container that runs; answers the ops by container id. Containers of services that the
/// graph does not know are stopped at once.
pub fn stop_in_order<'a>(
    scene: &Scene<'a>,
    stops: Vec<Stop<'a>>,
    timeout: Option<Duration>,
    plan: &mut Plan,
) -> HashMap<&'a str, OpId> {
    let stops = stops.into_iter().map(|stop| (stop, Vec::new())).collect();
    stop_in_order_after(scene, stops, timeout, |_| true, plan)
}

/// Likewise, each stop after other ops as well, and in the order of only those edges that count.
pub fn stop_in_order_after<'a>(
    scene: &Scene<'a>,
    stops: Vec<(Stop<'a>, Vec<OpId>)>,
    timeout: Option<Duration>,
    counts: impl Fn(&Dependency) -> bool,
    plan: &mut Plan,
) -> HashMap<&'a str, OpId> {
    let mut by_service: HashMap<&str, Vec<(Stop<'a>, Vec<OpId>)>> = HashMap::new();
    for (stop, after) in stops.into_iter().filter(|(stop, _)| stop.container.state.is_running()) {
        // One-offs depend on what their service depends on, but nobody depends on them.
        let service = if stop.container.oneoff { "" } else { stop.container.service.as_str() };
        by_service.entry(service).or_default().push((stop, after));
    }
    let mut ops = HashMap::new();
    // What a stop of the service's dependencies has to wait for: its own stops or, where it has none, what those
    // would have waited for.
    let mut frontier: HashMap<&str, BTreeSet<OpId>> = HashMap::new();
    let tangled = scene.graph.tangled();
    for service in scene.graph.order().into_iter().rev() {
        let dependents = scene.graph.dependents(service);
        let after: BTreeSet<OpId> = dependents
            .iter()
            .filter(|(dependent, dependency)| counts(dependency) && !tangled(dependent, service))
            .flat_map(|(dependent, _)| frontier.get(dependent).into_iter().flatten().copied())
            .collect();
        let own: BTreeSet<OpId> = by_service
            .remove(service)
            .unwrap_or_default()
            .into_iter()
            .map(|(stop, others)| {
                let after: BTreeSet<OpId> = after.iter().copied().chain(others).collect();
                push_stop(stop, timeout, after.into_iter().collect(), &mut ops, plan)
            })
            .collect();
        frontier.insert(service, if own.is_empty() { after } else { own });
    }
    let mut rest: Vec<_> = by_service.into_values().flatten().collect();
    rest.sort_by(|(a, _), (b, _)| a.container.name.cmp(&b.container.name));
    for (stop, after) in rest {
        push_stop(stop, timeout, after, &mut ops, plan);
    }
    ops
}

fn push_stop<'a>(
    stop: Stop<'a>,
    timeout: Option<Duration>,
    after: Vec<OpId>,
    ops: &mut HashMap<&'a str, OpId>,
    plan: &mut Plan,
) -> OpId {
    let Stop { container, cause } = stop;
    let op = Op::StopContainer { id: container.id.clone(), name: container.name.clone(), timeout };
    let id = plan.push(op, cause, after);
    ops.insert(container.id.as_str(), id);
    id
}
