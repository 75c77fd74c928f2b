//! Two images, or two refusals, and where they differ: one line for each place.

use super::{
    archive::{Kind, Node, Outcome},
    docker::Refused,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is younger is of the builds; their times are their own. See `contexts` for those of the context.
pub const OLD: u64 = 1_600_000_000;

pub fn outcomes(docker: &Outcome, muster: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let (left, mut right) = (comparable(&docker.config), comparable(&muster.config));
    if docker.layers.is_empty() {
        right.as_object_mut().unwrap().remove("history");
    }
    values(&left, &right, "", &mut found);
    trees(docker, muster, &mut found);
    layers(docker, muster, &mut found);
    found
}

/// Docker tells one error, muster all: its line is to be one of muster's.
pub fn refusals(docker: &Refused, muster: &Refused) -> Option<String> {
    let line = docker.lines.first()?;
    let agrees = muster.lines.is_empty() || docker.lines.iter().any(|line| muster.lines.contains(line));
    (!agrees).then(|| format!("refused on line {line} by docker: {}\nby muster: {}", docker.text, muster.text))
}

/// Without times and digests, and without what is as if it were not there.
fn comparable(config: &Value) -> Value {
    let mut config = config.clone();
    let document = config.as_object_mut().unwrap();
    document.remove("created");
    document.remove("rootfs");
    for entry in document.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.as_object_mut().unwrap().remove("created");
        // The frontend writes the value that counts since 1.8, and before it what the file says.
        if entry["created_by"].as_str().is_some_and(|text| text.starts_with("ARG ")) {
            entry["created_by"] = "ARG".into();
        }
    }
    without_nothings(config)
}

fn without_nothings(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map = map.into_iter().map(|(key, value)| {
                let inner_is_the_point = key == "ExposedPorts" || key == "Volumes";
                (key, if inner_is_the_point { value } else { without_nothings(value) })
            });
            map.filter(|(_, value)| !is_nothing(value)).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nothings).collect(),
        value => value,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn values(docker: &Value, muster: &Value, path: &str, found: &mut Vec<String>) {
    match (docker, muster) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                values(&of(left), &of(right), &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (value, other)) in left.iter().zip(right).enumerate() {
                values(value, other, &format!("{path}[{index}]"), found);
            }
        }
        _ if docker == muster => {}
        _ => found.push(format!("{path}: docker {docker}, muster {muster}")),
    }
}

fn trees(docker: &Outcome, muster: &Outcome, found: &mut Vec<String>) {
    let (names_docker, names_muster) = (docker.names(), muster.names());
    let paths: BTreeSet<&String> = docker.tree.keys().chain(muster.tree.keys()).collect();
    for path in paths {
        match (docker.tree.get(path), muster.tree.get(path)) {
            (Some(left), Some(right)) => {
                let (one, other) = (left.describe(), right.describe());
                if one != other || left.kind != right.kind {
                    found.push(format!("/{path}: docker {one}, muster {other}"));
                }
                // The builders make directories on the way when they come to them.
                if time(left) != time(right) {
                    found.push(format!("/{path}: time: docker {}, muster {}", left.time, right.time));
                }
                let (one, other) = (names_docker.get(&left.file), names_muster.get(&right.file));
                if one != other && left.kind != Kind::Dir {
                    found.push(format!("/{path}: names of one file: docker {one:?}, muster {other:?}"));
                }
            }
            (left, right) => {
                let told = |node: Option<&Node>| node.map_or("nothing".to_owned(), Node::describe);
                found.push(format!("/{path}: docker {}, muster {}", told(left), told(right)));
            }
        }
    }
}

fn time(node: &Node) -> Option<u64> {
    (node.time < OLD).then_some(node.time)
}

fn layers(docker: &Outcome, muster: &Outcome, found: &mut Vec<String>) {
    if docker.layers.len() != muster.layers.len() {
        found.push(format!("docker has {} layers, muster {}", docker.layers.len(), muster.layers.len()));
        return;
    }
    for (index, (left, right)) in docker.layers.iter().zip(&muster.layers).enumerate() {
        for path in left.symmetric_difference(right) {
            let who = if left.contains(path) { "docker" } else { "muster" };
            found.push(format!("layer {index}: only {who} has /{path}"));
        }
    }
}
