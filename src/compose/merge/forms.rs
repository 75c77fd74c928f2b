//! The forms of an attribute that mean the same, brought to one of them so that two files can be merged.

use crate::compose::{
    diagnostics::Span,
    tree::{Entry, Kind, Mapping, Node},
};
use std::rc::Rc;

/// `[K=V, K]` as `{K: V, K: null}`, without items that are empty.
pub fn key_values(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut entries = Mapping::new();
    for item in items {
        // What is no text is left for the schema to complain of, in the list as it is.
        let Kind::Scalar { text, plain } = &item.kind else { return node.clone() };
        if text.is_empty() && !plain {
            continue;
        }
        let (name, kind) = match text.split_once('=') {
            Some((name, value)) => (name, Kind::string(value)),
            None => (text.as_str(), Kind::typed("")),
        };
        entries.insert(name.to_owned(), Entry { key: item.span, value: Rc::new(item.with(kind)) });
    }
    Rc::new(node.with(Kind::Mapping(entries)))
}

/// `[a, b]` as `{a: ..., b: ...}`.
pub fn named(node: &Rc<Node>, entry: fn(Span) -> Node) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut entries = Mapping::new();
    for item in items {
        let Kind::Scalar { text, .. } = &item.kind else { return node.clone() };
        entries.insert(text.clone(), Entry { key: item.span, value: Rc::new(entry(item.span)) });
    }
    Rc::new(node.with(Kind::Mapping(entries)))
}

/// A single value as a list of one.
pub fn listed(node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => Rc::new(Node::new(node.span, Kind::Sequence(vec![node.clone()]))),
        _ => node.clone(),
    }
}

/// `{host: address}` and `{host: [address, ...]}` as `[host=address, ...]`.
pub fn host_list(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let mut items = Vec::new();
    for (host, entry) in entries {
        let addresses = match &entry.value.kind {
            Kind::Sequence(addresses) => addresses.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        for address in addresses {
            let Kind::Scalar { text, .. } = &address.kind else { return node.clone() };
            let kind = Kind::string(format!("{host}={text}"));
            items.push(Rc::new(address.with(kind)));
        }
    }
    Rc::new(node.with(Kind::Sequence(items)))
}

/// `build: path` as `build: {context: path}`.
pub fn build(node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => {
            let context = Entry { key: node.span, value: node.clone() };
            Rc::new(Node::mapping(node.span, Mapping::from([("context".to_owned(), context)])))
        }
        _ => node.clone(),
    }
}

/// `external: {name: x}` as `external: true` and `name: x`.
pub fn resource(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let Some(external) = entries.get("external") else { return node.clone() };
    let Kind::Mapping(inner) = &external.value.kind else { return node.clone() };
    let mut entries = entries.clone();
    if let Some(name) = inner.get("name") {
        entries.entry("name".to_owned()).or_insert_with(|| name.clone());
    }
    let truth = Node::new(external.value.span, Kind::typed("true"));
    entries.insert("external".to_owned(), Entry { key: external.key, value: Rc::new(truth) });
    Rc::new(node.with(Kind::Mapping(entries)))
}
