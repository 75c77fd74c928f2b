//! Attributes of one service that do not go together.

use super::{Checked, Service};
use crate::compose::{
    canonical::clean,
    diagnostics::Diagnostic,
    tree::{Kind, Node},
};
use std::collections::HashMap;

/// What can be said at two places, and must be the same there.
const TWICE: [(&str, &[&str]); 4] = [
    ("cpus", &["deploy", "resources", "limits", "cpus"]),
    ("mem_limit", &["deploy", "resources", "limits", "memory"]),
    ("pids_limit", &["deploy", "resources", "limits", "pids"]),
    ("mem_reservation", &["deploy", "resources", "reservations", "memory"]),
];

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    let mut container_names: HashMap<&str, Service<'_>> = HashMap::new();
    for service in checked.services() {
        image(checked, &service, findings);
        build(&service, findings);
        network_mode(&service, findings);
        health(&service, findings);
        scale(&service, findings);
        limits(&service, findings);
        targets(&service, findings);
        watch(&service, findings);
        if let Some(name) = service.text(&["container_name"])
            && let Some(other) = container_names.insert(name, service)
        {
            let message =
                format!("the services \"{}\" and \"{}\" have one container_name: \"{name}\"", other.name, service.name);
            let finding = Diagnostic::error(message).at(service.place(&["container_name"]));
            findings.push(finding.because(other.place(&["container_name"]), "first here"));
        }
    }
}

fn image(checked: &Checked<'_>, service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let says = |key: &str| service.at(&[key]).is_some_and(|node| node.scalar() != Some("") && !node.is_null());
    // Where something else is wrong with the service, it may be the image's name.
    if !["image", "build", "provider"].into_iter().any(says) && !checked.told.is_within(service.entry) {
        let message = format!("service \"{}\" has neither an image nor a build context specified", service.name);
        findings.push(Diagnostic::error(message).at(service.place(&["image"])));
    }
}

fn build(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let (file, inline) = (&["build", "dockerfile"][..], &["build", "dockerfile_inline"][..]);
    // A default that nobody wrote is no second Dockerfile.
    let written = |path: &[&str]| service.text(path).is_some_and(|text| !text.is_empty());
    if written(file) && written(inline) {
        let message =
            format!("service \"{}\" declares mutually exclusive dockerfile and dockerfile_inline", service.name);
        let finding = Diagnostic::error(message).at(service.place(inline));
        findings.push(finding.because(service.place(file), "excludes `dockerfile_inline`"));
    }
    let platforms = service.at(&["build", "platforms"]).filter(|platforms| !platforms.items().is_empty());
    if let (Some(platforms), Some(wanted)) = (platforms, service.text(&["platform"]))
        && !platforms.items().iter().any(|platform| platform.scalar() == Some(wanted))
    {
        let message = format!("service.build.platforms MUST include service.platform \"{wanted}\"");
        let finding = Diagnostic::error(message).at(platforms.span);
        findings.push(finding.because(service.place(&["platform"]), "asked for here"));
    }
}

fn network_mode(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(mode) = service.at(&["network_mode"]).filter(|mode| mode.scalar().is_some_and(|mode| !mode.is_empty()))
    else {
        return;
    };
    if service.at(&["networks"]).and_then(Node::entries).is_some_and(|networks| !networks.is_empty()) {
        let message = format!("service {} declares mutually exclusive `network_mode` and `networks`", service.name);
        let finding = Diagnostic::error(message).at(service.place(&["networks"]));
        findings.push(finding.because(mode.span, "excludes networks"));
    }
}

fn health(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(test) = service.at(&["healthcheck", "test"]) else { return };
    let Some(first) = test.items().first() else { return };
    if !matches!(first.scalar(), Some("CMD" | "CMD-SHELL" | "NONE")) {
        let message = "healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"";
        let finding = Diagnostic::error(message).at(first.span);
        findings.push(finding.help("`[CMD, ...]` runs a program, `[CMD-SHELL, \"...\"]` or a string a shell"));
    }
}

fn scale(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let (flat, nested) = (&["scale"][..], &["deploy", "replicas"][..]);
    let (scale, replicas) = (service.text(flat), service.text(nested));
    if let (Some(scale), Some(replicas)) = (scale, replicas)
        && scale != replicas
    {
        let name = service.name;
        let message = format!("services.{name}: can't set distinct values on 'scale' and 'deploy.replicas'");
        let finding = Diagnostic::error(message).because(service.place(flat), format!("{scale} here"));
        findings.push(finding.because(service.place(nested), format!("{replicas} here")));
    }
    let path = if scale.is_some() { flat } else { nested };
    let count: i64 = scale.or(replicas).and_then(|count| count.parse().ok()).unwrap_or(1);
    if count < 0 {
        let message = format!("services.{}.{}: must be greater than or equal to 0", service.name, path.join("."));
        findings.push(Diagnostic::error(message).at(service.at(path).map_or(service.entry.key, |count| count.span)));
    }
    if let Some(container) = service.text(&["container_name"]).filter(|_| count > 1) {
        let message =
            format!("service \"{}\" has the container_name \"{container}\", so there cannot be {count}", service.name);
        let finding = Diagnostic::error(message).at(service.place(&["container_name"]));
        findings.push(finding.because(service.place(path), "asks for more"));
    }
}

/// Compose takes limits that only one of the two places has for distinct, too, where `deploy` has others.
fn limits(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    for (flat, nested) in TWICE {
        let Some(value) = service.at(&[flat]).filter(|value| number(value) != Some(0.0)) else { continue };
        let Some(section) = nested.split_last().and_then(|(_, section)| service.at(section)) else { continue };
        let other = service.at(nested);
        let same = other.is_some_and(|other| other.scalar() == value.scalar() || number(other) == number(value));
        if same || matches!(section.kind, Kind::Scalar { .. }) {
            continue;
        }
        let path = nested.join(".");
        let message = format!("services.{}: can't set distinct values on '{flat}' and '{path}'", service.name);
        let finding = Diagnostic::error(message).at(service.place(&[flat]));
        findings.push(match other {
            Some(other) => finding.because(other.span, "must be the same"),
            None => finding.because(section.span, "lacks it").help(format!("say it once, as `{path}`")),
        });
    }
}

fn number(node: &Node) -> Option<f64> {
    node.scalar()?.parse().ok()
}

/// Two things at one place of the container.
fn targets(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<String, (&str, &Node)> = HashMap::new();
    let mounts = service.at(&["volumes"]).map_or(&[][..], |mounts| mounts.items()).iter();
    let mounts = mounts.filter_map(|mount| Some(("volumes", &**mount.at(&["target"])?)));
    let tmpfs = service.at(&["tmpfs"]).map_or(&[][..], |tmpfs| tmpfs.items()).iter().map(|tmpfs| ("tmpfs", &**tmpfs));
    for (section, node) in mounts.chain(tmpfs) {
        let Some(text) = node.scalar() else { continue };
        let target = if section == "tmpfs" { text.split(':').next().unwrap_or(text) } else { text };
        let key = clean(target);
        if let Some((other, first)) = seen.get(&key).filter(|(other, _)| *other != section) {
            let message = format!("service \"{}\" mounts on {key} twice: {other} and {section}", service.name);
            findings.push(Diagnostic::error(message).at(node.span).because(first.span, "here as well"));
            continue;
        }
        seen.insert(key, (section, node));
    }
}

fn watch(service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    for rule in service.at(&["develop", "watch"]).map_or(&[][..], |rules| rules.items()) {
        let action = rule.text_at(&["action"]).unwrap_or_default();
        if !matches!(action, "rebuild" | "restart") && rule.text_at(&["target"]).is_none_or(str::is_empty) {
            let message = format!(
                "services.{}.develop.watch: target is required for non-rebuild actions, and `{action}` has none",
                service.name
            );
            findings.push(Diagnostic::error(message).at(rule.span));
        }
    }
}
