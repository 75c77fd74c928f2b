//! Mappings and lists: keys that are known, not yet known, unknown.

use super::Decoder;
use crate::compose::{
    diagnostics::Span,
    tree::{Entry, Kind, Node},
};
use std::rc::Rc;

/// A value, and the way to it from the top: `services.web.ports[0]`.
#[derive(Clone)]
pub struct At<'t> {
    pub node: &'t Rc<Node>,
    pub path: String,
}

impl<'t> At<'t> {
    pub fn key(&self, name: &str, node: &'t Rc<Node>) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { node, path }
    }

    pub fn index(&self, index: usize, node: &'t Rc<Node>) -> Self {
        Self { node, path: format!("{}[{index}]", self.path) }
    }
}

/// An entry of a mapping with names of the user's own.
pub struct Named<'t> {
    pub name: &'t str,
    pub key: Span,
    pub at: At<'t>,
}

/// An attribute of a section, which reads into a `T`.
pub enum Field<T> {
    Read(&'static str, fn(&mut Decoder<'_>, &At<'_>, &mut T)),
    /// Of the specification, but not done yet.
    Later(&'static str),
    /// Nothing that one Linux host could do anything about, and why.
    Without(&'static str, &'static str),
}

impl<T> Field<T> {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read(name, _) | Self::Later(name) | Self::Without(name, _) => name,
        }
    }
}

impl Decoder<'_> {
    /// Reads a section by its table. `false` where it is no mapping at all.
    pub fn section<T>(&mut self, at: &At<'_>, fields: &[Field<T>], into: &mut T) -> bool {
        let Kind::Mapping(entries) = &at.node.kind else {
            self.error(at, format!("must be a mapping, not {}", at.node.describe()));
            return false;
        };
        for (name, entry) in entries {
            let here = at.key(name, &entry.value);
            match fields.iter().find(|field| field.name() == name) {
                Some(Field::Read(_, read)) => read(self, &here, into),
                Some(Field::Without(_, why)) => self.without_effect(&here.path, why, entry.key),
                // Extensions are for other programs, and for anchors.
                None if name.starts_with("x-") => {}
                // The schema knows no others: one that this table lacks is refused as well.
                Some(Field::Later(_)) | None => self.later_key(&here.path, entry.key),
            }
        }
        true
    }

    /// Entries of a mapping whose keys are names.
    pub fn entries<'t>(&mut self, at: &At<'t>) -> Vec<Named<'t>> {
        let Kind::Mapping(entries) = &at.node.kind else {
            self.error(at, format!("must be a mapping, not {}", at.node.describe()));
            return Vec::new();
        };
        let named =
            |(name, entry): (&'t String, &'t Entry)| Named { name, key: entry.key, at: at.key(name, &entry.value) };
        entries.iter().map(named).collect()
    }

    pub fn items<'t>(&mut self, at: &At<'t>) -> Vec<At<'t>> {
        match &at.node.kind {
            Kind::Sequence(items) => items.iter().enumerate().map(|(index, item)| at.index(index, item)).collect(),
            _ => {
                let found = at.node.describe();
                self.error_with_help(at, format!("must be a list, not {found}"), "an item of a list starts with `- `");
                Vec::new()
            }
        }
    }

    /// A list of strings without duplicates.
    pub fn strings(&mut self, at: &At<'_>) -> Vec<String> {
        let items = self.items(at);
        self.distinct(&items)
    }

    fn distinct(&mut self, items: &[At<'_>]) -> Vec<String> {
        let mut out = indexmap::IndexSet::new();
        for item in items {
            out.extend(self.text(item));
        }
        out.into_iter().collect()
    }
}
