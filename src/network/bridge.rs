//! The bridge of a network, and what the host has to allow for it.

use super::{error::NetworkError, record::NetworkRecord, route, subnet};
use std::{fs, io, path::PathBuf};

/// Makes the bridge of a recorded network where it is missing, also after a reboot. What is there already is left, so
/// that it can be called again at any time.
pub fn ensure(network: &NetworkRecord) -> Result<(), NetworkError> {
    let bridge = network.bridge();
    let failed = |what: &str| NetworkError::kernel(format!("{what} bridge {bridge} of network {}", network.name));
    let channel = route::open().map_err(failed("open netlink for"))?;
    if route::index_of(&bridge).map_err(failed("look for"))?.is_none() {
        let refusals =
            channel.send_all(vec![route::add_bridge(&bridge, subnet::mac(network.gateway))]).map_err(failed("add"))?;
        if let Some(refusal) = refusals.into_iter().find(|refusal| refusal.errno != libc::EEXIST) {
            return Err(failed("add")(refusal.into()));
        }
    }
    let index = route::index_of(&bridge).map_err(failed("look for"))?.ok_or_else(|| {
        failed("look for")(io::Error::new(io::ErrorKind::NotFound, "it went away while it was being made"))
    })?;
    // Before it is up: no IPv6 on it, so neither router advertisements (CVE-2020-13401) nor link-local addresses.
    sysctl_if_there(&format!("net/ipv6/conf/{bridge}/disable_ipv6"), "1")?;
    // Lets 127.0.0.1 of the host lead to a container; `firewall` keeps the wire out of it (CVE-2020-8558).
    sysctl(&format!("net/ipv4/conf/{bridge}/route_localnet"), "1")?;
    channel
        .all_or_error(vec![route::add_address(index, network.gateway, network.subnet.prefix_len()), route::up(&bridge)])
        .map_err(failed("set up"))?;
    if !network.internal {
        forwarding()?;
    }
    Ok(())
}

/// Only written when it is off: the write resets other settings of every interface (ip-sysctl, `ip_forward`).
fn forwarding() -> Result<(), NetworkError> {
    let path = "/proc/sys/net/ipv4/ip_forward";
    match fs::read_to_string(path) {
        Ok(value) if value.trim() == "1" => Ok(()),
        _ => sysctl("net/ipv4/ip_forward", "1"),
    }
}

/// /proc/sys/net shows the network namespace of the thread that opens it.
pub fn sysctl(name: &str, value: &str) -> Result<(), NetworkError> {
    let path = PathBuf::from("/proc/sys").join(name);
    fs::write(&path, value).map_err(|source| NetworkError::File { verb: "set", path, source })
}

/// For what a kernel may be built without.
pub fn sysctl_if_there(name: &str, value: &str) -> Result<(), NetworkError> {
    match sysctl(name, value) {
        Err(NetworkError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
