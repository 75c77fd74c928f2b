//! `ports`: `[HOST_IP:][HOST[-END]:]CONTAINER[-END][/PROTOCOL]` as mappings, one for each port of the container.

use super::pass::{Origin, Pass, entry};
use crate::compose::tree::{Kind, Mapping, Node, Plain};
use std::{net::IpAddr, ops::Range, rc::Rc};

const HELP: &str = "write `8080:80`, `127.0.0.1:8080:80/udp` or `8000-8009:8000-8009`";
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Short forms become long ones.
pub fn long(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut ports = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        pass.at_item(index, |pass| match (&item.kind, item.plain()) {
            (Kind::Scalar { .. }, Some(Plain::Int(_))) => {
                let target = [("target".to_owned(), entry(item.clone()))];
                ports.push(Rc::new(item.with(Kind::Mapping(target.into_iter().collect()))));
            }
            (Kind::Scalar { .. }, Some(Plain::Null | Plain::Bool(_) | Plain::Float(_))) => {
                pass.error_with_help(item.span, format!("is no port: found {}", item.describe()), HELP);
                ports.push(item.clone());
            }
            (Kind::Scalar { text, .. }, _) => expand(pass, item, text, &mut ports),
            _ => ports.push(item.clone()),
        });
    }
    Rc::new(node.with(Kind::Sequence(ports)))
}

fn expand(pass: &mut Pass<'_>, item: &Rc<Node>, text: &str, ports: &mut Vec<Rc<Node>>) {
    let origin = pass.origin(item);
    match parse(text) {
        Ok(short) => {
            if pass.reserve(item.span, short.length()) {
                let targets = short.targets().into_iter();
                ports.extend(targets.map(|target| short.mapping(pass, item, origin, target)));
            }
        }
        Err(_) if pass.is_open(text) => ports.push(item.clone()),
        Err(Wrong { part, why }) => {
            pass.error_with_help(origin.place(part), format!("is no port: {why}"), HELP);
            ports.push(item.clone());
        }
    }
}

/// A spec of ports, as read. Ranges of bytes are parts of the spec.
struct Short {
    container: Ports,
    container_part: Range<usize>,
    host: Option<(Ports, Range<usize>)>,
    ip: Option<(String, Range<usize>)>,
    /// The last part is that of a protocol that is written.
    protocol: (String, Option<Range<usize>>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ports {
    first: u16,
    last: u16,
}

#[derive(Debug)]
struct Wrong {
    part: Range<usize>,
    why: String,
}

impl Short {
    fn length(&self) -> usize {
        usize::from(self.container.last - self.container.first) + 1
    }

    /// In the order of Compose, which is that of texts: 10 comes before 9.
    fn targets(&self) -> Vec<u16> {
        let mut targets: Vec<u16> = (self.container.first..=self.container.last).collect();
        if targets.len() > 1 {
            targets.sort_by_cached_key(u16::to_string);
        }
        targets
    }

    fn mapping(&self, pass: &Pass<'_>, item: &Rc<Node>, origin: Origin, target: u16) -> Rc<Node> {
        let placed = |part: &Range<usize>, kind: Kind| {
            entry(Rc::new(Node { span: origin.place(part.clone()), ..item.with(kind) }))
        };
        let mut port = Mapping::with_capacity(5);
        port.insert("mode".into(), entry(pass.implied(item.span, Kind::string("ingress"))));
        if let Some((ip, part)) = &self.ip {
            port.insert("host_ip".into(), placed(part, Kind::string(ip)));
        }
        port.insert("target".into(), placed(&self.container_part, Kind::typed(target.to_string())));
        if let Some((host, part)) = &self.host {
            let published = if self.length() > 1 || host.first == host.last {
                (u32::from(host.first) + u32::from(target - self.container.first)).to_string()
            } else {
                // Any one of them.
                format!("{}-{}", host.first, host.last)
            };
            port.insert("published".into(), placed(part, Kind::string(published)));
        }
        let protocol = match &self.protocol {
            (protocol, Some(part)) => placed(part, Kind::string(protocol)),
            (protocol, None) => entry(pass.implied(item.span, Kind::string(protocol))),
        };
        port.insert("protocol".into(), protocol);
        Rc::new(item.with(Kind::Mapping(port)))
    }
}

fn parse(text: &str) -> Result<Short, Wrong> {
    let container_start = text.rfind(':').map_or(0, |colon| colon + 1);
    let container_end = text[container_start..].find('/').map_or(text.len(), |slash| container_start + slash);
    let container_part = container_start..container_end;
    if container_part.is_empty() {
        let why = format!("No port specified: {}<empty>", &text[..container_start]);
        return Err(Wrong { part: 0..text.len(), why });
    }
    let protocol = protocol(text, container_end)?;
    let ahead = &text[..container_start.saturating_sub(1)];
    // What is ahead of the container's port is `HOST_IP:HOST` or `HOST`; an IPv6 address has colons of its own.
    let host_start = ahead.rfind(':').map_or(0, |colon| colon + 1);
    let ip = match host_start {
        0 => None,
        start => ip(text, 0..start - 1)?,
    };
    let host_part = host_start..ahead.len();
    let container = range(text, container_part.clone(), "containerPort")?;
    if container.first == 0 {
        return Err(Wrong { part: container_part, why: "Invalid containerPort: there is no port 0".into() });
    }
    let host = match host_part.is_empty() {
        true => None,
        false => Some((range(text, host_part.clone(), "hostPort")?, host_part)),
    };
    let length = |ports: Ports| ports.last - ports.first;
    if let Some((host, part)) = &host
        && length(container) > 0
        && length(container) != length(*host)
    {
        let (inside, outside) = (&text[container_part], &text[part.clone()]);
        let why = format!("Invalid ranges specified for container and host Ports: {inside} and {outside}");
        return Err(Wrong { part: part.start..container_end, why });
    }
    Ok(Short { container, container_part, host, ip, protocol })
}

/// What follows the first slash, which is at `slash`, up to a second one.
fn protocol(text: &str, slash: usize) -> Result<(String, Option<Range<usize>>), Wrong> {
    let name = text.get(slash + 1..).unwrap_or_default().split('/').next().unwrap_or_default();
    if name.is_empty() {
        return Ok(("tcp".into(), None));
    }
    let part = slash + 1..slash + 1 + name.len();
    let lower = name.to_ascii_lowercase();
    match PROTOCOLS.contains(&lower.as_str()) {
        true => Ok((lower, Some(part))),
        false => Err(Wrong { part, why: format!("Invalid proto: {name}") }),
    }
}

fn ip(text: &str, part: Range<usize>) -> Result<Option<(String, Range<usize>)>, Wrong> {
    if part.is_empty() {
        return Ok(None);
    }
    let ip = bare_ip(&text[part.clone()]);
    match ip.parse::<IpAddr>() {
        Ok(_) => Ok(Some((ip.to_owned(), part))),
        Err(_) => Err(Wrong { why: format!("Invalid ip address: {ip}"), part }),
    }
}

/// Without the brackets of an IPv6 address.
fn bare_ip(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

fn range(text: &str, part: Range<usize>, what: &str) -> Result<Ports, Wrong> {
    let written = &text[part.clone()];
    ports(written).ok_or_else(|| Wrong { part, why: format!("Invalid {what}: {written}") })
}

/// `80` or `80-90`.
fn ports(text: &str) -> Option<Ports> {
    let port = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(Ports { first, last })
}

/// A port in its long form: defaults, and what its attributes say.
pub fn check(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    if !entries.contains_key("target") {
        pass.error(node.span, "lacks `target`, the port of the container");
    }
    let node = pass.with_default(node, "protocol", Kind::string("tcp"));
    pass.with_default(&node, "mode", Kind::string("ingress"))
}

pub fn target(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Scalar { text, .. } = &node.kind else { return node.clone() };
    let value = match node.plain() {
        Some(Plain::Int(value)) => u16::try_from(value).ok(),
        Some(Plain::Float(value)) if value.fract() == 0.0 => value.to_string().parse().ok(),
        _ => text.parse().ok(),
    };
    match value.filter(|port: &u16| *port > 0) {
        Some(port) => Rc::new(node.with(Kind::typed(port.to_string()))),
        None => {
            pass.error_with_help(
                node.span,
                format!("is no port: Invalid containerPort: {text}"),
                "ports are 1 to 65535",
            );
            node.clone()
        }
    }
}

/// A port or a range of ports to choose from, as text. Nothing asks for any free port.
pub fn published(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Scalar { text, .. } = &node.kind else { return node.clone() };
    let text = match node.plain() {
        Some(Plain::Null) => return node.clone(),
        Some(plain) => plain.to_text(),
        None => text.clone(),
    };
    if !text.is_empty() && ports(&text).is_none() {
        let what = format!("is no port: Invalid hostPort: {text}");
        pass.error_with_help(node.span, what, "write `8080`, or `8000-8009` to choose from");
        return node.clone();
    }
    Rc::new(node.with(Kind::string(text)))
}

pub fn host_ip(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.scalar() else { return node.clone() };
    let ip = bare_ip(text);
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        pass.error(node.span, format!("is an invalid ip address: {text}"));
        return node.clone();
    }
    Rc::new(node.with(Kind::string(ip)))
}

pub fn long_protocol(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.scalar() else { return node.clone() };
    let lower = text.to_ascii_lowercase();
    if !lower.is_empty() && !PROTOCOLS.contains(&lower.as_str()) {
        pass.error_with_help(node.span, format!("is an invalid proto: {text}"), "protocols are tcp, udp and sctp");
        return node.clone();
    }
    Rc::new(node.with(Kind::string(lower)))
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn short_ports_become_long_ones() {
        check(&[
            ("ports: [80]", r#"[{"target":80,"protocol":"tcp","mode":"ingress"}]"#),
            (r#"ports: ["80"]"#, r#"[{"mode":"ingress","target":80,"protocol":"tcp"}]"#),
            (r#"ports: ["8080:80"]"#, r#"[{"mode":"ingress","target":80,"published":"8080","protocol":"tcp"}]"#),
            (r#"ports: ["8080:80/UDP"]"#, r#"[{"mode":"ingress","target":80,"published":"8080","protocol":"udp"}]"#),
            (r#"ports: ["80/sctp"]"#, r#"[{"mode":"ingress","target":80,"protocol":"sctp"}]"#),
            (r#"ports: ["80/"]"#, r#"[{"mode":"ingress","target":80,"protocol":"tcp"}]"#),
            (r#"ports: [":80"]"#, r#"[{"mode":"ingress","target":80,"protocol":"tcp"}]"#),
            (r#"ports: ["0:80"]"#, r#"[{"mode":"ingress","target":80,"published":"0","protocol":"tcp"}]"#),
            (r#"ports: ["080:80"]"#, r#"[{"mode":"ingress","target":80,"published":"80","protocol":"tcp"}]"#),
            (
                r#"ports: ["127.0.0.1:8080:80"]"#,
                r#"[{"mode":"ingress","host_ip":"127.0.0.1","target":80,"published":"8080","protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["127.0.0.1::80"]"#,
                r#"[{"mode":"ingress","host_ip":"127.0.0.1","target":80,"protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["[::1]:8080:80"]"#,
                r#"[{"mode":"ingress","host_ip":"::1","target":80,"published":"8080","protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["::1:8080:80"]"#,
                r#"[{"mode":"ingress","host_ip":"::1","target":80,"published":"8080","protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["8080-8081:80-81"]"#,
                r#"[{"mode":"ingress","target":80,"published":"8080","protocol":"tcp"},{"mode":"ingress","target":81,"published":"8081","protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["9-10"]"#,
                r#"[{"mode":"ingress","target":10,"protocol":"tcp"},{"mode":"ingress","target":9,"protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["9000-9010:80"]"#,
                r#"[{"mode":"ingress","target":80,"published":"9000-9010","protocol":"tcp"}]"#,
            ),
            (r#"ports: ["0-5:80"]"#, r#"[{"mode":"ingress","target":80,"published":"0-5","protocol":"tcp"}]"#),
            ("ports: [0x50]", r#"[{"target":80,"protocol":"tcp","mode":"ingress"}]"#),
        ]);
    }

    #[test]
    fn long_ports_are_completed() {
        check(&[
            ("ports: [{target: 80}]", r#"[{"target":80,"protocol":"tcp","mode":"ingress"}]"#),
            (
                r#"ports: [{target: "80", published: 8080}]"#,
                r#"[{"target":80,"published":"8080","protocol":"tcp","mode":"ingress"}]"#,
            ),
            (
                r#"ports: [{target: 80, published: "8080-8090", host_ip: "[::1]", protocol: UDP}]"#,
                r#"[{"target":80,"published":"8080-8090","host_ip":"::1","protocol":"udp","mode":"ingress"}]"#,
            ),
            (
                r#"ports: [{target: 80, published: "", host_ip: ""}]"#,
                r#"[{"target":80,"published":"","host_ip":"","protocol":"tcp","mode":"ingress"}]"#,
            ),
            (
                "ports: [{target: 80, mode: host, name: n, app_protocol: http, x-a: 1}]",
                r#"[{"target":80,"mode":"host","name":"n","app_protocol":"http","x-a":1,"protocol":"tcp"}]"#,
            ),
        ]);
    }

    #[test]
    fn of_the_same_ports_the_last_one_stays_at_the_place_of_the_first() {
        check(&[
            (
                r#"ports: ["80:80", "81:80", "80:80"]"#,
                r#"[{"mode":"ingress","target":80,"published":"80","protocol":"tcp"},{"mode":"ingress","target":80,"published":"81","protocol":"tcp"}]"#,
            ),
            (
                r#"ports: ["80:80", {target: 80, published: 80, host_ip: 0.0.0.0, name: n}]"#,
                r#"[{"target":80,"published":"80","host_ip":"0.0.0.0","name":"n","protocol":"tcp","mode":"ingress"}]"#,
            ),
            ("ports: [80, 80]", r#"[{"target":80,"protocol":"tcp","mode":"ingress"}]"#),
        ]);
    }

    #[test]
    fn a_port_that_is_none_is_told_of_at_its_place() {
        check(&[
            (r#"ports: [""]"#, "9: `ports[0]` is no port: No port specified: <empty>"),
            (r#"ports: [":"]"#, "10: `ports[0]` is no port: No port specified: :<empty>"),
            (r#"ports: ["80:"]"#, "10: `ports[0]` is no port: No port specified: 80:<empty>"),
            (r#"ports: ["0"]"#, "10: `ports[0]` is no port: Invalid containerPort: there is no port 0"),
            (r#"ports: ["80:0"]"#, "13: `ports[0]` is no port: Invalid containerPort: there is no port 0"),
            (r#"ports: ["65536"]"#, "10: `ports[0]` is no port: Invalid containerPort: 65536"),
            (r#"ports: ["99999:80"]"#, "10: `ports[0]` is no port: Invalid hostPort: 99999"),
            (r#"ports: ["x:80"]"#, "10: `ports[0]` is no port: Invalid hostPort: x"),
            (r#"ports: ["-1:80"]"#, "10: `ports[0]` is no port: Invalid hostPort: -1"),
            (r#"ports: ["80:80/http"]"#, "16: `ports[0]` is no port: Invalid proto: http"),
            (r#"ports: ["1.2.3:80:80"]"#, "10: `ports[0]` is no port: Invalid ip address: 1.2.3"),
            (r#"ports: ["example.com:80:80"]"#, "10: `ports[0]` is no port: Invalid ip address: example.com"),
            (r#"ports: ["90-80"]"#, "10: `ports[0]` is no port: Invalid containerPort: 90-80"),
            (
                r#"ports: ["1-2:1-3"]"#,
                "10: `ports[0]` is no port: Invalid ranges specified for container and host Ports: 1-3 and 1-2",
            ),
            (
                r#"ports: ["80:80-81"]"#,
                "10: `ports[0]` is no port: Invalid ranges specified for container and host Ports: 80-81 and 80",
            ),
            (
                r#"ports: [80.5, "x", null]"#,
                "9: `ports[0]` is no port: found the number 80.5; 16: `ports[1]` is no port: Invalid containerPort: x; 20: `ports[2]` is no port: found nothing",
            ),
            ("ports: [{published: 80}]", "9: `ports[0]` lacks `target`, the port of the container"),
            (
                "ports: [{target: 70000, published: abc, host_ip: x, protocol: xyz}]",
                "18: `ports[0].target` is no port: Invalid containerPort: 70000; 36: `ports[0].published` is no port: Invalid hostPort: abc; 50: `ports[0].host_ip` is an invalid ip address: x; 63: `ports[0].protocol` is an invalid proto: xyz",
            ),
            (
                "ports: [{target: 0}, {target: -1}]",
                "18: `ports[0].target` is no port: Invalid containerPort: 0; 31: `ports[1].target` is no port: Invalid containerPort: -1",
            ),
        ]);
    }
}
