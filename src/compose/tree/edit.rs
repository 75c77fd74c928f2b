//! Reading and changing trees by path. Nodes that others share are copied first, so that an anchor which two services
//! use stays two values.

use super::{Entry, Kind, Mapping, Node, Trail};
use crate::compose::diagnostics::Span;
use std::rc::Rc;

impl Node {
    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn entries_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list; none of what is no list.
    pub fn items(&self) -> &[Rc<Node>] {
        match &self.kind {
            Kind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of a single value, whatever its type; nothing has none.
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The value at a path of keys.
    pub fn at<'n>(&'n self, path: &[&str]) -> Option<&'n Rc<Node>> {
        let (first, rest) = path.split_first()?;
        let value = &self.get(first)?.value;
        if rest.is_empty() { Some(value) } else { value.at(rest) }
    }

    /// The text at a path of keys.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.scalar()
    }

    /// The value of a key, to be changed.
    pub fn value_mut(&mut self, key: &str) -> Option<&mut Node> {
        Some(Rc::make_mut(&mut self.entries_mut()?.get_mut(key)?.value))
    }

    /// The entries of the mapping at `key`, to be changed.
    pub fn entries_at_mut(&mut self, key: &str) -> Option<&mut Mapping> {
        self.entries_mut()?.get_mut(key)?.entries_mut()
    }

    /// A value that no file says: it stands where what implies it stands.
    pub fn implied(span: Span, kind: Kind, rule: &'static str) -> Self {
        let trail = Trail { implied: Some(rule), ..Trail::default() };
        Self { trail: Some(Rc::new(trail)), ..Self::new(span, kind) }
    }

    /// An implied string.
    pub fn implied_text(span: Span, text: impl Into<String>, rule: &'static str) -> Self {
        Self::implied(span, Kind::string(text), rule)
    }

    /// An implied number, boolean or null.
    pub fn implied_plain(span: Span, text: impl Into<String>, rule: &'static str) -> Self {
        Self::implied(span, Kind::typed(text), rule)
    }
}

impl Entry {
    /// The entries of a mapping, to be changed.
    pub fn entries_mut(&mut self) -> Option<&mut Mapping> {
        Rc::make_mut(&mut self.value).entries_mut()
    }
}

/// An entry whose key stands where its value stands.
pub fn entry(value: Node) -> Entry {
    Entry { key: value.span, value: Rc::new(value) }
}

/// Puts a value where there is none yet; nothing counts as none.
pub fn fill(entries: &mut Mapping, key: &str, value: impl FnOnce() -> Node) {
    match entries.get_mut(key) {
        Some(existing) if existing.value.is_null() => existing.value = Rc::new(value()),
        Some(_) => {}
        None => {
            entries.insert(key.to_owned(), entry(value()));
        }
    }
}
