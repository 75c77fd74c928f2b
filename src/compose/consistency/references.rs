//! Names that nothing answers to.

use super::Checked;
use crate::compose::{
    decode::{Reference, Referent, ServiceDraft},
    diagnostics::{Diagnostic, did_you_mean},
    tree::Kind,
};

/// A guess compares with every name; a project with more names than that is no person's.
const MAX_GUESSES: usize = 500;

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    for (name, draft) in checked.enabled {
        for reference in &draft.references {
            findings.extend(undefined(checked, name, draft, reference));
        }
    }
}

fn undefined(checked: &Checked<'_>, service: &str, draft: &ServiceDraft, reference: &Reference) -> Option<Diagnostic> {
    let (section, verb, what) = match reference.to {
        Referent::Service => ("services", "depends on", "service"),
        Referent::Network => ("networks", "refers to", "network"),
        Referent::Volume => ("volumes", "refers to", "volume"),
        Referent::Secret => ("secrets", "refers to", "secret"),
        Referent::Config => ("configs", "refers to", "config"),
    };
    let name = reference.name.as_str();
    let required = draft.service.depends_on.get(name).is_none_or(|dependency| dependency.required);
    let is_off = reference.to == Referent::Service && checked.disabled.contains_key(name);
    if is_off && !required {
        return None;
    }
    let resources = checked.root.get(section).map(|entry| &*entry.value);
    let implied = reference.to == Referent::Network && name == "default";
    if !is_off && (implied || resources.is_some_and(|resources| resources.get(name).is_some())) {
        return None;
    }
    let keys = match resources.map(|resources| &resources.kind) {
        Some(Kind::Mapping(entries)) => entries.keys().map(String::as_str).take(MAX_GUESSES).collect(),
        _ => Vec::new(),
    };
    let finding =
        Diagnostic::error(format!("service \"{service}\" {verb} undefined {what} \"{name}\"")).at(reference.span);
    if let Some(off) = checked.disabled.get(name).filter(|_| is_off) {
        let profiles = off.service.profiles.join("`, `");
        let help = format!("no profile of it is active: `{profiles}`");
        return Some(finding.because(off.span, "switched off").help(help));
    }
    let looks_like_path = reference.to == Referent::Volume && name.contains('/');
    Some(match did_you_mean(name, keys) {
        _ if looks_like_path => finding.help(format!("a path of the host starts with `./`: `./{name}`")),
        Some(meant) => finding.help(format!("did you mean `{meant}`?")),
        None if reference.to == Referent::Service => finding,
        None => finding.help(format!("declare it at the top level, below `{section}:`")),
    })
}
