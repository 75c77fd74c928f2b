//! A query in, an answer or the advice to relay it out. Pure.

use super::zone::Zone;
use crate::model::ContainerId;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata},
};
use std::net::Ipv4Addr;

/// Seconds. Short, so that a client that caches follows a recreated container.
const TTL: u32 = 5;
/// What a message over UDP may have without EDNS (RFC 1035) and what we say with it.
const PLAIN_UDP: u16 = 512;
const EDNS_UDP: u16 = 1232;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Reply(Vec<u8>),
    /// A name that no container has: the host's resolvers are to be asked.
    Relay,
    /// Not a query at all; an answer might start a loop between two servers.
    Ignore,
}

/// `turn` rotates the addresses of a name with several.
pub fn answer(query: &[u8], zone: &Zone, asker: &ContainerId, transport: Transport, turn: usize) -> Verdict {
    // QR, the top bit of the third byte, marks a response.
    if query.len() < 12 || query[2] & 0x80 != 0 {
        return Verdict::Ignore;
    }
    let Ok(message) = Message::from_vec(query) else {
        return Verdict::Reply(failure(query, ResponseCode::FormErr));
    };
    if message.op_code != OpCode::Query {
        return Verdict::Reply(failure(query, ResponseCode::NotImp));
    }
    let [question] = message.queries.as_slice() else {
        return Verdict::Reply(failure(query, ResponseCode::FormErr));
    };
    if question.query_class() != DNSClass::IN {
        return Verdict::Relay;
    }
    let name = question.name();
    let records = if let Some(address) = reverse_address(name) {
        match zone.reverse(asker, address).map(Name::from_ascii) {
            Some(Ok(mut target)) => {
                target.set_fqdn(true);
                match question.query_type() {
                    RecordType::PTR | RecordType::ANY => {
                        vec![Record::from_rdata(name.clone(), TTL, RData::PTR(rdata::PTR(target)))]
                    }
                    _ => Vec::new(),
                }
            }
            _ => return Verdict::Relay,
        }
    } else {
        match zone.resolve(asker, &text(name), turn) {
            Some(addresses) => match question.query_type() {
                RecordType::A | RecordType::ANY => addresses
                    .into_iter()
                    .map(|address| Record::from_rdata(name.clone(), TTL, RData::A(rdata::A(address))))
                    .collect(),
                // The name exists and has nothing of that type: no IPv6, no mail.
                _ => Vec::new(),
            },
            None => return Verdict::Relay,
        }
    };
    match reply(&message, records, transport) {
        Some(bytes) => Verdict::Reply(bytes),
        None => Verdict::Reply(failure(query, ResponseCode::ServFail)),
    }
}

/// The answer to a query that cannot be served: its header and question with another code, whatever they are.
pub fn failure(query: &[u8], code: ResponseCode) -> Vec<u8> {
    let end = question_end(query);
    let mut bytes = query.get(..end.unwrap_or(12)).unwrap_or(query).to_vec();
    if bytes.len() < 12 {
        return bytes;
    }
    // QR and RA on, opcode and RD as they were, then one question at most and nothing else.
    bytes[2] = 0x80 | (bytes[2] & 0x79);
    bytes[3] = 0x80 | (code.low() & 0x0f);
    bytes[4..12].copy_from_slice(&[0, u8::from(end.is_some()), 0, 0, 0, 0, 0, 0]);
    bytes
}

/// End of the first question. Compressed names do not occur in questions.
fn question_end(query: &[u8]) -> Option<usize> {
    if query.get(4..6)? == [0, 0] {
        return None;
    }
    let mut at = 12;
    loop {
        match usize::from(*query.get(at)?) {
            0 => break,
            length @ 1..=63 => at += 1 + length,
            _ => return None,
        }
    }
    query.get(..at + 5).map(<[u8]>::len)
}

fn reply(query: &Message, records: Vec<Record>, transport: Transport) -> Option<Vec<u8>> {
    let mut message = Message::new(query.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = query.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = ResponseCode::NoError;
    message.add_queries(query.queries.iter().cloned());
    message.answers = records;
    let mut limit = usize::from(u16::MAX);
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_UDP);
        edns.set_version(0);
        message.edns = Some(edns);
        if transport == Transport::Udp {
            limit = usize::from(asked.max_payload().max(PLAIN_UDP));
        }
    } else if transport == Transport::Udp {
        limit = usize::from(PLAIN_UDP);
    }
    let mut bytes = message.to_vec().ok()?;
    while bytes.len() > limit && !message.answers.is_empty() {
        // As many as fit; the bit makes the client ask again over TCP.
        let keep = message.answers.len() * limit / bytes.len();
        message.answers.truncate(keep.min(message.answers.len() - 1));
        message.metadata.truncation = true;
        bytes = message.to_vec().ok()?;
    }
    Some(bytes)
}

fn text(name: &Name) -> String {
    // Not `to_utf8`: labels that are no host names must not be taken for one that is.
    name.to_ascii()
}

/// `4.3.2.1.in-addr.arpa`
fn reverse_address(name: &Name) -> Option<Ipv4Addr> {
    let text = name.to_ascii().to_ascii_lowercase();
    let digits = text.trim_end_matches('.').strip_suffix(".in-addr.arpa")?;
    let octets: Vec<u8> = digits.split('.').map(|octet| octet.parse().ok()).collect::<Option<_>>()?;
    let [d, c, b, a] = octets.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::super::zone::{Endpoint, Member};
    use super::*;
    use hickory_proto::op::Query;

    fn asker() -> ContainerId {
        ContainerId::new("a".repeat(64))
    }

    fn zone(replicas: u8) -> Zone {
        let members: Vec<Member> = (0..replicas)
            .map(|number| Member {
                id: Some(if number == 0 { asker() } else { ContainerId::new(format!("{number:064x}")) }),
                name: format!("shop-web-{}", number + 1),
                hostname: format!("host{number}"),
                service: Some("web".into()),
                endpoints: vec![Endpoint {
                    network: "shop_default".into(),
                    address: Ipv4Addr::new(10, 1, 0, number + 2),
                    aliases: Vec::new(),
                }],
            })
            .collect();
        Zone::new(&members)
    }

    fn query(name: &str, kind: RecordType, payload: Option<u16>) -> Vec<u8> {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        if let Some(payload) = payload {
            let mut edns = Edns::new();
            edns.set_max_payload(payload);
            message.edns = Some(edns);
        }
        message.to_vec().unwrap()
    }

    /// The answer in a line.
    fn ask(zone: &Zone, bytes: &[u8], transport: Transport) -> String {
        match answer(bytes, zone, &asker(), transport, 0) {
            Verdict::Relay => "relay".into(),
            Verdict::Ignore => "ignore".into(),
            Verdict::Reply(bytes) => {
                let message = Message::from_vec(&bytes).unwrap();
                assert_eq!(message.id, 4711);
                let answers: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
                let cut = if message.metadata.truncation { " truncated" } else { "" };
                format!("{:?}{cut} {}", message.metadata.response_code, answers.join(" ")).trim_end().to_owned()
            }
        }
    }

    #[test]
    fn known_names_are_answered_and_others_relayed() {
        let zone = zone(2);
        let table = [
            ("web.", RecordType::A, "NoError 10.1.0.2 10.1.0.3"),
            ("WeB.", RecordType::A, "NoError 10.1.0.2 10.1.0.3"),
            ("shop-web-2.", RecordType::A, "NoError 10.1.0.3"),
            ("web.", RecordType::AAAA, "NoError"),
            ("web.", RecordType::MX, "NoError"),
            ("3.0.1.10.in-addr.arpa.", RecordType::PTR, "NoError shop-web-2.shop_default."),
            ("9.9.9.9.in-addr.arpa.", RecordType::PTR, "relay"),
            ("example.com.", RecordType::A, "relay"),
            ("nobody.", RecordType::A, "relay"),
        ];
        for (name, kind, expected) in table {
            assert_eq!(ask(&zone, &query(name, kind, None), Transport::Udp), expected, "{name} {kind}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said_to_be() {
        let zone = zone(100);
        let plain = ask(&zone, &query("web.", RecordType::A, None), Transport::Udp);
        assert!(plain.starts_with("NoError truncated 10.1.0.2"), "{plain}");
        let Verdict::Reply(bytes) =
            answer(&query("web.", RecordType::A, Some(1232)), &zone, &asker(), Transport::Udp, 0)
        else {
            panic!("no reply")
        };
        assert!(bytes.len() <= 1232 && bytes.len() > 1100, "{}", bytes.len());
        let whole = ask(&zone, &query("web.", RecordType::A, None), Transport::Tcp);
        assert_eq!(whole.split(' ').count(), 101);
    }

    #[test]
    fn the_question_comes_back_as_it_was_written() {
        let Verdict::Reply(bytes) = answer(&query("WeB.", RecordType::A, None), &zone(1), &asker(), Transport::Udp, 0)
        else {
            panic!("no reply")
        };
        // Clients that mix the case to make answers harder to forge compare it.
        assert_eq!(&bytes[12..17], b"\x03WeB\0");
    }

    #[test]
    fn broken_queries_get_an_error_and_answers_none() {
        let zone = zone(1);
        let mut cut = query("web.", RecordType::A, None);
        cut.truncate(20);
        assert_eq!(ask(&zone, &cut, Transport::Udp), "FormErr");
        let mut response = query("web.", RecordType::A, None);
        response[2] |= 0x80;
        assert_eq!(ask(&zone, &response, Transport::Udp), "ignore");
        let mut update = query("web.", RecordType::A, None);
        update[2] |= 5 << 3;
        assert_eq!(ask(&zone, &update, Transport::Udp), "NotImp");
        assert_eq!(ask(&zone, b"short", Transport::Udp), "ignore");
    }

    #[test]
    fn no_bytes_bring_it_down() {
        let (zone, good) = (zone(3), query("web.", RecordType::A, Some(4096)));
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % bytes.len();
                bytes[at] = (state >> 24) as u8;
            }
            bytes.truncate((state >> 4) as usize % (bytes.len() + 1));
            let _ = answer(&bytes, &zone, &asker(), Transport::Udp, 7);
        }
    }
}
