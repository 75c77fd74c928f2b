//! The record of a network: what it is, as long as it exists.

use super::{NetworkSpec, error::NetworkError};
use crate::{
    model::NetworkId,
    state::{Durability, Layout, record},
};
use indexmap::IndexMap;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Written before the bridge is made, removed after it is gone: a bridge that no record owns can be reclaimed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRecord {
    pub id: NetworkId,
    pub name: String,
    /// The project that made it; others may use it as external.
    pub project: String,
    pub internal: bool,
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
    #[serde(default)]
    pub ip_range: Option<Ipv4Net>,
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

/// Every bridge has this prefix; the host ends of veths have not (`mst` and a digit), so that a rule for `mst-*`
/// means bridges alone.
pub const BRIDGE_PREFIX: &str = "mst-";

impl NetworkRecord {
    pub(super) fn new(spec: &NetworkSpec, subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        Self {
            id: spec.id.clone(),
            name: spec.name.clone(),
            project: spec.project.clone(),
            internal: spec.internal,
            subnet,
            gateway,
            ip_range: spec.ip_range,
            labels: spec.labels.clone(),
        }
    }

    /// Twelve bytes, where IFNAMSIZ allows fifteen.
    pub fn bridge(&self) -> String {
        format!("{BRIDGE_PREFIX}{}", digits(self.id.as_str(), 8))
    }

    /// The host's end of the veth pair of a container on this network: fifteen bytes.
    pub fn link(&self, container: &str) -> String {
        format!("mst{}{}", digits(container, 8), digits(self.id.as_str(), 4))
    }
}

fn digits(id: &str, count: usize) -> &str {
    id.get(..count).unwrap_or(id)
}

/// A name becomes a file: it must not leave the directory, nor look like a temporary file of it.
pub(super) fn check_name(name: &str) -> Result<(), NetworkError> {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if starts && goes_on && name.len() <= 200 { Ok(()) } else { Err(NetworkError::BadName(name.to_owned())) }
}

pub(super) fn read(layout: &Layout, name: &str) -> Result<Option<NetworkRecord>, NetworkError> {
    check_name(name)?;
    Ok(record::read(&layout.network_record(name))?)
}

pub(super) fn write(layout: &Layout, network: &NetworkRecord) -> Result<(), NetworkError> {
    Ok(record::write(&layout.network_record(&network.name), network, Durability::Durable)?)
}

/// All of them, by name. One that cannot be read costs its own network, not all the others: it is left out and told in
/// the log.
pub(super) fn list(layout: &Layout) -> Result<Vec<NetworkRecord>, NetworkError> {
    let directory = layout.networks();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(NetworkError::File { verb: "read", path: directory, source }),
    };
    let mut networks: Vec<NetworkRecord> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| NetworkError::File { verb: "read", path: directory.clone(), source })?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            match record::read::<NetworkRecord>(&path) {
                Ok(network) => networks.extend(network),
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        for name in ["", "..", "../x", "a/b", ".tmp-x", "a b", &"x".repeat(201)] {
            assert!(matches!(read(&layout, name), Err(NetworkError::BadName(_))), "{name:?}");
        }
        assert_eq!(read(&layout, "shop_default").unwrap(), None);
    }

    #[test]
    fn a_damaged_record_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"));
        std::fs::create_dir_all(layout.networks()).unwrap();
        std::fs::write(layout.network_record("broken"), "{").unwrap();
        assert_eq!(list(&layout).unwrap(), []);
        assert!(read(&layout, "broken").unwrap_err().to_string().contains("broken.json is damaged"));
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        let network = NetworkRecord {
            id: NetworkId::new("0123456789abcdef".repeat(4)),
            name: "shop_default".into(),
            project: "shop".into(),
            internal: false,
            subnet: "10.180.0.0/24".parse().unwrap(),
            gateway: "10.180.0.1".parse().unwrap(),
            ip_range: None,
            labels: IndexMap::new(),
        };
        assert_eq!(network.bridge(), "mst-01234567");
        assert_eq!(network.link(&"fedcba98".repeat(8)), "mstfedcba980123");
        assert!(network.link(&"f".repeat(64)).len() < 16);
    }
}
