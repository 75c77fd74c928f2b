//! Bridge networks of one host: bridges, addresses, container network namespaces, packet filter, published ports.
//!
//! ```text
//! ensure(network)            record, bridge with the gateway's address
//! lease(container)           an address of a network, kept until `release`
//! reserve(ports)             host ports held by sockets, all or none
//! apply(firewall)            one nftables transaction for the whole project
//! prepare(endpoint)          network namespace, veths, addresses, routes, resolver sockets -> descriptors
//! teardown(container)        its links go, many containers in one kernel operation
//! remove(network)
//! ```
//!
//! Knows nothing of Compose, of how a container runs, and of names (`dns` answers those). It never reads rules to
//! find out what it did itself; it reads other programs' rules only to get packets past their drops.

mod bridge;
mod engine;
mod error;
mod firewall;
mod holder;
mod lease;
mod netlink;
mod nft;
mod ports;
mod record;
mod route;
mod sandbox;
mod spec;
mod subnet;
mod sweep;
mod thread;

pub use engine::Networks;
pub use error::{Holder, NetworkError, PortConflict, PortConflicts};
pub use firewall::{FirewallNetwork, FirewallSpec, GuardedPort, Publication, Repaired};
pub use nft::watch::FirewallWatch;
pub use ports::Reservation;
pub use record::NetworkRecord;
pub use sandbox::{Interface, Sandbox};
pub use spec::{EndpointSpec, Lease, LeaseRequest, NetworkSpec, Peer};
