//! Fixed addresses: they need a subnet of the network's own, and no two containers can have one.

use super::Checked;
use crate::compose::diagnostics::Diagnostic;
use std::{collections::HashMap, net::Ipv4Addr};

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    let mut taken: HashMap<(&str, Ipv4Addr), &str> = HashMap::new();
    for (name, service) in &checked.draft.services {
        for (key, attachment) in &service.networks {
            let Some(address) = attachment.ipv4_address else { continue };
            let path = |service| ["services", service, "networks", key.as_str(), "ipv4_address"];
            let place = checked.root.place(&path(name));
            findings.extend(unusable(checked, key, address).map(|message| Diagnostic::error(message).at(place)));
            if service.scale > 1 {
                let message = format!("service \"{name}\" runs {} times, but {address} is one", service.scale);
                findings.push(Diagnostic::error(message).at(place));
            }
            if let Some(other) = taken.insert((key, address), name) {
                let message = format!("the services \"{other}\" and \"{name}\" both want {address} on \"{key}\"");
                let first = checked.root.place(&path(other));
                findings.push(Diagnostic::error(message).at(place).because(first, "first here"));
            }
        }
    }
}

fn unusable(checked: &Checked<'_>, key: &str, address: Ipv4Addr) -> Option<String> {
    let network = checked.draft.networks.get(key)?;
    let Some(ipam) = &network.ipam else {
        let needs = format!("{address} needs a subnet: declare networks.{key}.ipam.config");
        return Some(needs).filter(|_| !network.external);
    };
    if !ipam.subnet.contains(&address) {
        return Some(format!("{address} is outside of {}, the subnet of the network \"{key}\"", ipam.subnet));
    }
    if address == ipam.subnet.network() || address == ipam.subnet.broadcast() {
        return Some(format!("{address} is no address for a container of {}", ipam.subnet));
    }
    if ipam.gateway == Some(address) {
        return Some(format!("{address} is the gateway of the network \"{key}\""));
    }
    None
}
