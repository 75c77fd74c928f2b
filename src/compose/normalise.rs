//! What a file implies without saying it, made explicit in the tree: the default network, real names, the services
//! that a reference makes a dependency.

use super::{
    canonical::clean,
    tree::{
        Entry, Kind, Mapping, Node,
        edit::{entry, fill},
    },
};
use std::{collections::BTreeMap, rc::Rc};

const DEFAULT: &str = "default";

/// Attributes that can join what another service has, by `service:NAME`.
const NAMESPACES: [&str; 5] = ["network_mode", "ipc", "pid", "uts", "cgroup"];

/// Adds to a canonical tree what follows from it. `variables` are those of the project.
pub fn normalise(root: &mut Rc<Node>, project: &str, variables: &BTreeMap<String, String>) {
    let root = Rc::make_mut(root);
    let mut default_is_used = false;
    for (_, service) in root.entries_at_mut("services").into_iter().flatten() {
        let span = service.key;
        if let Some(service) = service.entries_mut() {
            default_is_used |= joins_default(service, span);
            build(service, variables);
            pull_policy(service);
            variables_of(service, "environment", variables);
            dependencies(service);
            targets(service);
        }
    }
    if default_is_used {
        declare_default(root);
    }
    for section in ["networks", "volumes", "secrets", "configs"] {
        names(root, section, project);
    }
}

/// A service that names no network is on the default one. True where it is on it, for either reason.
fn joins_default(service: &mut Mapping, span: super::diagnostics::Span) -> bool {
    if service.contains_key("provider") {
        return false;
    }
    let networks = service.get("networks").map(|networks| &networks.value);
    match networks.and_then(|networks| networks.entries()) {
        Some(networks) if !networks.is_empty() => return networks.contains_key(DEFAULT),
        _ if service.get("network_mode").is_some_and(|mode| !mode.value.is_null()) => return false,
        _ => {}
    }
    let rule = "a service that names no network is on the default one";
    let joined = Node::implied_plain(span, "null", rule);
    let networks =
        Node::implied(span, Kind::Mapping([(DEFAULT.to_owned(), entry(joined))].into_iter().collect()), rule);
    service.insert("networks".to_owned(), entry(networks));
    true
}

fn build(service: &mut Mapping, variables: &BTreeMap<String, String>) {
    let Some(build) = service.get_mut("build") else { return };
    let span = build.key;
    let Some(build) = build.entries_mut() else { return };
    if !build.contains_key("dockerfile") && !build.contains_key("dockerfile_inline") {
        fill(build, "dockerfile", || Node::implied_text(span, "Dockerfile", "the default of `dockerfile`"));
    }
    variables_of(build, "args", variables);
    if let Some(args) = build.get_mut("args").and_then(Entry::entries_mut) {
        // The builder has nobody to ask for a value.
        args.retain(|_, value| !value.value.is_null());
    }
}

fn pull_policy(service: &mut Mapping) {
    if let Some(policy) = service.get_mut("pull_policy")
        && policy.value.scalar() == Some("if_not_present")
    {
        policy.value = Rc::new(policy.value.with(Kind::string("missing")));
    }
}

/// Names without a value take it from the project's variables.
fn variables_of(section: &mut Mapping, key: &str, variables: &BTreeMap<String, String>) {
    let Some(entries) = section.get_mut(key).and_then(Entry::entries_mut) else {
        return;
    };
    for (name, value) in entries.iter_mut().filter(|(_, value)| value.value.is_null()) {
        if let Some(text) = variables.get(name) {
            let node =
                Node::implied_text(value.key, text, "a name without a value takes it from the project's variables");
            value.value = Rc::new(node);
        }
    }
}

/// A place in the container has one name.
fn targets(service: &mut Mapping) {
    let is_clean = |mount: &Rc<Node>| mount.text_at(&["target"]).is_none_or(|target| clean(target) == target);
    if listed(service, "volumes").iter().all(is_clean) {
        return;
    }
    let Some(Kind::Sequence(mounts)) =
        service.get_mut("volumes").map(|mounts| &mut Rc::make_mut(&mut mounts.value).kind)
    else {
        return;
    };
    for target in mounts.iter_mut().filter_map(|mount| Rc::make_mut(mount).value_mut("target")) {
        if let Kind::Scalar { text, .. } = &mut target.kind {
            *text = clean(text);
        }
    }
}

/// Links, shared namespaces and shared volumes need the other service.
fn dependencies(service: &mut Mapping) {
    let mut implied: Vec<(String, super::diagnostics::Span, bool)> = Vec::new();
    for link in listed(service, "links") {
        let name = link.scalar().unwrap_or_default();
        implied.push((name.split(':').next().unwrap_or_default().to_owned(), link.span, true));
    }
    for key in NAMESPACES {
        let value = service.get(key).map(|value| &value.value);
        if let Some((value, name)) = value.and_then(|value| Some((value, value.scalar()?.strip_prefix("service:")?))) {
            implied.push((name.to_owned(), value.span, true));
        }
    }
    for from in listed(service, "volumes_from") {
        let text = from.scalar().unwrap_or_default();
        if !text.starts_with("container:") {
            implied.push((text.split(':').next().unwrap_or_default().to_owned(), from.span, false));
        }
    }
    let Some((_, first, _)) = implied.first() else { return };
    let span = *first;
    fill(service, "depends_on", || {
        Node::implied(
            span,
            Kind::Mapping(Mapping::new()),
            "other services are needed for what this one shares with them",
        )
    });
    let entries = service.get_mut("depends_on").and_then(Entry::entries_mut);
    let Some(entries) = entries else { return };
    for (name, span, restart) in implied {
        fill(entries, &name, || started(span, restart));
    }
}

fn listed<'s>(service: &'s Mapping, key: &str) -> &'s [Rc<Node>] {
    service.get(key).map_or(&[], |value| value.value.items())
}

/// What a dependency that nobody wrote down asks for.
fn started(span: super::diagnostics::Span, restart: bool) -> Node {
    const RULE: &str = "a service that another one shares something with is started before it";
    let mut entries = Mapping::new();
    entries.insert("condition".into(), entry(Node::implied_text(span, "service_started", RULE)));
    if restart {
        entries.insert("restart".into(), entry(Node::implied_plain(span, "true", RULE)));
    }
    entries.insert("required".into(), entry(Node::implied_plain(span, "true", RULE)));
    Node::implied(span, Kind::Mapping(entries), RULE)
}

fn declare_default(root: &mut Node) {
    let span = root.span;
    let Some(entries) = root.entries_mut() else { return };
    let rule = "a network that a service is on";
    fill(entries, "networks", || Node::implied(span, Kind::Mapping(Mapping::new()), rule));
    if let Some(networks) = root.entries_at_mut("networks") {
        fill(networks, DEFAULT, || Node::implied(span, Kind::Mapping(Mapping::new()), rule));
    }
}

/// Gives every resource its real name.
fn names(root: &mut Node, section: &str, project: &str) {
    let Some(resources) = root.entries_at_mut(section) else { return };
    for (key, resource) in resources {
        let span = resource.key;
        if resource.value.is_null() {
            resource.value = Rc::new(resource.value.with(Kind::Mapping(Mapping::new())));
        }
        let Some(entries) = resource.entries_mut() else { continue };
        let is_external = entries.get("external").is_some_and(|external| external.value.scalar() == Some("true"));
        let name = if is_external { key.clone() } else { format!("{project}_{key}") };
        let rule = "the name of a resource: that of the project, `_` and its key; of an external one its key";
        match entries.get("name") {
            Some(given) if given.value.scalar().is_some_and(|name| !name.is_empty()) => {}
            _ => {
                entries.insert("name".to_owned(), entry(Node::implied_text(span, name, rule)));
            }
        }
    }
}
