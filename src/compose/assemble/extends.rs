//! `extends`: a service on top of another one, of the same document or of another file.

use super::{Assembler, Opened, Scope, remote};
use crate::compose::{
    diagnostics::{Diagnostic, Span, did_you_mean},
    merge,
    source::Sources,
    tree::{Entry, Kind, Mapping, Node},
};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    rc::Rc,
};

/// What is known of services that are extended.
#[derive(Default)]
pub(super) struct Extending {
    /// Places where services are looked for: a document, or all documents of a file that is extended.
    units: Vec<Unit>,
    /// Files that were opened, by their source and the variables they saw; `None`: it cannot be used, and that has been
    /// said.
    files: HashMap<(u32, Scope), Option<usize>>,
    /// Services as they are when all they extend is in them.
    resolved: HashMap<(usize, String), Rc<Node>>,
}

struct Unit {
    /// As shown.
    name: String,
    scope: Scope,
    services: Rc<Node>,
    /// The services as they are written, with what they reset and override.
    said: Option<Rc<Node>>,
}

/// A step of a chain: `service` of a unit extends what is at `reference`.
struct Hop {
    unit: usize,
    name: String,
    service: Rc<Node>,
    reference: Span,
}

/// What an `extends` says.
struct Reference<'a> {
    service: &'a Node,
    name: &'a str,
    file: Option<&'a Node>,
}

const KEYS: [&str; 2] = ["service", "file"];

impl Assembler<'_> {
    /// The document with every service on top of what it extends. `said` is the document before anything was included.
    pub(super) fn extend_all(&mut self, document: &Rc<Node>, said: &Rc<Node>, scope: Scope) -> Rc<Node> {
        let Some(section) = document.get("services") else { return document.clone() };
        let Kind::Mapping(services) = &section.value.kind else { return document.clone() };
        if !services.values().any(|entry| entry.value.get("extends").is_some()) {
            return document.clone();
        }
        let unit = self.unit(document, Some(said), scope);
        let mut extended = services.clone();
        for (name, entry) in services {
            if entry.value.get("extends").is_some() {
                let value = self.resolve(unit, name);
                extended.insert(name.clone(), Entry { key: entry.key, value });
            }
        }
        with_section(document, "services", section.value.with(Kind::Mapping(extended)))
    }

    fn unit(&mut self, document: &Rc<Node>, said: Option<&Rc<Node>>, scope: Scope) -> usize {
        let services = |root: &Rc<Node>| root.get("services").map(|section| section.value.clone());
        self.extending.units.push(Unit {
            name: self.sources.name(document.span.source).to_owned(),
            scope,
            services: services(document).unwrap_or_else(|| Rc::new(Node::null(document.span))),
            said: said.and_then(services),
        });
        self.extending.units.len() - 1
    }

    /// A service of a unit with all that it extends. Chains can be as long as a file: they are walked, not descended.
    fn resolve(&mut self, unit: usize, name: &str) -> Rc<Node> {
        let mut chain: Vec<Hop> = Vec::new();
        let mut seen = HashSet::new();
        let mut at = Some((unit, name.to_owned()));
        let mut base = None;
        while let Some((unit, name)) = at.take() {
            if let Some(known) = self.extending.resolved.get(&(unit, name.clone())) {
                base = Some(known.clone());
                break;
            }
            let Some(service) = self.extending.units[unit].services.get(&name).map(|entry| entry.value.clone()) else {
                break;
            };
            let Some(extends) = service.get("extends").map(|entry| entry.value.clone()) else {
                base = Some(service);
                break;
            };
            if !seen.insert((unit, name.clone())) {
                self.cycle(&chain, unit, &name);
                break;
            }
            at = self.reference(&extends, unit, &name);
            chain.push(Hop { unit, name, service, reference: extends.span });
        }
        for hop in chain.into_iter().rev() {
            let whole = self.extend(base.take(), &hop);
            self.extending.resolved.insert((hop.unit, hop.name), whole.clone());
            base = Some(whole);
        }
        base.unwrap_or_else(|| Rc::new(Node::null(Span { source: 0, start: 0, end: 0 })))
    }

    /// One service on top of what it extends.
    fn extend(&mut self, base: Option<Rc<Node>>, hop: &Hop) -> Rc<Node> {
        let own = without(&hop.service, "extends");
        let Some(base) = base.filter(|base| matches!(base.kind, Kind::Mapping(_))) else { return own };
        let mut path = vec!["services".to_owned(), hop.name.clone()];
        let said = self.extending.units[hop.unit].said.as_ref().and_then(|services| services.get(&hop.name));
        let base = match said {
            Some(said) => merge::prune(&base, &said.value, &mut path),
            None => base,
        };
        merge::merge(&base, &own, &["services", &hop.name], &mut self.budget, self.findings)
    }

    /// Where the service is that `extends` names. What is wrong with it is said.
    fn reference(&mut self, extends: &Rc<Node>, unit: usize, name: &str) -> Option<(usize, String)> {
        let reference = match read(extends, name) {
            Ok(reference) => reference,
            Err(findings) => {
                self.findings.extend(findings);
                return None;
            }
        };
        let target = match reference.file {
            Some(file) => self.file(file, unit, name)?,
            None => unit,
        };
        let Unit { name: here, services, .. } = &self.extending.units[unit];
        let there = &self.extending.units[target];
        let candidates = match &there.services.kind {
            Kind::Mapping(services) => services,
            _ => &Mapping::new(),
        };
        if let Some(found) = candidates.get(reference.name) {
            let usable = found.value.is_null() || matches!(found.value.kind, Kind::Mapping(_));
            if !usable && target != unit {
                let message = format!("`services.{}` must be a mapping", reference.name);
                self.findings.push(Diagnostic::error(message).at(found.value.span));
            }
            return Some((target, reference.name.to_owned()));
        }
        let place = if target == unit { String::new() } else { format!(" in {}", there.name) };
        let message =
            format!("cannot extend service \"{name}\" in {here}: service \"{}\" not found{place}", reference.name);
        let mut finding = Diagnostic::error(message).at(reference.service.span);
        let own = services.get(reference.name).filter(|_| target != unit);
        if let Some(near) = did_you_mean(reference.name, candidates.keys().map(String::as_str)) {
            finding = finding.help(format!("did you mean `{near}`?"));
        } else if own.is_some() {
            finding = finding.help(format!("{here} has a `{}`: without `file`, that is extended", reference.name));
        }
        self.findings.push(finding);
        None
    }

    /// The unit of another file that `extends` names.
    fn file(&mut self, file: &Node, unit: usize, name: &str) -> Option<usize> {
        let given = file.scalar()?;
        if let Some(kind) = remote(given) {
            let message = format!("cannot extend service \"{name}\": {given} is {kind}, not a file of this host");
            self.findings.push(Diagnostic::error(message).at(file.span).help("get a copy, and extend that"));
            return None;
        }
        let path = self.base_of(file.span).join(Path::new(given));
        let path = crate::compose::source::clean(&path);
        let scope = self.extending.units[unit].scope;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let opened = self.open(&path, directory, file.span)?;
        if let Some(known) = self.extending.files.get(&(opened.source, scope)) {
            return *known;
        }
        let unit = self.file_unit(&opened, scope, file.span, name);
        self.extending.files.insert((opened.source, scope), unit);
        unit
    }

    /// All documents of a file, one over the other. Neither what it includes nor what its services extend is in them:
    /// the former is nobody's business, the latter comes when a service of it is wanted.
    fn file_unit(&mut self, opened: &Opened, scope: Scope, place: Span, name: &str) -> Option<usize> {
        let mut whole: Option<Rc<Node>> = None;
        let mut said = None;
        for document in opened.documents.iter() {
            let resolved = self.interpolated(document, opened, place);
            let settled = merge::settle(&resolved);
            whole = Some(match whole {
                None => settled,
                Some(base) => self.over(&base, &resolved, &settled),
            });
            said = Some(resolved);
        }
        let shown = self.sources.name(opened.source).to_owned();
        let Some(whole) = whole else {
            let message = format!("cannot extend service \"{name}\" in {shown}: no services section");
            self.findings.push(Diagnostic::error(message).at(place).help("the file is empty"));
            return None;
        };
        match whole.get("services").map(|section| (&section.value.kind, section.value.span)) {
            Some((Kind::Mapping(_), _)) => Some(self.unit(&whole, said.as_ref(), scope)),
            Some((_, span)) => {
                let message = format!("cannot extend service \"{name}\" in {shown}: services must be a mapping");
                self.findings.push(Diagnostic::error(message).at(span).because(place, "extended here"));
                None
            }
            None => {
                let message = format!("cannot extend service \"{name}\" in {shown}: no services section");
                self.findings.push(Diagnostic::error(message).at(place));
                None
            }
        }
    }

    fn cycle(&mut self, chain: &[Hop], unit: usize, name: &str) {
        let start = chain.iter().position(|hop| hop.unit == unit && hop.name == name).unwrap_or(0);
        let around = &chain[start..];
        let shown = |hop: &Hop| format!("{} in {}", hop.name, self.extending.units[hop.unit].name);
        let mut names: Vec<String> = around.iter().take(LONGEST_SHOWN).map(shown).collect();
        if around.len() > LONGEST_SHOWN {
            names.push(format!("{} more", around.len() - LONGEST_SHOWN));
        }
        names.extend(around.first().map(shown));
        let message = format!("Circular reference: {}", names.join(", extends "));
        let mut finding = Diagnostic::error(message);
        for hop in around.iter().take(LONGEST_SHOWN) {
            finding = finding.because(hop.reference, "");
        }
        self.findings.push(finding);
    }
}

/// Hops of a cycle that a message names.
const LONGEST_SHOWN: usize = 10;

/// `extends: name` or `extends: {service: name, file: path}`.
fn read<'a>(extends: &'a Rc<Node>, name: &str) -> Result<Reference<'a>, Vec<Diagnostic>> {
    let Kind::Mapping(entries) = &extends.kind else {
        return match extends.scalar() {
            Some(text) => Ok(Reference { service: extends, name: text, file: None }),
            None => {
                let message = format!(
                    "`services.{name}.extends` must be the name of a service or a mapping, not {}",
                    extends.describe()
                );
                Err(vec![Diagnostic::error(message).at(extends.span)])
            }
        };
    };
    let mut findings = Vec::new();
    for (key, entry) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()) && !key.starts_with("x-")) {
        let message = format!("`services.{name}.extends`: additional properties '{key}' not allowed");
        let finding = Diagnostic::error(message).at(entry.key);
        findings.push(match did_you_mean(key, KEYS) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("it takes `service` and `file`"),
        });
    }
    let mut field = |key: &str| {
        let value = &entries.get(key)?.value;
        if value.scalar().is_none() && !value.is_null() {
            let message = format!("`services.{name}.extends.{key}` must be a string, not {}", value.describe());
            findings.push(Diagnostic::error(message).at(value.span));
        }
        value.scalar().map(|text| (value, text))
    };
    let (service, file) = (field("service"), field("file"));
    if service.is_none() && findings.is_empty() {
        findings.push(Diagnostic::error(format!("extends.{name}.service is required")).at(extends.span));
    }
    match service {
        Some((service, name)) if findings.is_empty() => {
            Ok(Reference { service, name, file: file.map(|(node, _)| node.as_ref()) })
        }
        _ => Err(findings),
    }
}

/// The mapping without one of its keys.
pub(super) fn without(node: &Rc<Node>, key: &str) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    if !entries.contains_key(key) {
        return node.clone();
    }
    let mut entries = entries.clone();
    entries.shift_remove(key);
    Rc::new(node.with(Kind::Mapping(entries)))
}

/// The document with another section of that name.
pub(super) fn with_section(document: &Rc<Node>, name: &str, section: Node) -> Rc<Node> {
    let Kind::Mapping(sections) = &document.kind else { return document.clone() };
    let mut sections = sections.clone();
    let key = sections.get(name).map_or(section.span, |entry| entry.key);
    sections.insert(name.to_owned(), Entry { key, value: Rc::new(section) });
    Rc::new(document.with(Kind::Mapping(sections)))
}

/// What is built without saying from where is built from the directory of the project that the service is in, even
/// where the rest of `build` comes from a file that starts elsewhere.
pub(super) fn with_build_contexts(root: &Rc<Node>, sources: &Sources) -> Rc<Node> {
    let Some(section) = root.get("services") else { return root.clone() };
    let Kind::Mapping(services) = &section.value.kind else { return root.clone() };
    let mut changed = None;
    for (name, entry) in services {
        let Some(build) = entry.value.get("build") else { continue };
        let Kind::Mapping(options) = &build.value.kind else { continue };
        let at_home = sources.base(build.value.span.source) == sources.base(entry.key.source);
        if at_home || options.contains_key("context") {
            continue;
        }
        let context = Node::implied_text(entry.key, ".", "a build without context takes the directory of its project");
        let mut options = options.clone();
        options.insert("context".to_owned(), Entry { key: build.key, value: Rc::new(context) });
        let service = with_section(&entry.value, "build", build.value.with(Kind::Mapping(options)));
        let services = changed.get_or_insert_with(|| services.clone());
        services.insert(name.clone(), Entry { key: entry.key, value: service });
    }
    match changed {
        Some(services) => with_section(root, "services", section.value.with(Kind::Mapping(services))),
        None => root.clone(),
    }
}
