//! Brings a container's shim up, before its first start and before each restart.

use super::{
    Hands,
    container::{Inheritance, Parts},
    failure, files,
    link::Link,
    wiring::{self, Endpoint},
};
use crate::{
    api::Failure,
    model::{ContainerId, NetworkMode},
    shim::wire::{Request, ShimSpec, Socket},
    state::{boot, record, records::ContainerRecord},
};
use std::{os::fd::AsRawFd, process::Stdio, sync::Arc};

/// Names under which a shim keeps descriptors for its supervisor; the first is the namespace it starts in.
pub mod stored {
    pub const NETNS: &str = "netns";
    pub const DNS_UDP: &str = "dns-udp";
    pub const DNS_TCP: &str = "dns-tcp";
    pub const PORT: &str = "port";
}

/// Spawns the shim and hands it what it has to keep. It waits for `Start` then.
///
/// Must run on the supervisor's runtime. Its only fork is the one of `posix_spawn`, which runs none of our code in
/// the child.
pub fn launch(hands: &Hands, id: &ContainerId, parts: &mut Parts) -> Result<(), Failure> {
    let (own, theirs) = Socket::pair().map_err(|error| failure(format!("cannot make a socket pair: {error}")))?;
    let mut child = tokio::process::Command::new(format!("/proc/self/fd/{}", hands.program.as_raw_fd()))
        .arg0("muster-shim")
        .arg("__shim")
        .arg(hands.layout.data())
        .arg(hands.layout.run())
        .arg(id.as_str())
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(complaints(hands))
        .spawn()
        .map_err(|error| failure(format!("cannot start the shim of container {}: {error}", id.short())))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    parts.shim = Some((pid, boot::start_time(pid).unwrap_or_default()));
    tokio::spawn(async move { child.wait().await });
    let listener = Arc::clone(&hands.listener);
    let link = Link::open(id.clone(), own, move |id, event| listener(id, event)).map_err(failure)?;
    let (names, fds) = parts.stored();
    if !names.is_empty() {
        link.send_with(Request::Store { names }, fds);
    }
    parts.link = Some(link);
    Ok(())
}

/// What a shim has to say goes where its supervisor's words go, or nowhere.
fn complaints(hands: &Hands) -> Stdio {
    let path = hands.layout.supervisor_log(&hands.project);
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.map_or_else(|_| Stdio::null(), Stdio::from)
}

/// A container that is up again, up to its start.
#[derive(Debug)]
pub struct Launched {
    pub parts: Parts,
    /// Its networks and ports, where they had to be made anew.
    pub facts: Option<wiring::Facts>,
}

/// Brings the shim of an existing container up once more. Its network and its ports are made again where they went
/// with an earlier supervisor or a reboot.
pub async fn again(
    hands: &Hands,
    record: &ContainerRecord,
    parts: &mut Parts,
) -> Result<Option<wiring::Facts>, Failure> {
    let service = &record.applied;
    let on_network = service.network_mode.is_none_or(|mode| !matches!(mode, NetworkMode::Host | NetworkMode::None));
    let complete = (parts.net.is_some() || !on_network) && parts.ports.len() == record.ports.len();
    let facts = if complete {
        None
    } else {
        parts.net = None;
        parts.ports.clear();
        let endpoint = Endpoint {
            id: &record.id,
            name: &record.name,
            service,
            aliases: !record.oneoff,
            publish: !record.ports.is_empty(),
        };
        let before =
            Inheritance { volumes: Vec::new(), networks: record.networks.clone(), ports: record.ports.clone() };
        let name_of = |key: &str| record.networks.iter().find(|used| used.key == key).map(|used| used.name.clone());
        let facts = wiring::wire(&endpoint, name_of, &before, hands, parts).await?;
        let spec: Option<ShimSpec> = record::read(&hands.layout.container_spec(&record.id))?;
        let hostname = spec.map(|spec| spec.container.hostname).unwrap_or_default();
        files::generate(service, &hostname, &facts.0, &hands.layout, &record.id)?;
        Some(facts)
    };
    launch(hands, &record.id, parts)?;
    Ok(facts)
}
