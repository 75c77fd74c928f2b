//! `include`: other projects, each read in its own directory with its own variables, then taken in below the document
//! that includes it.

use super::{
    Assembler, Project, Scope,
    extends::{with_section, without},
    remote,
};
use crate::compose::{
    diagnostics::{Diagnostic, Span, did_you_mean},
    dotenv, merge, source,
    tree::{Entry, Kind, Mapping, Node},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

/// What is known of projects that are included.
#[derive(Default)]
pub(super) struct Including {
    /// A project that is reached in several ways is loaded once for all of them that give it the same variables;
    /// `None`: it could not be loaded, and that has been said.
    projects: HashMap<(Vec<PathBuf>, PathBuf, Scope), Option<Rc<Node>>>,
    /// What env files make of a scope.
    scopes: HashMap<(Scope, Vec<PathBuf>), Scope>,
}

/// A file on the way to what is included.
#[derive(Clone)]
pub(super) struct Hop {
    /// With links followed.
    path: PathBuf,
    /// Where it is included.
    place: Span,
}

/// An item of `include`.
#[derive(Default)]
struct Inclusion<'a> {
    /// The first is the main one, the others lie over it.
    paths: Vec<&'a Node>,
    env_files: Vec<&'a Node>,
    project_directory: Option<&'a Node>,
}

const KEYS: [&str; 3] = ["path", "env_file", "project_directory"];
/// What is taken from an included project. Its name and its extensions are its own.
const SECTIONS: [&str; 6] = ["services", "networks", "volumes", "secrets", "configs", "models"];
/// Reading an included file happens inside of reading the one that includes it.
const MAX_NESTING: usize = 50;
/// An env file of this name has nothing in it, not even the default one.
const NO_ENV_FILE: &str = "/dev/null";

impl Assembler<'_> {
    /// The document, without tags, over all that it includes.
    pub(super) fn include(&mut self, said: &Rc<Node>, project: &Project) -> Rc<Node> {
        let mut whole = merge::settle(said);
        let Some(include) = whole.get("include").map(|entry| entry.value.clone()) else { return whole };
        whole = without(&whole, "include");
        let Kind::Sequence(items) = &include.kind else {
            if !include.is_null() {
                let message = format!("`include` must be a list, not {}", include.describe());
                self.findings.push(Diagnostic::error(message).at(include.span).help("write `include: [path]`"));
            }
            return whole;
        };
        for item in items {
            match read(item) {
                Ok(inclusion) => {
                    if let Some(included) = self.included(&inclusion, item.span, project) {
                        whole = self.take_in(&included, whole, said);
                    }
                }
                Err(findings) => self.findings.extend(findings),
            }
        }
        whole
    }

    /// The project that an item of `include` stands for.
    fn included(&mut self, inclusion: &Inclusion<'_>, place: Span, project: &Project) -> Option<Rc<Node>> {
        if !self.budget.is_open() {
            return None;
        }
        let paths = self.paths(inclusion, project)?;
        let dir = match (inclusion.project_directory.and_then(|node| node.scalar()), paths.first()) {
            (Some(given), _) => source::clean(&project.dir.join(given)),
            (None, Some((first, _))) => first.parent().unwrap_or(Path::new("/")).to_owned(),
            (None, None) => return None,
        };
        let chain = self.chain(&paths, project, place)?;
        let env_files = self.env_files(inclusion, &dir, project)?;

        self.interpolator.enter();
        let scope = self.scope(project.scope, &env_files);
        let key = (paths.iter().map(|(path, _)| path.clone()).collect(), dir.clone(), scope);
        let known = self.including.projects.get(&key).cloned();
        let included = known.unwrap_or_else(|| {
            let included = self.load(&paths, &Project { dir, scope, chain });
            self.including.projects.insert(key, included.clone());
            included
        });
        self.interpolator.leave();
        included
    }

    fn load(&mut self, paths: &[(PathBuf, Span)], project: &Project) -> Option<Rc<Node>> {
        let mut documents = Vec::new();
        for (path, place) in paths {
            // The same file, once more: with other variables it is another project.
            self.count_file(*place)?;
            let opened = self.open(path, &project.dir, *place)?;
            self.budget.spend(opened.size / super::BYTES_OF_AN_ENTRY, *place);
            documents.extend(opened.documents.iter().cloned());
        }
        self.documents(&documents, project)
    }

    /// The files, each with the place that names it.
    fn paths(&mut self, inclusion: &Inclusion<'_>, project: &Project) -> Option<Vec<(PathBuf, Span)>> {
        let mut paths = Vec::new();
        for node in &inclusion.paths {
            let given = node.scalar()?;
            if let Some(kind) = remote(given) {
                let message = format!("cannot include {given}: it is {kind}, not a file of this host");
                self.findings.push(Diagnostic::error(message).at(node.span).help("get a copy, and include that"));
                return None;
            }
            paths.push((source::clean(&project.dir.join(given)), node.span));
        }
        Some(paths)
    }

    /// The way to the files that are included; `None`: it goes in a circle, or on and on.
    fn chain(&mut self, paths: &[(PathBuf, Span)], project: &Project, place: Span) -> Option<Vec<Hop>> {
        let mut chain = project.chain.clone();
        let here = self.sources.path(place.source).map(source::followed);
        let name = |path: &Path, sources: &source::Sources| sources.shown(path).display().to_string();
        for (path, place) in paths {
            let followed = source::followed(path);
            let start = if here.as_ref() == Some(&followed) {
                Some(chain.len())
            } else {
                chain.iter().position(|hop| hop.path == followed)
            };
            let Some(start) = start else { continue };
            let mut names: Vec<String> = chain[start..].iter().map(|hop| name(&hop.path, self.sources)).collect();
            names.push(name(&followed, self.sources));
            if start == chain.len() {
                names.push(name(&followed, self.sources));
            }
            let mut finding =
                Diagnostic::error(format!("include cycle detected: {}", names.join(" includes "))).at(*place);
            for hop in chain.iter().skip(start + 1) {
                finding = finding.because(hop.place, "");
            }
            self.findings.push(finding);
            return None;
        }
        if chain.len() >= MAX_NESTING {
            let message = format!("files include each other more than {MAX_NESTING} deep");
            self.findings.push(Diagnostic::error(message).at(place));
            return None;
        }
        chain.extend(paths.iter().map(|(path, place)| Hop { path: source::followed(path), place: *place }));
        Some(chain)
    }

    /// The env files of an included project. A relative one is relative to the project that includes.
    fn env_files(
        &mut self,
        inclusion: &Inclusion<'_>,
        dir: &Path,
        project: &Project,
    ) -> Option<Vec<(PathBuf, Option<Span>)>> {
        if inclusion.env_files.is_empty() {
            let default = dir.join(".env");
            return Some(if source::is_file(&default) { vec![(default, None)] } else { Vec::new() });
        }
        let given = inclusion.env_files.iter().filter_map(|node| Some((node.scalar()?, node.span)));
        let named = given.filter(|(text, _)| *text != NO_ENV_FILE);
        Some(named.map(|(text, span)| (source::clean(&project.dir.join(text)), Some(span))).collect())
    }

    /// Reads env files below the variables that are known.
    fn scope(&mut self, outer: Scope, env_files: &[(PathBuf, Option<Span>)]) -> Scope {
        for (path, place) in env_files {
            match self.sources.read(path) {
                Ok((source, text)) => {
                    self.interpolator.enter();
                    dotenv::parse(source, &text, self.interpolator, self.findings);
                    self.interpolator.leave_above();
                }
                Err(error) => {
                    let finding = error.diagnostic("env file", &self.sources.shown(path));
                    self.findings.push(match place {
                        Some(place) => finding.at(*place),
                        None => finding,
                    });
                }
            }
        }
        if env_files.is_empty() {
            return outer;
        }
        let next = Scope(self.including.scopes.len() + 1);
        let key = (outer, env_files.iter().map(|(path, _)| path.clone()).collect());
        *self.including.scopes.entry(key).or_insert(next)
    }

    /// `whole` over the sections of `included`. `said` is what the document itself says, with its tags.
    fn take_in(&mut self, included: &Rc<Node>, mut whole: Rc<Node>, said: &Rc<Node>) -> Rc<Node> {
        for section in SECTIONS {
            let Some(from) = included.get(section) else { continue };
            let Kind::Mapping(resources) = &from.value.kind else { continue };
            let (mut taken, own) = match whole.get(section).map(|entry| &entry.value) {
                Some(node) => match &node.kind {
                    Kind::Mapping(own) => (own.clone(), node.clone()),
                    _ if node.is_null() => (Mapping::new(), node.clone()),
                    _ => continue,
                },
                None => (Mapping::new(), from.value.clone()),
            };
            self.budget.spend(resources.len() + taken.len(), from.key);
            let tags = said.get(section).map(|entry| &entry.value);
            for (name, resource) in resources {
                let value = match taken.get(name) {
                    None => resource.value.clone(),
                    // Reached in two ways.
                    Some(own) if self.same(&own.value, &resource.value) => continue,
                    Some(own) => self.beneath(section, name, &resource.value, &own.value, tags),
                };
                let key = taken.get(name).map_or(resource.key, |own| own.key);
                taken.insert(name.clone(), Entry { key, value });
            }
            whole = with_section(&whole, section, own.with(Kind::Mapping(taken)));
        }
        whole
    }

    /// What two projects say of one resource.
    fn beneath(
        &mut self,
        section: &str,
        name: &str,
        included: &Rc<Node>,
        own: &Rc<Node>,
        tags: Option<&Rc<Node>>,
    ) -> Rc<Node> {
        let mut path = vec![section.to_owned(), name.to_owned()];
        let base = match tags.and_then(|tags| tags.get(name)) {
            Some(tags) => merge::prune(included, &tags.value, &mut path),
            None => included.clone(),
        };
        merge::merge(&base, own, &[section, name], &mut self.budget, self.findings)
    }

    /// True if both say the same and mean the same paths by it.
    fn same(&self, a: &Rc<Node>, b: &Rc<Node>) -> bool {
        if Rc::ptr_eq(a, b) {
            return true;
        }
        match (&a.kind, &b.kind) {
            (Kind::Scalar { text, plain }, Kind::Scalar { text: other, plain: other_plain }) => {
                let base = |node: &Node| self.sources.base(node.span.source);
                text == other && plain == other_plain && base(a) == base(b)
            }
            (Kind::Sequence(a), Kind::Sequence(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b))
            }
            (Kind::Mapping(a), Kind::Mapping(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| self.same(&a.value, &b.value)))
            }
            _ => false,
        }
    }
}

/// `path`, or `{path, env_file, project_directory}`.
fn read(item: &Rc<Node>) -> Result<Inclusion<'_>, Vec<Diagnostic>> {
    let Kind::Mapping(entries) = &item.kind else {
        return match item.scalar() {
            Some(_) if !matches!(item.plain(), Some(crate::compose::tree::Plain::Int(_))) => {
                Ok(Inclusion { paths: vec![item], ..Inclusion::default() })
            }
            _ => {
                let message = format!("an item of `include` must be a path or a mapping, not {}", item.describe());
                Err(vec![Diagnostic::error(message).at(item.span)])
            }
        };
    };
    let mut findings = Vec::new();
    for (key, entry) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()) && !key.starts_with("x-")) {
        let finding = Diagnostic::error(format!("`include`: additional properties '{key}' not allowed")).at(entry.key);
        findings.push(match did_you_mean(key, KEYS) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("it takes `path`, `env_file` and `project_directory`"),
        });
    }
    let mut texts = |key: &str, many: bool| {
        let Some(value) = entries.get(key).map(|entry| &entry.value) else { return Vec::new() };
        let items = match &value.kind {
            Kind::Sequence(items) if many => items.as_slice(),
            _ if value.is_null() => &[],
            _ => std::slice::from_ref(value),
        };
        for item in items.iter().filter(|item| item.scalar().is_none()) {
            let message = format!("`include.{key}` must be a string, not {}", item.describe());
            findings.push(Diagnostic::error(message).at(item.span));
        }
        items.iter().map(|item| item.as_ref()).collect()
    };
    let inclusion = Inclusion {
        paths: texts("path", true),
        env_files: texts("env_file", true),
        project_directory: texts("project_directory", false).into_iter().next(),
    };
    if inclusion.paths.is_empty() && findings.is_empty() {
        findings.push(Diagnostic::error("an item of `include` has no `path`").at(item.span));
    }
    if findings.is_empty() { Ok(inclusion) } else { Err(findings) }
}
