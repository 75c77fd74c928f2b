//! Compose files -> one merged tree.

use super::{
    diagnostics::Diagnostic,
    interpolate::Interpolator,
    merge,
    settings::{Input, Settings},
    source::Sources,
    tree::{self, Kind, Node},
};
use std::{path::Path, rc::Rc};

/// All documents of all files, in order.
pub fn documents(settings: &Settings, sources: &mut Sources, findings: &mut Vec<Diagnostic>) -> Vec<Rc<Node>> {
    let mut documents = Vec::new();
    for input in &settings.inputs {
        let (read, path) = match input {
            Input::Stdin => (sources.read_stdin(), Path::new("<stdin>")),
            Input::File(path) => (sources.read(path), path.as_path()),
            Input::Overlay(text) => (Ok(sources.add("<command line>", text)), Path::new("<command line>")),
        };
        match read {
            Ok((source, text)) => documents.extend(of_file(source, &text, path, findings)),
            Err(error) => findings.push(error.diagnostic("Compose file", path)),
        }
    }
    documents
}

fn of_file(source: u32, text: &str, path: &Path, findings: &mut Vec<Diagnostic>) -> Vec<Rc<Node>> {
    let before = findings.len();
    let mut documents = tree::parse(source, text, findings);
    // An empty document between two others changes nothing.
    documents.retain(|document| !document.is_null());
    if documents.is_empty() && findings.len() == before {
        findings.push(Diagnostic::error(format!("empty compose file: {}", path.display())));
    }
    documents.retain(|document| {
        let is_mapping = matches!(document.kind, Kind::Mapping(_));
        if !is_mapping {
            let message = format!("the top level must be a mapping, not {}", document.describe());
            findings.push(Diagnostic::error(message).at(document.span).help("it holds `services:` and its like"));
        }
        is_mapping
    });
    if let Some(version) = documents.iter().find_map(|document| document.get("version")) {
        let warning = Diagnostic::warning("`version` is obsolete and has no effect").at(version.key);
        findings.push(warning.help("remove it"));
    }
    documents
}

/// Resolves the variables of every document, then lays one over the other.
pub fn merged(
    documents: &[Rc<Node>],
    interpolator: &mut Interpolator,
    sources: &Sources,
    findings: &mut Vec<Diagnostic>,
) -> Option<Rc<Node>> {
    let mut result: Option<Rc<Node>> = None;
    for document in documents {
        let resolved = interpolator.tree(document, sources, findings);
        result = Some(match result {
            None => merge::settle(&resolved),
            Some(base) => merge::merge(&base, &resolved, findings),
        });
    }
    result
}
