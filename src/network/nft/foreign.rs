//! Other programs' forward chains. A packet has to be accepted by every base chain of a hook, so an accept in
//! muster's own table does not help against a drop in Docker's or ufw's: muster's bridges get an accept there.
//!
//! Such a rule carries the comment `muster`, by which it is found again. It is inserted once and taken away with the
//! last network. Chains of an unknown maker that drop by policy are not touched but told to the user.

use super::transaction::Transaction;
use crate::network::{
    firewall,
    netlink::{Channel, attributes},
    nft::encode::comment_data,
};
use netlink_packet_core::NetlinkMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nftables::{ChainMessage, NfTablesMessage, RuleAttribute, RuleMessage},
};
use std::io;

/// NF_INET_FORWARD
const FORWARD: u32 = 2;
/// nlmsghdr and nfgenmsg
const HEADERS: usize = 20;
const INET: u8 = 1;
const IPV4: u8 = 2;

/// A chain as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    pub family: u8,
    pub table: String,
    pub name: String,
    /// A base chain of the forward hook.
    pub forwards: bool,
    pub drops_by_policy: bool,
}

/// What is to be done about others' chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Where accepts have to stand: family, table, chain.
    pub through: Vec<(u8, String, String)>,
    pub warnings: Vec<String>,
}

/// Pure. `docker_user_is_used`: the forward chain jumps to it, so rules there take effect.
pub fn way(chains: &[ForeignChain], docker_user_is_used: bool, forward_has_rules: bool) -> Way {
    let mut way = Way::default();
    let is = |chain: &ForeignChain, family, table, name| {
        chain.family == family && chain.table == table && chain.name == name
    };
    let docker_user = docker_user_is_used && chains.iter().any(|chain| is(chain, IPV4, "filter", "DOCKER-USER"));
    for chain in chains.iter().filter(|chain| chain.forwards && !chain.table.starts_with("muster-")) {
        if is(chain, IPV4, "filter", "FORWARD") {
            // The table of iptables-nft: Docker's, ufw's, anybody's. A reject at its end is as good as a policy.
            let name = if docker_user { "DOCKER-USER" } else { "FORWARD" };
            if chain.drops_by_policy || forward_has_rules || docker_user {
                way.through.push((IPV4, "filter".into(), name.into()));
            }
        } else if is(chain, INET, "firewalld", "filter_FORWARD") {
            way.through.push((INET, "firewalld".into(), chain.name.clone()));
        } else if chain.drops_by_policy && (chain.family == INET || chain.family == IPV4) {
            way.warnings.push(format!(
                "nftables chain {} of table {} drops forwarded packets: add `iifname \"mst-*\" accept` and `oifname \
                 \"mst-*\" accept` to it, or containers cannot be reached and cannot reach out",
                chain.name, chain.table
            ));
        }
    }
    way
}

/// Puts the accepts where they are missing. Returns whether anything was missing, and what a person has to do.
pub fn pass(channel: &Channel) -> io::Result<(bool, Vec<String>)> {
    let mut way = look(channel)?;
    let mut missing = false;
    for (family, table, chain) in &way.through {
        if tagged(channel, *family, table, chain)?.len() >= firewall::passes().len() {
            continue;
        }
        missing = true;
        let mut transaction = Transaction::default();
        remove_tagged(channel, &mut transaction, *family, table, chain)?;
        for rule in firewall::passes() {
            transaction.insert(NetfilterProtoFamily::from(*family), table, chain, &rule);
        }
        match transaction.commit(channel) {
            Ok(()) => {}
            // firewalld since 2.1 owns its table (NFT_TABLE_F_OWNER): nobody else may write it.
            Err(error) if *table == "firewalld" => way.warnings.push(format!(
                "firewalld owns its table ({error}): run `firewall-cmd --permanent --zone=trusted \
                 --add-interface=mst-+` and `firewall-cmd --reload`, or containers cannot be reached"
            )),
            Err(error) => return Err(error),
        }
    }
    Ok((missing, way.warnings))
}

/// Takes every accept of muster away, also from a chain that is not used any more.
pub fn unpass(channel: &Channel) -> io::Result<()> {
    let mut transaction = Transaction::default();
    for chain in chains(channel)? {
        let known = match (chain.family, chain.table.as_str()) {
            (IPV4, "filter") => chain.name == "FORWARD" || chain.name == "DOCKER-USER",
            (INET, "firewalld") => chain.name == "filter_FORWARD",
            _ => false,
        };
        if known {
            remove_tagged(channel, &mut transaction, chain.family, &chain.table, &chain.name)?;
        }
    }
    transaction.commit(channel)
}

fn look(channel: &Channel) -> io::Result<Way> {
    let chains = chains(channel)?;
    let has =
        |name: &str| chains.iter().any(|chain| chain.family == IPV4 && chain.table == "filter" && chain.name == name);
    let (mut docker_user_is_used, mut forward_has_rules) = (false, false);
    if has("FORWARD") {
        rules(channel, IPV4, "filter", "FORWARD", |rule| {
            forward_has_rules |= !is_tagged(rule);
            docker_user_is_used |= rule.windows(12).any(|part| part == b"DOCKER-USER\0");
        })?;
    }
    Ok(way(&chains, docker_user_is_used, forward_has_rules))
}

fn request(family: NetfilterProtoFamily, message: NfTablesMessage) -> NetlinkMessage<NetfilterMessage> {
    let inner: NetfilterMessageInner = message.into();
    NetlinkMessage::from(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), inner))
}

/// Every chain of every family.
pub fn chains(channel: &Channel) -> io::Result<Vec<ForeignChain>> {
    let all = NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() });
    let mut found = Vec::new();
    channel.dump_raw(request(NetfilterProtoFamily::Unspec, all), |message| {
        found.extend(chain(message));
        Ok(())
    })?;
    Ok(found)
}

/// NFTA_CHAIN_TABLE 1, NAME 3, HOOK 4 (NFTA_HOOK_HOOKNUM 1), POLICY 5; NF_DROP is 0.
fn chain(message: &[u8]) -> Option<ForeignChain> {
    let family = *message.get(HEADERS - 4)?;
    let (mut table, mut name, mut hook, mut policy) = (None, None, None, None);
    for (kind, value) in attributes(message.get(HEADERS..)?) {
        match kind {
            1 => table = text(value),
            3 => name = text(value),
            4 => hook = attributes(value).find(|(kind, _)| *kind == 1).and_then(|(_, number)| number_of(number)),
            5 => policy = number_of(value),
            _ => {}
        }
    }
    Some(ForeignChain {
        family,
        table: table?,
        name: name?,
        forwards: hook == Some(FORWARD),
        drops_by_policy: policy == Some(0),
    })
}

fn text(value: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned())
}

fn number_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// The attributes of each rule of a chain.
fn rules(channel: &Channel, family: u8, table: &str, chain: &str, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let of_chain = NfTablesMessage::GetRule(RuleMessage {
        attributes: vec![RuleAttribute::Table(table.into()), RuleAttribute::Chain(chain.into())],
    });
    channel.dump_raw(request(NetfilterProtoFamily::from(family), of_chain), |message| {
        if let Some(rule) = message.get(HEADERS..) {
            each(rule);
        }
        Ok(())
    })
}

/// How many rules a table has; none where it does not exist.
pub fn count_rules(channel: &Channel, family: NetfilterProtoFamily, table: &str) -> io::Result<usize> {
    let of_table = NfTablesMessage::GetRule(RuleMessage { attributes: vec![RuleAttribute::Table(table.into())] });
    let mut count = 0;
    match channel.dump_raw(request(family, of_table), |_| {
        count += 1;
        Ok(())
    }) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(0),
        other => other.map(|()| count),
    }
}

/// Handles of the rules that are muster's.
fn tagged(channel: &Channel, family: u8, table: &str, chain: &str) -> io::Result<Vec<u64>> {
    let mut handles = Vec::new();
    rules(channel, family, table, chain, |rule| {
        if is_tagged(rule) {
            // NFTA_RULE_HANDLE 3
            let handle = attributes(rule).find(|(kind, _)| *kind == 3).and_then(|(_, value)| value.try_into().ok());
            handles.extend(handle.map(u64::from_be_bytes));
        }
    })?;
    Ok(handles)
}

/// NFTA_RULE_USERDATA 7
fn is_tagged(rule: &[u8]) -> bool {
    let comment = comment_data("muster");
    attributes(rule).any(|(kind, value)| kind == 7 && value == comment)
}

fn remove_tagged(
    channel: &Channel,
    transaction: &mut Transaction,
    family: u8,
    table: &str,
    chain: &str,
) -> io::Result<()> {
    for handle in tagged(channel, family, table, chain)? {
        transaction.delete_rule(NetfilterProtoFamily::from(family), table, chain, handle);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(family: u8, table: &str, name: &str, drops_by_policy: bool) -> ForeignChain {
        ForeignChain { family, table: table.into(), name: name.into(), forwards: true, drops_by_policy }
    }
    fn through(way: &Way) -> Vec<String> {
        way.through.iter().map(|(family, table, chain)| format!("{family} {table} {chain}")).collect()
    }

    #[test]
    fn each_known_firewall_is_passed_where_it_allows_it() {
        let docker_user = ForeignChain { forwards: false, ..base(IPV4, "filter", "DOCKER-USER", false) };
        let docker = [base(IPV4, "filter", "FORWARD", true), docker_user];
        assert_eq!(through(&way(&docker, true, true)), ["2 filter DOCKER-USER"]);
        // Docker is gone, its chain is left behind.
        assert_eq!(through(&way(&docker, false, true)), ["2 filter FORWARD"]);
        let ufw = [base(IPV4, "filter", "FORWARD", true)];
        assert_eq!(through(&way(&ufw, false, false)), ["2 filter FORWARD"]);
        let accepting = [base(IPV4, "filter", "FORWARD", false)];
        assert_eq!(through(&way(&accepting, false, false)), [""; 0]);
        assert_eq!(through(&way(&accepting, false, true)), ["2 filter FORWARD"]);
        let firewalld = [base(INET, "firewalld", "filter_FORWARD", false)];
        assert_eq!(through(&way(&firewalld, false, false)), ["1 firewalld filter_FORWARD"]);
        assert!(way(&firewalld, false, false).warnings.is_empty());
    }

    #[test]
    fn an_unknown_drop_is_told_and_not_touched() {
        let chains = [base(INET, "mine", "fwd", true), base(IPV4, "muster-shop", "forward", true)];
        let way = way(&chains, false, false);
        assert!(way.through.is_empty());
        assert_eq!(way.warnings.len(), 1);
        assert!(way.warnings[0].starts_with("nftables chain fwd of table mine drops forwarded packets"));
    }
}
