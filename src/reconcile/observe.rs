//! One look at what there is, for a planner.

use super::{Hands, failure};
use crate::{
    api::Failure,
    image::Reference,
    model::{FileSource, Project, PullPolicy},
    plan::{Observed, ObservedContainer, ObservedNetwork, ObservedState, ObservedVolume, observed::ObservedImage},
    state::records::{ContainerRecord, Health, Status},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::Path,
    time::Duration,
};

/// The containers of the project.
pub fn containers<'a>(project: &str, records: impl Iterator<Item = &'a ContainerRecord>) -> Observed {
    Observed { project: project.to_owned(), containers: records.map(container).collect(), ..Observed::default() }
}

fn container(record: &ContainerRecord) -> ObservedContainer {
    let state = match &record.status {
        Status::Created => ObservedState::Created,
        Status::Running { .. } => {
            ObservedState::Running { healthy: record.health.map(|health| health == Health::Healthy) }
        }
        Status::Restarting { .. } => ObservedState::Restarting,
        Status::Exited { exit } => ObservedState::Exited { code: exit.code },
        Status::Dead { .. } => ObservedState::Dead,
    };
    let volumes = |anonymous: bool| {
        record.volumes.iter().filter(|used| used.anonymous == anonymous).map(|used| used.name.clone()).collect()
    };
    ObservedContainer {
        id: record.id.clone(),
        service: record.service.clone(),
        number: record.number,
        oneoff: record.oneoff,
        name: record.name.clone(),
        applied: record.applied.clone(),
        image_id: record.image_id.clone(),
        state,
        stopped_by_user: record.stopped_by_user,
        restarts: record.restarts,
        networks: record.networks.iter().map(|used| used.name.clone()).collect(),
        volumes: volumes(false),
        anonymous_volumes: volumes(true),
        file_digests: record.file_digests.clone(),
    }
}

/// Networks, volumes, images and files, of the project and of its containers. `pulled` are the images that this very
/// command has pulled.
pub fn host(
    hands: &Hands,
    project: Option<&Project>,
    pulled: &BTreeSet<String>,
    observed: &mut Observed,
) -> Result<(), Failure> {
    let named = |name: &str| project.is_some_and(|project| project.networks.values().any(|net| net.name == name));
    let own: BTreeSet<&str> = observed.containers.iter().map(|container| container.id.as_str()).collect();
    for network in hands.networks.list()? {
        if network.project == hands.project || named(&network.name) {
            let peers = hands.networks.peers(&network.name)?;
            let used_by_others = peers.iter().any(|peer| !own.contains(peer.container.as_str()));
            observed.networks.insert(
                network.name.clone(),
                ObservedNetwork {
                    id: network.id.as_str().to_owned(),
                    project: Some(network.project.clone()),
                    internal: network.internal,
                    subnet: network.subnet.to_string(),
                    used_by_others,
                    applied: None,
                },
            );
        }
    }
    let named = |name: &str| project.is_some_and(|project| project.volumes.values().any(|vol| vol.name == name));
    for volume in hands.volumes.list().map_err(failure)? {
        if volume.project == hands.project || named(&volume.name) {
            let found = ObservedVolume { project: Some(volume.project.clone()), anonymous: volume.anonymous };
            observed.volumes.insert(volume.name.clone(), found);
        }
    }
    let Some(project) = project else { return Ok(()) };
    for service in project.services.values() {
        let reference = service.reference();
        if !observed.images.contains_key(reference) {
            // What a digest names is what it always was: no registry needs to be asked again.
            let fresh = pulled.contains(reference) || service.locked_image.is_some();
            let lately = policies_interval(project, reference);
            let image = image(hands, reference, fresh, lately)?;
            observed.images.insert(reference.to_owned(), image);
        }
    }
    observed.file_digests = file_digests(project)?;
    Ok(())
}

/// The shortest time after which a service wants its registry asked again.
fn policies_interval(project: &Project, image: &str) -> Option<Duration> {
    let users = project.services.values().filter(|service| service.reference() == image);
    let seconds = users.filter_map(|service| match service.pull_policy {
        PullPolicy::Every(seconds) => Some(seconds),
        _ => None,
    });
    seconds.min().map(Duration::from_secs)
}

fn image(hands: &Hands, text: &str, fresh: bool, lately: Option<Duration>) -> Result<Option<ObservedImage>, Failure> {
    let reference = Reference::parse(text).map_err(failure)?;
    let found = hands.images.find(&reference).map_err(failure)?;
    let asked = |within| hands.images.was_asked_within(&reference, within).map_err(failure);
    let fresh = fresh || lately.map(asked).transpose()?.unwrap_or(false);
    Ok(found.map(|image| ObservedImage { id: image.id, healthcheck: image.config.healthcheck.is_some(), fresh }))
}

/// sha256 of every file behind a secret or config, by `secret:<key>` and `config:<key>`. A file that is not there has
/// none; the start says so.
pub fn file_digests(project: &Project) -> Result<BTreeMap<String, String>, Failure> {
    let mut digests = BTreeMap::new();
    for (kind, objects) in [("secret", &project.secrets), ("config", &project.configs)] {
        for (key, object) in objects {
            let FileSource::File(path) = &object.source else { continue };
            match digest(path) {
                Ok(digest) => drop(digests.insert(format!("{kind}:{key}"), digest)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failure(format!("{kind} {key}: cannot read {}: {error}", path.display()))),
            }
        }
    }
    Ok(digests)
}

fn digest(path: &Path) -> io::Result<String> {
    struct Hash(Sha256);
    impl io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(crate::model::ids::hex(&hash.0.finalize()))
}
