//! What the packet filter of the project has to be, from the records of its containers.

use super::{Hands, failure};
use crate::{
    api::Failure,
    network::{FirewallNetwork, FirewallSpec, GuardedPort, Lease, NetworkError, Publication},
    state::records::ContainerRecord,
};

/// Writes it whole; nothing of it is left once the project has no network. `wired` are the containers that have a
/// network now. Answers what a person should know.
pub async fn write(hands: &Hands, wired: &[ContainerRecord]) -> Result<Vec<String>, Failure> {
    let spec = spec(hands, wired)?;
    if spec.networks.is_empty() {
        hands.networks.drop_firewall(&hands.project).await?;
        return Ok(Vec::new());
    }
    Ok(hands.networks.apply(&spec).await?)
}

/// Puts back what somebody else took away.
pub async fn repair(hands: &Hands, wired: &[ContainerRecord]) -> Result<Vec<String>, Failure> {
    let spec = spec(hands, wired)?;
    if spec.networks.is_empty() {
        return Ok(Vec::new());
    }
    let repaired = hands.networks.repair(&spec).await.map_err(failure)?;
    let mut told = repaired.warnings;
    if repaired.tables || repaired.passes {
        told.push("the packet filter was changed by somebody else, and is repaired".into());
    }
    Ok(told)
}

/// The networks of the project, those of others that its containers are on, and what is published.
fn spec(hands: &Hands, wired: &[ContainerRecord]) -> Result<FirewallSpec, NetworkError> {
    let mut spec = FirewallSpec { project: hands.project.clone(), ..FirewallSpec::default() };
    let used = |name: &str| wired.iter().any(|record| record.networks.iter().any(|used| used.name == name));
    for network in hands.networks.list()? {
        if network.project == hands.project || used(&network.name) {
            spec.networks.push(FirewallNetwork::from(&network));
        }
    }
    for record in wired {
        let leases = in_order(record, hands.networks.leases(&record.id)?);
        if !may_change_its_addresses(record) {
            spec.guarded.extend(leases.iter().map(GuardedPort::from));
        }
        spec.publications.extend(record.ports.iter().filter_map(|port| Publication::new(port, &leases, &record.name)));
    }
    Ok(spec)
}

/// As the container has them: `eth0` first.
fn in_order(record: &ContainerRecord, mut leases: Vec<Lease>) -> Vec<Lease> {
    leases.sort_by_key(|lease| record.networks.iter().position(|used| used.name == lease.network));
    leases
}

fn may_change_its_addresses(record: &ContainerRecord) -> bool {
    let service = &record.applied;
    service.privileged || service.cap_add.iter().any(|capability| capability == "ALL" || capability == "NET_ADMIN")
}
