//! YAML as nodes that know their place.
//!
//! All work between the text and the model happens on this tree. Aliases are shared nodes; an alias can therefore be
//! expanded by walking, which is why `parse` bounds the weight of what a walk would see.

pub mod edit;
mod parse;
mod scalar;
mod weight;

pub use parse::{MAX_VALUES, parse};
pub use scalar::Plain;
pub use weight::Scale;

use super::diagnostics::Span;
use indexmap::IndexMap;
use std::rc::Rc;

#[derive(Clone, Debug)]
pub struct Node {
    /// The value; of an alias, the value where it was anchored.
    pub span: Span,
    pub tag: Option<MergeTag>,
    /// How the value came to be, where its place alone does not tell.
    pub trail: Option<Rc<Trail>>,
    pub kind: Kind,
}

/// The history of a value, for `explain`. Most values have none: they are what their line says.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Variables that went into it, in order.
    pub variables: Vec<Used>,
    /// What it replaced when files were merged, the latest first.
    pub replaced: Vec<Rc<Node>>,
    /// No file says it: the rule that put it here.
    pub implied: Option<&'static str>,
}

/// A variable that a value took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    pub name: String,
    /// What came in its place: the variable's value, or the default or alternative of the reference.
    pub value: String,
    pub origin: Origin,
}

/// Where the value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment of the command.
    Process,
    /// A line of an env file.
    File(Span),
    /// `${NAME:-default}`, `${NAME:+alternative}`: what the reference itself says.
    Reference,
    /// Nothing sets it.
    Unset,
}

/// What a file says about merging with the files before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeTag {
    /// `!reset`: as if the earlier files did not say it.
    Reset,
    /// `!override`: in place of what the earlier files say.
    Override,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar {
        text: String,
        /// Written without quotes, so that it may be a number, a boolean or nothing.
        plain: bool,
    },
    Sequence(Vec<Rc<Node>>),
    Mapping(Mapping),
}

/// Keys are unique and in the order of the file.
pub type Mapping = IndexMap<String, Entry>;

#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key stands.
    pub key: Span,
    pub value: Rc<Node>,
}

impl Kind {
    pub fn string(text: impl Into<String>) -> Self {
        Self::Scalar { text: text.into(), plain: false }
    }

    /// A number, a boolean or nothing.
    pub fn typed(text: impl Into<String>) -> Self {
        Self::Scalar { text: text.into(), plain: true }
    }
}

impl Node {
    pub fn new(span: Span, kind: Kind) -> Self {
        Self { span, tag: None, trail: None, kind }
    }

    /// The same place and history with another value.
    pub fn with(&self, kind: Kind) -> Self {
        Self { span: self.span, tag: self.tag, trail: self.trail.clone(), kind }
    }

    pub fn text(span: Span, text: impl Into<String>) -> Self {
        Self::new(span, Kind::string(text))
    }

    pub fn null(span: Span) -> Self {
        Self::new(span, Kind::typed(""))
    }

    pub fn mapping(span: Span, entries: Mapping) -> Self {
        Self::new(span, Kind::Mapping(entries))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some(Plain::Null))
    }

    /// What a scalar without quotes means; `None` for everything else.
    pub fn plain(&self) -> Option<Plain<'_>> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => Some(Plain::resolve(text)),
            _ => None,
        }
    }

    /// The text of a string; `None` for what YAML reads as something else.
    pub fn string(&self) -> Option<&str> {
        match (&self.kind, self.plain()) {
            (Kind::Scalar { text, .. }, None | Some(Plain::Text(_))) => Some(text),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Mapping(entries) => entries.get(key),
            _ => None,
        }
    }

    /// "a mapping", "the number 80": for "expected a string, found ...".
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Sequence(_) => "a list".into(),
            Kind::Mapping(_) => "a mapping".into(),
            Kind::Scalar { text, plain: false } => format!("the string \"{}\"", shortened(text)),
            Kind::Scalar { text, plain: true } => match Plain::resolve(text) {
                Plain::Null => "nothing".into(),
                Plain::Bool(_) => format!("the boolean {text}"),
                Plain::Int(_) | Plain::Float(_) => format!("the number {text}"),
                Plain::Text(text) => format!("\"{}\"", shortened(text)),
            },
        }
    }

    /// Where `path` stands, or the nearest node above it that exists. In a list, a step is an index or the text of
    /// an item.
    pub fn place(&self, path: &[&str]) -> Span {
        let Some((step, rest)) = path.split_first() else { return self.span };
        match &self.kind {
            Kind::Mapping(entries) => match entries.get(*step) {
                Some(entry) if rest.is_empty() => entry.key,
                Some(entry) => entry.value.place(rest),
                None => self.span,
            },
            Kind::Sequence(items) => {
                let named = |item: &&Rc<Node>| matches!(&item.kind, Kind::Scalar { text, .. } if text == step);
                let item = step.parse().ok().and_then(|i: usize| items.get(i)).or_else(|| items.iter().find(named));
                item.map_or(self.span, |item| item.place(rest))
            }
            Kind::Scalar { .. } => self.span,
        }
    }
}

fn shortened(text: &str) -> String {
    const MAX: usize = 40;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX).chain("...".chars()).collect() }
}
