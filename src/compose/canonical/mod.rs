//! `config`: a project as a Compose file with nothing left to resolve.
//!
//! Long syntax everywhere, absolute paths, real names; mappings with names of the user's own are sorted. What can be
//! said in two places stands in the flat attribute. It can be loaded again, and then is the same project.

mod service;
mod yaml;

use crate::model::{FileObject, FileSource, Network, Project, Volume};
use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

/// The canonical form, keys in the order of the specification; `$` is written `$$`, so that it can be loaded again.
/// `command` and `entrypoint` are always there, as in the JSON of `docker compose config`.
pub fn project(project: &Project) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "name", text(&project.name));
    put(&mut out, "services", named(&project.services, service::service));
    put_filled(&mut out, "networks", named(&project.networks, network));
    put_filled(&mut out, "volumes", named(&project.volumes, volume));
    put_filled(&mut out, "secrets", named(&project.secrets, file_object));
    put_filled(&mut out, "configs", named(&project.configs, file_object));
    Value::Mapping(out)
}

/// The canonical form as YAML that every reader takes for the same: what some version of YAML could take for something
/// else than a string is quoted.
pub fn to_yaml(project: &Project) -> String {
    let mut value = self::project(project);
    let services = value.get_mut("services").and_then(Value::as_mapping_mut);
    for service in services.into_iter().flat_map(Mapping::values_mut).filter_map(Value::as_mapping_mut) {
        for key in ["command", "entrypoint"] {
            if service.get(key).is_some_and(Value::is_null) {
                service.shift_remove(key);
            }
        }
    }
    yaml::write(&value)
}

fn network(network: &Network) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "name", text(&network.name));
    if let Some(ipam) = &network.ipam {
        let mut pool = Mapping::new();
        put(&mut pool, "subnet", text(&ipam.subnet.to_string()));
        put_some(&mut pool, "ip_range", ipam.ip_range.map(|range| text(&range.to_string())));
        put_some(&mut pool, "gateway", ipam.gateway.map(|gateway| text(&gateway.to_string())));
        let mut config = Mapping::new();
        put(&mut config, "config", Value::Sequence(vec![Value::Mapping(pool)]));
        put(&mut out, "ipam", Value::Mapping(config));
    }
    put_true(&mut out, "external", network.external);
    put_true(&mut out, "internal", network.internal);
    put_filled(&mut out, "labels", strings(&network.labels));
    Value::Mapping(out)
}

fn volume(volume: &Volume) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "name", text(&volume.name));
    put_true(&mut out, "external", volume.external);
    put_filled(&mut out, "labels", strings(&volume.labels));
    Value::Mapping(out)
}

fn file_object(object: &FileObject) -> Value {
    let mut out = Mapping::new();
    put(&mut out, "name", text(&object.name));
    match &object.source {
        FileSource::File(path) => put(&mut out, "file", text(&path.to_string_lossy())),
    }
    Value::Mapping(out)
}

fn put(out: &mut Mapping, key: &str, value: Value) {
    out.insert(Value::String(key.to_owned()), value);
}

fn put_some(out: &mut Mapping, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        put(out, key, value);
    }
}

fn put_true(out: &mut Mapping, key: &str, value: bool) {
    if value {
        put(out, key, Value::Bool(true));
    }
}

/// Leaves out empty lists and mappings.
fn put_filled(out: &mut Mapping, key: &str, value: Value) {
    let empty = match &value {
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        _ => false,
    };
    if !empty {
        put(out, key, value);
    }
}

fn text(text: &str) -> Value {
    Value::String(text.replace('$', "$$"))
}

fn list<T>(items: &[T], form: impl Fn(&T) -> Value) -> Value {
    Value::Sequence(items.iter().map(form).collect())
}

fn texts(items: &[String]) -> Value {
    list(items, |item| text(item))
}

/// Sorted by name.
fn named<T>(entries: &IndexMap<String, T>, form: impl Fn(&T) -> Value) -> Value {
    let mut sorted: Vec<(&String, &T)> = entries.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    Value::Mapping(sorted.into_iter().map(|(name, value)| (Value::String(name.clone()), form(value))).collect())
}

fn strings(entries: &IndexMap<String, String>) -> Value {
    named(entries, |value| text(value))
}
