//! Which services are on.

use super::{
    decode::ServiceDraft,
    diagnostics::{Diagnostic, did_you_mean},
};
use indexmap::{IndexMap, IndexSet};

/// Services, split by whether their profiles are active.
pub struct Selection {
    pub enabled: IndexMap<String, ServiceDraft>,
    pub disabled: IndexMap<String, ServiceDraft>,
}

/// Naming a service makes its profiles active. `*` makes all of them active.
pub fn select(
    services: IndexMap<String, ServiceDraft>,
    profiles: &[String],
    named: &[String],
    findings: &mut Vec<Diagnostic>,
) -> Selection {
    let mut active: IndexSet<&str> = profiles.iter().map(String::as_str).collect();
    for name in named {
        match services.get(name) {
            Some(draft) if !is_active(draft, &active) => {
                active.extend(draft.service.profiles.iter().map(String::as_str));
            }
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
    let on: Vec<bool> = services.values().map(|draft| is_active(draft, &active)).collect();
    let mut selection = Selection { enabled: IndexMap::new(), disabled: IndexMap::new() };
    for ((name, draft), on) in services.into_iter().zip(on) {
        let side = if on { &mut selection.enabled } else { &mut selection.disabled };
        side.insert(name, draft);
    }
    selection
}

fn is_active(draft: &ServiceDraft, active: &IndexSet<&str>) -> bool {
    let profiles = &draft.service.profiles;
    profiles.is_empty() || active.contains("*") || profiles.iter().any(|profile| active.contains(profile.as_str()))
}

/// The named services and what they need; all of them where none is named.
pub fn closure(services: &IndexMap<String, ServiceDraft>, named: &[String]) -> IndexSet<String> {
    if named.is_empty() {
        return services.keys().cloned().collect();
    }
    let mut open: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut closed = IndexSet::new();
    while let Some(name) = open.pop() {
        let Some(draft) = services.get(name) else { continue };
        if closed.insert(name.to_owned()) {
            open.extend(draft.service.depends_on.keys().map(String::as_str));
        }
    }
    closed
}
