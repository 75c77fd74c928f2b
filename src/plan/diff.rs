//! What differs between two forms of a service, field by field.
//!
//! Works on the serialised form, so that an attribute that is added to the model tomorrow is compared as well.

use super::{Change, mask, short_form};
use crate::model::{Network, Service};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Attributes that a container does not carry: a change of them alone needs no new one. As in docker compose, but for
/// `attach`, which only the command line reads. A changed `restart` or a label does need a new one, as there. Of a
/// locked image counts what it is, not by which digest it was asked for.
const NOT_IN_A_CONTAINER: [&str; 9] =
    ["name", "scale", "depends_on", "profiles", "pull_policy", "attach", "build", "develop", "locked_image"];

/// sha256, as 64 hexadecimal digits, over what only a new container can take up. The order of mappings does not count.
pub fn config_hash(service: &Service) -> String {
    let mut text = String::new();
    write_sorted(&Value::Object(comparable(service)), &mut text);
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Field by field; empty where a container of `from` serves `to` as it is. Secret values are masked.
pub fn changes(from: &Service, to: &Service) -> Vec<Change> {
    // The common case, and a thousand times cheaper than the way below.
    if from == to {
        return Vec::new();
    }
    compare_maps(&comparable(from), &comparable(to))
}

/// Likewise for networks. Who made it is no part of what it is.
pub fn network_changes(from: &Network, to: &Network) -> Vec<Change> {
    if from == to {
        return Vec::new();
    }
    compare_maps(&fields(from, &["name", "external"]), &fields(to, &["name", "external"]))
}

fn compare_maps(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<Change> {
    let mut found = Vec::new();
    for field in from.keys().chain(to.keys().filter(|key| !from.contains_key(*key))) {
        compare_field(
            field,
            from.get(field).unwrap_or(&Value::Null),
            to.get(field).unwrap_or(&Value::Null),
            &mut found,
        );
    }
    found
}

fn comparable(service: &Service) -> Map<String, Value> {
    fields(service, &NOT_IN_A_CONTAINER)
}

fn fields(of: &impl Serialize, but: &[&str]) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(of) else {
        // Every key of the model is a string: the model always serialises.
        return Map::new();
    };
    fields.retain(|name, _| !but.contains(&name.as_str()));
    fields
}

fn compare_field(field: &str, from: &Value, to: &Value, found: &mut Vec<Change>) {
    if from == to {
        return;
    }
    match (short_form::elements(field, from), short_form::elements(field, to)) {
        (Some(from), Some(to)) => compare_elements(field, &from, &to, found),
        _ => compare_value(field, from, to, found),
    }
}

/// Lists whose elements have an identity (ports, mounts): what went and what came.
fn compare_elements(
    field: &str,
    from: &BTreeMap<String, String>,
    to: &BTreeMap<String, String>,
    found: &mut Vec<Change>,
) {
    let before = found.len();
    let keys: BTreeSet<_> = from.keys().chain(to.keys()).collect();
    for key in keys {
        let (from, to) = (from.get(key), to.get(key));
        if from != to {
            found.push(Change { field: format!("{field}.{key}"), from: from.cloned(), to: to.cloned() });
        }
    }
    if found.len() == before {
        found.push(Change { field: format!("{field} (order)"), from: None, to: None });
    }
}

fn compare_value(field: &str, from: &Value, to: &Value, found: &mut Vec<Change>) {
    if from == to {
        return;
    }
    let empty = Map::new();
    let as_map = |value: &Value| match value {
        Value::Object(map) if !short_form::is_duration(map) => Some(map.clone()),
        Value::Null => Some(empty.clone()),
        _ => None,
    };
    match (as_map(from), as_map(to)) {
        (Some(from), Some(to)) => {
            for key in from.keys().chain(to.keys().filter(|key| !from.contains_key(*key))) {
                let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                let (from_side, to_side) = (side(&from), side(&to));
                let there = (from.contains_key(key), to.contains_key(key));
                let path = format!("{field}.{key}");
                match there {
                    (true, true) => compare_value(&path, &from_side, &to_side, found),
                    _ => leaf(&path, &from_side, &to_side, found),
                }
            }
        }
        _ => leaf(field, from, to, found),
    }
}

fn leaf(path: &str, from: &Value, to: &Value, found: &mut Vec<Change>) {
    // A sub-attribute that is not set says the same as one whose parent is not there.
    if from.is_null() && to.is_null() {
        return;
    }
    let show = |value: &Value| short_form::value(&mask::masked(path, value));
    found.push(Change { field: path.to_owned(), from: show(from), to: show(to) });
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_sorted(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}
