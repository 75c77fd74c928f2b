//! Tables, chains and rules as values. Their `Display` is what `nft list table` prints, so that a test can read them
//! and compare them with what the kernel has.

use crate::model::Protocol;
use ipnet::Ipv4Net;
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ip,
    Bridge,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub family: Family,
    pub name: String,
    pub sets: Vec<Set>,
    pub chains: Vec<Chain>,
}

/// A set of known shape, filled when the table is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub name: &'static str,
    pub elements: Elements,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Interface, MAC and address that belong together.
    Guard(Vec<(String, [u8; 6], Ipv4Addr)>),
    Interfaces(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    pub name: &'static str,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub kind: Kind,
    pub point: Point,
    pub priority: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Filter,
    Nat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub matches: Vec<Match>,
    pub action: Action,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    In(Interface),
    Out(Interface),
    NotOut(Interface),
    Source(Ipv4Net),
    Destination(Ipv4Net),
    /// Any address of this host.
    DestinationLocal,
    Port(Protocol, u16),
    /// Of a connection that is known, or belongs to one.
    Established,
    /// The connection's destination was translated, by whomever.
    Translated,
    EtherIp,
    EtherArp,
    /// Interface, sender's MAC and IPv4 source address are in the set `guard`.
    GuardedIp,
    /// Interface, sender's MAC and the address that an ARP packet claims are in the set `guard`, and the MAC that it
    /// claims is too.
    GuardedArp,
    /// The interface is in the set `ports`.
    GuardedPort,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Interface {
    Named(String),
    /// Every interface whose name starts so.
    Prefix(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Accept,
    Drop,
    Jump(&'static str),
    Dnat(SocketAddrV4),
    Masquerade,
}

impl Rule {
    pub fn new(matches: impl Into<Vec<Match>>, action: Action) -> Self {
        Self { matches: matches.into(), action, comment: None }
    }
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

impl Interface {
    pub fn named(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl Family {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Bridge => "bridge",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family.as_str(), self.name)?;
        for set in &self.sets {
            writeln!(f, "{set}\n")?;
        }
        for (index, chain) in self.chains.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{chain}")?;
        }
        writeln!(f, "}}")
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, elements): (_, Vec<String>) = match &self.elements {
            Elements::Guard(guard) => (
                "ifname . ether_addr . ipv4_addr",
                guard
                    .iter()
                    .map(|(name, mac, ip)| {
                        format!("\"{name}\" . {} . {ip}", mac.map(|byte| format!("{byte:02x}")).join(":"))
                    })
                    .collect(),
            ),
            Elements::Interfaces(names) => ("ifname", names.iter().map(|name| format!("\"{name}\"")).collect()),
        };
        writeln!(f, "\tset {} {{\n\t\ttype {kind}", self.name)?;
        writeln!(f, "\t\telements = {{ {} }}\n\t}}", elements.join(",\n\t\t\t     "))?;
        Ok(())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\tchain {} {{", self.name)?;
        if let Some(hook) = self.hook {
            writeln!(f, "\t\t{hook}")?;
        }
        for rule in &self.rules {
            writeln!(f, "\t\t{rule}")?;
        }
        write!(f, "\t}}")
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
        };
        let point = match self.point {
            Point::Prerouting => "prerouting",
            Point::Input => "input",
            Point::Forward => "forward",
            Point::Output => "output",
            Point::Postrouting => "postrouting",
        };
        write!(f, "type {kind} hook {point} priority {}; policy accept;", self.priority)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.matches {
            write!(f, "{one} ")?;
        }
        match &self.action {
            Action::Accept => f.write_str("accept")?,
            Action::Drop => f.write_str("drop")?,
            Action::Jump(chain) => write!(f, "jump {chain}")?,
            Action::Dnat(target) => write!(f, "dnat to {target}")?,
            Action::Masquerade => f.write_str("masquerade")?,
        }
        match &self.comment {
            Some(comment) => write!(f, " comment \"{comment}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(interface) => write!(f, "iifname {interface}"),
            Self::Out(interface) => write!(f, "oifname {interface}"),
            Self::NotOut(interface) => write!(f, "oifname != {interface}"),
            Self::Source(net) => write!(f, "ip saddr {}", Shortest(*net)),
            Self::Destination(net) => write!(f, "ip daddr {}", Shortest(*net)),
            Self::DestinationLocal => f.write_str("fib daddr type local"),
            Self::Port(protocol, port) => write!(f, "{protocol} dport {port}"),
            Self::Established => f.write_str("ct state established,related"),
            Self::Translated => f.write_str("ct status dnat"),
            Self::EtherIp => f.write_str("ether type ip"),
            Self::EtherArp => f.write_str("ether type arp"),
            Self::GuardedIp => f.write_str("iifname . ether saddr . ip saddr @guard"),
            Self::GuardedArp => f.write_str(
                "iifname . ether saddr . arp saddr ip @guard iifname . arp saddr ether . arp saddr ip @guard",
            ),
            Self::GuardedPort => f.write_str("iifname @ports"),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "\"{name}\""),
            Self::Prefix(prefix) => write!(f, "\"{prefix}*\""),
        }
    }
}

/// A /32 as nft prints it: the bare address.
struct Shortest(Ipv4Net);

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() {
            32 => write!(f, "{}", self.0.addr()),
            _ => write!(f, "{}", self.0),
        }
    }
}
