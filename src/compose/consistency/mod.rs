//! What the parts of a project say about each other. Only services that are on are looked at.

mod cycles;
mod files;
mod networks;
mod references;
mod services;

use super::{
    decode::{Draft, ServiceDraft},
    diagnostics::Diagnostic,
    tree::Node,
};
use indexmap::IndexMap;

pub use files::check as files;

/// What a check sees.
pub struct Checked<'a> {
    /// The merged tree: what is in it was at least named, even where it could not be read.
    pub root: &'a Node,
    /// Top-level resources.
    pub draft: &'a Draft,
    pub enabled: &'a IndexMap<String, ServiceDraft>,
    pub disabled: &'a IndexMap<String, ServiceDraft>,
}

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    references::check(checked, findings);
    cycles::check(checked.enabled, findings);
    services::check(checked, findings);
    networks::check(checked, findings);
}
