//! `!reset` and `!override`: what a file takes away from what was loaded before it.

use super::{forms, replacing, rules, rules::Rule};
use crate::compose::tree::{Entry, Kind, Mapping, MergeTag, Node};
use std::rc::Rc;

/// `base` without what `over` resets or overrides. `path` is where both stand.
pub fn prune(base: &Rc<Node>, over: &Node, path: &mut Vec<String>) -> Rc<Node> {
    let Kind::Mapping(above) = &over.kind else { return base.clone() };
    let tagged = above.values().any(|entry| entry.value.tag.is_some());
    let base = match rules::rule(path) {
        _ if !tagged => base.clone(),
        Rule::KeyValues => forms::key_values(base),
        Rule::Names(entry) => forms::named(base, entry),
        Rule::Build => forms::build(base),
        Rule::Resource => forms::resource(base),
        _ => base.clone(),
    };
    let Kind::Mapping(below) = &base.kind else { return base };
    let mut changed: Option<Mapping> = None;
    for (name, entry) in above {
        let Some(existing) = below.get(name) else { continue };
        let pruned = match entry.value.tag {
            Some(MergeTag::Reset) => {
                changed.get_or_insert_with(|| below.clone());
                continue;
            }
            Some(MergeTag::Override) => remembered(&existing.value),
            None => {
                path.push(name.clone());
                let pruned = prune(&existing.value, &entry.value, path);
                path.pop();
                pruned
            }
        };
        if !Rc::ptr_eq(&pruned, &existing.value) {
            let kept = Entry { key: existing.key, value: pruned };
            changed.get_or_insert_with(|| below.clone()).insert(name.clone(), kept);
        }
    }
    let Some(mut kept) = changed else { return base.clone() };
    kept.retain(|name, _| above.get(name).is_none_or(|entry| entry.value.tag != Some(MergeTag::Reset)));
    Rc::new(base.with(Kind::Mapping(kept)))
}

/// Nothing, in the place of a value that is overridden: what comes in its place takes over its history.
fn remembered(node: &Rc<Node>) -> Rc<Node> {
    let nothing = Rc::new(Node::null(node.span));
    replacing(&nothing, node)
}

/// A file on its own: without what it resets, and what it overrides as if it were said plainly.
pub fn settle(node: &Rc<Node>) -> Rc<Node> {
    let reset = |value: &Rc<Node>| value.tag == Some(MergeTag::Reset);
    let kind = match &node.kind {
        Kind::Scalar { .. } => None,
        Kind::Sequence(items) => {
            let settled: Vec<Rc<Node>> = items.iter().filter(|item| !reset(item)).map(settle).collect();
            let same = settled.len() == items.len() && settled.iter().zip(items).all(|(a, b)| Rc::ptr_eq(a, b));
            (!same).then_some(Kind::Sequence(settled))
        }
        Kind::Mapping(entries) => settle_mapping(entries),
    };
    match kind {
        None if node.tag.is_none() => node.clone(),
        kind => Rc::new(Node { tag: None, ..node.with(kind.unwrap_or_else(|| node.kind.clone())) }),
    }
}

/// `None`: there is nothing to settle.
fn settle_mapping(entries: &Mapping) -> Option<Kind> {
    let mut changed: Option<Mapping> = None;
    for (name, entry) in entries {
        let settled = settle(&entry.value);
        if !Rc::ptr_eq(&settled, &entry.value) {
            let kept = Entry { key: entry.key, value: settled };
            changed.get_or_insert_with(|| entries.clone()).insert(name.clone(), kept);
        }
    }
    let resets = entries.values().any(|entry| entry.value.tag == Some(MergeTag::Reset));
    if !resets {
        return changed.map(Kind::Mapping);
    }
    let mut kept = changed.unwrap_or_else(|| entries.clone());
    kept.retain(|name, _| entries.get(name).is_none_or(|entry| entry.value.tag != Some(MergeTag::Reset)));
    Some(Kind::Mapping(kept))
}
