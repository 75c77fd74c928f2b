//! Lists: single values that stand for a list of one, and items of which there can be only one.

use super::{pass::Pass, scalars};
use crate::compose::tree::{Kind, Node};
use indexmap::IndexMap;
use std::rc::Rc;

/// A single value as a list of one.
pub fn one_or_more(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => Rc::new(node.with(Kind::Sequence(vec![node.clone()]))),
        _ => node.clone(),
    }
}

/// A list in which numbers are texts.
pub fn texts(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let items = items.iter().map(|item| scalars::text(pass, item)).collect();
    Rc::new(node.with(Kind::Sequence(items)))
}

/// Of items with the same text before a `=`, the last one, at the place of the first: that is how overrides work.
pub fn distinct(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    distinct_by(pass, node, |item| {
        let text = scalar(item)?;
        Some(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
    })
}

pub fn distinct_texts(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    distinct_by(pass, node, |item| scalar(item).map(str::to_owned))
}

/// Files that are read, by their path.
pub fn distinct_paths(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    distinct_by(pass, node, |item| scalar(&item.get("path")?.value).map(str::to_owned))
}

/// Of items with the same identity, the last one, at the place of the first. What has none stays.
pub fn distinct_by(_: &mut Pass<'_>, node: &Rc<Node>, identity: fn(&Node) -> Option<String>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut kept: IndexMap<Identity, &Rc<Node>> = IndexMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let identity = identity(item).map_or(Identity::Place(index), Identity::Known);
        kept.insert(identity, item);
    }
    if kept.len() == items.len() {
        return node.clone();
    }
    Rc::new(node.with(Kind::Sequence(kept.into_values().cloned().collect())))
}

#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Known(String),
    Place(usize),
}

/// The text of a scalar that is not nothing.
pub fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn single_values_become_lists_without_duplicates() {
        check(&[
            ("dns: 1.1.1.1", r#"["1.1.1.1"]"#),
            ("dns: [1.1.1.1, 8.8.8.8, 1.1.1.1]", r#"["1.1.1.1","8.8.8.8"]"#),
            ("dns_search: a.b", r#"["a.b"]"#),
            ("dns_opt: [a, b, a]", r#"["a","b"]"#),
            (r#"tmpfs: "/run:size=64m""#, r#"["/run:size=64m"]"#),
            (r#"tmpfs: [/a, "/b:size=1m", /a]"#, r#"["/a","/b:size=1m"]"#),
            (r#"expose: [80, "81", "82-84/udp", "80"]"#, r#"["80","81","82-84/udp"]"#),
            ("group_add: [a, 1000]", r#"["a","1000"]"#),
            ("cap_add: [A, B, A]", r#"["A","B"]"#),
            ("profiles: [a, a]", r#"["a"]"#),
        ]);
    }
}
