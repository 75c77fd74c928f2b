//! Ports that are published on the host.

use super::forms::{Integer, PlainNumber, Text, TextOrInteger, section};
use schemars::JsonSchema;

/// A port to publish.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Port {
    /// Port of the container; the one of the host is any that is free.
    Number(PlainNumber),
    /// `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, where ports may be ranges.
    Short(Text),
    Long(PortLong),
}

/// A port to publish, attribute by attribute.
#[derive(JsonSchema)]
#[schemars(transform = section)]
pub struct PortLong {
    /// What the port is for.
    pub name: Text,
    /// `host` or `ingress`, which are the same on one host. Default: `ingress`.
    pub mode: Text,
    /// Address of the host to listen on. Default: all.
    pub host_ip: Text,
    /// Port of the container.
    pub target: Integer,
    /// Port of the host, or a range to take a free one from. Default: any that is free.
    pub published: TextOrInteger,
    /// `tcp`, `udp` or `sctp`. Default: `tcp`.
    pub protocol: Text,
    /// Protocol of the application, such as `http`, for information.
    pub app_protocol: Text,
}
