//! Who has which address: told to the resolver of each container, and to the packet filter.

use super::{
    inbox::{Inbox, Input},
    world::{Container, World},
};
use crate::{
    api::Failure,
    dns::{self, Endpoint, Member, Upstreams, Zone},
    model::ContainerId,
    reconcile::{Hands, failure, firewall, owner::Reply},
    state::{
        record,
        records::{ContainerRecord, NetworkUse},
    },
};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};
use tokio::sync::watch;

/// The packet filter is written by one task at a time; those who ask meanwhile share the next writing.
pub struct Names {
    hands: Arc<Hands>,
    inbox: Inbox,
    zone: watch::Sender<Arc<Zone>>,
    writing: bool,
    again: Option<Vec<Reply<Result<(), Failure>>>>,
}

impl Names {
    pub fn new(hands: Arc<Hands>, inbox: Inbox) -> Self {
        Self { hands, inbox, zone: watch::Sender::new(Arc::default()), writing: false, again: None }
    }

    /// Answers names on the container's resolver sockets.
    pub fn serve(&mut self, world: &mut World, id: &ContainerId) {
        let Some(container) = world.containers.get_mut(id) else { return };
        let Some(net) = &container.parts.net else { return };
        let copies = net.dns_udp.try_clone().and_then(|udp| Ok((udp, net.dns_tcp.try_clone()?)));
        let upstreams = match container.record.applied.dns.as_slice() {
            // Without a way out, no question gets out either (CVE-2024-29018).
            [] if container.record.networks.iter().all(|used| used.gateway.is_none()) => Upstreams::none(),
            [] => Upstreams::host(),
            addresses => Upstreams::fixed(addresses),
        };
        let zone = self.zone.subscribe();
        let serving = copies
            .map_err(failure)
            .and_then(|(udp, tcp)| dns::serve(id.clone(), udp, tcp, zone, upstreams).map_err(failure));
        match serving {
            Ok(serving) => container.resolver = Some(serving),
            // The container runs all the same, without names; the next start tries again.
            Err(error) => tracing::error!("{}", error.message),
        }
    }

    /// Addresses or names have changed.
    pub fn publish(&mut self, world: &World) {
        let mut members: Vec<Member> =
            world.containers.values().filter(|container| container.is_reachable()).map(member).collect();
        members.extend(self.neighbours(world));
        self.zone.send_replace(Arc::new(Zone::new(&members)));
    }

    /// Containers of other projects on the external networks that ours are on.
    fn neighbours(&self, world: &World) -> Vec<Member> {
        let networks: BTreeSet<&str> = world
            .containers
            .values()
            .flat_map(|container| container.record.networks.iter().map(|used| used.name.as_str()))
            .collect();
        let mut members = Vec::new();
        for network in networks {
            // A lease file that cannot be read costs the neighbours' names, not our own.
            for peer in self.hands.networks.peers(network).unwrap_or_default() {
                if let [name, aliases @ ..] = peer.names.as_slice()
                    && !world.containers.contains_key(&peer.container)
                    && self.is_of_another_project(&peer.container)
                {
                    members.push(Member {
                        id: None,
                        name: name.clone(),
                        hostname: String::new(),
                        service: None,
                        endpoints: vec![Endpoint {
                            network: network.to_owned(),
                            address: peer.address,
                            aliases: aliases.to_vec(),
                        }],
                    });
                }
            }
        }
        members
    }

    /// Not so a container of ours that is being removed, whose address is still leased.
    fn is_of_another_project(&self, id: &ContainerId) -> bool {
        let record = record::read::<ContainerRecord>(&self.hands.layout.container_record(id));
        matches!(record, Ok(Some(record)) if record.project != self.hands.project)
    }

    /// Writes the packet filter anew, and answers `done` when the kernel has it.
    pub fn firewall(&mut self, world: &World, done: Option<Reply<Result<(), Failure>>>) {
        if self.writing {
            self.again.get_or_insert_default().extend(done);
            return;
        }
        self.write(world, done.into_iter().collect());
    }

    fn write(&mut self, world: &World, waiting: Vec<Reply<Result<(), Failure>>>) {
        self.writing = true;
        let wired = wired(world);
        let (hands, inbox) = (Arc::clone(&self.hands), self.inbox.clone());
        tokio::spawn(async move {
            let result = firewall::write(&hands, &wired).await.map(|warnings| {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            });
            let _ = inbox.send(Input::FirewallWritten { result, waiting });
        });
    }

    /// Somebody else changed the packet filter: what was ours is put back.
    pub fn repair(&self, world: &World) {
        if self.writing {
            return;
        }
        let wired = wired(world);
        let hands = Arc::clone(&self.hands);
        tokio::spawn(async move {
            match firewall::repair(&hands, &wired).await {
                Ok(told) => {
                    for line in told {
                        tracing::warn!("{line}");
                    }
                }
                Err(error) => tracing::error!("{}", error.message),
            }
        });
    }

    /// Tells the owner of changes by others, as long as the supervisor lives.
    pub fn watch(&self) {
        let inbox = self.inbox.clone();
        match self.hands.networks.watch() {
            Ok(mut watch) => drop(tokio::spawn(async move {
                while let Ok(()) = watch.changed().await {
                    if inbox.send(Input::FirewallChanged).is_err() {
                        return;
                    }
                }
            })),
            // Rules are written all the same; only what others do to them goes unnoticed.
            Err(error) => tracing::warn!("{error}"),
        }
    }

    pub fn written(&mut self, result: Result<(), Failure>, waiting: Vec<Reply<Result<(), Failure>>>, world: &World) {
        self.writing = false;
        if let Err(error) = &result {
            tracing::error!("{}", error.message);
        }
        for done in waiting {
            let _ = done.send(result.clone());
        }
        if let Some(waiting) = self.again.take() {
            self.write(world, waiting);
        }
    }
}

fn member(container: &Container) -> Member {
    let record = &container.record;
    let endpoint = |used: &NetworkUse| match used.address {
        IpAddr::V4(address) => Some(Endpoint { network: used.name.clone(), address, aliases: used.aliases.clone() }),
        IpAddr::V6(_) => None,
    };
    Member {
        id: Some(record.id.clone()),
        name: record.name.clone(),
        hostname: record.applied.hostname.clone().unwrap_or_default(),
        service: (!record.oneoff).then(|| record.service.clone()),
        endpoints: record.networks.iter().filter_map(endpoint).collect(),
    }
}

/// The records of containers that have a network now.
fn wired(world: &World) -> Vec<ContainerRecord> {
    let wired = world.containers.values().filter(|container| container.parts.net.is_some());
    wired.map(|container| container.record.clone()).collect()
}
