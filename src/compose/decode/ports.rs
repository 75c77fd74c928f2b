//! `ports` and `expose`.

use super::{
    At, Decoder,
    Field::{self, Later, Read},
};
use crate::{
    compose::tree::{Kind, Plain},
    model::{PortRange, Protocol, PublishedPort},
};
use indexmap::IndexMap;
use std::net::IpAddr;

const HELP: &str = "write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`";

#[derive(Default)]
struct Long {
    target: Option<u16>,
    published: Option<PortRange>,
    host_ip: Option<IpAddr>,
    protocol: Option<Protocol>,
    failed: bool,
}

const LONG: &[Field<Long>] = &[
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
        match protocol(&text) {
            Ok(protocol) => p.protocol = Some(protocol),
            Err(Refused::Later) => d.later(at, format!("\"{text}\"")),
            Err(Refused::Bad) => d.error(at, format!("must be `tcp` or `udp`, not \"{text}\"")),
        }
    }),
    // Both are the same on one host.
    Read("mode", |d, at, _| match d.text(at).as_deref() {
        Some("host" | "ingress" | "") | None => {}
        Some(other) => d.error(at, format!("must be `host` or `ingress`, not \"{other}\"")),
    }),
    Later("name"),
    Later("app_protocol"),
];

impl Decoder<'_> {
    /// Ranges of equal length become pairs. Of two that are the same, the last one wins.
    pub fn ports(&mut self, at: &At<'_>) -> Vec<PublishedPort> {
        let mut ports: IndexMap<_, PublishedPort> = IndexMap::new();
        for item in self.items(at) {
            for port in self.port(&item) {
                if self.ports_left == 0 {
                    self.error(&item, "publishes too many ports");
                    return Vec::new();
                }
                self.ports_left -= 1;
                ports.insert((port.host_ip, port.published, port.target, port.protocol), port);
            }
        }
        ports.into_values().collect()
    }

    fn port(&mut self, at: &At<'_>) -> Vec<PublishedPort> {
        match &at.node.kind {
            Kind::Mapping(_) => {
                let mut long = Long::default();
                self.section(at, LONG, &mut long);
                if at.node.get("target").is_none() {
                    self.error(at, "lacks `target`");
                }
                let Some(target) = long.target.filter(|_| !long.failed) else { return Vec::new() };
                let protocol = long.protocol.unwrap_or(Protocol::Tcp);
                vec![PublishedPort { target, protocol, published: long.published, host_ip: long.host_ip }]
            }
            _ => {
                let Some(text) = self.text_or_number(at) else { return Vec::new() };
                match short(&text) {
                    Ok(ports) => ports,
                    Err(Failure::Later(what)) => {
                        self.later(at, what);
                        Vec::new()
                    }
                    Err(Failure::Bad(why)) => {
                        self.error_with_help(at, format!("is no port: {why} in \"{text}\""), HELP);
                        Vec::new()
                    }
                }
            }
        }
    }

    /// `80`, `3000-3005/udp`, as `80/tcp`.
    pub fn expose(&mut self, at: &At<'_>) -> Vec<String> {
        let mut ports = indexmap::IndexSet::new();
        for item in self.items(at) {
            let text = match item.node.plain() {
                Some(Plain::Int(port)) => port.to_string(),
                _ => match self.text(&item) {
                    Some(text) => text,
                    None => continue,
                },
            };
            let (range, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            let known = matches!(protocol, "tcp" | "udp" | "sctp");
            match container_range(range).ok().filter(|_| known) {
                Some(_) => {
                    ports.insert(format!("{range}/{protocol}"));
                }
                None => self.error_with_help(&item, format!("is no port: \"{text}\""), "write `80` or `53/udp`"),
            }
        }
        ports.into_iter().collect()
    }
}

#[derive(Debug, PartialEq)]
enum Failure {
    Bad(&'static str),
    Later(&'static str),
}

enum Refused {
    Bad,
    Later,
}

fn protocol(text: &str) -> Result<Protocol, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Err(Refused::Later),
        _ => Err(Refused::Bad),
    }
}

/// `[HOST_IP:][HOST[-END]:]CONTAINER[-END][/PROTOCOL]`
fn short(text: &str) -> Result<Vec<PublishedPort>, Failure> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, name)) => match protocol(name) {
            Ok(protocol) => (ports, protocol),
            Err(Refused::Later) => return Err(Failure::Later("SCTP")),
            Err(Refused::Bad) => return Err(Failure::Bad("an unknown protocol")),
        },
        None => (text, Protocol::Tcp),
    };
    let (rest, container) = match ports.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, ports),
    };
    // What is left of the last colon is `HOST_IP:HOST` or `HOST`; an IPv6 address has colons of its own.
    let (ip, host) = match rest.map(|rest| rest.rsplit_once(':').map_or((None, rest), |(ip, host)| (Some(ip), host))) {
        Some((ip, host)) => (ip, Some(host)),
        None => (None, None),
    };
    let host_ip = ip.map_or(Ok(None), host_ip).map_err(Failure::Bad)?;
    let container = container_range(container).map_err(Failure::Bad)?;
    let host = host.map_or(Ok(None), published).map_err(Failure::Bad)?;
    pairs(container, host, host_ip, protocol)
}

fn pairs(
    container: PortRange,
    host: Option<PortRange>,
    host_ip: Option<IpAddr>,
    protocol: Protocol,
) -> Result<Vec<PublishedPort>, Failure> {
    let length = |range: PortRange| range.last - range.first;
    let one = |target: u16, published| PublishedPort { target, protocol, published, host_ip };
    let single = |port: u16| PortRange { first: port, last: port };
    match host {
        None => Ok((container.first..=container.last).map(|port| one(port, None)).collect()),
        // One container port and several to choose from.
        Some(_) if length(container) == 0 => Ok(vec![one(container.first, host)]),
        Some(host) if length(host) == length(container) => Ok((container.first..=container.last)
            .zip(host.first..=host.last)
            .map(|(target, port)| one(target, Some(single(port))))
            .collect()),
        Some(_) => Err(Failure::Bad("ranges of different length")),
    }
}

fn host_ip(text: &str) -> Result<Option<IpAddr>, &'static str> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.is_empty() {
        return Ok(None);
    }
    bare.parse().map(Some).map_err(|_| "a bad IP address")
}

fn container_range(text: &str) -> Result<PortRange, &'static str> {
    match range(text)? {
        range if range.first == 0 => Err("the port 0"),
        range => Ok(range),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match short(text) {
            Ok(ports) => {
                let show = |port: &PublishedPort| {
                    let ip = port.host_ip.map(|ip| format!("{ip}@")).unwrap_or_default();
                    let published = match port.published {
                        None => "any".into(),
                        Some(range) if range.first == range.last => range.first.to_string(),
                        Some(range) => format!("{}..{}", range.first, range.last),
                    };
                    format!("{ip}{published}>{}/{}", port.target, port.protocol)
                };
                ports.iter().map(show).collect::<Vec<_>>().join(" ")
            }
            Err(Failure::Bad(why)) => format!("error: {why}"),
            Err(Failure::Later(what)) => format!("later: {what}"),
        }
    }

    #[test]
    fn short_ports_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("80", "any>80/tcp"),
            ("8080:80", "8080>80/tcp"),
            ("8080:80/udp", "8080>80/udp"),
            ("8080:80/UDP", "8080>80/udp"),
            ("127.0.0.1:8080:80", "127.0.0.1@8080>80/tcp"),
            ("127.0.0.1::80", "127.0.0.1@any>80/tcp"),
            ("[::1]:8080:80", "::1@8080>80/tcp"),
            ("::1:8080:80", "::1@8080>80/tcp"),
            ("0:80", "any>80/tcp"),
            ("3000-3002", "any>3000/tcp any>3001/tcp any>3002/tcp"),
            ("8000-8001:80-81", "8000>80/tcp 8001>81/tcp"),
            ("9000-9010:80", "9000..9010>80/tcp"),
            ("", "error: a missing port"),
            (":", "error: a missing port"),
            ("80:", "error: a missing port"),
            ("0", "error: the port 0"),
            ("80:0", "error: the port 0"),
            ("0-5:80", "error: the port 0"),
            ("65536", "error: a number above 65535"),
            ("99999:80", "error: a number above 65535"),
            ("x:80", "error: something that is no number"),
            ("-1:80", "error: a missing port"),
            ("80:80/http", "error: an unknown protocol"),
            ("80/sctp", "later: SCTP"),
            ("1.2.3:80:80", "error: a bad IP address"),
            ("example.com:80:80", "error: a bad IP address"),
            ("90-80", "error: a range that ends before it starts"),
            ("1-2:1-3", "error: ranges of different length"),
            ("80:80-81", "error: ranges of different length"),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }
}
