//! Later files over earlier ones. What a path does is in `rules.rs`; how it is done is here.
//!
//! What is merged has no tags any more: `reset::prune` takes from the base what the file above it resets or overrides,
//! `reset::settle` takes the tags from the file itself.

mod forms;
mod reset;
mod rules;
mod unicity;

pub use reset::{prune, settle};
pub use unicity::enforce as enforce_unicity;

use super::{
    diagnostics::{Diagnostic, Span},
    tree::{Entry, Kind, Mapping, Node, Trail},
};
use rules::Rule;
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// `over` on top of `base`, both at `path` of the document.
pub fn merge(
    base: &Rc<Node>,
    over: &Rc<Node>,
    path: &[&str],
    budget: &mut Budget,
    findings: &mut Vec<Diagnostic>,
) -> Rc<Node> {
    Merger { path: path.iter().map(|&step| step.to_owned()).collect(), budget, findings }.node(base, over)
}

/// How many entries merging may still make. When it is used up, nothing is merged any more.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    exceeded: Option<Span>,
    closed: bool,
}

impl Budget {
    pub fn new(entries: usize) -> Self {
        Self { left: entries, exceeded: None, closed: false }
    }

    /// Pays for `entries` that are made for what stands at `place`.
    pub fn spend(&mut self, entries: usize, place: Span) {
        match self.left.checked_sub(entries) {
            Some(left) => self.left = left,
            None => self.exceeded = self.exceeded.or(Some(place)),
        }
    }

    /// Where it was used up.
    pub fn exceeded(&self) -> Option<Span> {
        self.exceeded
    }

    /// Nothing is merged from now on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn is_open(&self) -> bool {
        !self.closed && self.exceeded.is_none()
    }
}

/// A value with another one that it replaces in its history.
pub fn replacing(over: &Rc<Node>, base: &Rc<Node>) -> Rc<Node> {
    let earlier = base.trail.as_deref().map(|trail| trail.replaced.as_slice()).unwrap_or_default();
    if Rc::ptr_eq(over, base) || (base.is_null() && earlier.is_empty()) {
        return over.clone();
    }
    let mut trail = over.trail.as_deref().cloned().unwrap_or_default();
    // The history is flat: what was replaced does not carry along what it had replaced itself.
    match earlier {
        [] => trail.replaced.push(base.clone()),
        _ if base.is_null() => {}
        _ => trail.replaced.push(Rc::new(without_history(base))),
    }
    trail.replaced.extend(earlier.iter().cloned());
    trail.replaced.truncate(LONGEST_HISTORY);
    Rc::new(Node { trail: Some(Rc::new(trail)), ..over.with(over.kind.clone()) })
}

/// A chain of `extends` can be as long as its author likes.
const LONGEST_HISTORY: usize = 32;

fn without_history(node: &Node) -> Node {
    let trail = node.trail.as_deref().map(|trail| Trail { replaced: Vec::new(), ..trail.clone() });
    Node { trail: trail.map(Rc::new), ..node.with(node.kind.clone()) }
}

struct Merger<'a> {
    path: Vec<String>,
    budget: &'a mut Budget,
    findings: &'a mut Vec<Diagnostic>,
}

impl Merger<'_> {
    fn node(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        if !self.budget.is_open() {
            return base.clone();
        }
        match rules::rule(&self.path) {
            Rule::Replace => replacing(over, base),
            Rule::Deep => self.deep(base, over),
            Rule::KeyValues => {
                self.deep(&forms::key_values(&forms::listed(base)), &forms::key_values(&forms::listed(over)))
            }
            Rule::Names(entry) => self.deep(&forms::named(base, entry), &forms::named(over, entry)),
            Rule::List => self.deep(&forms::listed(base), &forms::listed(over)),
            Rule::HostList => self.hosts(&forms::host_list(base), &forms::host_list(over)),
            Rule::KeyedList(key) => self.keyed(base, over, key),
            Rule::Logging => self.logging(base, over),
            Rule::Build => self.deep(&forms::build(base), &forms::build(over)),
            Rule::Resource => self.deep(&forms::resource(base), &forms::resource(over)),
        }
    }

    /// Mappings by key, lists one after the other, anything else replaced.
    fn deep(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        match (&base.kind, &over.kind) {
            // A key with nothing behind it changes nothing.
            _ if over.is_null() => base.clone(),
            (Kind::Mapping(below), Kind::Mapping(above)) => self.mappings(base, over, below, above),
            (Kind::Sequence(below), Kind::Sequence(above)) => {
                self.budget.spend(below.len() + above.len(), over.span);
                let items = below.iter().chain(above).cloned().collect();
                Rc::new(over.with(Kind::Sequence(items)))
            }
            (Kind::Scalar { .. }, _) => replacing(over, base),
            _ => {
                let message = format!("cannot override {}: {} in place of {}", self.shown(), kind(over), kind(base));
                let finding = Diagnostic::error(message).at(over.span).because(base.span, "overrides this");
                self.findings.push(finding.help("`!override` replaces a value as a whole"));
                base.clone()
            }
        }
    }

    fn mappings(&mut self, base: &Rc<Node>, over: &Rc<Node>, below: &Mapping, above: &Mapping) -> Rc<Node> {
        if above.is_empty() {
            return base.clone();
        }
        self.budget.spend(below.len() + above.len(), over.span);
        let mut merged = below.clone();
        for (name, entry) in above {
            let value = match below.get(name) {
                Some(existing) => {
                    self.path.push(name.clone());
                    let value = self.node(&existing.value, &entry.value);
                    self.path.pop();
                    value
                }
                None => entry.value.clone(),
            };
            merged.insert(name.clone(), Entry { key: entry.key, value });
        }
        // A mapping of several files has the history of the first of them: that of the whole.
        let trail = base.trail.clone().or_else(|| over.trail.clone());
        Rc::new(Node { trail, ..Node::mapping(over.span, merged) })
    }

    /// One after the other, without what both say.
    fn hosts(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        let (Kind::Sequence(below), Kind::Sequence(above)) = (&base.kind, &over.kind) else {
            return self.deep(base, over);
        };
        let text = |node: &Rc<Node>| match &node.kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        };
        let known: HashSet<String> = below.iter().filter_map(text).collect();
        let new = above.iter().filter(|item| text(item).is_none_or(|text| !known.contains(&text)));
        Rc::new(over.with(Kind::Sequence(below.iter().chain(new).cloned().collect())))
    }

    /// Lists of mappings in which one key tells who is who. The upper list says which there are; what the lower one
    /// says of them stays.
    fn keyed(&mut self, base: &Rc<Node>, over: &Rc<Node>, key: &str) -> Rc<Node> {
        let (Kind::Sequence(below), Kind::Sequence(above)) = (&base.kind, &over.kind) else {
            return self.deep(base, over);
        };
        let identity = |node: &Rc<Node>| match &node.get(key).map(|entry| &entry.value.kind) {
            Some(Kind::Scalar { text, .. }) => text.clone(),
            _ => String::new(),
        };
        let lower: HashMap<String, &Rc<Node>> = below.iter().rev().map(|item| (identity(item), item)).collect();
        let items = above.iter().map(|item| match lower.get(&identity(item)) {
            Some(twin) => self.deep(twin, item),
            None => item.clone(),
        });
        let kind = Kind::Sequence(items.collect());
        replacing(&Rc::new(over.with(kind)), base)
    }

    /// Options belong to a driver: they are merged only where it stays the same.
    fn logging(&mut self, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
        let driver = |node: &Rc<Node>| match &node.get("driver").map(|entry| &entry.value.kind) {
            Some(Kind::Scalar { text, .. }) => Some(text.clone()),
            _ => None,
        };
        match (driver(base), driver(over)) {
            (Some(below), Some(above)) if below != above => replacing(over, base),
            _ => self.deep(base, over),
        }
    }

    fn shown(&self) -> String {
        if self.path.is_empty() { "the top level".into() } else { format!("`{}`", self.path.join(".")) }
    }
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        Kind::Scalar { .. } => "a single value",
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests;
