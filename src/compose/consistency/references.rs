//! What services name must exist.

use super::{Checked, Service};
use crate::compose::{
    diagnostics::{Diagnostic, Span, did_you_mean},
    tree::Node,
};

/// A guess compares with every name; a project with more names than that is no person's.
const MAX_GUESSES: usize = 500;

/// Something a service refers to by name.
struct Reference<'a> {
    section: &'static str,
    what: &'static str,
    name: &'a str,
    span: Span,
}

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    for service in checked.services() {
        for reference in references(&service) {
            findings.extend(undefined(checked, &service, &reference));
        }
        contexts(checked, &service, findings);
    }
}

fn references<'a>(service: &Service<'a>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    for (key, section, what) in
        [("depends_on", "services", "service"), ("networks", "networks", "network"), ("models", "models", "model")]
    {
        let entries = service.at(&[key]).and_then(|entries| entries.entries());
        found.extend(entries.into_iter().flatten().map(|(name, entry)| Reference {
            section,
            what,
            name,
            span: entry.key,
        }));
    }
    for mount in items(service, &["volumes"]) {
        let source = mount.at(&["source"]).filter(|_| mount.text_at(&["type"]) == Some("volume"));
        found.extend(named(source.map(|source| &**source), "volumes", "volume"));
    }
    for (path, section, what) in [
        (&["secrets"][..], "secrets", "secret"),
        (&["configs"], "configs", "config"),
        (&["build", "secrets"], "secrets", "build secret"),
    ] {
        for mount in items(service, path) {
            found.extend(named(mount.at(&["source"]).map(|source| &**source), section, what));
        }
    }
    found.extend(named(service.at(&["credential_spec", "config"]), "configs", "config"));
    found
}

fn items<'a>(service: &Service<'a>, path: &[&str]) -> &'a [std::rc::Rc<Node>] {
    service.at(path).map_or(&[], |items| items.items())
}

fn named<'a>(node: Option<&'a Node>, section: &'static str, what: &'static str) -> Option<Reference<'a>> {
    let node = node?;
    let name = node.scalar().filter(|name| !name.is_empty())?;
    Some(Reference { section, what, name, span: node.span })
}

fn undefined(checked: &Checked<'_>, service: &Service<'_>, reference: &Reference<'_>) -> Option<Diagnostic> {
    let Reference { section, what, name, span } = *reference;
    let is_service = section == "services";
    let is_off = is_service && checked.selection.disabled.contains(name);
    let required = service.text(&["depends_on", name, "required"]) != Some("false");
    if is_off && !required {
        return None;
    }
    let resources = checked.root.at(&[section]);
    let implied = section == "networks" && name == "default";
    if !is_off && (implied || resources.is_some_and(|resources| resources.get(name).is_some())) {
        return None;
    }
    let verb = if is_service { "depends on" } else { "refers to" };
    let service = service.name;
    let finding = Diagnostic::error(format!("service \"{service}\" {verb} undefined {what} \"{name}\"")).at(span);
    if is_off && let Some(off) = resources.and_then(|services| services.get(name)) {
        let profiles: Vec<&str> = match off.value.get("profiles") {
            Some(profiles) => profiles.value.items().iter().filter_map(|profile| profile.scalar()).collect(),
            None => Vec::new(),
        };
        let help = format!("no profile of it is active: `{}`", profiles.join("`, `"));
        return Some(finding.because(off.key, "switched off").help(help));
    }
    let keys = resources.and_then(|resources| resources.entries());
    let keys = keys.into_iter().flatten().map(|(name, _)| name.as_str()).take(MAX_GUESSES);
    Some(match did_you_mean(name, keys) {
        _ if section == "volumes" && name.contains('/') => {
            finding.help(format!("a path of the host starts with `./`: `./{name}`"))
        }
        Some(meant) => finding.help(format!("did you mean `{meant}`?")),
        None if is_service => finding,
        None => finding.help(format!("declare it at the top level, below `{section}:`")),
    })
}

/// `additional_contexts: {name: "service:x"}`: the other service must be built, too.
fn contexts(checked: &Checked<'_>, service: &Service<'_>, findings: &mut Vec<Diagnostic>) {
    let contexts = service.at(&["build", "additional_contexts"]).and_then(|contexts| contexts.entries());
    for (name, entry) in contexts.into_iter().flatten() {
        let Some(other) = entry.value.scalar().and_then(|value| value.strip_prefix("service:")) else { continue };
        let what = match checked.root.at(&["services", other]) {
            None => "unknown",
            Some(service) if service.get("build").is_none() => "non-buildable",
            Some(_) => continue,
        };
        let message =
            format!("service \"{}\" declares {what} service \"{other}\" as additional contexts {name}", service.name);
        findings.push(Diagnostic::error(message).at(entry.value.span));
    }
}
