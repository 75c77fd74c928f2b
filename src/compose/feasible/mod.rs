//! What this host's engine needs of a project that is a valid Compose file: checked before containers are made, and by
//! no verb that only reads.

mod addresses;
mod files;
mod limits;

use super::{decode::Draft, diagnostics::Diagnostic, tree::Node};
use indexmap::IndexSet;

/// What a check sees.
pub struct Checked<'a> {
    /// The tree that was decoded: it knows where everything stands.
    pub root: &'a Node,
    pub draft: &'a Draft,
    /// The services that are to run.
    pub wanted: &'a IndexSet<String>,
}

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    addresses::check(checked, findings);
    limits::check(checked, findings);
    files::check(checked, findings);
}
