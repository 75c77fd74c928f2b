//! The top level: what a whole file holds.

use super::{
    At, Context, Decoder, Field,
    Field::{Later, Read},
    service::{ServiceDraft, service},
    shape::Named,
};
use crate::{
    compose::{
        diagnostics::{Diagnostic, Span},
        tree::Node,
    },
    model::{FileObject, Network, Volume},
};
use indexmap::IndexMap;
use std::rc::Rc;

/// A project as the files say it; nothing is implied yet and nothing refers to anything yet.
#[derive(Debug, Default)]
pub struct Draft {
    pub services: IndexMap<String, ServiceDraft>,
    /// Names are empty where the file gives none.
    pub networks: IndexMap<String, Network>,
    pub volumes: IndexMap<String, Volume>,
    pub secrets: IndexMap<String, FileDraft>,
    pub configs: IndexMap<String, FileDraft>,
}

#[derive(Debug)]
pub struct FileDraft {
    pub object: FileObject,
    /// Where the file is named.
    pub span: Span,
}

/// Reads the merged tree of all files.
pub fn decode(root: &Rc<Node>, context: &Context, findings: &mut Vec<Diagnostic>) -> Draft {
    let mut draft = Draft::default();
    let mut decoder = Decoder::new(context, findings);
    decoder.section(&At { node: root, path: String::new() }, FIELDS, &mut draft);
    draft
}

const FIELDS: &[Field<Draft>] = &[
    // Read before everything else, by `name.rs`; here only its kind is checked.
    Read("name", |d, at, _| {
        d.text(at);
    }),
    // Warned of once a file, by the phase that reads it.
    Read("version", |d, at, _| {
        d.text_or_number(at);
    }),
    Later("include"),
    Read("services", |d, at, draft| {
        for named in d.resources(at, false) {
            if let Some(service) = service(d, &named) {
                draft.services.insert(named.name.to_owned(), service);
            }
        }
    }),
    Read("networks", |d, at, draft| {
        for named in d.resources(at, true) {
            let network = d.network(&named.at);
            draft.networks.insert(named.name.to_owned(), network);
        }
    }),
    Read("volumes", |d, at, draft| {
        for named in d.resources(at, true) {
            let volume = d.volume(&named.at);
            draft.volumes.insert(named.name.to_owned(), volume);
        }
    }),
    Read("secrets", |d, at, draft| {
        for named in d.resources(at, true) {
            draft.secrets.extend(d.file_object(&named, "secret").map(|object| (named.name.to_owned(), object)));
        }
    }),
    Read("configs", |d, at, draft| {
        for named in d.resources(at, true) {
            draft.configs.extend(d.file_object(&named, "config").map(|object| (named.name.to_owned(), object)));
        }
    }),
    Later("models"),
];

impl Decoder<'_> {
    /// The entries of a top-level section, with names that can be names.
    fn resources<'t>(&mut self, at: &At<'t>, may_be_empty: bool) -> Vec<Named<'t>> {
        if may_be_empty && at.node.is_null() {
            return Vec::new();
        }
        let mut entries = self.entries(at);
        for named in &entries {
            if !is_key(named.name) {
                let finding = Diagnostic::error(format!("`{}` is no name for one of `{}`", named.name, at.path));
                self.report(finding.at(named.key).help("names are made of letters, digits, `.`, `_` and `-`"));
            }
        }
        entries.retain(|named| is_key(named.name));
        entries
    }
}

fn is_key(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// A name that engines take for containers, networks and volumes.
pub fn is_object_name(name: &str) -> bool {
    is_key(name) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 255
}
