//! `config`: a project as a Compose file with nothing left to resolve, as `docker compose config` prints it.
//!
//! Attributes stand in the order of the specification, names of the user's own are sorted, and what says no more than
//! its absence would is left out. The output can be loaded again, and then means the same.

mod yaml;
mod zero;

use super::{
    schema::{Shape, shape},
    tree::{Kind, Mapping as Entries, Node, Plain},
};
use serde_json::{Map, Number, Value};

/// What is printed of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// With nothing left to resolve. `$` is written `$$`, so that it can be loaded again.
    Resolved,
    /// With its variables still in it: every value as it stands, all keys sorted.
    Raw,
}

/// YAML that every reader takes for the same: what some version of YAML could take for something else than a string is
/// quoted.
pub fn to_yaml(root: &Node, tree: Tree) -> String {
    yaml::write(&Printer { tree, json: false }.value(root, Some(shape()), &mut Vec::new()))
}

/// The same as JSON. `command` and `entrypoint` are always there: without either, nothing of the image is replaced.
pub fn to_json(root: &Node, tree: Tree) -> Value {
    let mut value = Printer { tree, json: true }.value(root, Some(shape()), &mut Vec::new());
    if let Value::Object(sections) = &mut value {
        if tree == Tree::Resolved {
            always(sections);
        }
        sections.sort_keys();
    }
    value
}

/// What JSON shows even where nothing says it.
fn always(sections: &mut Map<String, Value>) {
    sections.entry("services").or_insert_with(|| Value::Object(Map::new()));
    let each = |sections: &mut Map<String, Value>, section: &str, act: fn(&mut Map<String, Value>)| {
        let entries = sections.get_mut(section).and_then(Value::as_object_mut);
        entries.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut).for_each(act);
    };
    each(sections, "services", |service| {
        for key in ["command", "entrypoint"] {
            service.entry(key).or_insert(Value::Null);
        }
        if let Some(deploy) = service.get_mut("deploy").and_then(Value::as_object_mut) {
            for key in ["resources", "placement"] {
                deploy.entry(key).or_insert_with(|| Value::Object(Map::new()));
            }
        }
        let watched = service.get_mut("develop").and_then(|develop| develop.get_mut("watch"));
        let watched = watched.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut);
        watched.for_each(|rule| {
            rule.entry("exec").or_insert_with(|| serde_json::json!({"command": null}));
        });
    });
    each(sections, "networks", |network| {
        network.entry("ipam").or_insert_with(|| Value::Object(Map::new()));
    });
}

const RESOURCES: [&str; 4] = ["networks", "volumes", "secrets", "configs"];

struct Printer {
    tree: Tree,
    json: bool,
}

impl Printer {
    /// `shape` is that of the value, where the specification knows it.
    fn value<'n>(&self, node: &'n Node, shape: Option<&'static Shape>, path: &mut Vec<&'n str>) -> Value {
        match &node.kind {
            // A resource of which the file says nothing but its name.
            _ if node.is_null() && path.len() == 2 && self.tree == Tree::Resolved && RESOURCES.contains(&path[0]) => {
                Value::Object(Map::new())
            }
            Kind::Mapping(entries)
                if self.tree == Tree::Resolved && matches!(path[..], ["services", _, "build", "ssh"]) =>
            {
                self.agents(entries)
            }
            Kind::Mapping(entries) => Value::Object(self.mapping(entries, shape, path)),
            Kind::Sequence(items) => {
                path.push("[]");
                let shape = shape.and_then(Shape::item);
                let values = items.iter().map(|item| self.value(item, shape, path)).collect();
                path.pop();
                Value::Array(values)
            }
            Kind::Scalar { text, plain: false } => Value::String(self.escaped(text)),
            Kind::Scalar { text, plain: true } => match Plain::resolve(text) {
                Plain::Null => Value::Null,
                Plain::Bool(value) => Value::Bool(value),
                Plain::Int(value) => Value::Number(value.into()),
                Plain::Float(value) => number(value),
                Plain::Text(text) => Value::String(self.escaped(text)),
            },
        }
    }

    fn mapping<'n>(
        &self,
        entries: &'n Entries,
        shape: Option<&'static Shape>,
        path: &mut Vec<&'n str>,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        for key in order(entries, shape.filter(|_| self.tree == Tree::Resolved)) {
            let Some(entry) = entries.get(key) else { continue };
            let attribute = shape.and_then(|shape| shape.property(key));
            if self.is_hidden(key, shape, path) {
                continue;
            }
            path.push(key);
            let named = || shape.and_then(Shape::any_property);
            let value = self.value(&entry.value, attribute.or_else(named), path);
            let left_out = self.tree == Tree::Resolved && attribute.is_some() && !zero::says_something(&value, path);
            path.pop();
            if !left_out {
                out.insert(self.escaped(key), value);
            }
        }
        out
    }

    /// In JSON, extensions are shown at the top level only.
    fn is_hidden(&self, key: &str, shape: Option<&'static Shape>, path: &[&str]) -> bool {
        let is_extension = key.starts_with("x-") && shape.is_some_and(|shape| shape.keys().next().is_some());
        self.json && self.tree == Tree::Resolved && is_extension && !path.is_empty()
    }

    fn escaped(&self, text: &str) -> String {
        if self.tree == Tree::Resolved && text.contains('$') { text.replace('$', "$$") } else { text.to_owned() }
    }

    /// `build.ssh`, which is printed as it is mostly written: `default`, `key=/path`.
    fn agents(&self, entries: &Entries) -> Value {
        let agent = |(id, entry): (&String, &super::tree::Entry)| match entry.value.scalar() {
            Some(path) => Value::String(self.escaped(&format!("{id}={path}"))),
            None => Value::String(self.escaped(id)),
        };
        Value::Array(entries.iter().map(agent).collect())
    }
}

/// Attributes as the specification has them, then everything else by name.
fn order<'n>(entries: &'n Entries, shape: Option<&'static Shape>) -> Vec<&'n str> {
    let mut keys: Vec<&str> = Vec::with_capacity(entries.len());
    if let Some(shape) = shape {
        let known = shape.keys().filter_map(|key| entries.get_key_value(key));
        keys.extend(known.map(|(key, _)| key.as_str()));
    }
    let known = keys.len();
    let is_known = |key: &str| shape.is_some_and(|shape| shape.property(key).is_some());
    keys.extend(entries.keys().map(String::as_str).filter(|key| !is_known(key)));
    keys[known..].sort_unstable();
    keys
}

/// A whole number is written without a point, as docker compose writes it.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Value::Number((value as i64).into());
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
