//! What env files and label files come to: the values that a service has of its own stand over those of its files, and
//! a later file's over an earlier one's.

use super::{
    diagnostics::{Diagnostic, Span},
    dotenv,
    interpolate::Interpolator,
    source::Sources,
    tree::{
        Entry, Kind, Mapping, Node,
        edit::{entry, fill},
    },
};
use indexmap::{IndexMap, IndexSet};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

pub struct Resolver<'a> {
    /// Of the project.
    pub variables: &'a BTreeMap<String, String>,
    /// Where paths that are not absolute yet start.
    pub working_dir: &'a Path,
    pub sources: &'a mut Sources,
    pub findings: &'a mut Vec<Diagnostic>,
    /// How much text the files of all services may still make.
    pub budget: usize,
}

/// A file that a service names.
struct Named {
    path: PathBuf,
    span: Span,
    required: bool,
    raw: bool,
}

impl Resolver<'_> {
    /// Files of services that are not `wanted` may be missing.
    pub fn resolve(&mut self, root: &mut Rc<Node>, wanted: &IndexSet<String>) {
        for (name, service) in Rc::make_mut(root).entries_at_mut("services").into_iter().flatten() {
            let has_files = ["env_file", "label_file"].iter().any(|key| service.value.get(key).is_some());
            if has_files && let Some(entries) = service.entries_mut() {
                let wanted = wanted.contains(name);
                self.files(entries, "env_file", "environment", wanted);
                self.files(entries, "label_file", "labels", wanted);
            }
        }
    }

    /// Moves what the files at `from` say below what stands at `to`.
    fn files(&mut self, service: &mut Mapping, from: &str, to: &str, wanted: bool) {
        let Some(list) = service.shift_remove(from) else { return };
        let mut resolved: IndexMap<String, (String, Span)> = IndexMap::new();
        for file in self.named(&list, from) {
            // A value sees the files before it, then the project's variables.
            let mut seen = self.variables.clone();
            seen.extend(resolved.iter().map(|(name, (value, _))| (name.clone(), value.clone())));
            let values = self.read(&file, from, seen, wanted);
            for (name, (value, line)) in values {
                resolved.insert(name, (value, line));
            }
        }
        if resolved.is_empty() {
            return;
        }
        let rule = if from == "env_file" { "an env file of the service" } else { "a label file of the service" };
        fill(service, to, || Node::implied(list.key, Kind::Mapping(Mapping::new()), rule));
        let Some(own) = service.get_mut(to).and_then(Entry::entries_mut) else { return };
        let above = std::mem::take(own);
        own.extend(
            resolved.into_iter().map(|(name, (value, span))| (name, entry(Node::implied_text(span, value, rule)))),
        );
        // A name that nothing gives a value to takes none from a file, either.
        own.extend(above);
    }

    /// The files in the canonical form of `env_file` and `label_file`.
    fn named(&mut self, list: &Entry, key: &str) -> Vec<Named> {
        let mut named = Vec::new();
        for item in list.value.items() {
            let (path, span) = match &item.kind {
                Kind::Mapping(_) => (item.text_at(&["path"]), item.place(&["path"])),
                _ => (item.scalar(), item.span),
            };
            let Some(path) = path else { continue };
            let raw = match item.text_at(&["format"]) {
                None | Some("") => false,
                Some("raw") => true,
                Some(other) => {
                    let message = format!("unsupported {key} format \"{other}\"");
                    let place = item.at(&["format"]).map_or(item.span, |format| format.span);
                    self.findings.push(Diagnostic::error(message).at(place).help("the one there is is `raw`"));
                    continue;
                }
            };
            let required = item.text_at(&["required"]) != Some("false");
            named.push(Named { path: self.working_dir.join(path), span, required, raw });
        }
        named
    }

    fn read(
        &mut self,
        file: &Named,
        key: &str,
        seen: BTreeMap<String, String>,
        wanted: bool,
    ) -> IndexMap<String, (String, Span)> {
        let what = if key == "env_file" { "env file" } else { "label file" };
        let (source, text) = match self.sources.read(&file.path) {
            Ok(text) => text,
            Err(error) => {
                let tolerated = error.not_found() && !(file.required && wanted);
                if !tolerated {
                    self.findings.push(error.diagnostic(what, &file.path).at(file.span));
                }
                return IndexMap::new();
            }
        };
        let mut interpolator = Interpolator::with_budget(seen, self.budget);
        let values = match file.raw {
            false => dotenv::parse(source, &text, &mut interpolator, self.findings),
            true => dotenv::parse_raw(source, &text, &interpolator, self.findings),
        };
        self.budget = interpolator.budget();
        let line = |name: &str| interpolator.line(name).unwrap_or(file.span);
        values
            .into_iter()
            .filter_map(|(name, value)| {
                let line = line(&name);
                Some((name, (value?, line)))
            })
            .collect()
    }
}
