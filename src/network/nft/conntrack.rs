//! Connections that still lead to where a published port led before.
//!
//! A destination is translated when a connection is first seen and remembered as long as packets flow. A UDP client
//! that keeps its port would go on talking to the old container for ever, a TCP client would wait for an address that
//! nobody has. With its entry gone the next packet is translated anew: UDP reaches the new container, TCP is reset.

use crate::{model::Protocol, network::firewall::Publication, network::netlink::Channel};
use netlink_packet_core::NetlinkMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Tuple},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

/// Forgets every connection to a published port that was not translated to its present target. `local` are the host's
/// addresses: what merely passes through the host to such a port elsewhere is none of ours.
pub fn forget_stale(channel: &Channel, publications: &[Publication], local: &[Ipv4Addr]) -> io::Result<usize> {
    if publications.is_empty() {
        return Ok(0);
    }
    let mut stale = Vec::new();
    channel.dump_raw(message(ConntrackMessage::Get(Vec::new())), |bytes| {
        // An entry of a kind that the decoder does not know is nobody's published port.
        if let Ok(decoded) = NetlinkMessage::<NetfilterMessage>::deserialize(bytes)
            && let netlink_packet_core::NetlinkPayload::InnerMessage(inner) = decoded.payload
            && let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = inner.inner
        {
            stale.extend(stale_tuple(attributes, publications, local));
        }
        Ok(())
    })?;
    let count = stale.len();
    let batch = stale
        .into_iter()
        .map(|tuple| message(ConntrackMessage::Delete(vec![ConntrackAttribute::CtaTupleOrig(tuple)])))
        .collect();
    match channel.send_all(batch)?.into_iter().find(|refusal| refusal.errno != libc::ENOENT) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(count),
    }
}

fn message(inner: ConntrackMessage) -> NetlinkMessage<NetfilterMessage> {
    NetlinkMessage::from(NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0), inner))
}

/// The original direction of the entry, where it is one to forget.
fn stale_tuple(
    attributes: Vec<ConntrackAttribute>,
    publications: &[Publication],
    local: &[Ipv4Addr],
) -> Option<Vec<Tuple>> {
    let (mut original, mut reply) = (None, None);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => original = Some(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => reply = Some(tuple),
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    let (asked, answered) = (Direction::of(&original)?, Direction::of(&reply)?);
    if !asked.destination.is_loopback() && !local.contains(&asked.destination) {
        return None;
    }
    let stale = publications.iter().any(|publication| {
        asked.protocol == publication.protocol
            && asked.destination_port == publication.host_port
            && publication.host_ip.is_none_or(|ip| ip == asked.destination)
            && (answered.source, answered.source_port) != (*publication.target.ip(), publication.target.port())
    });
    stale.then_some(original)
}

struct Direction {
    protocol: Protocol,
    source: Ipv4Addr,
    source_port: u16,
    destination: Ipv4Addr,
    destination_port: u16,
}

impl Direction {
    fn of(tuple: &[Tuple]) -> Option<Self> {
        let (mut source, mut destination, mut protocol) = (None, None, None);
        let (mut source_port, mut destination_port) = (None, None);
        for part in tuple {
            match part {
                Tuple::Ip(ip) => {
                    for one in ip {
                        match one {
                            IPTuple::SourceAddress(IpAddr::V4(ip)) => source = Some(*ip),
                            IPTuple::DestinationAddress(IpAddr::V4(ip)) => destination = Some(*ip),
                            _ => {}
                        }
                    }
                }
                Tuple::Proto(proto) => {
                    for one in proto {
                        match one {
                            ProtoTuple::Protocol(number) => protocol = known(u8::from(*number)),
                            ProtoTuple::SourcePort(port) => source_port = Some(*port),
                            ProtoTuple::DestinationPort(port) => destination_port = Some(*port),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Self {
            protocol: protocol?,
            source: source?,
            source_port: source_port?,
            destination: destination?,
            destination_port: destination_port?,
        })
    }
}

fn known(number: u8) -> Option<Protocol> {
    match number {
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        _ => None,
    }
}
