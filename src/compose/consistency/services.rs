//! Attributes of one service that do not go together.

use super::Checked;
use crate::{
    compose::{
        decode::ServiceDraft,
        diagnostics::{Diagnostic, Span},
        tree::{Kind, Node},
    },
    model::NetworkMode,
};
use std::{collections::HashMap, path::Path};

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    let mut container_names: HashMap<&str, &str> = HashMap::new();
    for (name, draft) in checked.enabled {
        let context = Service { name, draft, root: checked.root };
        context.image(findings);
        context.network_mode(findings);
        context.container_name(findings);
        context.targets(findings);
        context.memory(findings);
        if let Some(container) = &draft.service.container_name
            && let Some(other) = container_names.insert(container, name)
        {
            let message = format!("the services \"{other}\" and \"{name}\" have one container_name: \"{container}\"");
            let first = checked.root.place(&["services", other, "container_name"]);
            findings
                .push(Diagnostic::error(message).at(context.place(&["container_name"])).because(first, "first here"));
        }
    }
}

struct Service<'a> {
    name: &'a str,
    draft: &'a ServiceDraft,
    root: &'a Node,
}

impl Service<'_> {
    fn place(&self, path: &[&str]) -> Span {
        let path: Vec<&str> = ["services", self.name].into_iter().chain(path.iter().copied()).collect();
        self.root.place(&path)
    }

    fn attribute(&self, key: &str) -> Option<&Node> {
        let service = self.root.get("services")?.value.get(self.name)?;
        service.value.get(key).map(|entry| &*entry.value)
    }

    fn has(&self, key: &str) -> bool {
        self.attribute(key).is_some()
    }

    fn image(&self, findings: &mut Vec<Diagnostic>) {
        // A build is refused by name; an image that could not be read has been told of.
        let place = match self.attribute("image") {
            None => self.draft.span,
            Some(image) if matches!(&image.kind, Kind::Scalar { text, plain: false } if text.is_empty()) => image.span,
            Some(_) => return,
        };
        if !self.has("build") {
            let message = format!("service \"{}\" has neither an image nor a build context specified", self.name);
            findings.push(Diagnostic::error(message).at(place));
        }
    }

    fn network_mode(&self, findings: &mut Vec<Diagnostic>) {
        if !self.has("network_mode") {
            return;
        }
        if self.has("networks") {
            let message =
                format!("service \"{}\" declares mutually exclusive `network_mode` and `networks`", self.name);
            let mode = self.place(&["network_mode"]);
            findings.push(Diagnostic::error(message).at(self.place(&["networks"])).because(mode, "excludes networks"));
        }
        let mode = match self.draft.service.network_mode {
            Some(NetworkMode::Host) => "host",
            Some(NetworkMode::None) => "none",
            None => return,
        };
        if !self.draft.service.ports.is_empty() {
            let message = format!("the ports of \"{}\" are not published: its network_mode is {mode}", self.name);
            findings.push(Diagnostic::warning(message).at(self.place(&["ports"])));
        }
    }

    fn container_name(&self, findings: &mut Vec<Diagnostic>) {
        let service = &self.draft.service;
        if let Some(container) = service.container_name.as_deref().filter(|_| service.scale > 1) {
            let message = format!(
                "service \"{}\" has the container_name \"{container}\", so there cannot be {}",
                self.name, service.scale
            );
            let key = if self.draft.scale.is_some() { &["scale"][..] } else { &["deploy", "replicas"] };
            findings.push(
                Diagnostic::error(message)
                    .at(self.place(&["container_name"]))
                    .because(self.place(key), "asks for more"),
            );
        }
    }

    /// Two things at one place of the container.
    fn targets(&self, findings: &mut Vec<Diagnostic>) {
        let service = &self.draft.service;
        let all = (service.volumes.iter().map(|mount| ("volumes", mount.target.as_path())))
            .chain(service.tmpfs.iter().map(|tmpfs| ("tmpfs", tmpfs.target.as_path())))
            .chain(service.secrets.iter().map(|file| ("secrets", file.target.as_path())))
            .chain(service.configs.iter().map(|file| ("configs", file.target.as_path())));
        let mut seen: HashMap<&Path, &str> = HashMap::new();
        for (section, target) in all {
            // Within a section the decoder has seen to it.
            if let Some(other) = seen.insert(target, section) {
                let message =
                    format!("service \"{}\" mounts on {} twice: {other} and {section}", self.name, target.display());
                let first = self.place(&[other]);
                findings.push(Diagnostic::error(message).at(self.place(&[section])).because(first, "here as well"));
            }
        }
    }

    /// What the kernel would refuse when the container starts.
    fn memory(&self, findings: &mut Vec<Diagnostic>) {
        let resources = &self.draft.service.resources;
        let mut refuse = |key: &str, why: String| {
            let message = format!("service \"{}\": {why}", self.name);
            findings.push(Diagnostic::error(message).at(self.place(&[key])));
        };
        if let Some(swap) = resources.memory_swap.and_then(|swap| u64::try_from(swap).ok()) {
            match resources.memory {
                None => refuse("memswap_limit", "memswap_limit needs mem_limit".into()),
                Some(memory) if swap < memory => {
                    refuse("memswap_limit", "memswap_limit is memory and swap together, so at least mem_limit".into());
                }
                Some(_) => {}
            }
        }
        if let (Some(limit), Some(reservation)) = (resources.memory, resources.memory_reservation)
            && reservation > limit
        {
            let key = if self.has("mem_reservation") { "mem_reservation" } else { "deploy" };
            refuse(key, "the memory reservation is above the memory limit".into());
        }
    }
}
