//! Lists that hold each thing once: of two items that mean the same thing, the last one stands, where the first stood.
//!
//! This is no check: a file that says `8080:80` twice is fine. It happens before the schema looks at duplicates, and
//! once more when short forms have become long ones, which can show that two items are the same.

use super::{
    replacing,
    rules::{self, Identity},
};
use crate::compose::{
    canonical::short_target,
    tree::{Entry, Kind, Node},
};
use indexmap::IndexMap;
use std::rc::Rc;

/// The tree with every such list cleared of what later items replace.
pub fn enforce(root: &Rc<Node>) -> Rc<Node> {
    within(root, &mut Vec::new())
}

fn within(node: &Rc<Node>, path: &mut Vec<String>) -> Rc<Node> {
    match &node.kind {
        Kind::Mapping(entries) if path.len() < DEEPEST => {
            let mut changed = None;
            for (name, entry) in entries {
                path.push(name.clone());
                let value = within(&entry.value, path);
                path.pop();
                if !Rc::ptr_eq(&value, &entry.value) {
                    let kept = Entry { key: entry.key, value };
                    changed.get_or_insert_with(|| entries.clone()).insert(name.clone(), kept);
                }
            }
            changed.map_or_else(|| node.clone(), |entries| Rc::new(node.with(Kind::Mapping(entries))))
        }
        Kind::Sequence(items) if items.len() > 1 => match rules::identity(path).and_then(|id| once(items, id)) {
            Some(items) => Rc::new(node.with(Kind::Sequence(items))),
            None => node.clone(),
        },
        _ => node.clone(),
    }
}

/// `services.*.networks.*.aliases`: nothing deeper is in the table.
const DEEPEST: usize = 5;

/// `None`: all items differ.
fn once(items: &[Rc<Node>], identity: Identity) -> Option<Vec<Rc<Node>>> {
    let mut kept: Vec<Rc<Node>> = Vec::with_capacity(items.len());
    let mut places: IndexMap<String, usize> = IndexMap::with_capacity(items.len());
    for item in items {
        let known = name(item, identity).map(|name| (places.get(&name).copied(), name));
        match known {
            Some((Some(place), _)) => kept[place] = replacing(item, &kept[place]),
            Some((None, name)) => {
                places.insert(name, kept.len());
                kept.push(item.clone());
            }
            // Wrong items are left for the phases that say what is wrong with them.
            None => kept.push(item.clone()),
        }
    }
    (kept.len() < items.len()).then_some(kept)
}

/// What an item is known by; `None` where it has no form that an item can have.
fn name(item: &Node, identity: Identity) -> Option<String> {
    let field = |key: &str| item.get(key).and_then(|entry| entry.value.scalar()).filter(|text| !text.is_empty());
    let is_mapping = matches!(item.kind, Kind::Mapping(_));
    match identity {
        Identity::Name => {
            let text = item.scalar()?;
            Some(text.split_once('=').map_or(text, |(name, _)| name).to_owned())
        }
        Identity::Text => item.scalar().map(str::to_owned),
        Identity::Path if is_mapping => field("path").map(str::to_owned),
        Identity::Path => item.scalar().map(str::to_owned),
        Identity::MountTarget if is_mapping => field("target").map(str::to_owned),
        Identity::MountTarget => short_target(item.scalar()?).map(str::to_owned),
        Identity::DeviceTarget if is_mapping => field("target").map(str::to_owned),
        Identity::DeviceTarget => {
            let mut parts = item.scalar()?.split(':');
            let source = parts.next()?;
            Some(parts.next().unwrap_or(source).to_owned())
        }
        Identity::FileTarget(directory) if is_mapping => match field("target") {
            Some(target) => Some(target.to_owned()),
            None => field("source").map(|source| format!("{directory}/{source}")),
        },
        Identity::FileTarget(directory) => item.scalar().map(|source| format!("{directory}/{source}")),
        Identity::Port if is_mapping => {
            let host = field("host_ip").unwrap_or("0.0.0.0");
            let protocol = field("protocol").unwrap_or("tcp");
            Some(format!("{host}:{}:{}/{protocol}", field("published").unwrap_or_default(), field("target")?))
        }
        Identity::Port => item.scalar().map(str::to_owned),
    }
}
