//! The top level: what a whole file holds.

use super::{
    At, Decoder, Field,
    Field::{Read, Without},
    files::FileDraft,
    service::service,
};
use crate::{
    compose::{diagnostics::Diagnostic, tree::Node},
    model::{Network, Service, Volume},
};
use indexmap::{IndexMap, IndexSet};
use std::rc::Rc;

/// What the sections read into.
#[derive(Debug, Default)]
pub struct Draft {
    pub services: IndexMap<String, Service>,
    pub networks: IndexMap<String, Network>,
    pub volumes: IndexMap<String, Volume>,
    pub secrets: IndexMap<String, FileDraft>,
    pub configs: IndexMap<String, FileDraft>,
}

/// Reads the canonical tree of a project, with all that it implies.
pub fn decode(root: &Rc<Node>, findings: &mut Vec<Diagnostic>) -> Draft {
    let mut draft = Draft::default();
    let mut decoder = Decoder::new(findings);
    decoder.section(&At { node: root, path: String::new() }, FIELDS, &mut draft);
    draft
}

/// Only what is wrong with the builds of these services.
pub fn check_builds(root: &Rc<Node>, wanted: &IndexSet<String>, findings: &mut Vec<Diagnostic>) {
    let mut decoder = Decoder::new(findings);
    let top = At { node: root, path: String::new() };
    let Some(services) = root.get("services") else { return };
    for named in decoder.entries(&top.key("services", &services.value)) {
        if wanted.contains(named.name)
            && let Some(build) = named.at.node.get("build")
        {
            decoder.build(&named.at.key("build", &build.value));
            if let Some(platform) = named.at.node.get("platform") {
                decoder.platform(&named.at.key("platform", &platform.value));
            }
        }
    }
}

pub const FIELDS: &[Field<Draft>] = &[
    // Both are read before everything else.
    Read("name", |_, _, _| {}),
    Read("version", |_, _, _| {}),
    Read("include", |_, _, _| {}),
    Read("services", |d, at, draft| {
        for named in d.entries(at) {
            if let Some(service) = service(d, &named) {
                draft.services.insert(named.name.to_owned(), service);
            }
        }
    }),
    Read("networks", |d, at, draft| {
        for named in d.entries(at) {
            let network = d.network(&named.at);
            draft.networks.insert(named.name.to_owned(), network);
        }
    }),
    Read("volumes", |d, at, draft| {
        for named in d.entries(at) {
            let volume = d.volume(&named.at);
            draft.volumes.insert(named.name.to_owned(), volume);
        }
    }),
    Read("secrets", |d, at, draft| {
        for named in d.entries(at) {
            draft.secrets.extend(d.file_object(&named, "secret").map(|object| (named.name.to_owned(), object)));
        }
    }),
    Read("configs", |d, at, draft| {
        for named in d.entries(at) {
            draft.configs.extend(d.file_object(&named, "config").map(|object| (named.name.to_owned(), object)));
        }
    }),
    Without("models", "there is no model runner here"),
];

/// A name that engines take for containers, networks and volumes.
pub fn is_object_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 255
}
