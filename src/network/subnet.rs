//! Which subnet a network gets, and which address a container. Pure: what is taken is an argument.

use ipnet::Ipv4Net;
use std::{collections::BTreeSet, net::Ipv4Addr};

/// 2,048 networks of 253 containers each, in corners of the private space that neither Docker (172.17 upwards,
/// 192.168), podman (10.88), Kubernetes (10.96, 10.244) nor home routers take by default.
const POOLS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 180, 0, 0), Ipv4Addr::new(10, 212, 0, 0)];
const NETWORKS_PER_POOL: u32 = 1024;
const PREFIX: u8 = 24;

/// A free subnet of the pool. A network of the same name gets the same one again where it can, so that `down` and
/// `up` keep addresses, and a new network does not step into the connection tracking of the one that just went.
pub fn choose(name: &str, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let start = fnv1a(name.as_bytes()) % NETWORKS_PER_POOL;
    POOLS
        .iter()
        .flat_map(|base| {
            (0..NETWORKS_PER_POOL).map(move |step| {
                let number = (start + step) % NETWORKS_PER_POOL;
                Ipv4Addr::from(u32::from(*base) + (number << (32 - PREFIX)))
            })
        })
        .filter_map(|base| Ipv4Net::new(base, PREFIX).ok())
        .find(|candidate| !taken.iter().any(|other| overlaps(candidate, other)))
}

pub fn overlaps(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// Whether a subnet that the user chose breaks a route that is there. A broader one does no harm: the longer prefix
/// wins, and a VPN for 10.0.0.0/8 may well be meant to have a hole.
pub fn breaks(wanted: &Ipv4Net, route: &Ipv4Net) -> bool {
    overlaps(wanted, route) && route.prefix_len() >= wanted.prefix_len()
}

/// What is wrong with a subnet and its gateway, if anything.
pub fn fault(subnet: Ipv4Net, gateway: Ipv4Addr, range: Option<Ipv4Net>) -> Option<String> {
    if subnet.prefix_len() > 30 {
        return Some(format!("subnet {subnet} has no room for a gateway and a container; /30 is the smallest"));
    }
    if subnet.network().is_loopback() || subnet.network().is_multicast() || subnet.network().is_unspecified() {
        return Some(format!("subnet {subnet} is not one that a network can have"));
    }
    if !usable(subnet, gateway) {
        return Some(format!("gateway {gateway} is not an address of hosts in subnet {subnet}"));
    }
    match range {
        Some(range) if !subnet.contains(&range) => Some(format!("ip_range {range} is not within subnet {subnet}")),
        _ => None,
    }
}

/// Whether a host may have this address: not the network's own, not the broadcast address.
pub fn usable(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    subnet.contains(&address) && address != subnet.network() && address != subnet.broadcast()
}

/// The next free address after the one that was given out last, around the end. Not simply the lowest: an address
/// that was just given up may still stand in caches of names and in open connections.
pub fn next_address(
    subnet: Ipv4Net,
    range: Option<Ipv4Net>,
    taken: &BTreeSet<Ipv4Addr>,
    last: Option<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let range = range.unwrap_or(subnet);
    let (first, end) = (u32::from(range.network()), u32::from(range.broadcast()));
    let size = u64::from(end - first) + 1;
    let after = last.filter(|last| range.contains(last)).map_or(0, |last| u64::from(u32::from(last) - first) + 1);
    // One more candidate than is taken, and the two that are never usable, is enough to find a free one.
    let tries = size.min(taken.len() as u64 + 4);
    (0..tries)
        .map(|step| Ipv4Addr::from(first + ((after + step) % size) as u32))
        .find(|address| usable(subnet, *address) && !taken.contains(address))
}

/// Docker's form: `02:42:` and the address.
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

pub fn mac_text(address: Ipv4Addr) -> String {
    mac(address).map(|byte| format!("{byte:02x}")).join(":")
}

/// The FNV-1a hash: it spreads names, and must stay the same in every version of muster.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }
    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_keeps_its_subnet_and_gives_way_to_what_is_taken() {
        let first = choose("shop_default", &[]).unwrap();
        assert_eq!(choose("shop_default", &[]), Some(first));
        assert!(net("10.180.0.0/14").contains(&first) && first.prefix_len() == 24);
        assert_ne!(choose("blog_default", &[]).unwrap(), first);
        let second = choose("shop_default", &[first]).unwrap();
        assert!(!overlaps(&first, &second));
        let third = choose("shop_default", &[first, net("10.180.0.0/14")]).unwrap();
        assert!(net("10.212.0.0/14").contains(&third));
        assert_eq!(choose("shop_default", &[net("10.0.0.0/8")]), None);
    }

    #[test]
    fn only_routes_that_would_be_cut_off_are_in_the_way_of_a_chosen_subnet() {
        let table = [
            ("10.5.0.0/24", "10.5.0.0/24", true),
            ("10.5.0.0/16", "10.5.7.0/24", true),
            ("10.5.0.0/24", "10.5.0.9/32", true),
            ("10.5.0.0/24", "10.0.0.0/8", false),
            ("10.5.0.0/24", "10.6.0.0/24", false),
        ];
        for (wanted, route, expected) in table {
            assert_eq!(breaks(&net(wanted), &net(route)), expected, "{wanted} against {route}");
        }
    }

    #[test]
    fn faults_of_subnets_are_named() {
        let table = [
            ("10.5.0.0/24", "10.5.0.1", None, None),
            ("10.5.0.0/31", "10.5.0.1", None, Some("smallest")),
            ("127.9.0.0/24", "127.9.0.1", None, Some("not one that a network can have")),
            ("10.5.0.0/24", "10.6.0.1", None, Some("gateway 10.6.0.1 is not")),
            ("10.5.0.0/24", "10.5.0.255", None, Some("gateway 10.5.0.255 is not")),
            ("10.5.0.0/24", "10.5.0.1", Some("10.6.0.0/25"), Some("not within subnet")),
            ("10.5.0.0/24", "10.5.0.1", Some("10.5.0.128/25"), None),
        ];
        for (subnet, gateway, range, expected) in table {
            let fault = fault(net(subnet), ip(gateway), range.map(net));
            match (fault, expected) {
                (None, None) => {}
                (Some(fault), Some(part)) => assert!(fault.contains(part), "{fault}"),
                (fault, expected) => panic!("{subnet}: {fault:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn addresses_go_round_and_skip_what_is_taken() {
        let subnet = net("10.5.0.0/29");
        let mut taken = BTreeSet::from([ip("10.5.0.1")]);
        let mut last = None;
        let mut given = Vec::new();
        while let Some(address) = next_address(subnet, None, &taken, last) {
            taken.insert(address);
            last = Some(address);
            given.push(address.to_string());
        }
        assert_eq!(given, ["10.5.0.2", "10.5.0.3", "10.5.0.4", "10.5.0.5", "10.5.0.6"]);
        taken.remove(&ip("10.5.0.2"));
        taken.remove(&ip("10.5.0.5"));
        assert_eq!(next_address(subnet, None, &taken, Some(ip("10.5.0.3"))), Some(ip("10.5.0.5")));
        assert_eq!(next_address(subnet, None, &taken, Some(ip("10.5.0.6"))), Some(ip("10.5.0.2")));
    }

    #[test]
    fn an_ip_range_bounds_what_is_given_out() {
        let subnet = net("10.5.0.0/24");
        let range = Some(net("10.5.0.248/29"));
        let mut taken = BTreeSet::from([ip("10.5.0.1")]);
        let mut last = None;
        let mut count = 0;
        while let Some(address) = next_address(subnet, range, &taken, last) {
            assert!(net("10.5.0.248/29").contains(&address));
            taken.insert(address);
            last = Some(address);
            count += 1;
        }
        assert_eq!(count, 7, "the broadcast address of the subnet is left out");
    }

    #[test]
    fn the_mac_follows_the_address() {
        assert_eq!(mac_text(ip("10.180.3.255")), "02:42:0a:b4:03:ff");
    }
}
