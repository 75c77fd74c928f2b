//! Later files over earlier ones. What a path does is in `rules.rs`; how it is done is here.

mod rules;

use super::{
    diagnostics::{Diagnostic, Span},
    tree::{Entry, Kind, Mapping, MergeTag, Node},
};
use rules::Rule;
use std::rc::Rc;

/// `over` on top of `base`.
pub fn merge(base: &Rc<Node>, over: &Rc<Node>, findings: &mut Vec<Diagnostic>) -> Rc<Node> {
    Merger { path: Vec::new(), findings }.node(base, over)
}

/// Without what `!reset` takes away; for the first file, which has nothing below it.
pub fn settle(node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } => node.clone(),
        Kind::Sequence(items) => {
            let items = items.iter().filter(|item| item.tag != Some(MergeTag::Reset)).map(settle).collect();
            Rc::new(Node::new(node.span, Kind::Sequence(items)))
        }
        Kind::Mapping(entries) => {
            let kept = entries.iter().filter(|(_, entry)| entry.value.tag != Some(MergeTag::Reset));
            let settled = |(name, entry): (&String, &Entry)| {
                (name.clone(), Entry { key: entry.key, value: settle(&entry.value) })
            };
            Rc::new(Node::mapping(node.span, kept.map(settled).collect()))
        }
    }
}

struct Merger<'a> {
    path: Vec<String>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Merger<'_> {
    fn node(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        if over.tag == Some(MergeTag::Override) {
            return settle(over);
        }
        match rules::rule(&self.path) {
            Rule::Replace => settle(over),
            Rule::Deep => self.deep(base, over),
            Rule::KeyValues => self.deep(&key_values(base), &key_values(over)),
            Rule::Names(entry) => self.deep(&named(base, entry), &named(over, entry)),
            Rule::List => self.deep(&listed(base), &listed(over)),
            Rule::HostList => self.deep(&host_list(base), &host_list(over)),
            Rule::KeyedList(key) => self.keyed(base, over, key),
            Rule::Logging => self.logging(base, over),
        }
    }

    /// Mappings by key, lists one after the other, anything else replaced.
    fn deep(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        match (&base.kind, &over.kind) {
            (Kind::Mapping(below), Kind::Mapping(above)) => self.mappings(over.span, below, above),
            (Kind::Sequence(below), Kind::Sequence(above)) => {
                let items = below.iter().chain(above).cloned().collect();
                Rc::new(Node::new(over.span, Kind::Sequence(items)))
            }
            // A key with nothing behind it changes nothing.
            _ if over.is_null() => base.clone(),
            (Kind::Scalar { .. }, Kind::Scalar { .. }) => over.clone(),
            (Kind::Scalar { .. }, _) if base.is_null() => settle(over),
            _ => {
                let message = format!("cannot override {}: {} in place of {}", self.shown(), kind(over), kind(base));
                let finding = Diagnostic::error(message).at(over.span).because(base.span, "overrides this");
                self.findings.push(finding.help("`!override` replaces a value as a whole"));
                base.clone()
            }
        }
    }

    fn mappings(&mut self, span: Span, below: &Mapping, above: &Mapping) -> Rc<Node> {
        let mut merged = below.clone();
        for (name, entry) in above {
            if entry.value.tag == Some(MergeTag::Reset) {
                merged.shift_remove(name);
                continue;
            }
            let value = match below.get(name) {
                Some(existing) => {
                    self.path.push(name.clone());
                    let value = self.node(&existing.value, &entry.value);
                    self.path.pop();
                    value
                }
                None => settle(&entry.value),
            };
            merged.insert(name.clone(), Entry { key: entry.key, value });
        }
        Rc::new(Node::mapping(span, merged))
    }

    /// Lists of mappings in which one key tells who is who.
    fn keyed(&mut self, base: &Rc<Node>, over: &Rc<Node>, key: &str) -> Rc<Node> {
        let (Kind::Sequence(below), Kind::Sequence(above)) = (&base.kind, &over.kind) else {
            return self.deep(base, over);
        };
        let identity = |node: &Rc<Node>| match &node.get(key).map(|entry| &entry.value.kind) {
            Some(Kind::Scalar { text, .. }) => Some(text.clone()),
            _ => None,
        };
        let mut items = below.clone();
        for item in above {
            let twin =
                identity(item).and_then(|id| items.iter().position(|other| identity(other).as_ref() == Some(&id)));
            match twin {
                Some(index) => items[index] = self.deep(&items[index].clone(), item),
                None => items.push(settle(item)),
            }
        }
        Rc::new(Node::new(over.span, Kind::Sequence(items)))
    }

    /// Options belong to a driver: they are merged only where it stays the same.
    fn logging(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        let driver = |node: &Rc<Node>| match &node.get("driver").map(|entry| &entry.value.kind) {
            Some(Kind::Scalar { text, .. }) => Some(text.clone()),
            _ => None,
        };
        match (driver(base), driver(over)) {
            (Some(below), Some(above)) if below != above => settle(over),
            _ => self.deep(base, over),
        }
    }

    fn shown(&self) -> String {
        if self.path.is_empty() { "the top level".into() } else { format!("`{}`", self.path.join(".")) }
    }
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        Kind::Scalar { .. } => "a single value",
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a mapping",
    }
}

/// `[K=V, K]` as `{K: V, K: null}`.
fn key_values(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut entries = Mapping::new();
    for item in items {
        // What is no text is left for the decoder to complain of, in the list as it is.
        let Kind::Scalar { text, .. } = &item.kind else { return node.clone() };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Node::text(item.span, value)),
            None => (text.as_str(), Node::null(item.span)),
        };
        entries.insert(name.to_owned(), Entry { key: item.span, value: Rc::new(value) });
    }
    Rc::new(Node::mapping(node.span, entries))
}

/// `[a, b]` as `{a: ..., b: ...}`.
fn named(node: &Rc<Node>, entry: fn(Span) -> Node) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut entries = Mapping::new();
    for item in items {
        let Kind::Scalar { text, .. } = &item.kind else { return node.clone() };
        entries.insert(text.clone(), Entry { key: item.span, value: Rc::new(entry(item.span)) });
    }
    Rc::new(Node::mapping(node.span, entries))
}

/// A single value as a list of one.
fn listed(node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => Rc::new(Node::new(node.span, Kind::Sequence(vec![node.clone()]))),
        _ => node.clone(),
    }
}

/// `{host: address}` and `{host: [address, ...]}` as `[host=address, ...]`.
fn host_list(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let mut items = Vec::new();
    for (host, entry) in entries {
        let addresses = match &entry.value.kind {
            Kind::Sequence(addresses) => addresses.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        for address in addresses {
            let Kind::Scalar { text, .. } = &address.kind else { return node.clone() };
            items.push(Rc::new(Node::text(address.span, format!("{host}={text}"))));
        }
    }
    Rc::new(Node::new(node.span, Kind::Sequence(items)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{
        diagnostics::{Diagnostics, SourceText},
        tree::{self, Plain},
    };

    fn show(node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { .. } if matches!(node.plain(), Some(Plain::Null)) => "null".into(),
            Kind::Scalar { text, .. } => text.clone(),
            Kind::Sequence(items) => format!("[{}]", items.iter().map(|n| show(n)).collect::<Vec<_>>().join(", ")),
            Kind::Mapping(entries) => {
                let entries: Vec<String> = entries.iter().map(|(k, e)| format!("{k}: {}", show(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// `base` and `over` are values at services.web.ATTRIBUTE.
    fn merged(attribute: &str, base: &str, over: &str) -> String {
        let mut findings = Vec::new();
        let file = |value: &str| format!("services: {{web: {{{attribute}: {value}}}}}\n");
        let texts = [file(base), file(over)];
        let mut trees = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            trees.extend(tree::parse(index as u32, text, &mut findings));
        }
        let result = merge(&settle(&trees[0]), &trees[1], &mut findings);
        let source = |(name, text): (&str, &String)| SourceText { name: name.into(), text: text.as_str().into() };
        let findings =
            Diagnostics::new(findings, ["base.yaml", "over.yaml"].into_iter().zip(&texts).map(source).collect());
        let web = &result.get("services").unwrap().value.get("web").unwrap().value;
        match web.get(attribute.rsplit('{').next().unwrap()) {
            _ if !findings.is_empty() => findings.render(false),
            Some(entry) => show(&entry.value),
            None => "gone".into(),
        }
    }

    #[test]
    fn every_attribute_merges_by_its_rule() {
        for (attribute, base, over, expected) in [
            ("image", "a", "b", "b"),
            ("command", "[a, b]", "[c]", "[c]"),
            ("command", "[a, b]", "c d", "c d"),
            ("entrypoint", "[a]", "null", "null"),
            ("environment", "{A: 1, B: 2}", "{B: 3, C: 4}", "{A: 1, B: 3, C: 4}"),
            ("environment", "[A=1, B=2]", "{A: 3}", "{A: 3, B: 2}"),
            ("environment", "{A: 1}", "[A=2, C]", "{A: 2, C: null}"),
            ("environment", "{A: 1}", "", "{A: 1}"),
            ("environment", "{A: 1, B: 2}", "{A: }", "{A: null, B: 2}"),
            ("image", "a", "", "a"),
            ("command", "a", "", "null"),
            ("labels", "[a=1]", "[a=2]", "{a: 2}"),
            ("dns", "1.1.1.1", "[8.8.8.8]", "[1.1.1.1, 8.8.8.8]"),
            ("tmpfs", "/a", "/b", "[/a, /b]"),
            ("env_file", "a", "{path: b}", "cannot"),
            ("env_file", "a", "[{path: b}]", "[a, {path: b}]"),
            ("ports", "['80:80']", "['8080:80']", "[80:80, 8080:80]"),
            ("ports", "['80:80']", "", "[80:80]"),
            ("cap_add", "[A]", "[B]", "[A, B]"),
            (
                "depends_on",
                "{a: {condition: service_healthy}}",
                "[a, b]",
                "{a: {condition: service_started, required: true}, b: {condition: service_started, required: true}}",
            ),
            ("networks", "[a]", "{b: {aliases: [x]}}", "{a: null, b: {aliases: [x]}}"),
            ("networks", "{a: {aliases: [x]}}", "[a]", "{a: {aliases: [x]}}"),
            ("networks", "{a: {aliases: [x]}}", "{a: {aliases: [y]}}", "{a: {aliases: [x, y]}}"),
            (
                "ulimits",
                "{nofile: {soft: 1, hard: 2}, nproc: 1}",
                "{nofile: {hard: 9}}",
                "{nofile: {hard: 9}, nproc: 1}",
            ),
            ("healthcheck", "{test: [CMD, a], retries: 1}", "{test: [CMD, b]}", "{test: [CMD, b], retries: 1}"),
            ("logging", "{driver: a, options: {x: 1}}", "{driver: b, options: {y: 2}}", "{driver: b, options: {y: 2}}"),
            ("logging", "{driver: a, options: {x: 1}}", "{options: {y: 2}}", "{driver: a, options: {x: 1, y: 2}}"),
            ("extra_hosts", "{a: 1.1.1.1}", "['a=2.2.2.2']", "[a=1.1.1.1, a=2.2.2.2]"),
            ("image", "a", "!reset null", "gone"),
            ("ports", "['80:80']", "!override ['90:90']", "[90:90]"),
            ("environment", "{A: 1, B: 2}", "{A: !reset null, C: !reset x}", "{B: 2}"),
        ] {
            let result = merged(attribute, base, over);
            if expected == "cannot" {
                assert!(result.contains("cannot override"), "{attribute}: {result}");
            } else {
                assert_eq!(result, expected, "{attribute}: {base} <- {over}");
            }
        }
    }

    #[test]
    fn a_kind_that_does_not_fit_names_both_places() {
        insta::assert_snapshot!(merged("ports", "['80:80']", "{a: b}"), @r"
        error: cannot override `services.web.ports`: a mapping in place of a list
         --> over.yaml:1:25
          |
        1 | services: {web: {ports: {a: b}}}
          |                         ^^^^^^
          |
         ::: base.yaml:1:25
          |
        1 | services: {web: {ports: ['80:80']}}
          |                         --------- overrides this
          |
          = help: `!override` replaces a value as a whole
        ");
    }

    #[test]
    fn reset_works_where_there_is_nothing_to_reset() {
        let mut findings = Vec::new();
        let trees = tree::parse(0, "a: !reset 1\nb: {c: !reset 1, d: 2}\n", &mut findings);
        assert_eq!(show(&settle(&trees[0])), "{b: {d: 2}}");
    }
}
