//! Serialised attributes as people write them, for causes.

use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// A list whose elements have an identity, as identity -> the rest: `80/tcp` -> `8080`, `/data` -> `volume source=db`.
/// `None` for other attributes.
pub fn elements(field: &str, value: &Value) -> Option<BTreeMap<String, String>> {
    let one: fn(&Map<String, Value>) -> (String, String) = match field {
        "ports" => port,
        "volumes" | "tmpfs" | "secrets" | "configs" => mount,
        _ => return None,
    };
    let mut elements = BTreeMap::new();
    for item in value.as_array()?.iter().filter_map(Value::as_object) {
        let (key, text) = one(item);
        let mut unique = key.clone();
        for count in 2.. {
            if !elements.contains_key(&unique) {
                break;
            }
            unique = format!("{key} #{count}");
        }
        elements.insert(unique, text);
    }
    Some(elements)
}

/// `None` where there is nothing to show.
pub fn value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => Some("\"\"".into()),
        Value::String(text) => Some(text.clone()),
        Value::Object(map) if is_duration(map) => Some(duration(map)),
        Value::Object(map) => match describe(map) {
            text if text.is_empty() => Some("default".into()),
            text => Some(text),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Some(value.to_string()),
    }
}

/// Serde's form of a `Duration`.
pub fn is_duration(map: &Map<String, Value>) -> bool {
    map.len() == 2 && map.contains_key("secs") && map.contains_key("nanos")
}

fn duration(map: &Map<String, Value>) -> String {
    let number = |key| map.get(key).and_then(Value::as_u64).unwrap_or_default();
    let nanos = u32::try_from(number("nanos")).unwrap_or_default();
    format!("{:?}", Duration::new(number("secs"), nanos))
}

fn port(port: &Map<String, Value>) -> (String, String) {
    let text = |key| port.get(key).and_then(value).unwrap_or_default();
    let published = match port.get("published").and_then(Value::as_object) {
        Some(range) => {
            let side = |key| range.get(key).map(Value::to_string).unwrap_or_default();
            let (first, last) = (side("first"), side("last"));
            if first == last { first } else { format!("{first}-{last}") }
        }
        None => "any free port".to_owned(),
    };
    let host = match text("host_ip") {
        host if host.is_empty() => published,
        host if host.contains(':') => format!("[{host}]:{published}"),
        host => format!("{host}:{published}"),
    };
    (format!("{}/{}", text("target"), text("protocol")), host)
}

fn mount(mount: &Map<String, Value>) -> (String, String) {
    let target = mount.get("target").and_then(value).unwrap_or_default();
    let rest: Map<_, _> =
        mount.iter().filter(|(key, _)| *key != "target").map(|(k, v)| (k.clone(), v.clone())).collect();
    (target, describe(&rest))
}

/// `volume source=db read_only`; what is not set is left out.
fn describe(map: &Map<String, Value>) -> String {
    let mut words = Vec::new();
    for (key, item) in map {
        match item {
            Value::Null | Value::Bool(false) => {}
            Value::Array(items) if items.is_empty() => {}
            Value::Number(number) if key == "priority" && number.as_i64() == Some(0) => {}
            Value::Bool(true) => words.push(key.clone()),
            Value::Object(inner) if !is_duration(inner) => {
                if key != "kind" {
                    words.push(key.clone());
                }
                words.push(describe(inner));
            }
            Value::String(text) if key == "kind" => words.push(text.clone()),
            Value::Number(mode) if key == "mode" => {
                words.push(format!("mode={:04o}", mode.as_u64().unwrap_or_default()));
            }
            other => words.push(format!("{key}={}", value(other).unwrap_or_default())),
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}
