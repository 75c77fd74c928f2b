//! What becomes of each container of a service, and which ones come.

use super::{Cause, ObservedContainer, ObservedState, container, names, scene::Scene};
use crate::model::{Service, intent::Recreate};

pub struct ServiceFate<'a> {
    pub service: &'a Service,
    pub existing: Vec<(&'a ObservedContainer, Fate)>,
    pub new: Vec<NewContainer>,
}

/// A container that is not there yet.
pub struct NewContainer {
    pub number: u32,
    pub name: String,
    pub oneoff: bool,
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Keep,
    /// It is there and does not run.
    Start(Cause),
    /// Stopped first and started after, as something that it depends on is replaced.
    Bounce(Cause),
    /// `start`: the new one runs.
    Recreate {
        cause: Cause,
        start: bool,
    },
    Remove(Cause),
}

impl Fate {
    pub fn removes(&self) -> bool {
        matches!(self, Self::Recreate { .. } | Self::Remove(_))
    }
}

impl<'a> ServiceFate<'a> {
    /// Brings a service to its scale, with every container as the model wants it.
    pub fn converge(scene: &Scene<'a>, service: &'a Service, recreate: Recreate, start: bool) -> Self {
        let scale = usize::try_from(service.scale).unwrap_or(usize::MAX);
        let containers = scene.containers(&service.name);
        let mut judged: Vec<_> =
            containers.iter().map(|container| (*container, replacement(scene, service, container, recreate))).collect();
        // Outdated ones are the first to go, then the highest numbers.
        judged.sort_by_key(|(container, replacement)| (replacement.is_some(), container.number));
        let scaled = |to: usize| Cause::new(format!("scaled from {} to {to}", containers.len()));
        let mut existing: Vec<_> = judged
            .into_iter()
            .enumerate()
            .map(|(place, (container, replacement))| {
                let fate = match replacement {
                    _ if place >= scale => Fate::Remove(scaled(scale)),
                    Some(cause) => Fate::Recreate { cause, start },
                    None => stay(container, start),
                };
                (container, fate)
            })
            .collect();
        existing.sort_by_key(|(container, _)| container.number);
        let last = containers.iter().map(|container| container.number).max().unwrap_or(0);
        let missing = u32::try_from(scale.saturating_sub(containers.len())).unwrap_or(u32::MAX);
        let new = (1..=missing)
            .map(|step| last.saturating_add(step))
            .map(|number| NewContainer {
                number,
                name: names::container(scene.name, service, number),
                oneoff: false,
                cause: if containers.is_empty() { Cause::new("not there yet") } else { scaled(scale) },
            })
            .collect();
        Self { service, existing, new }
    }

    /// Leaves a service as it is.
    pub fn untouched(scene: &Scene<'a>, service: &'a Service) -> Self {
        let existing = scene.containers(&service.name).iter().map(|container| (*container, Fate::Keep)).collect();
        Self { service, existing, new: Vec::new() }
    }

    /// Adds the container of `muster run`.
    pub fn oneoff(service: &'a Service, name: String) -> Self {
        let cause = Cause::new("asked for by run");
        Self { service, existing: Vec::new(), new: vec![NewContainer { number: 0, name, oneoff: true, cause }] }
    }

    pub fn is_replaced(&self) -> bool {
        self.existing.iter().any(|(_, fate)| matches!(fate, Fate::Recreate { .. } | Fate::Bounce(_)))
    }
}

/// Why a new container has to stand in for this one.
fn replacement(
    scene: &Scene<'_>,
    service: &Service,
    container: &ObservedContainer,
    recreate: Recreate,
) -> Option<Cause> {
    if container::is_broken(container) {
        return Some(Cause::new("its set-up failed"));
    }
    match recreate {
        Recreate::Never => None,
        Recreate::Diverged => container::divergence(scene, service, container),
        Recreate::Force => Some(
            container::divergence(scene, service, container)
                .unwrap_or_else(|| Cause::new("asked for by force-recreate")),
        ),
    }
}

fn stay(container: &ObservedContainer, start: bool) -> Fate {
    if !start {
        return Fate::Keep;
    }
    match container.state {
        ObservedState::Running { .. } => Fate::Keep,
        _ => Fate::Start(Cause::new(why_down(&container.state))),
    }
}

/// The state of a container that does not run, in words.
pub fn why_down(state: &ObservedState) -> String {
    match state {
        ObservedState::Running { .. } => "running".into(),
        ObservedState::Created => "created, not started yet".into(),
        ObservedState::Restarting => "waiting for its next restart".into(),
        ObservedState::Exited { code } => format!("exited ({code})"),
        ObservedState::Dead => "its set-up failed".into(),
    }
}
