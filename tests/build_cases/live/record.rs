//! What docker made, as the sections `tree` and `config` of a case say it: BLESS=1 fills those that are empty.

use super::archive::{Kind, Node, Outcome};
use crate::{case::Case, frontend};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// More than this is not readable in a case.
const LONG: usize = 300;

pub fn fill(case: &mut Case, docker: &Outcome, base: &BTreeMap<String, Node>) {
    let config = config(case, docker);
    for section in case.sections.iter_mut().filter(|section| section.text.trim().is_empty()) {
        match section.kind.as_str() {
            "tree" => section.text = tree(docker, base),
            "config" => section.text = format!("{config}\n"),
            _ => {}
        }
    }
}

/// Its files that `base` does not have, or has otherwise.
fn tree(docker: &Outcome, base: &BTreeMap<String, Node>) -> String {
    let mut text = String::new();
    for (path, node) in &docker.tree {
        let same = base.get(path).is_some_and(|old| old.kind == node.kind && old.describe() == node.describe());
        let given = ["dev", "proc", "sys"].contains(&path.as_str());
        if same || given || path.is_empty() {
            continue;
        }
        let head = format!("/{path} {:o} {}:{}", node.mode, node.owner.0, node.owner.1);
        match &node.kind {
            Kind::Dir => text += &format!("dir {head}\n"),
            Kind::Link(target) => text += &format!("link /{path} {target}\n"),
            Kind::File(bytes) => match std::str::from_utf8(bytes) {
                Ok(content) if content.len() <= LONG => {
                    text += &format!("file {head} {}\n", Value::from(content));
                }
                _ => text += &format!("file {head}\n"),
            },
            Kind::Device(..) | Kind::Fifo => {}
        }
    }
    if !docker.tree.contains_key("bin/busybox") {
        return text;
    }
    let gone = base.keys().filter(|path| !path.is_empty() && !docker.tree.contains_key(*path));
    text + &gone.map(|path| format!("none /{path}\n")).collect::<String>()
}

/// The keys that `base` does not have, or has otherwise.
fn config(case: &Case, docker: &Outcome) -> Value {
    let base = frontend::configuration(case, "base", "linux/amd64");
    let of_base = |key: &str| base["config"].get(key).cloned().unwrap_or_default();
    let mut changed = Map::new();
    let of_docker = docker.config["config"].as_object().cloned().unwrap_or_default();
    for (key, value) in &of_docker {
        let nothing = value == &Value::Null || value == "" || value == false;
        if !nothing && *value != of_base(key) {
            changed.insert(key.clone(), value.clone());
        }
    }
    Value::Object(changed)
}
