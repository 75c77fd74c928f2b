//! Top-level networks and volumes, and how a service joins a network.

use super::{
    At, Decoder,
    Field::{self, Later, Read, Without},
    root::is_object_name,
};
use crate::{
    compose::tree::Kind,
    model::{Attachment, Ipam, Network, Volume},
};
use indexmap::IndexMap;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

pub const NETWORK: &[Field<Network>] = &[
    Read("name", |d, at, n| n.name = d.object_name(at).unwrap_or_default()),
    Read("driver", |d, at, _| match d.text(at).as_deref() {
        Some("bridge" | "default" | "") | None => {}
        Some(other) => d.later(at, format!("the driver \"{other}\"")),
    }),
    Later("driver_opts"),
    Read("ipam", |d, at, n| {
        d.section(at, IPAM, &mut n.ipam);
    }),
    Read("external", |d, at, n| n.external = d.boolean(at).unwrap_or(false)),
    Read("internal", |d, at, n| n.internal = d.boolean(at).unwrap_or(false)),
    Read("enable_ipv4", |d, at, _| {
        if d.boolean(at) == Some(false) {
            d.later(at, "a network without IPv4");
        }
    }),
    Read("enable_ipv6", |d, at, _| {
        if d.boolean(at) == Some(true) {
            d.later(at, "IPv6");
        }
    }),
    Without("attachable", "only Swarm attaches containers of other projects"),
    Read("labels", |d, at, n| n.labels = d.labels(at)),
];

const IPAM: &[Field<Option<Ipam>>] = &[
    Read("driver", |d, at, _| match d.text(at).as_deref() {
        Some("default" | "") | None => {}
        Some(other) => d.later(at, format!("the driver \"{other}\"")),
    }),
    Read("config", |d, at, ipam| *ipam = d.pools(at)),
    Later("options"),
];

#[derive(Default)]
struct Pool {
    subnet: Option<Ipv4Net>,
    gateway: Option<Ipv4Addr>,
    ip_range: Option<Ipv4Net>,
}

const POOL: &[Field<Pool>] = &[
    Read("subnet", |d, at, pool| pool.subnet = d.subnet(at)),
    Read("gateway", |d, at, pool| pool.gateway = d.ipv4(at)),
    Read("ip_range", |d, at, pool| pool.ip_range = d.subnet(at)),
    Later("aux_addresses"),
];

pub const VOLUME: &[Field<Volume>] = &[
    Read("name", |d, at, v| v.name = d.object_name(at).unwrap_or_default()),
    Read("driver", |d, at, _| match d.text(at).as_deref() {
        Some("local" | "") | None => {}
        Some(other) => d.later(at, format!("the driver \"{other}\"")),
    }),
    Later("driver_opts"),
    Read("external", |d, at, v| v.external = d.boolean(at).unwrap_or(false)),
    Read("labels", |d, at, v| v.labels = d.labels(at)),
];

pub const ATTACHMENT: &[Field<Attachment>] = &[
    Read("aliases", |d, at, a| a.aliases = d.strings(at)),
    Later("driver_opts"),
    Later("gw_priority"),
    Later("interface_name"),
    Read("ipv4_address", |d, at, a| a.ipv4_address = d.ipv4(at)),
    Later("ipv6_address"),
    Later("link_local_ips"),
    Later("mac_address"),
    Read("priority", |d, at, a| {
        let priority = d.integer(at, i64::from(i32::MIN)..=i64::from(i32::MAX));
        a.priority = priority.and_then(|p| i32::try_from(p).ok()).unwrap_or_default();
    }),
];

impl Decoder<'_> {
    pub fn network(&mut self, at: &At<'_>) -> Network {
        let mut network = Network::default();
        if !at.node.is_null() {
            self.section(at, NETWORK, &mut network);
        }
        network
    }

    pub fn volume(&mut self, at: &At<'_>) -> Volume {
        let mut volume = Volume::default();
        if !at.node.is_null() {
            self.section(at, VOLUME, &mut volume);
        }
        volume
    }

    fn object_name(&mut self, at: &At<'_>) -> Option<String> {
        let name = self.filled(at)?;
        if is_object_name(&name) {
            return Some(name);
        }
        let help = "names start with a letter or digit, and go on with letters, digits, `_`, `.` and `-`";
        self.error_with_help(at, format!("is no name: \"{name}\""), help);
        None
    }

    fn ipv4(&mut self, at: &At<'_>) -> Option<Ipv4Addr> {
        match self.ip::<IpAddr>(at, "an IPv4 address")? {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => {
                self.later(at, "IPv6");
                None
            }
        }
    }

    fn subnet(&mut self, at: &At<'_>) -> Option<Ipv4Net> {
        let text = self.text(at)?;
        match text.parse::<IpNet>() {
            Ok(IpNet::V4(net)) if net.addr() == net.network() => Some(net),
            Ok(IpNet::V4(net)) => {
                self.error(at, format!("has host bits: \"{text}\" is an address in {}", net.trunc()));
                None
            }
            Ok(IpNet::V6(_)) => {
                self.later(at, "IPv6");
                None
            }
            Err(_) => {
                self.error(at, format!("must be a subnet such as 10.20.0.0/24, not \"{text}\""));
                None
            }
        }
    }

    fn pools(&mut self, at: &At<'_>) -> Option<Ipam> {
        let items = self.items(at);
        if let [_, second, ..] = items.as_slice() {
            self.later(second, "a second subnet");
        }
        let item = items.first()?;
        let mut pool = Pool::default();
        self.section(item, POOL, &mut pool);
        let Some(subnet) = pool.subnet else {
            if item.node.get("subnet").is_none() && matches!(item.node.kind, Kind::Mapping(_)) {
                self.error(item, "lacks `subnet`");
            }
            return None;
        };
        // Network, gateway, one container, broadcast.
        if subnet.prefix_len() > 30 {
            self.error(item, format!("has the subnet {subnet}, which has no room for containers"));
        }
        if pool.gateway.is_some_and(|gateway| !subnet.contains(&gateway)) {
            self.error(item, format!("has a gateway outside of {subnet}"));
        }
        if pool.ip_range.is_some_and(|range| !subnet.contains(&range)) {
            self.error(item, format!("has an ip_range outside of {subnet}"));
        }
        Some(Ipam { subnet, gateway: pool.gateway, ip_range: pool.ip_range })
    }

    /// `networks` of a service, highest priority first.
    pub fn attachments(&mut self, at: &At<'_>) -> IndexMap<String, Attachment> {
        let mut attachments = IndexMap::new();
        for entry in self.entries(at) {
            let mut attachment = Attachment::default();
            if !entry.at.node.is_null() {
                self.section(&entry.at, ATTACHMENT, &mut attachment);
            }
            attachments.insert(entry.name.to_owned(), attachment);
        }
        attachments.sort_by(|_, a, _, b| b.priority.cmp(&a.priority));
        attachments
    }
}
