//! Which services are on, and what is left of a project when only some of them are wanted.

use super::{
    diagnostics::{Diagnostic, did_you_mean},
    tree::{Entry, Mapping, Node},
};
use indexmap::IndexSet;
use std::rc::Rc;

/// The names of all services, split by whether their profiles are active.
#[derive(Debug, Default)]
pub struct Selection {
    pub enabled: IndexSet<String>,
    pub disabled: IndexSet<String>,
}

/// Naming a service makes its profiles active. `*` makes all of them active.
pub fn select(root: &Node, profiles: &[String], named: &[String], findings: &mut Vec<Diagnostic>) -> Selection {
    let none = Mapping::new();
    let services = services(root).unwrap_or(&none);
    let mut active: IndexSet<&str> = profiles.iter().map(String::as_str).collect();
    // The profile without a name is on where no other one is asked for: `profiles: ["", debug]`.
    if active.is_empty() {
        active.insert("");
    }
    for name in named {
        match services.get(name) {
            Some(service) if !is_active(service, &active) => active.extend(profiles_of(service)),
            Some(_) => {}
            None => {
                let finding = Diagnostic::error(format!("no such service: {name}"));
                findings.push(match did_you_mean(name, services.keys().map(String::as_str)) {
                    Some(meant) => finding.help(format!("did you mean `{meant}`?")),
                    None => finding,
                });
            }
        }
    }
    let mut selection = Selection::default();
    for (name, service) in services {
        let side = if is_active(service, &active) { &mut selection.enabled } else { &mut selection.disabled };
        side.insert(name.clone());
    }
    selection
}

fn is_active(service: &Entry, active: &IndexSet<&str>) -> bool {
    let mut profiles = profiles_of(service).peekable();
    profiles.peek().is_none() || active.contains("*") || profiles.any(|profile| active.contains(profile))
}

fn profiles_of(service: &Entry) -> impl Iterator<Item = &str> {
    let profiles = service.value.get("profiles").map_or(&[][..], |profiles| profiles.value.items());
    profiles.iter().filter_map(|profile| profile.scalar())
}

/// The names of all profiles.
pub fn all(root: &Node) -> IndexSet<String> {
    services(root).into_iter().flatten().flat_map(|(_, service)| profiles_of(service)).map(str::to_owned).collect()
}

fn services(root: &Node) -> Option<&Mapping> {
    root.get("services")?.value.entries()
}

/// The named services and what they need; all that are on where none is named.
pub fn closure(root: &Node, selection: &Selection, named: &[String]) -> IndexSet<String> {
    if named.is_empty() {
        return selection.enabled.clone();
    }
    let mut open: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut closed = IndexSet::new();
    while let Some(name) = open.pop() {
        if selection.enabled.contains(name) && closed.insert(name.to_owned()) {
            let needed = root.at(&["services", name, "depends_on"]).and_then(|on| on.entries());
            open.extend(needed.into_iter().flatten().map(|(name, _)| name.as_str()));
        }
    }
    closed
}

/// Without dependencies that are off and not required: they are none.
pub fn drop_absent_dependencies(root: &mut Rc<Node>, disabled: &IndexSet<String>) {
    if disabled.is_empty() {
        return;
    }
    let is_absent = |name: &String, on: &Entry| {
        disabled.contains(name) && on.value.get("required").is_some_and(|r| r.value.scalar() == Some("false"))
    };
    for (_, service) in Rc::make_mut(root).entries_at_mut("services").into_iter().flatten() {
        let needed = service.value.get("depends_on").and_then(|on| on.value.entries());
        if needed.is_some_and(|needed| needed.iter().any(|(name, on)| is_absent(name, on))) {
            let needed = Rc::make_mut(&mut service.value).entries_at_mut("depends_on");
            needed.into_iter().for_each(|needed| needed.retain(|name, on| !is_absent(name, on)));
        }
    }
}

/// Only the services in `kept`.
pub fn keep_services(root: &mut Rc<Node>, kept: &IndexSet<String>) {
    if let Some(services) = Rc::make_mut(root).entries_at_mut("services") {
        services.retain(|name, _| kept.contains(name));
    }
}

/// Without the networks, volumes, secrets and configs that no service uses.
pub fn drop_unused(root: &mut Rc<Node>) {
    for (section, used) in used(root) {
        let root = Rc::make_mut(root);
        if let Some(resources) = root.entries_at_mut(section) {
            resources.retain(|key, _| used.contains(key));
            if resources.is_empty()
                && let Some(entries) = root.entries_mut()
            {
                entries.shift_remove(section);
            }
        }
    }
}

fn used(root: &Node) -> Vec<(&'static str, IndexSet<String>)> {
    let (mut networks, mut volumes, mut models) = (IndexSet::new(), IndexSet::new(), IndexSet::new());
    let (mut secrets, mut configs) = (IndexSet::new(), IndexSet::new());
    for (_, service) in services(root).into_iter().flatten() {
        let service = &service.value;
        networks.extend(keys(service, &["networks"]));
        models.extend(keys(service, &["models"]));
        for mount in service.at(&["volumes"]).map_or(&[][..], |mounts| mounts.items()) {
            if mount.text_at(&["type"]) == Some("volume") {
                volumes.extend(mount.text_at(&["source"]).map(str::to_owned));
            }
        }
        secrets.extend(sources(service, &["secrets"]));
        secrets.extend(sources(service, &["build", "secrets"]));
        configs.extend(sources(service, &["configs"]));
        configs.extend(service.text_at(&["credential_spec", "config"]).map(str::to_owned));
    }
    vec![("networks", networks), ("volumes", volumes), ("secrets", secrets), ("configs", configs), ("models", models)]
}

fn sources(service: &Node, path: &[&str]) -> impl Iterator<Item = String> {
    let mounts = service.at(path).map_or(&[][..], |mounts| mounts.items());
    mounts.iter().filter_map(|mount| mount.text_at(&["source"])).map(str::to_owned)
}

fn keys(service: &Node, path: &[&str]) -> Vec<String> {
    let entries = service.at(path).and_then(|entries| entries.entries());
    entries.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}
