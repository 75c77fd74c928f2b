//! Where a value comes from: the line that says it, the variables in it, what it took the place of.
//!
//! Pure: a tree after all phases, a path, and the texts that the tree was read from.

use super::{
    diagnostics::{Diagnostic, Span, did_you_mean},
    source::Sources,
    tree::{Kind, Node, Origin, Plain, Used},
};
use serde::Serialize;
use std::{collections::HashMap, fmt::Write, rc::Rc};

/// What is known of the values at and below a path.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub values: Vec<Explained>,
    /// How many more there are than are listed.
    pub more: usize,
}

/// One value.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    pub path: String,
    pub value: serde_json::Value,
    /// The line that says it; of a value that no line says, the line that implies it.
    pub place: Place,
    /// The rule that implies a value which no line says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implied: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// What other lines said before this one, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// The line itself.
    pub text: String,
}

/// A variable that went into a value.
#[derive(Clone, Debug, Serialize)]
pub struct Variable {
    pub name: String,
    pub value: String,
    pub origin: VariableOrigin,
    /// The line of an env file that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableOrigin {
    Environment,
    EnvFile,
    /// The default or the alternative that the reference itself gives.
    Reference,
    Unset,
}

/// A value that another one took the place of.
#[derive(Clone, Debug, Serialize)]
pub struct Replaced {
    pub value: serde_json::Value,
    pub place: Place,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
}

/// Values that one explanation lists.
const MOST: usize = 500;
/// Characters of a line that is shown.
const LONGEST_LINE: usize = 200;

/// What is known of `path`, such as `services.web.ports[0].target`; of everything where it is empty.
///
/// # Errors
/// There is nothing at `path`; the finding names what there is nearest to it.
pub fn explain(root: &Rc<Node>, path: &str, sources: &Sources) -> Result<Explanation, Box<Diagnostic>> {
    let found = find(root, path.trim_start_matches('.'), String::new()).map_err(|miss| Box::new(miss.finding(root)))?;
    let mut listing = Listing { lines: Lines::new(sources), values: Vec::new(), more: 0 };
    listing.below(&found.node, &found.path);
    Ok(Explanation { values: listing.values, more: listing.more })
}

struct Found {
    path: String,
    node: Rc<Node>,
}

/// How far a path could be followed.
struct Miss {
    path: String,
    node: Rc<Node>,
    rest: String,
}

/// Keys may hold dots: of those that the path could mean, the longest one under which there is the rest of it.
fn find(node: &Rc<Node>, rest: &str, path: String) -> Result<Found, Miss> {
    if rest.is_empty() {
        return Ok(Found { path, node: node.clone() });
    }
    let miss = |node: &Rc<Node>, path: &str| Miss { path: path.to_owned(), node: node.clone(), rest: rest.to_owned() };
    let mut steps = steps(node, rest);
    steps.sort_by_key(|step| std::cmp::Reverse(step.taken));
    let mut nearest = None;
    for step in steps {
        let below = match step.name {
            Name::Key(key) if path.is_empty() => key,
            Name::Key(key) => format!("{path}.{key}"),
            Name::Index(index) => format!("{path}[{index}]"),
        };
        let rest = &rest[step.taken..];
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        match find(&step.value, rest, below) {
            Ok(found) => return Ok(found),
            Err(further) => nearest = nearest.or(Some(further)),
        }
    }
    Err(nearest.unwrap_or_else(|| miss(node, &path)))
}

enum Name {
    Key(String),
    Index(usize),
}

struct Step {
    name: Name,
    /// Bytes of the path.
    taken: usize,
    value: Rc<Node>,
}

/// What the next part of a path could mean.
fn steps(node: &Rc<Node>, rest: &str) -> Vec<Step> {
    // `name`, `name.`, `name[` and `[name]`.
    let taken = |name: &str| {
        let bare = rest.strip_prefix(name).filter(|after| after.is_empty() || after.starts_with(['.', '[']));
        let in_brackets = || rest.strip_prefix('[')?.strip_prefix(name)?.strip_prefix(']');
        (!name.is_empty()).then(|| bare.or_else(in_brackets)).flatten().map(|after| rest.len() - after.len())
    };
    match &node.kind {
        Kind::Scalar { .. } => Vec::new(),
        Kind::Mapping(entries) => {
            let step = |(key, value): (&String, &Rc<Node>)| {
                Some(Step { name: Name::Key(key.clone()), taken: taken(key)?, value: value.clone() })
            };
            entries.iter().map(|(key, entry)| (key, &entry.value)).filter_map(step).collect()
        }
        Kind::Sequence(items) => {
            let step = |(index, item): (usize, &Rc<Node>)| {
                let mut names = names(item);
                names.push(index.to_string());
                let taken = names.iter().filter_map(|name| taken(name)).max()?;
                Some(Step { name: Name::Index(index), taken, value: item.clone() })
            };
            items.iter().enumerate().filter_map(step).collect()
        }
    }
}

/// What an item of a list is known by, besides its number.
fn names(item: &Node) -> Vec<String> {
    match &item.kind {
        Kind::Scalar { text, .. } => {
            let name = text.split_once('=').map(|(name, _)| name.to_owned());
            [Some(text.clone()), name].into_iter().flatten().collect()
        }
        _ => ["target", "path", "source", "subnet", "name"]
            .iter()
            .filter_map(|key| item.text_at(&[key]).map(str::to_owned))
            .collect(),
    }
}

impl Miss {
    fn finding(&self, root: &Rc<Node>) -> Diagnostic {
        let Self { path, node, rest } = self;
        let step = rest.split(['.', '[', ']']).find(|step| !step.is_empty()).unwrap_or(rest);
        let whole = match (path.is_empty(), rest.starts_with('[')) {
            (true, _) => rest.clone(),
            (false, true) => format!("{path}{rest}"),
            (false, false) => format!("{path}.{rest}"),
        };
        let mut finding = Diagnostic::error(format!("there is no `{whole}`"));
        let keys: Vec<&str> = node.entries().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        if let Some(near) = did_you_mean(step, keys.iter().copied()) {
            return finding.help(format!("did you mean `{prefix}{near}`?"));
        }
        if path.is_empty() && root.at(&["services", step]).is_some() {
            return finding.help(format!("did you mean `services.{rest}`?"));
        }
        if !path.is_empty() {
            finding = finding.at(node.span);
        }
        let what = match &node.kind {
            Kind::Mapping(_) if keys.is_empty() => "is empty".to_owned(),
            Kind::Mapping(_) => format!("has {}", listed(&keys)),
            Kind::Sequence(items) if items.len() == 1 => "has 1 item".to_owned(),
            Kind::Sequence(items) => format!("has {} items", items.len()),
            Kind::Scalar { .. } => format!("is {}, with nothing below it", node.describe()),
        };
        let place = if path.is_empty() { "the top level".to_owned() } else { format!("`{path}`") };
        finding.help(format!("{place} {what}"))
    }
}

fn listed(keys: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = keys.iter().take(SHOWN).map(|key| format!("`{key}`")).collect();
    match keys.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

struct Listing<'a> {
    lines: Lines<'a>,
    values: Vec<Explained>,
    more: usize,
}

impl Listing<'_> {
    /// All values at and below a node. Mappings and lists are no values, but for empty ones and those with a history.
    fn below(&mut self, node: &Rc<Node>, path: &str) {
        let children = match &node.kind {
            Kind::Scalar { .. } => 0,
            Kind::Sequence(items) => items.len(),
            Kind::Mapping(entries) => entries.len(),
        };
        let storied = node.trail.as_ref().is_some_and(|trail| !trail.replaced.is_empty());
        if children == 0 || storied {
            self.one(node, path);
        }
        match &node.kind {
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(item, &format!("{path}[{index}]"));
                }
            }
            Kind::Mapping(entries) => {
                for (key, entry) in entries {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.below(&entry.value, &below);
                }
            }
        }
    }

    fn one(&mut self, node: &Rc<Node>, path: &str) {
        if self.values.len() == MOST {
            self.more += 1;
            return;
        }
        let trail = node.trail.as_deref();
        let replaced = trail.map(|trail| trail.replaced.as_slice()).unwrap_or_default();
        let explained = Explained {
            path: path.to_owned(),
            value: value(node),
            place: self.lines.place(node.span),
            implied: trail.and_then(|trail| trail.implied),
            variables: self.variables(node),
            replaced: replaced
                .iter()
                .map(|node| Replaced {
                    value: value(node),
                    place: self.lines.place(node.span),
                    variables: self.variables(node),
                })
                .collect(),
        };
        self.values.push(explained);
    }

    fn variables(&mut self, node: &Node) -> Vec<Variable> {
        let used = node.trail.as_deref().map(|trail| trail.variables.as_slice()).unwrap_or_default();
        let variable = |Used { name, value, origin }: &Used| {
            let (origin, place) = match origin {
                Origin::Process => (VariableOrigin::Environment, None),
                Origin::File(span) => (VariableOrigin::EnvFile, Some(self.lines.place(*span))),
                Origin::Reference => (VariableOrigin::Reference, None),
                Origin::Unset => (VariableOrigin::Unset, None),
            };
            Variable { name: name.clone(), value: value.clone(), origin, place }
        };
        used.iter().map(variable).collect()
    }
}

fn value(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        Kind::Scalar { text, plain: false } => Value::String(text.clone()),
        Kind::Scalar { text, plain: true } => match Plain::resolve(text) {
            Plain::Null => Value::Null,
            Plain::Bool(value) => Value::Bool(value),
            Plain::Int(value) => Value::from(value),
            Plain::Float(value) => serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number),
            Plain::Text(text) => Value::String(text.to_owned()),
        },
        Kind::Sequence(items) => Value::Array(items.iter().map(|item| value(item)).collect()),
        Kind::Mapping(entries) => {
            Value::Object(entries.iter().map(|(key, entry)| (key.clone(), value(&entry.value))).collect())
        }
    }
}

/// Finds lines by place, each text looked through once.
struct Lines<'a> {
    sources: &'a Sources,
    starts: HashMap<u32, Vec<usize>>,
}

impl<'a> Lines<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self { sources, starts: HashMap::new() }
    }

    fn place(&mut self, span: Span) -> Place {
        let sources = self.sources;
        let text = sources.whole(span.source);
        let starts = self.starts.entry(span.source).or_insert_with(|| {
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect()
        });
        let at = span.start as usize;
        let line = starts.partition_point(|start| *start <= at).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let content = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = text.get(start..at).unwrap_or_default().chars().count() + 1;
        let file = sources.name(span.source).to_owned();
        Place { file, line, column, text: content.trim().chars().take(LONGEST_LINE).collect() }
    }
}

impl Explanation {
    /// For people: a paragraph for each value.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for value in &self.values {
            if !out.is_empty() {
                out.push('\n');
            }
            // Writing to a string cannot fail.
            let _ = value.write(&mut out);
        }
        if self.more > 0 {
            let _ = writeln!(out, "\n{} more values; name a longer path to see them", self.more);
        }
        out
    }
}

impl Explained {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}: {}", self.path, shown(&self.value))?;
        match self.implied {
            Some(rule) => writeln!(out, "  implied by {rule}, at {}", self.place)?,
            None => writeln!(out, "  {}", self.place)?,
        }
        for variable in &self.variables {
            variable.write(out, "  ")?;
        }
        for replaced in &self.replaced {
            writeln!(out, "  replaces {}: {}", shown(&replaced.value), replaced.place)?;
            for variable in &replaced.variables {
                variable.write(out, "    ")?;
            }
        }
        Ok(())
    }
}

impl Variable {
    fn write(&self, out: &mut String, indent: &str) -> std::fmt::Result {
        let Self { name, value, origin, place } = self;
        match (origin, place) {
            (VariableOrigin::EnvFile, Some(place)) => writeln!(out, "{indent}{name} is {value:?}: {place}"),
            (VariableOrigin::EnvFile | VariableOrigin::Environment, _) => {
                writeln!(out, "{indent}{name} is {value:?} in the environment")
            }
            (VariableOrigin::Reference, _) => writeln!(out, "{indent}{name} is {value:?} as the reference says"),
            (VariableOrigin::Unset, _) => writeln!(out, "{indent}{name} is not set"),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, printable(&self.text))
    }
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) if !text.is_empty() && !text.contains(char::is_control) => text.clone(),
        value => printable(&value.to_string()),
    }
}

/// A hostile file must not reach the terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
