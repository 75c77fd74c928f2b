//! What the packet filter of a project has to do, and the rules that do it. Pure.
//!
//! Two tables `muster-<project>`, written whole in one transaction: `ip` translates and isolates, `bridge` keeps a
//! container from speaking under another's address. What a rule is for stands above it.

use super::{
    error::NetworkError,
    nft::rule::{Action, Chain, Elements, Family, Hook, Interface, Kind, Match, Point, Rule, Set, Table},
    record::{BRIDGE_PREFIX, NetworkRecord},
    spec::Lease,
    subnet,
};
use crate::{model::Protocol, state::records::BoundPort};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// Everything about the packets of one project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FirewallSpec {
    pub project: String,
    /// The networks that its containers are on, external ones included.
    pub networks: Vec<FirewallNetwork>,
    pub guarded: Vec<GuardedPort>,
    pub publications: Vec<Publication>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FirewallNetwork {
    pub bridge: String,
    pub subnet: Ipv4Net,
    pub internal: bool,
}

/// A container's port on a bridge that only takes its own address and MAC. Leave out a container that may change its
/// addresses (NET_ADMIN, privileged).
#[derive(Clone, Debug, PartialEq)]
pub struct GuardedPort {
    pub link: String,
    pub address: Ipv4Addr,
}

/// A host port that leads to a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// `None`: every address of the host.
    pub host_ip: Option<Ipv4Addr>,
    pub host_port: u16,
    pub protocol: Protocol,
    /// The container's address on the network that carries its default route.
    pub target: SocketAddrV4,
    pub bridge: String,
    /// Shown by `nft list ruleset`: the container's name.
    pub comment: String,
}

/// What `Networks::repair` found and put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The project's own tables were gone or not whole.
    pub tables: bool,
    /// Accepts for muster's bridges in other programs' chains.
    pub passes: bool,
    /// Chains of others that drop forwarded packets and that muster does not touch: what a person has to do.
    pub warnings: Vec<String>,
}

impl From<&NetworkRecord> for FirewallNetwork {
    fn from(network: &NetworkRecord) -> Self {
        Self { bridge: network.bridge(), subnet: network.subnet, internal: network.internal }
    }
}

impl From<&Lease> for GuardedPort {
    fn from(lease: &Lease) -> Self {
        Self { link: lease.link.clone(), address: lease.address }
    }
}

impl Publication {
    /// `None` for a container that has no network with a way out: nothing is published there.
    pub fn new(port: &BoundPort, leases: &[Lease], container: &str) -> Option<Self> {
        let lease = leases.iter().find(|lease| !lease.internal)?;
        let host_ip = match port.host_ip {
            IpAddr::V4(ip) => Some(ip).filter(|ip| !ip.is_unspecified()),
            IpAddr::V6(_) => return None,
        };
        Some(Self {
            host_ip,
            host_port: port.host_port,
            protocol: port.protocol,
            target: SocketAddrV4::new(lease.address, port.target),
            bridge: lease.bridge.clone(),
            comment: container.to_owned(),
        })
    }
}

pub fn table_name(project: &str) -> String {
    format!("muster-{project}")
}

/// The tables of a project. The `bridge` one is missing where no port is guarded.
pub fn tables(spec: &FirewallSpec) -> Result<Vec<Table>, NetworkError> {
    let mut tables = vec![ip_table(spec)?];
    tables.extend(bridge_table(spec));
    Ok(tables)
}

fn ip_table(spec: &FirewallSpec) -> Result<Table, NetworkError> {
    let loopback = Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8)
        .map_err(|error| NetworkError::BadSubnet { name: spec.project.clone(), what: error.to_string() })?;
    Ok(Table {
        family: Family::Ip,
        name: table_name(&spec.project),
        sets: Vec::new(),
        chains: vec![
            Chain { name: "raw", hook: hook(Kind::Filter, Point::Prerouting, -300), rules: raw(spec, loopback) },
            Chain { name: "published", hook: None, rules: published(spec) },
            Chain { name: "prerouting", hook: hook(Kind::Nat, Point::Prerouting, -100), rules: to_published() },
            Chain { name: "output", hook: hook(Kind::Nat, Point::Output, -100), rules: to_published() },
            Chain {
                name: "postrouting",
                hook: hook(Kind::Nat, Point::Postrouting, 100),
                rules: postrouting(spec, loopback),
            },
            Chain { name: "input", hook: hook(Kind::Filter, Point::Input, 0), rules: input(spec) },
            Chain { name: "forward", hook: hook(Kind::Filter, Point::Forward, 0), rules: forward(spec) },
        ],
    })
}

fn hook(kind: Kind, point: Point, priority: i32) -> Option<Hook> {
    Some(Hook { kind, point, priority })
}

fn named(bridge: &str) -> Interface {
    Interface::named(bridge)
}

/// CVE-2020-8558: the bridges route loopback addresses (`route_localnet`), so that 127.0.0.1 of the host can lead to a
/// container. No packet on the wire may have such an address: this is before connection tracking turns answers back,
/// so ours are not touched.
fn raw(spec: &FirewallSpec, loopback: Ipv4Net) -> Vec<Rule> {
    spec.networks
        .iter()
        .flat_map(|network| {
            let from = || Match::In(named(&network.bridge));
            [
                Rule::new([from(), Match::Source(loopback)], Action::Drop),
                Rule::new([from(), Match::Destination(loopback)], Action::Drop),
            ]
        })
        .collect()
}

/// Published ports: from other machines, from the host itself and from containers by any address of the host.
fn to_published() -> Vec<Rule> {
    vec![Rule::new([Match::DestinationLocal], Action::Jump("published"))]
}

fn published(spec: &FirewallSpec) -> Vec<Rule> {
    let internal = |bridge: &str| spec.networks.iter().any(|network| network.bridge == bridge && network.internal);
    spec.publications
        .iter()
        .filter(|publication| !internal(&publication.bridge))
        .map(|publication| {
            let mut matches = Vec::new();
            if let Some(ip) = publication.host_ip {
                matches.push(Match::Destination(Ipv4Net::from(ip)));
            }
            matches.push(Match::Port(publication.protocol, publication.host_port));
            Rule::new(matches, Action::Dnat(publication.target)).comment(&publication.comment)
        })
        .collect()
}

fn postrouting(spec: &FirewallSpec, loopback: Ipv4Net) -> Vec<Rule> {
    spec.networks
        .iter()
        .filter(|network| !network.internal)
        .flat_map(|network| {
            let bridge = || named(&network.bridge);
            [
                // Out into the world, and to a published port of a container on another network.
                Rule::new([Match::Source(network.subnet), Match::NotOut(bridge())], Action::Masquerade),
                // By the host's address to a neighbour or to itself: the answer has to come back through the host.
                Rule::new([Match::Source(network.subnet), Match::Out(bridge()), Match::Translated], Action::Masquerade),
                // From 127.0.0.1 of the host: no container could answer that.
                Rule::new([Match::Source(loopback), Match::Out(bridge())], Action::Masquerade),
            ]
        })
        .collect()
}

/// From an internal network the host itself is out of reach as well, but for answers to what it asked.
fn input(spec: &FirewallSpec) -> Vec<Rule> {
    spec.networks
        .iter()
        .filter(|network| network.internal)
        .flat_map(|network| {
            let from = || Match::In(named(&network.bridge));
            [Rule::new([from(), Match::Established], Action::Accept), Rule::new([from()], Action::Drop)]
        })
        .collect()
}

/// Each project guards the way into its own networks; that isolates them from each other and from those of other
/// projects, whose tables do the same.
fn forward(spec: &FirewallSpec) -> Vec<Rule> {
    let mut rules = Vec::new();
    // Internal networks first: what comes from there must not get as far as the accept for published ports.
    let (internal, open): (Vec<_>, Vec<_>) = spec.networks.iter().partition(|network| network.internal);
    for network in internal.into_iter().chain(open) {
        let (from, to) = (|| Match::In(named(&network.bridge)), || Match::Out(named(&network.bridge)));
        // Neighbours: seen here only where br_netfilter hands bridged packets to the IP hooks.
        rules.push(Rule::new([from(), to()], Action::Accept));
        if network.internal {
            rules.push(Rule::new([from()], Action::Drop));
        } else {
            rules.push(Rule::new([to(), Match::Established], Action::Accept));
            rules.push(Rule::new([to(), Match::Translated], Action::Accept));
        }
        rules.push(Rule::new([to()], Action::Drop));
    }
    rules
}

/// ARP and address spoofing (CVE-2020-13401 and its kind) between containers with NET_RAW: a frame from a guarded port
/// has the port's own MAC and address, in ARP too, and nothing but IPv4 and ARP comes from there. It stands before the
/// bridge learns addresses.
fn bridge_table(spec: &FirewallSpec) -> Option<Table> {
    if spec.guarded.is_empty() {
        return None;
    }
    let guard = spec.guarded.iter().map(|port| (port.link.clone(), subnet::mac(port.address), port.address)).collect();
    let ports = spec.guarded.iter().map(|port| port.link.clone()).collect();
    Some(Table {
        family: Family::Bridge,
        name: table_name(&spec.project),
        sets: vec![
            Set { name: "guard", elements: Elements::Guard(guard) },
            Set { name: "ports", elements: Elements::Interfaces(ports) },
        ],
        chains: vec![Chain {
            name: "prerouting",
            hook: hook(Kind::Filter, Point::Prerouting, -300),
            rules: vec![
                Rule::new([Match::EtherIp, Match::GuardedIp], Action::Accept),
                Rule::new([Match::EtherArp, Match::GuardedArp], Action::Accept),
                Rule::new([Match::GuardedPort], Action::Drop),
            ],
        }],
    })
}

/// Accepts for muster's bridges that go to the head of other programs' forward chains. They only lift those
/// programs' drops: what may pass is decided by the tables above, in the same hook.
pub fn passes() -> [Rule; 2] {
    [
        Rule::new([Match::In(Interface::Prefix(BRIDGE_PREFIX))], Action::Accept).comment("muster"),
        Rule::new([Match::Out(Interface::Prefix(BRIDGE_PREFIX))], Action::Accept).comment("muster"),
    ]
}
