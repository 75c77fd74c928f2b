//! Links, addresses and routes: the messages, as `rtnetlink` builds them, and the few operations made of them.

use super::netlink::{Channel, Listener, attributes};
use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NetlinkMessage};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsRawFd, BorrowedFd},
    time::Instant,
};

pub type Message = NetlinkMessage<RouteNetlinkMessage>;

/// A route socket of the calling thread's network namespace.
pub fn open() -> io::Result<Channel> {
    Channel::open(NETLINK_ROUTE)
}

/// Index of an interface of the calling thread's network namespace; `None` where there is none of that name.
pub fn index_of(name: &str) -> io::Result<Option<u32>> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    match rustix::net::netdevice::name_to_index(&socket, name) {
        Ok(index) => Ok(Some(index)),
        Err(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The same, in the namespace of the channel.
pub fn find_link(channel: &Channel, name: &str) -> io::Result<u32> {
    let link = LinkUnspec::new_with_name(name).build();
    let mut index = None;
    channel.get_raw(NetlinkMessage::from(RouteNetlinkMessage::GetLink(link)), |message| {
        // ifi_index
        index = message.get(20..24).and_then(|four| four.try_into().ok()).map(u32::from_ne_bytes);
        Ok(())
    })?;
    index.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A bridge that is down yet. Its MAC is given, so that it does not follow the ports that come and go.
pub fn add_bridge(name: &str, mac: [u8; 6]) -> Message {
    let link = LinkMessageBuilder::<LinkBridge>::new(name).address(mac.to_vec()).down().build();
    create(RouteNetlinkMessage::NewLink(link))
}

/// A veth pair: the host's end under the bridge, the other end already inside the namespace, with its name and MAC.
/// Both are down: the kernel opens no end of a pair that is not whole (ENOTCONN).
pub fn add_veth(host: &str, bridge: u32, inside: &str, mac: [u8; 6], namespace: BorrowedFd<'_>) -> Message {
    let peer = LinkUnspec::new_with_name(inside).address(mac.to_vec()).setns_by_fd(namespace.as_raw_fd()).build();
    let pair = LinkMessageBuilder::<LinkVeth>::new(host, inside)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .controller(bridge)
        .build();
    create(RouteNetlinkMessage::NewLink(pair))
}

/// The settings of a bridge port, before it is up: the kernel handles the flags of a message before these.
///
/// No link-local address: duplicate address detection would only send frames to the container. Hairpin, because with
/// br_netfilter a container that asks for its own published port is translated within the bridge, which does not send
/// a frame back where it came from otherwise.
pub fn set_port(name: &str) -> Message {
    let none = vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)])];
    let link = LinkBridgePort::new(0)
        .name(name.to_owned())
        .hairpin(true)
        .append_extra_attribute(LinkAttribute::AfSpecUnspec(none))
        .build();
    NetlinkMessage::from(RouteNetlinkMessage::NewLink(link))
}

pub fn up(name: &str) -> Message {
    let link = LinkUnspec::new_with_name(name).up().build();
    NetlinkMessage::from(RouteNetlinkMessage::SetLink(link))
}

/// Idempotent: an address that is there already is no error.
pub fn add_address(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let address = AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, prefix).build();
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewAddress(address));
    message.header.flags = NLM_F_CREATE | NLM_F_REPLACE;
    message
}

pub fn add_default_route(gateway: Ipv4Addr) -> Message {
    create(RouteNetlinkMessage::NewRoute(RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build()))
}

pub fn set_group(name: &str, group: u32) -> Message {
    let link = LinkUnspec::new_with_name(name).link_group(group).build();
    NetlinkMessage::from(RouteNetlinkMessage::SetLink(link))
}

/// Deletes every link of a group at once: the kernel then waits for one RCU grace period instead of one a link.
pub fn delete_group(group: u32) -> Message {
    let link = LinkMessageBuilder::<LinkUnspec>::new().link_group(group).build();
    NetlinkMessage::from(RouteNetlinkMessage::DelLink(link))
}

fn create(message: RouteNetlinkMessage) -> Message {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_CREATE | NLM_F_EXCL;
    message
}

/// RTNLGRP_LINK
const LINK_CHANGES: u32 = 1;

/// Hears of every change of a link of the calling thread's network namespace.
pub fn listen() -> io::Result<Listener> {
    Listener::open(NETLINK_ROUTE, LINK_CHANGES)
}

/// Waits until packets pass a link.
///
/// A link whose other end comes up has its carrier at once, but the kernel activates its queue, and the bridge its
/// port, in a work queue that waits for the RTNL lock; packets are dropped until then, and the first of a TCP
/// connection is sent again after a second. Since Linux 6.8 the question alone settles it (linkwatch_sync_dev); before,
/// the change is told.
pub fn wait_until_up(channel: &Channel, changes: &Listener, index: u32, deadline: Instant) -> io::Result<()> {
    while !is_operational(channel, index)? {
        if !changes.wait(deadline)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a link did not come up"));
        }
    }
    Ok(())
}

/// nlmsghdr and ifinfomsg come before the attributes; IFLA_OPERSTATE is 16, IF_OPER_UP 6.
fn is_operational(channel: &Channel, index: u32) -> io::Result<bool> {
    let link = LinkUnspec::new_with_index(index).build();
    let mut up = false;
    channel.get_raw(NetlinkMessage::from(RouteNetlinkMessage::GetLink(link)), |message| {
        up |= attributes(message.get(32..).unwrap_or_default()).any(|(kind, value)| kind == 16 && value == [6]);
        Ok(())
    })?;
    Ok(up)
}

/// A range of addresses that the host uses, and what a person would call it.
pub struct HostRange {
    pub net: Ipv4Net,
    pub what: String,
}

/// Every route of every table, and every address, but default routes and what belongs to `own` (a bridge).
pub fn host_ranges(channel: &Channel, own: Option<u32>) -> io::Result<Vec<HostRange>> {
    let mut ranges = Vec::new();
    let mut all = RouteMessage::default();
    all.header.address_family = AddressFamily::Inet;
    for message in channel.dump(NetlinkMessage::from(RouteNetlinkMessage::GetRoute(all)))? {
        let RouteNetlinkMessage::NewRoute(route) = message else { continue };
        ranges.extend(range_of_route(&route, own));
    }
    for (index, ip, prefix) in addresses(channel)? {
        if own != Some(index)
            && let Ok(net) = Ipv4Net::new(ip, prefix)
        {
            ranges.push(HostRange { net: net.trunc(), what: format!("the host's address {net}") });
        }
    }
    Ok(ranges)
}

/// The host's IPv4 addresses: index of the interface, address, prefix length.
pub fn addresses(channel: &Channel) -> io::Result<Vec<(u32, Ipv4Addr, u8)>> {
    let mut all = AddressMessage::default();
    all.header.family = AddressFamily::Inet;
    let mut found = Vec::new();
    for message in channel.dump(NetlinkMessage::from(RouteNetlinkMessage::GetAddress(all)))? {
        let RouteNetlinkMessage::NewAddress(address) = message else { continue };
        // IFA_LOCAL is the host's own; IFA_ADDRESS is the other end on point-to-point links.
        let mut ip = None;
        for attribute in &address.attributes {
            match attribute {
                AddressAttribute::Local(IpAddr::V4(own)) => ip = Some(*own),
                AddressAttribute::Address(IpAddr::V4(other)) if ip.is_none() => ip = Some(*other),
                _ => {}
            }
        }
        found.extend(ip.map(|ip| (address.header.index, ip, address.header.prefix_len)));
    }
    Ok(found)
}

fn range_of_route(route: &RouteMessage, own: Option<u32>) -> Option<HostRange> {
    let prefix = route.header.destination_prefix_length;
    let kind = route.header.kind;
    if prefix == 0 || kind == RouteType::Broadcast || kind == RouteType::Multicast {
        return None;
    }
    let mut destination = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => destination = Some(*ip),
            RouteAttribute::Oif(index) if Some(*index) == own => return None,
            _ => {}
        }
    }
    let net = Ipv4Net::new(destination?, prefix).ok()?.trunc();
    Some(HostRange { net, what: format!("the host's route to {net}") })
}

/// Names of the links under a bridge.
pub fn ports_of(channel: &Channel, bridge: u32) -> io::Result<Vec<String>> {
    let all = NetlinkMessage::from(RouteNetlinkMessage::GetLink(LinkMessage::default()));
    let mut ports = Vec::new();
    for message in channel.dump(all)? {
        let RouteNetlinkMessage::NewLink(link) = message else { continue };
        let mut under = false;
        let mut own_name = None;
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::Controller(index) => under = index == bridge,
                LinkAttribute::IfName(name) => own_name = Some(name),
                _ => {}
            }
        }
        if under {
            ports.extend(own_name);
        }
    }
    Ok(ports)
}
