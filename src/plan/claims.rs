//! What only one container at a time can have: its name, fixed host ports, fixed addresses. A replacement must not
//! be made before the old holder is gone.

use super::ObservedContainer;
use crate::model::{PublishedPort, Service};
use std::collections::HashMap;

/// Claims of the containers that a plan removes.
pub struct Claims<'a> {
    by_name: HashMap<&'a str, &'a str>,
    /// Only those that hold a port or an address: few, as a rule.
    others: Vec<&'a ObservedContainer>,
}

impl<'a> Claims<'a> {
    pub fn of(leaving: &[&'a ObservedContainer]) -> Self {
        Self {
            by_name: leaving.iter().map(|container| (container.name.as_str(), container.id.as_str())).collect(),
            others: leaving.iter().copied().filter(|container| claims_anything(&container.applied)).collect(),
        }
    }

    /// Ids of those that hold what a container `name` of `service` needs.
    pub fn held(&self, service: &Service, name: &str) -> Vec<&'a str> {
        let by_name = self.by_name.get(name).copied();
        let clashing = self.others.iter().filter(|old| clash(&old.applied, service)).map(|old| old.id.as_str());
        by_name.into_iter().chain(clashing).collect()
    }
}

fn claims_anything(service: &Service) -> bool {
    service.ports.iter().any(|port| port.published.is_some())
        || service.networks.values().any(|attachment| attachment.ipv4_address.is_some())
}

fn clash(old: &Service, new: &Service) -> bool {
    let same_port = |port: &PublishedPort| old.ports.iter().any(|other| ports_clash(other, port));
    let same_address = new.networks.iter().any(|(key, attachment)| {
        attachment.ipv4_address.is_some()
            && old.networks.get(key).is_some_and(|other| other.ipv4_address == attachment.ipv4_address)
    });
    new.ports.iter().any(same_port) || same_address
}

/// A port on every address clashes with the same port on one.
fn ports_clash(one: &PublishedPort, other: &PublishedPort) -> bool {
    let (Some(a), Some(b)) = (one.published, other.published) else { return false };
    let everywhere = |port: &PublishedPort| port.host_ip.is_none_or(|ip| ip.is_unspecified());
    one.protocol == other.protocol
        && a.first <= b.last
        && b.first <= a.last
        && (everywhere(one) || everywhere(other) || one.host_ip == other.host_ip)
}
