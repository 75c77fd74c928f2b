//! Networks, volumes and images that services need: what is missing, what differs, what cannot be.

use super::{Cause, Change, ObservedNetwork, PlanError, diff, scene::Scene};
use crate::model::{MountKind, Network, Project, PullPolicy, Service, intent::Up};
use indexmap::IndexMap;

/// What has to be made before containers can be.
#[derive(Default)]
pub struct Needs<'a> {
    /// By key, in the order of the file.
    pub new_networks: IndexMap<&'a str, Cause>,
    /// There, but not as the model wants them.
    pub changed_networks: IndexMap<&'a str, Cause>,
    pub new_volumes: IndexMap<&'a str, Cause>,
    /// By reference.
    pub pulls: IndexMap<&'a str, (PullPolicy, Cause)>,
    /// By reference: the service that has the Dockerfile.
    pub builds: IndexMap<&'a str, (&'a str, Cause)>,
    pub warnings: Vec<String>,
}

impl<'a> Needs<'a> {
    pub fn of(
        scene: &Scene<'a>,
        project: &'a Project,
        services: &[&'a Service],
        up: Option<&Up>,
    ) -> Result<Self, PlanError> {
        let mut needs = Self::default();
        for (key, network) in &project.networks {
            if services.iter().any(|service| service.networks.contains_key(key)) {
                needs.network(scene, key, network)?;
            }
        }
        for (key, volume) in &project.volumes {
            let used = services.iter().flat_map(|service| &service.volumes);
            if used.into_iter().any(|mount| matches!(&mount.kind, MountKind::Volume { source, .. } if source == key)) {
                needs.volume(scene, key, volume)?;
            }
        }
        for service in services {
            match up {
                Some(up) if up.builds.contains(&service.name) => needs.build(scene, service, up.build),
                _ => needs.image(scene, service, up.and_then(|up| up.pull).unwrap_or(service.pull_policy))?,
            }
        }
        Ok(needs)
    }

    fn network(&mut self, scene: &Scene<'a>, key: &'a str, wanted: &'a Network) -> Result<(), PlanError> {
        let Some(there) = scene.observed.networks.get(&wanted.name) else {
            if wanted.external {
                return Err(PlanError::ExternalNetworkMissing { name: wanted.name.clone() });
            }
            self.new_networks.insert(key, Cause::new("not there yet"));
            return Ok(());
        };
        if wanted.external {
            return Ok(());
        }
        if there.project.as_deref() != Some(scene.name) {
            self.warnings.push(format!(
                "a network with name {} exists but was not created for project {:?}.\nSet `external: true` to use an existing network",
                wanted.name, scene.name
            ));
            return Ok(());
        }
        let changes = network_changes(there, wanted);
        if !changes.is_empty() {
            self.changed_networks.insert(key, Cause { reason: "configuration changed".into(), changes });
        }
        Ok(())
    }

    fn volume(&mut self, scene: &Scene<'a>, key: &'a str, wanted: &crate::model::Volume) -> Result<(), PlanError> {
        match scene.observed.volumes.get(&wanted.name) {
            None if wanted.external => return Err(PlanError::ExternalVolumeMissing { name: wanted.name.clone() }),
            None => {
                self.new_volumes.insert(key, Cause::new("not there yet"));
            }
            Some(there) if !wanted.external && there.project.as_deref() != Some(scene.name) => {
                let owner =
                    there.project.as_ref().map_or("nobody known".to_owned(), |owner| format!("project {owner:?}"));
                self.warnings.push(format!(
                    "volume {:?} already exists but was created for {owner} (expected {:?}). Use `external: true` to use an existing volume",
                    wanted.name, scene.name
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn build(&mut self, scene: &Scene<'a>, service: &'a Service, is_asked_for: bool) {
        let there = scene.observed.images.get(service.reference()).is_some_and(Option::is_some);
        let cause = match (there, service.pull_policy) {
            (false, _) => "not built yet",
            (true, PullPolicy::Build) => "the pull policy is build",
            (true, _) if is_asked_for => "--build",
            (true, _) => "the image that is here is for another platform",
        };
        self.builds.entry(service.reference()).or_insert((&service.name, Cause::new(cause)));
        let containers = scene.observed.containers.iter();
        for container in containers.filter(|container| !container.oneoff && container.service == service.name) {
            self.warnings.push(format!("{} is replaced where the build gives another image", container.name));
        }
    }

    fn image(&mut self, scene: &Scene<'a>, service: &'a Service, policy: PullPolicy) -> Result<(), PlanError> {
        if service.scale == 0 {
            return Ok(());
        }
        let there = scene.observed.images.get(service.reference()).and_then(Option::as_ref);
        // What has a Dockerfile was pulled or built before the plan was asked for, where it was to be.
        let policy = if service.build.is_some() { PullPolicy::Never } else { policy };
        let cause = match (policy, there) {
            (PullPolicy::Never, None) => {
                let (service, image, is_built) =
                    (service.name.clone(), service.reference().to_owned(), service.build.is_some());
                return Err(match is_built {
                    true => PlanError::NotBuilt { service, image },
                    false => PlanError::ImageMissing { service, image },
                });
            }
            (PullPolicy::Missing | PullPolicy::Build | PullPolicy::Every(_), None) => Cause::new("not there yet"),
            (PullPolicy::Every(seconds), Some(image)) if !image.fresh => {
                Cause::new(format!("the pull policy is every {seconds} s, and that was longer ago"))
            }
            (PullPolicy::Always, there) if there.is_none_or(|image| !image.fresh) => {
                Cause::new("the pull policy is always")
            }
            _ => return Ok(()),
        };
        self.pulls.entry(service.reference()).or_insert((policy, cause));
        Ok(())
    }
}

/// Where it is not recorded how the network was described, only what can be seen of it is compared.
fn network_changes(there: &ObservedNetwork, wanted: &Network) -> Vec<Change> {
    if let Some(applied) = &there.applied {
        return diff::network_changes(applied, wanted);
    }
    let mut changes = Vec::new();
    let mut differ = |field: &str, from: String, to: String| {
        if from != to {
            changes.push(Change { field: field.into(), from: Some(from), to: Some(to) });
        }
    };
    differ("internal", there.internal.to_string(), wanted.internal.to_string());
    if let Some(ipam) = &wanted.ipam {
        differ("ipam.subnet", there.subnet.clone(), ipam.subnet.to_string());
    }
    changes
}
