//! `ports` and `expose`, as the canonical form has them.

use super::{
    At, Decoder,
    Field::{self, Read},
};
use crate::model::{PortRange, Protocol, PublishedPort};
use std::net::IpAddr;

#[derive(Default)]
pub struct Long {
    target: Option<u16>,
    published: Option<PortRange>,
    host_ip: Option<IpAddr>,
    protocol: Option<Protocol>,
    failed: bool,
}

pub const LONG: &[Field<Long>] = &[
    Read("target", |d, at, p| match d.integer(at, 1..=65535).and_then(|port| u16::try_from(port).ok()) {
        Some(port) => p.target = Some(port),
        None => p.failed = true,
    }),
    Read("published", |d, at, p| {
        let Some(text) = d.text_or_number(at) else { return p.failed = true };
        match published(&text) {
            Ok(range) => p.published = range,
            Err(why) => {
                p.failed = true;
                d.error(at, format!("is no port: {why} in \"{text}\""));
            }
        }
    }),
    Read("host_ip", |d, at, p| {
        let Some(text) = d.text(at) else { return };
        match host_ip(&text) {
            Ok(ip) => p.host_ip = ip,
            Err(why) => d.error(at, format!("has {why}: \"{text}\"")),
        }
    }),
    Read("protocol", |d, at, p| {
        let Some(text) = d.text(at) else { return };
        match text.as_str() {
            "tcp" | "" => p.protocol = Some(Protocol::Tcp),
            "udp" => p.protocol = Some(Protocol::Udp),
            "sctp" => d.later(at, "SCTP"),
            _ => d.error(at, format!("must be `tcp` or `udp`, not \"{text}\"")),
        }
    }),
    // Both are the same on one host.
    Read("mode", |d, at, _| match d.text(at).as_deref() {
        Some("host" | "ingress" | "") | None => {}
        Some(other) => d.error(at, format!("must be `host` or `ingress`, not \"{other}\"")),
    }),
    // For people and other programs.
    Read("name", |_, _, _| {}),
    Read("app_protocol", |_, _, _| {}),
];

impl Decoder<'_> {
    pub fn ports(&mut self, at: &At<'_>) -> Vec<PublishedPort> {
        self.items(at).iter().filter_map(|item| self.port(item)).collect()
    }

    fn port(&mut self, at: &At<'_>) -> Option<PublishedPort> {
        let mut long = Long::default();
        self.section(at, LONG, &mut long);
        if at.node.get("target").is_none() {
            self.error(at, "lacks `target`");
        }
        let target = long.target.filter(|_| !long.failed)?;
        let protocol = long.protocol.unwrap_or(Protocol::Tcp);
        Some(PublishedPort { target, protocol, published: long.published, host_ip: long.host_ip })
    }

    /// `80`, `3000-3005/udp`, as `80/tcp`.
    pub fn expose(&mut self, at: &At<'_>) -> Vec<String> {
        let mut ports = indexmap::IndexSet::new();
        for item in self.items(at) {
            let Some(text) = self.text_or_number(&item) else { continue };
            let (ports_of, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            let known = matches!(protocol, "tcp" | "udp" | "sctp");
            match range(ports_of).ok().filter(|range| known && range.first > 0) {
                Some(_) => {
                    ports.insert(format!("{ports_of}/{protocol}"));
                }
                None => self.error_with_help(&item, format!("is no port: \"{text}\""), "write `80` or `53/udp`"),
            }
        }
        ports.into_iter().collect()
    }
}

fn host_ip(text: &str) -> Result<Option<IpAddr>, &'static str> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.is_empty() {
        return Ok(None);
    }
    bare.parse().map(Some).map_err(|_| "a bad IP address")
}

/// Nothing and 0 both ask for any free port.
fn published(text: &str) -> Result<Option<PortRange>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    match range(text)? {
        PortRange { first: 0, last: 0 } => Ok(None),
        PortRange { first: 0, .. } => Err("the port 0"),
        range => Ok(Some(range)),
    }
}

fn range(text: &str) -> Result<PortRange, &'static str> {
    let port = |text: &str| {
        if text.is_empty() {
            return Err("a missing port");
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err("something that is no number");
        }
        text.parse::<u16>().map_err(|_| "a number above 65535")
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last { Err("a range that ends before it starts") } else { Ok(PortRange { first, last }) }
}
