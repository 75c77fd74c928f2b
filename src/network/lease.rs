//! Who holds which address of a network. One file a network, under the lock `leases`.

use super::{LeaseRequest, Peer, error::NetworkError, record::NetworkRecord, subnet};
use crate::{
    model::ContainerId,
    state::{Durability, Layout, Lock, record},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leases {
    /// The address given out last.
    last: Option<Ipv4Addr>,
    held: BTreeMap<ContainerId, Held>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    address: Ipv4Addr,
    #[serde(default)]
    names: Vec<String>,
}

impl Leases {
    /// The address of the container: the one it has, else the wanted, the preferred or the next one. Pure.
    fn take(
        &mut self,
        network: &NetworkRecord,
        container: &ContainerId,
        request: &LeaseRequest,
    ) -> Result<Ipv4Addr, NetworkError> {
        let held = self.held.get(container).map(|held| held.address);
        let address = match (held, request.wanted) {
            (Some(held), None) => held,
            (Some(held), Some(wanted)) if held == wanted => held,
            (_, Some(wanted)) => self.check(network, container, wanted)?,
            (None, None) => match request.preferred {
                Some(preferred) if self.check(network, container, preferred).is_ok() => preferred,
                _ => self.next(network)?,
            },
        };
        self.held.insert(container.clone(), Held { address, names: request.names.clone() });
        Ok(address)
    }

    fn check(
        &self,
        network: &NetworkRecord,
        container: &ContainerId,
        address: Ipv4Addr,
    ) -> Result<Ipv4Addr, NetworkError> {
        if !subnet::usable(network.subnet, address) || address == network.gateway {
            return Err(NetworkError::AddressOutside {
                network: network.name.clone(),
                address,
                subnet: network.subnet,
            });
        }
        match self.held.iter().find(|(holder, held)| held.address == address && *holder != container) {
            Some((holder, _)) => Err(NetworkError::AddressTaken {
                network: network.name.clone(),
                address,
                holder: holder.short().to_owned(),
            }),
            None => Ok(address),
        }
    }

    fn next(&mut self, network: &NetworkRecord) -> Result<Ipv4Addr, NetworkError> {
        let mut taken: BTreeSet<Ipv4Addr> = self.held.values().map(|held| held.address).collect();
        taken.insert(network.gateway);
        let next = subnet::next_address(network.subnet, network.ip_range, &taken, self.last);
        self.last = next.or(self.last);
        next.ok_or_else(|| NetworkError::Full { name: network.name.clone(), subnet: network.subnet })
    }

    pub fn address_of(&self, container: &ContainerId) -> Option<Ipv4Addr> {
        self.held.get(container).map(|held| held.address)
    }

    pub fn holders(&self) -> impl Iterator<Item = &ContainerId> {
        self.held.keys()
    }

    pub fn peers(&self) -> Vec<Peer> {
        self.held
            .iter()
            .map(|(id, held)| Peer { container: id.clone(), address: held.address, names: held.names.clone() })
            .collect()
    }
}

pub fn read(layout: &Layout, network: &str) -> Result<Leases, NetworkError> {
    Ok(record::read(&layout.network_leases(network))?.unwrap_or_default())
}

fn write(layout: &Layout, network: &str, leases: &Leases) -> Result<(), NetworkError> {
    Ok(record::write(&layout.network_leases(network), leases, Durability::Volatile)?)
}

pub fn remove(layout: &Layout, network: &str) -> Result<(), NetworkError> {
    Ok(record::remove(&layout.network_leases(network))?)
}

fn lock(layout: &Layout) -> Result<Lock, NetworkError> {
    let path = layout.host_lock("leases");
    Lock::acquire(&path).map_err(|source| NetworkError::File { verb: "lock", path, source })
}

pub fn take(
    layout: &Layout,
    network: &NetworkRecord,
    container: &ContainerId,
    request: &LeaseRequest,
) -> Result<Ipv4Addr, NetworkError> {
    let _lock = lock(layout)?;
    let mut leases = read(layout, &network.name)?;
    let before = leases.clone();
    let address = match leases.take(network, container, request) {
        // A crash may have left leases of containers that are no more; nobody asks for them until it matters.
        Err(NetworkError::Full { .. } | NetworkError::AddressTaken { .. }) => {
            leases.held.retain(|holder, _| layout.container(holder).exists());
            leases.take(network, container, request)?
        }
        taken => taken?,
    };
    if leases != before {
        write(layout, &network.name, &leases)?;
    }
    Ok(address)
}

/// Gives up what the container holds on these networks.
pub fn release(layout: &Layout, networks: &[NetworkRecord], container: &ContainerId) -> Result<(), NetworkError> {
    let _lock = lock(layout)?;
    for network in networks {
        let mut leases = read(layout, &network.name)?;
        if leases.held.remove(container).is_some() {
            write(layout, &network.name, &leases)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NetworkId;
    use indexmap::IndexMap;

    fn network() -> NetworkRecord {
        NetworkRecord {
            id: NetworkId::new("ab".repeat(32)),
            name: "shop_back".into(),
            project: "shop".into(),
            internal: false,
            subnet: "10.5.0.0/29".parse().unwrap(),
            gateway: "10.5.0.1".parse().unwrap(),
            ip_range: None,
            labels: IndexMap::new(),
        }
    }
    fn container(digit: char) -> ContainerId {
        ContainerId::new(digit.to_string().repeat(64))
    }
    fn wanted(address: &str) -> LeaseRequest {
        LeaseRequest { wanted: Some(address.parse().unwrap()), ..LeaseRequest::default() }
    }

    #[test]
    fn a_container_keeps_its_address_until_it_gives_it_up() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        let (network, any) = (network(), LeaseRequest::default());
        let first = take(&layout, &network, &container('a'), &any).unwrap();
        assert_eq!(first.to_string(), "10.5.0.2");
        assert_eq!(take(&layout, &network, &container('b'), &any).unwrap().to_string(), "10.5.0.3");
        assert_eq!(take(&layout, &network, &container('a'), &any).unwrap(), first);
        release(&layout, std::slice::from_ref(&network), &container('a')).unwrap();
        let again = LeaseRequest { preferred: Some(first), ..LeaseRequest::default() };
        assert_eq!(take(&layout, &network, &container('c'), &any).unwrap().to_string(), "10.5.0.4");
        assert_eq!(take(&layout, &network, &container('a'), &again).unwrap(), first);
    }

    #[test]
    fn an_address_that_cannot_be_had_is_refused_by_name() {
        let mut leases = Leases::default();
        let network = network();
        leases.take(&network, &container('a'), &wanted("10.5.0.5")).unwrap();
        let refused = |leases: &mut Leases, address| {
            leases.take(&network, &container('b'), &wanted(address)).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&mut leases, "10.5.0.5"),
            "network shop_back: address 10.5.0.5 is held by container aaaaaaaaaaaa"
        );
        for address in ["10.5.0.0", "10.5.0.1", "10.5.0.7", "10.6.0.2"] {
            assert!(refused(&mut leases, address).contains("is not one that a container of 10.5.0.0/29 can have"));
        }
    }

    #[test]
    fn leases_of_containers_that_are_gone_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        std::fs::create_dir_all(layout.container(&container('a'))).unwrap();
        for digit in ['a', 'b', 'c', 'd', 'e', 'f'] {
            take(&layout, &network(), &container(digit), &LeaseRequest::default()).unwrap();
        }
        let held: Vec<ContainerId> = read(&layout, "shop_back").unwrap().holders().cloned().collect();
        assert_eq!(held, [container('a'), container('f')]);
    }

    #[test]
    fn a_full_network_says_so() {
        let mut leases = Leases::default();
        for digit in ['a', 'b', 'c', 'd', 'e'] {
            leases.take(&network(), &container(digit), &LeaseRequest::default()).unwrap();
        }
        let error = leases.take(&network(), &container('f'), &LeaseRequest::default()).unwrap_err();
        assert_eq!(error.to_string(), "network shop_back (10.5.0.0/29) has no free address left");
    }
}
