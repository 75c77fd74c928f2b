//! Rules as netlink messages. The numbers are those of linux/netfilter/nf_tables.h.
//!
//! Constants that the kernel compares with its own variables (connection state, address type) are in host order,
//! what is compared with bytes of the packet in network order.

use super::rule::{Action, Elements, Family, Hook, Interface, Kind, Match, Point, Rule, Set, Table};
use crate::model::Protocol;
use ipnet::Ipv4Net;
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::{
    NetfilterProtoFamily,
    nftables::{
        Bitwise, ChainAttribute, ChainMessage, Cmp, DataAttribute, Expressions, HookNumber, Immediate, InetHookNumber,
        ListAttribute, Lookup, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register, RuleAttribute, RuleMessage,
        SetAttribute, SetElementAttribute, SetElementList, SetElementMessage, SetMessage, TableAttribute, TableMessage,
        Verdict, VerdictAttribute,
    },
};
use std::net::SocketAddrV4;

const IFNAMSIZ: usize = 16;
/// Elements of one message: an attribute has at most 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 500;

/// Makes the table and everything in it. What was there under its name has to be gone.
pub fn create(table: &Table) -> Vec<NfTablesMessage> {
    let mut messages = vec![new_table(&table.name)];
    for (id, set) in table.sets.iter().enumerate() {
        messages.extend(new_set(&table.name, set, id as u32 + 1));
    }
    for chain in &table.chains {
        messages.push(new_chain(table, chain.name, chain.hook));
    }
    for chain in &table.chains {
        messages.extend(chain.rules.iter().map(|rule| new_rule(&table.name, chain.name, rule)));
    }
    messages
}

/// Deletes the table, there or not: `DELTABLE` alone would fail where it is not.
pub fn delete(name: &str) -> [NfTablesMessage; 2] {
    [new_table(name), NfTablesMessage::DeleteTable(table_message(name))]
}

pub fn family(family: Family) -> NetfilterProtoFamily {
    match family {
        Family::Ip => NetfilterProtoFamily::IPv4,
        Family::Bridge => NetfilterProtoFamily::Bridge,
    }
}

fn table_message(name: &str) -> TableMessage {
    TableMessage { attributes: vec![TableAttribute::Name(name.into())] }
}

fn new_table(name: &str) -> NfTablesMessage {
    NfTablesMessage::NewTable(table_message(name))
}

fn new_chain(table: &Table, name: &str, hook: Option<Hook>) -> NfTablesMessage {
    let mut attributes = vec![ChainAttribute::Table(table.name.clone()), ChainAttribute::Name(name.into())];
    if let Some(hook) = hook {
        // The bridge family counts its hooks in the same order as the IP families.
        let number = HookNumber::Inet(match hook.point {
            Point::Prerouting => InetHookNumber::PreRouting,
            Point::Input => InetHookNumber::LocalIn,
            Point::Forward => InetHookNumber::Forward,
            Point::Output => InetHookNumber::LocalOut,
            Point::Postrouting => InetHookNumber::PostRouting,
        });
        let kind = match hook.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
        };
        attributes.push(ChainAttribute::Hook(vec![
            netlink_packet_netfilter::nftables::Hook::Number(number),
            netlink_packet_netfilter::nftables::Hook::Priority(hook.priority as u32),
        ]));
        attributes.push(ChainAttribute::Type(kind.into()));
    }
    NfTablesMessage::NewChain(ChainMessage { attributes })
}

/// The message's flags say where it goes: `NLM_F_APPEND` at the end of the chain, without at its head.
pub fn new_rule(table: &str, chain: &str, rule: &Rule) -> NfTablesMessage {
    let mut expressions: Vec<Expressions> = rule.matches.iter().flat_map(match_expressions).collect();
    expressions.extend(action_expressions(&rule.action));
    let mut attributes = vec![
        RuleAttribute::Table(table.into()),
        RuleAttribute::Chain(chain.into()),
        RuleAttribute::Expressions(expressions.into_iter().map(Into::into).collect()),
    ];
    attributes.extend(rule.comment.as_deref().map(|comment| RuleAttribute::UserData(comment_data(comment))));
    NfTablesMessage::NewRule(RuleMessage { attributes })
}

/// libnftnl's user data: type 0 (comment), length, text with its NUL. Both are one byte.
pub fn comment_data(comment: &str) -> Vec<u8> {
    let text = &comment.as_bytes()[..comment.len().min(120)];
    let mut data = vec![0, text.len() as u8 + 1];
    data.extend_from_slice(text);
    data.push(0);
    data
}

fn match_expressions(one: &Match) -> Vec<Expressions> {
    match one {
        Match::In(interface) => interface_is(MetaKey::Iifname, Operator::Equal, interface),
        Match::Out(interface) => interface_is(MetaKey::Oifname, Operator::Equal, interface),
        Match::NotOut(interface) => interface_is(MetaKey::Oifname, Operator::NotEqual, interface),
        Match::Source(net) => address_in(12, *net),
        Match::Destination(net) => address_in(16, *net),
        Match::DestinationLocal => {
            // NFTA_FIB_DREG, NFTA_FIB_RESULT (ADDRTYPE), NFTA_FIB_FLAGS (DADDR); RTN_LOCAL is 2.
            vec![other("fib", vec![be32(1, 1), be32(2, 3), be32(3, 2)]), compare(Operator::Equal, &2u32.to_ne_bytes())]
        }
        Match::Port(protocol, port) => {
            let number = match protocol {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
            };
            vec![
                meta(MetaKey::L4Proto, Register::Reg1),
                compare(Operator::Equal, &[number]),
                payload(TRANSPORT, 2, 2, Register::Reg1),
                compare(Operator::Equal, &port.to_be_bytes()),
            ]
        }
        // NFT_CT_STATE; established is bit 1, related bit 2.
        Match::Established => ct_bits(0, 2 | 4),
        // NFT_CT_STATUS; IPS_DST_NAT is bit 5.
        Match::Translated => ct_bits(2, 1 << 5),
        Match::EtherIp => ether_type(0x0800),
        Match::EtherArp => ether_type(0x0806),
        Match::GuardedIp => guarded(payload(LINK, 6, 6, Register::Reg32_04), 12),
        Match::GuardedArp => {
            // Offsets in an ARP packet of Ethernet and IPv4: sender's MAC 8, sender's address 14.
            let mut both = guarded(payload(LINK, 6, 6, Register::Reg32_04), 14);
            both.extend(guarded(payload(NETWORK, 8, 6, Register::Reg32_04), 14));
            both
        }
        Match::GuardedPort => vec![meta(MetaKey::Iifname, Register::Reg1), lookup("ports", 2, Register::Reg1)],
    }
}

fn action_expressions(action: &Action) -> Vec<Expressions> {
    match action {
        // NF_ACCEPT and NF_DROP.
        Action::Accept => vec![verdict(vec![VerdictAttribute::Code(Verdict::Other(1))])],
        Action::Drop => vec![verdict(vec![VerdictAttribute::Code(Verdict::Other(0))])],
        Action::Jump(chain) => {
            vec![verdict(vec![VerdictAttribute::Code(Verdict::Jump), VerdictAttribute::Chain((*chain).into())])]
        }
        Action::Dnat(target) => dnat(*target),
        Action::Masquerade => vec![other("masq", vec![])],
    }
}

fn dnat(target: SocketAddrV4) -> Vec<Expressions> {
    vec![
        immediate(Register::Reg1, &target.ip().octets()),
        immediate(Register::Reg2, &target.port().to_be_bytes()),
        // NFTA_NAT_TYPE (DNAT), FAMILY (IPv4), REG_ADDR_MIN, REG_PROTO_MIN.
        other("nat", vec![be32(1, 1), be32(2, 2), be32(3, 1), be32(5, 2)]),
    ]
}

const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

fn interface_is(key: MetaKey, operator: Operator, interface: &Interface) -> Vec<Expressions> {
    let bytes = match interface {
        Interface::Named(name) => padded(name),
        // Comparing fewer bytes than the register holds is what makes a prefix.
        Interface::Prefix(prefix) => prefix.as_bytes().to_vec(),
    };
    vec![meta(key, Register::Reg1), compare(operator, &bytes)]
}

fn padded(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(IFNAMSIZ, 0);
    bytes
}

/// IPv4 header: source at 12, destination at 16.
fn address_in(offset: u32, net: Ipv4Net) -> Vec<Expressions> {
    let whole_bytes = net.prefix_len() / 8;
    if net.prefix_len().is_multiple_of(8) && whole_bytes > 0 {
        let bytes = net.network().octets();
        return vec![
            payload(NETWORK, offset, u32::from(whole_bytes), Register::Reg1),
            compare(Operator::Equal, &bytes[..usize::from(whole_bytes)]),
        ];
    }
    vec![
        payload(NETWORK, offset, 4, Register::Reg1),
        and(&net.netmask().octets()),
        compare(Operator::Equal, &net.network().octets()),
    ]
}

fn ct_bits(key: u32, bits: u32) -> Vec<Expressions> {
    vec![
        // NFTA_CT_DREG, NFTA_CT_KEY
        other("ct", vec![be32(1, 1), be32(2, key)]),
        and(&bits.to_ne_bytes()),
        compare(Operator::NotEqual, &[0; 4]),
    ]
}

fn ether_type(number: u16) -> Vec<Expressions> {
    vec![payload(LINK, 12, 2, Register::Reg1), compare(Operator::Equal, &number.to_be_bytes())]
}

/// Interface (16 bytes), MAC (6 of 8 bytes) and address (4 bytes) side by side, as the set's key has them.
fn guarded(mac: Expressions, address_offset: u32) -> Vec<Expressions> {
    vec![
        meta(MetaKey::Iifname, Register::Reg32_00),
        mac,
        payload(NETWORK, address_offset, 4, Register::Reg32_06),
        lookup("guard", 1, Register::Reg32_00),
    ]
}

fn other(name: &str, attributes: Vec<DefaultNla>) -> Expressions {
    Expressions::Other { expression_type: name.into(), attributes }
}

fn be32(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

fn meta(key: MetaKey, register: Register) -> Expressions {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(register)])
}

fn payload(base: u32, offset: u32, length: u32, register: Register) -> Expressions {
    Expressions::Payload(vec![
        Payload::DestinationRegister(register),
        Payload::Base(base),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
}

fn compare(operator: Operator, value: &[u8]) -> Expressions {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(value.to_vec())),
    ])
}

fn and(mask: &[u8]) -> Expressions {
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::Reg1),
        Bitwise::DestinationRegister(Register::Reg1),
        Bitwise::Length(mask.len() as u32),
        Bitwise::Mask(DataAttribute::Value(mask.to_vec())),
        Bitwise::Xor(DataAttribute::Value(vec![0; mask.len()])),
    ])
}

fn immediate(register: Register, value: &[u8]) -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(register),
        Immediate::Data(DataAttribute::Value(value.to_vec())),
    ])
}

fn verdict(attributes: Vec<VerdictAttribute>) -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(attributes)),
    ])
}

fn lookup(set: &str, id: u32, register: Register) -> Expressions {
    Expressions::Lookup(vec![Lookup::Set(set.into()), Lookup::SourceRegister(register), Lookup::SetId(id)])
}

/// nft's numbers of types, six bits each in a concatenation; only `nft list` reads them.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_ETHER_ADDR: u32 = 9;
const TYPE_IFNAME: u32 = 41;

fn new_set(table: &str, set: &Set, id: u32) -> Vec<NfTablesMessage> {
    let (kind, keys): (u32, Vec<Vec<u8>>) = match &set.elements {
        Elements::Guard(guard) => (
            (TYPE_IFNAME << 12) | (TYPE_ETHER_ADDR << 6) | TYPE_IPV4_ADDR,
            guard
                .iter()
                .map(|(name, mac, address)| {
                    let mut key = padded(name);
                    key.extend(mac);
                    key.extend([0; 2]);
                    key.extend(address.octets());
                    key
                })
                .collect(),
        ),
        Elements::Interfaces(names) => (TYPE_IFNAME, names.iter().map(|name| padded(name)).collect()),
    };
    let length = keys.first().map_or(IFNAMSIZ, Vec::len);
    let mut messages = vec![NfTablesMessage::NewSet(SetMessage {
        attributes: vec![
            SetAttribute::Table(table.into()),
            SetAttribute::Name(set.name.into()),
            SetAttribute::KeyType(kind),
            SetAttribute::KeyLen(length as u32),
            SetAttribute::Id(id),
        ],
    })];
    for chunk in keys.chunks(ELEMENTS_PER_MESSAGE) {
        let elements = chunk
            .iter()
            .map(|key| ListAttribute::Element(vec![SetElementAttribute::Key(DataAttribute::Value(key.clone()))]))
            .collect();
        messages.push(NfTablesMessage::NewSetElement(SetElementMessage {
            attributes: vec![
                SetElementList::Table(table.into()),
                SetElementList::Set(set.name.into()),
                SetElementList::SetId(id),
                SetElementList::Elements(elements),
            ],
        }));
    }
    messages
}
