//! Published ports.

use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// One container port and the host ports that may lead to it. Ranges of equal length are already split into pairs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    pub target: u16,
    pub protocol: Protocol,
    /// `None`: any free port.
    pub published: Option<PortRange>,
    /// `None`: every address of the host.
    pub host_ip: Option<IpAddr>,
}

/// Inclusive. More than one port: take one that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
