//! What the parts of a project say about each other. Only services that are on are looked at.

mod cycles;
mod references;
mod services;

use super::{
    diagnostics::{Diagnostic, Span},
    profiles::Selection,
    told::Told,
    tree::{Entry, Node},
};

/// What a check sees: the canonical tree, with what it implies.
pub struct Checked<'a> {
    pub root: &'a Node,
    pub selection: &'a Selection,
    /// What the phases before found.
    pub told: &'a Told,
}

impl<'a> Checked<'a> {
    /// The services that are on.
    fn services(&self) -> impl Iterator<Item = Service<'a>> + use<'a> {
        let services = self.root.at(&["services"]).and_then(|services| services.entries());
        let selection = self.selection;
        services
            .into_iter()
            .flatten()
            .map(|(name, entry)| Service { name, entry })
            .filter(|service| selection.enabled.contains(service.name))
    }
}

#[derive(Clone, Copy)]
struct Service<'a> {
    name: &'a str,
    entry: &'a Entry,
}

impl<'a> Service<'a> {
    fn at(&self, path: &[&str]) -> Option<&'a Node> {
        self.entry.value.at(path).map(|node| &**node)
    }

    fn text(&self, path: &[&str]) -> Option<&'a str> {
        self.at(path)?.scalar()
    }

    /// Where `path` stands, or what is nearest to it.
    fn place(&self, path: &[&str]) -> Span {
        if self.at(path).is_none() && path.len() == 1 { self.entry.key } else { self.entry.value.place(path) }
    }
}

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    references::check(checked, findings);
    cycles::check(checked, findings);
    services::check(checked, findings);
}
