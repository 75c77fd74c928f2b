//! One nftables transaction: everything in it happens at once, or nothing.

use super::{
    encode,
    rule::{Family, Rule, Table},
};
use crate::network::netlink::{Channel, append};
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nftables::{NfTablesMessage, RuleAttribute, RuleMessage},
    none::ControlMessage,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use std::io;

/// NFNL_SUBSYS_NFTABLES
const SUBSYSTEM: u16 = 10;

pub fn open() -> io::Result<Channel> {
    Channel::open(NETLINK_NETFILTER)
}

#[derive(Debug, Default)]
pub struct Transaction {
    messages: Vec<(NetfilterProtoFamily, u16, NfTablesMessage)>,
}

impl Transaction {
    /// Puts the table in the place of what has its name.
    pub fn replace(&mut self, table: &Table) -> &mut Self {
        self.delete(table.family, &table.name);
        self.create(table)
    }

    /// Makes a table whose name is free.
    pub fn create(&mut self, table: &Table) -> &mut Self {
        let family = encode::family(table.family);
        for message in encode::create(table) {
            self.messages.push((family, NLM_F_CREATE | NLM_F_APPEND, message));
        }
        self
    }

    pub fn delete(&mut self, family: Family, name: &str) -> &mut Self {
        for message in encode::delete(name) {
            self.messages.push((encode::family(family), NLM_F_CREATE, message));
        }
        self
    }

    /// Puts a rule at the head of a chain that is there.
    pub fn insert(&mut self, family: NetfilterProtoFamily, table: &str, chain: &str, rule: &Rule) -> &mut Self {
        self.messages.push((family, NLM_F_CREATE, encode::new_rule(table, chain, rule)));
        self
    }

    pub fn delete_rule(&mut self, family: NetfilterProtoFamily, table: &str, chain: &str, handle: u64) -> &mut Self {
        let attributes =
            vec![RuleAttribute::Table(table.into()), RuleAttribute::Chain(chain.into()), RuleAttribute::Handle(handle)];
        self.messages.push((family, 0, NfTablesMessage::DeleteRule(RuleMessage { attributes })));
        self
    }

    /// An error is that of the first message that the kernel refused; nothing has changed then.
    pub fn commit(self, channel: &Channel) -> io::Result<()> {
        let Some(last) = self.messages.len().checked_sub(1) else { return Ok(()) };
        let mut bytes = Vec::with_capacity(self.messages.len() * 256);
        let mut sequence = 1;
        let mut add = |family, flags, resource, inner: NetfilterMessageInner| {
            let mut message =
                NetlinkMessage::from(NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner));
            message.header.flags = NLM_F_REQUEST | flags;
            message.header.sequence_number = sequence;
            sequence += 1;
            append(message, &mut bytes);
        };
        add(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM, ControlMessage::BatchBegin.into());
        for (index, (family, flags, message)) in self.messages.into_iter().enumerate() {
            let flags = flags | if index == last { NLM_F_ACK } else { 0 };
            add(family, flags, 0, message.into());
        }
        add(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM, ControlMessage::BatchEnd.into());
        match channel.send_bytes(&bytes)?.into_iter().next() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }
}
