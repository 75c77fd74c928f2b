//! What can go wrong, with the object and the way out.

use crate::{model::Protocol, state::RecordError, sys};
use ipnet::Ipv4Net;
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Sys(#[from] sys::Error),
    #[error("cannot {what}: {source}")]
    Kernel { what: String, source: io::Error },
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{0:?} is no name for a network: letters, digits, `_`, `.` and `-`, a letter or digit first, at most 200")]
    BadName(String),
    #[error("network {0} does not exist")]
    Unknown(String),
    #[error("network {name} is in use by {}", containers.join(", "))]
    InUse { name: String, containers: Vec<String> },
    #[error("network {name}: subnet {subnet} overlaps with {with}. Choose another under ipam.config")]
    Overlap { name: String, subnet: Ipv4Net, with: String },
    #[error(
        "network {0}: no free subnet is left in muster's pool: the host has routes over all of it. \
         Give the network one of its own under ipam.config"
    )]
    PoolExhausted(String),
    #[error("network {name}: {what}")]
    BadSubnet { name: String, what: String },
    #[error("network {name} ({subnet}) has no free address left")]
    Full { name: String, subnet: Ipv4Net },
    #[error("network {network}: address {address} is held by container {holder}")]
    AddressTaken { network: String, address: Ipv4Addr, holder: String },
    #[error("network {network}: address {address} is not one that a container of {subnet} can have")]
    AddressOutside { network: String, address: Ipv4Addr, subnet: Ipv4Net },
    #[error("a network thread ended without an answer while it was to {0}")]
    ThreadLost(&'static str),
}

impl NetworkError {
    pub(super) fn kernel(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Kernel { what, source }
    }
}

/// Ports that cannot be had, all of them at once.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct PortConflicts(pub Vec<PortConflict>);

#[derive(Debug, PartialEq)]
pub struct PortConflict {
    pub host_ip: IpAddr,
    /// First and last port that was tried.
    pub ports: (u16, u16),
    pub protocol: Protocol,
    /// Why, where it is not another holder.
    pub reason: String,
    pub holder: Option<Holder>,
}

/// Who has the port.
#[derive(Clone, Debug, PartialEq)]
pub enum Holder {
    Container { name: String, project: String },
    Process { pid: i32, command: String },
}

impl fmt::Display for PortConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.host_ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let (first, last) = self.ports;
        write!(f, "port {address}:{first}")?;
        if last != first {
            write!(f, "-{last}")?;
        }
        write!(f, "/{} cannot be published: {}", self.protocol, self.reason)?;
        match &self.holder {
            Some(Holder::Container { name, project }) => write!(f, " by container {name} of project {project}"),
            Some(Holder::Process { pid, command }) => write!(f, " by {command} (pid {pid})"),
            None => Ok(()),
        }
    }
}
