//! Who has which address: told to the resolver of each container, and to the packet filter.

use super::{
    inbox::{Inbox, Input},
    world::{Container, World},
};
use crate::{
    api::Failure,
    model::ContainerId,
    network::{FirewallNetwork, FirewallSpec, GuardedPort, Lease, Publication},
    reconcile::{Hands, failure, owner::Reply},
};
use std::sync::Arc;

/// The packet filter is written by one task at a time; those who ask meanwhile share the next writing.
pub struct Names {
    hands: Arc<Hands>,
    inbox: Inbox,
    writing: bool,
    again: Option<Vec<Reply<Result<(), Failure>>>>,
}

impl Names {
    pub fn new(hands: Arc<Hands>, inbox: Inbox) -> Self {
        Self { hands, inbox, writing: false, again: None }
    }

    /// Answers names on the container's resolver sockets.
    pub fn serve(&mut self, world: &mut World, id: &ContainerId) {
        let _ = (world, id);
    }

    /// Addresses or names have changed.
    pub fn publish(&mut self, world: &World) {
        let _ = world;
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
        let spec = spec(world, &self.hands);
        let (hands, inbox) = (Arc::clone(&self.hands), self.inbox.clone());
        tokio::spawn(async move {
            let result = match spec {
                Ok(spec) if spec.networks.is_empty() => hands.networks.drop_firewall(&hands.project).await,
                Ok(spec) => hands.networks.apply(&spec).await.map(|warnings| {
                    for warning in warnings {
                        tracing::warn!("{warning}");
                    }
                }),
                Err(error) => Err(error),
            };
            let _ = inbox.send(Input::FirewallWritten { result: result.map_err(failure), waiting });
        });
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

    /// Nothing of the project is left in the packet filter once its last network is gone.
    pub async fn leave(&mut self) {}
}

/// The networks of the project, those of others that its containers are on, and what is published.
fn spec(world: &World, hands: &Hands) -> Result<FirewallSpec, crate::network::NetworkError> {
    let mut spec = FirewallSpec { project: hands.project.clone(), ..FirewallSpec::default() };
    let used: Vec<&str> = world
        .containers
        .values()
        .flat_map(|container| container.record.networks.iter().map(|used| used.name.as_str()))
        .collect();
    for network in hands.networks.list()? {
        if network.project == hands.project || used.contains(&network.name.as_str()) {
            spec.networks.push(FirewallNetwork::from(&network));
        }
    }
    for container in world.containers.values().filter(|container| container.parts.net.is_some()) {
        let leases = hands.networks.leases(&container.record.id)?;
        let leases = in_order(container, leases);
        if !may_change_its_addresses(container) {
            spec.guarded.extend(leases.iter().map(GuardedPort::from));
        }
        let publications =
            container.record.ports.iter().filter_map(|port| Publication::new(port, &leases, &container.record.name));
        spec.publications.extend(publications);
    }
    Ok(spec)
}

/// As the container has them: `eth0` first.
fn in_order(container: &Container, mut leases: Vec<Lease>) -> Vec<Lease> {
    let place = |lease: &Lease| container.record.networks.iter().position(|used| used.name == lease.network);
    leases.sort_by_key(place);
    leases
}

fn may_change_its_addresses(container: &Container) -> bool {
    let service = &container.record.applied;
    service.privileged || service.cap_add.iter().any(|capability| capability == "ALL" || capability == "NET_ADMIN")
}
