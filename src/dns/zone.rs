//! Who answers to which name, as seen by a container: it only knows those it shares a network with. Pure.

use crate::model::ContainerId;
use std::{collections::HashMap, net::Ipv4Addr};

/// A container that can be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    pub id: Option<ContainerId>,
    /// The container's name.
    pub name: String,
    pub hostname: String,
    /// `None` for a one-off container, which does not answer for its service.
    pub service: Option<String>,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Real name of the network.
    pub network: String,
    pub address: Ipv4Addr,
    pub aliases: Vec<String>,
}

/// The names of all containers of a project, and of whom they meet on external networks. Made anew at each change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Zone {
    /// Networks of each container, in its own order.
    networks: HashMap<ContainerId, Vec<String>>,
    /// Network -> name in lower case -> addresses, in the order of the members.
    names: HashMap<String, HashMap<String, Vec<Ipv4Addr>>>,
    /// Network -> address -> the name to tell.
    addresses: HashMap<String, HashMap<Ipv4Addr, String>>,
}

impl Zone {
    pub fn new<'a>(members: impl IntoIterator<Item = &'a Member>) -> Self {
        let mut zone = Self::default();
        for member in members {
            if let Some(id) = &member.id {
                let networks = member.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect();
                zone.networks.insert(id.clone(), networks);
            }
            for endpoint in &member.endpoints {
                zone.add(member, endpoint);
            }
        }
        zone
    }

    fn add(&mut self, member: &Member, endpoint: &Endpoint) {
        let network = &endpoint.network;
        let own = [&member.name, &member.hostname].into_iter().chain(&member.service).chain(&endpoint.aliases);
        let mut names: Vec<String> = own.map(|name| canonical(name)).collect();
        names.extend(member.id.as_ref().map(|id| id.short().to_owned()));
        let table = self.names.entry(network.clone()).or_default();
        for name in names {
            // `localhost` is nobody else's, whatever a container calls itself (RFC 6761).
            if name.is_empty() || name == "localhost" {
                continue;
            }
            for known in [format!("{name}.{}", canonical(network)), name] {
                let addresses = table.entry(known).or_default();
                if !addresses.contains(&endpoint.address) {
                    addresses.push(endpoint.address);
                }
            }
        }
        let told = format!("{}.{network}", member.name);
        self.addresses.entry(network.clone()).or_default().insert(endpoint.address, told);
    }

    /// Addresses of a name for this container: those of its first network that knows the name. `turn` rotates them, so
    /// that clients that take the first one spread. `None`: nobody it could reach has the name.
    pub fn resolve(&self, asker: &ContainerId, name: &str, turn: usize) -> Option<Vec<Ipv4Addr>> {
        let name = canonical(name);
        let networks = self.networks.get(asker)?;
        let found = networks.iter().find_map(|network| self.names.get(network)?.get(&name))?;
        let mut addresses = found.clone();
        let length = addresses.len().max(1);
        addresses.rotate_left(turn % length);
        Some(addresses)
    }

    /// `<container>.<network>`
    pub fn reverse(&self, asker: &ContainerId, address: Ipv4Addr) -> Option<&str> {
        let networks = self.networks.get(asker)?;
        networks.iter().find_map(|network| self.addresses.get(network)?.get(&address)).map(String::as_str)
    }
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::new(digit.to_string().repeat(64))
    }
    fn member(digit: char, service: &str, number: u32, endpoints: &[(&str, &str, &[&str])]) -> Member {
        Member {
            id: Some(id(digit)),
            name: format!("shop-{service}-{number}"),
            hostname: id(digit).short().to_owned(),
            service: Some(service.into()),
            endpoints: endpoints
                .iter()
                .map(|(network, address, aliases)| Endpoint {
                    network: format!("shop_{network}"),
                    address: address.parse().unwrap(),
                    aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
                })
                .collect(),
        }
    }
    fn shop() -> Zone {
        Zone::new(&[
            member('a', "proxy", 1, &[("front", "10.1.0.2", &[])]),
            member('b', "web", 1, &[("front", "10.1.0.3", &["App"]), ("back", "10.2.0.3", &[])]),
            member('c', "web", 2, &[("front", "10.1.0.4", &["App"]), ("back", "10.2.0.4", &[])]),
            member('d', "db", 1, &[("back", "10.2.0.5", &["postgres"])]),
        ])
    }
    fn resolve(zone: &Zone, asker: char, name: &str) -> String {
        match zone.resolve(&id(asker), name, 0) {
            Some(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            None => "-".into(),
        }
    }

    #[test]
    fn a_container_finds_those_it_shares_a_network_with() {
        let zone = shop();
        let table = [
            ('a', "web", "10.1.0.3 10.1.0.4"),
            ('a', "db", "-"),
            ('a', "postgres", "-"),
            ('a', "app", "10.1.0.3 10.1.0.4"),
            ('a', "WEB.", "10.1.0.3 10.1.0.4"),
            ('a', "shop-web-2", "10.1.0.4"),
            ('a', "cccccccccccc", "10.1.0.4"),
            ('a', "web.shop_front", "10.1.0.3 10.1.0.4"),
            ('a', "web.shop_back", "-"),
            ('b', "db", "10.2.0.5"),
            ('b', "web.shop_back", "10.2.0.3 10.2.0.4"),
            ('d', "web", "10.2.0.3 10.2.0.4"),
            ('d', "app", "-"),
            ('d', "proxy", "-"),
            ('a', "localhost", "-"),
            ('z', "web", "-"),
        ];
        for (asker, name, expected) in table {
            assert_eq!(resolve(&zone, asker, name), expected, "{asker} asks for {name}");
        }
    }

    #[test]
    fn replicas_take_turns() {
        let zone = shop();
        let first = |turn| zone.resolve(&id('a'), "web", turn).unwrap()[0].to_string();
        assert_eq!([first(0), first(1), first(2)], ["10.1.0.3", "10.1.0.4", "10.1.0.3"]);
    }

    #[test]
    fn addresses_are_told_by_container_and_network() {
        let zone = shop();
        let name = |asker, address: &str| zone.reverse(&id(asker), address.parse().unwrap());
        assert_eq!(name('b', "10.2.0.5"), Some("shop-db-1.shop_back"));
        assert_eq!(name('a', "10.2.0.5"), None);
    }
}
