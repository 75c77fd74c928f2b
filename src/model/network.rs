//! Networks, and how a service joins one.

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A top-level network; always a bridge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Real name: `<project>_<key>`, or what `name:` says.
    pub name: String,
    /// Made by somebody else: never created, never removed.
    pub external: bool,
    /// No way out of the network but between its members.
    pub internal: bool,
    #[serde(default)]
    pub ipam: Option<Ipam>,
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ipam {
    pub subnet: Ipv4Net,
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    #[serde(default)]
    pub ip_range: Option<Ipv4Net>,
}

/// One service on one network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    pub aliases: Vec<String>,
    pub ipv4_address: Option<Ipv4Addr>,
    /// Highest first; the first one carries the default route.
    pub priority: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// The host's own network namespace.
    Host,
    /// Loopback only.
    None,
}
