//! `extra_hosts`: a sorted list of `host=address`.

use super::pass::Pass;
use crate::compose::{
    diagnostics::Span,
    tree::{Kind, Node},
};
use std::rc::Rc;

const HELP: &str = "write `host=address`";

/// No name is longer (RFC 1035).
const MAX_NAME: usize = 255;

/// `{host: address}`, `{host: [address, ...]}`, `[host=address]` and `[host:address]` as `[host=address]`.
pub fn list(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let mut lines = Vec::new();
    match &node.kind {
        Kind::Scalar { .. } => return node.clone(),
        Kind::Mapping(entries) => {
            for (host, entry) in entries {
                let addresses = match &entry.value.kind {
                    Kind::Sequence(addresses) => addresses.as_slice(),
                    _ => std::slice::from_ref(&entry.value),
                };
                if !is_usable(pass, entry.key, host) || !pass.reserve(entry.key, addresses.len()) {
                    continue;
                }
                for address in addresses {
                    let Kind::Scalar { .. } = &address.kind else { return node.clone() };
                    lines.push(line(address, host, address.scalar().unwrap_or_default()));
                }
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let Some(text) = item.scalar() else { return node.clone() };
                pass.at_item(index, |pass| from_text(pass, item, text, &mut lines));
            }
        }
    }
    lines.sort_by(|a, b| a.scalar().cmp(&b.scalar()));
    Rc::new(node.with(Kind::Sequence(lines)))
}

/// `host=address,address`
fn from_text(pass: &mut Pass<'_>, item: &Rc<Node>, text: &str, lines: &mut Vec<Rc<Node>>) {
    let Some((host, addresses)) = text.split_once('=').or_else(|| text.split_once(':')) else {
        pass.error_with_help(item.span, format!("is an invalid additional host, missing IP: \"{text}\""), HELP);
        return;
    };
    if is_usable(pass, item.span, host) && pass.reserve(item.span, addresses.split(',').count()) {
        lines.extend(addresses.split(',').map(|address| line(item, host, address)));
    }
}

fn is_usable(pass: &mut Pass<'_>, span: Span, host: &str) -> bool {
    let usable = !host.is_empty() && host.len() <= MAX_NAME && !host.contains([':', '=']);
    if !usable {
        pass.error_with_help(span, format!("has a bad host name '{host}'"), HELP);
    }
    usable
}

fn line(node: &Rc<Node>, host: &str, address: &str) -> Rc<Node> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|bare| !bare.is_empty());
    Rc::new(node.with(Kind::string(format!("{host}={}", bare.unwrap_or(address)))))
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn hosts_are_a_sorted_list() {
        check(&[
            (
                r#"extra_hosts: {z: 1.1.1.1, a: "::1", c: "[::1]", d: host-gateway, e: [2.2.2.2, 1.1.1.1]}"#,
                r#"["a=::1","c=::1","d=host-gateway","e=1.1.1.1","e=2.2.2.2","z=1.1.1.1"]"#,
            ),
            (
                r#"extra_hosts: ["a=1.1.1.1", "b:2.2.2.2", "c:::1", "d=[::1]", "a=1.1.1.1,3.3.3.3"]"#,
                r#"["a=1.1.1.1","a=1.1.1.1","a=3.3.3.3","b=2.2.2.2","c=::1","d=::1"]"#,
            ),
            (r#"extra_hosts: ["a="]"#, r#"["a="]"#),
            (
                r#"extra_hosts: ["a", "=1.1.1.1"]"#,
                r#"15: `extra_hosts[0]` is an invalid additional host, missing IP: "a"; 20: `extra_hosts[1]` has a bad host name ''"#,
            ),
            (r#"extra_hosts: {"a:b": 1.1.1.1}"#, "15: `extra_hosts` has a bad host name 'a:b'"),
            ("extra_hosts: {}", "[]"),
        ]);
    }
}
