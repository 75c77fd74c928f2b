//! Makes a container: everything but the start.

use super::{
    Hands, failure, files, launch,
    launch::stored,
    link::Link,
    mounts, observe, remove,
    wiring::{self, Endpoint},
};
use crate::{
    api::Failure,
    image::{Image, Reference},
    model::{ContainerId, Project, Service, ids},
    plan::{self, Slot},
    specgen,
    state::{
        Durability, record,
        records::{BoundPort, ContainerRecord, NetworkUse, Status, VolumeUse, now},
    },
};
use std::{collections::BTreeMap, os::fd::OwnedFd, sync::Arc};

/// A container that is made and not started.
#[derive(Debug)]
pub struct NewContainer {
    pub record: ContainerRecord,
    pub parts: Parts,
}

/// What of a container lives in this process; the shim keeps a copy of every descriptor.
#[derive(Debug, Default)]
pub struct Parts {
    pub link: Option<Link>,
    /// Pid and start time.
    pub shim: Option<(i32, u64)>,
    pub net: Option<Net>,
    pub ports: Vec<Arc<OwnedFd>>,
}

/// The descriptors of a container's network.
#[derive(Clone, Debug)]
pub struct Net {
    pub netns: Arc<OwnedFd>,
    pub dns_udp: Arc<OwnedFd>,
    pub dns_tcp: Arc<OwnedFd>,
}

impl Parts {
    /// The descriptors a shim has to keep, with their names.
    pub fn stored(&self) -> (Vec<String>, Vec<Arc<OwnedFd>>) {
        let mut names = Vec::new();
        let mut fds = Vec::new();
        if let Some(net) = &self.net {
            for (name, fd) in
                [(stored::NETNS, &net.netns), (stored::DNS_UDP, &net.dns_udp), (stored::DNS_TCP, &net.dns_tcp)]
            {
                names.push(name.to_owned());
                fds.push(Arc::clone(fd));
            }
        }
        for (index, fd) in self.ports.iter().enumerate() {
            names.push(format!("{}{index}", stored::PORT));
            fds.push(Arc::clone(fd));
        }
        (names, fds)
    }

    /// The other way round: what a shim kept for a supervisor that died.
    pub fn restored(names: &[String], fds: Vec<OwnedFd>) -> Self {
        let mut net = (None, None, None);
        let mut ports = Vec::new();
        for (name, fd) in names.iter().zip(fds) {
            let fd = Arc::new(fd);
            match name.as_str() {
                stored::NETNS => net.0 = Some(fd),
                stored::DNS_UDP => net.1 = Some(fd),
                stored::DNS_TCP => net.2 = Some(fd),
                _ => ports.push(fd),
            }
        }
        let net = match net {
            (Some(netns), Some(dns_udp), Some(dns_tcp)) => Some(Net { netns, dns_udp, dns_tcp }),
            _ => None,
        };
        Self { link: None, shim: None, net, ports }
    }
}

/// What a new container takes over from the one it replaces.
#[derive(Clone, Debug, Default)]
pub struct Inheritance {
    pub volumes: Vec<VolumeUse>,
    pub networks: Vec<NetworkUse>,
    pub ports: Vec<BoundPort>,
}

/// What is to be made.
pub struct Order<'a> {
    pub slot: &'a Slot,
    pub name: &'a str,
    pub oneoff: bool,
    /// Wait for somebody to attach (`muster run`).
    pub hold: bool,
    /// Publish the service's ports.
    pub ports: bool,
    /// Answer to the service's name and aliases.
    pub aliases: bool,
    pub inheritance: Inheritance,
}

/// Makes the container of `order`. What was made of it is removed again when a step fails.
pub async fn create(order: Order<'_>, project: &Project, hands: &Hands) -> Result<NewContainer, Failure> {
    let service = project
        .services
        .get(&order.slot.service)
        .ok_or_else(|| failure(format!("no such service: {}", order.slot.service)))?;
    // Until the record says that the image is in use.
    let _hold = hands.images.hold().map_err(failure)?;
    let image = image_of(service, hands)?;
    let id = ContainerId::new(ids::hex(&random()?));
    let mut parts = Parts::default();
    match assemble(&order, service, project, &image, &id, hands, &mut parts).await {
        Ok(record) => Ok(NewContainer { record, parts }),
        Err(error) => {
            // The first error is the one to tell; what the undoing finds besides adds nothing for the user.
            let _ = remove::discard(&id, parts, remove::Links::Remove, hands).await;
            Err(error)
        }
    }
}

async fn assemble(
    order: &Order<'_>,
    service: &Service,
    project: &Project,
    image: &Image,
    id: &ContainerId,
    hands: &Hands,
    parts: &mut Parts,
) -> Result<ContainerRecord, Failure> {
    // 1. Its directory: from here on it can be found and removed.
    files::directories(&hands.layout, id)?;
    // 2. What it mounts.
    let (mounts, volumes) = mounts::resolve(service, project, image, &order.inheritance.volumes, hands)?;
    // 3. Its ports and its network.
    let endpoint = Endpoint { id, name: order.name, service, aliases: order.aliases, publish: order.ports };
    let name_of = |key: &str| wiring::network_name(project, key);
    let (networks, ports) = wiring::wire(&endpoint, name_of, &order.inheritance, hands, parts).await?;
    // 4. What its shim has to know.
    let facts = specgen::Facts { layout: &hands.layout, project, id, image, volumes: mounts, hold: order.hold };
    let spec = specgen::shim_spec(service, facts).map_err(failure)?;
    files::generate(service, &spec.container.hostname, &networks, &hands.layout, id)?;
    record::write(&hands.layout.container_spec(id), &spec, Durability::Volatile)?;
    // 5. Its record: the container is there now, also for a later supervisor.
    let record = ContainerRecord {
        id: id.clone(),
        project: project.name.clone(),
        service: service.name.clone(),
        number: order.slot.number,
        oneoff: order.oneoff,
        name: order.name.to_owned(),
        applied: service.clone(),
        config_hash: plan::config_hash(service),
        image_id: image.id.clone(),
        image_healthcheck: image.config.healthcheck.clone(),
        image_stop_signal: image.config.stop_signal.clone(),
        file_digests: used_digests(service, project)?,
        command: spec.container.process.args.clone(),
        created_at: now(),
        working_dir: project.working_dir.clone(),
        config_files: project.config_files.clone(),
        volumes,
        networks,
        ports,
        status: Status::Created,
        stopped_by_user: false,
        restarts: 0,
        health: None,
        last_probe: None,
    };
    record::write(&hands.layout.container_record(id), &record, Durability::Volatile)?;
    // 6. Its shim, which waits for the start.
    launch::launch(hands, id, parts)?;
    Ok(record)
}

fn image_of(service: &Service, hands: &Hands) -> Result<Image, Failure> {
    let reference = Reference::parse(service.reference()).map_err(failure)?;
    hands.images.find(&reference).map_err(failure)?.ok_or_else(|| Failure {
        message: format!("service {}: image {} is not on this host", service.name, service.reference()),
        hint: Some("pull it (`muster pull`) or load it (`muster load -i FILE`)".into()),
        ..Failure::default()
    })
}

/// Of the secrets and configs that this service uses.
fn used_digests(service: &Service, project: &Project) -> Result<BTreeMap<String, String>, Failure> {
    if service.secrets.is_empty() && service.configs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut digests = observe::file_digests(project)?;
    let secrets = service.secrets.iter().map(|mount| format!("secret:{}", mount.source));
    let configs = service.configs.iter().map(|mount| format!("config:{}", mount.source));
    let used: Vec<String> = secrets.chain(configs).collect();
    digests.retain(|key, _| used.contains(key));
    Ok(digests)
}

/// 32 random bytes, for an id.
pub fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| failure(format!("no random bytes: {errno}")))?;
    Ok(bytes)
}
