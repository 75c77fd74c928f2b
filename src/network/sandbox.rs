//! A container's network namespace, made before the container is and handed on over its restarts.
//!
//! ```text
//! 1 a thread of its own unshares: the namespace lives by descriptors alone
//! 2 defaults of the namespace, which interfaces made later take up
//! 3 in the host:      one message with every veth pair, its inner end already inside and named
//! 4 in the namespace: one message with loopback, addresses and the default route
//! 5 the resolver's sockets, and the translation that leads 127.0.0.11:53 to them
//! 6 packets pass: the kernel has activated what it does behind our back
//! ```

use super::{
    bridge::{sysctl, sysctl_if_there},
    error::NetworkError,
    netlink::{Channel, Listener},
    nft::{
        rule::{Action, Chain, Family, Hook, Kind, Match, Point, Rule, Table},
        transaction::{self, Transaction},
    },
    route,
    spec::{EndpointSpec, Lease},
    subnet, sweep,
    thread::CloseLater,
};
use crate::{model::Protocol, sys::netns};
use ipnet::Ipv4Net;
use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

/// Where the resolver is for the container's programs, as Docker's.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// Where its sockets are. Not 53: a container must be able to bind 0.0.0.0:53 itself (Pi-hole, CoreDNS). Not in the
/// range of ephemeral ports, where a server of the container may well be.
pub const RESOLVER_PORT: u16 = 65053;

/// The kernel needs milliseconds, or what it takes to get the RTNL lock.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// What a container needs of its network, as descriptors. Closing them all, with the processes gone, ends it.
#[derive(Debug)]
pub struct Sandbox {
    pub netns: OwnedFd,
    /// Bound in the namespace; anybody who has the descriptor can serve it.
    pub dns_udp: OwnedFd,
    /// Listening in the namespace.
    pub dns_tcp: OwnedFd,
    pub interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// `eth0`, `eth1` ...
    pub name: String,
    pub lease: Lease,
    pub default_route: bool,
}

/// On a thread that ends afterwards: it leaves its network namespace.
pub fn make(spec: &EndpointSpec, later: &mut CloseLater) -> Result<Sandbox, NetworkError> {
    let failed = |what: &str| NetworkError::kernel(format!("{what} container {}", spec.container.short()));
    let host = route::open().map_err(failed("open netlink for"))?;
    let changes = route::listen().map_err(failed("open netlink for"))?;
    let bridges = bridges_of(spec)?;
    netns::unshare_network()?;
    let namespace = netns::current()?;
    defaults()?;
    let interfaces = interfaces_of(spec);
    add_links(&host, &interfaces, &bridges, &namespace).map_err(failed("add the links of"))?;
    add_addresses(&interfaces).map_err(failed("set the addresses of"))?;
    let (dns_udp, dns_tcp) = resolver_sockets().map_err(failed("open the resolver's sockets of"))?;
    lead_to_resolver(later).map_err(failed("lead 127.0.0.11 to the resolver of"))?;
    wait_until_up(&host, &changes, &interfaces, &bridges).map_err(failed("wait for the links of"))?;
    Ok(Sandbox { netns: namespace, dns_udp, dns_tcp, interfaces })
}

fn bridges_of(spec: &EndpointSpec) -> Result<Vec<u32>, NetworkError> {
    spec.leases
        .iter()
        .map(|lease| {
            route::index_of(&lease.bridge)
                .map_err(NetworkError::kernel(format!("look for bridge {}", lease.bridge)))?
                .ok_or_else(|| NetworkError::Unknown(lease.network.clone()))
        })
        .collect()
}

fn interfaces_of(spec: &EndpointSpec) -> Vec<Interface> {
    let default = spec.leases.iter().position(|lease| !lease.internal);
    spec.leases
        .iter()
        .enumerate()
        .map(|(number, lease)| Interface {
            name: format!("eth{number}"),
            lease: lease.clone(),
            default_route: default == Some(number),
        })
        .collect()
}

/// As Docker: no IPv6 on a network that has none (::1 stays), low ports and ping without privileges.
fn defaults() -> Result<(), NetworkError> {
    sysctl_if_there("net/ipv6/conf/default/disable_ipv6", "1")?;
    sysctl("net/ipv4/ip_unprivileged_port_start", "0")?;
    sysctl("net/ipv4/ping_group_range", "0 2147483647")
}

fn add_links(host: &Channel, interfaces: &[Interface], bridges: &[u32], namespace: &OwnedFd) -> std::io::Result<()> {
    let add = || {
        let mut batch = Vec::new();
        for (interface, bridge) in interfaces.iter().zip(bridges) {
            let (link, mac) = (&interface.lease.link, subnet::mac(interface.lease.address));
            batch.push(route::add_veth(link, *bridge, &interface.name, mac, namespace.as_fd()));
            batch.push(route::set_port(link));
            batch.push(route::up(link));
        }
        batch
    };
    let links: Vec<&str> = interfaces.iter().map(|interface| interface.lease.link.as_str()).collect();
    let first = host.send_all(add())?.into_iter().next();
    match first {
        None => Ok(()),
        // A run that was killed may have left links whose namespace the kernel has not taken down yet.
        Some(refusal) if refusal.errno == libc::EEXIST => {
            sweep::delete(host, &links)?;
            host.all_or_error(add()).inspect_err(|_| remove(host, &links))
        }
        Some(refusal) => {
            remove(host, &links);
            Err(refusal.into())
        }
    }
}

/// After a failure: the cause is what gets reported, and the links go with the namespace in any case.
fn remove(host: &Channel, links: &[&str]) {
    if let Err(error) = sweep::delete(host, links) {
        tracing::debug!(?links, %error, "links of a failed set-up go with their namespace");
    }
}

fn add_addresses(interfaces: &[Interface]) -> std::io::Result<()> {
    let inside = route::open()?;
    let mut batch = vec![route::up("lo")];
    for interface in interfaces {
        let Some(index) = route::index_of(&interface.name)? else {
            return Err(std::io::Error::other(format!("{} did not arrive in the namespace", interface.name)));
        };
        // Not with the pair itself: a veth without its peer refuses to come up (ENOTCONN).
        batch.push(route::up(&interface.name));
        batch.push(route::add_address(index, interface.lease.address, interface.lease.prefix));
        batch.push(route::up(&interface.name));
    }
    let gateway = interfaces.iter().find(|interface| interface.default_route).map(|interface| interface.lease.gateway);
    batch.extend(gateway.map(route::add_default_route));
    inside.all_or_error(batch)
}

/// Last, as the kernel has had its time by then. The bridge has no carrier before its first port has.
fn wait_until_up(host: &Channel, changes: &Listener, interfaces: &[Interface], bridges: &[u32]) -> std::io::Result<()> {
    let deadline = Instant::now() + LINK_PATIENCE;
    for (interface, bridge) in interfaces.iter().zip(bridges) {
        let link = route::find_link(host, &interface.lease.link)?;
        route::wait_until_up(host, changes, link, deadline)?;
        route::wait_until_up(host, changes, *bridge, deadline)?;
    }
    Ok(())
}

/// Once loopback is up: 127.0.0.11 is an address only then.
fn resolver_sockets() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let address = SocketAddrV4::new(RESOLVER, RESOLVER_PORT);
    let udp = UdpSocket::bind(address)?;
    udp.set_nonblocking(true)?;
    let tcp = TcpListener::bind(address)?;
    tcp.set_nonblocking(true)?;
    Ok((udp.into(), tcp.into()))
}

fn lead_to_resolver(later: &mut CloseLater) -> std::io::Result<()> {
    let to_resolver = |protocol| {
        Rule::new(
            [Match::Destination(Ipv4Net::from(RESOLVER)), Match::Port(protocol, 53)],
            Action::Dnat(SocketAddrV4::new(RESOLVER, RESOLVER_PORT)),
        )
    };
    let mut transaction = Transaction::default();
    transaction.create(&Table {
        family: Family::Ip,
        name: "muster-resolver".into(),
        sets: Vec::new(),
        chains: vec![Chain {
            name: "output",
            hook: Some(Hook { kind: Kind::Nat, point: Point::Output, priority: -100 }),
            rules: vec![to_resolver(Protocol::Udp), to_resolver(Protocol::Tcp)],
        }],
    });
    let channel = transaction::open()?;
    let result = transaction.commit(&channel);
    later.push(channel);
    result
}
