//! Networks, and how services join them.

use super::{
    forms::{FilledMap, Flag, List, Map, Named, Nullable, Pairs, PlainNumber, Strings, Text, TextOrNumber, section},
    volume::External,
};
use schemars::{JsonSchema, Schema};

/// A network; nothing at all for one with the defaults.
#[derive(JsonSchema)]
#[schemars(transform = section, transform = nullable)]
pub struct Network {
    /// Name in the engine. Default: made of project and key.
    pub name: Text,
    /// Driver of the network. Default: `bridge`.
    pub driver: Text,
    /// Options of the driver.
    pub driver_opts: Map<TextOrNumber>,
    /// How addresses are given out.
    pub ipam: Ipam,
    /// It is there already, and is neither created nor removed.
    pub external: External,
    /// There is no way out of the network. Default: false.
    pub internal: Flag,
    /// Containers that are no part of a service can join, in a swarm. Default: false.
    pub attachable: Flag,
    /// Labels of the network.
    pub labels: Pairs,
    /// Give out IPv4 addresses. Default: true.
    pub enable_ipv4: Flag,
    /// Give out IPv6 addresses. Default: false.
    pub enable_ipv6: Flag,
}

/// A section that may be empty: `default:`.
pub fn nullable(schema: &mut Schema) {
    schema.insert("type".into(), serde_json::json!(["object", "null"]));
}

/// How addresses are given out.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Ipam {
    /// Driver that gives them out. Default: the one of the engine.
    pub driver: Text,
    /// Subnets. Default: one that is free.
    pub config: List<Pool>,
    /// Options of the driver.
    pub options: FilledMap<Text>,
}

/// A subnet.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Pool {
    /// The subnet, such as `172.28.0.0/16`.
    pub subnet: Text,
    /// Address of the gateway. Default: the first one.
    pub gateway: Text,
    /// Part of the subnet that addresses of containers are taken from. Default: all of it.
    pub ip_range: Text,
    /// Addresses, by host name, that are taken already.
    pub aux_addresses: FilledMap<Text>,
}

/// Networks that a service joins.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Attachments {
    /// Their names.
    Names(Strings),
    /// Their names, and what the service is there.
    Long(Named<Nullable<Attachment>>),
}

/// What a service is in a network.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct Attachment {
    /// More names of the service in this network.
    pub aliases: Strings,
    /// Options of the driver for this attachment.
    pub driver_opts: Map<TextOrNumber>,
    /// The network with the highest number is the default route.
    pub gw_priority: PlainNumber,
    /// Name of the interface in the container.
    pub interface_name: Text,
    /// Fixed IPv4 address, from a subnet of the network.
    pub ipv4_address: Text,
    /// Fixed IPv6 address, from a subnet of the network.
    pub ipv6_address: Text,
    /// Link-local addresses in addition.
    pub link_local_ips: Strings,
    /// Hardware address of the interface.
    pub mac_address: Text,
    /// Networks are joined in the order of this number, the highest first.
    pub priority: PlainNumber,
}
