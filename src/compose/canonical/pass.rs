//! The walk over the tree. Every node is seen once; what no rule changes is shared with the tree that came in.

use super::{
    Context,
    rules::{RULES, Rule, Transform},
};
use crate::compose::{
    diagnostics::{Diagnostic, Span},
    tree::{Entry, Kind, Mapping, Node, Plain, Trail},
};
use std::{
    collections::HashMap,
    fmt::{Display, Write},
    ops::Range,
    rc::Rc,
};

/// Ranges of ports and lists of addresses are written short and are long: a bound for the whole project.
const MAX_EXPANDED: usize = 100_000;

pub struct Pass<'a> {
    pub context: &'a Context<'a>,
    findings: &'a mut Vec<Diagnostic>,
    /// Of the node at hand, as shown: `services.web.ports[0]`.
    path: String,
    /// Nodes that short forms may still become.
    room: usize,
    implied: Rc<Trail>,
}

impl<'a> Pass<'a> {
    pub fn new(context: &'a Context<'a>, findings: &'a mut Vec<Diagnostic>) -> Self {
        let implied = Rc::new(Trail { implied: Some("the default"), ..Trail::default() });
        Self { context, findings, path: String::new(), room: MAX_EXPANDED, implied }
    }

    pub fn run(&mut self, root: &Rc<Node>) -> Rc<Node> {
        let rules = Rules::compile(RULES);
        self.node(&rules, Some(0), root)
    }

    fn node(&mut self, rules: &Rules, at: Option<usize>, node: &Rc<Node>) -> Rc<Node> {
        let Some(step) = at.and_then(|at| rules.steps.get(at)) else { return self.children(rules, None, node) };
        let mut node = node.clone();
        for rule in &step.enter {
            node = self.apply(rule, &node);
        }
        node = self.children(rules, at, &node);
        for rule in &step.leave {
            node = self.apply(rule, &node);
        }
        node
    }

    fn apply(&mut self, (transform, raw): &(Transform, bool), node: &Rc<Node>) -> Rc<Node> {
        if *raw || self.context.interpolated { transform(self, node) } else { node.clone() }
    }

    fn children(&mut self, rules: &Rules, at: Option<usize>, node: &Rc<Node>) -> Rc<Node> {
        match &node.kind {
            Kind::Scalar { .. } => exact(node),
            Kind::Sequence(items) => {
                let below = at.and_then(|at| rules.below(at, ITEM));
                let new = items.iter().enumerate();
                let new: Vec<Rc<Node>> =
                    new.map(|(index, item)| self.at_item(index, |pass| pass.node(rules, below, item))).collect();
                let same = items.iter().zip(&new).all(|(old, new)| Rc::ptr_eq(old, new));
                if same { node.clone() } else { Rc::new(node.with(Kind::Sequence(new))) }
            }
            Kind::Mapping(entries) => {
                let mut new = Mapping::with_capacity(entries.len());
                let mut same = true;
                for (name, entry) in entries {
                    let below = at.and_then(|at| rules.below(at, name));
                    let value = self.at_key(name, |pass| pass.node(rules, below, &entry.value));
                    same &= Rc::ptr_eq(&value, &entry.value);
                    new.insert(name.clone(), Entry { key: entry.key, value });
                }
                if same { node.clone() } else { Rc::new(node.with(Kind::Mapping(new))) }
            }
        }
    }

    /// Does `work` with the path one key longer.
    pub fn at_key<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = work(self);
        self.path.truncate(before);
        result
    }

    /// Does `work` with the path one index longer.
    pub fn at_item<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        let _ = write!(self.path, "[{index}]");
        let result = work(self);
        self.path.truncate(before);
        result
    }

    pub fn report(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    pub fn about(&self, what: impl Display) -> String {
        format!("`{}` {what}", self.path)
    }

    /// "`services.web.ports[0]` is no port".
    pub fn error(&mut self, span: Span, what: impl Display) {
        self.report(Diagnostic::error(self.about(what)).at(span));
    }

    pub fn error_with_help(&mut self, span: Span, what: impl Display, help: impl Into<String>) {
        self.report(Diagnostic::error(self.about(what)).at(span).help(help));
    }

    pub fn error_because(&mut self, span: Span, what: impl Display, other: Span, words: impl Into<String>) {
        self.report(Diagnostic::error(self.about(what)).at(span).because(other, words));
    }

    pub fn warning_with_help(&mut self, span: Span, what: impl Display, help: impl Into<String>) {
        self.report(Diagnostic::warning(self.about(what)).at(span).help(help));
    }

    pub fn warning_because(&mut self, span: Span, what: impl Display, other: Span, words: impl Into<String>) {
        self.report(Diagnostic::warning(self.about(what)).at(span).because(other, words));
    }

    /// Takes room for what a short form becomes. `false`: there is none, which is reported.
    pub fn reserve(&mut self, span: Span, count: usize) -> bool {
        match self.room.checked_sub(count) {
            Some(left) => self.room = left,
            None => {
                let what = format!("is too much: short forms become more than {MAX_EXPANDED} values up to here");
                self.error(span, what);
                return false;
            }
        }
        true
    }

    /// True for a text that cannot be read because its variables still stand in it.
    pub fn is_open(&self, text: &str) -> bool {
        !self.context.interpolated && text.contains('$')
    }

    /// Where the text of `node` stands.
    pub fn origin(&self, node: &Node) -> Origin {
        let found = match &node.kind {
            Kind::Scalar { text, .. } => self.context.sources.find(node.span, text),
            _ => None,
        };
        Origin { whole: node.span, found }
    }

    /// A string that is a part of the text of `node`.
    pub fn piece(&self, node: &Node, part: Range<usize>) -> Rc<Node> {
        let text = match &node.kind {
            Kind::Scalar { text, .. } => text.get(part.clone()).unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Rc::new(Node { span: self.origin(node).place(part), ..node.with(Kind::string(text)) })
    }

    /// A value that no file says; `span` is what it follows from.
    pub fn implied(&self, span: Span, kind: Kind) -> Rc<Node> {
        Rc::new(Node { trail: Some(self.implied.clone()), ..Node::new(span, kind) })
    }

    /// `node` with the entry, unless it has one of that name.
    pub fn with_default(&self, node: &Rc<Node>, name: &str, kind: Kind) -> Rc<Node> {
        match &node.kind {
            Kind::Mapping(entries) if !entries.contains_key(name) => {
                let mut entries = entries.clone();
                let value = self.implied(node.span, kind);
                entries.insert(name.to_owned(), Entry { key: node.span, value });
                Rc::new(node.with(Kind::Mapping(entries)))
            }
            _ => node.clone(),
        }
    }
}

/// Where the text of a scalar stands, so that its parts have a place of their own.
#[derive(Clone, Copy)]
pub struct Origin {
    whole: Span,
    /// `None` where the text is written otherwise: with escapes, folded, with variables.
    found: Option<Span>,
}

impl Origin {
    /// The place of a part of the text, or of all of it.
    pub fn place(&self, part: Range<usize>) -> Span {
        match self.found {
            Some(text) => Span { start: text.start + part.start as u32, end: text.start + part.end as u32, ..text },
            None => self.whole,
        }
    }
}

/// An entry whose key stands where its value does.
pub fn entry(value: Rc<Node>) -> Entry {
    Entry { key: value.span, value }
}

/// Numbers, booleans and nothing without quotes and in one spelling; everything else is a string.
pub fn exact(node: &Rc<Node>) -> Rc<Node> {
    let Kind::Scalar { text, plain: true } = &node.kind else { return node.clone() };
    let (spelling, plain) = match Plain::resolve(text) {
        Plain::Text(text) => (text.to_owned(), false),
        Plain::Null => (String::new(), true),
        Plain::Float(value) if !value.is_finite() => return node.clone(),
        Plain::Float(value) => (value.to_string(), true),
        typed => (typed.to_text(), true),
    };
    if plain && spelling == *text {
        return node.clone();
    }
    Rc::new(node.with(Kind::Scalar { text: spelling, plain }))
}

/// The step of a pattern that stands for the items of a list.
const ITEM: &str = "[]";
/// The step of a pattern that stands for any one key.
const ANY: &str = "*";

/// The table of rules as a tree of steps: finding the rules of a child costs one look-up.
struct Rules {
    steps: Vec<Step>,
}

#[derive(Default)]
struct Step {
    /// Transforms, and whether they work on what is not interpolated as well.
    enter: Vec<(Transform, bool)>,
    leave: Vec<(Transform, bool)>,
    below: HashMap<&'static str, usize>,
}

impl Rules {
    fn compile(table: &[(&'static str, Rule)]) -> Self {
        let mut rules = Self { steps: vec![Step::default()] };
        for (pattern, rule) in table {
            let at = pattern.split('.').fold(0, |at, part| rules.step(at, part));
            let Some(step) = rules.steps.get_mut(at) else { continue };
            match rule {
                Rule::Form(transform) => step.enter.push((*transform, true)),
                Rule::Value(transform) => step.enter.push((*transform, false)),
                Rule::After(transform) => step.leave.push((*transform, true)),
                Rule::Check(transform) => step.leave.push((*transform, false)),
            }
        }
        rules
    }

    /// The step below `at`, which is made if there is none.
    fn step(&mut self, at: usize, part: &'static str) -> usize {
        let new = self.steps.len();
        let next = match self.steps.get_mut(at) {
            Some(step) => *step.below.entry(part).or_insert(new),
            None => new,
        };
        if next == new {
            self.steps.push(Step::default());
        }
        next
    }

    fn below(&self, at: usize, name: &str) -> Option<usize> {
        let below = &self.steps.get(at)?.below;
        below.get(name).or_else(|| below.get(ANY).filter(|_| name != ITEM)).copied()
    }
}
