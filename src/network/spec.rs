//! What the engine is asked for. Plain data: `specgen` makes it, `reconcile` hands it over.

use crate::model::{ContainerId, NetworkId};
use indexmap::IndexMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A network that is to exist.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// Used when the network has to be made; one that exists keeps its own.
    pub id: NetworkId,
    /// Real name, `<project>_<key>` or what `name:` says.
    pub name: String,
    /// The project that makes it.
    pub project: String,
    pub internal: bool,
    /// `None`: a free one of the pool.
    pub subnet: Option<Ipv4Net>,
    /// `None`: the first address of the subnet.
    pub gateway: Option<Ipv4Addr>,
    /// Addresses are leased from it; `None`: from the whole subnet.
    pub ip_range: Option<Ipv4Net>,
    pub labels: IndexMap<String, String>,
}

/// What a container wants of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaseRequest {
    /// `ipv4_address`: this one or an error.
    pub wanted: Option<Ipv4Addr>,
    /// What it had before: taken again when it is free.
    pub preferred: Option<Ipv4Addr>,
    /// The names it has on this network. Kept beside the lease, so that the resolver of another project on the same
    /// network finds them.
    pub names: Vec<String>,
}

/// An address that a container holds on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Real name of the network.
    pub network: String,
    pub network_id: NetworkId,
    pub bridge: String,
    pub internal: bool,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
    /// `02:42:` and the address: an address that changes hands keeps its MAC, so that no ARP cache is wrong.
    pub mac: String,
    /// The host's end of the veth pair.
    pub link: String,
}

/// Somebody on a network, as every project sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub container: ContainerId,
    pub address: Ipv4Addr,
    pub names: Vec<String>,
}

/// A container's whole network.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    pub container: ContainerId,
    /// In the order of `eth0`, `eth1` ...; the first that is not internal carries the default route.
    pub leases: Vec<Lease>,
}
