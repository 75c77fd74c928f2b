//! What a file implies without saying it: the default network, real names, one place for what can be said in two.

use super::{
    decode::{Draft, ServiceDraft},
    diagnostics::Diagnostic,
    tree::Node,
};
use crate::model::{Attachment, Network};
use indexmap::IndexMap;

const DEFAULT: &str = "default";

/// Fills in one service; `deploy` and the flat attributes become one.
pub fn service(draft: &mut ServiceDraft, root: &Node, findings: &mut Vec<Diagnostic>) {
    scale(draft, root, findings);
    limits(draft, root, findings);
    if let Some(restart) = draft.deploy.restart {
        draft.service.restart = restart;
    }
    if draft.service.networks.is_empty() && draft.service.network_mode.is_none() {
        draft.service.networks.insert(DEFAULT.into(), Attachment::default());
    }
}

fn scale(draft: &mut ServiceDraft, root: &Node, findings: &mut Vec<Diagnostic>) {
    if let (Some(scale), Some(replicas)) = (draft.scale, draft.deploy.replicas)
        && scale != replicas
    {
        let name = &draft.service.name;
        let message = format!("`services.{name}`: scale is {scale}, but deploy.replicas is {replicas}");
        let scale = root.place(&["services", name, "scale"]);
        let replicas = root.place(&["services", name, "deploy", "replicas"]);
        findings.push(Diagnostic::error(message).at(scale).because(replicas, "must be the same"));
    }
    draft.service.scale = draft.scale.or(draft.deploy.replicas).unwrap_or(1);
}

fn limits(draft: &mut ServiceDraft, root: &Node, findings: &mut Vec<Diagnostic>) {
    let name = draft.service.name.clone();
    let mut conflict = |flat: &str, deploy: &[&str]| {
        let path: Vec<&str> =
            ["services", &name, "deploy", "resources"].into_iter().chain(deploy.iter().copied()).collect();
        let message = format!("`services.{name}`: {flat} and deploy.resources.{} differ", deploy.join("."));
        let flat = root.place(&["services", &name, flat]);
        findings.push(Diagnostic::error(message).at(flat).because(root.place(&path), "must be the same"));
    };
    let (resources, deploy) = (&mut draft.service.resources, &draft.deploy);
    if !agree(&mut resources.cpus, deploy.cpus) {
        conflict("cpus", &["limits", "cpus"]);
    }
    if !agree(&mut resources.memory, deploy.memory) {
        conflict("mem_limit", &["limits", "memory"]);
    }
    if !agree(&mut resources.pids, deploy.pids) {
        conflict("pids_limit", &["limits", "pids"]);
    }
    if !agree(&mut resources.memory_reservation, deploy.memory_reservation) {
        conflict("mem_reservation", &["reservations", "memory"]);
    }
}

fn agree<T: Copy + PartialEq>(flat: &mut Option<T>, deploy: Option<T>) -> bool {
    let fine = flat.is_none() || deploy.is_none() || *flat == deploy;
    *flat = flat.or(deploy);
    fine
}

/// Declares the default network where a service uses it.
pub fn default_network(draft: &mut Draft, services: &IndexMap<String, ServiceDraft>) {
    let used = services.values().any(|draft| draft.service.networks.contains_key(DEFAULT));
    if used && !draft.networks.contains_key(DEFAULT) {
        draft.networks.insert(DEFAULT.into(), Network::default());
    }
}

/// Gives every resource its real name.
pub fn names(draft: &mut Draft, project: &str) {
    let fill = |name: &mut String, key: &str, external: bool| {
        if name.is_empty() {
            *name = if external { key.to_owned() } else { format!("{project}_{key}") };
        }
    };
    for (key, network) in &mut draft.networks {
        fill(&mut network.name, key, network.external);
    }
    for (key, volume) in &mut draft.volumes {
        fill(&mut volume.name, key, volume.external);
    }
    for (key, file) in draft.secrets.iter_mut().chain(&mut draft.configs) {
        fill(&mut file.object.name, key, false);
    }
}
