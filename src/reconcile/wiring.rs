//! A container's way to the outside: addresses, its network namespace, its host ports.

use super::{
    Hands,
    container::{Inheritance, Net, Parts},
};
use crate::{
    api::Failure,
    model::{ContainerId, PortRange, Project, PublishedPort, Service},
    network::{EndpointSpec, Interface, Lease, LeaseRequest, Sandbox},
    state::records::{BoundPort, NetworkUse},
};
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// Who is to be wired.
pub struct Endpoint<'a> {
    pub id: &'a ContainerId,
    pub name: &'a str,
    pub service: &'a Service,
    /// Answer to the service's name and aliases, as all but one-off containers do.
    pub aliases: bool,
    /// Publish the service's ports.
    pub publish: bool,
}

/// What the record keeps of it.
pub type Facts = (Vec<NetworkUse>, Vec<BoundPort>);

/// Leases, namespace and ports; the descriptors go to `parts`. Addresses and host ports of `before` are taken again
/// where they are free. `name_of` gives a network's real name by its key.
pub async fn wire(
    endpoint: &Endpoint<'_>,
    name_of: impl Fn(&str) -> Option<String>,
    before: &Inheritance,
    hands: &Hands,
    parts: &mut Parts,
) -> Result<Facts, Failure> {
    // Ports first: they are what somebody else may have.
    let ports = reserve(endpoint, before, hands, parts)?;
    if endpoint.service.network_mode.is_some() {
        return Ok((Vec::new(), ports));
    }
    let leases = lease(endpoint, name_of, before, hands)?;
    let spec = EndpointSpec {
        container: endpoint.id.clone(),
        leases: leases.iter().map(|(_, _, lease)| lease.clone()).collect(),
    };
    let sandbox = hands.networks.prepare(&spec).await?;
    let uses = leases.into_iter().zip(&sandbox.interfaces).map(|((key, names, _), at)| network_use(key, names, at));
    let uses = uses.collect();
    parts.net = Some(net(sandbox));
    Ok((uses, ports))
}

/// By its key in the project.
pub fn network_name(project: &Project, key: &str) -> Option<String> {
    project.networks.get(key).map(|network| network.name.clone())
}

/// Host ports, all or none.
fn reserve(
    endpoint: &Endpoint<'_>,
    before: &Inheritance,
    hands: &Hands,
    parts: &mut Parts,
) -> Result<Vec<BoundPort>, Failure> {
    if !endpoint.publish || endpoint.service.ports.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<PublishedPort> = endpoint.service.ports.iter().map(|port| as_before(port, &before.ports)).collect();
    // A port chosen freely before may be somebody else's by now; then another one is as good.
    let reserved = hands.networks.reserve(&wanted).or_else(|_| hands.networks.reserve(&endpoint.service.ports));
    let reserved = reserved.map_err(|conflicts| Failure {
        message: format!("{}: {conflicts}", endpoint.name),
        hint: Some("stop what holds it, or publish another port".into()),
        ..Failure::default()
    })?;
    let mut ports = Vec::new();
    for reservation in reserved {
        parts.ports.push(Arc::new(reservation.fd));
        ports.push(reservation.port);
    }
    Ok(ports)
}

/// A port that may be any of several is the one it was.
fn as_before(port: &PublishedPort, before: &[BoundPort]) -> PublishedPort {
    let same = |bound: &&BoundPort| {
        bound.target == port.target
            && bound.protocol == port.protocol
            && port.published.is_none_or(|range| (range.first..=range.last).contains(&bound.host_port))
            && port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) == bound.host_ip
    };
    let published = before.iter().find(same).map(|bound| PortRange { first: bound.host_port, last: bound.host_port });
    PublishedPort { published: published.or(port.published), ..port.clone() }
}

/// One address on each of the service's networks, with the names it has there.
fn lease(
    endpoint: &Endpoint<'_>,
    name_of: impl Fn(&str) -> Option<String>,
    before: &Inheritance,
    hands: &Hands,
) -> Result<Vec<(String, Vec<String>, Lease)>, Failure> {
    let mut leases = Vec::new();
    for (key, attachment) in &endpoint.service.networks {
        let network = name_of(key)
            .ok_or_else(|| super::failure(format!("service {}: no such network: {key}", endpoint.service.name)))?;
        let held = before.networks.iter().find(|used| &used.key == key).and_then(|used| match used.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let names = names(endpoint, &attachment.aliases);
        let request = LeaseRequest { wanted: attachment.ipv4_address, preferred: held, names: names.clone() };
        let lease = hands.networks.lease(&network, endpoint.id, &request)?;
        leases.push((key.clone(), names, lease));
    }
    Ok(leases)
}

/// Every name it answers to on one network.
fn names(endpoint: &Endpoint<'_>, aliases: &[String]) -> Vec<String> {
    let mut names = vec![endpoint.name.to_owned(), endpoint.id.short().to_owned()];
    names.extend(endpoint.service.hostname.clone());
    if endpoint.aliases {
        names.push(endpoint.service.name.clone());
        names.extend(aliases.iter().cloned());
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn network_use(key: String, names: Vec<String>, interface: &Interface) -> NetworkUse {
    let lease = &interface.lease;
    NetworkUse {
        key,
        name: lease.network.clone(),
        network_id: lease.network_id.as_str().to_owned(),
        interface: interface.name.clone(),
        address: IpAddr::V4(lease.address),
        prefix: lease.prefix,
        gateway: interface.default_route.then_some(IpAddr::V4(lease.gateway)),
        mac: lease.mac.clone(),
        aliases: names,
    }
}

fn net(sandbox: Sandbox) -> Net {
    Net { netns: Arc::new(sandbox.netns), dns_udp: Arc::new(sandbox.dns_udp), dns_tcp: Arc::new(sandbox.dns_tcp) }
}
