//! Host ports, held by sockets as long as a container publishes them.
//!
//! Packets never reach these sockets: they are translated to the container before. The sockets make other programs'
//! bind(2) fail as they would for any server, and let the kernel choose free ports. A TCP one does not listen, so that
//! a connection that comes before the translation is there is refused rather than left hanging; a UDP one has the
//! smallest receive buffer there is.

use super::{
    error::{PortConflict, PortConflicts},
    holder,
};
use crate::{
    model::{PortRange, Protocol, PublishedPort},
    state::{Layout, records::BoundPort},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

/// A host port that is ours while the descriptor is open.
#[derive(Debug)]
pub struct Reservation {
    pub fd: OwnedFd,
    pub port: BoundPort,
}

/// All that are wanted, or every conflict and none. Answers in the order of the question.
pub fn reserve(layout: &Layout, wanted: &[PublishedPort]) -> Result<Vec<Reservation>, PortConflicts> {
    let mut held: Vec<Reservation> = Vec::new();
    let mut conflicts = Vec::new();
    for port in wanted {
        match reserve_one(layout, port, &held) {
            Ok(reservation) => held.push(reservation),
            Err(conflict) => conflicts.push(conflict),
        }
    }
    if conflicts.is_empty() { Ok(held) } else { Err(PortConflicts(conflicts)) }
}

fn reserve_one(layout: &Layout, port: &PublishedPort, held: &[Reservation]) -> Result<Reservation, PortConflict> {
    let range = port.published.unwrap_or(PortRange { first: 0, last: 0 });
    let conflict = |reason: String, holder| PortConflict {
        host_ip: port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ports: (range.first, range.last),
        protocol: port.protocol,
        reason,
        holder,
    };
    let host_ip = match port.host_ip {
        None => Ipv4Addr::UNSPECIFIED,
        Some(IpAddr::V4(ip)) => ip,
        Some(IpAddr::V6(_)) => return Err(conflict("containers have no IPv6 here, give an IPv4 address".into(), None)),
    };
    let mut last_errno = Errno::ADDRINUSE;
    for number in range.first..=range.last {
        match hold(host_ip, number, port.protocol) {
            Ok((fd, host_port)) => {
                let host_ip = IpAddr::V4(host_ip);
                let port = BoundPort { host_ip, host_port, target: port.target, protocol: port.protocol };
                return Ok(Reservation { fd, port });
            }
            Err(Errno::ADDRINUSE) => {}
            Err(errno) => {
                last_errno = errno;
                break;
            }
        }
    }
    Err(match last_errno {
        Errno::ADDRINUSE if range.first != range.last => conflict("all of them are taken".into(), None),
        Errno::ADDRINUSE => {
            if held.iter().any(|other| same(&other.port, host_ip, range.first, port.protocol)) {
                return Err(conflict("the project publishes it more than once".into(), None));
            }
            let holder = holder::find(layout, host_ip, range.first, port.protocol);
            let reason = if holder.is_some() { "it is held" } else { "it is held by another program" };
            conflict(reason.into(), holder)
        }
        Errno::ADDRNOTAVAIL => conflict(format!("{host_ip} is not an address of this host"), None),
        errno => conflict(std::io::Error::from(errno).to_string(), None),
    })
}

fn same(port: &BoundPort, host_ip: Ipv4Addr, number: u16, protocol: Protocol) -> bool {
    port.host_port == number
        && port.protocol == protocol
        && (port.host_ip == IpAddr::V4(host_ip) || port.host_ip.is_unspecified() || host_ip.is_unspecified())
}

fn hold(host_ip: Ipv4Addr, port: u16, protocol: Protocol) -> Result<(OwnedFd, u16), Errno> {
    let address = SocketAddrV4::new(host_ip, port);
    let socket = match protocol {
        Protocol::Udp => bound(SocketType::DGRAM, address, false)?,
        // The second try gets past connections in TIME_WAIT of a server that is gone; one that listens is in its way
        // all the same. The option is taken back so that nobody else gets past us.
        Protocol::Tcp => bound(SocketType::STREAM, address, false)
            .or_else(|errno| match errno {
                Errno::ADDRINUSE => bound(SocketType::STREAM, address, true),
                other => Err(other),
            })
            .and_then(|socket| {
                sockopt::set_socket_reuseaddr(&socket, false)?;
                Ok(socket)
            })?,
    };
    if protocol == Protocol::Udp {
        sockopt::set_socket_recv_buffer_size(&socket, 0)?;
    }
    let bound: SocketAddrV4 = getsockname(&socket)?.try_into()?;
    Ok((socket, bound.port()))
}

fn bound(kind: SocketType, address: SocketAddrV4, reuse: bool) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, reuse)?;
    bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        (dir, layout)
    }
    fn loopback(published: Option<PortRange>, protocol: Protocol) -> PublishedPort {
        PublishedPort { target: 80, protocol, published, host_ip: Some(Ipv4Addr::LOCALHOST.into()) }
    }
    fn exactly(port: u16) -> Option<PortRange> {
        Some(PortRange { first: port, last: port })
    }

    #[test]
    fn a_held_port_is_refused_to_servers() {
        let (_dir, layout) = layout();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let held = reserve(&layout, &[loopback(None, protocol)]).unwrap();
            let port = held[0].port.host_port;
            assert_ne!(port, 0);
            for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
                match protocol {
                    Protocol::Tcp => assert!(std::net::TcpListener::bind((address, port)).is_err()),
                    Protocol::Udp => assert!(std::net::UdpSocket::bind((address, port)).is_err()),
                }
            }
            drop(held);
            assert!(reserve(&layout, &[loopback(exactly(port), protocol)]).is_ok());
        }
    }

    #[test]
    fn a_server_that_has_the_port_is_named() {
        let (_dir, layout) = layout();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let conflict = reserve(&layout, &[loopback(exactly(port), Protocol::Tcp)]).unwrap_err();
        let text = conflict.to_string();
        let own = format!("(pid {})", std::process::id());
        assert!(text.starts_with(&format!("port 127.0.0.1:{port}/tcp cannot be published: it is held by ")), "{text}");
        assert!(text.ends_with(&own), "{text}");
    }

    #[test]
    fn every_conflict_is_told_and_nothing_is_held_then() {
        let (_dir, layout) = layout();
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = server.local_addr().unwrap().port();
        let free = reserve(&layout, &[loopback(None, Protocol::Tcp)]).unwrap().remove(0).port.host_port;
        let foreign =
            PublishedPort { host_ip: Some("192.0.2.77".parse().unwrap()), ..loopback(exactly(free), Protocol::Tcp) };
        let error = reserve(
            &layout,
            &[
                loopback(exactly(free), Protocol::Tcp),
                loopback(exactly(free), Protocol::Tcp),
                loopback(exactly(taken), Protocol::Udp),
                foreign,
            ],
        )
        .unwrap_err();
        let text = error.to_string();
        assert_eq!(error.0.len(), 3, "{text}");
        assert!(text.contains("publishes it more than once"), "{text}");
        assert!(text.contains("192.0.2.77 is not an address of this host"), "{text}");
        assert!(std::net::TcpListener::bind(("127.0.0.1", free)).is_ok());
    }

    #[test]
    fn a_range_gives_the_first_that_is_free() {
        let (_dir, layout) = layout();
        let range = Some(PortRange { first: 28_710, last: 28_719 });
        let ports = reserve(&layout, &[loopback(range, Protocol::Tcp), loopback(range, Protocol::Tcp)]).unwrap();
        assert!(ports[0].port.host_port < ports[1].port.host_port);
        assert!(ports[1].port.host_port <= 28_719);
    }

    #[test]
    fn connections_in_time_wait_are_not_in_the_way() {
        let (_dir, layout) = layout();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        // The side that closes first keeps the port in TIME_WAIT.
        drop(server.accept().unwrap());
        drop(client);
        drop(server);
        assert!(reserve(&layout, &[loopback(exactly(address.port()), Protocol::Tcp)]).is_ok());
    }
}
