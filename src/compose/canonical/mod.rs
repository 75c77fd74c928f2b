//! The merged tree -> the canonical tree: every attribute in its long form, every value of its exact type.
//!
//! After this phase one thing is written in one way: a port is a mapping of `target`, `published` and so on, a size is
//! the decimal text of its bytes, a path is absolute. A scalar without quotes is a number, a boolean or nothing, and
//! every other scalar is a string. Shapes were checked before; what has a wrong one all the same stays as it is.
//!
//! `rules.rs` says which path is treated how, `pass.rs` walks the tree once by that table, and the other files hold the
//! treatments by subject.

mod build;
pub mod command;
mod devices;
mod env_files;
mod files;
mod hosts;
mod lists;
mod mappings;
mod networks;
mod pass;
mod paths;
mod ports;
mod rules;
mod scalars;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod units;
mod volumes;

pub use paths::{TRANSPORTS, clean};
pub use volumes::short_target;

use super::{diagnostics::Diagnostic, merge, source::Sources, tree::Node};
use pass::Pass;
use std::{path::Path, rc::Rc};

/// What the canonical form depends on beside the tree.
#[derive(Debug)]
pub struct Context<'a> {
    /// The project directory, absolute: relative paths start here unless their text has a base of its own.
    pub working_dir: &'a Path,
    /// `~`
    pub home: Option<&'a Path>,
    pub sources: &'a Sources,
    /// Without it, paths stay as they are written; those of a text with a base of its own are made relative to the
    /// project directory.
    pub resolve_paths: bool,
    /// False where variables still stand in the tree: then only short forms become long, as far as they can be read.
    pub interpolated: bool,
}

/// The canonical form of a merged tree. All that is wrong with its values goes to `findings`.
pub fn canonicalise(root: &Rc<Node>, context: &Context<'_>, findings: &mut Vec<Diagnostic>) -> Rc<Node> {
    // Long forms can show that two items of a list are the same.
    merge::enforce_unicity(&Pass::new(context, findings).run(root))
}
